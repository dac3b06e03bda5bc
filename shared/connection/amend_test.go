package connection_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// whenNoted does something, once, right after notes were read.
type whenNoted struct {
	connection.Reservations
	do func()
}

func (n *whenNoted) Notes(ctx context.Context, kind reservation.Kind, value string) ([]reservation.Row, error) {
	notes, err := n.Reservations.Notes(ctx, kind, value)
	if do := n.do; do != nil {
		n.do = nil
		do()
	}
	return notes, err
}

// Two callers delete a connection at once, one of them with what it has published. Where the
// API tells this caller that what was published is removed, that is true.
func TestTwoDeletionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.rotateBy(t, 10*time.Minute) // something old waits, so that the deletion takes a while
		was := mustRecord(t, s)
		c := service(s.w)
		c.Reservations = &whenNoted{c.Reservations, func() {
			if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{By: "tester"}); err != nil {
				t.Fatal(err)
			}
		}}
		_, err := c.Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"})
		s.sweep(t, 24*time.Hour)
		if err == nil && s.w.IsLive(was.Current.KeyID) {
			t.Error("the caller was told that the published client secret is removed, and it stays")
		}
	})
}

// whenLost commits, and reports once that the answer was lost, after something else was
// done. Of reads after that some fail.
type whenLost struct {
	connection.Records
	of   func(rec *rotation.Record) bool // nil: the first commit
	do   func(landed rotation.Record)
	lost bool
	deaf int // how many reads fail then
}

var errLost = &serviceerror.Error{Op: "asking the table", Class: serviceerror.Transient, Status: 504, UnknownOutcome: true}

func (l *whenLost) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	got, err := l.Records.Commit(ctx, rec, events...)
	if err != nil || l.lost || l.of != nil && !l.of(&rec) {
		return got, err
	}
	l.lost = true
	l.do(got)
	return rec, errLost
}

func (l *whenLost) Load(ctx context.Context, id string) (rotation.Record, error) {
	if l.lost && l.deaf > 0 {
		l.deaf--
		return rotation.Record{}, errLost
	}
	return l.Records.Load(ctx, id)
}

func deletes(rec *rotation.Record) bool {
	return rec.Request != nil && rec.Request.Kind == rotation.AskDelete
}

// A target is taken back, the answer to that write is lost, and the timer has begun with
// the deletion meanwhile: its lease is its own (promise P5).
func TestATargetIsTakenBackWhileAPassIsAtIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.softDeleted(t)
		c := service(s.w)
		c.Vault = unrecovering{c.Vault}
		lease := rotation.Lease{Token: "of-the-timer", Until: time.Now().Add(time.Hour)}
		c.Records = &whenLost{Records: c.Records, of: deletes, do: func(rec rotation.Record) { // what taking a lease writes
			rec.Lease, rec.WakeAt = lease, lease.Until
			rec.Version++
			if _, err := s.w.StorePort().Commit(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}}
		second, _ := c.CreateTarget(t.Context(), s.parent, in)
		if rec, there := s.w.Record(second.ID); !there || rec.Lease.Token != lease.Token {
			t.Errorf("the pass that was at it has lost its lease: there %t, lease %q", there, rec.Lease.Token)
		}
	})
}

// The answer to a deletion is lost, and before it is asked for again, the timer has ended
// the connection. The caller has got what it wanted, and the API says so.
func TestADeletionThatWasLostAndDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		c := service(s.w)
		c.Records = &whenLost{Records: c.Records, do: func(rotation.Record) {
			time.Sleep(time.Second) // wake-ups are in whole seconds
			service(s.w).Rotator.Sweep(t.Context())
		}}
		_, err := c.Delete(t.Context(), s.id, connection.DeleteOptions{By: "tester"})
		if exists(s.w, s.id) {
			t.Fatal("it is not gone yet")
		}
		if err != nil {
			t.Errorf("it is deleted, and the caller is told: %v", err)
		}
	})
}

// The answer to a change is lost, and so is that to the first look whether it was made.
// The API does not tell the caller that nothing was changed.
func TestAChangeOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		c := service(s.w)
		c.Records = &whenLost{Records: c.Records, do: func(rotation.Record) {}, deaf: 1}
		_, err := c.Update(t.Context(), s.id, connection.Change{Name: new("invoices")})
		if rec := mustRecord(t, s); rec.Name == "invoices" && err != nil && strings.Contains(err.Error(), "Nothing was changed") {
			t.Errorf("the name was changed, and the caller is told: %v", err)
		}
	})
}

// Rotation is turned on, the answer is lost, and an emergency has replaced the request that
// came with it. It is on, and its caller is told so.
func TestTurnedOnWithALostAnswerAndAnEmergency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withGiven(t, s)
		c := service(s.w)
		c.Records = &whenLost{Records: c.Records, do: func(rotation.Record) {
			s.request(t, rotation.Request{Kind: rotation.AskEmergency, ID: "e"})
		}}
		rec, err := c.Update(t.Context(), s.id, connection.Change{
			Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Zone: "UTC"}, By: "tester",
		})
		if got := mustRecord(t, s); got.Policy.Enabled && err != nil {
			t.Errorf("rotation is on (revision %d), and the caller is told: %v", rec.Revision, err)
		}
	})
}
