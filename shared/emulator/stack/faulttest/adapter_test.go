package faulttest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/stack"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

const pause = 7 * time.Second

// outcome is what an adapter has to make of a fault.
type outcome struct {
	class   serviceerror.Class
	status  int
	code    string
	unknown bool // the call may have happened, as far as its caller can know
	applied bool // it has
	after   time.Duration
	detail  string
}

// cases are a fault of one operation each. What is a state of the services, or no
// failure, has a test of its own below.
var cases = []struct {
	kind fault.Kind
	op   string
	rule fault.Rule // more of the rule
	want outcome
}{
	{fault.Concurrent400, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Concurrency, status: 400, code: "Request_BadRequest"}},
	{fault.Concurrent400, directory.OpRemovePassword, fault.Rule{},
		outcome{class: serviceerror.Concurrency, status: 400, code: "Request_BadRequest"}},
	{fault.Concurrent409, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Concurrency, status: 409, code: "Directory_ConcurrencyViolation"}},
	{fault.Concurrent409, directory.OpRemovePassword, fault.Rule{},
		outcome{class: serviceerror.Concurrency, status: 409, code: "Directory_ConcurrencyViolation"}},
	{fault.Concurrent503, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Transient, status: 503, code: "ServiceUnavailable", unknown: true}},
	{fault.Concurrent503, directory.OpRemovePassword, fault.Rule{},
		outcome{class: serviceerror.Transient, status: 503, code: "ServiceUnavailable", unknown: true}},

	{fault.Throttled, directory.OpToken, fault.Rule{}, outcome{class: serviceerror.Throttled, status: 429, code: "AADSTS90055", after: pause}},
	{fault.Throttled, directory.OpGetApplication, fault.Rule{},
		outcome{class: serviceerror.Throttled, status: 429, code: "TooManyRequests", after: pause}},
	{fault.Throttled, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Throttled, status: 429, code: "TooManyRequests", after: pause}},
	{fault.Throttled, "vault.set", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 429, code: "Throttled", after: pause}},
	{fault.Throttled, "vault.get", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 429, code: "Throttled", after: pause}},
	{fault.Throttled, "table.batch", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 429, code: "TooManyRequests", after: pause}},
	{fault.ThrottledSilently, directory.OpToken, fault.Rule{}, outcome{class: serviceerror.Throttled, status: 429, code: "AADSTS90055"}},
	{fault.ThrottledSilently, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Throttled, status: 429, code: "TooManyRequests"}},
	{fault.ThrottledSilently, "vault.set", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 429, code: "Throttled"}},
	{fault.ThrottledSilently, "table.batch", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 429, code: "TooManyRequests"}},

	{fault.Busy, directory.OpToken, fault.Rule{}, outcome{class: serviceerror.Throttled, status: 503, code: "AADSTS90033", after: pause}},
	{fault.Busy, directory.OpGetApplication, fault.Rule{},
		outcome{class: serviceerror.Throttled, status: 503, code: "ServiceUnavailable", after: pause}},
	{fault.Busy, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Throttled, status: 503, code: "ServiceUnavailable", after: pause, unknown: true}},
	{fault.Busy, "vault.set", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 503, code: "ServiceUnavailable", after: pause,
		unknown: true}},
	{fault.Busy, "table.batch", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 503, code: "ServerBusy", after: pause,
		unknown: true}},
	{fault.Busy, "table.query", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 503, code: "ServerBusy", after: pause}},
	{fault.BusySilently, directory.OpToken, fault.Rule{}, outcome{class: serviceerror.Transient, status: 503, code: "AADSTS90033"}},
	{fault.BusySilently, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Transient, status: 503, code: "ServiceUnavailable", unknown: true}},
	{fault.BusySilently, "vault.set", fault.Rule{},
		outcome{class: serviceerror.Transient, status: 503, code: "ServiceUnavailable", unknown: true}},
	{fault.BusySilently, "table.batch", fault.Rule{}, outcome{class: serviceerror.Throttled, status: 503, code: "ServerBusy", unknown: true}},

	{fault.TimeoutAfterCommit, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Transient, status: 504, code: "UnknownError", unknown: true, applied: true}},
	{fault.TimeoutAfterCommit, directory.OpRemovePassword, fault.Rule{},
		outcome{class: serviceerror.Transient, status: 504, code: "UnknownError", unknown: true, applied: true}},
	{fault.TimeoutAfterCommit, "vault.set", fault.Rule{}, outcome{class: serviceerror.Transient, status: 504, unknown: true, applied: true}},
	{fault.TimeoutAfterCommit, "vault.update", fault.Rule{},
		outcome{class: serviceerror.Transient, status: 504, unknown: true, applied: true}},
	{fault.TimeoutAfterCommit, "table.batch", fault.Rule{},
		outcome{class: serviceerror.Transient, status: 500, code: "OperationTimedOut", unknown: true, applied: true}},
	{fault.LostResponse, directory.OpAddPassword, fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true, applied: true}},
	{fault.LostResponse, directory.OpRemovePassword, fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true, applied: true}},
	{fault.LostResponse, "vault.set", fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true, applied: true}},
	{fault.LostResponse, "table.batch", fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true, applied: true}},
	{fault.LostRequest, directory.OpToken, fault.Rule{}, outcome{class: serviceerror.Transient}},
	{fault.LostRequest, directory.OpAddPassword, fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true}},
	{fault.LostRequest, directory.OpRemovePassword, fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true}},
	{fault.LostRequest, "vault.set", fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true}},
	{fault.LostRequest, "table.batch", fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true}},

	{fault.TruncatedBody, directory.OpToken, fault.Rule{}, outcome{class: serviceerror.Transient}},
	{fault.TruncatedBody, directory.OpGetApplication, fault.Rule{}, outcome{class: serviceerror.Transient, status: 200}},
	{fault.TruncatedBody, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Transient, status: 200, unknown: true, applied: true}},
	{fault.TruncatedBody, "vault.set", fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true, applied: true}},
	{fault.TruncatedBody, "vault.list", fault.Rule{}, outcome{class: serviceerror.Transient}},
	{fault.TruncatedBody, "table.batch", fault.Rule{}, outcome{class: serviceerror.Transient, unknown: true, applied: true}},
	{fault.TruncatedBody, "table.query", fault.Rule{}, outcome{class: serviceerror.Transient}},
	{fault.HTMLBody, directory.OpToken, fault.Rule{Status: 401}, outcome{class: serviceerror.Transient, status: 401}},
	{fault.HTMLBody, directory.OpToken, fault.Rule{Status: 429}, outcome{class: serviceerror.Throttled, status: 429}},
	{fault.HTMLBody, directory.OpGetApplication, fault.Rule{Status: 404}, outcome{class: serviceerror.Transient, status: 404}},
	{fault.HTMLBody, directory.OpAddPassword, fault.Rule{}, outcome{class: serviceerror.Transient, status: 502, unknown: true}},
	{fault.HTMLBody, directory.OpAddPassword, fault.Rule{Status: 403}, outcome{class: serviceerror.Transient, status: 403, unknown: true}},
	{fault.HTMLBody, directory.OpAddPassword, fault.Rule{Status: 200}, outcome{class: serviceerror.Transient, status: 200, unknown: true}},
	{fault.HTMLBody, "vault.get", fault.Rule{Status: 404}, outcome{class: serviceerror.Invalid, status: 404}},
	{fault.HTMLBody, "vault.set", fault.Rule{Status: 200}, outcome{class: serviceerror.Transient, unknown: true}},
	{fault.HTMLBody, "table.batch", fault.Rule{}, outcome{class: serviceerror.Transient, status: 502, unknown: true}},

	{fault.PermissionRemoved, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Permission, status: 403, code: "Authorization_RequestDenied"}},
	{fault.PermissionRemoved, "vault.set", fault.Rule{}, outcome{class: serviceerror.VaultRefused, status: 403, code: "Forbidden"}},
	{fault.PermissionRemoved, "vault.get", fault.Rule{}, outcome{class: serviceerror.VaultRefused, status: 403, code: "Forbidden"}},
	{fault.PermissionRemoved, "table.batch", fault.Rule{},
		outcome{class: serviceerror.Invalid, status: 403, code: "AuthorizationPermissionMismatch"}},
	{fault.SecretRefused, directory.OpToken, fault.Rule{}, outcome{class: serviceerror.CredentialRefused, status: 401, code: "AADSTS7000215"}},
	{fault.TwoSecrets, directory.OpAddPassword, fault.Rule{}, outcome{class: serviceerror.Full, status: 400, code: "TooManyAppPasswords"}},
	{fault.ApplicationFull, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.Full, status: 403, code: "Directory_ResourceSizeExceeded"}},
	{fault.PolicyLifetime, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.PolicyLifetime, status: 400, code: "CredentialInvalidLifetimeAsPerAppPolicy",
			detail: "policy 00000000-0000-4000-8000-00000000f001"}},
	{fault.PolicyForbidden, directory.OpAddPassword, fault.Rule{},
		outcome{class: serviceerror.PolicyForbidden, status: 400, code: "CredentialTypeNotAllowedAsPerAppPolicy",
			detail: "policy 00000000-0000-4000-8000-00000000f001"}},
}

