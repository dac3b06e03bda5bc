package tablestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/tablestore"
)

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// faulty is a fixture whose next calls of one operation fail with effect.
func faulty(t *testing.T, op string, effect *fault.Effect) (f *fixture, on *atomic.Bool) {
	t.Helper()
	on = new(atomic.Bool)
	f = newFixture(t, table.Config{Hook: func(called string, _ *http.Request) *fault.Effect {
		if called == op && on.Load() {
			return effect
		}
		return nil
	}}, nil)
	return f, on
}

func mustCreate(t *testing.T, f *fixture, rec rotation.Record, events ...rotation.Event) rotation.Record {
	t.Helper()
	rec, err := f.Create(t.Context(), rec, events...)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestFailedCommits(t *testing.T) {
	for _, test := range []struct {
		name   string
		effect fault.Effect
		want   serviceerror.Error
	}{
		{"500, not applied", fault.Effect{Status: 500, Code: "InternalError"},
			serviceerror.Error{Class: serviceerror.Transient, Status: 500, Code: "InternalError", UnknownOutcome: true}},
		{"500, applied", fault.Effect{Status: 500, Code: "OperationTimedOut", Apply: true},
			serviceerror.Error{Class: serviceerror.Transient, Status: 500, Code: "OperationTimedOut", UnknownOutcome: true}},
		{"no answer, not applied", fault.Effect{}, serviceerror.Error{Class: serviceerror.Transient, UnknownOutcome: true}},
		{"no answer, applied", fault.Effect{Apply: true}, serviceerror.Error{Class: serviceerror.Transient, UnknownOutcome: true}},
		{"503", fault.Effect{Status: 503, Code: "ServerBusy", Header: http.Header{"Retry-After": {"7"}}},
			serviceerror.Error{Class: serviceerror.Throttled, Status: 503, Code: "ServerBusy", RetryAfter: 7 * time.Second, UnknownOutcome: true}},
		{"429", fault.Effect{Status: 429, Code: "TooManyRequests", Header: http.Header{"Retry-After": {"3"}}},
			serviceerror.Error{Class: serviceerror.Throttled, Status: 429, Code: "TooManyRequests", RetryAfter: 3 * time.Second}},
		{"403", fault.Effect{Status: 403, Code: "AuthorizationFailure"},
			serviceerror.Error{Class: serviceerror.Invalid, Status: 403, Code: "AuthorizationFailure"}},
		{"a code that must not be printed", fault.Effect{Status: 400, Code: "https://host/?sig=hush", Text: "hush"},
			serviceerror.Error{Class: serviceerror.Transient, UnknownOutcome: true, Detail: "status 400 without a code"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, on := faulty(t, table.OpBatch, &test.effect)
			rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1})
			f.service.ResetCalls()
			on.Store(true)
			rec.Version, rec.CommitID = 2, "mine"
			_, err := f.Commit(t.Context(), rec)
			got, ok := errors.AsType[*serviceerror.Error](err)
			if !ok {
				t.Fatalf("got %v, want a *serviceerror.Error", err)
			}
			if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("the error tells too much: %v", err)
			}
			test.want.Op, test.want.RequestID = got.Op, got.RequestID
			if *got != test.want {
				t.Errorf("got  %+v\nwant %+v", *got, test.want)
			}
			if n := f.service.Calls(table.OpBatch); n != 1 {
				t.Errorf("the commit was sent %d times, want once", n)
			}
			on.Store(false)
			fresh, err := f.Load(t.Context(), "one")
			if landed := fresh.CommitID == "mine"; err != nil || landed != test.effect.Apply {
				t.Errorf("landed: %v, want %v (%v)", landed, test.effect.Apply, err)
			}
		})
	}
}

// refusedIdentity is Rekey's own identity when Entra refuses it.
type refusedIdentity struct {
	status     int
	retryAfter string
}

func (c refusedIdentity) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, &azidentity.AuthenticationFailedError{RawResponse: &http.Response{
		StatusCode: c.status, Header: http.Header{"Retry-After": {c.retryAfter}}}}
}

