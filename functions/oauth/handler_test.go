package oauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	pages "rekey/functions/oauth"
	"rekey/shared/oauth"
)

// state is what must be seen nowhere but in the address that the visitor came with.
const state = "AAAAAAAAAAAAAA-UNSEEN-state-AAAAAAAAAAAAAAAA"

// fakeFlow says what a test wants, and counts what was asked.
type fakeFlow struct {
	invitation oauth.Invitation
	landing    oauth.Landing
	result     oauth.Result
	problem    oauth.Problem
	asked      []string
}

func (f *fakeFlow) Open(_ context.Context, s string) (oauth.Invitation, oauth.Problem) {
	f.asked = append(f.asked, "open "+s)
	return f.invitation, f.problem
}

func (f *fakeFlow) Approve(_ context.Context, s string, _ oauth.Jar) (oauth.Departure, oauth.Problem) {
	f.asked = append(f.asked, "approve "+s)
	return oauth.Departure{URL: "https://entra.example/authorize?state=x", Cookie: &http.Cookie{Name: "n", Value: "v"}}, f.problem
}

func (f *fakeFlow) Callback(context.Context, string, oauth.Jar) oauth.Landing {
	f.asked = append(f.asked, "callback")
	return f.landing
}

func (f *fakeFlow) Result(_ context.Context, flow string, _ oauth.Jar) (oauth.Result, oauth.Problem) {
	f.asked = append(f.asked, "result "+flow)
	return f.result, f.problem
}

// visit sends one request; edits are pairs of a header's name and value.
func visit(t *testing.T, f pages.Flow, method, path string, edits ...string) *http.Response {
	t.Helper()
	var log bytes.Buffer
	h := &pages.Handler{Flow: f, PublicURL: "https://rekey.example", AuthorityURL: "https://entra.example/",
		Log: slog.New(slog.NewJSONHandler(&log, nil))}
	r := httptest.NewRequestWithContext(t.Context(), method, "https://internal.example"+path, nil)
	for i := 0; i < len(edits); i += 2 {
		r.Header.Set(edits[i], edits[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if strings.Contains(log.String(), "UNSEEN") || strings.Contains(w.Body.String(), "UNSEEN") {
		t.Errorf("%s %s: a state or code is in the log or on the page", method, path)
	}
	resp := w.Result()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s %s: %s is %q", method, path, name, got)
		}
	}
	csp := resp.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "style-src 'sha256-"} {
		if !strings.Contains(csp, part) {
			t.Errorf("%s %s: the policy %q lacks %q", method, path, csp, part)
		}
	}
	return resp
}

func TestPagesByMethod(t *testing.T) {
	own := []string{"Sec-Fetch-Site", "same-origin"}
	for _, test := range []struct {
		method, path string
		headers      []string
		status       int
		asked        string
	}{
		{"GET", "start?state=" + state, nil, 200, "open " + state},
		{"HEAD", "start?state=" + state, nil, 200, "open " + state},
		{"GET", "start?state=" + state + "&state=" + state, nil, 200, "open "},
		{"POST", "start?state=" + state, own, 303, "approve " + state},
		{"POST", "start?state=" + state, []string{"Origin", "https://rekey.example"}, 303, "approve " + state},
		{"POST", "start?state=" + state, []string{"Origin", "null"}, 403, ""},
		{"POST", "start?state=" + state, []string{"Origin", "https://evil.example"}, 403, ""},
		{"POST", "start?state=" + state, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://rekey.example"}, 403, ""},
		{"POST", "start?state=" + state, []string{"Sec-Fetch-Site", "same-site"}, 403, ""},
		{"POST", "start?state=" + state, []string{"Sec-Fetch-Site", "none"}, 403, ""},
		{"POST", "start?state=" + state, nil, 403, ""},
		{"PUT", "start?state=" + state, own, 405, ""},
		{"GET", "callback?state=" + state + "&code=UNSEEN", nil, 303, "callback"},
		{"HEAD", "callback?state=" + state + "&code=UNSEEN", nil, 200, ""},
		{"POST", "callback?state=" + state + "&code=UNSEEN", own, 405, ""},
		{"GET", "result?flow=abc", nil, 200, "result abc"},
		{"HEAD", "result?flow=abc", nil, 200, "result abc"},
		{"POST", "result?flow=abc", own, 405, ""},
		{"GET", "result?problem=expired", nil, 410, ""},
		{"GET", "result?problem=consent-given", nil, 200, ""},
		{"GET", "result?problem=%3Cscript%3E", nil, 404, ""},
		{"GET", "", nil, 404, ""},
		{"GET", "UNSEEN-step", nil, 404, ""},
		{"GET", "start/?state=" + state, nil, 200, "open " + state},
		{"GET", "start//?state=" + state, nil, 404, ""},
		{"GET", "%73tart?state=" + state, nil, 404, ""},
		{"GET", "start/../callback?code=UNSEEN", nil, 404, ""},
	} {
		f := &fakeFlow{landing: oauth.Landing{Flow: "abc"}, result: oauth.Result{Outcome: oauth.Outcome{Kind: oauth.Connected}}}
		resp := visit(t, f, test.method, oauth.Base+test.path, test.headers...)
		if got := strings.Join(f.asked, ", "); resp.StatusCode != test.status || got != test.asked {
			t.Errorf("%s %s %v: status %d, asked %q; want %d, %q", test.method, test.path, test.headers, resp.StatusCode, got,
				test.status, test.asked)
		}
		if resp.StatusCode == 405 && !strings.Contains(resp.Header.Get("Allow"), "GET") {
			t.Errorf("%s %s: allows %q", test.method, test.path, resp.Header.Get("Allow"))
		}
		if to := resp.Header.Get("Location"); to != "" && !strings.HasPrefix(to, "https://entra.example/") &&
			!strings.HasPrefix(to, "https://rekey.example"+oauth.ResultPath+"?") {
			t.Errorf("%s %s: leads to %q", test.method, test.path, to)
		}
	}
}

// Whatever callers and Entra have written is text on the pages, never markup.
func TestPagesEscape(t *testing.T) {
	const evil = `"><script>alert(1)</script><a href="javascript:x">`
	f := &fakeFlow{
		invitation: oauth.Invitation{RequestedBy: evil, Name: evil, Description: evil, TenantID: evil, Rotates: evil, ExpiresAt: time.Now()},
		result: oauth.Result{Name: evil, TenantID: evil, AdminConsentURL: "javascript:alert(1)", Outcome: oauth.Outcome{
			Kind: oauth.NeedsAdmin, Entra: evil, ConnectionID: evil, Message: evil,
		}},
	}
	for path, values := range map[string]int{"start?state=" + state: 5, "result?flow=abc": 5} {
		resp := visit(t, f, "GET", oauth.Base+path)
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		if text := body.String(); strings.Contains(text, "<script") || strings.Contains(text, `href="javascript:`) ||
			strings.Count(text, "&lt;script&gt;") != values {
			t.Errorf("%s: not %d values, escaped: %s", path, values, text)
		}
	}
}

// The start page's form may lead to Entra and on to whom Entra trusts; no other page's
// form may lead anywhere.
func TestPolicy(t *testing.T) {
	f := &fakeFlow{result: oauth.Result{Outcome: oauth.Outcome{Kind: oauth.Connected}}}
	csp := visit(t, f, "GET", oauth.Base+"start?state="+state).Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' https:;") {
		t.Errorf("start: %s", csp)
	}
	csp = visit(t, f, "GET", oauth.Base+"result?flow=abc").Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'none';") {
		t.Errorf("result: %s", csp)
	}
}

