package entra

import (
	"errors"
	"regexp"
	"strings"
	"unicode"

	"rekey/shared/serviceerror"
)

// RefusalKind says why a person was not signed in, as far as they have to act differently.
type RefusalKind string

// The kinds.
const (
	Declined    RefusalKind = "declined"    // by the person
	NeedsAdmin  RefusalKind = "needs-admin" // an administrator has to consent first
	CodeSpent   RefusalKind = "code-spent"  // or expired
	Setup       RefusalKind = "setup"       // the application is not registered as it has to be
	Refused     RefusalKind = "refused"     // for another reason
	Unavailable RefusalKind = "unavailable" // Entra did not answer properly
)

// Refusal is why Entra did not sign a person in.
type Refusal struct {
	Kind RefusalKind
	Code string // Entra's own, "AADSTS50105"; may be empty
	// Quote is one short line of what Entra said. In a callback it may be forged: it is to be
	// shown as text only.
	Quote string
}

// aadsts finds Entra's own number at the beginning of an error's description.
var aadsts = regexp.MustCompile(`^AADSTS([0-9]{4,8})\b`)

// ReadRefusal reads the parameters error and error_description of a callback. The numbers are
// Entra's; what is none of them goes by OAuth's name.
// Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes and
// v2-oauth2-auth-code-flow.
func ReadRefusal(name, description string) Refusal {
	r := Refusal{Kind: Refused, Quote: quote(name, description)}
	number := ""
	if m := aadsts.FindStringSubmatch(description); m != nil {
		number, r.Code = m[1], m[0]
	}
	switch number {
	case "65004":
		r.Kind = Declined
	case "65001", "90094", "90093", "90095", "900941":
		r.Kind = NeedsAdmin
	case "50011", "500113", "700016", "650053", "70001", "700051":
		r.Kind = Setup
	case "54005", "70008":
		r.Kind = CodeSpent
	case "53003", "53000", "50105", "7000112":
	case "50196":
		r.Kind = Unavailable
	default:
		r.Kind = byName(name)
	}
	return r
}

// byName is the kind of OAuth's own errors (RFC 6749, section 4.1.2.1).
func byName(name string) RefusalKind {
	switch name {
	case "access_denied":
		return Declined
	case "consent_required":
		return NeedsAdmin
	case "invalid_client", "unauthorized_client", "unsupported_response_type", "invalid_resource", "invalid_scope":
		return Setup
	case "server_error", "temporarily_unavailable":
		return Unavailable
	}
	return Refused
}

// RefusalOf reads an error with which a code was not redeemed.
func RefusalOf(err error) Refusal {
	e, ok := errors.AsType[*serviceerror.Error](err)
	if !ok || !e.Class.Refusal() {
		return Refusal{Kind: Unavailable}
	}
	r := Refusal{Kind: Refused, Code: e.Code, Quote: e.Code}
	switch e.Class {
	case serviceerror.ConsentMissing:
		r.Kind = NeedsAdmin
	case serviceerror.SignInExpired:
		r.Kind = CodeSpent
	case serviceerror.Invalid, serviceerror.VaultRefused:
		r.Kind = Setup
	}
	return r
}

// maxQuote is how much of Entra's words is kept, in characters.
const maxQuote = 300

// quote makes one line of printable text of what a callback says. Entra's own trace
// ids come after a line break and stay, since its support asks for them.
func quote(name, description string) string {
	text := strings.Join(strings.Fields(name+" "+description), " ")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxQuote {
		text = string(runes[:maxQuote]) + "…"
	}
	return text
}
