package connection_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/attention"
	"rekey/shared/connection"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
)

// What tests see of a connection. Most of it is the directory's, the vault's or the table's
// own.

// issuedAfter is when a client secret of an application was first asked for from that
// time on; zero: never.
func (s *subject) issuedAfter(clientID string, from time.Time) time.Time {
	for _, w := range s.w.Directory.Writes {
		if w.Add && w.ClientID == clientID && !w.At.Before(from) {
			return w.At
		}
	}
	return time.Time{}
}

// issuedWithin fails unless a client secret of an application was asked for between two
// times.
func (s *subject) issuedWithin(t testing.TB, clientID string, from, until time.Time) {
	t.Helper()
	at := s.issuedAfter(clientID, from)
	switch {
	case at.IsZero():
		t.Errorf("due at %s, and not begun at all", from.Format(time.TimeOnly))
	case at.After(until):
		t.Errorf("due at %s, begun at %s, %s late", from.Format(time.TimeOnly), at.Format(time.TimeOnly), at.Sub(from).Round(time.Second))
	}
}

// historyOf is everything that the table has of a connection's history, also of one
// that is deleted; the newest first.
func (s *subject) historyOf(t *testing.T, id string) []rotation.Event {
	t.Helper()
	events, next, err := s.w.StorePort().History(t.Context(), id, "", 100_000)
	if err != nil || next != "" {
		t.Fatalf("reading the history: %v, more: %q", err, next)
	}
	return events
}

// attentionOf is why the connection says that a person should look at it.
func (s *subject) attentionOf(t *testing.T, id string) []string {
	t.Helper()
	return attention.Of(new(s.recordOf(t, id)), time.Now())
}

// noticesOf counts what has been told about a connection.
func (s *subject) noticesOf(t *testing.T, id string) (n int) {
	t.Helper()
	all, err := s.w.NoticePort().Undelivered(t.Context(), 100_000)
	if err != nil {
		t.Fatalf("reading the notices: %v", err)
	}
	for _, one := range all {
		if one.Connection == id {
			n++
		}
	}
	return n
}

// troubleOf reports whether a connection says that its last step failed.
func (s *subject) troubleOf(t *testing.T, id string) bool {
	t.Helper()
	return s.recordOf(t, id).Error != nil
}

// nextSlotOf is when a connection is due by its schedule.
func (s *subject) nextSlotOf(t *testing.T, id string) time.Time {
	t.Helper()
	slot := s.recordOf(t, id).NextSlot
	if slot.IsZero() {
		t.Fatalf("connection %s has no next slot", id)
	}
	return slot
}

// record is the row of the subject.
func (s *subject) record(t *testing.T) rotation.Record {
	t.Helper()
	return s.recordOf(t, s.id)
}

// recordOf is the row of a connection that has to be there.
func (s *subject) recordOf(t *testing.T, id string) rotation.Record {
	t.Helper()
	rec, ok := s.w.Record(id)
	if !ok {
		t.Fatalf("connection %s is gone", id)
	}
	return rec
}

// readableStaged counts the versions of values that were not published yet which the
// vault still gives out.
func (s *subject) readableStaged(t *testing.T, id string) (n int) {
	t.Helper()
	versions, err := s.w.VaultPort().List(t.Context(), new(s.recordOf(t, id)).StagedName())
	if err != nil {
		t.Fatalf("listing versions: %v", err)
	}
	for _, v := range versions {
		if v.Enabled {
			n++
		}
	}
	return n
}

// saysLeftOut reports whether the log says that a list left out that many rows.
func (s *subject) saysLeftOut(rows int) bool {
	for line := range strings.Lines(s.w.Log.String()) {
		if strings.Contains(line, "left out") && strings.Contains(line, fmt.Sprintf(`"rows":%d`, rows)) {
			return true
		}
	}
	return false
}

// writtenByANewer makes the row of a connection one that a newer Rekey has written.
func (s *subject) writtenByANewer(t *testing.T, id string) {
	t.Helper()
	s.w.StorePort().(rotationtest.RawStore).SetProperty(t, id, "schema", rotation.Schema+1)
}

// vaultName is where the subject publishes.
func (s *subject) vaultName(t *testing.T) string {
	t.Helper()
	return s.record(t).VaultName
}

// published is the client secret that consumers of the subject read.
func (s *subject) published(t *testing.T) rotationtest.ClientSecret {
	t.Helper()
	c, ok := s.w.PublishedSecret(s.vaultName(t))
	if !ok {
		t.Fatal("nothing is published")
	}
	return c
}

// issued counts what Rekey has issued for the subject's application since a time.
func (s *subject) issued(since time.Time) (n int) {
	for _, c := range s.w.Secrets(s.app.ClientID) {
		if c.Issued && c.AddedAt.After(since) {
			n++
		}
	}
	return n
}

