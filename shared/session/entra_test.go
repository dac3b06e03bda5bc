package session_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/session"
)

// A person signs in at Entra, comes back to the page that they asked for, and has the highest
// of their app roles for as long as the session lasts.
func TestSignInByEntra(t *testing.T) {
	w := newEntraWorld(t)
	roles := []string{"Connections.Rotate", "Connections.Read"}
	for i := range 300 { // the cookie keeps none of these
		roles = append(roles, fmt.Sprint("Another application's role ", i))
	}
	w.signed.claims["roles"] = roles
	b := w.browser()
	address := w.departs(b, "/console/connections?state=due")
	if q, err := url.Parse(address); err != nil || q.Query().Get("scope") != "openid profile" ||
		q.Query().Get("code_challenge_method") != "S256" || len(q.Query().Get("nonce")) < 43 || len(q.Query().Get("state")) < 43 {
		t.Errorf("the browser is sent to %s, %v", address, err)
	}
	q := w.approves(address)
	resp := b.returns(q)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/console/connections?state=due" ||
		b.cookies[signInCookie] != "" {
		t.Fatalf("status %d, %v, cookies %v", resp.StatusCode, resp.Header, b.cookies)
	}
	if n := len(b.cookies[sessionCookie]); n > 1000 {
		t.Errorf("the cookie has %d characters", n)
	}
	p, _ := b.get()
	if p.Name != "user:"+w.entra.ada || p.Shown != "Ada Admin" || p.Role != auth.Rotate || p.Kind != auth.KindEntra ||
		!p.Ends.Equal(w.now().Add(8*time.Hour)) {
		t.Errorf("the page says %+v", p)
	}
	for range 9 {
		w.after(50 * time.Minute)
		if p, _ := b.get(); p.Role != auth.Rotate {
			t.Fatalf("then: %+v", p)
		}
	}
	// The audit has the id, and what Entra calls them.
	if all := w.audited(); !slices.Contains(all, "console.signed-in entra user:"+w.entra.ada+" (Ada Admin) rotate 192.0.2.1:  1") {
		t.Errorf("the audit has %q", all)
	}
	if !strings.Contains(w.lines(), `"signed in to the console","caller":"user:`+w.entra.ada+`","kind":"entra","role":"rotate"`) {
		t.Errorf("the log says %s", w.lines())
	}
}

// A session is of the tenant and the application that were configured when it began.
func TestEntraIsConfiguredAnew(t *testing.T) {
	for name, change := range map[string]func(w *entraWorld){
		"another tenant":      func(w *entraWorld) { w.Entra.TenantID = w.entra.otherTenant },
		"another application": func(w *entraWorld) { w.Entra.ClientID = w.entra.other.ClientID },
		"off":                 func(w *entraWorld) { w.Entra = nil },
	} {
		w := newEntraWorld(t)
		b := w.browser()
		b.returns(w.approves(w.departs(b, "")))
		if p, _ := b.get(); p.Role != auth.Rotate {
			t.Fatalf("%s: signed in as %+v", name, p)
		}
		change(w)
		p, resp := b.get()
		if b.refused(name, resp, http.StatusSeeOther, session.Ended); p.Name != "" {
			t.Errorf("%s: it is %+v", name, p)
		}
	}
}

// A sign-in replaces the session before it.
func TestASessionIsReplaced(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	before := b.signIn(w.addKey("ci", auth.Read))
	b.returns(w.approves(w.departs(b, "")))
	if p, _ := b.get(); p.Kind != auth.KindEntra || p.Token == before.Token {
		t.Errorf("the page says %+v", p)
	}
}

func TestEntraIsOff(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.refused("leaving", b.do(http.MethodPost, session.SignInPath+"/entra", nil), http.StatusSeeOther, session.NotOffered)
	b.refused("coming", b.returns(url.Values{"state": {"x"}, "code": {"y"}}), http.StatusSeeOther, session.NotOffered)
	if len(b.cookies) != 0 {
		t.Errorf("the cookies are %v", b.cookies)
	}
}

// Visitors who leave for Entra again and again are slowed down, and take nothing from callers
// of the API whose key is wrong.
func TestLeavingIsLimited(t *testing.T) {
	w := newEntraWorld(t)
	w.Limit = auth.NewLimiter(auth.Limits{Pages: 2, Unknown: 5})
	for range 2 {
		w.departs(w.browser(), "")
	}
	b := w.browser()
	b.refused("a third", b.do(http.MethodPost, session.SignInPath+"/entra", nil), http.StatusTooManyRequests, session.Busy)
	if len(b.cookies) != 0 {
		t.Errorf("the cookies are %v", b.cookies)
	}
	for range 5 {
		if _, ok := w.Limit.AllowUnknown(w.now()); !ok {
			t.Fatal("it has used up what unknown callers have")
		}
	}
}

// A name is shown on pages: it is one line of what can be seen, and not without end.
func TestShownNames(t *testing.T) {
	for name, want := range map[string]string{
		"Ada\r\n\u202eAdmin\x00":  "AdaAdmin",
		"<b>Ada</b>":              "<b>Ada</b>", // for the page to escape
		strings.Repeat("ä", 1000): strings.Repeat("ä", 100) + "…",
		"":                        "",
		"Łukasz Ōkami 李":          "Łukasz Ōkami 李",
	} {
		w := newEntraWorld(t)
		w.signed.claims["name"] = name
		b := w.browser()
		b.returns(w.approves(w.departs(b, "")))
		p, _ := b.get()
		if want == "" {
			want = p.Name
		}
		if p.Shown != want || p.Name != "user:"+w.entra.ada {
			t.Errorf("%.20q is shown as %q", name, p.Shown)
		}
	}
}

// A person who says no at Entra is back at the sign-in page.
func TestDeclined(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	person := directory.Person{UserID: w.entra.ada, Client: w.entra.server.Client()}
	back, err := person.Decline(t.Context(), w.departs(b, "/console/connections"))
	if err != nil {
		t.Fatal(err)
	}
	resp := b.returns(back.Query())
	b.refused("declined", resp, http.StatusSeeOther, session.Declined)
	want := session.SignInPath + "?back=%2Fconsole%2Fconnections&code=AADSTS65004&problem=declined"
	if resp.Header.Get("Location") != want {
		t.Errorf("it leads to %q", resp.Header.Get("Location"))
	}
}
