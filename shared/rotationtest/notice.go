package rotationtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"

	"rekey/shared/notice"
	"rekey/shared/rotation"
)

// NoticeStore is a [Store] that keeps notices of the events that a person has to be
// told of.
type NoticeStore interface {
	Store
	notice.Store
}

// TestNotices checks that a store keeps notices as it should. The table behind newStore
// need not be empty, and may be the same each time.
func TestNotices(t *testing.T, newStore func(t *testing.T) NoticeStore) {
	for _, test := range []struct {
		name string
		run  func(s noticeTest, t *testing.T)
	}{
		{"every write keeps its notices", noticeTest.everyWrite},
		{"everything about a notice comes back", noticeTest.everyField},
		{"a refused write leaves none", noticeTest.refused},
		{"a list begins with the oldest", noticeTest.oldest},
		{"a postponed notice says so", noticeTest.postponed},
		{"a stale notice is refused", noticeTest.stale},
		{"one of several claims wins", noticeTest.race},
		{"a delivered notice is gone", noticeTest.delivered},
		{"connections whose ids begin alike keep apart", noticeTest.alike},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t)
			test.run(noticeTest{s, storeTest{s}}, t)
		})
	}
}

// noticeTest is one test's store. Only the notices of its own connections are looked at.
type noticeTest struct {
	notices NoticeStore
	storeTest
}

// create is storeTest's, and takes the notices away at the end.
func (s noticeTest) create(t *testing.T, rec rotation.Record, events ...rotation.Event) rotation.Record {
	t.Helper()
	rec.Version = 1
	rec, err := s.Create(t.Context(), rec, events...)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		all, err := s.notices.Undelivered(ctx, 1000)
		if err != nil {
			t.Errorf("Undelivered: %v", err)
		}
		for _, n := range all {
			if n.Connection == rec.ID {
				if err := s.notices.Delivered(ctx, n); err != nil {
					t.Errorf("Delivered: %v", err)
				}
			}
		}
	})
	return rec
}

// tell is an event of a second that a person has to be told of.
func tell(second int, message string) rotation.Event {
	return rotation.Event{At: storeEpoch.Add(time.Duration(second) * time.Second),
		Kind: history.Attention, Message: message, Notice: true}
}

// of returns the notices of connections, as the store orders them.
func (s noticeTest) of(t *testing.T, ids ...string) []notice.Notice {
	t.Helper()
	all, err := s.notices.Undelivered(t.Context(), 1000)
	if err != nil {
		t.Fatalf("Undelivered: %v", err)
	}
	return slices.DeleteFunc(all, func(n notice.Notice) bool { return !slices.Contains(ids, n.Connection) })
}

func noticeMessages(all []notice.Notice) (out []string) {
	for _, n := range all {
		out = append(out, n.Message)
	}
	return out
}

func (s noticeTest) want(t *testing.T, id string, messages ...string) []notice.Notice {
	t.Helper()
	got := s.of(t, id)
	if !slices.Equal(noticeMessages(got), messages) {
		t.Errorf("notices %q, want %q", noticeMessages(got), messages)
	}
	return got
}

func (s noticeTest) everyWrite(t *testing.T) {
	quiet := rotation.Event{At: storeEpoch, Kind: history.Issued, Message: "sends no notice"}
	rec := s.create(t, rotation.Record{ID: rand.Text()}, quiet, tell(0, "a"))
	rec = s.commit(t, rec, tell(0, "b"), quiet, tell(0, "c"))
	rec = s.commit(t, rec, quiet)
	rec = s.commit(t, rec)
	rec = s.commit(t, rec, tell(1, "d"))
	if err := s.Remove(t.Context(), rec, tell(1, "e")); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	got := s.want(t, rec.ID, "a", "b", "c", "d", "e")
	seen := map[string]bool{}
	for i, n := range got {
		if seen[n.ID] || i > 0 && cmp.Or(cmp.Compare(got[i-1].Version, n.Version), cmp.Compare(got[i-1].Place, n.Place)) >= 0 {
			t.Errorf("notice %d has id %s, version %d, place %d", i, n.ID, n.Version, n.Place)
		}
		seen[n.ID] = true
	}
	if history := s.messages(t, rec.ID, 100); len(history) != 8 {
		t.Errorf("history has %q; notices are there, too", history)
	}
}

