package rebuild_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rebuild"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// The table is lost while fifty connections and more are in every phase: each process
// has died after another one of its writes. All of it is rebuilt, no other client
// secret is touched, nothing that was issued is forgotten, and rotations go on.
func TestTableIsLost(t *testing.T) {
	inBubble(t, func(w *world) {
		w.AtEnd = true
		alive, maybe := everyPhase(w)
		w.AtEnd = false
		phases := map[rotation.Phase]int{}
		for _, id := range w.Records() {
			rec, _ := w.Record(id)
			phases[rec.Phase]++
		}
		t.Logf("%d connections: %v", len(w.Records()), phases)
		for _, p := range []rotation.Phase{rotation.Creating, rotation.Idle, rotation.Issuing, rotation.Verifying,
			rotation.Publishing, rotation.Rebinding, rotation.Deleting} {
			if phases[p] == 0 {
				t.Errorf("no connection is %s", p)
			}
		}
		if len(w.Records()) < 50 {
			t.Errorf("%d connections, want 50", len(w.Records()))
		}

		w.LoseTable(nil)
		w.Restart()
		plan := w.rebuild("")
		t.Logf("rebuilt %d, deleted %d, held %d", plan.Count(rebuild.Rebuilt), plan.Count(rebuild.Deleted), plan.Count(rebuild.Held))
		// Those that died between addPassword and staging have a client secret that only the
		// table knew of: it is named, and left to a person.
		unstaged := 0
		for _, c := range plan.Connections {
			if c.Outcome == rebuild.Held || c.Outcome == rebuild.Unclear || len(c.ByPerson) > len(c.Record.ByHand) {
				t.Errorf("%s %s is %s: %q %q", c.ID, c.Name, c.Outcome, c.Notes, c.ByPerson)
			}
			if len(c.Record.ByHand) > 0 {
				unstaged++
			}
			for _, h := range c.Record.ByHand {
				w.RemoveByHand(h.KeyID)
			}
		}
		if unstaged > 4 {
			t.Errorf("%d connections leave something to a person", unstaged)
		}
		for _, s := range alive {
			if c := want(t, plan, s.id, rebuild.Rebuilt); c.Record.Current != nil {
				s.works()
			}
		}

		w.sweep(3 * day)
		w.AtEnd = true // what concerns the rebuilding is done; the rest is rotation as ever
		w.sweep(57 * day)
		for _, s := range append(alive, maybe...) {
			rec, ok := w.Record(s.id)
			if !ok {
				continue
			}
			w.CheckEnd(s.id)
			if !w.IsLive(s.foreign) {
				t.Errorf("the foreign client secret of %s was removed", s.id)
			}
			if rec.Target.ClientID == "" || !rec.Policy.Enabled {
				continue
			}
			s.works()
			if rec.LastRun == nil || rec.LastRun.Outcome != "success" || time.Since(rec.LastRotatedAt) > 31*day {
				t.Errorf("%s (%s) was rotated last at %s: %+v, error %+v", s.id, rec.Name, rec.LastRotatedAt, rec.LastRun, rec.Error)
			}
		}
	})
}

