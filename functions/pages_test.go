package functions_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/oauth"
)

// elsewhere is an address that no visitor may be led to, in all the places where a
// server might look for one.
const (
	elsewhere      = "https://evil.example/"
	elsewhereQuery = "&return_to=//evil.example&returnUrl=https://evil.example&redirect_uri=https://evil.example" +
		"&next=/%5cevil.example&url=https:evil.example&RelayState=https://evil.example" +
		"&authority=https://evil.example&iss_url=https://evil.example"
	elsewhereHeaders = "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n" +
		"X-Forwarded-Prefix: //evil.example\r\nX-Original-Host: evil.example\r\nX-Host: evil.example\r\n" +
		"Forwarded: host=evil.example;proto=https\r\nX-Original-URL: https://evil.example/\r\nReferer: " + elsewhere + "\r\n"
	injected = "x%0d%0aX-Injected:%20yes%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0a%3Cscript%3E"
)

// invited is a link for a person, and the state in it.
func (w *world) invited(name string) (link, state string) {
	w.Helper()
	type begun struct{ AuthorizationURL string }
	link = decode[begun](w.T, w.call(auth.Write, http.MethodPost, secrets+"/oauth/authorize",
		object{"name": name, "tenantId": w.stack.TenantID})).AuthorizationURL
	u, err := url.Parse(link)
	if err != nil {
		w.Fatal(err)
	}
	return link, u.Query().Get("state")
}

// leads requires that an answer leads to Rekey's own pages, to Entra for its own
// redirect URI, or nowhere, and has nothing of what was smuggled in.
func (w *world) leads(what string, got reply) {
	w.Helper()
	if to := got.header.Get("Location"); to != "" && !strings.HasPrefix(to, w.url+oauth.ResultPath+"?") {
		u, err := url.Parse(to)
		if err != nil || !strings.HasPrefix(to, w.stack.AuthorityURL+"/"+w.stack.TenantID+"/oauth2/v2.0/authorize?") ||
			u.Query().Get("redirect_uri") != w.url+oauth.CallbackPath {
			w.Errorf("%s leads to %q", what, to)
		}
	}
	for name, values := range got.header {
		for _, value := range values {
			if name == "X-Injected" || strings.Contains(value, "evil") || strings.ContainsAny(value, "\r\n") {
				w.Errorf("%s: header %s: %q", what, name, value)
			}
		}
	}
	for _, cookie := range (&http.Response{Header: got.header}).Cookies() {
		if !strings.HasPrefix(cookie.Name, "rekey-oauth-") || cookie.Domain != "" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			w.Errorf("%s sets %s", what, cookie)
		}
	}
	if strings.Contains(string(got.body), "evil.example") || strings.Contains(string(got.body), "<script") {
		w.Errorf("%s: the page has %s", what, got.body)
	}
}

// No page leads to an address that an attacker wrote into the link, a header or the name of
// the host, and none takes a header's line from there.
func TestPagesLeadNowhereElse(t *testing.T) {
	t.Parallel()
	w, people := newOAuthWorld(t)
	link, state := w.invited("tenant")
	_, other := w.invited("other")
	const button = "Sec-Fetch-Site: same-origin\r\n"
	for _, c := range []struct {
		method, target, headers string
		status                  int
	}{
		{"GET", oauth.StartPath + "?state=" + state, "", 200},
		{"GET", oauth.StartPath + "?state=" + injected, "", 404},
		{"GET", oauth.StartPath + "?state=" + state + "&state=" + injected, "", 404},
		{"POST", oauth.StartPath + "?state=" + other, button, 303},
		{"POST", oauth.StartPath + "?state=" + other, button + "Accept: application/json\r\n", 200},
		{"POST", oauth.StartPath + "?state=" + injected, button, 404},
		{"GET", oauth.CallbackPath + "?code=x&state=" + state, "", 303},
		{"GET", oauth.CallbackPath + "?code=" + injected + "&state=" + injected, "", 303},
		{"GET", oauth.CallbackPath + "?error=" + injected + "&error_description=" + injected + "&error_uri=" + elsewhere + "&state=" +
			injected, "", 303},
		{"GET", oauth.CallbackPath + "?admin_consent=True&tenant=" + injected + "&state=" + injected, "", 303},
		{"GET", oauth.CallbackPath + "?admin_consent=" + injected, "", 303},
		{"HEAD", oauth.CallbackPath + "?code=x&state=" + state, "", 200},
		{"GET", oauth.ResultPath + "?flow=" + injected, "", 404},
		{"GET", oauth.ResultPath + "?problem=" + injected, "", 404},
		{"GET", oauth.ResultPath + "?problem=used", "", 410},
		{"GET", oauth.ResultPath, "Accept: application/json\r\n", 404},
	} {
		for _, smuggled := range []struct{ query, headers string }{{"", ""}, {elsewhereQuery, ""}, {"", elsewhereHeaders},
			{elsewhereQuery, elsewhereHeaders}} {
			target := c.target
			if smuggled.query != "" && !strings.Contains(target, "?") {
				target += "?"
			}
			what := fmt.Sprintf("%s %s%s with %q", c.method, target, smuggled.query, smuggled.headers)
			got := w.exchange(wire{c.method, target + smuggled.query, c.headers + smuggled.headers, ""})
			if got.status != c.status {
				t.Errorf("%s: status %d, want %d", what, got.status, c.status)
			}
			w.leads(what, got)
		}
	}
	// After all that the link is as good as it was.
	if page := w.connect(link, people.Administrator); !strings.Contains(page, `class="connected"`) {
		t.Errorf("the last page is\n%s", page)
	}
}

