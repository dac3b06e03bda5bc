package connection_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

// A change whose answer was lost is found by reading the connection, which is tried more
// than once. Where that fails, too, the API does not say that nothing was changed.
func TestAChangeWhoseAnswerWasLostIsMadeOnce(t *testing.T) {
	always := func(made bool) func(int) (bool, error) {
		return func(int) (bool, error) { return made, errLost }
	}
	for name, c := range map[string]struct {
		table   unsteady
		known   bool // whether the change was made is found out
		made    bool
		commits int
	}{
		"and found at the third look": {unsteady{commit: always(true), load: func(n int) error {
			if n < 3 {
				return errLost
			}
			return nil
		}}, true, true, 1},
		"and never found": {unsteady{commit: always(true), load: func(int) error { return errLost }}, false, true, 1},
		"and refused afterwards": {unsteady{commit: func(n int) (bool, error) {
			if n == 1 {
				return false, errLost
			}
			return false, &serviceerror.Error{Op: "writing the row", Class: serviceerror.Throttled, Status: 429}
		}}, false, false, 2},
		"and then not permitted": {unsteady{commit: func(n int) (bool, error) {
			if n == 1 {
				return false, errLost
			}
			return false, &serviceerror.Error{Op: "writing the row", Class: serviceerror.Invalid, Status: 403}
		}}, false, false, 2},
		"each time": {unsteady{commit: always(false)}, false, false, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				before, events := s.record(t), s.count(t, history.Changed)
				slow := service(s.w)
				table := c.table
				table.Records = slow.Records
				slow.Records = &table
				_, err := slow.Update(t.Context(), s.id, connection.Change{Description: new("changed"), By: "tester"})
				if !c.known {
					refusal(t, err, connection.Unavailable, "outcome is unknown")
				} else if err != nil {
					t.Error(err)
				}
				after := s.record(t)
				if made := after.Revision == before.Revision+1 && after.Description == "changed"; made != c.made {
					t.Errorf("made: %t; revision %d after %d, %q", made, after.Revision, before.Revision, after.Description)
				}
				if n := s.count(t, history.Changed) - events; n > 1 || (n == 1) != c.made {
					t.Errorf("%d times in the history", n)
				}
				if table.commits != c.commits {
					t.Errorf("written %d times, want %d", table.commits, c.commits)
				}
				if table.commits > 1 && table.second.Sub(table.first) < 200*time.Millisecond {
					t.Errorf("written again %s after the first time", table.second.Sub(table.first))
				}
				s.check(t)
			})
		})
	}
}

// The answer to a change is lost, and so is that to the first look whether it was made.
// The API does not tell the caller that nothing was changed.
func TestAChangeOfUnknownOutcomeIsNotDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		c := service(s.w)
		c.Records = &whenLost{Records: c.Records, do: func(rotation.Record) {}, deaf: 1}
		_, err := c.Update(t.Context(), s.id, connection.Change{Name: new("invoices")})
		if rec := s.record(t); rec.Name == "invoices" && err != nil && strings.Contains(err.Error(), "Nothing was changed") {
			t.Errorf("the name was changed, and the caller is told: %v", err)
		}
	})
}

// A request for a rotation whose answer was lost is made once, also if another process has
// begun with it, or carried it out, before the connection is read again.
func TestARequestIsTakenUpBeforeItsAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		opts connection.RotateOptions
		time time.Duration // of the other process
		over bool
	}{
		"it has begun": {connection.RotateOptions{ID: "mine"}, 5 * time.Second, false},
		"it is over":   {connection.RotateOptions{ID: "mine", Emergency: true}, 50 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				slow := service(s.w)
				slow.Records = &whenLost{Records: slow.Records, do: func(rotation.Record) {
					_, err := service(s.w).Rotator.Pass(t.Context(), s.id, rotator.PassOptions{Until: time.Now().Add(c.time)})
					rec := s.record(t)
					if begun := rec.Run != nil && rec.Run.ID == "mine"; err != nil || begun == c.over {
						t.Errorf("request %+v, run %+v, last run %+v, %v", rec.Request, rec.Run, rec.LastRun, err)
					}
				}}
				if _, err := slow.Rotate(t.Context(), s.id, c.opts); err != nil {
					t.Error(err)
				}
				s.sweep(t, 3*24*time.Hour)
				if n := s.count(t, history.Requested); n != 1 {
					t.Errorf("asked for %d times", n)
				}
				s.w.CheckEnd(s.id)
				s.check(t)
			})
		})
	}
}

// Rotation is turned on, the answer is lost, and an emergency has replaced the request that
// came with it. It is on, and its caller is told so.
func TestTurningOnWithALostAnswerIsAnsweredAsDone(t *testing.T) {
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
		if got := s.record(t); got.Policy.Enabled && err != nil {
			t.Errorf("rotation is on (revision %d), and the caller is told: %v", rec.Revision, err)
		}
	})
}

// The answer to the write of a deletion is lost: it is deleted, and its caller is told so.
func TestADeletionWhoseAnswerWasLostIsAnsweredAsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Break(1, rotationtest.Applied)
		_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"})
		s.w.Break(0, rotationtest.NoFault)
		if err != nil {
			t.Errorf("the deletion has begun, and the caller is told: %v", err)
		}
	})
}

func deletes(rec *rotation.Record) bool {
	return rec.Request != nil && rec.Request.Kind == rotation.AskDelete
}

// The answer to a deletion is lost, and before it is asked for again, the timer has ended
// the connection. The caller has got what it wanted, and the API says so.
func TestADeletionThatWasLostAndDoneIsAnsweredAsDone(t *testing.T) {
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

// A target is taken back, the answer to that write is lost, and the timer has begun with
// the deletion meanwhile: its lease is its own (promise P5).
func TestTakingATargetBackLeavesThePassItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.softDeleted(t)
		c := service(s.w)
		s.w.Slow("vault.recover", time.Hour)
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
