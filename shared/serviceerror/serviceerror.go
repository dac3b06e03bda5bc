// Package serviceerror is the one form in which the failure of an outside service
// travels through Rekey: what class it is of, whether a write may have happened all
// the same, and words that are safe to print.
//
// It fails closed: what does not have the form of a code or an id is not shown, because
// a service, or a proxy in front of it, may have put anything there.
package serviceerror

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrNotFound says that the row, secret or version does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that a conditional write was refused because what it
	// was based on has changed: read again.
	ErrConflict = errors.New("changed by another writer")
	// ErrExists says that a row that had to be new is there already.
	ErrExists = errors.New("exists already")
	// ErrNewerSchema says that a row was written by a newer Rekey. An older
	// one neither reads nor writes it.
	ErrNewerSchema = errors.New("written by a newer version of Rekey")
)

// Class says what kind of failure a service answered with, as far as a caller
// has to act differently. The classes are stored in records and shown by the API.
type Class string

// The classes. Those that [Class.Refusal] names will not go away by trying
// again soon; a person has to change something first.
const (
	Transient          Class = "transient"           // timeout, reset, 5xx: try again
	Throttled          Class = "throttled"           // 429, or 503 with Retry-After
	Concurrency        Class = "concurrency"         // "concurrent requests being made to the tenant" as 400 or 409
	CredentialRefused  Class = "credential-refused"  // AADSTS7000215: wrong, removed, or not replicated yet
	CredentialExpired  Class = "credential-expired"  // AADSTS7000222
	CredentialInvalid  Class = "credential-invalid"  // any other refusal to issue a token
	ApplicationMissing Class = "application-missing" // AADSTS700016, Graph 404
	TenantMissing      Class = "tenant-missing"      // AADSTS90002
	Permission         Class = "permission"          // Graph 403
	PolicyLifetime     Class = "policy-lifetime"     // CredentialInvalidLifetimeAsPerAppPolicy
	PolicyForbidden    Class = "policy-forbidden"    // CredentialTypeNotAllowedAsPerAppPolicy
	Full               Class = "application-full"    // no room for another client secret
	CredentialMissing  Class = "credential-missing"  // "No password credential found with keyId"
	VaultRefused       Class = "vault-refused"       // Key Vault 401, 403
	VaultConflict      Class = "vault-conflict"      // name soft-deleted, or not ours
	VaultMissing       Class = "vault-missing"       // a version that Rekey needs is soft-deleted or gone
	VaultDisabled      Class = "vault-disabled"      // such a version is disabled
	Invalid            Class = "invalid"             // any other 4xx
	CredentialLost     Class = "credential-lost"     // the published credential has been refused for 15 minutes
	ActorRefused       Class = "actor-refused"       // the connection that authenticates for others can't
	CertificateRefused Class = "certificate-refused" // AADSTS700027, 50012, 700024
	SignInExpired      Class = "sign-in-expired"     // the refresh token is no good any more: AADSTS700082, 70008, 50173 and others
	ConsentMissing     Class = "consent-missing"     // AADSTS65001, 90094
)

// Refusal reports whether c is a definite answer that only a person can change,
// so that it is retried slowly.
func (c Class) Refusal() bool {
	switch c {
	case Transient, Throttled, Concurrency:
		return false
	}
	return true
}

// Advice says, in a sentence or two for a person, what to do about c.
func (c Class) Advice() string { return advice[c] }

