package directory

import (
	"errors"
	"fmt"
	"slices"
)

// The kinds of service principals, as Graph's servicePrincipalType has them.
const (
	KindApplication     = "Application"
	KindManagedIdentity = "ManagedIdentity"
	KindLegacy          = "Legacy"
)

// PrincipalSettings is what can be changed about a service principal.
type PrincipalSettings struct {
	// Disabled: it gets no token, and accountEnabled is false.
	Disabled bool
	Owners   []string // object ids
}

// Principal describes a service principal to be added whose application is registered
// in another tenant, which the directory need not know, or that has none: a managed
// identity. It can't sign in here.
type Principal struct {
	PrincipalSettings
	TenantID           string
	ObjectID, ClientID string // empty ones are drawn
	DisplayName        string
	Kind               string // empty means [KindApplication]
	HomeTenantID       string // the tenant of the registration, appOwnerOrganizationId; empty: null
	Credentials        Credentials
}

type principal struct {
	PrincipalSettings
	tenantID    string
	objectID    string
	clientID    string
	kind        string
	home        string
	name        string       // of one without application
	application *application // its registration, if that is in the same tenant
	passwords   []*password
	keys        []*key
}

func (p *principal) id() string { return p.objectID }

func (p *principal) displayName() string {
	if p.application != nil {
		return p.application.DisplayName
	}
	return p.name
}

var (
	errNoPrincipal = errors.New("no such service principal")
	errNoTenant    = errors.New("no such tenant")
	errTaken       = errors.New("the id is taken")
)

// AddPrincipal adds a service principal without a registration, known everywhere at
// once, and returns its object id and client id.
func (d *Directory) AddPrincipal(p Principal) (objectID, clientID string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tenants[p.TenantID]
	if t == nil {
		return "", "", fmt.Errorf("adding a service principal: no tenant %q", p.TenantID)
	}
	added := &principal{
		PrincipalSettings: p.PrincipalSettings, tenantID: p.TenantID, objectID: orNew(p.ObjectID), clientID: orNew(p.ClientID),
		kind: p.Kind, home: p.HomeTenantID, name: p.DisplayName,
	}
	if added.kind == "" {
		added.kind = KindApplication
	}
	added.Owners = slices.Clone(p.Owners)
	if d.principals[added.objectID] != nil || t.byClient[added.clientID] != nil {
		return "", "", fmt.Errorf("adding a service principal: %w", errTaken)
	}
	added.passwords, added.keys = p.Credentials.listed()
	d.enlistPrincipal(added)
	return added.objectID, added.clientID, nil
}

// PrincipalOf is the object id of the service principal of a registration; empty: there is none.
func (d *Directory) PrincipalOf(objectID string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if app := d.applications[objectID]; app != nil && app.principal != nil {
		return app.principal.objectID
	}
	return ""
}

// ChangePrincipal applies change to the settings of a service principal, at once.
func (d *Directory) ChangePrincipal(objectID string, change func(*PrincipalSettings)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.principals[objectID]
	if p == nil {
		return errNoPrincipal
	}
	change(&p.PrincipalSettings)
	return nil
}

// RemovePrincipal deletes a service principal, at once, and not its registration, which
// gets no token from then on.
func (d *Directory) RemovePrincipal(objectID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.principals[objectID]
	if p == nil {
		return errNoPrincipal
	}
	d.delistPrincipal(p)
	if p.application != nil {
		p.application.principal = nil
	}
	return nil
}

// principalID is the object id of a's service principal; empty if it has none.
func (a *application) principalID() string {
	if a.principal == nil {
		return ""
	}
	return a.principal.objectID
}

// principalPasswords are those of a's service principal, which do as well as its own.
func (a *application) principalPasswords() []*password {
	if a.principal == nil {
		return nil
	}
	return a.principal.passwords
}
