package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// unsteady is a table that fails as a test says.
type unsteady struct {
	connection.Records
	commit func(n int) (made bool, err error) // the n-th one
	load   func(n int) error                  // the n-th one after the first commit

	commits, loads int
	first, second  time.Time // commit
}

func (u *unsteady) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	switch u.commits++; u.commits {
	case 1:
		u.first = time.Now()
	case 2:
		u.second = time.Now()
	}
	made, err := u.commit(u.commits)
	if !made {
		return rec, err
	}
	got, failed := u.Records.Commit(ctx, rec, events...)
	if failed != nil {
		return got, failed
	}
	return got, err
}

func (u *unsteady) Load(ctx context.Context, id string) (rotation.Record, error) {
	if u.commits > 0 && u.load != nil {
		u.loads++
		if err := u.load(u.loads); err != nil {
			return rotation.Record{}, err
		}
	}
	return u.Records.Load(ctx, id)
}

// A change whose answer was lost is found by reading the connection, which is tried more
// than once. Where that fails, too, the API does not say that nothing was changed.
func TestAChangeWhoseAnswerWasLost(t *testing.T) {
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
				before := mustRecord(t, s)
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
				after := mustRecord(t, s)
				if made := after.Revision == before.Revision+1 && after.Description == "changed"; made != c.made {
					t.Errorf("made: %t; revision %d after %d, %q", made, after.Revision, before.Revision, after.Description)
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
					rec := mustRecord(t, s)
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
