package connections_test

import (
	"net/http"
	"strings"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// keyOf sends a request with these Idempotency-Keys and returns what the service is
// told of it.
func keyOf(t *testing.T, caller, path, body string, keys ...string) (k connection.Keyed, status int) {
	t.Helper()
	s := service{
		create: func(in connection.Input) (rotation.Record, error) { return rotation.Record{ID: in.ID}, nil },
		createTarget: func(via string, in connection.TargetInput) (rotation.Record, error) {
			return rotation.Record{ID: in.ID, Via: via}, nil
		},
		rotate: func(_ string, opts connection.RotateOptions) (rotation.Record, error) {
			return rotation.Record{ID: opts.ID}, nil
		},
		once: func(got connection.Keyed, do func(string) (rotation.Record, error)) (rotation.Record, error) {
			k = got
			return do(id)
		},
	}
	h := handler(s, auth.Admin)
	h.Authenticate = func(*http.Request) (auth.Caller, error) { return auth.Caller{Name: caller, Role: auth.Admin}, nil }
	var header []string
	for _, key := range keys {
		header = append(header, "Idempotency-Key", key)
	}
	w, _ := askOf(t, h, http.MethodPost, path, body, header...)
	if w.Code == http.StatusOK && !strings.Contains(w.Body.String(), id) {
		t.Errorf("%s: the id that is kept for it is not used: %s", path, w.Body)
	}
	return k, w.Code
}

// A request is the same if caller, address and key are; whether it really is the same,
// its body's hash tells. What is kept does not reveal the body.
func TestIdempotencyKeys(t *testing.T) {
	const list, body = "/azure-client-secrets", `{"name":"n","method":"client-secret","credentials":{"clientSecret":"hunter2"}}`
	first, _ := keyOf(t, "ci", list, body, "k1")
	if !strings.HasPrefix(first.Key, "idem-") || len(first.Key) > 100 || first.Rotates != "" {
		t.Errorf("key %+v", first)
	}
	if again, _ := keyOf(t, "ci", list, body, "k1"); again != first {
		t.Errorf("the same request is another one: %+v, %+v", first, again)
	}
	if other, _ := keyOf(t, "ci", list, strings.Replace(body, "hunter2", "hunter3", 1), "k1"); other.Key != first.Key ||
		other.Hash == first.Hash {
		t.Errorf("another body: %+v", other)
	}
	for name, try := range map[string]func() (connection.Keyed, int){
		"another key":    func() (connection.Keyed, int) { return keyOf(t, "ci", list, body, "k2") },
		"another caller": func() (connection.Keyed, int) { return keyOf(t, "ci2", list, body, "k1") },
		"a target":       func() (connection.Keyed, int) { return keyOf(t, "ci", list+"/"+id+"/targets", body, "k1") },
	} {
		if other, status := try(); other.Key == first.Key || status != http.StatusOK {
			t.Errorf("%s: %+v, status %d", name, other, status)
		}
	}
	if k, _ := keyOf(t, "ci", list+"/"+id+"/rotate-credentials", "", "k1"); k.Rotates != id {
		t.Errorf("a rotation: %+v", k)
	}
	if k, status := keyOf(t, "ci", list, body); k.Key != "" || status != http.StatusOK {
		t.Errorf("without a key: %+v", k)
	}
	for _, keys := range [][]string{{""}, {"a", "b"}, {strings.Repeat("k", 256)}, {"schlüssel"}} {
		if _, status := keyOf(t, "ci", list, body, keys...); status != http.StatusBadRequest {
			t.Errorf("%q: status %d", keys, status)
		}
	}
	if !strings.Contains(string(connections.Document), `"Idempotency-Key"`) {
		t.Error("the document does not say that there are keys")
	}
}
