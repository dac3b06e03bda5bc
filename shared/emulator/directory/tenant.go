package directory

import (
	"cmp"
	"slices"
	"strings"
)

// tenant is what a tenant has, in the order in which Graph lists it. Policy is the
// default app management policy.
type tenant struct {
	applications ordered[*application]
	principals   ordered[*principal]
	byClient     map[string]*principal // by client id
	policy       Policy
}

// object is something of a directory, by its object id.
type object interface {
	comparable
	id() string
}

// ordered are objects in the order of their ids, so that a page costs what is on it.
type ordered[T object] []T

func (o ordered[T]) find(id string) (int, bool) {
	return slices.BinarySearchFunc(o, id, func(x T, id string) int { return cmp.Compare(x.id(), id) })
}

func (o *ordered[T]) add(x T) {
	i, _ := o.find(x.id())
	*o = slices.Insert(*o, i, x)
}

func (o *ordered[T]) remove(x T) {
	if i, found := o.find(x.id()); found {
		*o = slices.Delete(*o, i, i+1)
	}
}

// behind are those after the one with that id, whether or not it is still there.
func (o ordered[T]) behind(id string) ordered[T] {
	i, found := o.find(id)
	if found {
		i++
	}
	return o[i:]
}

// from are those at and after the one with that id.
func (o ordered[T]) from(id string) ordered[T] {
	i, _ := o.find(id)
	return o[i:]
}

// enlist adds an application with its service principal, if it has one. The caller
// holds d.mu.
func (d *Directory) enlist(app *application) {
	d.applications[app.objectID] = app
	d.byClient[app.clientID] = app
	d.tenants[app.tenantID].applications.add(app)
	if app.principal != nil {
		d.enlistPrincipal(app.principal)
	}
}

func (d *Directory) enlistPrincipal(p *principal) {
	d.principals[p.objectID] = p
	d.tenants[p.tenantID].principals.add(p)
	d.tenants[p.tenantID].byClient[p.clientID] = p
}

// delist takes an application out with its service principal. The caller holds d.mu.
func (d *Directory) delist(app *application) {
	delete(d.applications, app.objectID)
	delete(d.byClient, app.clientID)
	d.tenants[app.tenantID].applications.remove(app)
	if app.principal != nil {
		d.delistPrincipal(app.principal)
	}
}

func (d *Directory) delistPrincipal(p *principal) {
	delete(d.principals, p.objectID)
	d.tenants[p.tenantID].principals.remove(p)
	delete(d.tenants[p.tenantID].byClient, p.clientID)
}

// byClientID returns nil if there is none. The caller holds d.mu.
func (d *Directory) byClientID(clientID string) *application {
	return d.byClient[strings.ToLower(clientID)]
}

// SetDefaultPolicy changes the tenant's default app management policy, at once. It
// holds for every application that has none of its own.
func (d *Directory) SetDefaultPolicy(tenantID string, p Policy) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenants[tenantID] == nil {
		return errNoTenant
	}
	d.tenants[tenantID].policy = p
	return nil
}

// policyOf is the policy that holds for an application. The caller holds d.mu.
func (d *Directory) policyOf(app *application) Policy {
	if app.Policy != (Policy{}) {
		return app.Policy
	}
	return d.tenants[app.tenantID].policy
}
