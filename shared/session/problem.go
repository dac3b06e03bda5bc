package session

import (
	"net/http"
	"regexp"
	"time"
)

// Problem is why a request was not let through, or a sign-in did not succeed. It may be part
// of an address, so that it says nothing that is not the same for everybody.
type Problem string

// The problems.
const (
	Ended       Problem = "ended"       // there was a session, and it is none any more
	Unsent      Problem = "unsent"      // the same, and a form came with it
	NoRole      Problem = "no-role"     // known, and may do nothing
	WrongKey    Problem = "wrong-key"   //
	NotOffered  Problem = "not-offered" // this way of signing in is not configured
	Stale       Problem = "stale"       // the sign-in was begun in another browser, or too long ago
	Malformed   Problem = "malformed"   // Entra's answer can't be read
	Declined    Problem = "declined"    // by the person
	NeedsAdmin  Problem = "needs-admin" // an administrator has to consent
	Setup       Problem = "setup"       // the application is not registered as it has to be
	Identity    Problem = "identity"    // the ID token is not the expected one
	Refused     Problem = "refused"     // by Entra, for another reason
	Unavailable Problem = "unavailable" // Key Vault or Entra did not answer
	Busy        Problem = "busy"        // too many requests
	OtherPage   Problem = "other-page"  // sent by another site's page
	OldForm     Problem = "old-form"    // the form's token is not this session's
	TooLarge    Problem = "too-large"   //
	SignedOut   Problem = "signed-out"  // by the person: no trouble at all
)

var messages = map[Problem]string{
	Ended: "Your session has ended: it lasts eight hours, and one hour without a request; " +
		"it also ends when what you signed in with is not accepted any more. Sign in again.",
	Unsent: "Your session had ended when the form arrived, so nothing was done, and what you entered was not kept. " +
		"Sign in again, and repeat it.",
	NoRole: "You are known here, but you have no role, and this needs at least the role read. " +
		"Ask an administrator of your tenant to assign you one of the app roles Connections.Read, " +
		"Connections.Write, Connections.Rotate and Connections.Admin; then sign in again.",
	WrongKey: "This is no API key of this deployment. Paste the whole key, which begins with rk_; " +
		"REKEY_API_KEYS must have the entry that was printed with it.",
	NotOffered: "This deployment does not let people sign in that way. Choose another way.",
	Stale: "This sign-in was not begun in this browser, was used already, was begun more than ten minutes ago, or under another " +
		"address than this page's. Sign in here again; if that does not help, allow cookies for this site.",
	Malformed: "Microsoft Entra's answer can't be read. Sign in again.",
	Declined:  "The sign-in was declined at Microsoft Entra. If that was a mistake, sign in again.",
	NeedsAdmin: "Microsoft Entra wants an administrator's consent before people may sign in to this application. " +
		"Ask an administrator of your tenant.",
	Setup: "The application that people sign in to is not registered as it has to be. Show this to the operator of Rekey: " +
		"client id, client secret and the redirect URI that ends in " + CallbackPath + " have to be right.",
	Identity: "Microsoft Entra's answer is not for this sign-in, so it was not accepted. Sign in again, and choose an account of the tenant " +
		"that this deployment is for.",
	Refused: "Microsoft Entra refused the sign-in. If an error code is shown, tell it to an administrator of your tenant.",
	Unavailable: "Rekey can't check who you are right now, because Key Vault or Microsoft Entra did not answer as it should. " +
		"Try again in a minute; if it stays, the log says why.",
	Busy:      "Too many requests come in right now, so that this one was not looked at. Try again in some seconds.",
	OtherPage: "This did not come from a page of the console, so nothing was done. Open the console, and use the button there.",
	OldForm:   "This page is from an earlier session, so nothing was done. Load it again, and repeat what you did.",
	TooLarge:  "The form is larger than 256 KiB, so nothing was done. Send less.",
	SignedOut: "You have signed out in this browser. A copy of the session's cookie, if there is one, is good until the session's end.",
}

// Message says what happened and what to do; empty for what is none of the above.
func (p Problem) Message() string { return messages[p] }

var codeForm = regexp.MustCompile(`^AADSTS[0-9]{4,8}$`)

// Code returns Entra's error code out of an address of the sign-in page, empty if it is none.
func Code(s string) string {
	if codeForm.MatchString(s) {
		return s
	}
	return ""
}

// Answer is how to answer a request that is not let through, or one that signs a person in
// or out.
type Answer struct {
	// Status is 303, 403, 413, 429 or 503.
	Status int
	// Location is where a 303 leads: a path of this site, or from
	// [Manager.SignInByEntra] Entra's address.
	Location   string
	Problem    Problem       // empty: there is none
	RetryAfter time.Duration // of a 429 or 503
}

func redirect(to string, p Problem) *Answer {
	return &Answer{Status: http.StatusSeeOther, Location: to, Problem: p}
}

func busy(after time.Duration) *Answer {
	return &Answer{Status: http.StatusTooManyRequests, Problem: Busy, RetryAfter: after}
}

func unavailable() *Answer {
	return &Answer{Status: http.StatusServiceUnavailable, Problem: Unavailable, RetryAfter: keysPause}
}
