package oauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	pages "rekey/functions/oauth"
	"rekey/shared/connection"
	"rekey/shared/emulator/stack"
	"rekey/shared/entra"
	"rekey/shared/keyvault"
	"rekey/shared/oauth"
	"rekey/shared/openid"
	"rekey/shared/rotation"
	"rekey/shared/tablestore"
)

// world is connecting by OAuth over the real adapters, against emulated services, with
// pages that can be visited. Graph is left out: signing in does not need it.
type world struct {
	*testing.T
	flow    *oauth.Flow
	conns   *connection.Service
	stack   *stack.Stack
	app     stack.OAuthApplication
	url     string
	ahead   atomic.Int64                        // of the real time
	idToken func(good string) string            // what Entra's ID token is replaced by; nil: it stays
	before  atomic.Pointer[func(*http.Request)] // is called with each request for a page

	mu      sync.Mutex
	secrets []string // codes and tokens that the directory has issued
	seen    []string // what the pages have answered
	log     bytes.Buffer
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	var err error
	w.stack, err = stack.Start(stack.Config{Dir: t.TempDir(), Now: w.now, Issued: func(value string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.secrets = append(w.secrets, value)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.stack.Stop() })
	handler := &pages.Handler{AuthorityURL: w.stack.AuthorityURL, Now: w.now, Log: slog.New(slog.NewJSONHandler(w, nil))}
	server := httptest.NewServer(w.recorded(handler))
	t.Cleanup(server.Close)
	w.url, handler.PublicURL = server.URL, server.URL
	if w.app, err = w.stack.AddOAuthApplication(server.URL + oauth.CallbackPath); err != nil {
		t.Fatal(err)
	}
	w.wire()
	handler.Flow = w.flow
	t.Cleanup(w.leaks)
	return w
}

// wire puts the adapters together.
func (w *world) wire() {
	env := map[string]string{}
	for _, e := range w.stack.Env() {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	must := func(err error) {
		if err != nil {
			w.Helper()
			w.Fatal(err)
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: w.stack.TLS}}
	w.Cleanup(client.CloseIdleConnections)
	own, err := azidentity.NewClientSecretCredential(env["AZURE_TENANT_ID"], env["AZURE_CLIENT_ID"], env["AZURE_CLIENT_SECRET"],
		&azidentity.ClientSecretCredentialOptions{
			ClientOptions: azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.stack.AuthorityURL},
				Transport: client},
			DisableInstanceDiscovery: true,
		})
	must(err)
	store, err := tablestore.New(tablestore.Config{ServiceURL: w.stack.TableService, Credential: own, Transport: client, Now: w.now})
	must(err)
	vault, err := keyvault.New(keyvault.Config{URL: w.stack.VaultURL, Credential: own, Emulated: true, Transport: client})
	must(err)
	authority, err := entra.New(entra.Config{
		AuthorityHost: w.stack.AuthorityURL, Emulated: true, Now: w.now, HTTPClient: &http.Client{Transport: swapping{client.Transport, w}},
		OAuth: entra.OAuthApplication{ClientID: w.app.ClientID,
			Secret: func(context.Context) (secret.Value, error) { return secret.New(w.app.Secret), nil }},
	})
	must(err)
	tokens, err := openid.New(openid.Config{AuthorityHost: w.stack.AuthorityURL, HTTPClient: client, Now: w.now})
	must(err)
	log := slog.New(slog.NewJSONHandler(w, nil))
	actors := &connection.Actors{Records: store, Vault: vault, Authority: authority, SignIns: authority, Deployment: "test",
		Now: w.now, Log: log}
	w.conns = &connection.Service{
		Rotator: &rotator.Rotator{
			Store: store, Vault: vault, Authority: authority, Actors: actors, Rules: rotation.DefaultRules(), Deployment: "test",
			Now: w.now, Log: log,
		},
		Actors: actors, Records: store, Reservations: store, Claims: store, Vault: vault, Log: log,
	}
	w.flow = &oauth.Flow{
		Store: store, Authority: authority, IDTokens: tokens, Connections: w.conns,
		ClientID: w.app.ClientID, PublicURL: w.url, Now: w.now, Log: log,
	}
}

