package fault

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names a way in which the services are known to misbehave. What Rekey does
// about each is in docs/faults.md.
type Kind string

// The kinds. "Applied" means that the call is carried out all the same.
const (
	ConflictAfterWrite Kind = "conflict-after-write" // 409 Directory_ConcurrencyViolation soon after another write
	Concurrent400      Kind = "concurrent-400"       // "concurrent requests being made to the tenant"
	Concurrent409      Kind = "concurrent-409"
	Concurrent503      Kind = "concurrent-503"
	Throttled          Kind = "throttled"            // 429 with Retry-After
	ThrottledSilently  Kind = "throttled-silently"   // 429 without
	Busy               Kind = "busy"                 // 503 with Retry-After; the table service calls it ServerBusy
	BusySilently       Kind = "busy-silently"        // 503 without
	TimeoutAfterCommit Kind = "timeout-after-commit" // applied, then 504 (the table service: 500 OperationTimedOut)
	LostResponse       Kind = "lost-response"        // applied, then the connection is dropped
	LostRequest        Kind = "lost-request"         // not applied, the connection is dropped
	TruncatedBody      Kind = "truncated-body"       // applied, half of the answer arrives
	HTMLBody           Kind = "html-body"            // not applied: a page of something on the way, as Rule.Status
	Slow               Kind = "slow"                 // applied, but only after Rule.Delay
	SlowAnswer         Kind = "slow-answer"          // applied at once, answered after Rule.Delay
	PermissionRemoved  Kind = "permission-removed"   // 403
	SecretRefused      Kind = "secret-refused"       // AADSTS7000215, as before replication and after a removal
	TwoSecrets         Kind = "two-secrets"          // TooManyAppPasswords
	ApplicationFull    Kind = "application-full"     // Directory_ResourceSizeExceeded
	PolicyLifetime     Kind = "policy-lifetime"      // CredentialInvalidLifetimeAsPerAppPolicy
	PolicyForbidden    Kind = "policy-forbidden"     // CredentialTypeNotAllowedAsPerAppPolicy
	PreconditionFailed Kind = "precondition-failed"  // 412, in a transaction as the inner answer
	ShortPage          Kind = "short-page"           // one row a page
	EmptyPage          Kind = "empty-page"           // no row, and more to come
)

// Kinds returns all kinds, sorted.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

const (
	concurrent    = "Error due to concurrent requests being made to the tenant. Please wait briefly and retry."
	page          = "<!DOCTYPE html><html><head><title>Error</title></head><body>The request could not be processed.</body></html>"
	anyPolicy     = "00000000-0000-4000-8000-00000000f001" // the id of a policy that exists nowhere
	defaultPause  = 2 * time.Second
	defaultWithin = 10 * time.Second
	defaultDelay  = time.Second
)

// variety is how a kind looks.
type variety struct {
	ops  []string // patterns of the operations that it is known of
	make func(service string, r Rule) Effect
}

var (
	everywhere = []string{"*.*"}
	graphCalls = []string{"graph.*"}
	adding     = []string{"graph.addPassword"}
)

