package session_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/serviceerror"
	"rekey/shared/session"
)

// attempt is a sign-in that is about to come back.
type attempt struct {
	w *entraWorld
	b *browser
	q url.Values
}

// Every answer that is not what was asked for leads back to the sign-in page, without a
// session; and Entra is asked to redeem only what this browser has begun.
func TestAttacksOnEntrasAnswer(t *testing.T) {
	// begun is another sign-in, of another browser.
	begun := func(a *attempt) (*browser, url.Values) {
		other := a.w.browser()
		return other, a.w.approves(a.w.departs(other, ""))
	}
	for name, tt := range map[string]struct {
		spoil   func(a *attempt)
		problem session.Problem
		redeems int
		says    string // in the log
	}{
		"no parameters":   {func(a *attempt) { a.q = url.Values{} }, session.Stale, 0, "not begun in this browser"},
		"no state":        {func(a *attempt) { a.q.Del("state") }, session.Stale, 0, "not begun in this browser"},
		"a made-up state": {func(a *attempt) { a.q.Set("state", strings.Repeat("A", 52)) }, session.Stale, 0, "not begun in this browser"},
		"the state of another browser": {func(a *attempt) {
			_, q := begun(a)
			a.q.Set("state", q.Get("state"))
		}, session.Stale, 0, "not begun in this browser"},
		"the answer for another browser": {func(a *attempt) { _, a.q = begun(a) }, session.Stale, 0, "not begun in this browser"},
		"the cookie of another browser": {func(a *attempt) {
			other, _ := begun(a)
			a.b.cookies[signInCookie] = other.cookies[signInCookie]
		}, session.Stale, 0, "not begun in this browser"},
		"two states":     {func(a *attempt) { a.q.Add("state", a.q.Get("state")) }, session.Malformed, 0, "can't be read"},
		"two codes":      {func(a *attempt) { a.q.Add("code", "second") }, session.Malformed, 0, "can't be read"},
		"a huge answer":  {func(a *attempt) { a.q.Set("x", strings.Repeat("x", 20<<10)) }, session.Malformed, 0, "can't be read"},
		"no code":        {func(a *attempt) { a.q.Del("code") }, session.Malformed, 0, "no code"},
		"no cookie":      {func(a *attempt) { clear(a.b.cookies) }, session.Stale, 0, "not begun in this browser"},
		"made-up cookie": {func(a *attempt) { a.b.cookies[signInCookie] = strings.Repeat("A", 400) }, session.Stale, 0, "not begun"},
		"a session's cookie": {func(a *attempt) {
			signed := a.w.browser()
			signed.signIn(a.w.addKey("ci", auth.Admin))
			a.b.cookies[signInCookie] = signed.cookies[sessionCookie]
			a.q.Del("state") // which a session does not have either
		}, session.Stale, 0, "not begun in this browser"},
		"too late": {func(a *attempt) {
			a.w.after(10 * time.Minute)
			a.b.ends[signInCookie] = a.w.now().Add(time.Hour)
		}, session.Stale, 0, "has expired"},
		"another issuer": {func(a *attempt) { a.q.Set("iss", "https://entra.example/"+a.w.entra.otherTenant+"/v2.0") },
			session.Identity, 0, "another issuer"},
		"declined": {func(a *attempt) {
			a.q = url.Values{"state": a.q["state"], "error": {"access_denied"}, "error_description": {"AADSTS65004: declined"}}
		}, session.Declined, 0, "Entra refuses: declined AADSTS65004"},
		"error and code": {func(a *attempt) { a.q.Set("error", "access_denied") }, session.Declined, 0, "Entra refuses: declined"},
		"not assigned": {func(a *attempt) {
			a.q.Set("error", "invalid_request")
			a.q.Set("error_description", "AADSTS50105: <b>not assigned</b>")
		}, session.Refused, 0, "Entra refuses: refused AADSTS50105"},
		"a made-up code": {func(a *attempt) { a.q.Set("code", "never-issued") }, session.Stale, 1, "code-spent"},
		"the code of another browser: its verifier": {func(a *attempt) {
			_, q := begun(a)
			a.q.Set("code", q.Get("code"))
		}, session.Stale, 1, "AADSTS501481"},
		"our secret is wrong": {func(a *attempt) {
			a.w.signed.fail = &serviceerror.Error{Op: "redeeming", Class: serviceerror.Invalid, Status: 401, Code: "AADSTS7000215"}
		}, session.Setup, 1, "AADSTS7000215"},
		"Entra is away": {func(a *attempt) {
			a.w.signed.fail = &serviceerror.Error{Op: "redeeming", Class: serviceerror.Transient}
		},
			session.Unavailable, 1, "transient"},
		"an ID token of another sign-in": {func(a *attempt) { a.w.signed.claims["nonce"] = "of another" }, session.Identity, 1, "nonce"},
		"without a nonce":                {func(a *attempt) { a.w.signed.claims["nonce"] = "" }, session.Identity, 1, "nonce"},
		"for another application": {func(a *attempt) { a.w.signed.claims["aud"] = a.w.entra.other.ClientID }, session.Identity, 1,
			"audience"},
		"of another tenant": {func(a *attempt) {
			other := a.w.entra.otherTenant
			a.w.signed.claims["tid"], a.w.signed.claims["iss"] = other, a.w.entra.server.URL+"/"+other+"/v2.0"
		}, session.Identity, 1, "tenant"},
		"of another issuer":    {func(a *attempt) { a.w.signed.claims["iss"] = "https://evil.example/v2.0" }, session.Identity, 1, "issuer"},
		"expired":              {func(a *attempt) { a.w.signed.claims["exp"] = int64(1_000_000_000) }, session.Identity, 1, "expired"},
		"without an object id": {func(a *attempt) { a.w.signed.claims["oid"] = "ada@example.com" }, session.Identity, 1, "malformed"},
		"no roles":             {func(a *attempt) { a.w.signed.claims["roles"] = nil }, session.NoRole, 1, "no-role"},
		"other roles": {func(a *attempt) {
			a.w.signed.claims["roles"] = []string{"Admin", "connections.admin", "Connections.Admin ", "Connections.Write.All"}
		}, session.NoRole, 1, "no-role"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &attempt{w: newEntraWorld(t)}
			a.b = a.w.browser()
			a.q = a.w.approves(a.w.departs(a.b, "/console/connections"))
			tt.spoil(a)
			asked := a.w.signed.asked
			resp := a.b.returns(a.q)
			a.b.refused(name, resp, http.StatusSeeOther, tt.problem)
			to := resp.Header.Get("Location")
			if !strings.HasPrefix(to, session.SignInPath+"?") || strings.ContainsAny(to, "<> ") {
				t.Errorf("it leads to %q", to)
			}
			if p, _ := a.b.get(); p.Name != "" || a.b.cookies[sessionCookie] != "" {
				t.Errorf("signed in as %+v", p)
			}
			if n := a.w.signed.asked - asked; n != tt.redeems {
				t.Errorf("Entra was asked %d times to redeem a code, want %d", n, tt.redeems)
			}
			if !strings.Contains(a.w.lines(), tt.says) || strings.Contains(a.w.lines(), "<b>") {
				t.Errorf("the log does not say %q: %s", tt.says, a.w.lines())
			}
			if all := a.w.audited(); !slices.ContainsFunc(all, func(line string) bool {
				return strings.HasPrefix(line, "console.refused") && strings.Contains(line, tt.says)
			}) {
				t.Errorf("the audit does not say %q: %q", tt.says, all)
			}
		})
	}
}

