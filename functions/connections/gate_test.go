package connections_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/rotation"
)

// A caller who asks too often is told how long to wait, by its own count; reads and
// writes are counted apart, and unknown callers use up no known caller's share.
func TestLimit(t *testing.T) {
	s := service{list: func(*string) ([]rotation.Record, error) { return nil, nil }}
	at, name := now, "ci"
	h := handler(s, auth.Admin)
	h.Now = func() time.Time { return at }
	h.Limit = auth.NewLimiter(auth.Limits{Reads: 2, Writes: 1, Unknown: 1})
	h.Authenticate = func(*http.Request) (auth.Caller, error) {
		if name == "" {
			return auth.Caller{}, auth.ErrUnauthenticated
		}
		return auth.Caller{Name: name, Role: auth.Admin}, nil
	}
	for i, tt := range []struct {
		caller, method string
		status         int
		after          string
		lines          int // in the log
	}{
		{"ci", "GET", 200, "", 1},
		{"ci", "GET", 200, "", 1},
		{"ci", "GET", 429, "30", 1},
		{"ci", "POST", 400, "", 1},
		{"ci", "POST", 429, "60", 1},
		{"other", "GET", 200, "", 1},
		{"", "GET", 401, "", 1},
		{"", "GET", 429, "60", 1}, // how many, once a minute: they can't fill the log
		{"", "GET", 429, "60", 0},
		{"other", "GET", 200, "", 1},
	} {
		name = tt.caller
		w, log := askOf(t, h, tt.method, "/azure-client-secrets", "")
		if w.Code != tt.status || w.Header().Get("Retry-After") != tt.after || strings.Count(log, "\n") != tt.lines {
			t.Errorf("%d: status %d, Retry-After %q, log %q; want %+v", i, w.Code, w.Header().Get("Retry-After"), log, tt)
		}
	}
	name, at = "ci", now.Add(30*time.Second)
	if w, _ := askOf(t, h, "GET", "/azure-client-secrets", ""); w.Code != http.StatusOK {
		t.Errorf("after the wait: status %d", w.Code)
	}
}

// A credential that is not good is one thing; one that could not be checked is another.
func TestWhoCannotBeKnown(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		says   string
	}{
		{auth.ErrUnauthenticated, 401, "an Entra access token"},
		{fmt.Errorf("verifying: %w", auth.ErrUnauthenticated), 401, "API key"},
		{auth.ErrUnconfigured, 401, "No callers are configured"},
		{errors.New("hunter2"), 503, "could not be checked"},
	} {
		h := handler(service{}, auth.Admin)
		h.Authenticate = func(*http.Request) (auth.Caller, error) { return auth.Caller{}, tt.err }
		w, log := askOf(t, h, http.MethodGet, "/azure-client-secrets", "")
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String()+log, "hunter2") {
			t.Errorf("%v: status %d: %s %s", tt.err, w.Code, w.Body, log)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
			t.Errorf("%v: WWW-Authenticate %q", tt.err, challenge)
		}
	}
}

// A method that an address does not take is told which it does.
func TestMethods(t *testing.T) {
	for line, allow := range map[string]string{
		"PATCH /azure-client-secrets":                                      "GET, HEAD, POST",
		"PUT /azure-client-secrets/" + id:                                  "GET, HEAD, PATCH, DELETE",
		"POST /azure-client-secrets/" + id + "/":                           "GET, HEAD, PATCH, DELETE",
		"OPTIONS /options":                                                 "GET, HEAD",
		"HEAD /azure-client-secrets/" + id + "/test":                       "POST",
		"GET /azure-client-secrets/" + id + "/rotate-credentials":          "POST",
		"GET /azure-client-secrets/" + id + "/targets/" + target + "/test": "POST",
	} {
		method, path, _ := strings.Cut(line, " ")
		w, _ := ask(t, service{}, method, path, "")
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != allow {
			t.Errorf("%s: status %d, Allow %q, want %q", line, w.Code, w.Header().Get("Allow"), allow)
		}
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	} {
		if w, _ := ask(t, service{}, http.MethodGet, "/options", ""); w.Header().Get(name) != want {
			t.Errorf("%s: %q", name, w.Header().Get(name))
		}
	}
}
