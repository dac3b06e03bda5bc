package keyvault_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/vault"
)

// operations calls each method of the adapter once.
var operations = []struct {
	name, op string
	write    bool
	call     func(ctx context.Context, s stack) error
}{
	{"Put", "vault.set", true, func(ctx context.Context, s stack) error {
		_, err := s.Put(ctx, given("app", "hunter2hunter2", nil))
		return err
	}},
	{"Get", "vault.get", false, func(ctx context.Context, s stack) error {
		_, err := s.Get(ctx, "app", "")
		return err
	}},
	{"List", "vault.list", false, func(ctx context.Context, s stack) error {
		_, err := s.List(ctx, "app")
		return err
	}},
	{"Disable", "vault.update", true, func(ctx context.Context, s stack) error {
		return s.Disable(ctx, "app", s.emulator.Versions("app")[0].ID)
	}},
	{"Delete", "vault.delete", true, func(ctx context.Context, s stack) error {
		return s.Delete(ctx, "app")
	}},
}

func TestFailures(t *testing.T) {
	pause := http.Header{"Retry-After": {"7"}}
	date := http.Header{"Retry-After": {"Fri, 22 Nov 2126 12:01:30 GMT"}}
	tests := []struct {
		name    string
		effect  fault.Effect
		class   serviceerror.Class
		unknown bool // of a write
		retried bool // of a read
		after   time.Duration
	}{
		{"bad request", fault.Effect{Status: 400, Code: "BadParameter"}, serviceerror.Invalid, false, false, 0},
		{"forbidden", fault.Effect{Status: 403, Code: "Forbidden"}, serviceerror.VaultRefused, false, false, 0},
		{"conflict", fault.Effect{Status: 409, Code: "Conflict"}, serviceerror.VaultConflict, false, false, 0},
		{"recovering", fault.Effect{Status: 409, Code: "ObjectIsBeingRecovered"}, serviceerror.Transient, false, false, 0},
		{"timeout", fault.Effect{Status: 408, Code: "Timeout"}, serviceerror.Transient, true, true, 0},
		{"throttled", fault.Effect{Status: 429, Code: "Throttled"}, serviceerror.Throttled, false, true, 0},
		{"throttled for seconds", fault.Effect{Status: 429, Code: "Throttled", Header: pause}, serviceerror.Throttled, false, false,
			7 * time.Second},
		{"throttled until", fault.Effect{Status: 429, Header: date}, serviceerror.Throttled, false, false, 90 * time.Second},
		{"error", fault.Effect{Status: 500, Code: "InternalServerError"}, serviceerror.Transient, true, true, 0},
		{"unavailable", fault.Effect{Status: 503}, serviceerror.Transient, true, true, 0},
		{"unavailable for seconds", fault.Effect{Status: 503, Header: pause}, serviceerror.Throttled, true, false, 7 * time.Second},
		{"gateway timeout", fault.Effect{Status: 504}, serviceerror.Transient, true, true, 0},
		{"connection dropped", fault.Effect{}, serviceerror.Transient, true, true, 0},
	}
	for _, tt := range tests {
		for _, o := range operations {
			t.Run(tt.name+"/"+o.name, func(t *testing.T) {
				var hit bool
				s := start(t, vault.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
					if op != o.op {
						return nil
					}
					hit = true
					effect := tt.effect
					effect.Text = "the value hunter2hunter2 of app is wrong"
					return &effect
				}})
				s.emulator.Seed("app", "foreign", nil)
				err := o.call(t.Context(), s)
				if !hit {
					t.Fatal("the call did not arrive")
				}
				e, ok := errors.AsType[*serviceerror.Error](err)
				if !ok {
					t.Fatalf("err = %v, want an *serviceerror.Error", err)
				}
				if e.Class != tt.class || e.Status != tt.effect.Status || e.UnknownOutcome != (o.write && tt.unknown) {
					t.Errorf("err = %v", err)
				}
				if e.Status != 0 && e.RequestID == "" {
					t.Error("no request id")
				}
				if e.RetryAfter != tt.after {
					t.Errorf("RetryAfter = %v, want %v", e.RetryAfter, tt.after)
				}
				want := 1
				if tt.retried && !o.write {
					want = 2
				}
				n := s.emulator.Calls(o.op)
				if tt.effect.Status == 0 && !o.write {
					n = min(n, want) // net/http repeats reads by itself on a kept connection
				}
				if n != want {
					t.Errorf("sent %d times, want %d", n, want)
				}
				wantClean(t, s, err)
			})
		}
	}
}

// wantClean checks that err says nothing about what was called or answered.
func wantClean(t *testing.T, s stack, err error) {
	t.Helper()
	for _, leak := range []string{"hunter2", "/secrets", strings.TrimPrefix(s.server.URL, "https://"), "127.0.0.1", "token\"", "is wrong",
		"RESPONSE"} {
		if strings.Contains(err.Error(), leak) {
			t.Errorf("%q shows in: %v", leak, err)
		}
	}
	var unwrapped error
	for unwrapped = err; errors.Unwrap(unwrapped) != nil; unwrapped = errors.Unwrap(unwrapped) {
	}
	if _, ok := unwrapped.(*serviceerror.Error); !ok && unwrapped != serviceerror.ErrNotFound {
		t.Errorf("err wraps a %T", unwrapped)
	}
}

