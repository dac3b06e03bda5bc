package serviceerror

import (
	"cmp"
	"strings"
	"time"
)

// signIn is where a person signs in again.
const signIn = "POST .../azure-client-secrets/oauth/authorize with the connectionId."

// LoopPause is how long Rekey waits after [LoopDetected]: requests that come earlier
// prolong the loop. Entra does not say how long its own pause is.
const LoopPause = 5 * time.Minute

// LoopDetected is the code with which Entra stops a client that asks for the same token too
// often. It says nothing about the credential.
const LoopDetected = "AADSTS50196"

// causes say of single codes of Entra's what is wrong and what to do, where the class says
// too little. What the codes mean: learn.microsoft.com/entra/identity-platform/reference-error-codes.
var causes = map[string]string{
	"AADSTS50076": "Entra asks for multi-factor authentication, since a policy or the place of the sign-in has changed, and only the person " +
		"can do that. Sign in again with it: " + signIn,
	"AADSTS50079": "Entra asks for multi-factor authentication, which the person has not registered for yet. " +
		"Sign in again and register: " + signIn,
	"AADSTS50078": "The multi-factor authentication of the sign-in has ended, since a policy of the tenant limits how long it lasts. " +
		"Sign in again with it: " + signIn,
	"AADSTS70043": "The sign-in has ended, since a Conditional Access policy of the tenant limits how long one lasts (sign-in frequency). " +
		"Exempt the account from that limit, or it will end again; then sign in again: " + signIn,
	"AADSTS53003": "A Conditional Access policy of the tenant blocks the sign-in. Entra's sign-in logs name the policy. " +
		"Exempt the application or the person that signs in, or allow the addresses from which Rekey calls.",
	"AADSTS53000": "A Conditional Access policy of the tenant asks for a compliant device, and Rekey has none. " +
		"Exempt the person that signs in, or connect by the certificate or client secret of an application.",
	"AADSTS53001": "A Conditional Access policy of the tenant asks for a device of the organization, and Rekey has none. " +
		"Exempt the person that signs in, or connect by the certificate or client secret of an application.",
	"AADSTS50105": "The application takes only what is assigned to it, and the one that signs in is not assigned. " +
		"Assign it in Entra under Enterprise applications, Users and groups; or set Assignment required to No there.",
	LoopDetected: "Entra has stopped a loop: the same token was asked for too often in a short time. Rekey tries again by itself, after " +
		"five minutes. If this stays, look in Entra's sign-in logs for what else signs in with the application.",
	"AADSTS7000229": "The application has no service principal in this tenant, so that Entra accepts no client secret of it. " +
		"Make one: az ad sp create --id, with its client id. A new credential does not help.",
	"AADSTS7000112": "The application is disabled in this tenant. Enable it in Entra under Enterprise applications, Properties: " +
		"Enabled for users to sign-in. A new credential does not help.",
}

// actorsVault follows what is wrong in Key Vault where it keeps a connection from signing in for others.
const actorsVault = "That keeps the connection that authenticates for this rotation from signing in. " +
	"Once it is put right a rotation goes on by itself; a request has to be sent again."

// Cause says what is wrong and what to do where the code alone tells; empty if it does not.
func (e *Error) Cause() string { return causes[e.Code] }

// Advice says, for a person, what is wrong and what to do: by the code where that tells more
// than the class.
func (e *Error) Advice() string {
	if behind := e.Behind(); behind != nil {
		switch behind.Class {
		case VaultRefused, VaultMissing, VaultDisabled: // Entra was not asked: what it signs in with is not known to be wrong
			return behind.Advice() + " " + actorsVault
		}
		return e.Class.Advice() + " Why: " + behind.Advice()
	}
	if e.Class == VaultRefused && strings.HasPrefix(e.Code, "AADSTS") {
		return "Rekey's own identity can't sign in, so that it does not reach Key Vault. " + cmp.Or(e.Cause(),
			"Check that identity: AZURE_CLIENT_ID and what it signs in with.")
	}
	return cmp.Or(e.Cause(), e.Place.advice(e.Class, e.Detail), e.Class.Advice())
}

// ActorFailure makes of the refusal of an actor one that does not look like its target's.
func ActorFailure(op string, from *Error) *Error {
	out := *from
	out.Op, out.Class, out.behind = op, ActorRefused, from
	return &out
}

// Behind is the refusal from which [ActorFailure] has made e; nil if e is none of these.
func (e *Error) Behind() *Error {
	if e.behind == nil || e.behind.Class.Advice() == "" {
		return nil
	}
	return e.behind
}