// works reports whether a client secret authenticates.
func (s *subject) works(keyID string) bool { return s.w.IsLive(keyID) }

// keepsWorking plays the timer for d, and states that what is published works: it is
// looked at every so often. It stops at the first time that it does not.
func (s *subject) keepsWorking(real *testing.T, t testing.TB, every, d time.Duration) {
	t.Helper()
	name := s.vaultName(real)
	begun := time.Now()
	for end := begun.Add(d); time.Now().Before(end); {
		s.sweep(real, every)
		c, ok := s.w.PublishedSecret(name)
		if !ok {
			t.Fatalf("after %s nothing is published that works", time.Since(begun).Round(time.Second))
		}
		if c.Works(time.Now()) {
			continue
		}
		what := "ended " + time.Since(c.ExpiresAt).Round(time.Second).String() + " ago"
		if !c.RemovedAt.IsZero() {
			what = "was removed " + time.Since(c.RemovedAt).Round(time.Second).String() + " ago"
		}
		t.Fatalf("after %s the published client secret %s (%s) %s", time.Since(begun).Round(time.Second), c.KeyID, c.Name, what)
	}
}

// trouble is what the subject says went wrong last.
func (s *subject) trouble(t *testing.T) string {
	t.Helper()
	if e := s.record(t).Error; e != nil {
		return e.Message
	}
	return "nothing is wrong"
}

// rotatedTo fails unless that many client secrets of the application are alive, two
// of which were there before.
func (s *subject) live(t *testing.T, want int) {
	t.Helper()
	if got := s.w.Live(s.app.ClientID); got != want {
		t.Errorf("live client secrets: %d, want %d", got, want)
	}
}

func exists(w *rotationtest.World, id string) bool { return slices.Contains(w.Records(), id) }

// check fails the test with the promises that were broken.
func (s *subject) check(t *testing.T) {
	t.Helper()
	s.w.CheckLeaks()
	s.w.CheckClaims()
	if v := s.w.Violations(); len(v) > 0 {
		t.Errorf("broken promises: %v", v)
		if testing.Verbose() {
			t.Log(s.w.Log.String())
		}
	}
}

func (s *subject) count(t *testing.T, kind string) (n int) {
	t.Helper()
	events, _, err := service(s.w).History(t.Context(), s.id, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// holds fails unless the subject holds a reservation.
func (s *subject) holds(t *testing.T, res reservation.Row) {
	t.Helper()
	got, err := s.w.StorePort().Find(t.Context(), res.Kind, res.Value)
	if err != nil || got.Owner != s.id {
		t.Errorf("the reservation %s %q is held by %q (%v), want %q", res.Kind, res.Value, got.Owner, err, s.id)
	}
}

// claims fails unless the subject lists a claim and has its row.
func (s *subject) claims(t *testing.T, kind rotation.ClaimKind, app rotation.Application) {
	t.Helper()
	rec := s.record(t)
	rows, err := s.w.StorePort().ClaimsOf(t.Context(), app.Key())
	listed := func(row rotation.ClaimRow) bool { return row.Kind == kind && row.Owner == s.id && rec.Lists(row.Claim) }
	if err != nil || !slices.ContainsFunc(rows, listed) {
		t.Errorf("the record lists %v; the claims on %s are %v, %v; want a %s one", rec.Claimed, app.ClientID, rows, err, kind)
	}
}

// inVault fails unless that refresh token is what the connection signs in with.
func (s *subject) inVault(t *testing.T, want secret.Value) {
	t.Helper()
	rec, _ := s.w.Record(s.id)
	v, err := s.w.VaultPort().Get(t.Context(), rec.AuthName(), rec.Auth.VaultVersion)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(v.Value.Reveal(), want.Reveal()) {
		t.Error("what is in the vault is not the newest refresh token")
	}
}

// enabled counts what can be read of what the connection authenticates with.
func (s *subject) enabled(t *testing.T) (n int) {
	t.Helper()
	rec, _ := s.w.Record(s.id)
	versions, err := s.w.VaultPort().List(t.Context(), rec.AuthName())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		if v.Enabled {
			n++
		}
	}
	return n
}

func kindOf(err error) connection.Kind {
	if e, ok := errors.AsType[*connection.Error](err); ok {
		return e.Kind
	}
	return ""
}

// refusal fails unless err is of that kind and says those words.
func refusal(t *testing.T, err error, kind connection.Kind, says string) {
	t.Helper()
	if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != kind || !strings.Contains(e.Message, says) {
		t.Errorf("got %v, want %s: %q", err, kind, says)
	}
}
