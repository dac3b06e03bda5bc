package console_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/functions/console"
	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/session"
)

// gated is the console with the real sessions, over an API that counts.
type gated struct {
	*testing.T
	*console.Handler
	sessions *session.Manager
	memory   *rotationtest.World
	routes   []console.Route
	keys     map[auth.Role]string
	later    time.Duration // what the clock has gone on
	asked    int           // requests to the API
}

func newGated(t *testing.T) *gated {
	t.Helper()
	w := &gated{T: t, memory: rotationtest.NewWorld(t), keys: map[auth.Role]string{}, routes: console.Routes(
		"{id}", id, "{targetId}", targetID, "{tenantId}", tenantID, "{clientId}", clientID, "{scanId}", "scan-1")}
	w.memory.Latency = 0
	clock := func() time.Time { return now.Add(w.later) }
	log := slog.New(slog.DiscardHandler)
	table := w.memory.StorePort()
	w.sessions = &session.Manager{Callers: &auth.Authenticator{}, Deployment: "test", PublicURL: "https://rekey.example", Now: clock, Log: log,
		Keys: &session.Keys{Vault: w.memory.VaultPort(), Name: "console-key", Reservations: table, Now: clock, Log: log}}
	for role := auth.Read; role <= auth.Admin; role++ {
		key, hash, err := auth.NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := auth.ParseKey("key-" + role.String() + ":" + role.String() + ":" + hash)
		if err != nil {
			t.Fatal(err)
		}
		w.keys[role], w.sessions.Callers.Keys = key.Reveal(), append(w.sessions.Callers.Keys, entry)
	}
	w.Handler = &console.Handler{Sessions: w.sessions, Trail: &audit.Trail{Store: table, Now: clock, Log: log}, Now: clock, Log: log,
		API: http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			w.asked++
			out.WriteHeader(http.StatusNotFound)
			_, _ = out.Write([]byte(`{"message":"There is no such thing."}`))
		})}
	return w
}

// signedIn is a session as a browser has it.
type signedIn struct{ cookie, token string }

const cookieName = "__Host-rekey-session"

func (w *gated) signIn(role auth.Role) signedIn {
	w.Helper()
	r := httptest.NewRequest(http.MethodPost, "/console/sign-in", strings.NewReader(url.Values{"key": {w.keys[role]}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	out := httptest.NewRecorder()
	w.ServeHTTP(out, r)
	cookies := out.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != cookieName {
		w.Fatalf("signing in: %d, %v", out.Code, cookies)
	}
	s := signedIn{cookie: cookies[0].Value}
	page := w.send(console.Route{Method: http.MethodGet, Path: "/console/settings"}, s, nil)
	found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page.Body.String())
	if found == nil {
		w.Fatalf("no form: %d", page.Code)
	}
	s.token = found[1]
	return s
}

// send makes a request as the console's own pages do, but for the headers given.
func (w *gated) send(rt console.Route, s signedIn, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(rt.Method, rt.Path, strings.NewReader(url.Values{"csrf": {s.token}}.Encode()))
	if rt.Method == http.MethodGet {
		r = httptest.NewRequest(rt.Method, rt.Path, nil)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, values := range header {
		r.Header[name] = values
	}
	if s.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: s.cookie})
	}
	out := httptest.NewRecorder()
	w.ServeHTTP(out, r)
	return out
}

// refuses sends a request to each route that choose takes, and fails unless each is answered so and
// none reaches the API.
func (w *gated) refuses(what string, s signedIn, header http.Header, status int, says string, choose func(console.Route) bool) {
	w.Helper()
	n := 0
	for _, rt := range w.routes {
		if !choose(rt) {
			continue
		}
		n++
		asked := w.asked
		out := w.send(rt, s, header)
		text := out.Body.String() + out.Header().Get("Location")
		if out.Code != status || !strings.Contains(text, strings.ReplaceAll(says, "{role}", rt.Role.String())) || w.asked != asked {
			w.Errorf("%s: %s %s: %d, %d characters, to %q; the API was asked %d times", what, rt.Method, rt.Path, out.Code, out.Body.Len(),
				out.Header().Get("Location"), w.asked-asked)
		}
	}
	if n == 0 {
		w.Errorf("%s: no route was tried", what)
	}
}

func all(console.Route) bool { return true }

func posts(rt console.Route) bool { return rt.Method == http.MethodPost }

