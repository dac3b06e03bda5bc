package directory

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// request is what a client sends a person to Entra with: to sign in, or to consent
// for a whole tenant.
type request struct {
	tenant   string // of the address: an id, "organizations" or "common"
	app      *application
	values   url.Values // as they came, known ones only
	redirect *url.URL
	scopes   scopes
}

// The parameters of the two endpoints. What is not here is refused: the emulator
// can't tell what it would mean.
// Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.
var (
	authorizeParameters = []string{"client_id", "response_type", "redirect_uri", "response_mode", "scope", "state", "nonce",
		"code_challenge", "code_challenge_method", "prompt", "login_hint", "domain_hint", "client_info"}
	adminConsentParameters = []string{"client_id", "redirect_uri", "scope", "state"}
	// decisionFields are what the page adds.
	decisionFields = []string{"user", "decision", "organization"}
)

// authorize answers a browser that an application has sent to sign in.
func (d *Directory) authorize(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, refused := d.readAddress(r, authorizeParameters)
	if refused != nil {
		d.writeErrorPage(w, refused)
		return
	}
	if refused := q.check(); refused != nil {
		d.redirect(w, q, d.refusal(refused, ""))
		return
	}
	d.writeSignIn(w, r, q)
}

// decide carries out what a person chose on the sign-in page.
func (d *Directory) decide(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, choice, refused := d.readDecision(w, r, authorizeParameters)
	if refused == nil && choice.approved {
		refused = choice.user.signIn()
	}
	if refused != nil {
		d.writeErrorPage(w, refused)
		return
	}
	if refused := q.check(); refused != nil {
		d.redirect(w, q, d.refusal(refused, ""))
		return
	}
	if !choice.approved {
		d.redirect(w, q, d.refusal(refuse(65004), "cancel"))
		return
	}
	missing := d.missing(q.app, choice.user, q.scopes)
	if q.values.Get("prompt") == "consent" {
		missing = q.scopes.permissions
	}
	if !choice.user.administrator() && (choice.organization || restricted(missing)) {
		d.writeNeedApproval(w, q, d.refusal(refuse(90094), ""))
		return
	}
	key := consentKey{q.app.clientID, choice.user.TenantID, choice.user.objectID}
	if choice.organization {
		key.user, missing = "", q.scopes.permissions
	}
	d.consent(key, missing)
	d.redirect(w, q, url.Values{"code": {d.newCode(q, choice.user)}, "session_state": {newGUID()}})
}

// signIn refuses who may not.
func (u *user) signIn() *entraError {
	if u.Disabled {
		return refuse(50057)
	}
	return nil
}

// readAddress is readRequest with the parameters of the address.
func (d *Directory) readAddress(r *http.Request, known []string) (*request, *entraError) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(90023, "?")
	}
	return d.readRequest(r, values, known)
}

// readRequest checks what must be right before anything may be sent to the redirect
// URI: its errors are shown to the person instead. The caller holds d.mu.
func (d *Directory) readRequest(r *http.Request, values url.Values, known []string) (*request, *entraError) {
	q := &request{tenant: r.PathValue("tenant"), values: values}
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, refuse(90023, name)
		}
		if len(all) > 1 {
			return nil, refuse(9000411, name)
		}
	}
	if !anyTenant(q.tenant) && d.tenants[strings.ToLower(q.tenant)] == nil {
		return nil, refuse(90002, q.tenant)
	}
	if values.Get("client_id") == "" {
		return nil, refuse(900144, "client_id")
	}
	if q.app = d.byClientID(values.Get("client_id")); q.app == nil {
		return nil, refuse(700016, values.Get("client_id"), q.tenant)
	}
	if refused := q.app.reachable(q.tenant); refused != nil {
		return nil, refused
	}
	address := values.Get("redirect_uri")
	if address == "" {
		return nil, refuse(900971)
	}
	if !slices.Contains(q.app.RedirectURIs, address) {
		return nil, refuse(50011, address, q.app.clientID)
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, refuse(50011, address, q.app.clientID)
	}
	q.redirect = parsed
	return q, nil
}

