package directory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The delegated permissions of Microsoft Graph that the directory knows, besides
// those of the same names as application permissions, such as [RoleReadWriteAll].
const (
	ScopeUserRead              = "User.Read"
	ScopeDirectoryReadWriteAll = "Directory.ReadWrite.All"
)

// delegatedPermissions says of each whether only an administrator may consent to it.
// Source: learn.microsoft.com/graph/permissions-reference.
var delegatedPermissions = map[string]bool{
	ScopeUserRead:              false,
	RoleReadAll:                true,
	RoleReadWriteAll:           true,
	RoleDirectoryReadAll:       true,
	RoleUserReadAll:            true,
	RoleAuditLogReadAll:        true,
	RolePolicyReadAll:          true,
	ScopeDirectoryReadWriteAll: true,
}

// openIDScopes belong to no resource. A person who approves a sign-in has consented to
// those that it asks for.
var openIDScopes = []string{"openid", "profile", "email", "offline_access"}

// scopes is what the parameter scope asks for.
type scopes struct {
	openID      []string // of openIDScopes
	permissions []string // delegated permissions of Graph
	wanted      []string // the same as they were written, or .default
	byDefault   bool     // everything that there is consent to
}

func (s scopes) has(openID string) bool { return slices.Contains(s.openID, openID) }

// parseScope reads the parameter scope for app. A permission may be written with
// Graph's address or without; MSAL wants to see the same form again. /.default asks
// for what the application's registration lists, and goes with no other permission.
func (a *application) parseScope(scope string) (scopes, *entraError) {
	var s scopes
	for _, word := range strings.Fields(scope) {
		if slices.Contains(openIDScopes, word) {
			s.openID = append(s.openID, word)
			continue
		}
		name, full := strings.CutPrefix(word, ResourceGraph+"/")
		switch {
		case name == ".default" && full:
			s.byDefault = true
			s.permissions = append(s.permissions, a.Delegated...)
		case strings.Contains(name, "/"):
			return s, refuse(70011, word)
		default:
			known := knownPermission(name)
			if known == "" {
				return s, refuse(650053, a.DisplayName, name)
			}
			s.permissions = append(s.permissions, known)
		}
		s.wanted = append(s.wanted, word)
	}
	if len(s.openID)+len(s.wanted) == 0 || s.byDefault && len(s.wanted) > 1 {
		return s, refuse(70011, scope)
	}
	return s, nil
}

// knownPermission returns the delegated permission as it is spelled, empty if there
// is none such.
func knownPermission(name string) string {
	for known := range delegatedPermissions {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return ""
}

// echo is the scope of a token answer: what was asked for in the form in which it
// was, but never offline_access. For /.default Entra lists each permission too.
func (s scopes) echo(granted []string) string {
	list := slices.Clone(s.wanted)
	if s.byDefault {
		list = nil
		for _, p := range granted {
			list = append(list, ResourceGraph+"/"+p)
		}
		list = append(list, ResourceGraph+"/.default")
	}
	for _, o := range s.openID {
		if o != "offline_access" {
			list = append(list, o)
		}
	}
	return strings.Join(list, " ")
}

// consentKey is whose consent it is: a user's, or with an empty user that of an
// administrator for everybody in the tenant.
type consentKey struct{ clientID, tenantID, user string }

// GrantConsent records consent to delegated permissions of Graph. who is a user's
// object id, or a tenant's id for everybody in it; empty is the application's own
// tenant.
func (d *Directory) GrantConsent(clientID, who string, permissions ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, err := d.consentOf(clientID, who)
	if err != nil {
		return err
	}
	for _, p := range permissions {
		if _, ok := delegatedPermissions[p]; !ok {
			return fmt.Errorf("no delegated permission %q", p)
		}
	}
	d.consent(key, permissions)
	return nil
}

// RevokeConsent takes consent back, all of it if no permission is named. It concerns
// what that call to [Directory.GrantConsent] or that approval would have recorded: a
// tenant's consent does not end that of its users.
func (d *Directory) RevokeConsent(clientID, who string, permissions ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, err := d.consentOf(clientID, who)
	if err != nil {
		return err
	}
	if len(permissions) == 0 {
		delete(d.consents, key)
	}
	for _, p := range permissions {
		delete(d.consents[key], p)
	}
	return nil
}

// Consented lists the delegated permissions that there is consent to, sorted; who is
// as for [Directory.GrantConsent]. A user's list has those of the tenant as well.
func (d *Directory) Consented(clientID, who string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, err := d.consentOf(clientID, who)
	if err != nil {
		return nil
	}
	return d.consented(key)
}

// consentOf finds whose consent is meant. The caller holds d.mu.
func (d *Directory) consentOf(clientID, who string) (consentKey, error) {
	app := d.byClientID(clientID)
	if app == nil {
		return consentKey{}, errNoApplication
	}
	if u := d.users[who]; u != nil {
		return consentKey{app.clientID, u.TenantID, u.objectID}, nil
	}
	if who == "" {
		who = app.tenantID
	}
	if d.tenants[who] == nil {
		return consentKey{}, fmt.Errorf("%q is neither a user nor a tenant", who)
	}
	return consentKey{app.clientID, who, ""}, nil
}

// consent records consent. The caller holds d.mu.
func (d *Directory) consent(key consentKey, permissions []string) {
	if d.consents[key] == nil {
		d.consents[key] = map[string]bool{}
	}
	for _, p := range permissions {
		d.consents[key][p] = true
	}
}

// consented lists what key's user may do through the application. The caller holds
// d.mu.
func (d *Directory) consented(key consentKey) []string {
	all := maps.Clone(d.consents[key])
	if all == nil {
		all = map[string]bool{}
	}
	maps.Copy(all, d.consents[consentKey{key.clientID, key.tenantID, ""}])
	return slices.Sorted(maps.Keys(all))
}

// missing lists which of the permissions that s asks for there is no consent to.
// /.default is content with what there is, if there is anything: a permission that was
// added to the registration later is asked for only by prompt=consent.
// Source: learn.microsoft.com/entra/identity-platform/scopes-oidc, the .default scope.
// The caller holds d.mu.
func (d *Directory) missing(app *application, u *user, s scopes) []string {
	have := d.consented(consentKey{app.clientID, u.TenantID, u.objectID})
	if s.byDefault && len(have) > 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.permissions), func(p string) bool { return slices.Contains(have, p) })
}

// restricted reports whether an administrator has to consent to one of them.
func restricted(permissions []string) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return delegatedPermissions[p] })
}
