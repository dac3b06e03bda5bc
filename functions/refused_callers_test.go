package functions_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/stack"
)

// reason is why the last request was refused, as the log has it.
func reason(t *testing.T, w *stack.Watch) string {
	t.Helper()
	for _, text := range slices.Backward(strings.Split(strings.TrimSpace(w.Log()), "\n")) {
		var l struct{ Msg, Reason string }
		if json.Unmarshal([]byte(text), &l) == nil && l.Msg == "request" {
			return l.Reason
		}
	}
	return ""
}

// The operator finds in the log why a caller was refused; the caller learns no more than
// before, and nothing of what they sent is in the log, which the end of the test searches.
func TestTheLogSaysWhyACallerWasRefused(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, nil, nil)
	admin := []string{entraRoles[auth.Admin]}
	elsewhere := w.stack.Directory.AddTenant()
	for name, tt := range map[string]struct {
		header []string
		says   string
	}{
		"nothing":          {nil, "no Authorization header"},
		"another scheme":   {[]string{"Basic aHVudGVyMjpodW50ZXIy"}, "not of the form Bearer"},
		"twice":            {[]string{"Bearer a", "Bearer b"}, "more than one Authorization header"},
		"no token":         {[]string{"Bearer "}, "not of the form Bearer"},
		"a key":            {[]string{"Bearer rk_" + strings.Repeat("A", 43)}, "API key is not known"},
		"half a key":       {[]string{"Bearer rk_AAAA"}, "API key is not known"},
		"no JWT":           {[]string{"Bearer hunter2"}, "malformed"},
		"another audience": {[]string{"Bearer " + w.token(admin, object{"aud": unknownID})}, "audience"},
		"another tenant": {[]string{"Bearer " + w.stack.Directory.AccessToken(w.stack.AuthorityURL, elsewhere,
			object{"aud": audience, "azp": callerApp, "oid": callerObject, "roles": admin})}, "tenant"},
		"expired": {[]string{"Bearer " + w.token(admin, object{"iat": 1, "nbf": 1, "exp": 2})}, "expired"},
	} {
		r := w.request(0, http.MethodGet, secrets, nil)
		for _, value := range tt.header {
			r.Header.Add("Authorization", value)
		}
		w.send(r).refuses(t, http.StatusUnauthorized, "Send an API key that this deployment knows")
		if got := reason(t, w.watch); !strings.Contains(got, tt.says) {
			t.Errorf("%s: the log says %q, want %q", name, got, tt.says)
		}
	}
	r := w.request(0, http.MethodGet, "", object{"clientId": "admin", "clientSecret": w.keys[auth.Read].Reveal()})
	r.Method, r.URL.Path = http.MethodPost, "/api/v1/auth/universal-auth/login"
	if got := w.send(r); got.status != http.StatusUnauthorized || !strings.Contains(reason(t, w.watch), "by another name") {
		t.Errorf("a sign-in by another name: %d, the log says %q", got.status, reason(t, w.watch))
	}
	w.call(auth.Read, http.MethodDelete, secrets+"/"+unknownID, nil).refuses(t, http.StatusForbidden)
	if got := reason(t, w.watch); !strings.Contains(got, `needs the role "write"`) {
		t.Errorf("a role that is not enough: the log says %q", got)
	}
	w.call(auth.Read, http.MethodGet, secrets, nil).ok(t)
	if got := reason(t, w.watch); got != "" {
		t.Errorf("a request that is answered: the log says %q", got)
	}
}

// The audience of the settings is a GUID in any case, or the identifier URI that Entra
// makes of it: then tokens of both versions are good, and those for another one are not.
func TestAudienceInEveryForm(t *testing.T) {
	t.Parallel()
	role := []string{entraRoles[auth.Read]}
	for given, good := range map[string][]string{
		strings.ToUpper(audience):            {audience},
		"api://" + audience:                  {audience, "api://" + audience},
		"api://" + strings.ToUpper(audience): {audience, "api://" + audience},
	} {
		w := newCallersWorld(t, settings{"REKEY_AUTH_AUDIENCE": given}, nil)
		for _, aud := range good {
			if got := w.bearing(w.token(role, object{"aud": aud}), http.MethodGet, secrets, nil); got.status != http.StatusOK {
				t.Errorf("%s: a token for %s: %d", given, aud, got.status)
			}
		}
		for _, aud := range []string{unknownID, "api://" + unknownID, "", "api://"} {
			if got := w.bearing(w.token(role, object{"aud": aud}), http.MethodGet, secrets, nil); got.status != http.StatusUnauthorized {
				t.Errorf("%s: a token for %q: %d", given, aud, got.status)
			}
		}
	}
}
