package directory

import (
	"net/http"
	"net/url"
	"strings"
)

// askAdministrator answers a browser that an application has sent to get consent for
// a whole tenant.
// Source: learn.microsoft.com/entra/identity-platform/v2-admin-consent.
func (d *Directory) askAdministrator(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, refused := d.readAddress(r, adminConsentParameters)
	if refused == nil {
		refused = q.readAdminScope()
	}
	if refused != nil {
		d.writeErrorPage(w, refused)
		return
	}
	d.writeAdminConsent(w, r, q)
}

// decideForTenant carries out what an administrator chose. The application is told
// admin_consent=True whatever that was: only the absence of an error is success.
func (d *Directory) decideForTenant(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, choice, refused := d.readDecision(w, r, adminConsentParameters)
	if refused == nil {
		refused = q.readAdminScope()
	}
	if refused == nil && choice.approved {
		refused = choice.user.signIn()
	}
	if refused != nil {
		d.writeErrorPage(w, refused)
		return
	}
	answer := url.Values{"admin_consent": {"True"}}
	refusal := func(code int) url.Values {
		for name, values := range d.refusal(refuse(code), "") {
			answer[name] = values
		}
		return answer
	}
	if !choice.approved {
		d.redirect(w, q, refusal(65004))
		return
	}
	if !choice.user.administrator() {
		d.writeNeedApproval(w, q, refusal(90094))
		return
	}
	d.consent(consentKey{q.app.clientID, choice.user.TenantID, ""}, q.scopes.permissions)
	answer.Set("tenant", choice.user.TenantID)
	answer.Set("scope", fullNames(q.scopes.permissions))
	d.redirect(w, q, answer)
}

// readAdminScope finds what to consent to. The tenant may not be "common".
func (q *request) readAdminScope() (refused *entraError) {
	if strings.EqualFold(q.tenant, "common") {
		return refuse(90002, q.tenant)
	}
	if q.values.Get("scope") == "" {
		return refuse(900144, "scope")
	}
	q.scopes, refused = q.app.parseScope(q.values.Get("scope"))
	return refused
}

// fullNames are permissions with the address of Graph.
func fullNames(permissions []string) string {
	var list []string
	for _, p := range permissions {
		list = append(list, ResourceGraph+"/"+p)
	}
	return strings.Join(list, " ")
}
