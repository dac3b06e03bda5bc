package oauth

import (
	"context"
	"errors"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/entra"
	"rekey/shared/openid"
)

// Problem is why a request of a browser is about no flow that it can go on with. It is
// part of an address, so that it says nothing that is not the same for everybody.
type Problem string

// The problems; the last two are answers to a request for an administrator's consent.
const (
	Unknown        Problem = "unknown"
	Expired        Problem = "expired"
	Used           Problem = "used"
	OtherBrowser   Problem = "other-browser"
	Malformed      Problem = "malformed"
	Unavailable    Problem = "unavailable"
	ConsentGiven   Problem = "consent-given"
	ConsentRefused Problem = "consent-refused"
)

var problems = map[Problem]string{
	Unknown: "This link is not known. Links are good for ten minutes and for one sign-in. Ask for a new one.",
	Expired: "This link has expired: links are good for ten minutes. Nothing was stored. Ask for a new one.",
	Used:    "This link was used already. A link is good for one sign-in. If the connection is not there, ask for a new one.",
	OtherBrowser: "This sign-in was not begun in this browser, so it was not accepted, and nothing was stored. " +
		"Open the link that you were given in the browser in which you sign in. If you began in the console under another address " +
		"than this page's, open it under this one. If that does not help, allow cookies for this site.",
	Malformed:   "Microsoft Entra's answer can't be read, so nothing was stored. Ask for a new link and begin again.",
	Unavailable: "Rekey can't look at the sign-in right now. Nothing was stored. Ask for a new link in a minute.",
	ConsentGiven: "Microsoft Entra says that an administrator has consented. " +
		"Nothing is connected by that alone: ask for a new link and sign in.",
	ConsentRefused: "Microsoft Entra says that consent was not given, so nothing has changed. " +
		"Only an administrator can consent: a Global, Privileged Role, Application or Cloud Application Administrator.",
}

// Message says what happened and what to do; empty for what is none of the above.
func (p Problem) Message() string { return problems[p] }

// Kind says what came of a flow.
type Kind string

// The kinds of outcomes.
const (
	Connected   Kind = "connected"
	Reconnected Kind = "reconnected"
	Declined    Kind = "declined"      // by the person
	NeedsAdmin  Kind = "needs-admin"   // an administrator has to consent first
	CodeSpent   Kind = "code-spent"    // or expired
	Setup       Kind = "setup"         // the OAuth application is not registered as it has to be
	Identity    Kind = "identity"      // the ID token is not what was expected
	Refused     Kind = "refused"       // by Entra, or because of the connection
	Interrupted Kind = "interrupted"   // how far it came is unknown
	Failed      Kind = "unavailable"   // a service did not answer
	Working     Kind = "still-working" // ask again
)

// Outcome is what came of a flow. It is stored for an hour, and has no secret.
type Outcome struct {
	Kind         Kind   `json:"kind"`
	Message      string `json:"message,omitempty"` // what to do; empty where the kind says it all
	Entra        string `json:"entra,omitempty"`   // what the callback said for Entra. It may be forged: to be shown as text only
	ConnectionID string `json:"connectionId,omitempty"`
	OtherAccount bool   `json:"otherAccount,omitempty"` // another person than before has signed in
}

// Done reports whether the connection can sign in now.
func (o Outcome) Done() bool { return o.Kind == Connected || o.Kind == Reconnected }

var messages = map[Kind]string{
	Connected:   "The tenant is connected. You can close this page.",
	Reconnected: "The connection can sign in again. You can close this page.",
	Declined:    "The permissions were declined, so nothing was connected and nothing was stored. If that was a mistake, ask for a new link.",
	NeedsAdmin: "These permissions need an administrator's consent. " +
		"Let an administrator of the tenant open the link below, then ask for a new link and sign in. Nothing was stored.",
	CodeSpent: "Microsoft Entra's code was used already or has expired. Nothing was stored. Ask for a new link and sign in again.",
	Identity: "Microsoft Entra's answer is not for this sign-in, so it was not accepted, and nothing was stored. " +
		"Ask for a new link, and choose an account of the tenant that it names.",
	Refused: "Microsoft Entra refused the sign-in. Nothing was stored. " +
		"If what it says below does not help, show it to the operator of Rekey.",
	Interrupted: "The sign-in was interrupted, and how far it came is unknown. Look for the connection; " +
		"if it is not there, or still can't sign in, ask for a new link.",
	Failed: "A service did not answer properly while the sign-in was being finished. Nothing was stored. " +
		"Ask for a new link and sign in again.",
	Working: "The sign-in is being finished. This page asks again by itself.",
}

