package connection_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/vaulttag"
)

// What the tests of whole sequences see of a connection. Most of it is the directory's,
// the vault's or the table's own; what is the record's is read here and nowhere else.

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
		t.Errorf("due at %s, and not begun at all", clock(from))
	case at.After(until):
		t.Errorf("due at %s, begun at %s, %s late", clock(from), clock(at), at.Sub(from).Round(time.Second))
	}
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05") }

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
	return connection.Attention(new(s.recordOf(t, id)), time.Now())
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

// publishedOf is the key id of what the vault publishes for a connection.
func (s *subject) publishedOf(t *testing.T, id string) string {
	t.Helper()
	v, ok := s.w.Published(s.recordOf(t, id).VaultName)
	if !ok {
		t.Fatal("nothing is published")
	}
	return v.Tags[vaulttag.KeyID]
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
