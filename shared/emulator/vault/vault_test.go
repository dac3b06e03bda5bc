package vault_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/vault"
)

// answer is what the tests read of any answer.
type answer struct {
	Status   int
	Header   http.Header
	ID       string
	Value    json.RawMessage
	NextLink *string
	Error    struct {
		Code, Message string
		InnerError    struct{ Code string }
	}
	Attributes map[string]any
	Tags       map[string]string
	RecoveryID string
}

// text is the value of a secret.
func (a answer) text() string {
	var s string
	_ = json.Unmarshal(a.Value, &s) // a list or nothing: no text
	return s
}

// ids are those of a list.
func (a answer) ids(t *testing.T) []string {
	t.Helper()
	var items []struct{ ID string }
	if err := json.Unmarshal(a.Value, &items); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, i := range items {
		ids = append(ids, i.ID)
	}
	return ids
}

// send makes a request with a token; path is without the API version, which comes
// on top.
func send(t *testing.T, v *vault.Vault, method, path, body string) answer {
	t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	r := httptest.NewRequest(method, "https://vault.test"+path+sep+"api-version=2026-04-01", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer token")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return serve(t, v, r)
}

func serve(t *testing.T, v *vault.Vault, r *http.Request) answer {
	t.Helper()
	rec := httptest.NewRecorder()
	v.ServeHTTP(rec, r)
	a := answer{Status: rec.Code, Header: rec.Header()}
	if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s %s answered %q: %v", r.Method, r.URL.Path, rec.Body, err)
	}
	return a
}

func want(t *testing.T, a answer, status int, code string) {
	t.Helper()
	got := a.Error.InnerError.Code
	if got == "" {
		got = a.Error.Code
	}
	if a.Status != status || got != code {
		t.Errorf("answer %d %q (%s), want %d %q", a.Status, got, a.Error.Message, status, code)
	}
}

// versionOf is the last part of an id.
func versionOf(a answer) string { return a.ID[strings.LastIndex(a.ID, "/")+1:] }

func TestChallenge(t *testing.T) {
	v := vault.New(vault.Config{
		Authority: "https://login.test/tenant",
		Accept:    func(token string) bool { return token == "good" },
	})
	for _, headers := range [][]string{nil, {""}, {"Bearer"}, {"Bearer bad"}, {"Basic good"}, {"Bearer good", "Bearer good"}} {
		r := httptest.NewRequest("GET", "https://vault.test/secrets/a", nil)
		r.Header["Authorization"] = headers
		a := serve(t, v, r)
		want(t, a, 401, "Unauthorized")
		if got := a.Header.Get("WWW-Authenticate"); got != `Bearer authorization="https://login.test/tenant", `+
			`resource="https://vault.azure.net"` {
			t.Errorf("challenge = %q", got)
		}
	}
	if v.Challenges() != 6 || v.Calls("vault.get") != 0 {
		t.Errorf("%d challenges, %d calls; want 6 and 0", v.Challenges(), v.Calls("vault.get"))
	}
	r := httptest.NewRequest("GET", "https://vault.test/secrets/a", nil)
	r.Header.Set("Authorization", "Bearer good")
	want(t, serve(t, v, r), 400, "BadParameter") // no api-version
	r.URL.RawQuery = "api-version=latest"
	want(t, serve(t, v, r), 400, "BadParameter")
	r.URL.RawQuery = "api-version=7.4"
	want(t, serve(t, v, r), 404, "SecretNotFound")
}

func TestAuthorityNeedsPath(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("New accepted an authority on which the SDK panics")
		}
	}()
	vault.New(vault.Config{Authority: "https://login.test"})
}