func TestWithoutATokenNothingWasWritten(t *testing.T) {
	for _, test := range []struct {
		identity refusedIdentity
		class    serviceerror.Class
		wait     time.Duration
	}{
		{refusedIdentity{401, ""}, serviceerror.Invalid, 0},
		{refusedIdentity{408, ""}, serviceerror.Transient, 0},
		{refusedIdentity{429, "11"}, serviceerror.Throttled, 11 * time.Second},
		{refusedIdentity{503, ""}, serviceerror.Transient, 0},
		{refusedIdentity{503, "13"}, serviceerror.Throttled, 13 * time.Second},
	} {
		store, err := tablestore.New(tablestore.Config{ServiceURL: "https://table.invalid", Credential: test.identity})
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Create(t.Context(), rotation.Record{ID: "one"})
		e, ok := errors.AsType[*serviceerror.Error](err)
		if !ok || e.Class != test.class || e.Status != test.identity.status || e.RetryAfter != test.wait || e.UnknownOutcome {
			t.Errorf("%+v: got %+v, want class %s", test.identity, err, test.class)
		}
	}
}

// How long to wait is also heard where the answer to a read says it, and where it is the
// inner answer of a transaction that does.
func TestRetryAfterIsHeard(t *testing.T) {
	for _, busy := range []fault.Effect{
		{Status: 429, Code: "TooManyRequests", Header: http.Header{"Retry-After": {"7"}}},
		{Status: 503, Code: "ServerBusy", Header: http.Header{"Retry-After": {"7"}}},
		{Status: 503, Code: "ServerBusy", Header: http.Header{"X-Ms-Retry-After-Ms": {"7000"}}},
	} {
		f, on := faulty(t, table.OpGet, &busy)
		mustCreate(t, f, rotation.Record{ID: "one"})
		on.Store(true)
		_, err := f.Load(t.Context(), "one")
		if e, ok := errors.AsType[*serviceerror.Error](err); !ok || e.Class != serviceerror.Throttled || e.RetryAfter != 7*time.Second {
			t.Errorf("%+v: %v", busy, err)
		}
	}
	f := newFixture(t, table.Config{}, rewriting(func(body []byte) []byte {
		return bytes.Replace(body, []byte("HTTP/1.1 204 No Content\r\n"), []byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n"), 1)
	}))
	_, err := f.Create(t.Context(), rotation.Record{ID: "one"})
	if e, ok := errors.AsType[*serviceerror.Error](err); !ok || e.Status != 503 || e.RetryAfter != 7*time.Second || !e.UnknownOutcome {
		t.Errorf("within a transaction: %+v", err)
	}
}

func TestReadsAreRepeated(t *testing.T) {
	f, on := faulty(t, table.OpGet, &fault.Effect{Status: 500, Code: "InternalError"})
	mustCreate(t, f, rotation.Record{ID: "one"})
	on.Store(true)
	_, err := f.Load(t.Context(), "one")
	if e, ok := errors.AsType[*serviceerror.Error](err); !ok || e.UnknownOutcome || e.Class != serviceerror.Transient {
		t.Errorf("Load: %v", err)
	}
	if n := f.service.Calls(table.OpGet); n != 3 {
		t.Errorf("read %d times, want 3", n)
	}
}

func TestOnePartitionThatFailsKeepsNoOtherFromBeingDue(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{Hook: func(op string, r *http.Request) *fault.Effect {
		if op == table.OpQuery && strings.Contains(r.URL.Query().Get("$filter"), "'s03'") {
			return &fault.Effect{Status: 503, Code: "ServerBusy"}
		}
		return nil
	}}, nil)
	ids := map[string]bool{}
	for i := range 64 {
		rec := mustCreate(t, f, rotation.Record{ID: strings.Repeat("x", i+1), WakeAt: epoch})
		ids[rec.ID] = f.row(t, "conn-"+rec.ID).PartitionKey != "s03"
	}
	due, err := f.Due(t.Context(), epoch, 1000)
	if serviceerror.ClassOf(err) != serviceerror.Throttled {
		t.Errorf("error %v, want the failed partition's", err)
	}
	for _, d := range due {
		if !ids[d.ID] {
			t.Errorf("%s is due from a partition that failed", d.ID)
		}
		delete(ids, d.ID)
	}
	for id, reachable := range ids {
		if reachable {
			t.Errorf("%s is not due", id)
		}
	}
}

