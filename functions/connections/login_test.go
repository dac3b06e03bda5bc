package connections_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/secret"
)

const loginPath = "/api/v1/auth/universal-auth/login"

// logIn sends a sign-in to an API that knows one key, and returns the answer with what was
// logged.
func logIn(t *testing.T, limits auth.Limits, bodies ...string) ([]*httptest.ResponseRecorder, string) {
	t.Helper()
	h := handler(service{}, auth.Admin)
	h.Limit = auth.NewLimiter(limits)
	h.Authenticate = func(*http.Request) (auth.Caller, error) { return auth.Caller{}, auth.ErrUnauthenticated }
	h.Login = func(name string, key secret.Value) (auth.Caller, error) {
		if name != "ci" || key.Reveal() != "rk_good" {
			return auth.Caller{}, auth.ErrUnauthenticated
		}
		return auth.Caller{Name: "ci", Role: auth.Write, Kind: auth.KindKey}, nil
	}
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	var all []*httptest.ResponseRecorder
	for _, body := range bodies {
		r := httptest.NewRequest(http.MethodPost, loginPath, strings.NewReader(body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		all = append(all, w)
	}
	return all, log.String()
}

// The name of an API key and the key are answered by the key, as a token for a day. The log
// says who it was, and never the key.
func TestLogin(t *testing.T) {
	got, log := logIn(t, auth.Limits{}, `{"clientId":"ci","clientSecret":"rk_good","organizationSlug":"acme"}`)
	var answer map[string]any
	if err := json.Unmarshal(got[0].Body.Bytes(), &answer); err != nil || got[0].Code != http.StatusOK {
		t.Fatalf("status %d: %s", got[0].Code, got[0].Body)
	}
	day := (24 * time.Hour).Seconds()
	if len(answer) != 4 || answer["accessToken"] != "rk_good" || answer["tokenType"] != "Bearer" || answer["expiresIn"] != day ||
		answer["accessTokenMaxTTL"] != day {
		t.Errorf("answer %v", answer)
	}
	if h := got[0].Header(); h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
	if strings.Contains(log, "rk_good") || !strings.Contains(log, "caller=ci") || !strings.Contains(log, "route=universal-auth/login") ||
		!strings.Contains(log, "status=200") {
		t.Errorf("log %s", log)
	}
}

// Whatever is wrong with a sign-in, the answer does not say which part, and repeats nothing.
func TestRefusedLogin(t *testing.T) {
	for body, status := range map[string]int{
		`{"clientId":"ci","clientSecret":"rk_wrong"}`:   401,
		`{"clientId":"other","clientSecret":"rk_good"}`: 401,
		`{"clientId":"CI","clientSecret":"rk_good"}`:    401,
		`{"clientId":"rk_good","clientSecret":"ci"}`:    401,
		`{"clientSecret":"rk_good"}`:                    401,
		`{"clientId":"ci"}`:                             401,
		`{"clientId":"ci","clientSecret":null}`:         401,
		`{}`:                                            401,
		`{"clientId":"ci","clientSecret":["rk_good"]}`:  400,
		`{"clientId":7,"clientSecret":"rk_good"}`:       400,
		`clientId=ci&clientSecret=rk_good`:              400,
		``:                                              400,
		`{"clientId":"ci","clientSecret":"` + strings.Repeat("A", 300<<10) + `"}`: 413,
	} {
		got, log := logIn(t, auth.Limits{}, body)
		text := got[0].Body.String()
		if got[0].Code != status || !strings.Contains(text, `"statusCode":`) || strings.Contains(text+log, "rk_") ||
			strings.Contains(text, "accessToken") || !strings.Contains(log, `caller=""`) {
			t.Errorf("%.80s: status %d, want %d: %s %s", body, got[0].Code, status, text, log)
		}
		if challenge := got[0].Header().Get("WWW-Authenticate"); (challenge != "") != (status == 401) {
			t.Errorf("%.80s: WWW-Authenticate %q", body, challenge)
		}
	}
	h := handler(service{}, auth.Admin) // whose callers sign in otherwise
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, loginPath, strings.NewReader(`{"clientId":"ci","clientSecret":"rk_good"}`)))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without keys: status %d: %s", w.Code, w.Body)
	}
}

// Who guesses is slowed down like any unknown caller, whatever is wrong with the guess; who
// signs in is not, but for the own share.
func TestLoginIsLimited(t *testing.T) {
	const good, bad = `{"clientId":"ci","clientSecret":"rk_good"}`, `{"clientId":"ci","clientSecret":"rk_wrong"}`
	got, log := logIn(t, auth.Limits{Unknown: 2, Writes: 2}, bad, "{", bad, "{", good, good, good)
	for i, want := range []int{401, 400, 429, 429, 200, 200, 429} {
		if got[i].Code != want || want == 429 && got[i].Header().Get("Retry-After") == "" {
			t.Errorf("%d: status %d, want %d: %s", i, got[i].Code, want, got[i].Body)
		}
	}
	if strings.Count(log, `caller=""`) != 2 || strings.Count(log, "refused requests of unknown callers") != 1 ||
		strings.Count(log, "caller=ci") != 3 {
		t.Errorf("log %s", log)
	}
}
