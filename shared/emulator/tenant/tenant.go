// Package tenant fills a tenant of the directory emulator with applications as they are
// found in neglected ones: names in every script, credentials that never end, ended long
// ago or end tomorrow, none, one or too many owners, SAML signing certificates, service
// principals of other tenants' applications, managed identities, and client secrets that
// Rekey's marker is on and no record explains.
//
// [Generate] returns the [Truth]: what a complete scan has to find, no more and no less,
// worked out from what was generated and not from what the directory answers. The tenant
// can be changed afterwards, and the truth changes with it. The same seed makes the same
// tenant.
//
// Credentials open nothing: none has a value.
package tenant

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/inventory"
)

// Config says what to generate.
type Config struct {
	Directory *directory.Directory
	TenantID  string
	Seed      uint64
	// Applications is how many a scan finds. A few more are there that it leaves out: service
	// principals without credentials, such as Microsoft's own, and managed identities. The
	// first [Shapes] show one by one what a tenant may have; the others are drawn.
	Applications int
	Now          time.Time // what ends soon ends soon after this
	Deployment   string    // of Rekey, for the markers of orphans
}

// Truth is what is in a tenant. Its methods may be called from many goroutines.
type Truth struct {
	config Config

	mu     sync.Mutex
	random *rand.Rand
	rows   map[string]*row // by client id, with those that a scan leaves out
	// order has the client ids as they were made.
	order  []string
	owners map[string]inventory.Owner // users and service principals that are there, by object id
	users  []string
}

// row is an application as it was made.
type row struct {
	clientID     string
	registration *holder // nil: it is elsewhere, or nowhere
	principal    *holder // nil: there is none
	audience     string
	createdAt    time.Time
	home         string // the tenant of the registration, as the service principal says
	kind         string // of the service principal
	disabled     bool
	federated    []inventory.Federated
}

// holder is a registration or a service principal.
type holder struct {
	objectID    string
	name        string
	owners      []string // object ids
	credentials []credential
}

// credential is one as a scan shows it, but with fractions of seconds. A certificate for
// signing has a second key id.
type credential struct {
	inventory.Credential
	identifier  []byte // of a certificate
	verifyKeyID string
}

