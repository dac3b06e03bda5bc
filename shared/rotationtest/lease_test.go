package rotationtest_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
)

// P5, P6: two timers at once work on many connections, each on each of them once.
func TestTwoSweepsRotateEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		w.Directory.Propagation = 7 * time.Second
		var all []*subject
		for n := range 12 {
			all = append(all, newSubject(t, w, n+1))
		}
		time.Sleep(hour)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				s := &subject{t: t, w: w}
				s.sweep(30 * time.Minute)
			})
		}
		wg.Wait()
		if w.Directory.Issued != len(all) {
			t.Errorf("%d client secrets were issued for %d connections", w.Directory.Issued, len(all))
		}
		for _, s := range all {
			s.rotated(rotation.OnSchedule)
			if n := len(s.events(history.Started)); n != 1 {
				t.Errorf("%s: %d runs", s.id, n)
			}
		}
		all[0].check()
	})
}

// P5: wherever a pass loses its lease, it stops, undoes nothing, and the next pass
// finishes the run.
func TestLostLeaseStopsThePass(t *testing.T) {
	for n, lost := 1, true; lost && n < 40; n++ {
		t.Run(fmt.Sprintf("at commit %d", n), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				commits := 0
				s.h.commit = func(rotation.Record) {
					if commits++; commits != n {
						return
					}
					s.edit(func(rec *rotation.Record) {
						rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
						rec.CommitID = "thief"
					})
					s.w.Break(0, rotationtest.NoFault)
				}
				_, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{})
				if lost = commits >= n; lost {
					if !errors.Is(err, rotator.ErrLeaseLost) && !errors.Is(err, rotator.ErrLeased) {
						t.Errorf("the pass ended with %v", err)
					}
					if w := s.w.Writes(); !slices.Equal(w, []string{"store.commit"}) {
						t.Errorf("after it lost the lease the pass wrote %v; want the one commit that was refused", w)
					}
					if rec := s.record(); rec.CommitID != "thief" {
						t.Error("the pass wrote over another one's record")
					}
				}
				s.h = hooks{}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// P5: a pass that lost its lease while it waited does not even begin the next step.
func TestLostLeaseIsSeenAfterAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				time.AfterFunc(20*time.Second, func() { // it waits for current's first minute to pass
					s.edit(func(rec *rotation.Record) {
						rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
					})
					s.w.Break(0, rotationtest.NoFault)
				})
			}
			return nil
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); !errors.Is(err, rotator.ErrLeaseLost) {
			t.Errorf("the pass ended with %v", err)
		}
		if w := s.w.Writes(); len(w) != 0 {
			t.Errorf("after it lost the lease the pass wrote %v", w)
		}
		s.h = hooks{}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}

// P5: the very last write of a deletion is under the lease, too.
func TestLostLeaseStopsTheDeletion(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.h.removal = func() {
			s.h.removal = nil
			s.edit(func(rec *rotation.Record) {
				rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
				rec.CommitID = "thief"
			})
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); !errors.Is(err, rotator.ErrLeaseLost) {
			t.Errorf("the pass ended with %v", err)
		}
		if s.record().CommitID != "thief" {
			t.Error("the pass wrote over another one's record")
		}
		s.sweep(10 * time.Minute)
		if s.exists() {
			t.Error("no pass finished the deletion")
		}
	})
}

// R2: whichever clock is wrong by half a minute, calls of two passes never overlap.
func TestClocksMayDiffer(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 29 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Latency = 12 * time.Second // the first pass is out of time before it is done
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				var last, first time.Time
				ends := s.rotator()
				other := &subject{t: t, w: s.w, id: s.id}
				s.h.commit = func(rec rotation.Record) {
					if rec.Lease.Token == "" {
						s.w.Restart() // it dies before it gives the lease back
					}
					last = time.Now()
				}
				other.h.commit = func(rec rotation.Record) {
					if first.IsZero() {
						first = time.Now()
					}
				}
				var wg sync.WaitGroup
				wg.Go(func() { ends.Pass(t.Context(), s.id, rotator.PassOptions{}) })
				wg.Go(func() {
					for time.Sleep(time.Minute); first.IsZero(); time.Sleep(time.Second) {
						r := other.rotator()
						r.Now = func() time.Time { return time.Now().Add(skew) }
						r.Pass(t.Context(), s.id, rotator.PassOptions{})
					}
				})
				wg.Wait()
				if !first.After(last) {
					t.Errorf("the second pass began at %s, the first one's last call was made at %s", first, last)
				}
				s.w.Latency = 40 * time.Millisecond
				s.h.commit = nil
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
			})
		})
	}
}

// P5: that another pass works on a connection is no failure of it. Nothing is written
// and nothing is told; once the lease is over the slot is served like any other.
func TestLeaseOfAnotherIsNoFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour) // the slot has come
		s.edit(func(rec *rotation.Record) {
			rec.Lease = rotation.Lease{Token: "another", Until: time.Now().Add(5 * time.Minute)}
		})
		time.Sleep(time.Second) // wake-ups are in whole seconds
		before := s.record()
		s.w.Break(0, rotationtest.NoFault)
		swept, err := s.rotator().Sweep(t.Context())
		if err != nil || swept.Leased == 0 || swept.Failed+swept.Passes != 0 {
			t.Errorf("swept %+v, %v", swept, err)
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); !errors.Is(err, rotator.ErrLeased) {
			t.Errorf("the pass ended with %v", err)
		}
		if w := s.w.Writes(); len(w) != 0 {
			t.Errorf("written: %v", w)
		}
		if rec := s.record(); !reflect.DeepEqual(rec, before) {
			t.Errorf("the record is %+v, was %+v", rec, before)
		}
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
		if failed := s.events(history.Failed); len(failed) != 0 {
			t.Errorf("failures: %v", failed)
		}
	})
}
