package graph_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/graph"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// A token and an application for handlers that look at neither.
var (
	anyToken = rotation.Token{Value: secret.New("token")}
	anyApp   = rotation.Application{
		TenantID: "00000000-0000-4000-8000-000000000001",
		ClientID: "00000000-0000-4000-8000-000000000002",
		ObjectID: "00000000-0000-4000-8000-000000000003",
	}
)

const anyKey = "00000000-0000-4000-8000-000000000004"

// TestErrors goes through what Graph is known to answer. Where the cases come from:
// the documentation of its errors, and the reports named beside them.
func TestErrors(t *testing.T) {
	concurrent := "Error due to concurrent requests being made to the tenant. Please wait briefly and retry."
	wait := http.Header{"Retry-After": {"7"}}
	for name, c := range map[string]struct {
		effect  fault.Effect
		class   serviceerror.Class
		unknown bool // of a write
	}{
		"permission":  {fault.Effect{Status: 403, Code: "Authorization_RequestDenied"}, serviceerror.Permission, false},
		"token":       {fault.Effect{Status: 401, Code: "InvalidAuthenticationToken"}, serviceerror.CredentialInvalid, false},
		"application": {fault.Effect{Status: 404, Code: "Request_ResourceNotFound"}, serviceerror.ApplicationMissing, false},
		"malformed":   {fault.Effect{Status: 400, Code: "Request_BadRequest"}, serviceerror.Invalid, false},
		// microsoft-graph-docs#21469
		"full": {fault.Effect{Status: 403, Code: "Directory_ResourceSizeExceeded"}, serviceerror.Full, false},
		// azure-cli#12946
		"two at most": {fault.Effect{Status: 400, Code: "TooManyAppPasswords"}, serviceerror.Full, false},
		"lifetime": {fault.Effect{Status: 400, Code: "CredentialInvalidLifetimeAsPerAppPolicy"},
			serviceerror.PolicyLifetime, false},
		"forbidden": {fault.Effect{Status: 400, Code: "CredentialTypeNotAllowedAsPerAppPolicy"},
			serviceerror.PolicyForbidden, false},
		"concurrency": {fault.Effect{Status: 409, Code: "Directory_ConcurrencyViolation", Text: concurrent},
			serviceerror.Concurrency, false},
		"concurrency by message": {fault.Effect{Status: 409, Code: "Request_Conflict", Text: concurrent}, serviceerror.Concurrency, false},
		"concurrency as 400":     {fault.Effect{Status: 400, Code: "Request_BadRequest", Text: concurrent}, serviceerror.Concurrency, false},
		"concurrency as 503":     {fault.Effect{Status: 503, Code: "ServiceUnavailable", Text: concurrent}, serviceerror.Transient, true},
		"another conflict":       {fault.Effect{Status: 409, Code: "Request_MultipleObjectsWithSameKeyValue"}, serviceerror.Invalid, false},
		"no such key": {
			fault.Effect{Status: 400, Code: "Request_BadRequest", Text: "No password credential found with keyId " + anyKey},
			serviceerror.CredentialMissing, false,
		},
		"that message in a 5xx": {
			fault.Effect{Status: 500, Code: "Request_BadRequest", Text: "No password credential found with keyId " + anyKey},
			serviceerror.Transient, true,
		},
		"throttled":                 {fault.Effect{Status: 429, Code: "TooManyRequests", Header: wait}, serviceerror.Throttled, false},
		"overloaded, says how long": {fault.Effect{Status: 503, Code: "ServiceUnavailable", Header: wait}, serviceerror.Throttled, true},
		"gateway timeout":           {fault.Effect{Status: 504}, serviceerror.Transient, true},
		"server error":              {fault.Effect{Status: 500}, serviceerror.Transient, true},
		"no answer":                 {fault.Effect{}, serviceerror.Transient, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, directory.Config{})
			token, app := w.token(t), w.target()
			w.misbehave(func(string, *http.Request) *fault.Effect { return &c.effect })

			_, err := w.graph.Application(t.Context(), token, app)
			check(t, "reading", err, c.effect, c.class, false)
			_, err = w.graph.AddPassword(t.Context(), token, app, "marker", w.now().Add(time.Hour))
			check(t, "adding", err, c.effect, c.class, c.unknown)
			err = w.graph.RemovePassword(t.Context(), token, app, w.app.KeyID)
			check(t, "removing", err, c.effect, c.class, c.unknown)
			// Reads are not counted: net/http repeats a GET whose connection was reset.
			for _, op := range []string{directory.OpAddPassword, directory.OpRemovePassword} {
				if n := w.Calls(op); n != 1 {
					t.Errorf("%s was sent %d times, want once", op, n)
				}
			}
		})
	}
}

