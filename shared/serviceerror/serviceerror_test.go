package serviceerror_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rekey/shared/serviceerror"
)

const canary = "canary-s3cret-value"

var classes = []serviceerror.Class{
	serviceerror.Transient, serviceerror.Throttled, serviceerror.Concurrency,
	serviceerror.CredentialRefused, serviceerror.CredentialExpired, serviceerror.CredentialInvalid,
	serviceerror.ApplicationMissing, serviceerror.TenantMissing, serviceerror.Permission,
	serviceerror.PolicyLifetime, serviceerror.PolicyForbidden, serviceerror.Full,
	serviceerror.CredentialMissing, serviceerror.VaultRefused, serviceerror.VaultConflict,
	serviceerror.VaultMissing, serviceerror.VaultDisabled, serviceerror.Invalid, serviceerror.CredentialLost, serviceerror.ActorRefused,
	serviceerror.CertificateRefused, serviceerror.SignInExpired, serviceerror.ConsentMissing,
}

func TestEveryClassHasAdvice(t *testing.T) {
	for _, c := range classes {
		if advice := c.Advice(); !strings.HasSuffix(advice, ".") {
			t.Errorf("%s: no sentence says what to do: %q", c, advice)
		}
		passes := c == serviceerror.Transient || c == serviceerror.Throttled || c == serviceerror.Concurrency
		if c.Refusal() == passes {
			t.Errorf("%s: Refusal() = %t", c, c.Refusal())
		}
	}
}

func TestErrorPrintsWhatIsKnown(t *testing.T) {
	for _, tt := range []struct {
		err  serviceerror.Error
		want string
	}{
		{serviceerror.Error{Op: "signing in", Class: serviceerror.Transient}, "signing in: transient"},
		{serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215", RequestID: "r-1"},
			"signing in: credential-refused (status 401, AADSTS7000215, request r-1)"},
		{serviceerror.Error{Op: "adding a password", Class: serviceerror.Transient, UnknownOutcome: true, Detail: "d"},
			"adding a password: transient (d, outcome unknown)"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestClassOf(t *testing.T) {
	known := &serviceerror.Error{Class: serviceerror.Permission}
	for err, want := range map[error]serviceerror.Class{
		known: serviceerror.Permission, fmt.Errorf("rotating: %w", known): serviceerror.Permission,
		errors.New("anything"): serviceerror.Transient, serviceerror.ErrNotFound: serviceerror.Transient,
		context.Canceled: serviceerror.Transient,
	} {
		if got := serviceerror.ClassOf(err); got != want {
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
		{serviceerror.ErrConflict, true},
		{fmt.Errorf("x: %w", serviceerror.ErrNotFound), false},
		{serviceerror.ErrExists, false},
		{serviceerror.ErrNewerSchema, false},
		{&serviceerror.Error{Class: serviceerror.Transient}, false},
		{fmt.Errorf("x: %w", &serviceerror.Error{Class: serviceerror.Transient, UnknownOutcome: true}), true},
	} {
		if got := serviceerror.UnknownOutcome(tt.err); got != tt.want {
			t.Errorf("%v: %t, want %t", tt.err, got, tt.want)
		}
	}
}

func TestExplainQuotesOnlyWhatIsSafe(t *testing.T) {
	got := serviceerror.Explain(fmt.Errorf("rotating: %w",
		&serviceerror.Error{Op: "adding a password", Class: serviceerror.Permission, Status: 403}))
	if !strings.HasPrefix(got, serviceerror.Permission.Advice()) || !strings.Contains(got, "status 403") {
		t.Errorf("a known failure is explained as %q", got)
	}
	if got := serviceerror.Explain(errors.New("Post https://x/?client_secret=" + canary)); strings.Contains(got, canary) ||
		got != serviceerror.Transient.Advice() {
		t.Errorf("an unknown failure is explained as %q", got)
	}
}
