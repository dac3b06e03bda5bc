package session_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/session"
)

// A session lasts eight hours from the sign-in on, however much is done in it.
func TestASessionEndsAfterEightHours(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	begun := w.now()
	p := b.signIn(w.addKey("ci", auth.Write))
	if p.Name != "ci" || p.Shown != "ci" || p.Role != auth.Write || p.Kind != auth.KindKey || !p.Begun.Equal(begun) ||
		!p.Ends.Equal(begun.Add(8*time.Hour)) {
		t.Errorf("the page says %+v", p)
	}
	old := b.cookies[sessionCookie]
	for range 9 {
		w.after(50 * time.Minute)
		if _, resp := b.get(); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s after the sign-in: status %d", w.now().Sub(begun), resp.StatusCode)
		}
	}
	w.after(30*time.Minute - time.Second) // 7:59:59
	if _, resp := b.get(); resp.StatusCode != http.StatusOK || b.cookies[sessionCookie] == old {
		t.Fatalf("%s after the sign-in: status %d", w.now().Sub(begun), resp.StatusCode)
	}
	last := b.cookies[sessionCookie]
	w.after(time.Second)
	if p, resp := b.get(); p.Name != "" || resp.Header.Get("Location") != session.SignInPath {
		t.Errorf("after eight hours the browser has still a cookie: %+v", p)
	}
	// Whatever the browser does with it, it is worth nothing.
	b.cookies[sessionCookie], b.ends[sessionCookie] = last, w.now().Add(time.Hour)
	p, resp := b.get()
	b.refused("the last cookie", resp, http.StatusSeeOther, session.Ended)
	if p.Name != "" || b.cookies[sessionCookie] != "" || !strings.Contains(w.lines(), "eight hours") {
		t.Errorf("a session of eight hours is good, or its cookie stays: %s", w.lines())
	}
}

// An hour without a request ends a session.
func TestAnIdleSessionEnds(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(w.addKey("ci", auth.Read))
	w.after(time.Hour - time.Second)
	if _, resp := b.get(); resp.StatusCode != http.StatusOK {
		t.Fatalf("before the hour: status %d", resp.StatusCode)
	}
	last := b.cookies[sessionCookie]
	w.after(time.Hour)
	b.cookies[sessionCookie], b.ends[sessionCookie] = last, w.now().Add(time.Hour)
	p, resp := b.get()
	b.refused("after an hour", resp, http.StatusSeeOther, session.Ended)
	if p.Name != "" || !strings.Contains(w.lines(), "an hour has passed") {
		t.Errorf("an idle session is good: %s", w.lines())
	}
}

