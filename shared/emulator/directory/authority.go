package directory

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxBody bounds what is read of a request's body.
const maxBody = 64 << 10

// Authority serves Entra's discovery document and token endpoint (the client
// credentials grant) under /{tenant}. It has to be reached by https, and issues its
// addresses under the host that the request names, because MSAL requires the
// issuer's host to be the authority's.
func (d *Directory) Authority() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		d.serve(OpDiscovery, w, r, d.discover, d.failEntra)
	})
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		d.serve(OpToken, w, r, d.token, d.failEntra)
	})
	return mux
}

func (d *Directory) knowsTenant(tenant string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tenants[strings.ToLower(tenant)]
}

func (d *Directory) discover(w http.ResponseWriter, r *http.Request) {
	tenant := r.PathValue("tenant")
	if !d.knowsTenant(tenant) {
		e := refuse(90002, tenant)
		e.name = "invalid_tenant" // the token endpoint says invalid_request
		d.writeEntraError(w, e)
		return
	}
	base := "https://" + r.Host + "/" + tenant
	writeJSON(w, http.StatusOK, map[string]any{
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"issuer":                                base + "/v2.0",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"pairwise"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"tenant_region_scope":                   nil,
	})
}

func (d *Directory) token(w http.ResponseWriter, r *http.Request) {
	form, refused := readForm(w, r)
	var answer map[string]any
	if refused == nil {
		answer, refused = d.clientCredentials(r, form)
	}
	if refused != nil {
		d.writeEntraError(w, refused)
		return
	}
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, http.StatusOK, answer)
}

// readForm reads the parameters of the body; those of the address do not count.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *entraError) {
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
	for _, name := range []string{"grant_type", "client_id"} {
		if r.PostForm.Get(name) == "" {
			return nil, refuse(900144, name)
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
	if !d.tenants[strings.ToLower(tenant)] {
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
	token, _ := d.issue(app, audience, kind)
	seconds := int(d.config.tokenLifetime().Seconds())
	return map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
	}, nil
}

// authenticate checks the client's credential and returns what the claim appidacr
// calls its kind: "1" for a client secret, "2" for an assertion.
func (d *Directory) authenticate(r *http.Request, app *application, form url.Values) (string, *entraError) {
	if form.Get("client_assertion") != "" {
		return "2", d.checkClientAssertion(r, app, form)
	}
	if form.Get("client_secret") == "" {
		return "", refuse(7000218)
	}
	v := d.viewFor(r)
	for _, p := range slices.Concat(app.passwords, app.principalPasswords) {
		if !v.shows(p) || p.value != form.Get("client_secret") {
			continue
		}
		if !p.expiresAt.After(v.at) {
			return "", refuse(7000222, app.clientID)
		}
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

// entraError is a refusal of the token endpoint. All of its codes and texts are
// seen in the wild or documented at
// learn.microsoft.com/entra/identity-platform/reference-error-codes.
type entraError struct {
	code   int // AADSTS number
	status int
	name   string // OAuth error
	text   string
}

var entraErrors = map[int]entraError{
	7000215: {status: 401, name: "invalid_client", text: "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'."},
	7000222: {status: 401, name: "invalid_client", text: "The provided client secret keys for app '%s' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."},
	7000218: {status: 401, name: "invalid_client", text: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
	700016:  {status: 400, name: "unauthorized_client", text: "Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."},
	90002:   {status: 400, name: "invalid_request", text: "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."},
	700027:  {status: 401, name: "invalid_client", text: "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - %s, Thumbprint of key used by client: '%s', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%s'.]"},
	50012:   {status: 401, name: "invalid_client", text: "Authentication failed. [Reason - %s]"},
	70021:   {status: 400, name: "invalid_request", text: "No matching federated identity record found for presented assertion. Assertion Issuer: '%s'. Assertion Subject: '%s'. Assertion Audience: '%s'. https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation"},
	50013:   {status: 401, name: "invalid_client", text: "Assertion failed signature validation. [Reason - %s]"},
	700024:  {status: 401, name: "invalid_client", text: "Client assertion is not within its valid time range."},
	70011:   {status: 400, name: "invalid_scope", text: "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope %s is not valid."},
	70003:   {status: 400, name: "unsupported_grant_type", text: "The app requested an unsupported grant type '%s'."},
	900144:  {status: 400, name: "invalid_request", text: "The request body must contain the following parameter: '%s'."},
	9000411: {status: 400, name: "invalid_request", text: "The request is not properly formatted. The parameter '%s' is duplicated."},
	90055:   {status: 429, name: "temporarily_unavailable", text: "There are too many incoming requests. This exception is thrown for blocked tenants."},
	90033:   {status: 503, name: "temporarily_unavailable", text: "A transient error has occurred. Please try again."},
}

// refuse makes the error with that AADSTS number, which is in the table.
func refuse(code int, args ...any) *entraError {
	e := entraErrors[code]
	e.code = code
	e.text = fmt.Sprintf(e.text, args...)
	return &e
}

// failEntra writes an error that the hook asked for.
func (d *Directory) failEntra(w http.ResponseWriter, status int, code, message string) {
	e := entraError{code: 90033, status: status, name: "server_error", text: message}
	if status == http.StatusTooManyRequests {
		e.code, e.name = 90055, "temporarily_unavailable"
	}
	if n := 0; code != "" {
		if _, err := fmt.Sscanf(strings.TrimPrefix(code, "AADSTS"), "%d", &n); err == nil {
			e.code, e.name = n, "invalid_client"
			if known, ok := entraErrors[n]; ok {
				e.name = known.name
			}
		} else {
			e.name = code
		}
	}
	d.writeEntraError(w, &e)
}

func (d *Directory) writeEntraError(w http.ResponseWriter, e *entraError) {
	trace, correlation := newGUID(), newGUID()
	at := d.config.now().Format("2006-01-02 15:04:05Z")
	w.Header().Set("x-ms-request-id", trace)
	w.Header().Set("Cache-Control", "no-store, no-cache")
	writeJSON(w, e.status, map[string]any{
		"error": e.name,
		"error_description": fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
			e.code, e.text, trace, correlation, at),
		"error_codes": []int{e.code}, "timestamp": at, "trace_id": trace, "correlation_id": correlation,
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", e.code),
	})
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
