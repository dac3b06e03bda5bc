package session_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/session"
)

// Where a person may be led back to.
var backs = []string{
	"/console", "/console/", "/console/connections", "/console/connections/1b4e28ba/rotations?page=2&state=due",
	"/console/inventory?q=%22a%22%20b&next=/console/x", "/console/connections/na%C3%AFve", "/console?problem=x",
	"/console/sign-out", "/console/a.b/..c", "/console/inventory?q=//evil.example", "/console/inventory?q=https%3A%2F%2Fevil.example",
}

// attacks are addresses with which a stranger would lead a person elsewhere, or around in
// circles.
var attacks = []string{
	"", "/", "console", "connections", "/Console", "/consolex", "/console.evil.example", "/api/v1/app-connections", "/.auth/logout",
	"//evil.example", "//evil.example/console", "///evil.example/console", "////evil.example", "/console//evil.example", "/console/a//b",
	"https://evil.example", "https://evil.example/console", "https:/console", "https:console", "HTTPS://evil.example/console",
	"http:evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)//console", "data:text/html,console", "mailto:console",
	"https://rekey.example/console", "//rekey.example/console", "//user@evil.example/console", "/console@evil.example",
	"//@/console", "//:/console", "/console%2f", "/console%3fx",
	`\\evil.example`, `/\evil.example`, `\/evil.example/console`, `/console\..\evil`, `/console/\evil.example`, `/console/?x=\`,
	"/console/../evil", "/console/..", "/console/./x", "/console/a/../../b", "/console/%2e%2e/evil", "/console/%2E%2E%2Fevil",
	"/console/.%2e/evil", "/console%2f..%2fevil", "/console/%2f%2fevil.example", "/%2f/evil.example", "%2f%2fevil.example",
	"/console/%5cevil.example", "/console/%5C..%5Cevil", "/console/%00", "/console/%0d%0aSet-Cookie:x=y", "/console/%09", "/console/%7f",
	"/console\t/x", "/\t/evil.example", "/console\n", "\n/console", " /console", "/console ", "/console/\r\nSet-Cookie: x=y", "/console/\x00",
	"\x01//evil.example", "/console/\x7f", "/console/ä", "/console/\u202egpj", "\ufeff/console", "/console/\u2028",
	"/console#x", "/console/#//evil.example", "/console/%", "/console/%zz", "/console/%u002f", "/console/\"onclick=x", "/console/<script>",
	"/console/'>\"", "/console/`", "/console/{x}", "/console/^", "?x=//evil.example", "#/console", "/console;/../evil",
	"/console/sign-in", "/console/sign-in/", "/console/sign-in?back=%2Fconsole", "/console/sign-in/callback?code=x", "/console/sign%2Din",
	"/console/" + strings.Repeat("a", 1000),
}

func TestBack(t *testing.T) {
	for _, address := range backs {
		if got := session.Back(address); got != address {
			t.Errorf("Back(%q) = %q", address, got)
		}
	}
	for _, address := range attacks {
		if got := session.Back(address); got != session.Base {
			t.Errorf("Back(%q) = %q", address, got)
		}
	}
	// What it lets through a browser resolves to the console of this very site.
	base, err := url.Parse("https://rekey.example/console/sign-in")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range append(backs, attacks...) {
		to, err := base.Parse(session.Back(address))
		if err != nil || to.Scheme != "https" || to.Host != "rekey.example" || to.User != nil ||
			to.Path != "/console" && !strings.HasPrefix(to.Path, "/console/") {
			t.Errorf("Back(%q) leads to %v, %v", address, to, err)
		}
	}
}

// Signing in leads to the page that was asked for, and never elsewhere.
func TestSigningInLeadsBack(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	lead := func(back string) string {
		resp := w.browser().do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {key}, "back": {back}})
		if resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("status %d", resp.StatusCode)
		}
		return resp.Header.Get("Location")
	}
	for _, back := range backs {
		if to := lead(back); to != back {
			t.Errorf("%q leads to %q", back, to)
		}
	}
	for _, back := range attacks {
		if to := lead(back); to != session.Base {
			t.Errorf("%q leads to %q", back, to)
		}
	}
}