// The golden answers, as the service's own recordings and reports have them.
func TestAnswers(t *testing.T) {
	v := vault.New(vault.Config{Now: func() time.Time { return time.Unix(1700000000, 5) }})
	set := send(t, v, "PUT", "/secrets/App",
		`{"value":"one","contentType":"text/plain","tags":{"k":"v"},"attributes":{"exp":1800000000,"nbf":1600000000}}`)
	version := versionOf(set)
	if set.Status != 200 || set.text() != "one" || set.ID != "https://vault.test/secrets/App/"+version || len(version) != 32 {
		t.Errorf("set = %+v", set)
	}
	wantAttributes := map[string]any{"enabled": true, "nbf": 1.6e9, "exp": 1.8e9, "created": 1.7e9, "updated": 1.7e9,
		"recoveryLevel": "Recoverable", "recoverableDays": 90.0}
	if fmt.Sprint(set.Attributes) != fmt.Sprint(wantAttributes) {
		t.Errorf("attributes = %v, want %v", set.Attributes, wantAttributes)
	}
	if id := set.Header.Get("x-ms-request-id"); len(id) != 36 {
		t.Errorf("request id = %q", id)
	}
	for _, path := range []string{"/secrets/app", "/secrets/APP/", "/secrets/app/" + version} {
		if a := send(t, v, "GET", path, ""); a.Status != 200 || a.text() != "one" || a.Tags["k"] != "v" {
			t.Errorf("GET %s = %+v", path, a)
		}
	}
	updated := send(t, v, "PATCH", "/secrets/app/"+version, `{"attributes":{"enabled":false}}`)
	if updated.Status != 200 || updated.Value != nil || updated.Attributes["enabled"] != false || updated.Attributes["exp"] != 1.8e9 ||
		updated.Tags["k"] != "v" {
		t.Errorf("update = %+v", updated)
	}
	disabled := send(t, v, "GET", "/secrets/app", "")
	want(t, disabled, 403, "SecretDisabled")
	if disabled.Error.Code != "Forbidden" {
		t.Errorf("code = %q, want Forbidden", disabled.Error.Code)
	}
	retagged := send(t, v, "PATCH", "/secrets/app/"+version, `{"tags":{"other":"tag"},"attributes":{"enabled":true}}`)
	if len(retagged.Tags) != 1 || retagged.Tags["other"] != "tag" {
		t.Errorf("tags = %v, want them replaced", retagged.Tags)
	}
	want(t, send(t, v, "GET", "/secrets/app/"+strings.Repeat("0", 32), ""), 404, "SecretNotFound")
	want(t, send(t, v, "GET", "/secrets/nobody", ""), 404, "SecretNotFound")
}

func TestRefusals(t *testing.T) {
	v := vault.New(vault.Config{})
	version := v.Seed("app", "one", nil)
	many := make([]string, 16)
	for i := range many {
		many[i] = fmt.Sprintf(`"t%d":""`, i)
	}
	long := strings.Repeat("x", 257)
	tests := []struct{ name, method, path, body string }{
		{"name", "PUT", "/secrets/a_b", `{"value":"v"}`},
		{"long name", "PUT", "/secrets/" + strings.Repeat("n", 128), `{"value":"v"}`},
		{"version", "GET", "/secrets/app/1", ``},
		{"no value", "PUT", "/secrets/app", `{}`},
		{"empty value", "PUT", "/secrets/app", `{"value":""}`},
		{"long value", "PUT", "/secrets/app", `{"value":"` + strings.Repeat("x", 25*1024+1) + `"}`},
		{"content type", "PUT", "/secrets/app", `{"value":"v","contentType":"` + long + `"}`},
		{"16 tags", "PUT", "/secrets/app", `{"value":"v","tags":{` + strings.Join(many, ",") + `}}`},
		{"tag name", "PUT", "/secrets/app", `{"value":"v","tags":{"` + long + `":""}}`},
		{"tag value", "PUT", "/secrets/app", `{"value":"v","tags":{"a":"` + long + `"}}`},
		{"nbf after exp", "PUT", "/secrets/app", `{"value":"v","attributes":{"nbf":2,"exp":1}}`},
		{"read-only attribute", "PUT", "/secrets/app", `{"value":"v","attributes":{"created":1}}`},
		{"unknown member", "PUT", "/secrets/app", `{"value":"v","expires":1}`},
		{"no JSON", "PUT", "/secrets/app", `value`},
		{"no body", "PUT", "/secrets/app", ``},
		{"update of the value", "PATCH", "/secrets/app/" + version, `{"value":"two"}`},
		{"update without a type", "PATCH", "/secrets/app/" + version, ``},
		{"page size", "GET", "/secrets?maxresults=26", ``},
		{"no page size", "GET", "/secrets/app/versions?maxresults=0", ``},
		{"skip token", "GET", "/secrets/app/versions?$skiptoken=*", ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, send(t, v, tt.method, tt.path, tt.body), 400, "BadParameter")
		})
	}
	for _, call := range []string{"PATCH /secrets/app", "POST /secrets/app", "GET /keys", "DELETE /deletedsecrets/app", "GET /"} {
		method, path, _ := strings.Cut(call, " ")
		want(t, send(t, v, method, path, ""), 404, "NotFound")
	}
	if all := v.Versions("app"); len(all) != 1 || all[0].Value != "one" || !all[0].Enabled {
		t.Errorf("a refused call changed something: %+v", all)
	}
}