// A failed write that was applied is in the vault once, and to be found there.
func TestAppliedButFailed(t *testing.T) {
	for _, status := range []int{0, 504} {
		s := start(t, vault.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
			if op == "vault.set" {
				return &fault.Effect{Apply: true, Status: status}
			}
			return nil
		}})
		_, err := s.Put(t.Context(), given("app", "value", map[string]string{"marker": "m"}))
		if !serviceerror.UnknownOutcome(err) {
			t.Errorf("status %d: %v, want an unknown outcome", status, err)
		}
		all, err := s.List(t.Context(), "app")
		if err != nil || len(all) != 1 || all[0].Tags["marker"] != "m" {
			t.Errorf("status %d: List = %+v, %v; want the one version", status, all, err)
		}
	}
}

// A read survives one failure.
func TestReadIsRepeated(t *testing.T) {
	calls := 0
	s := start(t, vault.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		if calls++; op == "vault.get" && calls == 1 {
			return &fault.Effect{Status: 503}
		}
		return nil
	}})
	version := s.emulator.Seed("app", "value", nil)
	if got, err := s.Get(t.Context(), "app", ""); err != nil || got.Version != version {
		t.Errorf("Get = %q, %v", got.Version, err)
	}
}

func TestTokenRefusedByVault(t *testing.T) {
	s := start(t, vault.Config{Accept: func(string) bool { return false }})
	s.emulator.Seed("app", "value", nil)
	for _, o := range operations {
		err := o.call(t.Context(), s)
		e, ok := errors.AsType[*serviceerror.Error](err)
		if !ok || e.Class != serviceerror.VaultRefused || e.Status != 401 || e.UnknownOutcome {
			t.Errorf("%s: %v, want a definite 401", o.name, err)
		}
	}
}

// Without a token nothing reached the vault, whatever the reason.
func TestNoToken(t *testing.T) {
	answer := func(status int, body string) error {
		rec := httptest.NewRecorder()
		rec.Header().Set("x-ms-request-id", "0b1e7e57-0000-4000-8000-000000000000")
		rec.WriteHeader(status)
		io.WriteString(rec, body)
		return &azidentity.AuthenticationFailedError{RawResponse: rec.Result()}
	}
	tests := []struct {
		name  string
		err   error
		class serviceerror.Class
		code  string
	}{
		{"secret refused", answer(401, `{"error":"invalid_client","error_codes":[7000215]}`), serviceerror.VaultRefused, "AADSTS7000215"},
		{"throttled", answer(429, ``), serviceerror.Throttled, ""},
		{"unavailable", answer(503, `{"error_codes":["hunter2"]}`), serviceerror.Transient, ""},
		{"no answer", errors.New("dial hunter2: refused"), serviceerror.Transient, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, vault.Config{})
			s.cred.err = tt.err
			_, err := s.Put(t.Context(), given("app", "hunter2hunter2", nil))
			e, ok := errors.AsType[*serviceerror.Error](err)
			if !ok || e.Class != tt.class || e.Code != tt.code || e.UnknownOutcome {
				t.Errorf("err = %#v, want class %q, code %q", err, tt.class, tt.code)
			}
			if n := s.cred.tokens.Load(); n != 1 {
				t.Errorf("asked for a token %d times", n)
			}
			wantClean(t, s, err)
		})
	}
}

// What is not Key Vault, such as a proxy, is not believed beyond its status.
func TestStrangeAnswers(t *testing.T) {
	const challenge = `Bearer authorization="https://login.example.test/t", resource="https://vault.azure.net"`
	tests := []struct {
		name    string
		status  int
		body    string
		unknown bool
	}{
		{"HTML", 502, "<html>hunter2</html>", true},
		{"a code with an address in it", 400, `{"error":{"code":"https://hunter2/secrets/app","innererror":{"code":"a b"}}}`, false},
		{"not found by a proxy", 404, "<html>hunter2</html>", false},
		{"a success that is no JSON", 200, "hunter2", true},
		{"a success without an id", 200, "{}", true},
		{"an accepted request", 202, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", challenge)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				w.Header().Set("x-ms-request-id", "https://hunter2/secrets")
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			t.Cleanup(server.Close)
			s := stack{Vault: open(t, server, &credential{}), server: server}
			_, err := s.Put(t.Context(), given("app", "hunter2hunter2", nil))
			if err == nil || serviceerror.UnknownOutcome(err) != tt.unknown {
				t.Fatalf("Put: %v, want unknown outcome %v", err, tt.unknown)
			}
			wantClean(t, s, err)
			if errors.Is(err, serviceerror.ErrNotFound) {
				t.Errorf("Put: %v, though the vault said nothing", err)
			}
			if _, err = s.Get(t.Context(), "app", ""); err == nil {
				t.Fatal("Get succeeded")
			}
			wantClean(t, s, err)
			if err := s.Delete(t.Context(), "app"); err == nil && tt.status != 200 {
				t.Error("Delete believed it")
			}
		})
	}
}

func TestEndedContext(t *testing.T) {
	s := start(t, vault.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.emulator.Seed("app", "value", nil)
	for _, o := range operations {
		if err := o.call(ctx, s); serviceerror.ClassOf(err) != serviceerror.Transient || err == nil {
			t.Errorf("%s: %v, want a transient failure", o.name, err)
		} else {
			wantClean(t, s, err)
		}
	}
}