// everyPhase makes connections of every kind in every phase. Those of maybe were being
// created or deleted, so that nothing can rely on them.
func everyPhase(w *world) (alive, maybe []*subject) {
	t := w.t
	// Connections that authenticate for others, and those that do nothing else.
	first := w.subject()
	in := first.certificate()
	first.make(in)
	only := w.subject()
	only.make(only.certificate())
	alive = append(alive, first, only)

	var own, targets, people, rebinds []*subject
	for range 16 {
		own = append(own, w.subject())
		own[len(own)-1].make(own[len(own)-1].input())
	}
	for range 13 {
		targets = append(targets, w.subject().target(first.id, in.ClientID))
	}
	for range 4 {
		s := w.subject()
		people = append(people, s.make(s.person()))
	}
	for range 9 {
		s := w.subject()
		rebinds = append(rebinds, s.make(s.input()))
	}
	for i := range 3 { // rotation off, with and without a key id
		s := w.subject()
		in := s.input()
		in.Rotate = false
		if i > 0 {
			in.ClientSecretKeyID = ""
		}
		alive = append(alive, s.make(in))
	}
	for range 7 {
		s := w.subject()
		maybe = append(maybe, s.make(s.input()))
	}
	w.sweep(hour)
	for _, s := range own[13:] { // in grace
		if _, err := w.service().Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
			t.Fatal(err)
		}
	}
	w.sweep(hour)

	// No timer from here on, so that everything stays as the dying left it.
	for i, s := range own[:12] {
		w.dies(i+1, s.emergency)
	}
	w.BreakAt("graph.addPassword", rotationtest.Applied) // its answer is lost
	own[12].emergency()
	for i, s := range targets {
		w.dies(i+1, s.emergency)
	}
	for i, s := range people {
		w.dies(3*i+2, s.emergency)
	}
	for i, s := range rebinds {
		w.dies(i+1, s.rebind)
	}
	for i, s := range maybe {
		w.dies(i+1, s.delete)
	}
	for n := 6; n < 16; n += 2 { // creation: the row comes after five reservations
		s := w.subject()
		before := len(w.Records())
		w.dies(n, func() { w.service().Create(t.Context(), s.input()) })
		if ids := w.Records(); len(ids) > before {
			for _, id := range ids {
				if rec, _ := w.Record(id); rec.Target.Same(s.app) {
					s.id = id
				}
			}
			maybe = append(maybe, s)
		}
	}
	for _, list := range [][]*subject{own, targets, people, rebinds} {
		alive = append(alive, list...)
	}
	return alive, maybe
}

// Wherever a process dies in a rotation, and wherever the table is lost while one is
// alive, no client secret is forgotten and none is removed that is needed.
func TestEveryWrite(t *testing.T) {
	acts := map[string]func(*subject){"emergency": (*subject).emergency, "rebind": (*subject).rebind}
	for name, act := range acts {
		for _, through := range []bool{false, true} {
			if through && name == "rebind" {
				continue // a target has nothing to give
			}
			setup := func(w *world) *subject {
				s := w.subject()
				if through {
					in := s.certificate()
					s.make(in)
					s.target(s.id, in.ClientID)
				} else {
					s.make(s.input())
				}
				w.sweep(hour)
				return s
			}
			n := 0
			inBubble(t, func(w *world) { s := setup(w); n = w.writes(func() { act(s) }) })
			for i := 1; i <= n; i++ {
				t.Run(fmt.Sprintf("%s, through another %t, dead after write %d", name, through, i), func(t *testing.T) {
					inBubble(t, func(w *world) {
						s := setup(w)
						w.dies(i, func() { act(s) })
						w.LoseTable(nil)
						c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
						// What was issued and neither staged nor in a record is named, and left to a person.
						for _, h := range c.Record.ByHand {
							w.RemoveByHand(h.KeyID)
						}
						w.settled(s)
						s.works()
						w.sweep(3 * day)
						if live := w.Live(s.app.ClientID); live > 4 {
							t.Errorf("%d client secrets are alive", live)
						}
						w.sweep(32 * day)
						w.CheckEnd(s.id)
						s.works()
					})
				})
			}
		}
	}
}

// A handler goes on while the table is lost and rebuilt: a pass that was under way has
// its record in memory and may issue one more, and the timer never stops.
func TestHandlerRuns(t *testing.T) {
	for _, through := range []bool{false, true} {
		for ms := 50; ms < 60_000; ms += 650 + ms/10 {
			t.Run(fmt.Sprintf("through another %t, after %d ms", through, ms), func(t *testing.T) {
				inBubble(t, func(w *world) {
					s := w.subject()
					if through {
						in := s.certificate()
						s.make(in)
						s.target(s.id, in.ClientID)
					} else {
						s.make(s.input())
					}
					w.sweep(hour)
					done, timer := make(chan bool), make(chan bool)
					go func() {
						defer close(done)
						via := w.service()
						via.Rotator.Directory = slow{via.Rotator.Directory, 20 * time.Second}
						s.rotate(via)
					}()
					time.Sleep(time.Duration(ms) * time.Millisecond)
					w.LoseTable(nil)
					go func() { defer close(timer); w.sweep(30 * time.Minute) }()
					want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
					<-done
					<-timer
					w.settled(s)
					s.works()
					w.sweep(32 * day)
					w.CheckEnd(s.id)
				})
			})
		}
	}
}
