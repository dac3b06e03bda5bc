package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The directory roles that the directory knows: those that may manage every
// application of their tenant and consent for all of it.
// Source: learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference.
const (
	GlobalAdministrator           = "Global Administrator"
	ApplicationAdministrator      = "Application Administrator"
	CloudApplicationAdministrator = "Cloud Application Administrator"
)

// directoryRoles are the roles' template ids, which the claim wids shows.
var directoryRoles = map[string]string{
	GlobalAdministrator:           "62e90394-69f5-4237-9190-012177145e10",
	ApplicationAdministrator:      "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
	CloudApplicationAdministrator: "158c047a-c907-4556-b7ef-446551a6b5f7",
}

// ordinaryUser is in the claim wids of every member of a tenant.
const ordinaryUser = "b79fbf4d-3ef9-4689-8143-76b194e85509"

// User is a person in a tenant.
type User struct {
	TenantID string
	Name     string   // shown at sign-in
	Roles    []string // of the directory, see [GlobalAdministrator]
	Disabled bool     // may not sign in, and its refresh tokens are refused
	// ObjectID is drawn, and PrincipalName made of the name, where it is empty. They can't be
	// changed.
	ObjectID, PrincipalName string
}

type user struct {
	User
	objectID  string
	principal string // user principal name
	// session counts [Directory.RevokeSessions]: what was issued in an earlier one
	// is revoked. A number, since a clock that moves by hand has no "after".
	session int
}

var errNoUser = errors.New("no such user")

// AddUser adds a person to a tenant and returns the object id.
func (d *Directory) AddUser(u User) (objectID string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenants[u.TenantID] == nil {
		return "", fmt.Errorf("adding a user: no tenant %q", u.TenantID)
	}
	if err := knownRoles(u.Roles); err != nil {
		return "", fmt.Errorf("adding a user: %w", err)
	}
	added := &user{User: u, objectID: orNew(u.ObjectID), principal: u.PrincipalName}
	if d.users[added.objectID] != nil {
		return "", fmt.Errorf("adding a user: %w", errTaken)
	}
	added.Roles = slices.Clone(u.Roles)
	if added.principal == "" {
		name := strings.ToLower(strings.Join(strings.Fields(u.Name), "."))
		added.principal = name + "@" + u.TenantID[:8] + ".onmicrosoft.com"
	}
	d.users[added.objectID] = added
	return added.objectID, nil
}

func knownRoles(roles []string) error {
	for _, role := range roles {
		if directoryRoles[role] == "" {
			return fmt.Errorf("no directory role %q", role)
		}
	}
	return nil
}

// ChangeUser applies change to a user, at once: to disable it, or to give and take
// roles. The tenant can't be changed.
func (d *Directory) ChangeUser(objectID string, change func(*User)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.users[objectID]
	if !ok {
		return errNoUser
	}
	changed := u.User
	changed.Roles = slices.Clone(u.Roles)
	change(&changed)
	if err := knownRoles(changed.Roles); err != nil {
		return err
	}
	changed.TenantID, changed.ObjectID, changed.PrincipalName = u.TenantID, u.ObjectID, u.PrincipalName
	u.User = changed
	return nil
}

// PrincipalName returns a user's user principal name, by which login_hint knows it;
// empty if there is no such user.
func (d *Directory) PrincipalName(objectID string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.users[objectID]; u != nil {
		return u.principal
	}
	return ""
}

// RemoveUser deletes a user, at once. What was issued to it is refused from then on.
func (d *Directory) RemoveUser(objectID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users[objectID] == nil {
		return errNoUser
	}
	delete(d.users, objectID)
	return nil
}

// RevokeSessions revokes a user's refresh tokens and authorization codes, as a
// change of the password or an administrator does. Access tokens live on until they
// expire, as those of the real service do without continuous access evaluation.
func (d *Directory) RevokeSessions(objectID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.users[objectID]
	if !ok {
		return errNoUser
	}
	u.session++
	return nil
}

// administrator reports whether u has one of the roles that may manage any
// application, and consent to what only administrators may.
func (u *user) administrator() bool {
	return len(u.Roles) > 0 // each known role is such a role
}

// wids are the template ids of u's directory roles.
func (u *user) wids() []string {
	ids := []string{}
	for _, role := range u.Roles {
		ids = append(ids, directoryRoles[role])
	}
	return append(ids, ordinaryUser)
}

// usersFor lists who may sign in to app through the tenant of an address: a
// tenant's own users, or with "organizations" and "common" those of all tenants. The
// caller holds d.mu.
func (d *Directory) usersFor(tenant string) []*user {
	var found []*user
	for _, u := range d.users {
		if anyTenant(tenant) || u.TenantID == strings.ToLower(tenant) {
			found = append(found, u)
		}
	}
	slices.SortFunc(found, func(a, b *user) int {
		return strings.Compare(a.Name+a.objectID, b.Name+b.objectID)
	})
	return found
}

// anyTenant reports whether the tenant of an address stands for whichever tenant the
// user is of.
func anyTenant(tenant string) bool {
	return strings.EqualFold(tenant, "organizations") || strings.EqualFold(tenant, "common")
}