// reachable reports whether people may use the application through the tenant of an
// address.
func (a *application) reachable(tenant string) *entraError {
	switch {
	case a.multiTenant() || a.tenantID == strings.ToLower(tenant):
		return nil
	case anyTenant(tenant):
		return refuse(50194, a.clientID, a.DisplayName)
	}
	return refuse(700016, a.clientID, tenant)
}

// multiTenant applications are open to the users of every tenant.
func (a *application) multiTenant() bool {
	return a.SignInAudience == "AzureADMultipleOrgs" || a.SignInAudience == "AzureADandPersonalMicrosoftAccount"
}

// challenge is an S256 code challenge: a SHA-256 in base64url (RFC 7636, 4.2).
var challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// check finds what is wrong with a request for a code. The application is told. The
// caller holds d.mu.
func (q *request) check() (refused *entraError) {
	v := q.values
	for _, name := range []string{"response_type", "scope"} {
		if v.Get(name) == "" {
			return refuse(900144, name)
		}
	}
	if v.Get("response_type") != "code" {
		return refuse(70005, v.Get("response_type"))
	}
	if mode := v.Get("response_mode"); mode != "" && mode != "query" {
		return refuse(70007, mode)
	}
	if q.scopes, refused = q.app.parseScope(v.Get("scope")); refused != nil {
		return refused
	}
	switch v.Get("prompt") {
	case "", "login", "consent", "select_account":
	case "none":
		return refuse(50058) // no person is ever signed in already
	default:
		return refuse(90023, "prompt")
	}
	if v.Has("code_challenge") || v.Has("code_challenge_method") {
		if v.Get("code_challenge_method") != "S256" {
			return refuse(50149)
		}
		if !challenge.MatchString(v.Get("code_challenge")) {
			return refuse(501491)
		}
	}
	return nil
}

// choice is what the form of a page adds to the request that it carries.
type choice struct {
	user         *user // nil if the person declined without choosing
	approved     bool
	organization bool // consent for everybody in the tenant
}

// readDecision reads a form that a page sent. The caller holds d.mu.
func (d *Directory) readDecision(w http.ResponseWriter, r *http.Request, known []string) (*request, choice, *entraError) {
	var c choice
	form, refused := readBody(w, r)
	if refused != nil {
		return nil, c, refused
	}
	carried := url.Values{}
	for name, values := range form {
		if !slices.Contains(decisionFields, name) {
			carried[name] = values
		}
	}
	q, refused := d.readRequest(r, carried, known)
	if refused != nil {
		return nil, c, refused
	}
	if organization := form.Get("organization"); organization != "" && organization != "true" {
		return nil, c, refuse(90023, "organization")
	}
	c.organization = form.Get("organization") == "true"
	switch form.Get("decision") {
	case "approve":
		c.approved = true
	case "decline":
		return q, c, nil
	default:
		return nil, c, refuse(90023, "decision")
	}
	c.user = d.users[form.Get("user")]
	if c.user == nil || !anyTenant(q.tenant) && c.user.TenantID != strings.ToLower(q.tenant) {
		return nil, c, refuse(50034, form.Get("user"), q.tenant)
	}
	return q, c, nil
}

// redirect sends the browser back to the application with the answer, and with the
// state that it came with.
func (d *Directory) redirect(w http.ResponseWriter, q *request, answer url.Values) {
	w.Header().Set("Location", q.back(answer))
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(http.StatusFound)
}

// back is the redirect URI with an answer.
func (q *request) back(answer url.Values) string {
	to := *q.redirect
	query := to.Query()
	for name, values := range answer {
		query[name] = values
	}
	if q.values.Has("state") {
		query.Set("state", q.values.Get("state"))
	}
	to.RawQuery = query.Encode()
	return to.String()
}

// refusal is an error as it goes into a redirect URI.
func (d *Directory) refusal(e *entraError, subcode string) url.Values {
	answer := url.Values{"error": {e.name}, "error_description": {e.describe(d.config.now(), newGUID(), newGUID())}, "error_uri": {e.uri()}}
	if subcode != "" {
		answer.Set("error_subcode", subcode)
	}
	return answer
}
