package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rekey/shared/rotation"
)

var classes = []rotation.Class{
	rotation.Transient, rotation.Throttled, rotation.Concurrency, rotation.CredentialRefused, rotation.CredentialExpired, rotation.CredentialInvalid,
	rotation.ApplicationMissing, rotation.TenantMissing, rotation.Permission, rotation.PolicyLifetime, rotation.PolicyForbidden, rotation.Full,
	rotation.CredentialMissing, rotation.VaultRefused, rotation.VaultConflict, rotation.Invalid, rotation.CredentialLost,
}

func TestEveryClassHasAdvice(t *testing.T) {
	for _, c := range classes {
		if advice := c.Advice(); !strings.HasSuffix(advice, ".") {
			t.Errorf("%s: no sentence says what to do: %q", c, advice)
		}
		passes := c == rotation.Transient || c == rotation.Throttled || c == rotation.Concurrency
		if c.Refusal() == passes {
			t.Errorf("%s: Refusal() = %t", c, c.Refusal())
		}
	}
}

func TestErrorPrintsWhatIsKnown(t *testing.T) {
	for _, tt := range []struct {
		err  rotation.Error
		want string
	}{
		{rotation.Error{Op: "signing in", Class: rotation.Transient}, "signing in: transient"},
		{rotation.Error{Op: "signing in", Class: rotation.CredentialRefused, Status: 401, Code: "AADSTS7000215", RequestID: "r-1"}, "signing in: credential-refused (status 401, AADSTS7000215, request r-1)"},
		{rotation.Error{Op: "adding a password", Class: rotation.Transient, UnknownOutcome: true, Detail: "d"}, "adding a password: transient (d, outcome unknown)"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestClassOf(t *testing.T) {
	known := &rotation.Error{Class: rotation.Permission}
	for err, want := range map[error]rotation.Class{
		known: rotation.Permission, fmt.Errorf("rotating: %w", known): rotation.Permission,
		errors.New("anything"): rotation.Transient, rotation.ErrNotFound: rotation.Transient, context.Canceled: rotation.Transient,
	} {
		if got := rotation.ClassOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// Only an adapter that knows can say that a write did not happen (rule R1).
func TestUnknownOutcome(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("anything"), true},
		{context.DeadlineExceeded, true},
		{rotation.ErrConflict, true},
		{fmt.Errorf("x: %w", rotation.ErrNotFound), false},
		{rotation.ErrExists, false},
		{rotation.ErrNewerSchema, false},
		{&rotation.Error{Class: rotation.Transient}, false},
		{fmt.Errorf("x: %w", &rotation.Error{Class: rotation.Transient, UnknownOutcome: true}), true},
	} {
		if got := rotation.UnknownOutcome(tt.err); got != tt.want {
			t.Errorf("%v: %t, want %t", tt.err, got, tt.want)
		}
	}
}

func TestExplainQuotesOnlyWhatIsSafe(t *testing.T) {
	got := rotation.Explain(fmt.Errorf("rotating: %w", &rotation.Error{Op: "adding a password", Class: rotation.Permission, Status: 403}))
	if !strings.HasPrefix(got, rotation.Permission.Advice()) || !strings.Contains(got, "status 403") {
		t.Errorf("a known failure is explained as %q", got)
	}
	if got := rotation.Explain(errors.New("Post https://x/?client_secret=" + canary)); leaks(got) || got != rotation.Transient.Advice() {
		t.Errorf("an unknown failure is explained as %q", got)
	}
}
