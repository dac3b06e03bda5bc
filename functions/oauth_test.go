package functions_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"rekey/functions"
	"rekey/shared/app"
	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/emulator/stack"
	"rekey/shared/host"
	"rekey/shared/oauth"
)

// newOAuthWorld is a world in which people can connect. The secret of the OAuth
// application is in the vault, where the settings name it.
func newOAuthWorld(t *testing.T) (*world, stack.OAuthApplication) {
	t.Helper()
	now := &clock{}
	services, watch := newStack(t, stack.Config{Now: now.Now})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	people, err := services.AddOAuthApplication(address + oauth.CallbackPath)
	if err != nil {
		t.Fatal(err)
	}
	services.Vault.Seed("oauth-application", people.Secret, nil)
	keys, entries := newKeys(t, watch)
	c, err := config.Load(environment(services, keys, entries, settings{
		"REKEY_PUBLIC_URL": address, "REKEY_OAUTH_CLIENT_SECRET_NAME": "oauth-application",
		"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": people.ClientID,
	}).lookup)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(c, slog.New(slog.NewJSONHandler(watch, nil)))
	if err != nil {
		t.Fatal(err)
	}
	a.Limit = auth.NewLimiter(auth.Limits{Pages: 1e6, Reads: 1e6, Writes: 1e6}) // the walks are faster than any visitor
	a.Rotator.Now, a.Connections.Actors.Now, a.OAuth.Now = now.Now, now.Now, now.Now
	a.Inventory.Now, a.Scans.Now = now.Now, now.Now
	server := httptest.NewUnstartedServer(functions.HTTP(a, &host.Once{}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return &world{T: t, clock: now, app: a, client: &client{t: t, url: address, keys: keys, watch: watch, stack: services}}, people
}

// connect is a person who opens a link, signs in and looks at the last page.
func (w *world) connect(link, user string) string {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == oauth.ResultPath {
			return nil
		}
		return http.ErrUseLastResponse // Entra's page is the person's to open
	}}
	visit := func(method, address string) (page, to string) {
		r, err := http.NewRequestWithContext(w.Context(), method, address, nil)
		if err != nil {
			w.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		resp, err := browser.Do(r)
		if err != nil {
			w.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			w.Fatal(err)
		}
		w.watch.Saw(method+" of a page", string(data))
		return string(data), resp.Header.Get("Location")
	}
	_, to := visit(http.MethodPost, link)
	back, err := w.stack.Person(user).Approve(w.Context(), to)
	if err != nil {
		w.Fatalf("signing in: %v", err)
	}
	page, _ := visit(http.MethodGet, back.String())
	return page
}

// A caller asks for a link, a person signs in, and what they administer is rotated
// through the connection, over the API and the pages as they are deployed.
func TestConnectingByOAuth(t *testing.T) {
	w, people := newOAuthWorld(t)
	target := w.sample()
	type begun struct{ AuthorizationURL string }
	link := decode[begun](t, w.call(auth.Rotate, http.MethodPost, secrets+"/oauth/authorize", object{
		"name": "tenant", "description": "by a person", "tenantId": w.stack.TenantID, "isAutoRotationEnabled": true,
		"rotation": object{"rotationInterval": 30, "rotateAt": object{"hours": 3, "minutes": 15}, "timeZone": "Europe/Berlin",
			"target": object{"clientId": target.ClientID}},
	})).AuthorizationURL
	if u, err := url.Parse(link); err != nil || !strings.HasPrefix(link, w.url+oauth.StartPath+"?state=") || u.Query().Get("state") == "" {
		t.Fatalf("the link is %s", link)
	}
	if page := w.connect(link, people.Administrator); !strings.Contains(page, `class="connected"`) {
		t.Fatalf("the last page is\n%s", page)
	}
	made := w.one(w.call(auth.Read, http.MethodGet, secrets+"/connection-name/tenant", nil))
	if made.Credentials.TenantID != w.stack.TenantID || made.Rotation == nil || made.Rotation.Current == nil ||
		made.Rotation.Current.KeyID == target.KeyID {
		t.Errorf("the connection is %+v, rotation %+v", made, made.Rotation)
	}
	// The same code is of no use to a visitor who finds the callback's address, and
	// the name is taken from now on.
	refused := w.call(auth.Rotate, http.MethodPost, secrets+"/oauth/authorize", object{"name": "tenant", "tenantId": w.stack.TenantID})
	if refused.status != http.StatusBadRequest || !strings.Contains(string(refused.body), "already exists") {
		t.Errorf("the name again: %d %s", refused.status, refused.body)
	}
	again := decode[begun](t, w.call(auth.Write, http.MethodPost, secrets+"/oauth/authorize",
		object{"connectionId": made.ID})).AuthorizationURL
	if page := w.connect(again, people.Administrator); !strings.Contains(page, `class="reconnected"`) {
		t.Errorf("the last page is\n%s", page)
	}
	if after := w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil)); after.CredentialsHash == made.CredentialsHash {
		t.Error("another sign-in does not show in the credentials' hash")
	}
}

// Infisical's own form brings a code along.
func TestConnectingByACallersCode(t *testing.T) {
	w, people := newOAuthWorld(t)
	back, err := w.stack.Person(people.Administrator).Approve(t.Context(),
		w.stack.AuthorityURL+"/"+w.stack.TenantID+"/oauth2/v2.0/authorize?"+url.Values{
			"client_id": {people.ClientID}, "response_type": {"code"}, "response_mode": {"query"}, "redirect_uri": {w.url + oauth.CallbackPath},
			"scope": {"https://graph.microsoft.com/.default openid offline_access"},
			"state": {"0123456789abcdef0123456789abcdef<:>azure-client-secrets"},
		}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	body := object{"name": "tenant", "method": "oauth", "credentials": object{"tenantId": w.stack.TenantID, "code": back.Query().Get("code")}}
	if made := w.one(w.call(auth.Write, http.MethodPost, secrets, body)); made.Credentials.TenantID != w.stack.TenantID {
		t.Errorf("the connection is %+v", made)
	}
	body["name"] = "another"
	if refused := w.call(auth.Write, http.MethodPost, secrets, body); refused.status != http.StatusBadRequest ||
		!strings.Contains(string(refused.body), "used already") {
		t.Errorf("the code again: %d %s", refused.status, refused.body)
	}
}
