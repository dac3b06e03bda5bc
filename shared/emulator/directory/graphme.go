package directory

import (
	"net/http"
	"slices"
)

// getMe shows the user that the token acts for.
func (d *Directory) getMe(w http.ResponseWriter, r *http.Request, _ call, who caller) *graphError {
	if who.user == nil {
		return badRequest("/me request is only valid with delegated authentication flow.")
	}
	if !slices.Contains(who.scopes, ScopeUserRead) {
		return denied
	}
	q, refused := parseQuery(r, userProperties)
	if refused != nil {
		return refused
	}
	d.writeEntity(w, r, "users/$entity", q.pick(map[string]any{
		"id": who.user.objectID, "displayName": who.user.Name, "userPrincipalName": who.user.principal,
	}))
	return nil
}