// The cookie is renewed at most once a minute, so that pages that are opened one after
// another need not each set one.
func TestACookieIsRenewedOnceAMinute(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(w.addKey("ci", auth.Read))
	set := b.set
	for range 12 { // two minutes
		w.after(10 * time.Second)
		if _, resp := b.get(); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	if b.set != set+2 {
		t.Errorf("%d cookies in two minutes", b.set-set)
	}
}

// Where browsers reach Rekey by plain http, on loopback, the cookie has neither the prefix
// nor Secure, since some browsers would drop it; everywhere else it has both.
func TestCookiesOnLoopback(t *testing.T) {
	for address, name := range map[string]string{"http://127.0.0.1:7071": "rekey-session", public: sessionCookie, "": sessionCookie} {
		w := newWorld(t)
		w.PublicURL = address
		b := w.browser()
		b.signIn(w.addKey("ci", auth.Read))
		if len(b.cookies) != 1 || b.cookies[name] == "" {
			t.Errorf("%q: the cookies are %v", address, b.cookies)
		}
	}
}

// What a browser may send as a cookie without being signed in: a request with any of it is
// led to the sign-in page.
func TestForgedSessions(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Admin)
	b := w.browser()
	b.signIn(key)
	good := b.cookies[sessionCookie]
	raw := decoded(t, good)
	flipped := func(i int) string {
		c := append([]byte(nil), raw...)
		c[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(c)
	}
	other := newWorld(t) // another vault
	stranger := other.browser()
	stranger.signIn(other.addKey("ci", auth.Admin))

	elsewhere := w.instance() // another deployment at the same vault
	elsewhere.Deployment = "test-2"
	neighbour := w.browser()
	neighbour.m = elsewhere
	neighbour.signIn(key)

	for name, cookie := range map[string]string{
		"text":              "admin",
		"no base64":         "{}",
		"one byte":          "AA",
		"zeros":             strings.Repeat("A", len(good)),
		"the nonce changed": flipped(0),
		"the content":       flipped(20),
		"the tag changed":   flipped(len(raw) - 1),
		"cut off":           good[:len(good)-4],
		"the nonce alone":   good[:16],
		"something after":   good + "AAAA",
		"padded":            good + "=",
		"twice":             good + good,
		"plain JSON": base64.RawURLEncoding.EncodeToString([]byte(
			`{"kind":"api-key","name":"ci","begun":"2031-01-01T00:00:00Z","seen":"2031-01-01T00:00:00Z"}`)),
		"oversized":             strings.Repeat("A", 5000),
		"of another vault":      stranger.cookies[sessionCookie],
		"of another deployment": neighbour.cookies[sessionCookie],
	} {
		t.Run(name, func(t *testing.T) {
			b := w.browser()
			b.cookies[sessionCookie], b.ends[sessionCookie] = cookie, w.now().Add(time.Hour)
			p, resp := b.get()
			if p.Name != "" || resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), session.SignInPath) {
				t.Errorf("status %d, %+v", resp.StatusCode, p)
			}
		})
	}
	if p, _ := b.get(); p.Name != "ci" {
		t.Error("the good cookie is refused too, so that this test shows nothing")
	}
}

// A request without a session is led to the sign-in page, and from there back.
func TestWithoutASession(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for address, want := range map[string]string{
		"/console":                     "/console/sign-in",
		"/console/connections":         "/console/sign-in?back=%2Fconsole%2Fconnections",
		"/console/connections?state=x": "/console/sign-in?back=%2Fconsole%2Fconnections%3Fstate%3Dx",
		"/console/a%2F..%2F..%2Fb":     "/console/sign-in",
		"/console//evil.example":       "/console/sign-in",
	} {
		_, resp := b.opens(http.MethodGet, address, nil)
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != want || resp.Header.Get("Problem") != "" {
			t.Errorf("%s: status %d to %q, want %q", address, resp.StatusCode, resp.Header.Get("Location"), want)
		}
	}
	_, resp := b.opens(http.MethodPost, "/console/connections/1/rotate", nil)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != session.SignInPath+"?problem=unsent" {
		t.Errorf("POST: status %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if strings.Contains(w.lines(), "console/") {
		t.Errorf("the log has an address: %s", w.lines())
	}
}

// Signing out takes the cookie away, and says that a copy of it is still good.
func TestSignOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(w.addKey("ci", auth.Read))
	copied := b.cookies[sessionCookie]
	resp := b.do(http.MethodPost, "/console/sign-out", map[string][]string{session.TokenField: {p.Token}})
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/console/sign-in?problem=signed-out" {
		t.Errorf("status %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if p, _ := b.get(); p.Name != "" || len(b.cookies) != 0 {
		t.Errorf("still signed in as %+v, with %v", p, b.cookies)
	}
	b.cookies[sessionCookie], b.ends[sessionCookie] = copied, w.now().Add(time.Hour)
	if p, _ := b.get(); p.Name != "ci" || !strings.Contains(session.SignedOut.Message(), "good until the session's end") {
		t.Errorf("a copy of the cookie: %+v; the page says %q", p, session.SignedOut.Message())
	}
	for _, line := range []string{`"signed in to the console","caller":"ci","kind":"api-key","role":"read"`, `"signed out of the console"`} {
		if !strings.Contains(w.lines(), line) {
			t.Errorf("the log has no %s: %s", line, w.lines())
		}
	}
}
