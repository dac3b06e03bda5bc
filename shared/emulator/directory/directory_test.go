package directory_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// world is a directory with one tenant and one application that owns itself, its two
// services, and a clock that moves only by hand.
type world struct {
	*directory.Directory
	t      *testing.T
	tenant string
	app    directory.Application
	login  *httptest.Server
	graph  *httptest.Server

	mu sync.Mutex
	at time.Time
}

func newWorld(t *testing.T, c directory.Config) *world {
	t.Helper()
	w := &world{t: t, at: time.Now()}
	c.Now = w.now
	w.Directory = directory.New(c)
	w.tenant = w.AddTenant()
	w.app = w.register(directory.Registration{
		OwnsItself: true,
		Settings:   directory.Settings{DisplayName: "sample", Roles: []string{directory.RoleReadWriteOwnedBy}},
	})
	w.login = httptest.NewTLSServer(w.Authority())
	t.Cleanup(w.login.Close)
	w.graph = httptest.NewTLSServer(w.Graph())
	t.Cleanup(w.graph.Close)
	return w
}

func (w *world) register(r directory.Registration) directory.Application {
	w.t.Helper()
	r.TenantID = w.tenant
	app, err := w.AddApplication(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// answer is a status and a decoded body.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (w *world) do(client *http.Client, r *http.Request) answer {
	w.t.Helper()
	response, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &a.body); err != nil {
			w.t.Fatalf("body %q: %v", data, err)
		}
	}
	return a
}

func (w *world) post(client *http.Client, address, media, body string, header http.Header) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Content-Type", media)
	return w.do(client, r)
}

const graphScope = "https://graph.microsoft.com/.default openid offline_access profile"

func (w *world) ask(tenant string, form url.Values) answer {
	w.t.Helper()
	return w.post(w.login.Client(), w.login.URL+"/"+tenant+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", form.Encode(), nil)
}

func secretForm(clientID, secret string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}, "scope": {graphScope}}
}

// token returns an access token for Graph.
func (w *world) token(app directory.Application) string {
	w.t.Helper()
	a := w.ask(w.tenant, secretForm(app.ClientID, app.Secret))
	token, ok := a.body["access_token"].(string)
	if a.status != http.StatusOK || !ok {
		w.t.Fatalf("asking for a token: %d %v", a.status, a.body)
	}
	return token
}

func (w *world) get(token, path string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.graph.URL+"/v1.0"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return w.do(w.graph.Client(), r)
}

func (w *world) act(token, path, body string) answer {
	w.t.Helper()
	return w.post(w.graph.Client(), w.graph.URL+"/v1.0"+path, "application/json", body, http.Header{"Authorization": {"Bearer " + token}})
}

