package oauth_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"

	"rekey/shared/oauth"
)

// visitor is a browser without pages: it keeps cookies and follows nothing.
type visitor struct {
	w *world
	http.Client
}

func (w *world) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	return &visitor{w, http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// open sends a request as a browser would and returns the body, or where it leads.
func (v *visitor) open(method, address string) (status int, body, to string) {
	v.w.Helper()
	r, err := http.NewRequestWithContext(v.w.Context(), method, address, nil)
	if err != nil {
		v.w.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := v.Do(r)
	if err != nil {
		v.w.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		v.w.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header.Get("Location")
}

var outcome = regexp.MustCompile(`<body id="(?:result|problem)" class="([a-z-]*)"`)

// finish opens Entra's answer and returns what the last page is about.
func (v *visitor) finish(callback string) string {
	v.w.Helper()
	status, _, to := v.open(http.MethodGet, callback)
	if status != http.StatusSeeOther || !strings.HasPrefix(to, v.w.url+oauth.ResultPath+"?") {
		v.w.Fatalf("the callback answered %d and leads to %q", status, to)
	}
	_, page, _ := v.open(http.MethodGet, to)
	m := outcome.FindStringSubmatch(page)
	if m == nil {
		v.w.Fatalf("the page at the end is\n%s", page)
	}
	return m[1]
}

// depart presses the button on the start page.
func (v *visitor) depart(link string) string {
	v.w.Helper()
	if status, page, _ := v.open(http.MethodGet, link); status != http.StatusOK || !strings.Contains(page, "alice") {
		v.w.Fatalf("the start page answered %d:\n%s", status, page)
	}
	status, page, to := v.open(http.MethodPost, link)
	if status != http.StatusSeeOther || !strings.HasPrefix(to, v.w.stack.AuthorityURL+"/") {
		v.w.Fatalf("the button answered %d:\n%s", status, page)
	}
	return to
}

// approve signs in at Entra and returns the callback's address.
func (w *world) approve(user, address string) string {
	w.Helper()
	back, err := w.stack.Person(user).Approve(w.Context(), address)
	if err != nil {
		w.Fatal(err)
	}
	return back.String()
}