// Text is what to tell the person.
func (o Outcome) Text() string {
	if o.Message != "" {
		return o.Message
	}
	return messages[o.Kind]
}

// Result is what a browser gets to see at the end.
type Result struct {
	Outcome
	Name, TenantID string
	// AdminConsentURL is where an administrator consents; empty unless the kind is
	// [NeedsAdmin].
	AdminConsentURL string
}

// giveUp is when a flow that was taken and has no outcome was interrupted: later than
// any request may last.
const giveUp = 10 * time.Minute

// Result returns what came of a flow, to the browser that took it up.
func (f *Flow) Result(ctx context.Context, id string, jar Jar) (Result, Problem) {
	if !idForm.MatchString(id) {
		return Result{}, Unknown
	}
	p, _, problem := f.load(ctx, id)
	switch {
	case problem != "":
		return Result{}, problem
	case !p.bound(f.held(id, jar), id):
		return Result{}, OtherBrowser
	case p.TakenBy == "":
		return Result{}, Unknown
	}
	r := Result{Name: p.Name, TenantID: p.TenantID}
	switch {
	case p.Outcome != nil:
		r.Outcome = *p.Outcome
	case f.now().Sub(p.TakenAt) < giveUp:
		r.Kind = Working
	default:
		r.Kind = Interrupted
	}
	if r.Kind == NeedsAdmin {
		r.AdminConsentURL = f.Authority.AdminConsentURL(p.TenantID, f.redirectURI(), consentState)
	}
	return r, ""
}

// kinds are the outcomes of what Entra refuses.
var kinds = map[entra.RefusalKind]Kind{
	entra.Declined: Declined, entra.NeedsAdmin: NeedsAdmin, entra.CodeSpent: CodeSpent, entra.Setup: Setup, entra.Refused: Refused,
	entra.Unavailable: Failed,
}

// refusedByEntra is the outcome of a sign-in that Entra does not finish.
func refusedByEntra(r entra.Refusal) Outcome {
	out := Outcome{Kind: kinds[r.Kind], Entra: r.Quote}
	switch out.Kind {
	case Setup:
		out.Message = setup
	case Refused:
		out.Message = told(r.Code)
	}
	return out
}

// told is what a person learns of a refusal that has a cause of its own.
func told(code string) string {
	if cause := (&serviceerror.Error{Code: code}).Cause(); cause != "" {
		return cause + " Nothing was stored."
	}
	return ""
}

const setup = "The application that people sign in to is not registered as it has to be. Nothing was stored. " +
	"Show this page to the operator of Rekey: redirect URI, client secret and permissions of the OAuth application have to be right."

// unredeemed is the outcome of a code that Entra did not take.
func (f *Flow) unredeemed(ctx context.Context, err error) Outcome {
	f.log().WarnContext(ctx, "a code was not redeemed", "reason", safe(err))
	return refusedByEntra(entra.RefusalOf(err))
}

// unverified is the outcome of an ID token that is not accepted.
func (f *Flow) unverified(ctx context.Context, err error) Outcome {
	refusal, ok := errors.AsType[openid.Refusal](err)
	if !ok {
		f.log().WarnContext(ctx, "an ID token could not be verified", "reason", safe(err))
		return Outcome{Kind: Failed}
	}
	f.log().WarnContext(ctx, "an ID token was refused", "reason", string(refusal))
	return Outcome{Kind: Identity}
}

// unmade is the outcome of a connection that was not made or not changed.
func (f *Flow) unmade(ctx context.Context, err error) Outcome {
	e, ok := errors.AsType[*connection.Error](err)
	if !ok {
		f.log().ErrorContext(ctx, "finishing a sign-in", "reason", safe(err))
		return Outcome{Kind: Interrupted}
	}
	out := Outcome{Kind: Refused, Message: e.Message}
	if e.Kind == connection.Unavailable {
		out.Kind = Failed
	}
	return out
}

// safe is what may be logged of an error: what an adapter made.
func safe(err error) string {
	if e, ok := errors.AsType[*serviceerror.Error](err); ok {
		return e.Error()
	}
	return string(serviceerror.ClassOf(err))
}
