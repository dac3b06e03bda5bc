package connection_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// scenario is something that makes external writes, on a connection that setup
// made.
type scenario struct {
	name  string
	setup func(t *testing.T, s *subject)
	act   func(t *testing.T, s *subject)
	end   func(t *testing.T, s *subject, clean bool) // what must hold once it is quiet
	quiet time.Duration                              // how long it takes until it is
}

// TestEveryWriteFails puts each fault at each external write of each scenario, then
// lets normal passes finish, and checks the promises: after every call, and at the
// end. Under the race detector it is a sample of the faults.
func TestEveryWriteFails(t *testing.T) {
	total := 0
	for _, sc := range slices.Concat(scenarios, delegated, givenAgain) {
		t.Run(sc.name, func(t *testing.T) {
			writes := play(t, sc, 0, rotationtest.NoFault)
			if len(writes) == 0 {
				t.Fatal("the scenario makes no writes")
			}
			n := 1
			for i := range writes {
				for j, f := range rotationtest.Faults {
					if !rotationtest.Sample(i*len(rotationtest.Faults) + j) {
						continue
					}
					t.Run(fmt.Sprintf("%d %s %s", i+1, writes[i], f), func(t *testing.T) { play(t, sc, i+1, f) })
					n++
				}
			}
			total += n
			t.Logf("%d external writes, %d cases", len(writes), n)
		})
	}
	t.Logf("%d cases in all", total)
}

// play plays a scenario with a fault at its n-th write and returns its writes.
func play(t *testing.T, sc scenario, n int, f rotationtest.Fault) (writes []string) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		sc.setup(t, s)
		s.w.Break(n, f)
		sc.act(t, s)
		if n == 0 { // what the timer writes belongs to the scenario
			s.sweep(t, sc.quiet)
			writes = s.w.Writes()
		}
		s.w.Restart()
		s.sweep(t, sc.quiet+time.Hour)
		sc.end(t, s, n == 0)
		s.check(t)
	})
	return writes
}

// madeOrGone is the end of creating something that issues: all of it, or nothing.
func madeOrGone(again func(t *testing.T, s *subject) error) func(*testing.T, *subject, bool) {
	return func(t *testing.T, s *subject, clean bool) {
		if !exists(s.w, s.id) {
			if clean {
				t.Error("nothing was created")
			}
			s.w.CheckGone(s.id, s.secret)
			s.live(t, 2)
			if err := again(t, s); err != nil {
				t.Errorf("creating again: %v", err)
			}
			s.sweep(t, time.Hour)
		}
		s.w.CheckEnd(s.id)
		s.live(t, 3)
	}
}

var scenarios = []scenario{
	{
		name:  "creation",
		setup: func(*testing.T, *subject) {},
		act:   func(t *testing.T, s *subject) { s.create(t.Context()) },
		quiet: time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			if s.id == "" || !exists(s.w, s.id) {
				if clean {
					t.Error("nothing was created")
				}
				if s.id != "" {
					s.w.CheckGone(s.id, s.secret)
				}
				if live := s.w.Live(s.app.ClientID); live != 2 {
					t.Errorf("creation was undone; live client secrets: %d, want the 2 from before", live)
				}
				// What the dead process has reserved is free again.
				if _, err := s.create(t.Context()); err != nil {
					t.Errorf("creating again: %v", err)
				}
				s.sweep(t, time.Hour)
			}
			s.w.CheckEnd(s.id)
			if live := s.w.Live(s.app.ClientID); live != 2 {
				t.Errorf("live client secrets: %d, want 2: ours and the foreign one", live)
			}
		},
	},
	{
		name:  "creation without rotation",
		setup: func(*testing.T, *subject) {},
		act: func(t *testing.T, s *subject) {
			in := s.input()
			in.Rotate = false
			rec, _ := service(s.w).Create(t.Context(), in)
			s.id = rec.ID
		},
		quiet: 30 * time.Minute,
		end: func(t *testing.T, s *subject, clean bool) {
			if exists(s.w, s.id) {
				s.w.CheckEnd(s.id)
			} else if clean {
				t.Error("nothing was created")
			}
			if live := s.w.Live(s.app.ClientID); live != 2 {
				t.Errorf("live client secrets: %d, want the 2 from before", live)
			}
		},
	},
	{
		name:  "scheduled rotation",
		setup: settled,
		act: func(t *testing.T, s *subject) {
			rec, _ := s.w.Record(s.id)
			time.Sleep(time.Until(rec.NextSlot))
			s.sweep(t, 20*time.Minute)
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec, _ := s.w.Record(s.id)
			if live := s.w.Live(s.app.ClientID); live != 2 || len(rec.Replaced()) != 0 {
				t.Errorf("live client secrets: %d, retiring: %d; want 2 and 0", live, len(rec.Replaced()))
			}
			if rec.LastRun.Trigger != rotation.OnSchedule || rec.LastRun.Outcome != "success" {
				t.Errorf("last run: %+v", rec.LastRun)
			}
			if want := rec.LastRotatedAt.AddDate(0, 0, 29); !rec.NextSlot.After(want) {
				t.Errorf("next slot %s is too early", rec.NextSlot)
			}
		},
	},
	{
		name:  "manual rotation",
		setup: settled,
		act: func(t *testing.T, s *subject) {
			_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester"})
			if ce, ok := errors.AsType[*connection.Error](err); err != nil && (!ok || ce.Kind == connection.Invalid) {
				t.Errorf("rotating: %v", err)
			}
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec, _ := s.w.Record(s.id)
			if clean && rec.LastRun.Trigger != rotation.OnRequest {
				t.Errorf("last run: %+v", rec.LastRun)
			}
			if live := s.w.Live(s.app.ClientID); live != 2 {
				t.Errorf("live client secrets: %d, want 2", live)
			}
		},
	},
	{
		name: "manual rotation of a secret given without its key id",
		setup: func(t *testing.T, s *subject) {
			in := s.input()
			in.Rotate, in.ClientSecretKeyID = false, ""
			rec, err := service(s.w).Create(t.Context(), in)
			if err != nil {
				t.Fatalf("creating: %v", err)
			}
			s.id = rec.ID
		},
		act: func(t *testing.T, s *subject) {
			none := time.Duration(0)
			service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Grace: &none, By: "tester"})
		},
		quiet: time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec, _ := s.w.Record(s.id)
			if clean && (rec.LastRun == nil || rec.LastRun.Outcome != "success") {
				t.Errorf("last run: %+v", rec.LastRun)
			}
			if live := s.w.Live(s.app.ClientID); live != 2 || len(rec.ByHand) != 0 {
				t.Errorf("live client secrets: %d, want 2; by hand: %v", live, rec.ByHand)
			}
		},
	},
	{
		name:  "emergency",
		setup: settled,
		act: func(t *testing.T, s *subject) {
			service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"})
		},
		quiet: time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			if live := s.w.Live(s.app.ClientID); live != 2 {
				t.Errorf("live client secrets an hour after an emergency: %d, want 2", live)
			}
		},
	},
	{
		name:  "delete with revoke during a run",
		setup: settled,
		act: func(t *testing.T, s *subject) {
			service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester"})
			s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d", Revoke: true})
			s.sweep(t, time.Minute)
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			if exists(s.w, s.id) {
				t.Error("the connection is still there")
			}
			if live := s.w.Live(s.app.ClientID); live != 1 {
				t.Errorf("live client secrets: %d, want the foreign one only", live)
			}
			if _, ok := s.w.Published("rekey-" + s.id); ok {
				t.Error("the vault secret is still there")
			}
		},
	},
}