// kinds has the answers as the services give them; sources in docs/assumptions.md
// and in the emulators themselves.
var kinds = map[Kind]variety{
	ConflictAfterWrite: {graphCalls, always(Effect{Status: 409, Code: "Directory_ConcurrencyViolation", Text: concurrent})},
	Concurrent400:      {graphCalls, always(Effect{Status: 400, Code: "Request_BadRequest", Text: concurrent})},
	Concurrent409:      {graphCalls, always(Effect{Status: 409, Code: "Directory_ConcurrencyViolation", Text: concurrent})},
	Concurrent503:      {graphCalls, always(Effect{Status: 503, Code: "ServiceUnavailable", Text: concurrent})},
	Throttled:          {everywhere, pausing(throttled)},
	ThrottledSilently:  {everywhere, func(service string, _ Rule) Effect { return throttled(service) }},
	Busy:               {everywhere, pausing(busy)},
	BusySilently:       {everywhere, func(service string, _ Rule) Effect { return busy(service) }},
	TimeoutAfterCommit: {everywhere, func(service string, _ Rule) Effect {
		if service == "table" {
			return Effect{Apply: true, Status: 500, Code: "OperationTimedOut",
				Text: "The operation could not be completed within the permitted time."}
		}
		return Effect{Apply: true, Status: 504, Text: "Gateway Timeout"}
	}},
	LostResponse:  {everywhere, always(Effect{Apply: true})},
	LostRequest:   {everywhere, always(Effect{})},
	TruncatedBody: {everywhere, always(Effect{Pass: true, Truncate: true})},
	HTMLBody: {everywhere, func(_ string, r Rule) Effect {
		if r.Status == 0 {
			r.Status = http.StatusBadGateway
		}
		return Effect{Status: r.Status, HTML: page}
	}},
	Slow:       {everywhere, func(_ string, r Rule) Effect { return Effect{Pass: true, Delay: r.delay()} }},
	SlowAnswer: {everywhere, func(_ string, r Rule) Effect { return Effect{Pass: true, Hold: r.delay()} }},
	PermissionRemoved: {[]string{"graph.*", "vault.*", "table.*"}, func(service string, _ Rule) Effect {
		codes := map[string]string{"graph": "Authorization_RequestDenied", "vault": "Forbidden", "table": "AuthorizationPermissionMismatch"}
		return Effect{Status: 403, Code: codes[service], Text: "Insufficient privileges to complete the operation."}
	}},
	SecretRefused: {[]string{"entra.token"}, always(Effect{Status: 401, Code: "AADSTS7000215", Text: "Invalid client secret provided."})},
	TwoSecrets: {adding, always(Effect{Status: 400, Code: "TooManyAppPasswords",
		Text: "Not allowed to add 3 passwords. You can only add a maximum of 2 passwords."})},
	ApplicationFull: {adding, always(Effect{Status: 403, Code: "Directory_ResourceSizeExceeded",
		Text: "The size of the object has exceeded its limit. Please reduce the number of values and retry your request."})},
	PolicyLifetime: {adding, always(Effect{Status: 400, Code: "CredentialInvalidLifetimeAsPerAppPolicy",
		Text: "Credential lifetime exceeds the max value allowed as per assigned policy '" + anyPolicy + "'."})},
	PolicyForbidden: {adding, always(Effect{Status: 400, Code: "CredentialTypeNotAllowedAsPerAppPolicy",
		Text: "Credential type not allowed as per assigned policy '" + anyPolicy + "'."})},
	PreconditionFailed: {[]string{"table.merge", "table.replace", "table.delete", "table.batch"},
		always(Effect{Status: 412, Code: "UpdateConditionNotSatisfied",
			Text: "The update condition specified in the request was not satisfied."})},
	ShortPage: {[]string{"table.query"}, always(Effect{Pass: true, Hint: HintShortPage})},
	EmptyPage: {[]string{"table.query"}, always(Effect{Pass: true, Hint: HintEmptyPage})},
}

func always(e Effect) func(string, Rule) Effect {
	return func(string, Rule) Effect { return e }
}

func throttled(service string) Effect {
	codes := map[string]string{"entra": "", "graph": "TooManyRequests", "vault": "Throttled", "table": "TooManyRequests"}
	return Effect{Status: 429, Code: codes[service], Text: "Too many requests."}
}

func busy(service string) Effect {
	codes := map[string]string{"entra": "", "graph": "ServiceUnavailable", "vault": "ServiceUnavailable", "table": "ServerBusy"}
	return Effect{Status: 503, Code: codes[service], Text: "The service is currently unable to receive requests. Please try again."}
}

// pausing adds the rule's Retry-After to an effect.
func pausing(of func(service string) Effect) func(string, Rule) Effect {
	return func(service string, r Rule) Effect {
		pause := time.Duration(r.RetryAfter)
		if pause == 0 {
			pause = defaultPause
		}
		e := of(service)
		e.Header = http.Header{"Retry-After": {strconv.Itoa(int(pause / time.Second))}}
		return e
	}
}

// knows reports whether the variety is known of op.
func (v variety) knows(op string) bool {
	return slices.ContainsFunc(v.ops, func(pattern string) bool { return matches(pattern, op) })
}

// may reports whether pattern can name an operation that the variety is known of.
func (v variety) may(pattern string) bool {
	if !strings.ContainsAny(pattern, `*?[\`) {
		return v.knows(pattern)
	}
	service, _, _ := strings.Cut(pattern, ".")
	return strings.ContainsAny(service, `*?[\`) || slices.ContainsFunc(v.ops, func(op string) bool {
		return strings.HasPrefix(op, "*.") || strings.HasPrefix(op, service+".")
	})
}

func matches(pattern, op string) bool {
	ok, err := path.Match(pattern, op)
	return ok && err == nil
}
