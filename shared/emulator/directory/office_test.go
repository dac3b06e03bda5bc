package directory_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/emulator/directory"
)

const callback = "https://rekey.example/callback?from=entra"

// signInScope is what Rekey's OAuth method asks for.
const signInScope = "openid profile offline_access User.Read Application.ReadWrite.All"

// office is a world with an application that people sign in to: Ada administers
// applications, Otto does not.
type office struct {
	*world
	web       directory.Application
	ada, otto string
}

func newOffice(t *testing.T, c directory.Config) *office {
	t.Helper()
	o := &office{world: newWorld(t, c)}
	o.web = o.register(directory.Registration{Settings: directory.Settings{
		DisplayName: "web <b>", SignInAudience: "AzureADMultipleOrgs", RedirectURIs: []string{callback},
		Delegated: []string{directory.ScopeUserRead, directory.RoleReadWriteAll},
	}})
	o.ada = o.user(o.tenant, "Ada Administrator", directory.ApplicationAdministrator)
	o.otto = o.user(o.tenant, "Otto Ordinary")
	return o
}

func (o *office) user(tenant, name string, roles ...string) string {
	o.t.Helper()
	id, err := o.AddUser(directory.User{TenantID: tenant, Name: name, Roles: roles})
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

// signIn is one attempt of the application: its verifier, and the address.
type signIn struct {
	verifier string
	tenant   string
	query    url.Values
}

func (o *office) begin(change ...string) signIn {
	s := signIn{verifier: rand.Text() + rand.Text(), tenant: o.tenant}
	digest := sha256.Sum256([]byte(s.verifier))
	s.query = url.Values{
		"client_id": {o.web.ClientID}, "response_type": {"code"}, "response_mode": {"query"}, "redirect_uri": {callback},
		"scope": {signInScope}, "state": {"a&b<c"}, "nonce": {"n-1"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(change); i += 2 {
		if s.query.Del(change[i]); change[i+1] != "" {
			s.query.Set(change[i], change[i+1])
		}
	}
	return s
}

func (o *office) address(s signIn) string {
	return o.login.URL + "/" + s.tenant + "/oauth2/v2.0/authorize?" + s.query.Encode()
}

func (o *office) person(id string) directory.Person {
	return directory.Person{UserID: id, Client: o.login.Client()}
}

// code signs a user in and returns the code.
func (o *office) code(s signIn, user string) string {
	o.t.Helper()
	to, err := o.person(user).Approve(o.t.Context(), o.address(s))
	if err != nil {
		o.t.Fatalf("signing in: %v", err)
	}
	code := to.Query().Get("code")
	if code == "" {
		o.t.Fatalf("signing in: sent to %s", to)
	}
	return code
}

func (o *office) redeemForm(s signIn, code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {s.verifier},
		"client_id": {o.web.ClientID}, "client_secret": {o.web.Secret}, "client_info": {"1"},
	}
}

func (o *office) refreshForm(token string) url.Values {
	return url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token}, "scope": {"https://graph.microsoft.com/.default"},
		"client_id": {o.web.ClientID}, "client_secret": {o.web.Secret},
	}
}

// tokens signs a user in and redeems the code.
func (o *office) tokens(user string, change ...string) answer {
	o.t.Helper()
	s := o.begin(change...)
	a := o.ask(o.tenant, o.redeemForm(s, o.code(s, user)))
	if a.status != http.StatusOK {
		o.t.Fatalf("redeeming: %d %v", a.status, a.body)
	}
	return a
}

func (a answer) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// claims decodes a token without verifying it.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT of three parts: %d", len(parts))
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// open gets a page; submit posts a form. Neither follows redirects.
func (o *office) open(address string) (*http.Response, string) {
	o.t.Helper()
	return o.browse(http.MethodGet, address, "")
}

func (o *office) submit(address string, form url.Values) *http.Response {
	o.t.Helper()
	response, _ := o.browse(http.MethodPost, address, form.Encode())
	return response
}

func (o *office) browse(method, address, body string) (*http.Response, string) {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := *o.login.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return response, string(data)
}
