package functions_test

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
)

// browser is what a person uses: it keeps cookies, follows redirects, and sends forms as the pages
// have them.
type browser struct {
	*world
	cookies map[string]string
	page    string // what it shows
	at      string // and where that is
	status  int
}

func (w *world) browser() *browser { return &browser{world: w, cookies: map[string]string{}} }

func (b *browser) do(method, path string, form url.Values) {
	b.Helper()
	for range 5 {
		r, err := http.NewRequestWithContext(b.Context(), method, b.url+path, strings.NewReader(form.Encode()))
		if err != nil {
			b.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		for name, value := range b.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
		if err != nil {
			b.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		for _, c := range resp.Cookies() {
			if b.cookies[c.Name] = c.Value; c.MaxAge < 0 || c.Value == "" {
				delete(b.cookies, c.Name)
			}
		}
		b.watch.Saw("page "+path, string(data)) // searched for secrets at the end
		b.page, b.at, b.status = string(data), path, resp.StatusCode
		if resp.StatusCode != http.StatusSeeOther {
			return
		}
		method, path, form = http.MethodGet, strings.TrimPrefix(resp.Header.Get("Location"), b.url), nil
	}
	b.Fatalf("redirects do not end, at %s", b.at)
}

func (b *browser) open(path string) {
	b.Helper()
	b.do(http.MethodGet, path, nil)
	if b.status != http.StatusOK {
		b.Fatalf("%s: %d %s", path, b.status, b.page)
	}
}

var (
	formOf  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	fieldOf = regexp.MustCompile(`<input[^>]*name="([^"]*)"[^>]*>`)
	valueOf = regexp.MustCompile(`value="([^"]*)"`)
	kindOf  = regexp.MustCompile(`type="(checkbox|radio)"`)
)

// form is the form of the page that goes to an address, as it stands there, with what is filled in.
func (b *browser) form(action string, filled url.Values) url.Values {
	b.Helper()
	for _, m := range formOf.FindAllStringSubmatch(b.page, -1) {
		if html.UnescapeString(m[1]) != action {
			continue
		}
		values := url.Values{}
		for _, f := range fieldOf.FindAllStringSubmatch(m[0], -1) {
			if kindOf.MatchString(f[0]) && !strings.Contains(f[0], " checked") {
				continue
			}
			if v := valueOf.FindStringSubmatch(f[0]); v != nil {
				values.Set(f[1], html.UnescapeString(v[1]))
			}
		}
		for name, v := range filled {
			values[name] = v
		}
		return values
	}
	b.Fatalf("%s has no form for %s: %s", b.at, action, b.page)
	return nil
}

// send fills a form in and sends it.
func (b *browser) send(action string, filled url.Values) {
	b.Helper()
	b.do(http.MethodPost, action, b.form(action, filled))
}

func (b *browser) shows(texts ...string) {
	b.Helper()
	for _, text := range texts {
		if !strings.Contains(html.UnescapeString(b.page), text) {
			b.Errorf("%s (%d) has no %q: %s", b.at, b.status, text, b.page)
		}
	}
}

// signIn signs in by the key of a role, on the way to a page.
func (b *browser) signIn(role auth.Role, path string) {
	b.Helper()
	b.do(http.MethodGet, path, nil)
	b.send("/console/sign-in", url.Values{"key": {b.keys[role].Reveal()}})
	if b.at != path || b.status != http.StatusOK {
		b.Fatalf("signed in, and led to %s (%d): %s", b.at, b.status, b.page)
	}
}

// The life of a connection by the console alone: connected by a form, rotated, sent twice, rotated at
// once in an emergency, paused, edited, deleted. The truth is looked at in the directory and the
// vault.
func TestConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	b, a := w.browser(), w.sample()
	b.signIn(auth.Admin, "/console")
	b.shows("Nothing is connected yet.")

	b.open("/console/connect?method=client-secret")
	filled := url.Values{"tenantId": {a.TenantID}, "clientId": {a.ClientID}, "clientSecret": {a.Secret}, "name": {"billing"},
		"vaultSecretName": {"billing-secret"}, "interval": {"x"}, "grace": {"0"}}
	b.send("/console/connect?method=client-secret", filled)
	b.shows("must be a whole number", `value="billing-secret"`)
	filled.Set("interval", "30")
	b.send("/console/connect?method=client-secret", filled)
	w.settle()
	b.shows("Connected.", "billing")
	page, _, _ := strings.Cut(b.at, "?")
	id := page[strings.LastIndex(page, "/")+1:]
	first := w.record(id).Current.KeyID
	w.managed(a, "billing-secret", first)

	// A double click is one rotation.
	b.open(page)
	twice := b.form(page+"/rotate", nil)
	b.do(http.MethodPost, page+"/rotate", twice)
	b.do(http.MethodPost, page+"/rotate", twice)
	w.settle()
	if runs := len(w.history(id).Rotations); runs != 2 {
		t.Errorf("%d runs after a creation and a double click", runs)
	}

	// One that is refused at once is not told as begun, and the page says what to do.
	w.stack.Break(func(op string, _ *http.Request) *fault.Effect {
		if op == "graph.addPassword" {
			return &fault.Effect{Status: http.StatusForbidden}
		}
		return nil
	})
	b.open(page)
	b.send(page+"/rotate", nil)
	b.shows("has not succeeded", "Application.ReadWrite.OwnedBy")
	if strings.Contains(b.page, `class="steps"`) {
		t.Errorf("steps of a run that failed: %s", b.page)
	}
	w.stack.Break(nil)

	b.open(page + "/emergency")
	b.send(page+"/emergency", url.Values{"confirm": {"another"}})
	b.shows("Nothing was done.")
	b.send(page+"/emergency", url.Values{"confirm": {"billing"}})
	w.settle()
	b.open(page)
	b.shows("emergency, by admin", "@Microsoft.KeyVault(SecretUri=")
	w.managed(a, "billing-secret", w.record(id).Current.KeyID)

	b.send(page+"/pause", nil)
	b.shows("Rotation is off.")
	if w.record(id).Policy.Enabled {
		t.Error("it is not paused")
	}
	b.open(page + "/edit")
	b.send(page+"/edit", url.Values{"description": {"of the console"}})
	b.shows("Saved.", "of the console")
	b.open(page + "/plan")
	b.shows("Nothing was done.", "addPassword")
	b.open(page + "/test")
	b.shows("Application.ReadWrite.OwnedBy")
	b.open(page + "/audit")
	b.shows(">changed<", "admin")

	b.open(page + "/delete")
	b.do(http.MethodPost, page+"/delete", b.form(page+"/delete", url.Values{"revoke": {"true"}, "confirm": {"billing"}}))
	w.settle()
	if live := w.live(a); len(live) != 0 {
		t.Errorf("live after a deletion that revokes: %v", live)
	}
	b.open("/console/connections")
	b.shows("Nothing is connected yet.")
	b.send("/console/sign-out", nil)
	b.shows("You have signed out")
	b.do(http.MethodGet, "/console/settings", nil)
	b.shows("Sign in")
}

// What must not go through: a reader's buttons, a form without its token, of another session, or from
// another site's page.
func TestConsoleRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.create(a)
	w.settle()
	rotate := "/console/connections/" + made.ID + "/rotate"
	reader, writer, other := w.browser(), w.browser(), w.browser()
	reader.signIn(auth.Read, "/console/connections/"+made.ID)
	writer.signIn(auth.Rotate, "/console/connections/"+made.ID)
	other.signIn(auth.Rotate, "/console/connections/"+made.ID)

	if strings.Contains(reader.page, rotate) {
		t.Error("a reader sees the button")
	}
	token := reader.form("/console/sign-out", nil)
	reader.do(http.MethodPost, rotate, token)
	if reader.status != http.StatusForbidden {
		t.Errorf("a reader: %d", reader.status)
	}
	writer.do(http.MethodPost, rotate, nil)
	if writer.status != http.StatusForbidden {
		t.Errorf("without a token: %d", writer.status)
	}
	other.do(http.MethodPost, rotate, writerForm(other, rotate, reader))
	if other.status != http.StatusForbidden {
		t.Errorf("with another session's token: %d", other.status)
	}
	if runs := len(w.history(made.ID).Rotations); runs != 1 {
		t.Errorf("%d runs", runs)
	}
}

// writerForm is b's form with the token of from's session.
func writerForm(b *browser, action string, from *browser) url.Values {
	b.Helper()
	from.open(from.at[:strings.LastIndex(from.at, "/")])
	return b.form(action, url.Values{"csrf": from.form("/console/sign-out", nil)["csrf"]})
}