func (s noticeTest) everyField(t *testing.T) {
	const text = "text <&\"'\\ü€😀"
	at := storeEpoch.Add(time.Millisecond + time.Nanosecond)
	rec := s.create(t, rotation.Record{ID: rand.Text(), Name: text, Project: "p-" + text,
		Target: rotation.Application{TenantID: "t", ClientID: "c", ObjectID: "o"}},
		rotation.Event{At: at.In(time.FixedZone("", 3600)), Kind: history.Lost, By: "b", RunID: "r",
			KeyID: "k", Class: serviceerror.CredentialLost, Message: "m-" + text, Notice: true})
	rec = s.commit(t, rec, rotation.Event{At: at.Add(time.Hour), Kind: history.ByHand, Notice: true,
		Target: rotation.Application{TenantID: "t2", ClientID: "c2"}})
	got := s.of(t, rec.ID)
	if len(got) != 2 || got[1].TenantID != "t2" || got[1].ClientID != "c2" {
		t.Fatalf("notices %+v; want that of the other application last", got)
	}
	want := notice.Notice{
		ID: got[0].ID, ETag: got[0].ETag, Connection: rec.ID, Name: text, Project: "p-" + text, TenantID: "t", ClientID: "c",
		Version: 1, Kind: history.Lost, At: at, RunID: "r", KeyID: "k", Class: serviceerror.CredentialLost, Message: "m-" + text,
	}
	if !reflect.DeepEqual(got[0], want) || want.ID == "" {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

func (s noticeTest) refused(t *testing.T) {
	rec := s.create(t, rotation.Record{ID: rand.Text()}, tell(0, "first"))
	s.commit(t, rec)
	rec.Version++
	_, err := s.Commit(t.Context(), rec, tell(1, "stale"))
	wantStoreError(t, "Commit", err, serviceerror.ErrConflict)
	_, err = s.Create(t.Context(), rotation.Record{ID: rec.ID, Version: 1}, tell(0, "second"))
	wantStoreError(t, "Create", err, serviceerror.ErrExists)
	s.want(t, rec.ID, "first")
}

func (s noticeTest) oldest(t *testing.T) {
	const n = 20 // more than there are partitions
	var ids []string
	for i := range n {
		second := (i * 7) % n
		rec := s.create(t, rotation.Record{ID: rand.Text()}, tell(second, fmt.Sprint(second)))
		ids = append(ids, rec.ID)
	}
	got := s.of(t, ids...)
	if len(got) != n {
		t.Fatalf("%d notices, want %d", len(got), n)
	}
	for i, n := range got {
		if n.Message != fmt.Sprint(i) {
			t.Errorf("notice %d is that of second %s", i, n.Message)
		}
	}
	few, err := s.notices.Undelivered(t.Context(), 3)
	if err != nil || !slices.Equal(noticeMessages(few), []string{"0", "1", "2"}) {
		t.Errorf("the oldest three are %q, %v", noticeMessages(few), err)
	}
}

func (s noticeTest) postponed(t *testing.T) {
	rec := s.create(t, rotation.Record{ID: rand.Text()}, tell(0, "a"), tell(0, "b"))
	first := s.want(t, rec.ID, "a", "b")[0]
	for tries := range 3 { // once as it was listed, then as it was returned
		until := storeEpoch.AddDate(0, 0, tries).Add(time.Millisecond)
		next, err := s.notices.Postpone(t.Context(), first, until.In(time.FixedZone("", -3600)), tries)
		if err != nil || !next.Until.Equal(until) || next.Tries != tries || next.ID != first.ID {
			t.Fatalf("Postpone returned %+v, %v", next, err)
		}
		got := s.want(t, rec.ID, "a", "b") // it stays where it was
		if !got[0].Until.Equal(until) || got[0].Tries != tries || got[1].Tries != 0 || !got[1].Until.IsZero() {
			t.Errorf("after Postpone: %+v", got)
		}
		first = next
	}
	wantStoreError(t, "Delivered", s.notices.Delivered(t.Context(), first), nil)
	s.want(t, rec.ID, "b")
}

func (s noticeTest) stale(t *testing.T) {
	rec := s.create(t, rotation.Record{ID: rand.Text()}, tell(0, "a"))
	listed := s.want(t, rec.ID, "a")[0]
	claimed, err := s.notices.Postpone(t.Context(), listed, storeEpoch, 0)
	wantStoreError(t, "Postpone", err, nil)
	again, err := s.notices.Postpone(t.Context(), claimed, storeEpoch.Add(time.Second), 1)
	wantStoreError(t, "Postpone", err, nil)
	for name, old := range map[string]notice.Notice{"listed": listed, "claimed": claimed} {
		_, err := s.notices.Postpone(t.Context(), old, storeEpoch, 9)
		wantStoreError(t, "Postpone as "+name, err, serviceerror.ErrConflict)
		wantStoreError(t, "Delivered as "+name, s.notices.Delivered(t.Context(), old), serviceerror.ErrConflict)
	}
	if got := s.want(t, rec.ID, "a"); got[0].Tries != 1 || !got[0].Until.Equal(again.Until) {
		t.Errorf("a refused write changed the notice: %+v", got[0])
	}
}

// race is what keeps two deliverers from sending the same.
func (s noticeTest) race(t *testing.T) {
	rec := s.create(t, rotation.Record{ID: rand.Text()}, tell(0, "a"))
	listed := s.want(t, rec.ID, "a")[0]
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			_, errs[i] = s.notices.Postpone(t.Context(), listed, storeEpoch.Add(time.Duration(i+1)*time.Minute), 0)
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantStoreError(t, "a loser's Postpone", err, serviceerror.ErrConflict)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d claims have won", won, len(errs))
	}
}

func (s noticeTest) delivered(t *testing.T) {
	rec := s.create(t, rotation.Record{ID: rand.Text()}, tell(0, "a"))
	n := s.want(t, rec.ID, "a")[0]
	wantStoreError(t, "Delivered", s.notices.Delivered(t.Context(), n), nil)
	s.want(t, rec.ID)
	wantStoreError(t, "Delivered again", s.notices.Delivered(t.Context(), n), serviceerror.ErrConflict)
	_, err := s.notices.Postpone(t.Context(), n, storeEpoch, 1)
	wantStoreError(t, "Postpone afterwards", err, serviceerror.ErrConflict)
	s.commit(t, rec, tell(1, "b"))
	s.want(t, rec.ID, "b")
}

func (s noticeTest) alike(t *testing.T) {
	id := rand.Text()
	for _, suffix := range []string{"", "-", "-0", "-0000000000000000001", "-0000000000000000001-00"} {
		s.create(t, rotation.Record{ID: id + suffix}, tell(0, "of "+suffix))
	}
	for _, suffix := range []string{"", "-", "-0", "-0000000000000000001", "-0000000000000000001-00"} {
		s.want(t, id+suffix, "of "+suffix)
	}
}
