package session_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/session"
)

// The role is that of the request, not that of the sign-in.
func TestARoleIsLowered(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	if p := b.signIn(w.addKey("ci", auth.Admin)); p.Role != auth.Admin {
		t.Fatalf("signed in as %+v", p)
	}
	w.Callers.Keys[0].Role = auth.Read
	if p, _ := b.get(); p.Role != auth.Read {
		t.Errorf("after the role was lowered: %+v", p)
	}
	w.Callers.Keys[0].Name = "ci-2"
	if p, _ := b.get(); p.Name != "ci-2" {
		t.Errorf("after the entry was named anew: %+v", p)
	}
}

// A key that is not configured any more ends its sessions at once, and no other.
func TestAKeyIsTakenAway(t *testing.T) {
	w := newWorld(t)
	b, other := w.browser(), w.browser()
	b.signIn(w.addKey("ci", auth.Admin))
	other.signIn(w.addKey("ada", auth.Read))
	w.addKey("ci", auth.Admin) // the name stays known
	w.Callers.Keys = slices.Delete(w.Callers.Keys, 0, 1)
	p, resp := b.get()
	if b.refused("afterwards", resp, http.StatusSeeOther, session.Ended); p.Name != "" || b.cookies[sessionCookie] != "" {
		t.Errorf("it is %+v, with %v", p, b.cookies)
	}
	if p, _ := other.get(); p.Name != "ada" {
		t.Error("another key's session has ended with it")
	}
	w.Callers.Keys = nil
	if p, _ := other.get(); p.Name != "" || !strings.Contains(w.lines(), auth.ErrUnconfigured.Error()) {
		t.Errorf("with no key configured: %+v; the log says %s", p, w.lines())
	}
}

// Whatever is wrong with a key, the answer does not say it, and the log says no key.
func TestWrongKeys(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	for name, wrong := range map[string]string{
		"empty": "", "a name": "ci", "cut off": key[:len(key)-1], "one more": key + "A", "of another": "rk_" + strings.Repeat("A", 43),
		"other case": strings.ToUpper(key), "a hash": strings.Repeat("ab", 32), "oversized": strings.Repeat("A", 200<<10),
	} {
		b := w.browser()
		resp := b.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {wrong}, "back": {"/console/connections"}})
		b.refused(name, resp, http.StatusSeeOther, session.WrongKey)
		want := session.SignInPath + "?back=%2Fconsole%2Fconnections&problem=wrong-key"
		if got := resp.Header.Get("Location"); got != want || len(b.cookies) != 0 || wrong != "" && strings.Contains(w.lines(), `"`+wrong) {
			t.Errorf("%s: to %q, cookies %v", name, got, b.cookies)
		}
	}
	// What is pasted may have white space around it.
	w.browser().signIn(" " + key + "\r\n")
}

// Who guesses keys is slowed down like any unknown caller; who signs in, or is signed in, is
// not, but for the own share.
func TestGuessingIsLimited(t *testing.T) {
	w := newWorld(t)
	w.Limit = auth.NewLimiter(auth.Limits{Unknown: 3, Reads: 2, Writes: 2})
	key := w.addKey("ci", auth.Read)
	b := w.browser()
	guess := func() *http.Response {
		return b.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {"rk_" + strings.Repeat("A", 43)}})
	}
	for range 3 {
		b.refused("a guess", guess(), http.StatusSeeOther, session.WrongKey)
	}
	for range 100 {
		resp := guess()
		b.refused("a guess too many", resp, http.StatusTooManyRequests, session.Busy)
		if after, err := time.ParseDuration(resp.Header.Get("Retry-After")); err != nil || after <= 0 {
			t.Errorf("Retry-After %v, %v", after, err)
		}
	}
	b.cookies[sessionCookie], b.ends[sessionCookie] = "made up", w.now().Add(time.Hour)
	_, resp := b.get()
	b.refused("a made-up cookie", resp, http.StatusTooManyRequests, session.Busy)
	if n := strings.Count(w.lines(), "refused requests of unknown callers"); n != 1 {
		t.Errorf("%d lines of refused requests in one minute: %s", n, w.lines())
	}
	known := w.browser()
	known.signIn(key) // and a read
	if p, _ := known.get(); p.Name != "ci" {
		t.Error("a flood keeps out who is known")
	}
	_, resp = known.get()
	known.refused("a read too many", resp, http.StatusTooManyRequests, session.Busy)
	known.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {key}})
	resp = known.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {key}})
	known.refused("a sign-in too many", resp, http.StatusTooManyRequests, session.Busy)
}

