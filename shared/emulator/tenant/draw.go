package tenant

import (
	"encoding/hex"
	"fmt"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/inventory"
)

const day = 24 * time.Hour

// microsoft is the tenant that Microsoft's own applications are registered in.
const microsoft = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

// guid draws a GUID in lower case.
func (t *Truth) guid() string {
	s := hex.EncodeToString(t.bytes(16))
	return s[:8] + "-" + s[8:12] + "-4" + s[13:16] + "-a" + s[17:20] + "-" + s[20:]
}

func (t *Truth) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(t.random.Uint32())
	}
	return b
}

// chance is true in that many of a hundred cases.
func (t *Truth) chance(percent int) bool { return t.random.IntN(100) < percent }

// within draws a time between two, to a tenth of a microsecond, as Graph has them.
func (t *Truth) within(from, to time.Time) time.Time {
	const tick = 100 * time.Nanosecond
	return from.Add(time.Duration(t.random.Int64N(int64(to.Sub(from)/tick))) * tick)
}

// draw makes an application of no particular kind.
func (t *Truth) draw() *row {
	r := &row{clientID: t.guid(), createdAt: t.within(t.config.Now.AddDate(-9, 0, 0), t.config.Now), kind: directory.KindApplication}
	name := t.name()
	if t.chance(15) { // from the gallery
		r.home = t.guid()
		r.principal = &holder{objectID: t.guid(), name: name, owners: t.someOwners()}
		for range 1 + t.random.IntN(3) {
			r.principal.credentials = append(r.principal.credentials, t.signing())
		}
		r.disabled = t.chance(5)
		return r
	}
	r.audience = "AzureADMyOrg"
	if t.chance(20) {
		r.audience = "AzureADMultipleOrgs"
	}
	r.registration = &holder{objectID: t.guid(), name: name, owners: t.someOwners()}
	for range t.howMany() {
		c := t.secret()
		if t.chance(30) {
			c = t.certificate()
		}
		r.registration.credentials = append(r.registration.credentials, c)
	}
	if t.chance(6) {
		r.audience = "AzureADandPersonalMicrosoftAccount"
	}
	if t.chance(12) {
		r.federated = t.federated(1 + t.random.IntN(3))
	}
	if t.chance(96) {
		r.home = t.config.TenantID
		r.principal = &holder{objectID: t.guid(), name: name, owners: t.someOwners()}
		r.disabled = t.chance(6)
	}
	if r.principal != nil && t.chance(10) {
		r.principal.credentials = append(r.principal.credentials, t.signing())
	}
	if r.principal != nil && t.chance(4) {
		r.principal.credentials = append(r.principal.credentials, t.secret())
	}
	return r
}

// howMany draws how many credentials a registration has: three on average, few of most.
func (t *Truth) howMany() int {
	return []int{0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 8, 10}[t.random.IntN(20)]
}

// someOwners are none, one, or several people.
func (t *Truth) someOwners() []string {
	switch n := t.random.IntN(10); {
	case n < 3:
		return nil
	case n < 7:
		return t.people(1)
	}
	return t.people(2 + t.random.IntN(4))
}

// people draws n different users.
func (t *Truth) people(n int) []string {
	var ids []string
	for _, i := range t.random.Perm(len(t.users))[:n] {
		ids = append(ids, t.users[i])
	}
	return ids
}

// life draws when a credential starts and ends.
func (t *Truth) life(c *inventory.Credential) {
	now := t.config.Now
	switch n := t.random.IntN(100); {
	case n < 12: // forgotten
		c.EndsAt = t.within(now.AddDate(-4, 0, 0), now)
	case n < 16:
		c.EndsAt = t.within(now, now.Add(7*day))
	case n < 23:
		c.EndsAt = t.within(now.Add(7*day), now.Add(30*day))
	case n < 37:
		c.EndsAt = t.within(now.Add(30*day), now.Add(90*day))
	case n < 93:
		c.EndsAt = t.within(now.Add(90*day), now.AddDate(2, 0, 0))
	case n < 95: // what tools wrote when they meant never
		c.EndsAt = time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC)
	case n < 97:
		c.StartsAt = t.within(now, now.Add(30*day)) // not good yet
		c.EndsAt = c.StartsAt.AddDate(1, 0, 0)
		return
	}
	if c.EndsAt.IsZero() || c.EndsAt.Year() == 2299 {
		c.StartsAt = t.within(now.AddDate(-8, 0, 0), now)
		return
	}
	months := []int{3, 6, 6, 12, 12, 24}[t.random.IntN(6)]
	c.StartsAt = c.EndsAt.AddDate(0, -months, 0)
	if c.StartsAt.After(now) {
		c.StartsAt = t.within(now.Add(-60*day), now)
	}
}

// use draws the last sign-in with c: after it started, before it ended, not in the future.
func (t *Truth) use(c *inventory.Credential) {
	last := t.config.Now
	if !c.EndsAt.IsZero() && c.EndsAt.Before(last) {
		last = c.EndsAt
	}
	if first := c.StartsAt; first.Before(last) && t.chance(60) {
		if recent := last.Add(-200 * day); recent.After(first) {
			first = recent
		}
		c.UsedAt = t.within(first, last)
	}
}

func (t *Truth) secret() credential {
	c := inventory.Credential{KeyID: t.guid(), Kind: inventory.ClientSecret, Name: secretNames[t.random.IntN(len(secretNames))]}
	t.life(&c)
	t.use(&c)
	if c.StartsAt.After(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) {
		c.Hint = t.hint()
	}
	return credential{Credential: c}
}

func (t *Truth) hint() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789~._-"
	b := t.bytes(3)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

func (t *Truth) certificate() credential {
	c := inventory.Credential{KeyID: t.guid(), Kind: inventory.Certificate, Name: "CN=" + words[t.random.IntN(len(words))]}
	t.life(&c)
	t.use(&c)
	return credential{Credential: c, identifier: t.bytes(20)}
}

func (t *Truth) signing() credential {
	c := inventory.Credential{KeyID: t.guid(), Kind: inventory.SAMLSigning, Name: "CN=Microsoft Azure Federated SSO Certificate"}
	c.EndsAt = t.within(t.config.Now.AddDate(0, -6, 0), t.config.Now.AddDate(3, 0, 0))
	c.StartsAt = c.EndsAt.AddDate(-3, 0, 0)
	return credential{Credential: c, identifier: t.bytes(20), verifyKeyID: t.guid()}
}

func (t *Truth) federated(n int) (all []inventory.Federated) {
	for i := range n {
		all = append(all, inventory.Federated{
			ID: t.guid(), Name: fmt.Sprintf("github-%d", i), Issuer: "https://token.actions.githubusercontent.com",
			Subject: fmt.Sprintf("repo:contoso/%s-%d:ref:refs/heads/main", words[t.random.IntN(len(words))], i),
		})
	}
	return all
}

// firstParty is a service principal of Microsoft's, without credentials.
func (t *Truth) firstParty(i int) *row {
	return &row{clientID: t.guid(), kind: directory.KindApplication, home: microsoft,
		principal: &holder{objectID: t.guid(), name: fmt.Sprintf("Microsoft Service %d", i)}}
}

// managedIdentity has a certificate that the platform rotates.
func (t *Truth) managedIdentity(i int) *row {
	return &row{clientID: t.guid(), kind: directory.KindManagedIdentity,
		principal: &holder{objectID: t.guid(), name: fmt.Sprintf("vm-%d", i), credentials: []credential{t.certificate()}}}
}