func check(t *testing.T, doing string, err error, effect fault.Effect, class serviceerror.Class, unknown bool) {
	t.Helper()
	e, ok := errors.AsType[*serviceerror.Error](err)
	if !ok {
		t.Fatalf("%s: got %v, want a *serviceerror.Error", doing, err)
	}
	if e.Class != class || e.UnknownOutcome != unknown || e.Status != effect.Status {
		t.Errorf("%s: got %v, want class %s and status %d, outcome unknown: %v", doing, e, class, effect.Status, unknown)
	}
	if effect.Status != 0 && e.RequestID == "" {
		t.Errorf("%s: no request id", doing)
	}
	if effect.Code != "" && e.Code != effect.Code {
		t.Errorf("%s: code %q, want %q", doing, e.Code, effect.Code)
	}
	if effect.Header != nil && e.RetryAfter != 7*time.Second {
		t.Errorf("%s: retry after %v, want 7s", doing, e.RetryAfter)
	}
}

// TestPolicyIsNamed: the operator has to find the policy that refused.
func TestPolicyIsNamed(t *testing.T) {
	w := newWorld(t, directory.Config{})
	w.change(t, func(s *directory.Settings) { s.Policy = directory.Policy{ID: policyID, MaxLifetime: time.Hour} })
	_, err := w.graph.AddPassword(t.Context(), w.token(t), w.target(), "marker", w.now().Add(2*time.Hour))
	if e, ok := errors.AsType[*serviceerror.Error](err); !ok || e.Detail != "policy "+policyID {
		t.Errorf("got %v, want the policy's id", err)
	}
}

// TestLostAnswer: Graph carries the write out and the answer does not arrive. The
// error says that the outcome is unknown, and the write is not repeated.
func TestLostAnswer(t *testing.T) {
	w := newWorld(t, directory.Config{})
	token := w.token(t)
	w.misbehave(func(string, *http.Request) *fault.Effect { return &fault.Effect{Apply: true} })
	_, err := w.graph.AddPassword(t.Context(), token, w.target(), "lost", w.now().Add(time.Hour))
	if !serviceerror.UnknownOutcome(err) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
	if n := len(w.Passwords(w.app.ObjectID)); n != 2 {
		t.Errorf("the application has %d passwords, want 2", n)
	}
}

// TestForeignAnswers: what is not of Graph's form decides nothing, and nothing of it
// is printed. The SDK alone takes a redirect for success and has no status for HTML.
func TestForeignAnswers(t *testing.T) {
	page := "<html>you are user=alice password=hunter2</html>"
	for name, c := range map[string]struct {
		status int
		media  string
		body   string
	}{
		"proxy":                {403, "text/html", page},
		"not found by a proxy": {404, "text/html", page},
		"portal":               {200, "text/html", page},
		"redirect":             {302, "text/html", page},
		"gateway":              {502, "text/html", page},
		"empty refusal":        {400, "", ""},
		"no error in it":       {400, "application/json", `{}`},
		"code is a sentence":   {400, "application/json", `{"error":{"code":"user=alice password=hunter2","message":"m"}}`},
		"no message":           {500, "application/json", `{"error":{"code":"UnknownError"}}`},
		"broken JSON":          {200, "application/json", `{"keyId":`},
		"empty success":        {200, "application/json", ``},
		"no value":             {200, "application/json", `{"id":"","keyId":"` + anyKey + `","secretText":null}`},
		"no key id":            {200, "application/json", `{"secretText":"hunter2"}`},
		"nothing to see":       {204, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.media)
				w.Header().Set("Location", "https://example.com/")
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			_, read := d.Application(t.Context(), anyToken, anyApp)
			_, add := d.AddPassword(t.Context(), anyToken, anyApp, "marker", time.Now().Add(time.Hour))
			for doing, err := range map[string]error{"reading": read, "adding": add} {
				e, ok := errors.AsType[*serviceerror.Error](err)
				if !ok || e.Class != serviceerror.Transient || e.Status != c.status || e.UnknownOutcome != (doing == "adding") {
					t.Errorf("%s: got %v, want a transient error with status %d", doing, err, c.status)
				}
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), "hunter2") {
					t.Errorf("%s: the error shows the body: %v", doing, err)
				}
			}
		})
	}
}

