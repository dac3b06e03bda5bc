package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Merge puts into dst what one list says about an application. The lists may come in any
// order. A list that says it twice, since the directory changed while it was read, means
// what it said last; of sign-ins the later one counts, since a list of them has an application
// on many pages.
//
// When all lists are there, [Application.Conclude] makes a row of dst.
func Merge(dst *Application, list List, part Application) {
	if dst.ClientID == "" {
		dst.ClientID = lowerID(part.ClientID)
	}
	if !slices.Contains(dst.told, list) {
		dst.told = append(dst.told, list)
	}
	switch list {
	case Applications:
		dst.ObjectID, dst.Audience, dst.CreatedAt = lowerID(part.ObjectID), text(part.Audience), seconds(part.CreatedAt)
		dst.Name = text(part.Name)
		dst.hold(Registration, part)
	case Principals:
		dst.PrincipalID, dst.HomeTenantID, dst.Disabled = lowerID(part.PrincipalID), lowerID(part.HomeTenantID), part.Disabled
		if dst.ObjectID == "" {
			dst.Name = text(part.Name)
		}
		dst.hold(Principal, part)
	case FederatedIDs:
		dst.Federated = federated(part.Federated)
	case Missing:
		dst.there = there{registration: part.ObjectID != "", principal: part.PrincipalID != ""}
	case Activity:
		for _, c := range part.Credentials {
			dst.used = append(dst.used, use{lowerID(c.KeyID), seconds(c.UsedAt)})
		}
	}
}

// use is a sign-in with a credential.
type use struct {
	keyID string
	at    time.Time
}

// there says which objects exist although no list showed the application.
type there struct{ registration, principal bool }

// beyond is what of a holder is not in the lists of an application.
type beyond struct {
	credentials int
	owners      bool
}

func (a *Application) beyond(holder Holder) *beyond {
	if holder == Registration {
		return &a.beyondRegistration
	}
	return &a.beyondPrincipal
}

// hold replaces what holder has by what part says.
func (a *Application) hold(holder Holder, part Application) {
	a.Credentials = slices.DeleteFunc(a.Credentials, func(c Credential) bool { return c.Holder == holder })
	a.Credentials = append(a.Credentials, credentials(holder, part.Credentials)...)
	a.own(holder, part.Owners)
	*a.beyond(holder) = beyond{part.MoreCredentials, part.MoreOwners || len(part.Owners) >= MaxOwners}
}

// credentials are those of one holder, each key id once.
func credentials(holder Holder, in []Credential) []Credential {
	out := slices.Clone(in)
	for i := range out {
		c := &out[i]
		c.Holder, c.KeyID, c.Name = holder, lowerID(c.KeyID), text(c.Name)
		c.Hint, c.Thumbprint = text(c.Hint), text(c.Thumbprint)
		c.StartsAt, c.EndsAt, c.UsedAt = seconds(c.StartsAt), seconds(c.EndsAt), time.Time{}
	}
	slices.SortFunc(out, func(x, y Credential) int {
		return cmp.Or(cmp.Compare(x.KeyID, y.KeyID), cmp.Compare(x.Kind, y.Kind), inOrderOfEnds(x, y), cmp.Compare(x.Name, y.Name))
	})
	return slices.CompactFunc(out, func(x, y Credential) bool { return x.KeyID == y.KeyID })
}

// own replaces the owners of holder. An owner of both is one.
func (a *Application) own(holder Holder, owners []Owner) {
	for i := range a.Owners {
		*a.Owners[i].of(holder) = false
	}
	a.Owners = slices.DeleteFunc(a.Owners, func(o Owner) bool { return !o.OfRegistration && !o.OfPrincipal })
	for _, o := range owners[:min(len(owners), MaxOwners)] {
		o = Owner{ID: lowerID(o.ID), Kind: text(o.Kind), Name: text(o.Name), PrincipalName: text(o.PrincipalName)}
		i := slices.IndexFunc(a.Owners, func(b Owner) bool { return b.ID == o.ID })
		if i < 0 {
			i = len(a.Owners)
			a.Owners = append(a.Owners, o)
		}
		b := &a.Owners[i]
		// The lists may show different parts of an owner.
		b.Kind, b.Name, b.PrincipalName = max(b.Kind, o.Kind), max(b.Name, o.Name), max(b.PrincipalName, o.PrincipalName)
		*b.of(holder) = true
	}
}

func (o *Owner) of(holder Holder) *bool {
	if holder == Registration {
		return &o.OfRegistration
	}
	return &o.OfPrincipal
}

func federated(in []Federated) []Federated {
	out := slices.Clone(in)
	for i := range out {
		f := &out[i]
		f.ID, f.Name, f.Issuer, f.Subject = text(f.ID), text(f.Name), text(f.Issuer), text(f.Subject)
	}
	slices.SortFunc(out, func(x, y Federated) int { return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Name, y.Name)) })
	out = slices.CompactFunc(out, func(x, y Federated) bool { return x.ID == y.ID })
	return out[:min(len(out), MaxFederated)]
}

// inOrderOfEnds sorts what never ends last.
func inOrderOfEnds(x, y Credential) int {
	if never := x.EndsAt.IsZero(); never != y.EndsAt.IsZero() {
		if never {
			return 1
		}
		return -1
	}
	return x.EndsAt.Compare(y.EndsAt)
}

// text is s as it is kept: UTF-8 of at most MaxText characters, so that it reads from its row as
// it was written. Who shows it to people quotes it; see [Quote].
func text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	n := 0
	for i := range s {
		if n == MaxText {
			return s[:i]
		}
		n++
	}
	return s
}

// guid is an id as it is kept. Graph and people write them in either case.
func lowerID(s string) string { return strings.ToLower(text(s)) }

// seconds is t as it is kept. The order of ends knows no fractions either.
func seconds(t time.Time) time.Time { return storable(t).Truncate(time.Second) }