func TestMethods(t *testing.T) {
	key := []auth.Key{{Name: "ci", Role: auth.Read}}
	for want, m := range map[string]*session.Manager{
		"":                          {},
		"api-key":                   {Callers: &auth.Authenticator{Keys: key}},
		"entra api-key":             {Callers: &auth.Authenticator{Keys: key}, Entra: &session.Entra{}},
		"entra":                     {Callers: &auth.Authenticator{AppService: true}, Entra: &session.Entra{}}, // of no tenant
		"app-service entra api-key": {Callers: &auth.Authenticator{Keys: key, AppService: true, TenantID: "t"}, Entra: &session.Entra{}},
	} {
		if got := strings.Join(m.Methods(), " "); got != want {
			t.Errorf("Methods = %q, want %q", got, want)
		}
	}
}

const (
	tenantID = "3f2b8c1e-0a4d-4c59-9b7a-5d1e2f3a4b5c"
	personID = "0f8fad5b-d9cb-469f-a165-70867728950e"
	otherID  = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
)

// vouch is what App Service says of a person.
func vouch(tenant, person string, roles ...string) http.Header {
	claims := []map[string]string{{"typ": "tid", "val": tenant}, {"typ": "oid", "val": person}}
	for _, role := range roles {
		claims = append(claims, map[string]string{"typ": "roles", "val": role})
	}
	data, err := json.Marshal(map[string]any{"auth_typ": "aad", "claims": claims})
	if err != nil {
		panic(err)
	}
	return http.Header{"X-Ms-Client-Principal": {base64.StdEncoding.EncodeToString(data)}}
}

// newVouched is a console behind App Service authentication.
func newVouched(t *testing.T) (*world, *browser) {
	w := newWorld(t)
	w.Callers = &auth.Authenticator{AppService: true, TenantID: tenantID}
	w.Manager.Callers = w.Callers
	return w, w.browser()
}

// App Service says at each request who it is, with which role, and for how long. The cookie is
// for the forms alone.
func TestAppService(t *testing.T) {
	w, b := newVouched(t)
	b.header = vouch(tenantID, personID, "Connections.Admin")
	p, _ := b.get()
	if p.Name != "user:"+personID || p.Role != auth.Admin || p.Kind != auth.KindAppService || !p.Ends.IsZero() || len(b.cookies) != 1 {
		t.Fatalf("the page says %+v, with %v", p, b.cookies)
	}
	form := url.Values{session.TokenField: {p.Token}}
	if p, resp := b.opens(http.MethodPost, "/console/x", form); p.Name == "" {
		t.Errorf("a form: status %d", resp.StatusCode)
	}
	b.header = vouch(tenantID, personID, "Connections.Read")
	if p, _ := b.get(); p.Role != auth.Read {
		t.Errorf("after the role was lowered: %+v", p)
	}
	set := b.set
	w.after(9 * time.Hour)
	if again, _ := b.get(); again.Name != p.Name || again.Token == p.Token || b.set != set+1 {
		t.Errorf("the next day: %+v", again)
	}
	_, resp := b.opens(http.MethodPost, "/console/x", form)
	b.refused("a form of the day before", resp, http.StatusForbidden, session.OldForm)
	if n := strings.Count(w.lines(), "signed in to the console"); n != 2 {
		t.Errorf("%d sign-ins in the log: %s", n, w.lines())
	}
}