// TestWire pins the requests: what is asked for, and that the body is plain and has
// a length.
func TestWire(t *testing.T) {
	var sent []string
	d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = append(sent, r.Method+" "+r.URL.Path+" "+r.URL.RawQuery+" "+string(body))
		if r.Header.Get("Authorization") != "Bearer token" || r.Header.Get("Content-Encoding") != "" || r.ContentLength != int64(len(body)) {
			t.Errorf("%s: authorization %q, encoding %q, length %d of %d", r.URL, r.Header.Get("Authorization"), r.Header.Get("Content-Encoding"),
				r.ContentLength, len(body))
		}
		if n := len(r.Header.Values("client-request-id")); n != 1 {
			t.Errorf("%s: %d values of client-request-id, want one", r.URL, n)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	byClientID := anyApp
	byClientID.ObjectID = ""
	d.Application(t.Context(), anyToken, anyApp)
	d.Application(t.Context(), anyToken, byClientID)
	d.ServicePrincipal(t.Context(), anyToken, anyApp)
	d.Owners(t.Context(), anyToken, anyApp)
	d.AddPassword(t.Context(), anyToken, anyApp, "marker", time.Date(2027, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)))
	d.RemovePassword(t.Context(), anyToken, anyApp, strings.ToUpper(anyKey))
	want := []string{
		"GET /v1.0/applications/" + anyApp.ObjectID + " $select=id,appId,displayName,signInAudience,passwordCredentials ",
		"GET /v1.0/applications(appId='" + anyApp.ClientID + "') $select=id,appId,displayName,signInAudience,passwordCredentials ",
		"GET /v1.0/servicePrincipals(appId='" + anyApp.ClientID + "') $select=id,accountEnabled,passwordCredentials ",
		"GET /v1.0/applications/" + anyApp.ObjectID + "/owners $select=id ",
		"POST /v1.0/applications/" + anyApp.ObjectID +
			`/addPassword  {"passwordCredential":{"displayName":"marker","endDateTime":"2027-01-02T02:04:05Z"}}`,
		"POST /v1.0/applications/" + anyApp.ObjectID + `/removePassword  {"keyId":"` + anyKey + `"}`,
	}
	if !slices.Equal(sent, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(sent, "\n"), strings.Join(want, "\n"))
	}
}

func TestOwnersFollowsPages(t *testing.T) {
	var d *graph.Directory
	var base string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("$skiptoken") == "" {
			fmt.Fprintf(w, `{"@odata.nextLink":%q,"value":[{"@odata.type":"#microsoft.graph.user","id":"one"}]}`, base+r.URL.Path+"?$skiptoken=2")
			return
		}
		io.WriteString(w, `{"value":[{"@odata.type":"#microsoft.graph.servicePrincipal","id":"two"}]}`)
	}))
	defer server.Close()
	base = server.URL
	d, err := graph.New(graph.Config{BaseURL: server.URL + "/", HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	owners, err := d.Owners(t.Context(), anyToken, anyApp)
	if err != nil || !slices.Equal(owners, []string{"one", "two"}) {
		t.Errorf("got %v, %v", owners, err)
	}
}

// TestNullItems: a list may have null among its items. That is nothing, and no reason to panic.
func TestNullItems(t *testing.T) {
	d := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"value":[null],"id":"x","createdDateTime":"2023-05-01T00:00:00Z","passwordCredentials":[null],"isEnabled":true,
		"applicationRestrictions":{"passwordCredentials":[null]}}`)
	}))
	found, err := d.Application(t.Context(), anyToken, anyApp)
	if err != nil || len(found.Passwords) != 0 {
		t.Errorf("application: %+v, %v", found, err)
	}
	if owners, err := d.Owners(t.Context(), anyToken, anyApp); err != nil || len(owners) != 0 {
		t.Errorf("owners: %v, %v", owners, err)
	}
	if list, _, err := d.Applications(t.Context(), anyToken, "", "", 1); err != nil || len(list) != 0 {
		t.Errorf("applications: %v, %v", list, err)
	}
	if forbidden, longest, err := d.PasswordPolicy(t.Context(), anyToken, anyApp); err != nil || forbidden || longest != 0 {
		t.Errorf("policy: %t, %v, %v", forbidden, longest, err)
	}
}

// TestTokenStaysAtHome: a next page elsewhere would carry the token there; the SDK
// alone would ask without one and call the answer a page.
func TestTokenStaysAtHome(t *testing.T) {
	asked := false
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	foreign := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	d := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"@odata.nextLink":%q,"value":[]}`, foreign+"/v1.0/owners")
	}))
	_, err := d.Owners(t.Context(), anyToken, anyApp)
	if serviceerror.ClassOf(err) != serviceerror.Invalid || asked {
		t.Errorf("got %v, asked elsewhere: %v; want a refusal and no request", err, asked)
	}
}

