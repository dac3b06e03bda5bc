package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// usePrecision is how exactly a row knows the last sign-in with a credential that is in use.
// What is used every day would otherwise have its row written every day. The last sign-in is
// kept exactly as soon as it is older than this, so that what is about the absence of
// sign-ins is right to the second.
const usePrecision = 7 * 24 * time.Hour

// Conclude makes the row of what [Merge] put together: in order, within the bounds, and with
// what the former row knew where a list was refused. former is nil if there is none; refused
// are the lists that were not read to their end; at is the start of the scan. write is whether the
// row has to be written, because it says something else than the former one.
//
// An application that a refused list told of before it was refused has what it told. Of one
// that no list showed, and that is there all the same ([Missing]) or may be, the former row stays.
func (a *Application) Conclude(former *Application, refused []List, at time.Time) (write bool) {
	if former == nil {
		former = &Application{FirstSeenAt: at}
	}
	if slices.Contains(refused, Missing) {
		a.there = there{former.ObjectID != "", former.PrincipalID != ""}
	}
	a.there.registration = a.there.registration && !slices.Contains(a.told, Applications)
	a.Unread = nil
	for _, list := range Lists {
		if a.lacks(list, refused) {
			a.keep(list, former)
		}
	}
	for _, list := range Lists {
		if a.lacks(list, refused) && a.concerns(list) {
			a.Unread = append(a.Unread, list)
		}
	}
	a.nameOwners(former)
	a.noteUse(former, at)
	a.arrange()
	a.told, a.used, a.there, a.beyondRegistration, a.beyondPrincipal = nil, nil, there{}, beyond{}, beyond{}
	a.FirstSeenAt, a.ChangedAt = former.FirstSeenAt, former.ChangedAt
	if former.ChangedAt.IsZero() || !sameFacts(a, former) {
		a.ChangedAt = at
	}
	return former.ChangedAt.IsZero() || !Same(a, former)
}

// lacks reports whether list did not tell what it would tell of a.
func (a *Application) lacks(list List, refused []List) bool {
	switch {
	case list == Activity: // it tells of some credentials, and may have gone on with others
		return slices.Contains(refused, list)
	case slices.Contains(a.told, list):
		return false
	case list == Principals:
		return a.there.principal || slices.Contains(refused, list)
	}
	return a.there.registration || slices.Contains(refused, list)
}

// Kept reports whether the inventory has a row for a: what has its registration in another
// tenant is of interest only for the credentials that it has in this one.
func (a *Application) Kept() bool { return a.ObjectID != "" || len(a.Credentials) > 0 }

// keep takes over from the former row what list would have told.
func (a *Application) keep(list List, former *Application) {
	switch list {
	case Applications:
		a.ObjectID, a.Audience, a.CreatedAt = former.ObjectID, former.Audience, former.CreatedAt
		if a.ObjectID != "" {
			a.Name = former.Name
		}
		a.keepHeld(Registration, former)
	case Principals:
		a.PrincipalID, a.HomeTenantID, a.Disabled = former.PrincipalID, former.HomeTenantID, former.Disabled
		if a.ObjectID == "" {
			a.Name = former.Name
		}
		a.keepHeld(Principal, former)
	case FederatedIDs:
		a.Federated = slices.Clone(former.Federated)
	}
}

func (a *Application) keepHeld(holder Holder, former *Application) {
	part := Application{}
	for _, c := range former.Credentials {
		if c.Holder == holder {
			part.Credentials = append(part.Credentials, c)
		}
	}
	for _, o := range former.Owners {
		if *o.of(holder) {
			part.Owners = append(part.Owners, o)
		}
	}
	a.hold(holder, part)
}

// concerns reports whether list has anything to tell of an application such as a.
func (a *Application) concerns(list List) bool {
	switch list {
	case FederatedIDs:
		return a.ObjectID != ""
	case Activity:
		return slices.ContainsFunc(a.Credentials, func(c Credential) bool { return c.Kind != SAMLSigning })
	}
	return true
}

// nameOwners takes over what is known of owners of which Graph shows the ids alone, as it does where
// the caller may not read them.
func (a *Application) nameOwners(former *Application) {
	for i := range a.Owners {
		o := &a.Owners[i]
		if o.Name != "" || o.PrincipalName != "" {
			continue
		}
		for _, f := range former.Owners {
			if f.ID == o.ID {
				o.Kind, o.Name, o.PrincipalName = cmp.Or(o.Kind, f.Kind), f.Name, f.PrincipalName
			}
		}
	}
}

// noteUse gives credentials their last sign-in. What was known once stays true, whether the
// list says it again or not.
func (a *Application) noteUse(former *Application, at time.Time) {
	for i := range a.Credentials {
		c := &a.Credentials[i]
		var before, seen time.Time
		for _, f := range former.Credentials {
			if f.KeyID == c.KeyID && f.UsedAt.After(before) {
				before = f.UsedAt
			}
		}
		for _, u := range a.used {
			if u.keyID == c.KeyID && u.at.After(seen) {
				seen = u.at
			}
		}
		c.UsedAt = lastUse(before, seen, at)
	}
}

// lastUse is before where that is exact enough; see usePrecision.
func lastUse(before, seen, at time.Time) time.Time {
	if !seen.After(before) {
		return before
	}
	if !before.IsZero() && seen.Sub(before) < usePrecision && at.Sub(seen) < usePrecision {
		return before
	}
	return seen
}

// arrange puts lists in order and within their bounds.
func (a *Application) arrange() {
	slices.SortFunc(a.Credentials, func(x, y Credential) int {
		return cmp.Or(inOrderOfEnds(x, y), cmp.Compare(x.Holder, y.Holder), cmp.Compare(x.KeyID, y.KeyID))
	})
	over := max(0, len(a.Credentials)-MaxCredentials)
	a.Credentials = a.Credentials[:len(a.Credentials)-over]
	a.MoreCredentials = over + a.beyondRegistration.credentials + a.beyondPrincipal.credentials
	slices.SortFunc(a.Owners, func(x, y Owner) int { return cmp.Compare(x.ID, y.ID) })
	a.MoreOwners = a.beyondRegistration.owners || a.beyondPrincipal.owners
	a.TenantID = strings.ToLower(a.TenantID)
}
