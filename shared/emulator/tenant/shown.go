package tenant

import (
	"cmp"
	"encoding/base64"
	"slices"
	"time"
	"unicode/utf8"

	"rekey/shared/emulator/directory"
	"rekey/shared/inventory"
)

// kept reports whether a scan shows r: what is registered in this tenant, and what has a
// credential here; managed identities never, since the platform rotates theirs.
func (r *row) kept() bool {
	return r.registration != nil || r.kind != directory.KindManagedIdentity && len(r.principal.credentials) > 0
}

// shown is r as a complete scan shows it. The caller holds t.mu.
func (t *Truth) shown(r *row) inventory.Application {
	a := inventory.Application{Key: inventory.Key{TenantID: t.config.TenantID, ClientID: r.clientID}}
	if p := r.principal; p != nil {
		a.PrincipalID, a.Name, a.HomeTenantID, a.Disabled = p.objectID, cut(p.name), r.home, r.disabled
		a.MoreOwners = t.own(&a, p, func(o *inventory.Owner) { o.OfPrincipal = true })
		a.Credentials = append(a.Credentials, p.shown(inventory.Principal)...)
	}
	if g := r.registration; g != nil {
		a.ObjectID, a.Name, a.Audience, a.CreatedAt = g.objectID, cut(g.name), r.audience, r.createdAt.Truncate(time.Second)
		more := t.own(&a, g, func(o *inventory.Owner) { o.OfRegistration = true })
		a.MoreOwners = a.MoreOwners || more
		a.Credentials = append(a.Credentials, g.shown(inventory.Registration)...)
	}
	slices.SortFunc(a.Owners, func(x, y inventory.Owner) int { return cmp.Compare(x.ID, y.ID) })
	slices.SortFunc(a.Credentials, func(x, y inventory.Credential) int {
		return cmp.Or(end(x).Compare(end(y)), cmp.Compare(x.Holder, y.Holder), cmp.Compare(x.KeyID, y.KeyID))
	})
	for _, f := range r.federated {
		f.Name, f.Issuer, f.Subject = cut(f.Name), cut(f.Issuer), cut(f.Subject)
		a.Federated = append(a.Federated, f)
	}
	slices.SortFunc(a.Federated, func(x, y inventory.Federated) int { return cmp.Compare(x.ID, y.ID) })
	return a
}

// end is when c ends, in the order of lists.
func end(c inventory.Credential) time.Time {
	if c.EndsAt.IsZero() {
		return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return c.EndsAt
}

// own adds h's owners to a's, as far as Graph lists them: the first 20 of those that are
// there. more: there are 20, so that there may be more.
func (t *Truth) own(a *inventory.Application, h *holder, mark func(*inventory.Owner)) (more bool) {
	listed := 0
	for _, id := range h.owners {
		owner, there := t.owners[id]
		if !there || listed == inventory.MaxOwners {
			continue
		}
		listed++
		owner.Name, owner.PrincipalName = cut(owner.Name), cut(owner.PrincipalName)
		i := slices.IndexFunc(a.Owners, func(o inventory.Owner) bool { return o.ID == id })
		if i < 0 {
			i = len(a.Owners)
			a.Owners = append(a.Owners, owner)
		}
		mark(&a.Owners[i])
	}
	return listed == inventory.MaxOwners
}

// shown are h's credentials as a scan keeps them: without fractions of seconds.
func (h *holder) shown(holder inventory.Holder) (all []inventory.Credential) {
	for _, c := range h.credentials {
		one := c.Credential
		one.Holder, one.Name = holder, cut(c.Name)
		one.StartsAt, one.EndsAt, one.UsedAt = c.StartsAt.Truncate(time.Second), c.EndsAt.Truncate(time.Second), c.UsedAt.Truncate(time.Second)
		if c.Kind != inventory.ClientSecret {
			one.Thumbprint = base64.StdEncoding.EncodeToString(c.identifier)
		}
		all = append(all, one)
	}
	return all
}

// cut is as much of s as a row keeps.
func cut(s string) string {
	for utf8.RuneCountInString(s) > inventory.MaxText {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