// Generate fills a tenant.
func Generate(c Config) (*Truth, error) {
	t := &Truth{
		config: c, random: rand.New(rand.NewPCG(c.Seed, 0x7e4a)), rows: map[string]*row{}, owners: map[string]inventory.Owner{},
	}
	t.config.Now = c.Now.UTC().Truncate(time.Second)
	if err := t.addUsers(30 + c.Applications/20); err != nil {
		return nil, err
	}
	for i := range c.Applications {
		r := t.draw()
		if i < len(shapes) {
			shapes[i].shape(t, r)
		}
		if err := t.add(r); err != nil {
			return nil, err
		}
	}
	for i := range min(300, 10+c.Applications/20) {
		if err := t.add(t.firstParty(i)); err != nil {
			return nil, err
		}
		if err := t.add(t.managedIdentity(i)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Shapes are the names of what the first applications of every tenant show, in that order.
func Shapes() []string {
	var names []string
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return names
}

// Shape returns the client id of the first application that shows one of [Shapes]; empty if
// the tenant is too small to have it, or there is no such shape.
func (t *Truth) Shape(name string) string {
	i := slices.IndexFunc(shapes, func(s namedShape) bool { return s.name == name })
	if i < 0 || i >= t.config.Applications {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order[i]
}

// addUsers makes the people who own things.
func (t *Truth) addUsers(n int) error {
	for i := range n {
		name := people[i%len(people)]
		if i >= len(people) {
			name = fmt.Sprintf("%s %d", name, i)
		}
		o := inventory.Owner{ID: t.guid(), Kind: "user", Name: name, PrincipalName: fmt.Sprintf("person%d@contoso.example", i)}
		if i%7 == 3 {
			o.PrincipalName = fmt.Sprintf("guest%d_fabrikam.example#EXT#@contoso.example", i)
		}
		if _, err := t.config.Directory.AddUser(directory.User{
			TenantID: t.config.TenantID, ObjectID: o.ID, Name: o.Name, PrincipalName: o.PrincipalName,
		}); err != nil {
			return err
		}
		t.owners[o.ID] = o
		t.users = append(t.users, o.ID)
	}
	return nil
}

// add puts an application into the directory.
func (t *Truth) add(r *row) error {
	d := t.config.Directory
	if r.registration == nil {
		if _, _, err := d.AddPrincipal(directory.Principal{
			TenantID: t.config.TenantID, ObjectID: r.principal.objectID, ClientID: r.clientID, DisplayName: r.principal.name,
			Kind: r.kind, HomeTenantID: r.home, Credentials: listed(r.principal.credentials),
			PrincipalSettings: directory.PrincipalSettings{Disabled: r.disabled, Owners: r.principal.owners},
		}); err != nil {
			return err
		}
	} else if err := t.register(r); err != nil {
		return err
	}
	if r.principal != nil {
		t.owners[r.principal.objectID] = inventory.Owner{ID: r.principal.objectID, Kind: "servicePrincipal", Name: r.principal.name}
	}
	t.rows[r.clientID] = r
	t.order = append(t.order, r.clientID)
	return nil
}

// register adds a registration, with its service principal if there is one.
func (t *Truth) register(r *row) error {
	credentials := listed(r.registration.credentials)
	added := directory.Registration{
		Settings: directory.Settings{DisplayName: r.registration.name, SignInAudience: r.audience, Owners: r.registration.owners},
		TenantID: t.config.TenantID, ObjectID: r.registration.objectID, ClientID: r.clientID, CreatedAt: r.createdAt,
		Credentials: &credentials, WithoutPrincipal: r.principal == nil,
	}
	for _, f := range r.federated {
		added.Federated = append(added.Federated, directory.FederatedCredential{
			ID: f.ID, Name: f.Name, Issuer: f.Issuer, Subject: f.Subject, Audience: "api://AzureADTokenExchange",
		})
	}
	if r.principal != nil {
		added.PrincipalID = r.principal.objectID
		added.Principal = directory.PrincipalSettings{Disabled: r.disabled, Owners: r.principal.owners}
		added.PrincipalCredentials = listed(r.principal.credentials)
	}
	_, err := t.config.Directory.AddApplication(added)
	return err
}

// listed are credentials as Graph lists them.
func listed(credentials []credential) (all directory.Credentials) {
	for _, c := range credentials {
		one := c.listed()
		all.Secrets, all.Keys = append(all.Secrets, one.Secrets...), append(all.Keys, one.Keys...)
	}
	return all
}

func (c credential) listed() directory.Credentials {
	switch c.Kind {
	case inventory.ClientSecret:
		return directory.Credentials{Secrets: []directory.Secret{{
			KeyID: c.KeyID, DisplayName: c.Name, Hint: c.Hint, StartsAt: c.StartsAt, EndsAt: c.EndsAt, UsedAt: c.UsedAt,
		}}}
	case inventory.Certificate:
		return directory.Credentials{Keys: []directory.Key{{
			KeyID: c.KeyID, DisplayName: c.Name, Identifier: c.identifier, StartsAt: c.StartsAt, EndsAt: c.EndsAt, UsedAt: c.UsedAt,
		}}}
	}
	return directory.SigningCertificate{
		SignKeyID: c.KeyID, VerifyKeyID: c.verifyKeyID, DisplayName: c.Name, Thumbprint: [20]byte(c.identifier),
		StartsAt: c.StartsAt, EndsAt: c.EndsAt,
	}.Credentials()
}

// Applications are what a complete scan shows, by client id. FirstSeenAt and ChangedAt are
// zero: they are the scan's.
func (t *Truth) Applications() []inventory.Application {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []inventory.Application
	for _, r := range t.rows {
		if r.kept() {
			all = append(all, t.shown(r))
		}
	}
	slices.SortFunc(all, func(a, b inventory.Application) int { return cmp.Compare(a.ClientID, b.ClientID) })
	return all
}

// Application is one of [Truth.Applications]; not ok: a complete scan does not show it.
func (t *Truth) Application(clientID string) (a inventory.Application, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[clientID]
	if r == nil || !r.kept() {
		return inventory.Application{}, false
	}
	return t.shown(r), true
}

// LeftOut are the client ids that are in the tenant and a scan does not show.
func (t *Truth) LeftOut() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, id := range t.order {
		if r := t.rows[id]; r != nil && !r.kept() {
			out = append(out, id)
		}
	}
	return out
}