func TestPagesAsJSON(t *testing.T) {
	type answer struct {
		StatusCode                                                      int
		Error, Message, Problem, Outcome, AuthorizationURL, Name, Entra string
		RequestedBy                                                     string
	}
	for _, test := range []struct {
		name, method, path string
		flow               *fakeFlow
		status             int
		want               func(a answer) bool
	}{
		{"start", "GET", "start?state=" + state, &fakeFlow{invitation: oauth.Invitation{RequestedBy: "alice", Name: "billing"}}, 200,
			func(a answer) bool { return a.RequestedBy == "alice" && a.Name == "billing" }},
		{"button", "POST", "start?state=" + state, &fakeFlow{}, 200,
			func(a answer) bool { return strings.HasPrefix(a.AuthorizationURL, "https://entra.example/") }},
		{"problem", "GET", "start?state=" + state, &fakeFlow{problem: oauth.Used}, 410, func(a answer) bool {
			return a.Problem == "used" && a.StatusCode == 410 && a.Error == "Gone" && a.Message != ""
		}},
		{"connected", "GET", "result?flow=abc", &fakeFlow{result: oauth.Result{Name: "billing", Outcome: oauth.Outcome{Kind: oauth.Connected}}},
			200, func(a answer) bool { return a.Outcome == "connected" && a.Error == "" }},
		{"declined", "GET", "result?flow=abc",
			&fakeFlow{result: oauth.Result{Outcome: oauth.Outcome{Kind: oauth.Declined, Entra: "access_denied"}}}, 400, func(a answer) bool {
				return a.Outcome == "declined" && a.Error == "BadRequest" && a.Entra == "access_denied"
			}},
		{"working", "GET", "result?flow=abc", &fakeFlow{result: oauth.Result{Outcome: oauth.Outcome{Kind: oauth.Working}}}, 202,
			func(a answer) bool { return a.Outcome == "still-working" && a.Error == "" }},
		{"no page", "GET", "nothing", &fakeFlow{}, 404, func(a answer) bool { return a.Error == "NotFound" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := visit(t, test.flow, test.method, oauth.Base+test.path, "Accept", "application/json", "Sec-Fetch-Site", "same-origin")
			var got answer
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != test.status || !test.want(got) {
				t.Errorf("status %d, %+v, %v", resp.StatusCode, got, err)
			}
		})
	}
	if kind := visit(t, &fakeFlow{}, "GET", oauth.Base+"start?state="+state, "Accept",
		"text/html,application/json;q=0.9").Header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
		t.Errorf("a browser gets %s", kind)
	}
}

// Only a page that waits asks again by itself.
func TestRefresh(t *testing.T) {
	for kind, want := range map[oauth.Kind]bool{oauth.Working: true, oauth.Connected: false, oauth.Interrupted: false} {
		resp := visit(t, &fakeFlow{result: oauth.Result{Outcome: oauth.Outcome{Kind: kind}}}, "GET", oauth.Base+"result?flow=abc")
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(body.String(), `http-equiv="refresh"`); got != want {
			t.Errorf("%s: asks again: %v", kind, got)
		}
	}
}

func TestOff(t *testing.T) {
	if resp := visit(t, nil, "GET", oauth.Base+"start?state="+state); resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", resp.StatusCode)
	}
}