// What a callback says for Entra is shown to the browser that has begun, as text, and is
// in no header and no log.
func TestEntrasWordsAreText(t *testing.T) {
	t.Parallel()
	w, _ := newOAuthWorld(t)
	_, state := w.invited("tenant")
	begun := w.exchange(wire{"POST", oauth.StartPath + "?state=" + state, "Sec-Fetch-Site: same-origin\r\n", ""})
	cookies := (&http.Response{Header: begun.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	browser := "Cookie: " + cookies[0].Name + "=" + cookies[0].Value + "\r\n"
	back := w.exchange(wire{"GET",
		oauth.CallbackPath + "?state=" + state + "&error=access_denied&error_description=hunter2" + injected, browser, ""})
	w.leads("the callback", back)
	u, err := url.Parse(back.header.Get("Location"))
	if err != nil || u.Query().Get("flow") == "" {
		t.Fatalf("the callback leads to %q", back.header.Get("Location"))
	}
	for _, accept := range []string{"text/html", "application/json"} {
		page := w.exchange(wire{"GET", u.RequestURI(), browser + "Accept: " + accept + "\r\n", ""})
		w.leads("the result as "+accept, page)
		if page.status != http.StatusBadRequest || !strings.Contains(string(page.body), "hunter2") {
			t.Errorf("%s: status %d: %s", accept, page.status, page.body)
		}
	}
	if got := w.exchange(wire{"GET", u.RequestURI(), "", ""}); got.status != http.StatusForbidden ||
		strings.Contains(string(got.body), "hunter2") {
		t.Errorf("another browser: status %d: %s", got.status, got.body)
	}
	if log := w.watch.Log(); strings.Contains(log, "hunter2") || strings.Contains(log, state) {
		t.Errorf("the log has what was sent:\n%s", log)
	}
}

// The pages are bound to their own state: who has none, or has another visitor's, finds
// nothing and changes nothing, whatever form the request has.
func TestPagesWithoutTheirState(t *testing.T) {
	w, people := newOAuthWorld(t)
	link, state := w.invited("tenant")
	before := w.truth()
	plain := map[string][]int{ // with no state, and with one that was never given out
		oauth.StartPath: {404}, oauth.CallbackPath: {303}, oauth.ResultPath: {404},
	}
	for path, open := range plain {
		for _, query := range []string{"", "?state=" + strings.Repeat("A", 43) + "&code=x", "?flow=" + strings.Repeat("a", 43)} {
			for _, trick := range tricks {
				target, statuses := path, open
				if trick.path != nil {
					if target = trick.path(path); strings.Contains(target, "?") {
						continue // what a query may do is tried elsewhere
					}
					// As no page of ours, or as nothing below the API. One slash changes nothing.
					if !strings.HasPrefix(target, "http:") && target != path+"/" {
						statuses = []int{404, 401, 400}
					}
				}
				for _, method := range []string{"GET", "POST", "DELETE"} {
					want := statuses
					if method != "GET" {
						want = []int{403, 404, 405, 401, 400}
					}
					got := w.exchange(wire{method, target + query, trick.headers, ""})
					if !slices.Contains(want, got.status) {
						t.Errorf("%s: %s %s: status %d, want %v", trick.name, method, target+query, got.status, want)
					}
					w.leads(trick.name+": "+method+" "+target, got)
					if len(got.header["Set-Cookie"]) > 0 {
						t.Errorf("%s: %s %s sets a cookie", trick.name, method, target)
					}
				}
			}
		}
	}
	// With a state that is another visitor's, from another browser or another site.
	for _, c := range []struct {
		method, target, headers string
		status                  int
		leads                   string
	}{
		{"POST", oauth.StartPath + "?state=" + state, "", 403, ""},
		{"POST", oauth.StartPath + "?state=" + state, "Sec-Fetch-Site: cross-site\r\nOrigin: " + w.url + "\r\n", 403, ""},
		{"POST", oauth.StartPath + "?state=" + state,
			"Origin: " + elsewhere + "\r\nX-Forwarded-Host: evil.example\r\nHost: evil.example\r\n", 403, ""},
		{"POST", oauth.StartPath + "?state=" + state, "Origin: null\r\n", 403, ""},
		{"GET", oauth.CallbackPath + "?state=" + state + "&code=x", "", 303, "problem=other-browser"},
		{"GET", oauth.CallbackPath + "?state=" + state + "&error=access_denied", "Cookie: rekey-oauth-x=y\r\n", 303, "problem=other-browser"},
		{"HEAD", oauth.CallbackPath + "?state=" + state + "&code=x", "", 200, ""},
		{"POST", oauth.CallbackPath + "?state=" + state + "&code=x", "Sec-Fetch-Site: same-origin\r\n", 405, ""},
	} {
		got := w.exchange(wire{c.method, c.target, c.headers, ""})
		if got.status != c.status || !strings.HasSuffix(got.header.Get("Location"), c.leads) {
			t.Errorf("%s %s: status %d to %q, want %d to %q", c.method, c.target, got.status, got.header.Get("Location"), c.status, c.leads)
		}
	}
	w.untouched("visitors", before)
	if page := w.connect(link, people.Administrator); !strings.Contains(page, `class="connected"`) {
		t.Errorf("the one who was invited ends at\n%s", page)
	}
}
