package tenant

import (
	"fmt"
	"strings"
	"time"

	"rekey/shared/rotation"
)

// namedShape turns an application that was drawn into one that shows something.
type namedShape struct {
	name  string
	shape func(*Truth, *row)
}

// shapes are what every tenant has, if it is large enough. After those that are written
// here there is one for each ugly name.
var shapes = append([]namedShape{
	{"nothing", func(t *Truth, r *row) { t.plain(r) }},
	{"hundred-credentials", func(t *Truth, r *row) {
		t.plain(r)
		for range 100 {
			r.registration.credentials = append(r.registration.credentials, t.secret())
		}
	}},
	{"ownerless-ending", func(t *Truth, r *row) {
		t.plain(r, t.ending(3*day))
		r.registration.owners, r.principal.owners = nil, nil
	}},
	{"twenty-owners", func(t *Truth, r *row) { t.plain(r); r.registration.owners = t.people(20) }},
	{"many-owners", func(t *Truth, r *row) {
		t.plain(r)
		r.registration.owners, r.principal.owners = t.people(25), t.people(22)
	}},
	{"same-owner-twice", func(t *Truth, r *row) { t.plain(r); r.principal.owners = append(t.people(1), r.registration.owners[0]) }},
	{"owns-itself", func(t *Truth, r *row) { t.plain(r); r.registration.owners = []string{r.principal.objectID} }},
	{"owned-by-application", func(t *Truth, r *row) {
		t.plain(r)
		r.registration.owners = []string{t.rows[t.order[0]].principal.objectID}
	}},
	{"never-ends", func(t *Truth, r *row) { t.plain(r, t.unending(), t.unending()) }},
	{"ends-in-2299", func(t *Truth, r *row) {
		c := t.unending()
		c.EndsAt = time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC)
		t.plain(r, c)
	}},
	{"expired", func(t *Truth, r *row) { t.plain(r, t.ending(-400*day), t.ending(-day)) }},
	{"at-the-thresholds", func(t *Truth, r *row) {
		t.plain(r)
		for _, in := range []time.Duration{0, 7 * day, 30 * day, 90 * day} {
			r.registration.credentials = append(r.registration.credentials, t.ending(in), t.ending(in+time.Second))
		}
	}},
	{"orphan", func(t *Truth, r *row) {
		orphan := t.ending(170 * day)
		orphan.Name = rotation.MarkerPrefix(t.config.Deployment, t.guid()) + "0123456789"
		t.plain(r, t.ending(100*day), orphan)
	}},
	{"personal-accounts", func(t *Truth, r *row) {
		t.plain(r, t.ending(20*day), t.ending(120*day))
		r.audience = "PersonalMicrosoftAccount"
	}},
	{"disabled", func(t *Truth, r *row) { t.plain(r, t.ending(50*day)); r.disabled = true }},
	{"without-principal", func(t *Truth, r *row) { t.plain(r, t.ending(50*day)); r.principal, r.home = nil, "" }},
	{"secret-of-principal", func(t *Truth, r *row) {
		t.plain(r)
		r.principal.credentials = []credential{t.ending(50 * day), t.certificate()}
	}},
	{"saml", func(t *Truth, r *row) { t.plain(r); r.principal.credentials = []credential{t.signing(), t.signing()} }},
	{"saml-of-gallery", func(t *Truth, r *row) { t.gallery(r, t.signing()) }},
	{"secret-of-gallery", func(t *Truth, r *row) { t.gallery(r, t.ending(20*day), t.signing()); r.disabled = true }},
	{"nameless", func(t *Truth, r *row) { t.gallery(r, t.signing()); r.principal.name = "" }},
	{"federated", func(t *Truth, r *row) {
		t.plain(r, t.ending(200*day))
		r.federated = t.federated(20)
		for i := range r.federated[:5] {
			r.federated[i].Subject = fmt.Sprint(i, " ", strings.Repeat("長い", 298))
		}
	}},
	{"unused", func(t *Truth, r *row) {
		never, once := t.ending(100*day), t.ending(110*day)
		never.StartsAt, once.StartsAt = t.config.Now.AddDate(-1, 0, 0), t.config.Now.AddDate(-1, 0, 0)
		never.UsedAt, once.UsedAt = time.Time{}, t.config.Now.Add(-91*day)
		t.plain(r, never, once)
	}},
	{"certificates", func(t *Truth, r *row) {
		same := t.certificate()
		again := t.certificate()
		again.identifier = same.identifier
		t.plain(r, same, again, t.certificate())
	}},
}, uglyShapes()...)

// uglyShapes give a registration and its service principal each of the ugly names.
func uglyShapes() (all []namedShape) {
	for i, name := range ugly {
		all = append(all, namedShape{fmt.Sprintf("name-%d", i), func(t *Truth, r *row) {
			t.plain(r, t.secret(), t.certificate())
			r.registration.name, r.principal.name = name, name
			r.registration.credentials[0].Name = name
		}})
	}
	return all
}

// plain makes r a registration of the tenant with a service principal, one owner, and these
// credentials.
func (t *Truth) plain(r *row, credentials ...credential) {
	name := "plain"
	if r.registration != nil {
		name = r.registration.name
	}
	r.registration = &holder{objectID: t.guid(), name: name, owners: t.people(1), credentials: credentials}
	r.principal = &holder{objectID: t.guid(), name: name}
	r.audience, r.home, r.disabled, r.federated = "AzureADMyOrg", t.config.TenantID, false, nil
}

// gallery makes r a service principal of an application of another tenant.
func (t *Truth) gallery(r *row, credentials ...credential) {
	r.registration, r.audience, r.home, r.disabled, r.federated = nil, "", t.guid(), false, nil
	r.principal = &holder{objectID: t.guid(), name: "gallery", owners: t.people(1), credentials: credentials}
}

// ending is a client secret that ends that long after now.
func (t *Truth) ending(in time.Duration) credential {
	c := t.secret()
	c.EndsAt = t.config.Now.Add(in)
	c.StartsAt = c.EndsAt.Add(-150 * day)
	if c.StartsAt.After(t.config.Now) {
		c.StartsAt = t.config.Now.Add(-time.Hour)
	}
	c.UsedAt, c.Hint = time.Time{}, t.hint()
	t.use(&c.Credential)
	return c
}

// unending is a client secret of long ago that never ends, and has no hint.
func (t *Truth) unending() credential {
	c := t.secret()
	c.StartsAt, c.EndsAt, c.UsedAt, c.Hint = time.Date(2017, 3, 4, 5, 6, 7, 0, time.UTC), time.Time{}, time.Time{}, ""
	return c
}