// TestNothingToAsk: such calls are refused without a request.
func TestNothingToAsk(t *testing.T) {
	d := client(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) }))
	for _, id := range []string{"", "x", "../users", "a')/x", anyApp.ObjectID + "/owners"} {
		app := rotation.Application{TenantID: anyApp.TenantID, ClientID: id, ObjectID: id}
		_, read := d.Application(t.Context(), anyToken, app)
		_, _, principal := d.ServicePrincipal(t.Context(), anyToken, app)
		_, owners := d.Owners(t.Context(), anyToken, app)
		_, add := d.AddPassword(t.Context(), anyToken, app, "marker", time.Now())
		remove := d.RemovePassword(t.Context(), anyToken, app, anyKey)
		for _, err := range []error{read, principal, owners, add, remove} {
			if serviceerror.ClassOf(err) != serviceerror.ApplicationMissing || serviceerror.UnknownOutcome(err) {
				t.Errorf("id %q: got %v", id, err)
			}
		}
	}
	if _, err := d.Application(t.Context(), rotation.Token{}, anyApp); serviceerror.ClassOf(err) != serviceerror.CredentialInvalid {
		t.Errorf("no token: got %v", err)
	}
	if err := d.RemovePassword(t.Context(), anyToken, anyApp, "x"); serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("no key id: got %v", err)
	}
}

// TestDeadline: a call whose time is up is not sent, so that nothing was issued; one
// whose time is over while it waits may have been carried out.
func TestDeadline(t *testing.T) {
	soon, arrived := fault.Deadline(t.Context())
	release := make(chan struct{})
	d := client(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived()
		<-release
	}))
	defer close(release)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.AddPassword(over, anyToken, anyApp, "marker", time.Now()); err == nil || serviceerror.UnknownOutcome(err) {
		t.Errorf("over before it began: got %v, want a known outcome", err)
	}
	if _, err := d.AddPassword(soon, anyToken, anyApp, "marker", time.Now()); !serviceerror.UnknownOutcome(err) ||
		serviceerror.ClassOf(err) != serviceerror.Transient {
		t.Errorf("over while waiting: got %v, want an unknown outcome", err)
	}
}

func TestPreflightReads(t *testing.T) {
	w := newWorld(t, directory.Config{})
	token := w.token(t)
	owners, err := w.graph.Owners(t.Context(), token, w.target())
	if err != nil || !slices.Equal(owners, []string{token.ObjectID}) {
		t.Errorf("owners %v, %v; want the caller %s", owners, err, token.ObjectID)
	}
	passwords, enabled, err := w.graph.ServicePrincipal(t.Context(), token, w.target())
	if err != nil || len(passwords) != 0 || !enabled {
		t.Errorf("service principal has %v, %t, %v; want none", passwords, enabled, err)
	}
	other, err := w.AddApplication(directory.Registration{TenantID: w.app.TenantID, ServicePrincipalPasswords: 2})
	if err != nil {
		t.Fatal(err)
	}
	disable := func(s *directory.PrincipalSettings) { s.Disabled = true }
	if err := w.ChangePrincipal(other.ServicePrincipalID, disable); err != nil {
		t.Fatal(err)
	}
	passwords, enabled, err = w.graph.ServicePrincipal(t.Context(), token,
		rotation.Application{TenantID: other.TenantID, ClientID: other.ClientID})
	if err != nil || enabled || len(passwords) != 2 || len(passwords[0].Hint) != 3 {
		t.Errorf("service principal has %v, %v; want two", passwords, err)
	}
}

func TestNewRefusesAddresses(t *testing.T) {
	for _, base := range []string{"http://graph.example", "graph.example", "https://", "https://user@graph.example",
		"https://graph.example?a=b", ":"} {
		if _, err := graph.New(graph.Config{BaseURL: base}); err == nil {
			t.Errorf("%q is accepted", base)
		}
	}
}