var advice = map[Class]string{
	Transient:   "The service did not answer properly. Rekey tries again by itself.",
	Throttled:   "The service asked for a pause. Rekey tries again by itself.",
	Concurrency: "Other changes are being made to the tenant at the same time. Rekey tries again by itself.",
	CredentialRefused: "Entra refuses the client secret. Check that it is the secret's value (not its id), that it belongs to this " +
		"client id, and that it was not removed.",
	CredentialExpired: "The client secret has expired. Create a new one in Entra and give that to Rekey.",
	CredentialInvalid: "Entra refuses to sign this application in. " +
		"Check tenant id, client id and client secret, and that the application is enabled.",
	ApplicationMissing: "The application was not found in this tenant. Check the client id and the tenant id.",
	TenantMissing:      "The tenant was not found. Check the tenant id.",
	Permission: "The application or person that authenticates may not change the client secrets of this application. " +
		"Grant the application that authenticates (where it rotates itself: this one) the Microsoft Graph application " +
		"permission Application.ReadWrite.OwnedBy with admin consent, and make its service principal an owner of this " +
		"application. A person who signed in must own it, or be an Application Administrator.",
	PolicyLifetime: "An app management policy of the tenant limits how long a client secret may live. " +
		"Choose a shorter rotation interval or grace period, or exempt the application.",
	PolicyForbidden:   "An app management policy of the tenant forbids new client secrets. Exempt the application from it.",
	Full:              "The application has no room for another client secret. Remove one that nothing uses; Rekey removes only its own.",
	CredentialMissing: "The application has no client secret with this key id.",
	VaultRefused: "Key Vault refuses Rekey. Give Rekey's identity the role Key Vault Secrets Officer on this vault, and check " +
		"the vault's network rules and the Azure policies on its secrets.",
	VaultConflict: "The Key Vault secret's name is in use by another owner, or is soft-deleted. " +
		"Choose another vaultSecretName, or purge or recover that secret.",
	VaultMissing: "A value that Rekey needs is soft-deleted or gone in Key Vault. Recover the secret (az keyvault secret recover); " +
		"POST .../test names it. If it is lost, give new credentials.",
	VaultDisabled: "A value that Rekey needs is disabled in Key Vault. Enable that version " +
		"(az keyvault secret set-attributes --enabled true); POST .../test names it. If it was disabled on purpose, give new credentials.",
	Invalid: "The service refused the request. The code says why; if it stays, please report it.",
	ActorRefused: "The connection that authenticates for this rotation can't sign in. " +
		"Look at that connection: it says why, and takes new credentials. Rekey goes on as soon as it can sign in.",
	CertificateRefused: "Entra does not accept the certificate. Upload it (the public part) to the application under Certificates & " +
		"secrets, check that it has not expired and that tenant id and client id are the application's; after an " +
		"upload wait some minutes.",
	SignInExpired: "The sign-in has ended (not used for 90 days, password changed, revoked, or the account disabled). " +
		"Sign in again: POST .../azure-client-secrets/oauth/authorize with the connectionId.",
	ConsentMissing: "Consent for the permissions is missing or was withdrawn. " +
		"Let an administrator grant it, then sign in again: POST .../azure-client-secrets/oauth/authorize with the " +
		"connectionId.",
	CredentialLost: "The published client secret no longer works: it was removed. " +
		"Rekey issues a new one if any credential it knows still works; else reconnect with a new client secret.",
}

// DetailDisabled is the Detail of a [VaultDisabled] error. It is Key Vault's own word.
const DetailDisabled = "SecretDisabled"

// Error is the only form in which a failure of an outside service travels
// through Rekey. It is made by the adapters from what is known to be safe to
// print, and wraps nothing, because SDK errors render addresses and bodies.
type Error struct {
	Op         string        // what was being done, as a gerund: "adding a password"
	Class      Class         //
	Status     int           // HTTP status; 0 when there was no answer
	Code       string        // the service's own code, "Request_BadRequest", "AADSTS7000215"
	RequestID  string        // what the service's support asks for
	RetryAfter time.Duration // how long the service asked to wait; 0 if it did not say
	// UnknownOutcome says of a write that it may or may not have happened:
	// no answer, or any 5xx. Rule R1: look, never guess.
	UnknownOutcome bool
	// Detail is an extra word from the service that is known to be harmless,
	// such as the id of the policy that refused.
	Detail string
	Place  Place // what it is about in Key Vault; not printed, but told by Advice

	behind *Error // see ActorFailure
}

// Is makes an error about a value that is not in the vault an [ErrNotFound].
func (e *Error) Is(target error) bool { return target == ErrNotFound && e.Class == VaultMissing }

// Error prints op, class, status, code and request id.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Op, e.Class)
	var parts []string
	if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("status %d", e.Status))
	}
	if e.Code != "" {
		parts = append(parts, e.Code)
	}
	if e.behind != nil {
		parts = append(parts, string(e.behind.Class))
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	if e.UnknownOutcome {
		parts = append(parts, "outcome unknown")
	}
	if e.RequestID != "" {
		parts = append(parts, "request "+e.RequestID)
	}
	if len(parts) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(parts, ", "))
	}
	return b.String()
}

// ClassOf returns the class of err; anything that is no [*Error] is [Transient],
// because only an adapter can say that a failure is final.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Transient
}

// UnknownOutcome reports whether the write that failed with err may have
// happened all the same. It fails closed: only an [*Error] that says otherwise is
// known not to have happened.
func UnknownOutcome(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.UnknownOutcome
	}
	return !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNewerSchema)
}