// TestFaults goes through the cases.
func TestFaults(t *testing.T) {
	for _, c := range cases {
		t.Run(string(c.kind)+"/"+c.op, func(t *testing.T) {
			s := start(t, stack.Config{})
			rule := c.rule
			rule.Kind, rule.Op = c.kind, c.op
			if c.kind == fault.Throttled || c.kind == fault.Busy {
				rule.RetryAfter = fault.Duration(pause)
			}
			shown, writes := writes[c.op]
			before := ""
			if writes {
				before = shown(s)
			}
			sent := s.Calls()[c.op]
			s.play(t, rule)
			err := calls[c.op](t.Context(), s)
			s.Break(nil)
			e := errorOf(t, err)
			got := outcome{e.Class, e.Status, e.Code, e.UnknownOutcome, writes && shown(s) != before, e.RetryAfter, e.Detail}
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if n := s.Calls()[c.op] - sent; writes && n != 1 {
				t.Errorf("the write was sent %d times, want once", n)
			}
			if e.Status != 0 && e.Code != "" && e.RequestID == "" {
				t.Error("no request id")
			}
			for _, leak := range []string{"hunter2", "html", "127.0.0.1", "concurrent requests", "secrets/"} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("%q shows in: %v", leak, err)
				}
			}
		})
	}
}

