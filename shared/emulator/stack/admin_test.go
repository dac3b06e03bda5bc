package stack_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/stack"
)

func start(t *testing.T, c stack.Config) *stack.Stack {
	t.Helper()
	c.Dir = t.TempDir()
	s, err := stack.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

// admin is a caller of the fault API: another process, or a person.
type admin struct {
	t *testing.T
	s *stack.Stack
}

func (a admin) do(method, path, body string, header http.Header) (status int, answer string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.s.AdminURL+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// must calls, and decodes an answer that has to be 200.
func (a admin) must(method, path, body string, into any) {
	a.t.Helper()
	status, answer := a.do(method, path, body, nil)
	if status != http.StatusOK {
		a.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if into == nil {
		return
	}
	decoder := json.NewDecoder(strings.NewReader(answer))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		a.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// client calls the emulated services as an SDK would.
type client struct {
	t *testing.T
	s *stack.Stack
}

func (c client) do(method, address, token, media, body string) (status int, answer map[string]any) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", media)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: c.s.TLS, DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, nil
	}
	if len(data) > 0 && json.Unmarshal(data, &answer) != nil {
		return response.StatusCode, nil
	}
	return response.StatusCode, answer
}

func (c client) token(clientID, secret, resource string) (status int, token string) {
	c.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret},
		"scope": {resource + "/.default"}}
	status, answer := c.do(http.MethodPost, c.s.AuthorityURL+"/"+c.s.TenantID+"/oauth2/v2.0/token", "", "application/x-www-form-urlencoded",
		form.Encode())
	token, _ = answer["access_token"].(string)
	return status, token
}

type sample struct{ TenantID, ClientID, ObjectID, ClientSecret, KeyID string }

// TestFaultAPI is a session of a caller in another process.
func TestFaultAPI(t *testing.T) {
	s := start(t, stack.Config{})
	a, c := admin{t, s}, client{t, s}
	var app sample
	a.must("POST", "/applications", `{"name":"billing"}`, &app)
	_, token := c.token(app.ClientID, app.ClientSecret, directory.ResourceGraph)
	add := func() (int, map[string]any) {
		return c.do("POST", s.GraphURL+"/v1.0/applications/"+app.ObjectID+"/addPassword", token, "application/json",
			`{"passwordCredential":{"displayName":"new"}}`)
	}
	var playing struct {
		Seed  uint64
		Rules []fault.RuleState
	}
	a.must("POST", "/faults", `{"seed":7,"rules":[{"op":"graph.addPassword","kind":"timeout-after-commit","nth":2}]}`, &playing)
	if playing.Seed != 7 || len(playing.Rules) != 1 || playing.Rules[0].Seen != 0 {
		t.Errorf("playing %+v", playing)
	}
	for i, want := range []int{200, 504, 200} {
		if status, body := add(); status != want {
			t.Errorf("call %d: %d %v, want %d", i+1, status, body, want)
		}
	}
	a.must("GET", "/faults", "", &playing)
	if r := playing.Rules[0]; r.Seen != 3 || r.Fired != 1 || r.Kind != fault.TimeoutAfterCommit {
		t.Errorf("playing %+v", playing)
	}
	a.must("POST", "/faults", `{"rules":[{"op":"graph.*","kind":"permission-removed"}]}`, nil)
	if status, _ := add(); status != 403 {
		t.Errorf("after another plan: %d", status)
	}
	playing.Rules = nil
	a.must("DELETE", "/faults", "", &playing)
	if status, _ := add(); status != 200 || len(playing.Rules) != 0 {
		t.Errorf("after the end: %d, playing %+v", status, playing)
	}

	var truth struct {
		Passwords []struct{ KeyID, DisplayName, StartsAt, ExpiresAt string }
	}
	a.must("GET", "/applications/"+app.ObjectID+"/passwords", "", &truth)
	if n := len(truth.Passwords); n != 5 || truth.Passwords[0].KeyID != app.KeyID || truth.Passwords[2].DisplayName != "new" {
		t.Errorf("passwords %+v, want the first and four more", truth.Passwords)
	}
	var calls struct {
		Calls  map[string]int
		Writes struct {
			Asked     int
			Throttled map[string]int
		}
	}
	a.must("GET", "/calls", "", &calls)
	if calls.Calls["graph.addPassword"] != 5 || calls.Calls["entra.token"] != 1 || calls.Writes.Asked != 4 {
		t.Errorf("calls %+v, want 5 of which 4 reached the quotas", calls)
	}
	var kinds []fault.Kind
	if a.must("GET", "/kinds", "", &kinds); len(kinds) != len(fault.Kinds()) {
		t.Errorf("kinds %v", kinds)
	}
}

