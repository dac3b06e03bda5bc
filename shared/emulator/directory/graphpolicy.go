package directory

import (
	"fmt"
	"net/http"
	"time"
)

// getDefaultPolicy shows the tenant's default app management policy. Without one it is
// there, and off. Restrictions on service principals are left out: the directory adds no
// client secret to one.
// Source: learn.microsoft.com/graph/api/tenantappmanagementpolicy-get.
func (d *Directory) getDefaultPolicy(w http.ResponseWriter, r *http.Request, _ call, who caller) *graphError {
	if !who.has(RolePolicyReadAll) {
		return denied
	}
	if _, refused := parseQuery(r, nil); refused != nil {
		return refused
	}
	none := map[string]any{"passwordCredentials": []any{}, keyCredentials: []any{}}
	policy := d.tenants[who.tenantID].policy
	d.writeEntity(w, r, "policies/defaultAppManagementPolicy/$entity", map[string]any{
		"id": "00000000-0000-0000-0000-000000000000", "displayName": "Default app management tenant policy",
		"description": "Default tenant policy that enforces app management restrictions on applications and service principals.",
		"isEnabled":   policy != Policy{}, "applicationRestrictions": map[string]any{
			"passwordCredentials": policy.restrictions(), keyCredentials: []any{},
		},
		"servicePrincipalRestrictions": none,
	})
	return nil
}

// listPolicies lists the app management policy that is assigned to an application, if there is one.
// Source: learn.microsoft.com/graph/api/appmanagementpolicy-list-appliesto, the other way round.
func (d *Directory) listPolicies(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	if !who.mayRead() || !who.has(RolePolicyReadAll) {
		return denied
	}
	if _, refused := parseQuery(r, nil); refused != nil {
		return refused
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	assigned := []any{}
	if p := app.Policy; p != (Policy{}) {
		assigned = append(assigned, map[string]any{
			"id": p.ID, "displayName": "Custom app management policy", "description": nil, "isEnabled": true,
			"restrictions": map[string]any{"passwordCredentials": p.restrictions(), keyCredentials: []any{}},
		})
	}
	d.writeEntity(w, r, "appManagementPolicies", map[string]any{"value": assigned})
	return nil
}

// restrictions are the passwordCredentialConfiguration resources.
func (p Policy) restrictions() []any {
	restrictions := []any{}
	restrict := func(kind string, lifetime any) {
		restrictions = append(restrictions, map[string]any{
			"restrictionType": kind, "state": "enabled", "maxLifetime": lifetime, "restrictForAppsCreatedAfterDateTime": "2014-10-19T10:37:00Z",
		})
	}
	if p.ForbidPasswords {
		restrict("passwordAddition", nil)
	}
	if p.MaxLifetime > 0 {
		const day = 24 * time.Hour
		days, rest := p.MaxLifetime/day, p.MaxLifetime%day
		lifetime := fmt.Sprintf("P%dD", days)
		if rest > 0 {
			lifetime = fmt.Sprintf("P%dDT%dS", days, int64(rest.Seconds()))
		}
		restrict("passwordLifetime", lifetime)
	}
	return restrictions
}