func TestDeleteAndRecover(t *testing.T) {
	now := time.Unix(1700000000, 0)
	v := vault.New(vault.Config{Now: func() time.Time { return now }, DeleteDelay: time.Minute, RecoverDelay: time.Hour})
	version := v.Seed("app", "one", map[string]string{"k": "v"})
	check := func(phase string, get, getDeleted, set, del, rec string) {
		t.Helper()
		for _, c := range []struct{ method, path, body, want string }{
			{"GET", "/secrets/app", "", get},
			{"GET", "/deletedsecrets/app", "", getDeleted},
			{"PUT", "/secrets/app", `{"value":"two"}`, set},
			{"DELETE", "/secrets/app", "", del},
			{"POST", "/deletedsecrets/app/recover", "", rec},
		} {
			if c.want == "" {
				continue // would change the phase
			}
			a := send(t, v, c.method, c.path, c.body)
			got := fmt.Sprint(a.Status, " ", a.Error.InnerError.Code)
			if a.Error.InnerError.Code == "" {
				got = fmt.Sprint(a.Status, " ", a.Error.Code)
			}
			if strings.TrimSpace(got) != c.want {
				t.Errorf("%s: %s %s = %s, want %s", phase, c.method, c.path, got, c.want)
			}
		}
	}
	check("live", "200", "404 SecretNotFound", "", "200", "409 ObjectIsBeingDeleted")
	check("deleting", "404 SecretNotFound", "404 SecretNotFound", "409 ObjectIsBeingDeleted", "409 ObjectIsBeingDeleted",
		"409 ObjectIsBeingDeleted")
	now = now.Add(time.Minute)
	check("deleted", "404 SecretNotFound", "200", "409 ObjectIsDeletedButRecoverable", "404 SecretNotFound", "200")
	check("recovering", "404 SecretNotFound", "200", "409 ObjectIsBeingRecovered", "409 ObjectIsBeingRecovered", "409 ObjectIsBeingRecovered")
	if !v.Deleted("APP") {
		t.Error("Deleted = false while recovering")
	}
	now = now.Add(time.Hour)
	check("live again", "200", "404 SecretNotFound", "200", "", "404 SecretNotFound")
	if all := v.Versions("app"); len(all) != 2 || all[0].ID != version || all[0].Tags["k"] != "v" || v.Deleted("app") {
		t.Errorf("versions = %+v", all)
	}
	if a := send(t, v, "DELETE", "/secrets/app", ""); a.RecoveryID != "https://vault.test/deletedsecrets/app" {
		t.Errorf("recovery id = %q", a.RecoveryID)
	}
	want(t, send(t, v, "DELETE", "/secrets/nobody", ""), 404, "SecretNotFound")
}

