package serviceerror

import (
	"errors"
	"time"
)

// Explain says for a person what went wrong and what to do about it. It is safe to
// show: an error that is no [*Error] is not quoted.
func Explain(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return Transient.Advice()
	}
	return e.Advice() + " [" + e.Error() + "]"
}

// RetryAfterOf is how long the service asked to wait; 0 if it did not say.
func RetryAfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// RefusesCredential reports whether err is Entra's word that this credential does not
// work, now at least.
func RefusesCredential(err error) bool {
	switch ClassOf(err) {
	case CredentialRefused, CredentialExpired, CredentialInvalid, ApplicationMissing, TenantMissing:
		return true
	}
	return false
}

// IsDisabled reports whether Key Vault refused to read a version because it is
// disabled, rather than because of who asked.
func IsDisabled(err error) bool { return ClassOf(err) == VaultDisabled }

// Unreadable reports whether err says that a value is not to be had from Key Vault, since it
// is gone or disabled.
func Unreadable(err error) bool { return errors.Is(err, ErrNotFound) || IsDisabled(err) }