// rewriting is a transport that changes the bodies of answers to transactions.
func rewriting(change func([]byte) []byte) func(policy.Transporter) policy.Transporter {
	return func(next policy.Transporter) policy.Transporter {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.Do(r)
			if err != nil || !strings.HasSuffix(r.URL.Path, "/$batch") {
				return resp, err
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return nil, err
			}
			resp.Body = io.NopCloser(bytes.NewReader(change(body)))
			return resp, nil
		})
	}
}

var etagLine = regexp.MustCompile(`ETag: .*\r\n`)

func withoutETags(body []byte) []byte { return etagLine.ReplaceAll(body, nil) }

func TestETagOfACommit(t *testing.T) {
	for name, test := range map[string]struct {
		wrap  func(policy.Transporter) policy.Transporter
		reads int
	}{
		"from the answer":      {nil, 0},
		"from reading it back": {rewriting(withoutETags), 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, table.Config{}, test.wrap)
			rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1, Name: `<"ü">`})
			rec.Version++
			rec, err := f.Commit(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			if n := f.service.Calls(table.OpGet); n != test.reads {
				t.Errorf("%d reads, want %d", n, test.reads)
			}
			rec.Version++
			if _, err := f.Commit(t.Context(), rec); err != nil {
				t.Errorf("the next commit: %v", err)
			}
		})
	}
}

func TestAnotherWritersETagIsNotTakenForOurs(t *testing.T) {
	var f *fixture
	interfere := false
	f = newFixture(t, table.Config{}, rewriting(func(body []byte) []byte {
		if interfere {
			f.SetProperty(t, "one", "name", `"theirs"`)
		}
		return withoutETags(body)
	}))
	rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1})
	interfere = true
	rec.Version++
	rec, err := f.Commit(t.Context(), rec)
	if err != nil {
		t.Fatalf("the commit landed, but: %v", err)
	}
	interfere = false
	rec.Version++
	if _, err := f.Commit(t.Context(), rec); !errors.Is(err, serviceerror.ErrConflict) {
		t.Errorf("a commit over what another pass wrote: %v", err)
	}
	if got, err := f.Load(t.Context(), "one"); err != nil || got.Name != "theirs" {
		t.Errorf("their write is lost: %+v, %v", got.Name, err)
	}
}

func TestMalformedAnswersAreUnknownOutcomes(t *testing.T) {
	always := func(body string) func([]byte) []byte { return func([]byte) []byte { return []byte(body) } }
	for name, change := range map[string]func([]byte) []byte{
		"empty":          always(""), // aztables itself would panic
		"no parts":       func(body []byte) []byte { return body[bytes.LastIndex(body, []byte("--batchresponse_")):] },
		"no multipart":   always("ok"),
		"not to be read": func(body []byte) []byte { return bytes.ReplaceAll(body, []byte("HTTP/1.1 204"), []byte("HTTP/1.1")) },
		"a part too few": func(body []byte) []byte {
			const part = "--changesetresponse_"
			end := bytes.LastIndex(body, []byte(part))
			return slices.Concat(body[:bytes.LastIndex(body[:end], []byte(part))], body[end:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, table.Config{}, rewriting(change))
			_, err := f.Create(t.Context(), rotation.Record{ID: "one", WakeAt: epoch})
			if e, ok := errors.AsType[*serviceerror.Error](err); !ok || !e.UnknownOutcome || e.Class != serviceerror.Transient {
				t.Errorf("got %v", err)
			}
		})
	}
}