// TestFaultAPIState: what is no fault of a call but a state of the services.
func TestFaultAPIState(t *testing.T) {
	s := start(t, stack.Config{})
	a, c := admin{t, s}, client{t, s}
	var app sample
	a.must("POST", "/applications", `{}`, &app)
	_, token := c.token(app.ClientID, app.ClientSecret, directory.ResourceGraph)
	path := s.GraphURL + "/v1.0/applications/" + app.ObjectID
	add := func() (int, any) {
		status, body := c.do("POST", path+"/addPassword", token, "application/json", `{}`)
		e, _ := body["error"].(map[string]any)
		return status, e["code"]
	}
	for _, step := range []struct {
		change string
		status int
		code   any
	}{
		{`{"policy":{"maxLifetime":"24h"}}`, 400, "CredentialInvalidLifetimeAsPerAppPolicy"},
		{`{"policy":{"forbidden":true}}`, 400, "CredentialTypeNotAllowedAsPerAppPolicy"},
		{`{"policy":{},"maxPasswords":1}`, 403, "Directory_ResourceSizeExceeded"},
		{`{"maxPasswords":0,"owners":[]}`, 403, "Authorization_RequestDenied"},
	} {
		a.must("PATCH", "/applications/"+app.ObjectID, step.change, nil)
		if status, code := add(); status != step.status || code != step.code {
			t.Errorf("after %s: %d %v, want %d %v", step.change, status, code, step.status, step.code)
		}
	}
	for disabled, want := range map[string]bool{"true": false, "false": true} {
		a.must("PATCH", "/applications/"+app.ObjectID, `{"disabled":`+disabled+`}`, nil)
		if _, got := c.token(app.ClientID, app.ClientSecret, directory.ResourceGraph); (got != "") != want {
			t.Errorf("disabled %s: a token %q", disabled, got)
		}
	}
	a.must("PATCH", "/applications/"+app.ObjectID, `{"disabled":false,"roles":["Application.ReadWrite.All"],"audience":"PersonalMicrosoftAccount"}`, nil)
	if _, token = c.token(app.ClientID, app.ClientSecret, directory.ResourceGraph); token == "" {
		t.Fatal("no token")
	}
	a.must("POST", "/propagation", `{"max":"10m","replicas":2,"seed":1}`, nil)
	if status, code := add(); status != 200 {
		t.Fatalf("adding the second: %d %v", status, code)
	}
	if _, body := c.do("GET", path, token, "", ""); len(body["passwordCredentials"].([]any)) != 1 {
		t.Errorf("shown at once: %v", body)
	}
	a.must("POST", "/propagation", `{}`, nil)
	if _, body := c.do("GET", path, token, "", ""); len(body["passwordCredentials"].([]any)) != 2 {
		t.Errorf("not shown in the end: %v", body)
	}
	if status, code := add(); status != 400 || code != "TooManyAppPasswords" {
		t.Errorf("adding a third: %d %v", status, code)
	}
	a.must("POST", "/quotas", `{"enforced":true}`, nil)
	for i := range 61 {
		if status, _ := add(); (status == 429) != (i == 60) {
			t.Fatalf("write %d in the minute: %d", i+1, status)
		}
	}
	if n := s.Directory.Writes().Personal; n != 1 {
		t.Errorf("%d refusals are counted", n)
	}
}

// TestVaultTruth: what is in the vault, whether it works, and no value of it.
func TestVaultTruth(t *testing.T) {
	s := start(t, stack.Config{})
	a := admin{t, s}
	app, err := s.AddSample("billing")
	if err != nil {
		t.Fatal(err)
	}
	s.Vault.Seed("rekey-x", "no app's", map[string]string{"a": "b"})
	s.Vault.Seed("rekey-x", app.Secret, nil)
	var truth struct {
		Deleted  bool
		Versions []struct {
			Version, ContentType, ClientID string
			Enabled, Authenticates         bool
			Tags                           map[string]string
			CreatedAt, ExpiresAt           string
		}
	}
	a.must("GET", "/vault/rekey-x", "", &truth)
	v := truth.Versions
	if len(v) != 2 || v[0].Authenticates || v[0].Tags["a"] != "b" || !v[1].Authenticates || v[1].ClientID != app.ClientID || !v[1].Enabled {
		t.Errorf("got %+v", truth)
	}
	if _, answer := a.do("GET", "/vault/rekey-x", "", nil); strings.Contains(answer, app.Secret) || strings.Contains(answer, "no app's") {
		t.Error("a value is shown")
	}
	if err := s.Directory.RemovePassword(app.ObjectID, app.KeyID); err != nil {
		t.Fatal(err)
	}
	if a.must("GET", "/vault/rekey-x", "", &truth); truth.Versions[1].Authenticates {
		t.Error("a removed secret authenticates")
	}
}

func TestFaultAPIRefuses(t *testing.T) {
	s := start(t, stack.Config{})
	a := admin{t, s}
	for _, c := range []struct {
		method, path, body string
		header             http.Header
		status             int
	}{
		{"POST", "/faults", `{"rules":[{"op":"*","kind":"gremlins"}]}`, nil, 400},
		{"POST", "/faults", `{"rules":[{"op":"*","kind":"busy","chance":1}]}`, nil, 400},
		{"POST", "/faults", `{"rules":[]}{}`, nil, 400},
		{"POST", "/faults", `[]`, nil, 400},
		{"POST", "/faults", `{}`, http.Header{"Content-Type": {"text/plain"}}, 400},
		{"POST", "/faults", `{}`, http.Header{"Origin": {"https://example.com"}}, 403},
		{"POST", "/faults", `{}`, http.Header{"Host": {"example.com"}}, 403},
		{"GET", "/calls", "", http.Header{"Host": {"localhost.example.com"}}, 403},
		{"POST", "/propagation", `{"max":"11m"}`, nil, 400},
		{"POST", "/propagation", `{"max":60}`, nil, 400},
		{"POST", "/propagation", `{"max":"-1s"}`, nil, 400},
		{"POST", "/quotas", `{"tenant":5}`, nil, 400},
		{"POST", "/applications", `{"secret":"x"}`, nil, 400},
		{"PATCH", "/applications/none", `{}`, nil, 404},
		{"GET", "/applications/none/passwords", "", nil, 404},
		{"GET", "/vault/none", "", nil, 404},
		{"PUT", "/faults", `{}`, nil, 405},
	} {
		if status, answer := a.do(c.method, c.path, c.body, c.header); status != c.status {
			t.Errorf("%s %s %s %v: %d %s, want %d", c.method, c.path, c.body, c.header, status, answer, c.status)
		}
	}
	if _, answer := a.do("GET", "/faults", "", nil); !bytes.Contains([]byte(answer), []byte(`"rules": []`)) {
		t.Errorf("a refused plan is played: %s", answer)
	}
}