// Another person's cookie or form is worth nothing beside App Service's word; and that is
// worth nothing if it is of another tenant, or of a person without a role.
func TestAppServiceRefusals(t *testing.T) {
	w, b := newVouched(t)
	b.header = vouch(tenantID, personID, "Connections.Admin")
	p, _ := b.get()
	form := url.Values{session.TokenField: {p.Token}}

	b.header = vouch(tenantID, otherID, "Connections.Read")
	_, resp := b.opens(http.MethodPost, "/console/x", form)
	b.refused("another person's form", resp, http.StatusForbidden, session.OldForm)
	if q, _ := b.get(); q.Name != "user:"+otherID || q.Role != auth.Read || q.Token == p.Token {
		t.Errorf("another person with the first one's cookie: %+v", q)
	}
	b.header = vouch(tenantID, personID)
	_, resp = b.get()
	b.refused("no role", resp, http.StatusForbidden, session.NoRole)
	b.header = vouch(otherID, personID, "Connections.Admin")
	_, resp = b.get()
	b.refused("another tenant", resp, http.StatusSeeOther, session.Identity)
	b.header = http.Header{"X-Ms-Client-Principal": {"{}"}}
	_, resp = b.get()
	b.refused("no principal", resp, http.StatusSeeOther, session.Identity)
	b.header = http.Header{}
	_, resp = b.get()
	b.refused("the cookie alone", resp, http.StatusSeeOther, session.Ended)
	if !strings.Contains(w.lines(), "of App Service, which does not say any more who it is") {
		t.Errorf("the log says %s", w.lines())
	}
}

// Where App Service does not stand in front its header is any visitor's word; a cookie that
// was made while it did is none to go by either. A key in an Authorization header is for the
// API: it opens no page.
func TestForgedAppService(t *testing.T) {
	w, b := newVouched(t)
	b.header = vouch(tenantID, personID, "Connections.Admin")
	b.get()
	w.Callers.AppService = false
	if p, resp := b.get(); p.Name != "" || resp.StatusCode != http.StatusSeeOther {
		t.Errorf("App Service is off: status %d, %+v", resp.StatusCode, p)
	}
	b = w.browser()
	b.header = http.Header{"Authorization": {"Bearer " + w.addKey("ci", auth.Admin)}}
	if p, resp := b.get(); p.Name != "" || resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a key in a header: status %d, %+v", resp.StatusCode, p)
	}
}

func TestAppServiceAddresses(t *testing.T) {
	w, b := newVouched(t)
	b.header = vouch(tenantID, personID, "Connections.Read")
	p, _ := b.get()
	resp := b.do(http.MethodPost, "/console/sign-out", url.Values{session.TokenField: {p.Token}})
	if to := resp.Header.Get("Location"); to != "/.auth/logout?post_logout_redirect_uri=%2Fconsole%2Fsign-in" || len(b.cookies) != 0 {
		t.Errorf("signing out leads to %q, with %v", to, b.cookies)
	}
	for back, want := range map[string]string{
		"/console/connections?x=y": "/.auth/login/aad?post_login_redirect_uri=%2Fconsole%2Fconnections%3Fx%3Dy",
		"//evil.example":           "/.auth/login/aad?post_login_redirect_uri=%2Fconsole",
	} {
		if got := w.AppServiceURL(back); got != want {
			t.Errorf("AppServiceURL(%q) = %q", back, got)
		}
	}
}

// Each problem that can be part of an address says what to do; what is made up says nothing.
func TestProblems(t *testing.T) {
	for _, p := range []session.Problem{session.Ended, session.NoRole, session.WrongKey, session.NotOffered, session.Stale,
		session.Malformed, session.Declined, session.NeedsAdmin, session.Setup, session.Identity, session.Refused, session.Unavailable,
		session.Busy, session.OtherPage, session.OldForm, session.TooLarge, session.SignedOut} {
		if url.QueryEscape(string(p)) != string(p) || !strings.HasSuffix(p.Message(), ".") {
			t.Errorf("%q says %q", p, p.Message())
		}
	}
	if m := session.Problem("<script>").Message(); m != "" {
		t.Errorf("a made-up problem says %q", m)
	}
	for s, want := range map[string]string{"AADSTS50105": "AADSTS50105", "AADSTS": "", "AADSTS50105\n": "", "<b>AADSTS50105": "", "": ""} {
		if got := session.Code(s); got != want {
			t.Errorf("Code(%q) = %q", s, got)
		}
	}
}
