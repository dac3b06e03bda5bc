package functions_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"rekey/functions"
	"rekey/shared/auth"
	"rekey/shared/host"
	"rekey/shared/oauth"
)

// limited puts w behind limits of its own.
func (w *world) limited(l auth.Limits) {
	w.app.Limit = auth.NewLimiter(l)
	server := httptest.NewServer(functions.HTTP(w.app, &host.Once{}))
	w.Cleanup(server.Close)
	w.url = server.URL
}

// What a page does with the API counts for its visitor, as if a program had done it: one button for
// many connections is no way around the limit.
func TestConsoleCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	made := w.create(w.sample())
	w.settle()
	w.limited(auth.Limits{Writes: 3})
	b := w.browser()
	b.signIn(auth.Admin, "/console/connections")
	chosen := make([]string, 5)
	for i := range chosen {
		chosen[i] = "/" + made.ID
	}
	b.send("/console/several", url.Values{"what": {"pause"}, "chosen": chosen})
	b.shows("Done for 3 of 5", "faster than this deployment takes them")
}

// A person who begins a sign-in in the console is let in during a flood of the pages that are open to
// everybody, as one who got the link of the API is.
func TestConsoleSignInDuringAFlood(t *testing.T) {
	t.Parallel()
	w, _ := newOAuthWorld(t)
	public := w.url
	w.limited(auth.Limits{Pages: 2})
	b := w.browser()
	b.signIn(auth.Admin, "/console/connect?method=oauth")
	form := b.form("/console/connect?method=oauth", url.Values{"tenantId": {w.stack.TenantID}, "name": {"by-a-person"}})
	for range 5 {
		b.do(http.MethodGet, oauth.Base+"start?state=x", nil)
	}
	if b.status != http.StatusTooManyRequests {
		t.Fatalf("the flood is answered %d", b.status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/console/connect?method=oauth", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	link := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusSeeOther || link == "" {
		t.Fatalf("%d to %q", resp.StatusCode, link)
	}
	b.do(http.MethodGet, strings.TrimPrefix(link, public), nil)
	b.shows("by-a-person", "asks you to sign in")
}
