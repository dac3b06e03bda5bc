package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/audit"
	"rekey/shared/history"
	"rekey/shared/rotation"
)

// table keeps lines, unless it is away.
type table struct {
	mu     sync.Mutex
	lines  map[string]audit.Event
	writes int
	err    error
	hangs  bool
}

func (s *table) WriteAudit(ctx context.Context, id string, e audit.Event) error {
	if s.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.err != nil {
		return s.err
	}
	if s.lines == nil {
		s.lines = map[string]audit.Event{}
	}
	s.lines[id] = e
	return nil
}

func (s *table) Audit(context.Context, audit.Query) ([]audit.Event, string, error) {
	return nil, "", nil
}

// has are the lines in words.
func (s *table) has() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.lines {
		all = append(all, fmt.Sprintf("%s %s %s %s %d", e.Kind, e.By, e.From, e.Reason, e.Count))
	}
	slices.Sort(all)
	return all
}

func newTrail(s audit.Store) (*audit.Trail, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return &audit.Trail{Store: s, Log: slog.New(slog.NewJSONHandler(log, nil))}, log
}

func refusal(by, from, reason string) audit.Event {
	return audit.Event{Kind: audit.ConsoleRefused, By: by, From: from, Reason: reason}
}

// Ten thousand refusals of a minute are a line for each reason, and 14 writes each. The minute after
// begins another line.
func TestAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &table{}
		trail, log := newTrail(s)
		for i := range 10_000 {
			trail.Add(t.Context(), refusal("", fmt.Sprint("192.0.2.", i%256), "wrong key"))
			trail.Add(t.Context(), refusal("", "192.0.2.1", "forged"))
		}
		want := []string{"console.refused  192.0.2.0 wrong key 8192", "console.refused  192.0.2.1 forged 8192"}
		if got := s.has(); !slices.Equal(got, want) || s.writes != 2*14 || log.Len() > 0 {
			t.Errorf("%q in %d writes; the log says %s", got, s.writes, log)
		}
		time.Sleep(time.Minute)
		trail.Add(t.Context(), refusal("", "192.0.2.7", "forged"))
		if got := s.has(); len(got) != 3 || got[1] != "console.refused  192.0.2.7 forged 1" && got[2] != "console.refused  192.0.2.7 forged 1" {
			t.Errorf("a minute later: %q", got)
		}
	})
}

// However many reasons a flood has, it has so many lines a minute and no more; a caller who is known
// has a line with their address all the same, or one who holds a stolen key could hide theirs.
func TestAFloodOfReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &table{}
		trail, _ := newTrail(s)
		for i := range 5000 {
			trail.Add(t.Context(), refusal("", "192.0.2.1", fmt.Sprint("reason ", i)))
		}
		trail.Add(t.Context(), audit.Event{Kind: audit.SignedIn, By: "ann", From: "192.0.2.9"})
		got := s.has()
		if len(got) != 302 || !slices.Contains(got, "console.refused   several 4096") ||
			!slices.Contains(got, "console.signed-in ann 192.0.2.9  1") {
			t.Errorf("%d lines, the last %q", len(got), got[len(got)-3:])
		}
		for i := range 5000 {
			trail.Add(t.Context(), refusal("ann", "192.0.2.1", fmt.Sprint("reason ", i)))
		}
		if got := s.has(); len(got) != 302+300 || !slices.Contains(got, "console.refused ann  several 4096") {
			t.Errorf("of callers who are known: %d lines, the last %q", len(got), got[len(got)-3:])
		}
	})
}

// Callers who are known have a line for each address, and each sign-in of its own.
func TestKnownCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &table{}
		trail, _ := newTrail(s)
		for _, from := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.1"} {
			trail.Add(t.Context(), audit.Event{Kind: audit.SignedIn, By: "ann", From: from})
		}
		trail.Add(t.Context(), audit.Event{Kind: audit.SignedIn, By: "bob", From: "192.0.2.1"})
		trail.Add(t.Context(), audit.Event{Kind: audit.SignedOut, By: "bob", From: "192.0.2.1"})
		want := []string{"console.signed-in ann 192.0.2.1  2", "console.signed-in ann 192.0.2.2  1", "console.signed-in bob 192.0.2.1  1",
			"console.signed-out bob 192.0.2.1  1"}
		if got := s.has(); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// What can't be written holds a request up for two seconds at most, also if the visitor is gone, and
// is in the log. The next event after a pause writes the line, with its count.
func TestTheTableIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &table{hangs: true}
		trail, log := newTrail(s)
		begin := time.Now()
		gone, leave := context.WithCancel(t.Context())
		leave()
		trail.Add(gone, refusal("ann", "192.0.2.1", "the role is too low"))
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("it took %s", took)
		}
		for _, part := range []string{`"level":"WARN"`, `"event":"console.refused"`, `"caller":"ann"`, `"from":"192.0.2.1"`,
			`"reason":"the role is too low"`, `"count":1`} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("no %s in the log: %s", part, log)
			}
		}
		s.hangs, s.err = false, errors.New("refused")
		for range 100 {
			trail.Add(t.Context(), refusal("ann", "192.0.2.1", "the role is too low"))
		}
		if s.writes != 0 {
			t.Errorf("%d writes within ten seconds of the failure", s.writes)
		}
		s.err = nil
		time.Sleep(10 * time.Second)
		trail.Add(t.Context(), refusal("ann", "192.0.2.1", "the role is too low"))
		if got := s.has(); !slices.Equal(got, []string{"console.refused ann 192.0.2.1 the role is too low 102"}) {
			t.Errorf("then: %q", got)
		}
	})
}

func TestNoTrail(t *testing.T) {
	var trail *audit.Trail
	trail.Add(t.Context(), refusal("", "", ""))
}

// What begins and ends a connection or a target is in the trail, and nothing else of its history.
func TestOf(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	target := rotation.Record{ID: "target", Via: "via", Name: "payroll"}
	e := rotation.Event{At: at, Kind: history.Requested, By: "ann", From: "192.0.2.1", RunID: "r", Message: "delete"}
	want := audit.Event{At: at, Kind: "connection.deletion-requested", By: "ann", From: "192.0.2.1",
		ConnectionID: "via", TargetID: "target", Name: "payroll", Reason: "keep what is published"}
	if got, ok := audit.Of(&target, e); !ok || got != want {
		t.Errorf("%+v, %t", got, ok)
	}
	// A target that was given no name is called as its vault secret, as in the console's lists.
	nameless := rotation.Record{ID: "target", Via: "via", Name: "target-target", VaultName: "payroll"}
	if got, _ := audit.Of(&nameless, e); got != want {
		t.Errorf("%+v", got)
	}
	for kind, want := range map[string]bool{history.Created: true, history.Undone: true, history.Deleted: true, history.Issued: false,
		history.Changed: false, history.Requested: false, history.Deleting: false} {
		got, ok := audit.Of(&rotation.Record{ID: "one"}, rotation.Event{At: at, Kind: kind})
		if ok != want || ok && (got.ConnectionID != "one" || got.TargetID != "") {
			t.Errorf("%s: %+v, %t", kind, got, ok)
		}
	}
}