func TestPages(t *testing.T) {
	v := vault.New(vault.Config{})
	var made []string
	for i := range 60 {
		made = append(made, "https://vault.test/secrets/app/"+v.Seed("app", fmt.Sprint(i), nil))
	}
	slices.Sort(made)
	v.Seed("gone", "x", nil)
	want(t, send(t, v, "DELETE", "/secrets/gone", ""), 200, "")

	for _, tt := range []struct {
		query string
		sizes []int
	}{{"", []int{25, 25, 10}}, {"?maxresults=20", []int{20, 20, 20}}, {"?maxresults=25", []int{25, 25, 10}}} {
		var got []string
		path, pages := "/secrets/app/versions"+tt.query, []int(nil)
		for path != "" {
			a := send(t, v, "GET", path, "")
			if a.Status != 200 {
				t.Fatalf("%s: %+v", path, a.Error)
			}
			ids := a.ids(t)
			got, pages, path = append(got, ids...), append(pages, len(ids)), ""
			if a.NextLink != nil {
				path = strings.TrimPrefix(*a.NextLink, "https://vault.test")
				v.Seed("other", "in between", nil)
			}
		}
		if !slices.Equal(got, made) || !slices.Equal(pages, tt.sizes) {
			t.Errorf("%q: pages of %d, want %d; ids right: %v", tt.query, pages, tt.sizes, slices.Equal(got, made))
		}
	}
	if ids := send(t, v, "GET", "/secrets", "").ids(t); !slices.Equal(ids,
		[]string{"https://vault.test/secrets/app", "https://vault.test/secrets/other"}) {
		t.Errorf("secrets = %q", ids)
	}
	for _, name := range []string{"nobody", "gone"} {
		if a := send(t, v, "GET", "/secrets/"+name+"/versions", ""); a.Status != 200 || len(a.ids(t)) != 0 {
			t.Errorf("versions of %s = %+v, want none", name, a)
		}
	}
	if names := v.Names(); !slices.Equal(names, []string{"app", "gone", "other"}) {
		t.Errorf("Names = %q", names)
	}
}

// Every operation goes through the hook, in its name, with both kinds of failure.
func TestHook(t *testing.T) {
	calls := []struct{ op, method, path, body string }{
		{"vault.set", "PUT", "/secrets/app", `{"value":"two"}`},
		{"vault.get", "GET", "/secrets/app", ``},
		{"vault.list", "GET", "/secrets/app/versions", ``},
		{"vault.list", "GET", "/secrets", ``},
		{"vault.update", "PATCH", "/secrets/app/{version}", `{"attributes":{"enabled":false}}`},
		{"vault.delete", "DELETE", "/secrets/app", ``},
		{"vault.getDeleted", "GET", "/deletedsecrets/app", ``},
		{"vault.recover", "POST", "/deletedsecrets/app/recover", ``},
	}
	for _, c := range calls {
		for _, apply := range []bool{false, true} {
			var asked []string
			v := vault.New(vault.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
				asked = append(asked, op)
				return &fault.Effect{Apply: apply, Status: 503, Code: "ServiceUnavailable", Text: "later", Header: http.Header{"Retry-After": {"3"}}}
			}})
			version := v.Seed("app", "one", nil)
			a := send(t, v, c.method, strings.Replace(c.path, "{version}", version, 1), c.body)
			want(t, a, 503, "ServiceUnavailable")
			if !slices.Equal(asked, []string{c.op}) || v.Calls(c.op) != 1 || a.Header.Get("Retry-After") != "3" {
				t.Errorf("%s %s: hook asked for %q, %d calls", c.method, c.path, asked, v.Calls(c.op))
			}
			after := v.Versions("app")
			changed := len(after) != 1 || !after[0].Enabled || v.Deleted("app")
			if writes := c.op == "vault.set" || c.op == "vault.update" || c.op == "vault.delete"; changed != (apply && writes) {
				t.Errorf("%s, apply %v: changed %v", c.op, apply, changed)
			}
		}
	}
}
