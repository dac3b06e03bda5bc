package directory_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/emulator/directory"
)

// TestErrorPages: what the redirect URI must not be told.
func TestErrorPages(t *testing.T) {
	o := newOffice(t, directory.Config{})
	single := o.register(directory.Registration{Settings: directory.Settings{RedirectURIs: []string{callback}}})
	disabled := o.user(o.tenant, "Dora Disabled")
	if err := o.ChangeUser(disabled, func(u *directory.User) { u.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	elsewhere := o.AddTenant()
	foreign := o.user(elsewhere, "Fay Foreign")
	with := func(tenant string, change ...string) signIn {
		s := o.begin(change...)
		s.tenant = tenant
		return s
	}
	for name, c := range map[string]struct {
		signIn
		user string
		text string
	}{
		"another redirect URI": {with(o.tenant, "redirect_uri", "https://rekey.example/callback"), o.ada, "AADSTS50011: "},
		"no redirect URI":      {with(o.tenant, "redirect_uri", ""), o.ada, "AADSTS900971: "},
		"no client":            {with(o.tenant, "client_id", ""), o.ada, "AADSTS900144: "},
		"unknown client":       {with(o.tenant, "client_id", o.tenant), o.ada, "AADSTS700016: "},
		"unknown tenant":       {with(o.ada), o.ada, "AADSTS90002: "},
		"unknown parameter":    {with(o.tenant, "resource", "x"), o.ada, "AADSTS90023: "},
		"single tenant":        {with("common", "client_id", single.ClientID), o.ada, "AADSTS50194: "},
		"another's tenant":     {with(elsewhere, "client_id", single.ClientID), foreign, "AADSTS700016: "},
		"a disabled user":      {with(o.tenant), disabled, "AADSTS50057: "},
		"another's user":       {with(o.tenant), foreign, "AADSTS50034: "},
		"no user":              {with(o.tenant), "", "AADSTS50034: "},
	} {
		to, err := o.person(c.user).Approve(t.Context(), o.address(c.signIn))
		var page *directory.ErrorPage
		if !errors.As(err, &page) || !strings.HasPrefix(page.Text, c.text) {
			t.Errorf("%s: sent to %v, %v", name, to, err)
		}
	}
	if _, err := o.person(foreign).Approve(t.Context(), o.address(with("organizations", "scope", "User.Read"))); err != nil {
		t.Errorf("a user of another tenant: %v", err)
	}
}

// TestErrorsByRedirect: what the application is told.
func TestErrorsByRedirect(t *testing.T) {
	o := newOffice(t, directory.Config{})
	for name, c := range map[string]struct {
		change      [2]string
		error, text string
	}{
		"response type":        {[2]string{"response_type", "token"}, "unsupported_response_type", "AADSTS70005: "},
		"no response type":     {[2]string{"response_type", ""}, "invalid_request", "AADSTS900144: "},
		"response mode":        {[2]string{"response_mode", "fragment"}, "invalid_request", "AADSTS70007: "},
		"no scope":             {[2]string{"scope", ""}, "invalid_request", "AADSTS900144: "},
		"unknown scope":        {[2]string{"scope", "Mail.Read"}, "invalid_client", "AADSTS650053: "},
		"another resource":     {[2]string{"scope", "https://vault.azure.net/.default"}, "invalid_scope", "AADSTS70011: "},
		"default and others":   {[2]string{"scope", "User.Read https://graph.microsoft.com/.default"}, "invalid_scope", "AADSTS70011: "},
		"plain challenge":      {[2]string{"code_challenge_method", "plain"}, "invalid_request", "AADSTS50149: "},
		"challenge, no method": {[2]string{"code_challenge_method", ""}, "invalid_request", "AADSTS50149: "},
		"short challenge":      {[2]string{"code_challenge", "x"}, "invalid_request", "AADSTS501491: "},
		"silently":             {[2]string{"prompt", "none"}, "login_required", "AADSTS50058: "},
		"unknown prompt":       {[2]string{"prompt", "always"}, "invalid_request", "AADSTS90023: "},
	} {
		to, err := o.person(o.ada).Approve(t.Context(), o.address(o.begin(c.change[0], c.change[1])))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		q := to.Query()
		if q.Get("error") != c.error || !strings.HasPrefix(q.Get("error_description"), c.text) || q.Get("state") != "a&b<c" || q.Has("code") {
			t.Errorf("%s: sent to %s", name, to)
		}
	}
	to, err := o.person(o.ada).Decline(t.Context(), o.address(o.begin()))
	if err != nil || to.Query().Get("error") != "access_denied" || !strings.HasPrefix(to.Query().Get("error_description"), "AADSTS65004: ") {
		t.Errorf("declined: sent to %v, %v", to, err)
	}
}

// TestConsent: only administrators consent to what is restricted, for themselves or
// for everybody.
func TestConsent(t *testing.T) {
	o := newOffice(t, directory.Config{})
	denied := func(person directory.Person) {
		t.Helper()
		to, err := person.Approve(t.Context(), o.address(o.begin()))
		if err != nil || to.Query().Get("error") != "access_denied" ||
			!strings.HasPrefix(to.Query().Get("error_description"), "AADSTS90094: AdminConsentRequired") || to.Query().Get("state") == "" {
			t.Errorf("an ordinary user: sent to %v, %v", to, err)
		}
	}
	denied(o.person(o.otto))
	o.tokens(o.ada) // for herself
	denied(o.person(o.otto))
	everybody := o.person(o.otto)
	everybody.Organization = true
	denied(everybody)
	if n := len(o.Consented(o.web.ClientID, "")); n != 0 {
		t.Errorf("%d permissions of the tenant", n)
	}
	if to, err := everybody.Approve(t.Context(), o.address(o.begin("scope", "User.Read"))); err != nil || to.Query().Has("code") {
		t.Errorf("an ordinary user consented for everybody: sent to %v, %v", to, err)
	}
	everybody.UserID = o.ada
	if to, err := everybody.Approve(t.Context(), o.address(o.begin())); err != nil || !to.Query().Has("code") {
		t.Fatalf("for everybody: sent to %v, %v", to, err)
	}
	o.tokens(o.otto)
	if err := o.RevokeConsent(o.web.ClientID, "", directory.RoleReadWriteAll); err != nil {
		t.Fatal(err)
	}
	denied(o.person(o.otto))
	if err := o.GrantConsent(o.web.ClientID, o.otto, directory.RoleReadWriteAll); err != nil {
		t.Fatal(err)
	}
	o.tokens(o.otto)
	if o.GrantConsent(o.web.ClientID, o.otto, "Mail.Read") == nil || o.GrantConsent(o.web.ClientID, "x", directory.RoleReadAll) == nil ||
		o.RevokeConsent("x", "") == nil {
		t.Error("consent to or of something unknown")
	}
}

// TestSignInPage: it has no script, its values are escaped, and its form takes nothing
// but what it has.
func TestSignInPage(t *testing.T) {
	o := newOffice(t, directory.Config{})
	s := o.begin("login_hint", o.PrincipalName(o.otto))
	response, page := o.open(o.address(s))
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") ||
		strings.Contains(page, "<script") {
		t.Errorf("got %d\n%s", response.StatusCode, page)
	}
	for _, want := range []string{
		`<body id="sign-in">`, `web &lt;b&gt;`, `value="a&amp;b&lt;c"`, `id="approve" value="approve"`,
		`id="decline" value="decline" formnovalidate>`,
		`name="user" id="user-` + o.otto + `" value="` + o.otto + `" required checked>`,
		`name="user" id="user-` + o.ada + `" value="` + o.ada + `" required>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	form := maps.Clone(s.query)
	form["user"], form["decision"] = []string{o.ada}, []string{"approve"}
	for name, value := range map[string]string{"decision": "maybe", "organization": "1", "extra": "x"} {
		changed := maps.Clone(form)
		changed[name] = []string{value}
		if response := o.submit(o.login.URL+"/"+o.tenant+"/oauth2/v2.0/authorize", changed); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s=%s: %d", name, value, response.StatusCode)
		}
	}
	if response := o.submit(o.login.URL+"/"+o.tenant+"/oauth2/v2.0/authorize", form); response.StatusCode != http.StatusFound {
		t.Errorf("the form itself: %d", response.StatusCode)
	}
}

// TestDefaultIsContentWithWhatThereIs: what was added to the registration later is
// asked for only by prompt=consent, so that a token may lack it.
func TestDefaultIsContentWithWhatThereIs(t *testing.T) {
	o := newOffice(t, directory.Config{})
	const all = "https://graph.microsoft.com/.default offline_access"
	if to, err := o.person(o.otto).Approve(t.Context(), o.address(o.begin("scope", all))); err != nil ||
		!strings.HasPrefix(to.Query().Get("error_description"), "AADSTS90094: ") {
		t.Errorf("without any consent: sent to %v, %v", to, err)
	}
	o.tokens(o.otto, "scope", "User.Read")
	a := o.tokens(o.otto, "scope", all)
	if got := claims(t, a.text("access_token"))["scp"]; got != "User.Read" {
		t.Errorf("scp %v", got)
	}
	if a := o.ask(o.tenant, o.refreshForm(a.text("refresh_token"))); a.status != http.StatusOK {
		t.Errorf("refreshing: %d %v", a.status, a.body)
	}
	if to, err := o.person(o.otto).Approve(t.Context(), o.address(o.begin("scope", all, "prompt", "consent"))); err != nil ||
		!strings.HasPrefix(to.Query().Get("error_description"), "AADSTS90094: ") {
		t.Errorf("asked again: sent to %v, %v", to, err)
	}
}
