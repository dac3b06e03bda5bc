package functions_test

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"rekey/functions"
	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/host"
)

// principal is App Service's header about an application of a tenant with these roles.
func principal(tenant string, roles ...string) string {
	type claim struct {
		Type  string `json:"typ"`
		Value string `json:"val"`
	}
	claims := []claim{
		{"http://schemas.microsoft.com/identity/claims/tenantid", tenant},
		{"http://schemas.microsoft.com/identity/claims/objectidentifier", callerObject},
		{"appid", callerApp},
	}
	for _, role := range roles {
		claims = append(claims, claim{"roles", role})
	}
	data, err := json.Marshal(object{"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"})
	if err != nil {
		panic(err) // strings always encode
	}
	return base64.StdEncoding.EncodeToString(data)
}

// forged is all that App Service would say of an administrator of the tenant.
func forged(tenant string) http.Header {
	return http.Header{
		"X-Ms-Client-Principal":           {principal(tenant, entraRoles[auth.Admin])},
		"X-Ms-Client-Principal-Id":        {callerObject},
		"X-Ms-Client-Principal-Name":      {"admin"},
		"X-Ms-Client-Principal-Idp":       {"aad"},
		"X-Ms-Token-Aad-Access-Token":     {"eyJhbGciOiJub25lIn0.e30."},
		"X-Zumo-Auth":                     {"eyJhbGciOiJub25lIn0.e30."},
		"X-Functions-Key":                 {"master"},
		"X-Azure-Functions-Invocationid":  {unknownID},
		"X-Ms-Invocation-Id":              {unknownID},
		"X-Azure-Functions-Hostversion":   {"4.0"},
		"X-Arr-Authorization":             {"Bearer x"},
		"X-Original-Authorization":        {"Bearer x"},
		"X-Forwarded-User":                {"admin"},
		"X-Amzn-Oidc-Identity":            {"admin"},
		"X-Client-Certificate":            {"admin"},
		"X-Forwarded-Client-Cert":         {"admin"},
		"X-Goog-Authenticated-User-Email": {"admin"},
	}
}

// App Service's word counts where its authentication is on and the tenant is named, and
// nowhere else: with any other value, without a tenant, and on Lambda any client can send it.
func TestAppServiceOnlyWhereItIsOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  settings
		want int
	}{
		"on":                {settings{"WEBSITE_AUTH_ENABLED": "True"}, http.StatusOK},
		"on, in lower case": {settings{"WEBSITE_AUTH_ENABLED": "true"}, http.StatusOK},
		"off":               {settings{"WEBSITE_AUTH_ENABLED": "False"}, http.StatusUnauthorized},
		"not set":           {nil, http.StatusUnauthorized},
		"neither":           {settings{"WEBSITE_AUTH_ENABLED": "1"}, http.StatusUnauthorized},
		"on, without tenant": {settings{"WEBSITE_AUTH_ENABLED": "True", "REKEY_AUTH_TENANT_ID": "", "REKEY_AUTH_AUDIENCE": ""},
			http.StatusUnauthorized},
		"on, as if on Lambda": {settings{"WEBSITE_AUTH_ENABLED": "True", "AWS_LAMBDA_FUNCTION_NAME": "rekey"}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCallersWorld(t, c.set, nil)
			if got := w.saying(forged(w.stack.TenantID), http.MethodGet, secrets); got.status != c.want {
				t.Errorf("status %d, want %d: %s", got.status, c.want, got.body)
			}
			if l := lastLine(t, w.watch); c.want == http.StatusOK && (l.Caller != "app:"+callerApp || l.Kind != auth.KindAppService) ||
				c.want != http.StatusOK && l.Caller != "" {
				t.Errorf("the log says %+v", l)
			}
		})
	}
}

// saying sends a request with these headers and no API key.
func (w *world) saying(header http.Header, method, path string) reply {
	w.Helper()
	r := w.request(0, method, path, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	return w.send(r)
}

// Where App Service's word counts, it counts for what it says of this tenant, and a page
// of another site can't make a browser use it.
func TestAppServiceSaysWho(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, settings{"WEBSITE_AUTH_ENABLED": "True"}, nil)
	here := w.stack.TenantID
	before := w.truth()
	for name, c := range map[string]struct {
		header http.Header
		method string
		want   int
	}{
		"reads": {http.Header{"X-Ms-Client-Principal": {principal(here, entraRoles[auth.Read])}}, http.MethodGet,
			http.StatusOK},
		"may not write": {http.Header{"X-Ms-Client-Principal": {principal(here, entraRoles[auth.Read])}}, http.MethodPost,
			http.StatusForbidden},
		"no role":        {http.Header{"X-Ms-Client-Principal": {principal(here)}}, http.MethodGet, http.StatusForbidden},
		"another tenant": {forged(w.stack.Directory.AddTenant()), http.MethodGet, http.StatusUnauthorized},
		"name and id alone": {http.Header{"X-Ms-Client-Principal-Name": {"admin"}, "X-Ms-Client-Principal-Id": {callerObject}},
			http.MethodGet, http.StatusUnauthorized},
		"twice": {http.Header{"X-Ms-Client-Principal": {principal(here, entraRoles[auth.Admin]), principal(here)}},
			http.MethodGet, http.StatusUnauthorized},
		"beside a key that isn't": {http.Header{"X-Ms-Client-Principal": {principal(here, entraRoles[auth.Admin])},
			"Authorization": {"Bearer rk_x"}}, http.MethodGet, http.StatusUnauthorized},
		"from another site's page": {http.Header{"X-Ms-Client-Principal": {principal(here, entraRoles[auth.Admin])},
			"Sec-Fetch-Site": {"cross-site"}}, http.MethodPost, http.StatusUnauthorized},
		"no base64": {http.Header{"X-Ms-Client-Principal": {"hunter2!"}}, http.MethodGet, http.StatusUnauthorized},
	} {
		if got := w.saying(c.header, c.method, secrets); got.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.want, got.body)
		}
	}
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("changed: %q", list)
	}
}

// Nothing in front of Lambda takes the header out of what a client sends, so it never
// arrives, even if the operator has copied App Service's variable there.
func TestForgedHeadersOnLambda(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, settings{"WEBSITE_AUTH_ENABLED": "True"}, nil)
	handle := host.LambdaHandler(functions.HTTP(w.app, nil), nil, slog.New(slog.DiscardHandler))
	headers := map[string]string{}
	for name, values := range forged(w.stack.TenantID) {
		headers[strings.ToLower(name)] = values[0]
	}
	for key, want := range map[string]int{"": http.StatusUnauthorized, w.keys[auth.Read].Reveal(): http.StatusOK} {
		if key != "" {
			headers["authorization"] = "Bearer " + key
		}
		event, err := json.Marshal(object{
			"version": "2.0", "rawPath": connections.Base + secrets, "headers": headers,
			"requestContext": object{"http": object{"method": http.MethodGet, "sourceIp": "192.0.2.1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		result, err := handle(t.Context(), event)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(result)
		if err != nil {
			t.Fatal(err)
		}
		w.watch.Saw("answer to an event", string(data))
		var got struct{ StatusCode int }
		if err := json.Unmarshal(data, &got); err != nil || got.StatusCode != want {
			t.Errorf("status %d, want %d: %s", got.StatusCode, want, data)
		}
		delete(headers, "authorization")
	}
}
