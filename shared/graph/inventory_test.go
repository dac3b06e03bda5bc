package graph_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/graph"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest/canary"
	"rekey/shared/serviceerror"
)

// The first requests for the lists, as they are on the wire.
var firstPages = map[inventory.List]string{
	inventory.Applications: "/v1.0/applications?$select=id,appId,displayName,signInAudience,createdDateTime," +
		"passwordCredentials,keyCredentials&$expand=owners($select=id,displayName,userPrincipalName)&$top=200",
	inventory.FederatedIDs: "/v1.0/applications?$select=id,appId&$expand=federatedIdentityCredentials&$top=200",
	inventory.Principals: "/v1.0/servicePrincipals?$select=id,appId,displayName,servicePrincipalType,accountEnabled,appOwnerOrganizationId," +
		"passwordCredentials,keyCredentials&$expand=owners($select=id,displayName,userPrincipalName)&$top=200",
	inventory.Activity: "/beta/reports/appCredentialSignInActivities?$top=200",
}

// answering is a client of a Graph that always gives that answer.
func answering(t *testing.T, body string) *graph.Directory {
	return client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8")
		io.WriteString(w, body)
	}))
}

func TestInventoryWire(t *testing.T) {
	var sent []string
	d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Accept"))
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"value":[],"id":"x"}`)
	}))
	var want []string
	for _, list := range inventory.Lists {
		if _, err := d.Page(t.Context(), anyToken, list, ""); err != nil {
			t.Errorf("%s: %v", list, err)
		}
		want = append(want, "GET "+firstPages[list]+" Bearer token application/json")
	}
	if _, _, err := d.Exists(t.Context(), anyToken, anyApp.ClientID); err != nil {
		t.Error(err)
	}
	if _, err := d.LongestSecret(t.Context(), anyToken); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"applications(appId='" + anyApp.ClientID + "')?$select=id",
		"servicePrincipals(appId='" + anyApp.ClientID + "')?$select=id", "policies/defaultAppManagementPolicy"} {
		want = append(want, "GET /v1.0/"+path+" Bearer token application/json")
	}
	for i := range sent {
		sent[i] = strings.NewReplacer("%27", "'", "%28", "(", "%29", ")").Replace(sent[i])
	}
	if !slices.Equal(sent, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(sent, "\n"), strings.Join(want, "\n"))
	}
}

// inventoryCalls are the calls of the port, by name.
func inventoryCalls(d *graph.Directory, t *testing.T, token rotation.Token) map[string]func() error {
	calls := map[string]func() error{
		"exists": func() error { _, _, err := d.Exists(t.Context(), token, anyApp.ClientID); return err },
		"policy": func() error { _, err := d.LongestSecret(t.Context(), token); return err },
	}
	for _, list := range inventory.Lists {
		calls[string(list)] = func() error { _, err := d.Page(t.Context(), token, list, ""); return err }
	}
	return calls
}

func TestInventoryErrors(t *testing.T) {
	refusal := func(code string) string { return `{"error":{"code":"` + code + `","message":"` + canary.Mark + `"}}` }
	for name, tt := range map[string]struct {
		status int
		header http.Header
		body   string
		class  serviceerror.Class
		wait   time.Duration
	}{
		"throttled":            {429, http.Header{"Retry-After": {"7"}}, refusal("TooManyRequests"), serviceerror.Throttled, 7 * time.Second},
		"throttled, no time":   {429, nil, refusal("TooManyRequests"), serviceerror.Throttled, 0},
		"throttled by a proxy": {429, http.Header{"Retry-After": {"2"}}, "<html>", serviceerror.Throttled, 2 * time.Second},
		"overloaded":           {503, http.Header{"Retry-After": {"9"}}, refusal("ServiceUnavailable"), serviceerror.Throttled, 9 * time.Second},
		"no permission":        {403, nil, refusal("Authorization_RequestDenied"), serviceerror.Permission, 0},
		"no licence":           {403, nil, refusal("Authentication_RequestFromNonPremiumTenantOrB2CTenant"), serviceerror.Permission, 0},
		"token":                {401, nil, refusal("InvalidAuthenticationToken"), serviceerror.CredentialInvalid, 0},
		"malformed":            {400, nil, refusal("Request_BadRequest"), serviceerror.Invalid, 0},
		"a proxy's page":       {403, nil, "<html>" + canary.Mark, serviceerror.Transient, 0},
		"server error":         {500, nil, refusal("UnknownError"), serviceerror.Transient, 0},
		"redirect":             {302, http.Header{"Location": {"https://example.com/"}}, "", serviceerror.Transient, 0},
	} {
		sent := 0
		d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent++
			for k, v := range tt.header {
				w.Header()[k] = v
			}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
		}))
		for call, do := range inventoryCalls(d, t, anyToken) {
			sent = 0
			err := do()
			e, ok := errors.AsType[*serviceerror.Error](err)
			if !ok || e.Class != tt.class || e.Status != tt.status || e.RetryAfter != tt.wait || e.UnknownOutcome || sent != 1 {
				t.Errorf("%s, %s: %v, retry after %v, %d requests", name, call, err, e.RetryAfter, sent)
			}
			if canary.Quoted(fmt.Sprintf("%v %#v", err, err)) {
				t.Errorf("%s, %s: the error quotes the answer: %v", name, call, err)
			}
		}
	}
}

// Without what a call needs nothing is sent.
func TestInventoryNothingToAsk(t *testing.T) {
	d := client(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) }))
	for call, do := range inventoryCalls(d, t, rotation.Token{}) {
		if err := do(); serviceerror.ClassOf(err) != serviceerror.CredentialInvalid {
			t.Errorf("%s without a token: %v", call, err)
		}
	}
	if _, err := d.Page(t.Context(), anyToken, "groups", ""); serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("another list: %v", err)
	}
	for _, id := range []string{"", "x", "a')/owners", anyApp.ClientID + "x"} {
		if _, _, err := d.Exists(t.Context(), anyToken, id); serviceerror.ClassOf(err) != serviceerror.ApplicationMissing {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

// Only Graph's own 404 says that there is no such object: a row is deleted because of it.
func TestExists(t *testing.T) {
	const missing, proxy = `{"error":{"code":"Request_ResourceNotFound","message":"m"}}`, "<html>not found</html>"
	for name, tt := range map[string]struct {
		app, principal   string // "": it is there
		isApp, isService bool
		class            serviceerror.Class // "": no error
	}{
		"both":                {"", "", true, true, ""},
		"a registration only": {"", missing, true, false, ""},
		"a principal only":    {missing, "", false, true, ""},
		"neither":             {missing, missing, false, false, ""},
		"a proxy, first":      {proxy, missing, false, false, serviceerror.Transient},
		"a proxy, then":       {missing, proxy, false, false, serviceerror.Transient},
	} {
		d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := tt.app
			if strings.HasPrefix(r.URL.Path, "/v1.0/servicePrincipals") {
				body = tt.principal
			}
			w.Header().Set("Content-Type", "application/json")
			if body == "" {
				io.WriteString(w, `{"id":"x"}`)
				return
			}
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, body)
		}))
		registration, principal, err := d.Exists(t.Context(), anyToken, strings.ToUpper(anyApp.ClientID))
		if registration != tt.isApp || principal != tt.isService || (err != nil) != (tt.class != "") ||
			err != nil && serviceerror.ClassOf(err) != tt.class {
			t.Errorf("%s: registration %t, principal %t, %v", name, registration, principal, err)
		}
	}
	for _, body := range []string{"{}", `{"id":null}`, "", "<html>"} {
		if _, _, err := answering(t, body).Exists(t.Context(), anyToken, anyApp.ClientID); err == nil ||
			serviceerror.ClassOf(err) != serviceerror.Transient {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// The default policy holds for applications that are made now, if it is on.
func TestLongestSecret(t *testing.T) {
	const days = 90 * 24 * time.Hour
	lifetime := func(more string) string {
		return `{"restrictionType":"passwordLifetime","maxLifetime":"P90D"` + more + `}`
	}
	after := func(year string) string {
		return `,"restrictForAppsCreatedAfterDateTime":"` + year + `-01-01T00:00:00Z"`
	}
	policy := func(enabled, of, restrictions string) string {
		return `{"isEnabled":` + enabled + `,"` + of + `":{"passwordCredentials":[` + restrictions + `]}}`
	}
	const ofApps = "applicationRestrictions"
	for name, tt := range map[string]struct {
		body string
		want time.Duration
	}{
		"90 days":          {policy("true", ofApps, lifetime("")), days},
		"of younger ones":  {policy("true", ofApps, lifetime(after("2020"))), days},
		"some day":         {policy("true", ofApps, lifetime(after("9020"))), 0},
		"off":              {policy("false", ofApps, lifetime("")), 0},
		"restriction off":  {policy("true", ofApps, lifetime(`,"state":"disabled"`)), 0},
		"of others":        {policy("true", "servicePrincipalRestrictions", lifetime("")), 0},
		"null":             {`{"isEnabled":true,"applicationRestrictions":null}`, 0},
		"null restriction": {policy("true", ofApps, "null,"+lifetime("")), days},
	} {
		if got, err := answering(t, tt.body).LongestSecret(t.Context(), anyToken); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	_, err := answering(t, "<html>").LongestSecret(t.Context(), anyToken)
	if err == nil || serviceerror.ClassOf(err) != serviceerror.Transient {
		t.Errorf("HTML: %v", err)
	}
}