// swapping replaces ID tokens on their way.
type swapping struct {
	next http.RoundTripper
	w    *world
}

func (s swapping) RoundTrip(r *http.Request) (*http.Response, error) {
	reply, err := s.next.RoundTrip(r)
	if err != nil || s.w.idToken == nil || !strings.HasSuffix(r.URL.Path, "/token") || reply.StatusCode != http.StatusOK {
		return reply, err
	}
	defer reply.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(reply.Body).Decode(&body); err != nil {
		return nil, err
	}
	if good, ok := body["id_token"].(string); ok {
		body["id_token"] = s.w.idToken(good)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	reply.Body, reply.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	reply.Header.Set("Content-Length", strconv.Itoa(len(data)))
	return reply, nil
}

// recorded keeps what the pages answer.
func (w *world) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if before := w.before.Load(); before != nil {
			(*before)(r)
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		w.mu.Lock()
		w.seen = append(w.seen, fmt.Sprint(rec.Header(), rec.Body))
		w.mu.Unlock()
		for name, values := range rec.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(rec.Code)
		rw.Write(rec.Body.Bytes())
	})
}

// leaks looks for everything that was issued in everything that came out.
func (w *world) leaks() {
	w.Helper()
	places := map[string]string{"log": w.log.String(), "pages": strings.Join(w.seen, "\n")}
	for _, row := range w.stack.Table.Rows("") {
		places["row "+row.RowKey] = fmt.Sprint(row.Properties)
	}
	for _, name := range w.stack.Vault.Names() {
		for _, v := range w.stack.Vault.Versions(name) {
			places["tags of "+name] += fmt.Sprint(v.ContentType, v.Tags)
		}
	}
	if len(w.secrets) == 0 {
		w.Error("nothing was issued, so that nothing was searched for")
	}
	for _, secret := range w.secrets {
		for place, text := range places {
			if strings.Contains(text, secret) || len(secret) > 40 && strings.Contains(text, url.QueryEscape(secret[10:40])) {
				w.Errorf("a secret of %d characters is in the %s", len(secret), place)
			}
		}
	}
}

// begin asks for a link.
func (w *world) begin(name string) string {
	w.Helper()
	return w.beginAs(oauth.Request{Name: name, TenantID: w.stack.TenantID, By: "alice"})
}

func (w *world) beginAs(r oauth.Request) string {
	w.Helper()
	begun, err := w.flow.Begin(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	return begun.AuthorizationURL
}

// connections lists what there is.
func (w *world) connections() []rotation.Record {
	w.Helper()
	list, err := w.conns.List(w.Context(), nil)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

// nothing fails the test if a connection, a reservation or a vault secret was left.
func (w *world) nothing() {
	w.Helper()
	for _, row := range w.stack.Table.Rows("") {
		if !strings.HasPrefix(row.RowKey, "oauth-") {
			w.Errorf("there is a row %s", row.RowKey)
		}
	}
	if names := w.stack.Vault.Names(); len(names) > 0 {
		w.Errorf("the vault has %v", names)
	}
}

// signedIn fails the test unless there is one connection, with a refresh token of that
// person in the vault that works.
func (w *world) signedIn(user string) rotation.Record {
	w.Helper()
	list := w.connections()
	if len(list) != 1 || list[0].Auth == nil || list[0].Auth.Account != user || list[0].Phase != rotation.Idle {
		w.Fatalf("the connections are %+v", list)
	}
	var kept struct{ RefreshToken string }
	for _, v := range w.stack.Vault.Versions(list[0].AuthName()) {
		if v.ID == list[0].Auth.VaultVersion && json.Unmarshal([]byte(v.Value), &kept) != nil {
			w.Fatal("what the vault has is no JSON")
		}
	}
	if owner, client, ok := w.stack.Directory.RefreshTokenOf(kept.RefreshToken); !ok || owner != user || client != w.app.ClientID {
		w.Errorf("the refresh token is %s's for %s, and works: %v", owner, client, ok)
	}
	return list[0]
}
