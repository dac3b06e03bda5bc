package functions_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/auth"
)

const loginPath = "/api/v1/auth/universal-auth/login"

// at sends a request to another base of the API than that of connections.
func (c *client) at(role auth.Role, method, path string, body any) reply {
	c.t.Helper()
	return c.send(c.requestAt(role, method, path, body))
}

func (c *client) requestAt(role auth.Role, method, path string, body any) *http.Request {
	c.t.Helper()
	r := c.request(role, method, "", body)
	var query string
	r.URL.Path, query, _ = strings.Cut(path, "?")
	r.URL.RawQuery = query
	return r
}

// logIn signs in. Its answer has the key, as it must: it is not searched, and the rest of
// what comes out is.
func (c *client) logIn(name, key string) (status int, token string) {
	c.t.Helper()
	body, err := json.Marshal(object{"clientId": name, "clientSecret": key, "organizationSlug": "acme"})
	if err != nil {
		c.t.Fatal(err)
	}
	r := c.requestAt(0, http.MethodPost, loginPath, string(body))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	described(c.t, r, string(body), reply{resp.StatusCode, resp.Header, data})
	var got struct{ AccessToken, TokenType string }
	if err := json.Unmarshal(data, &got); err != nil || resp.StatusCode == http.StatusOK && got.TokenType != "Bearer" {
		c.t.Errorf("status %d, %v: %d bytes", resp.StatusCode, err, len(data))
	}
	if resp.StatusCode != http.StatusOK {
		c.watch.Saw("refused sign-in", string(data))
	}
	return resp.StatusCode, got.AccessToken
}

// A client that signs in with the name of a key and the key may do with the token what the
// key may do. The log names the caller, and has no part of the key.
func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for role, key := range w.keys {
		status, token := w.logIn(role.String(), key.Reveal())
		if status != http.StatusOK || token != key.Reveal() {
			t.Errorf("%s: status %d, the token is the key: %t", role, status, token == key.Reveal())
		}
		r := w.request(0, http.MethodGet, secrets, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if got := w.send(r); got.status != http.StatusOK {
			t.Errorf("%s: the token is answered with %d", role, got.status)
		}
		if l := lastLine(t, w.watch); l.Caller != role.String() {
			t.Errorf("the log says %+v", l)
		}
		if status, token := w.logIn("admin", key.Reveal()); (status == http.StatusOK) != (role == auth.Admin) || status != 200 && token != "" {
			t.Errorf("%s under another name: status %d", role, status)
		}
	}
	log := w.watch.Log()
	if n := strings.Count(log, `"route":"universal-auth/login","status":200`); n != 5 {
		t.Errorf("%d sign-ins in the log, want 5", n)
	}
	if n := strings.Count(log, `"caller":"","kind":"","method":"POST","route":"universal-auth/login","status":401`); n != 3 {
		t.Errorf("%d refused sign-ins in the log, want 3", n)
	}
}

// Who guesses keys there is slowed down as everywhere, from whatever instance the host sends
// it to, and is told nothing; who has a key gets in meanwhile.
func TestFloodOfLogins(t *testing.T) {
	w := newCallersWorld(t, nil, nil)
	statuses := map[int]int{}
	for range 600 {
		got := w.at(0, http.MethodPost, loginPath, object{"clientId": "admin", "clientSecret": "rk_" + strings.Repeat("A", 43)})
		statuses[got.status]++
		if got.status == http.StatusTooManyRequests {
			if got.header.Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
			break
		}
		got.refuses(t, http.StatusUnauthorized, "The sign-in is refused", "API key")
	}
	if statuses[http.StatusTooManyRequests] != 1 || statuses[http.StatusUnauthorized] < 300 || len(statuses) != 2 {
		t.Errorf("statuses %v", statuses)
	}
	w.at(0, http.MethodGet, connections.Base, nil).refuses(t, http.StatusTooManyRequests, "valid credential")
	if status, token := w.logIn("read", w.keys[auth.Read].Reveal()); status != http.StatusOK || token == "" {
		t.Errorf("a known caller meanwhile: %d", status)
	}
}

// What is no API key signs in in no other way than before, and what is no sign-in is refused
// as everywhere.
func TestLoginOfOthers(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, nil, nil)
	token := w.token([]string{"Connections.Admin"}, nil)
	for _, pair := range [][2]string{{"app:" + callerApp, token}, {callerApp, token}, {"admin", token}, {"", ""}, {"admin", ""}} {
		w.at(0, http.MethodPost, loginPath, object{"clientId": pair[0], "clientSecret": pair[1]}).refuses(t,
			http.StatusUnauthorized, "The sign-in is refused")
	}
	w.at(auth.Admin, http.MethodPost, loginPath, object{}).refuses(t, http.StatusUnauthorized, "The sign-in is refused")
	w.at(auth.Admin, http.MethodGet, loginPath+"?clientId=admin&clientSecret=x", nil).refuses(t, http.StatusMethodNotAllowed, "Allow")
	w.at(0, http.MethodGet, loginPath, nil).refuses(t, http.StatusUnauthorized, "API key")
	w.at(auth.Admin, http.MethodPost, "/api/v1/auth/oidc-auth/login", object{}).refuses(t, http.StatusNotFound, "nothing at this address")
	r := w.requestAt(0, http.MethodPost, loginPath, "clientId=admin")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.send(r).refuses(t, http.StatusUnsupportedMediaType, "JSON")
	if log := w.watch.Log(); !bytes.Contains([]byte(log), []byte("universal-auth/login")) {
		t.Error("the log does not have the sign-ins")
	}
}

// Without keys in the settings no pair signs in, and the log says what to set.
func TestUnconfiguredLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{settings: settings{"REKEY_API_KEYS": ""}})
	if status, _ := w.logIn("admin", w.keys[auth.Admin].Reveal()); status != http.StatusUnauthorized {
		t.Errorf("status %d", status)
	}
	if log := w.watch.Log(); !strings.Contains(log, "REKEY_API_KEYS") {
		t.Errorf("the log does not say what to set:\n%s", log)
	}
}