// Every route of the console refuses who is not signed in, whose session is none any more, whose role
// is too low, and forms that are not of this session or of this site. None of them reaches the API. A
// route that is new is among them.
func TestEveryRouteRefuses(t *testing.T) {
	w := newGated(t)
	admin := w.signIn(auth.Admin)
	for _, rt := range w.routes { // else what follows would show nothing
		if out := w.send(rt, w.signIn(rt.Role), nil); out.Code == http.StatusForbidden ||
			strings.HasPrefix(out.Header().Get("Location"), "/console/sign-in") && !strings.HasSuffix(rt.Path, "/sign-out") {
			t.Errorf("%s %s refuses the role %s: %d", rt.Method, rt.Path, rt.Role, out.Code)
		}
	}

	const ended = "/console/sign-in?"
	forged := func(cookie string) signedIn { return signedIn{cookie, admin.token} }
	w.refuses("without a session", signedIn{token: admin.token}, nil, http.StatusSeeOther, "/console/sign-in", all)
	w.refuses("with a forged cookie", forged(strings.Repeat("A", len(admin.cookie))), nil, http.StatusSeeOther, ended, all)
	w.refuses("with a changed cookie", forged(admin.cookie[:30]+"AAAA"+admin.cookie[34:]), nil, http.StatusSeeOther, ended, all)
	w.sessions.Deployment = "another"
	w.refuses("with a cookie of another deployment", admin, nil, http.StatusSeeOther, ended, all)
	w.sessions.Deployment = "test"

	for role := auth.Read; role < auth.Admin; role++ {
		w.refuses("as "+role.String(), w.signIn(role), nil, http.StatusForbidden,
			"This needs the role {role}. You have the role "+role.String()+".", func(rt console.Route) bool { return rt.Role > role })
	}

	other := w.signIn(auth.Admin)
	w.refuses("without a token", signedIn{cookie: admin.cookie}, nil, http.StatusForbidden, "an earlier session", posts)
	w.refuses("with another session's token", signedIn{admin.cookie, other.token}, nil, http.StatusForbidden, "an earlier session", posts)
	for name, header := range map[string]http.Header{
		"from another site":   {"Sec-Fetch-Site": {"cross-site"}},
		"from a sister site":  {"Sec-Fetch-Site": {"same-site"}},
		"from another origin": {"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}},
		"from nowhere":        {"Sec-Fetch-Site": nil, "Origin": {"null"}},
	} {
		w.refuses(name, admin, header, http.StatusForbidden, "did not come from a page of the console", posts)
	}

	// What ends sessions comes last.
	w.later = time.Hour
	w.refuses("an hour after the last request", admin, nil, http.StatusSeeOther, ended, all)
	admin = w.signIn(auth.Admin)
	rotating := w.signIn(auth.Rotate)
	w.sessions.Callers.Keys = slices.DeleteFunc(w.sessions.Callers.Keys, func(k auth.Key) bool { return k.Role == auth.Rotate })
	w.refuses("after the API key was removed", rotating, nil, http.StatusSeeOther, ended, all)
	for fill := range 2 {
		_, err := w.memory.VaultPort().Put(t.Context(), sessionKey(byte(fill)))
		if err != nil {
			t.Fatal(err)
		}
	}
	w.later += 6 * time.Minute
	w.refuses("after the key was rolled over twice", admin, nil, http.StatusSeeOther, ended, all)
	last := w.signIn(auth.Admin)
	w.disable()
	w.later += 6 * time.Minute
	w.refuses("after the key was disabled", last, nil, http.StatusSeeOther, ended, all)
	w.refusalsAreAudited()
}

// sessionKey is a key as an operator writes one.
func sessionKey(fill byte) rotation.VaultSecret {
	return rotation.VaultSecret{Name: "console-key", Enabled: true, ContentType: session.KeyType, ExpiresAt: now.AddDate(1, 0, 0),
		Value: secret.New(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32)))}
}

// disable disables every version of the key.
func (w *gated) disable() {
	w.Helper()
	vault := w.memory.VaultPort()
	all, err := vault.List(w.Context(), "console-key")
	for _, v := range all {
		if err == nil {
			err = vault.Disable(w.Context(), v.Name, v.Version)
		}
	}
	if err != nil {
		w.Fatal(err)
	}
}

// refusalsAreAudited looks for those that the console itself makes.
func (w *gated) refusalsAreAudited() {
	w.Helper()
	events, _, err := w.memory.StorePort().Audit(context.Background(), audit.Query{Limit: 1000})
	if err != nil {
		w.Fatal(err)
	}
	for role := auth.Write; role <= auth.Admin; role++ {
		if !slices.ContainsFunc(events, func(e audit.Event) bool {
			return e.Kind == audit.ConsoleRefused && e.By == "key-read" && e.Role == "read" &&
				strings.HasPrefix(e.Reason, "the page "+console.Base+"/") &&
				strings.HasSuffix(e.Reason, "needs the role "+role.String())
		}) {
			w.Errorf("that a page needs the role %s is not in the audit: %+v", role, events)
		}
	}
}
