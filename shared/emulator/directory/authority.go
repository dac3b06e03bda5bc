package directory

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxBody bounds what is read of a request's body.
const maxBody = 64 << 10

// Authority serves Entra's discovery document, keys, token endpoint and the pages
// for people under /{tenant}. It has to be reached by https, and issues its
// addresses under the host that the request names, because MSAL requires the
// issuer's host to be the authority's.
func (d *Directory) Authority() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern, op string, next http.HandlerFunc, fail func(http.ResponseWriter, int, string, string)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { d.serve(op, w, r, next, fail) })
	}
	handle("GET /{tenant}/v2.0/.well-known/openid-configuration", OpDiscovery, d.discover, d.failEntra)
	handle("GET /{tenant}/discovery/v2.0/keys", OpKeys, d.publish, d.failEntra)
	handle("GET /{tenant}/oauth2/v2.0/authorize", OpAuthorize, d.authorize, d.failPage)
	handle("POST /{tenant}/oauth2/v2.0/authorize", OpDecide, d.decide, d.failPage)
	handle("GET /{tenant}/v2.0/adminconsent", OpAdminConsent, d.askAdministrator, d.failPage)
	handle("POST /{tenant}/v2.0/adminconsent", OpDecideAdmin, d.decideForTenant, d.failPage)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		d.serve(tokenOperation(w, r), w, r, d.token, d.failEntra)
	})
	return mux
}

// tokenOperation tells the grants apart for the hook, before the call is carried out.
// What is no form counts as the client credentials grant.
func tokenOperation(w http.ResponseWriter, r *http.Request) string {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), broken{err}))
	form, _ := url.ParseQuery(string(data))
	switch form.Get("grant_type") {
	case "authorization_code":
		return OpRedeem
	case "refresh_token":
		return OpRefresh
	}
	return OpToken
}

// broken ends a body as it ended when it was read the first time.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	return 0, io.EOF
}

func (d *Directory) knowsTenant(tenant string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tenants[strings.ToLower(tenant)] != nil
}

func (d *Directory) discover(w http.ResponseWriter, r *http.Request) {
	tenant := r.PathValue("tenant")
	if !anyTenant(tenant) && !d.knowsTenant(tenant) {
		d.writeEntraError(w, unknownAtDiscovery(tenant))
		return
	}
	base := "https://" + r.Host + "/" + tenant
	writeJSON(w, http.StatusOK, map[string]any{
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"jwks_uri":                              base + "/discovery/v2.0/keys",
		"issuer":                                issuerAt(r, tenant),
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_modes_supported":              []string{"query"},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"pairwise"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"tenant_region_scope":                   nil,
	})
}

func unknownAtDiscovery(tenant string) *entraError {
	e := refuse(90002, tenant)
	e.name = "invalid_tenant" // the token endpoint says invalid_request
	return e
}

func (d *Directory) token(w http.ResponseWriter, r *http.Request) {
	form, refused := readForm(w, r)
	var answer map[string]any
	if refused == nil {
		switch form.Get("grant_type") {
		case "authorization_code":
			answer, refused = d.redeem(r, form)
		case "refresh_token":
			answer, refused = d.refresh(r, form)
		default:
			answer, refused = d.clientCredentials(r, form)
		}
	}
	if refused != nil {
		d.writeEntraError(w, refused)
		return
	}
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, http.StatusOK, answer)
}

// readForm reads the parameters of a request for a token.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *entraError) {
	form, refused := readBody(w, r)
	if refused != nil {
		return nil, refused
	}
	for _, name := range []string{"grant_type", "client_id"} {
		if form.Get(name) == "" {
			return nil, refuse(900144, name)
		}
	}
	return form, nil
}

// readBody reads the parameters of the body; those of the address do not count.
func readBody(w http.ResponseWriter, r *http.Request) (url.Values, *entraError) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, refuse(900144, "grant_type") // nothing was found in the body
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return nil, refuse(900144, "grant_type")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, refuse(9000411, name)
		}
	}
	return r.PostForm, nil
}

// clientCredentials carries out the grant, in the order in which Entra finds
// things wrong: the grant, the tenant, the application, the scope, the credential.
func (d *Directory) clientCredentials(r *http.Request, form url.Values) (map[string]any, *entraError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if grant := form.Get("grant_type"); grant != "client_credentials" {
		return nil, refuse(70003, grant)
	}
	tenant := r.PathValue("tenant")
	if d.tenants[strings.ToLower(tenant)] == nil {
		return nil, refuse(90002, tenant)
	}
	app := d.byClientID(form.Get("client_id"))
	if app == nil || app.tenantID != strings.ToLower(tenant) {
		return nil, refuse(700016, form.Get("client_id"), tenant)
	}
	audience, refused := app.audience(form.Get("scope"))
	if refused != nil {
		return nil, refused
	}
	kind, refused := d.authenticate(r, app, form)
	if refused != nil {
		return nil, refused
	}
	token := d.issue(app, audience, kind)
	seconds := int(d.config.tokenLifetime().Seconds())
	return map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
	}, nil
}

// authenticate checks the client's credential and returns what the claim appidacr
// calls its kind: "1" for a client secret, "2" for an assertion.
func (d *Directory) authenticate(r *http.Request, app *application, form url.Values) (string, *entraError) {
	if app.principal == nil {
		return "", refuse(7000229, app.clientID, app.tenantID)
	}
	if app.principal.Disabled {
		return "", refuse(7000112, app.clientID, app.DisplayName)
	}
	if form.Get("client_assertion") != "" {
		return "2", d.checkClientAssertion(r, app, form)
	}
	if form.Get("client_secret") == "" {
		return "", refuse(7000218)
	}
	v := d.viewFor(r)
	for _, p := range slices.Concat(app.passwords, app.principalPasswords()) {
		if !v.shows(p) || p.value != form.Get("client_secret") {
			continue
		}
		if p.expired(v.at) {
			return "", refuse(7000222, app.clientID)
		}
		p.usedAt = v.at
		return "1", nil
	}
	return "", refuse(7000215, app.clientID)
}

// audience finds the one resource that scope names. MSAL always adds the OpenID
// scopes, which mean nothing here.
func (a *application) audience(scope string) (string, *entraError) {
	var found []string
	for _, s := range strings.Fields(scope) {
		switch s {
		case "openid", "profile", "offline_access", "email":
			continue
		}
		resource, isDefault := strings.CutSuffix(s, "/.default")
		if !isDefault || resource != ResourceGraph && !slices.Contains(a.Resources, resource) {
			return "", refuse(70011, s)
		}
		found = append(found, resource)
	}
	if len(found) != 1 {
		return "", refuse(70011, scope)
	}
	return found[0], nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of strings, numbers and times always encode
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	w.Write(data)
}