func (a answer) graphCode() string {
	e, _ := a.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

func (w *world) wantGraph(doing string, a answer, status int, code string) {
	w.t.Helper()
	if a.status != status || a.graphCode() != code {
		w.t.Errorf("%s: got %d %v, want %d %s", doing, a.status, a.body, status, code)
	}
}

// shown counts the passwords that Graph lists for the application.
func (w *world) shown(token string) int {
	w.t.Helper()
	a := w.get(token, "/applications/"+w.app.ObjectID)
	list, ok := a.body["passwordCredentials"].([]any)
	if !ok {
		w.t.Fatalf("reading: %d %v", a.status, a.body)
	}
	return len(list)
}

func TestPropagation(t *testing.T) {
	w := newWorld(t, directory.Config{Propagation: 30 * time.Second})
	token := w.token(w.app)
	path := "/applications/" + w.app.ObjectID

	added := w.act(token, path+"/addPassword", `{"passwordCredential":{"displayName":"new"}}`)
	secret, _ := added.body["secretText"].(string)
	keyID, _ := added.body["keyId"].(string)
	works := func() bool {
		return w.ask(w.tenant, secretForm(w.app.ClientID, secret)).status == http.StatusOK
	}
	if works() || w.shown(token) != 1 {
		t.Error("a new secret is known at once")
	}
	w.wantGraph("removing what is not replicated", w.act(token, path+"/removePassword", `{"keyId":"`+keyID+`"}`), 400, "Request_BadRequest")
	if !w.Authenticates(w.app.ClientID, secret) || len(w.Passwords(w.app.ObjectID)) != 2 {
		t.Error("the ground truth does not have the new secret")
	}
	w.pass(30 * time.Second)
	if !works() || w.shown(token) != 2 {
		t.Error("a new secret is not known after the delay")
	}

	if a := w.act(token, path+"/removePassword", `{"keyId":"`+keyID+`"}`); a.status != http.StatusNoContent {
		t.Fatalf("removing: %d %v", a.status, a.body)
	}
	if !works() || w.shown(token) != 2 {
		t.Error("a removed secret is gone at once")
	}
	if w.Authenticates(w.app.ClientID, secret) || len(w.Passwords(w.app.ObjectID)) != 1 {
		t.Error("the ground truth still has the removed secret")
	}
	w.wantGraph("removing again", w.act(token, path+"/removePassword", `{"keyId":"`+keyID+`"}`), 400, "Request_BadRequest")
	w.pass(30 * time.Second)
	if works() || w.shown(token) != 1 {
		t.Error("a removed secret is still there after the delay")
	}
}

func TestByHand(t *testing.T) {
	w := newWorld(t, directory.Config{Propagation: time.Hour})
	keyID, secret, err := w.AddPassword(w.app.ObjectID, "by hand", w.now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if a := w.ask(w.tenant, secretForm(w.app.ClientID, secret)); a.status != http.StatusOK {
		t.Errorf("token: %d %v", a.status, a.body)
	}
	if err := w.RemovePassword(w.app.ObjectID, keyID); err != nil {
		t.Fatal(err)
	}
	if a := w.ask(w.tenant, secretForm(w.app.ClientID, secret)); a.status != http.StatusUnauthorized {
		t.Errorf("token after the removal: %d %v", a.status, a.body)
	}
	if err := w.RemovePassword(w.app.ObjectID, keyID); err == nil {
		t.Error("removing it twice succeeds")
	}
}

// TestSecretsLookLikeEntras: 40 characters that a secret scanner knows.
func TestSecretsLookLikeEntras(t *testing.T) {
	w := newWorld(t, directory.Config{})
	if !regexp.MustCompile(`^[A-Za-z0-9~._-]{3}8Q~[A-Za-z0-9~._-]{34}$`).MatchString(w.app.Secret) {
		t.Errorf("%q does not", w.app.Secret)
	}
	if hint := w.Passwords(w.app.ObjectID)[0].Hint; hint != w.app.Secret[:3] {
		t.Errorf("hint %q of %q", hint, w.app.Secret)
	}
}

func TestTokensEnd(t *testing.T) {
	w := newWorld(t, directory.Config{})
	token := w.token(w.app)
	if err := w.RemovePassword(w.app.ObjectID, w.app.KeyID); err != nil {
		t.Fatal(err)
	}
	if a := w.get(token, "/applications/"+w.app.ObjectID); a.status != http.StatusOK {
		t.Errorf("a token died with its secret: %d %v", a.status, a.body)
	}
	if id, ok := w.Holder(token, directory.ResourceGraph); !ok || id != w.app.ClientID {
		t.Errorf("held by %q, %v", id, ok)
	}
	if _, ok := w.Holder(token, directory.ResourceKeyVault); ok {
		t.Error("a Graph token opens the vault")
	}
	w.pass(time.Hour)
	w.wantGraph("reading with an expired token", w.get(token, "/applications/"+w.app.ObjectID), 401, "InvalidAuthenticationToken")
	w.wantGraph("reading with a forged token", w.get("e30.e30.e30", "/applications/"+w.app.ObjectID), 401, "InvalidAuthenticationToken")
	w.wantGraph("reading without a token", w.get("", "/applications/"+w.app.ObjectID), 401, "InvalidAuthenticationToken")
	if _, ok := w.Holder(token, directory.ResourceGraph); ok {
		t.Error("an expired token has a holder")
	}
}