// elsewhere are the kinds that have a test of their own.
var elsewhere = []fault.Kind{
	fault.ConflictAfterWrite, fault.PreconditionFailed, fault.Slow, fault.SlowAnswer, fault.ShortPage, fault.EmptyPage,
}

func TestEveryKindIsTested(t *testing.T) {
	for _, kind := range fault.Kinds() {
		n := 0
		for _, c := range cases {
			if c.kind == kind {
				n++
			}
		}
		if own := slices.Contains(elsewhere, kind); own == (n > 0) {
			t.Errorf("%s has %d cases, and a test of its own: %v", kind, n, own)
		}
	}
}

// TestConflictAfterWrite: the removal right after an issue collides, did not happen
// and says so; some seconds later it works.
func TestConflictAfterWrite(t *testing.T) {
	s := start(t, stack.Config{})
	s.play(t, fault.Rule{Op: "graph.*", Kind: fault.ConflictAfterWrite, Within: fault.Duration(5 * time.Second)})
	if err := calls[directory.OpAddPassword](t.Context(), s); err != nil {
		t.Fatal(err)
	}
	e := errorOf(t, calls[directory.OpRemovePassword](t.Context(), s))
	if e.Class != serviceerror.Concurrency || e.Status != 409 || e.UnknownOutcome {
		t.Errorf("got %v, want a definite %s", e, serviceerror.Concurrency)
	}
	if err := calls[directory.OpGetApplication](t.Context(), s); err != nil {
		t.Errorf("a read collides: %v", err)
	}
	s.pass(5 * time.Second)
	if err := calls[directory.OpRemovePassword](t.Context(), s); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

// TestPreconditionFailed: a transaction whose condition does not hold is a conflict,
// which is an answer, and changed nothing.
func TestPreconditionFailed(t *testing.T) {
	s := start(t, stack.Config{})
	before := writes["table.batch"](s)
	s.play(t, fault.Rule{Op: "table.batch", Kind: fault.PreconditionFailed})
	err := calls["table.batch"](t.Context(), s)
	if !errors.Is(err, serviceerror.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	if writes["table.batch"](s) != before {
		t.Error("the transaction was applied")
	}
}

// TestSlow: what is slow succeeds within the deadline; a write beyond it may have
// happened, and lands although its caller no longer waits for it.
func TestSlow(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Slow, fault.SlowAnswer} {
		for op, shown := range writes {
			t.Run(string(kind)+"/"+op, func(t *testing.T) {
				s := start(t, stack.Config{})
				before := shown(s)
				ctx, over := fault.Deadline(t.Context())
				s.slow(t, kind, op, over)
				if err := calls[op](ctx, s); err == nil {
					t.Fatal("a call succeeded that was answered after its deadline")
				} else if e := errorOf(t, err); e.Class != serviceerror.Transient || !e.UnknownOutcome || e.Status != 0 {
					t.Errorf("got %v, want a transient error of unknown outcome", e)
				}
				for range time.Tick(time.Millisecond) { // until it lands; the test's own deadline ends it otherwise
					if shown(s) != before {
						break
					}
				}
			})
		}
		for op := range calls {
			t.Run(string(kind)+"/in time/"+op, func(t *testing.T) {
				s := start(t, stack.Config{})
				s.play(t, fault.Rule{Op: op, Kind: kind, Delay: fault.Duration(time.Millisecond)})
				if err := calls[op](t.Context(), s); err != nil {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// TestPages: neither short nor empty pages hide a row.
func TestPages(t *testing.T) {
	for _, kind := range []fault.Kind{fault.ShortPage, fault.EmptyPage} {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t, stack.Config{})
			const connections = 40
			for i := range connections {
				id := fmt.Sprintf("connection-%d", i) // they spread over the partitions
				if _, err := s.store.Create(t.Context(), rotation.Record{ID: id, WakeAt: s.now().Truncate(time.Second)}); err != nil {
					t.Fatal(err)
				}
			}
			// One row at a time always; but a page that is always empty has no end.
			rule := fault.Rule{Op: "table.query", Kind: kind}
			if kind == fault.EmptyPage {
				rule.Probability = 0.9
			}
			s.play(t, rule)
			due, err := s.store.Due(t.Context(), s.now(), 1000)
			if err != nil || len(due) != connections {
				t.Errorf("%d are due, want %d (%v)", len(due), connections, err)
			}
			if n := s.Calls()["table.query"]; n <= 16 {
				t.Errorf("%d queries: no partition had a second page", n)
			}
		})
	}
}

// TestFlapping: every proof is a fresh look, so that a secret which only some of the
// replicas know is seen to fail between successes.
func TestFlapping(t *testing.T) {
	s := start(t, stack.Config{Propagation: 10 * time.Minute, Replicas: 4, Seed: 1})
	issued, err := s.graph.AddPassword(t.Context(), s.token, s.target(), "marker", s.now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s.pass(4 * time.Minute) // the first replicas know, the last ones do not
	worked, refused, missing, listed := 0, 0, 0, 0
	for range 60 {
		_, err := s.authority.Token(t.Context(), s.target(), issued.Value)
		switch {
		case err == nil:
			worked++
		case serviceerror.ClassOf(err) == serviceerror.CredentialRefused:
			refused++
		default:
			t.Fatal(err)
		}
		state, err := s.graph.Application(t.Context(), s.token, s.target())
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(state.Passwords, func(p rotation.Password) bool { return p.KeyID == issued.KeyID }) {
			listed++
		} else {
			missing++
		}
	}
	for what, n := range map[string]int{"worked": worked, "was refused": refused, "was listed": listed, "was missing": missing} {
		if n < 10 {
			t.Errorf("the new secret %s %d times of 60", what, n)
		}
	}
}

// TestQuota: the documented budget's 429 is a pause, and nothing was written.
func TestQuota(t *testing.T) {
	for name, silent := range map[string]bool{"with Retry-After": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, stack.Config{Quotas: directory.Quotas{Application: directory.Budget{Requests: 1, Per: time.Minute}, Silent: silent}})
			if err := calls[directory.OpAddPassword](t.Context(), s); err != nil {
				t.Fatal(err)
			}
			before := writes[directory.OpAddPassword](s)
			e := errorOf(t, calls[directory.OpAddPassword](t.Context(), s))
			if e.Class != serviceerror.Throttled || e.UnknownOutcome || (e.RetryAfter == time.Minute) == silent {
				t.Errorf("got %v, retry after %v", e, e.RetryAfter)
			}
			if writes[directory.OpAddPassword](s) != before || s.Directory.Writes().Application != 1 {
				t.Error("the write counts as one that happened")
			}
		})
	}
}
