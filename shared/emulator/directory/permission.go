package directory

import (
	"net/http"
	"slices"
)

var denied = &graphError{http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", nil}

// has reports whether the token has one of these permissions: of the application, or
// delegated.
func (who caller) has(permissions ...string) bool {
	have := who.roles
	if who.user != nil {
		have = who.scopes
	}
	return slices.ContainsFunc(have, func(p string) bool { return slices.Contains(permissions, p) })
}

// mayRead: any permission on applications, OwnedBy included, opens all of the
// tenant's for reading, service principals too. A user who is a member of the tenant may
// read them anyway, so that for it the delegated permission decides.
// Source: learn.microsoft.com/graph/api/application-list and serviceprincipal-list,
// permissions.
func (who caller) mayRead() bool {
	if who.user != nil {
		return who.has(RoleReadAll, RoleReadWriteAll, RoleDirectoryReadAll, ScopeDirectoryReadWriteAll)
	}
	return who.has(RoleReadAll, RoleReadWriteAll, RoleReadWriteOwnedBy, RoleDirectoryReadAll)
}

// mayReadFederated: those of the whole directory are not enough.
// Source: learn.microsoft.com/graph/api/application-list-federatedidentitycredentials.
func (who caller) mayReadFederated() bool {
	if who.user != nil {
		return who.has(RoleReadAll, RoleReadWriteAll)
	}
	return who.has(RoleReadAll, RoleReadWriteAll, RoleReadWriteOwnedBy)
}

// mayReadUsers: without it, a user that an application refers to is shown by its id and
// type, and the rest is null.
// Source: learn.microsoft.com/graph/permissions-overview, limited information returned
// for inaccessible member objects.
func (who caller) mayReadUsers() bool {
	return who.has(RoleUserReadAll, RoleDirectoryReadAll, ScopeDirectoryReadWriteAll)
}

// mayWrite: delegated, the permission opens no more than the user may, who has to own
// the application or to be one of those that administer all of them.
// Source: learn.microsoft.com/graph/api/application-addpassword, permissions.
func (who caller) mayWrite(app *application) bool {
	if who.user != nil {
		return who.has(RoleReadWriteAll) && (who.user.administrator() || slices.Contains(app.Owners, who.user.objectID))
	}
	return who.has(RoleReadWriteAll) || who.has(RoleReadWriteOwnedBy) && slices.Contains(app.Owners, who.app.principalID())
}
