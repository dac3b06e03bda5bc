package session_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/session"
)

// Every form carries the token of its own session, once. What does not is refused, whatever
// its method is.
func TestFormTokens(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Admin)
	b, other := w.browser(), w.browser()
	p, q := b.signIn(key), other.signIn(key)
	if p.Token == q.Token || len(p.Token) < 43 {
		t.Fatalf("the tokens are %q and %q", p.Token, q.Token)
	}
	before := b.signIn(key)
	if p = b.signIn(key); before.Token == p.Token {
		t.Fatal("two sessions of one browser have one token")
	}
	const address = "/console/connections/1/rotate"
	if got, resp := b.opens(http.MethodPost, address, url.Values{session.TokenField: {p.Token}, "x": {"y"}}); got.Name != "ci" {
		t.Fatalf("the right token: status %d", resp.StatusCode)
	}
	for name, form := range map[string]url.Values{
		"none":                     {"x": {"y"}},
		"empty":                    {session.TokenField: {""}},
		"another session's":        {session.TokenField: {q.Token}},
		"the session's before":     {session.TokenField: {before.Token}},
		"cut off":                  {session.TokenField: {p.Token[:len(p.Token)-1]}},
		"in other case":            {session.TokenField: {strings.ToLower(p.Token)}},
		"twice":                    {session.TokenField: {p.Token, p.Token}},
		"the right and a wrong":    {session.TokenField: {p.Token, q.Token}},
		"the session's own cookie": {session.TokenField: {b.cookies[sessionCookie]}},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
			_, resp := b.opens(method, address, form)
			b.refused(method+" with the token "+name, resp, http.StatusForbidden, session.OldForm)
		}
	}
	_, resp := b.opens(http.MethodPost, address+"?"+session.TokenField+"="+p.Token, url.Values{"x": {"y"}})
	b.refused("the token in the address", resp, http.StatusForbidden, session.OldForm)
	_, resp = b.opens(http.MethodDelete, address, url.Values{session.TokenField: {p.Token}})
	b.refused("DELETE, which has no form", resp, http.StatusForbidden, session.OldForm)
	_, resp = b.opens(http.MethodPost, address, url.Values{session.TokenField: {p.Token}, "x": {strings.Repeat("y", 300<<10)}})
	b.refused("a form of 300 KiB", resp, http.StatusRequestEntityTooLarge, session.TooLarge)
	if !strings.Contains(w.lines(), `"caller":"ci","kind":"api-key","reason":"old-form"`) {
		t.Errorf("the log says %s", w.lines())
	}
}

// A form may have a file in it.
func TestFormsWithFiles(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(w.addKey("ci", auth.Admin))
	send := func(token string) *http.Response {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		file, err := form.CreateFormFile("certificate", "key.pfx")
		if err != nil {
			t.Fatal(err)
		}
		file.Write(bytes.Repeat([]byte{0}, 10_000))
		form.WriteField(session.TokenField, token)
		form.Close()
		r := httptest.NewRequest(http.MethodPost, "/console/connect", &body)
		r.Header.Set("Content-Type", form.FormDataContentType())
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return b.send(r)
	}
	if resp := send(p.Token); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
	}
	b.refused("a wrong token", send("x"), http.StatusForbidden, session.OldForm)

	r := httptest.NewRequest(http.MethodPost, "/console/connect", strings.NewReader(session.TokenField+"="+p.Token))
	r.Header.Set("Content-Type", "multipart/form-data") // without a boundary
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	b.refused("no multipart at all", b.send(r), http.StatusForbidden, session.OldForm)
	r = httptest.NewRequest(http.MethodPost, "/console/connect", strings.NewReader(`{"`+session.TokenField+`":"`+p.Token+`"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	b.refused("JSON", b.send(r), http.StatusForbidden, session.OldForm)
}

// A request that changes something comes from a page of the console, also with the right
// token, and also where there is no session yet. To look is not restricted.
func TestOtherOrigins(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Admin)
	b := w.browser()
	p := b.signIn(key)
	forms := map[string]url.Values{
		"/console/connections/1/rotate": {session.TokenField: {p.Token}},
		"/console/sign-out":             {session.TokenField: {p.Token}},
		session.SignInPath + "/key":     {"key": {key}},
		session.SignInPath + "/entra":   {},
	}
	for name, header := range map[string]http.Header{
		"another site":           {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"a site of the domain":   {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://other.rekey.example"}},
		"the address bar":        {"Sec-Fetch-Site": {"none"}},
		"another Origin":         {"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}},
		"no Origin to tell":      {"Sec-Fetch-Site": nil, "Origin": {"null"}},
		"plain http":             {"Sec-Fetch-Site": nil, "Origin": {"http://rekey.example"}},
		"neither of the two":     {"Sec-Fetch-Site": nil},
		"another, said to be us": {"Sec-Fetch-Site": {"cross-site"}, "Origin": {public}},
	} {
		b.header = header
		for address, form := range forms {
			set := b.set
			_, resp := b.opens(http.MethodPost, address, form)
			b.refused(address+" from "+name, resp, http.StatusForbidden, session.OtherPage)
			if b.set != set {
				t.Errorf("%s from %s set a cookie", address, name)
			}
		}
	}
	b.header = http.Header{"Sec-Fetch-Site": nil, "Origin": {public}}
	if got, resp := b.opens(http.MethodPost, "/console/x", forms["/console/sign-out"]); got.Name != "ci" {
		t.Errorf("our own Origin: status %d", resp.StatusCode)
	}
	b.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	if got, resp := b.get(); got.Name != "ci" {
		t.Errorf("a link on another site: status %d", resp.StatusCode)
	}
}

// A form that comes after the end of its session is not done, which is told; the person is led back to its page.
// By then the browser may have dropped the cookie.
func TestFormsAfterTheSession(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(w.addKey("ci", auth.Admin))
	last := b.cookies[sessionCookie]
	w.after(session.Idle)
	for from, back := range map[string]string{
		"https://rekey.example/console/connect?method=oauth&done=x": "&back=%2Fconsole%2Fconnect%3Fmethod%3Doauth",
		"https://rekey.example/console":                             "",
		"https://evil.example//evil.example/console":                "",
		"": "",
	} {
		for _, cookie := range []string{last, ""} {
			b.header.Set("Referer", from)
			b.cookies[sessionCookie], b.ends[sessionCookie] = cookie, w.now().Add(time.Hour)
			_, resp := b.opens(http.MethodPost, "/console/connect?method=oauth", url.Values{"name": {"typed"}})
			b.refused("from "+from, resp, http.StatusSeeOther, session.Unsent)
			want, err := url.Parse(session.SignInPath + "?problem=unsent" + back)
			if got, bad := url.Parse(resp.Header.Get("Location")); err != nil || bad != nil || got.Path != want.Path ||
				got.Query().Encode() != want.Query().Encode() {
				t.Errorf("from %q it leads to %s", from, got)
			}
		}
	}
	if !strings.Contains(session.Unsent.Message(), "nothing was done") {
		t.Error("it is not told that nothing was done")
	}
}