// An answer is good once: not again in the same browser, nor with copies of its cookie and
// code, here or at another instance, where Entra refuses the code.
func TestAReplayedAnswer(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	q := w.approves(w.departs(b, ""))
	copied := b.cookies[signInCookie]
	b.returns(q)
	if p, _ := b.get(); p.Name == "" {
		t.Fatal("not signed in")
	}
	for name, tt := range map[string]struct {
		m       *session.Manager
		cookie  string
		redeems int
	}{
		"in the same browser": {w.Manager, "", 0}, "with a copy of the cookie": {w.Manager, copied, 0},
		"at another instance": {w.instance(), copied, 1},
	} {
		thief := w.browser()
		thief.m = tt.m
		if tt.cookie != "" {
			thief.cookies[signInCookie], thief.ends[signInCookie] = tt.cookie, w.now().Add(time.Hour)
		}
		asked := w.signed.asked
		thief.refused(name, thief.returns(q), http.StatusSeeOther, session.Stale)
		if p, _ := thief.get(); p.Name != "" || w.signed.asked-asked != tt.redeems {
			t.Errorf("%s: signed in as %+v; Entra was asked %d times", name, p, w.signed.asked-asked)
		}
	}
}

// A sign-in that was refused is used up as well: made-up codes can't be tried with it.
func TestACodeIsTriedOnce(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	q := w.approves(w.departs(b, ""))
	cookie := b.cookies[signInCookie]
	q.Set("code", "made-up")
	for i := range 20 {
		b.cookies[signInCookie], b.ends[signInCookie] = cookie, w.now().Add(time.Hour)
		b.refused("a made-up code", b.returns(q), http.StatusSeeOther, session.Stale)
		if w.signed.asked != 1 {
			t.Fatalf("try %d: Entra was asked %d times", i, w.signed.asked)
		}
	}
}

// A stranger who makes the browser open the callback does not disturb a sign-in that is under
// way; two that were begun one after the other leave the later one.
func TestASignInIsNotDisturbed(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	first := w.approves(w.departs(b, "/console/first"))
	second := w.approves(w.departs(b, "/console/second"))
	b.refused("a stranger's link", b.returns(url.Values{"state": {"x"}, "code": {"y"}}), http.StatusSeeOther, session.Stale)
	b.refused("the first", b.returns(first), http.StatusSeeOther, session.Stale)
	if resp := b.returns(second); resp.Header.Get("Location") != "/console/second" {
		t.Errorf("the second leads to %q", resp.Header.Get("Location"))
	}
}

// The cookie of a sign-in that is under way is no session.
func TestASignInIsNoSession(t *testing.T) {
	w := newEntraWorld(t)
	b := w.browser()
	w.departs(b, "")
	b.cookies[sessionCookie], b.ends[sessionCookie] = b.cookies[signInCookie], w.now().Add(time.Hour)
	_, resp := b.get()
	b.refused("a sign-in's cookie", resp, http.StatusSeeOther, session.Ended)
	if !strings.Contains(w.lines(), "the cookie does not open") {
		t.Errorf("the log says %s", w.lines())
	}
}
