package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// pacer lets writes wait, or turns them away, and keeps what it was asked and told.
type pacer struct {
	wait    time.Duration
	turned  bool // there is no room in time
	most    []time.Duration
	refused []time.Duration
	actors  []rotation.Application
}

func (p *pacer) Room(time.Time, rotation.Application, time.Duration) (time.Duration, bool) {
	return p.wait, !p.turned
}

func (p *pacer) Reserve(_ time.Time, actor rotation.Application, most time.Duration) (time.Duration, bool) {
	p.most, p.actors = append(p.most, most), append(p.actors, actor)
	return p.wait, !p.turned
}

func (p *pacer) Refused(_ time.Time, actor rotation.Application, retryAfter time.Duration) {
	p.refused, p.actors = append(p.refused, retryAfter), append(p.actors, actor)
}

// pass lets one pass work on the subject.
func (s *subject) pass(p *pacer, until time.Time) {
	s.t.Helper()
	r := s.rotator()
	r.Pacer = p
	if _, err := r.Pass(s.t.Context(), s.id, rotator.PassOptions{Until: until}); err != nil {
		s.t.Fatal(err)
	}
}

// A write waits for its turn, even when a caller nudges, and never for longer than its
// pass and its lease allow.
func TestWriteWaitsForItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour)
		start, added := time.Now(), time.Time{}
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			added = time.Now()
			return add()
		}
		p := &pacer{wait: 40 * time.Second}
		r := s.rotator()
		r.Pacer = p
		go func() {
			time.Sleep(10 * time.Second)
			r.Nudge(s.id)
		}()
		if _, err := r.Pass(t.Context(), s.id, rotator.PassOptions{}); err != nil {
			t.Fatal(err)
		}
		if waited := added.Sub(start); waited < p.wait || waited > p.wait+10*time.Second {
			t.Errorf("issued after %s, want %s", waited, p.wait)
		}
		rules := rotation.DefaultRules()
		if limit := rules.Lease - rules.Skew - rules.IssueTimeout - 2*rules.CallTimeout; len(p.most) != 1 ||
			p.most[0] > limit || p.actors[0] != s.app {
			t.Errorf("booked %v for %v; it may wait for %s at most", p.most, p.actors, limit)
		}
	})
}

// A pass that ends soon does not wait beyond its end.
func TestWriteDoesNotOutwaitItsPass(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour)
		p := &pacer{}
		s.pass(p, time.Now().Add(25*time.Second))
		if len(p.most) != 1 || p.most[0] > 25*time.Second {
			t.Errorf("booked %v, want one that waits for 25 s at most", p.most)
		}
	})
}

// Where there is no room in time nothing is prepared, issued or removed; it is tried
// again when there is.
func TestNoRoomInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour)
		writes := 0
		s.h.putting = func(rotation.VaultSecret) error { writes++; return nil }
		s.h.removing = func(string) error { writes++; return nil }
		p := &pacer{wait: 7 * time.Minute, turned: true}
		s.pass(p, time.Time{})
		rec := s.record()
		if writes != 0 || len(p.most) != 0 || rec.Error == nil || rec.Error.Class != serviceerror.Throttled {
			t.Fatalf("%d writes, %d bookings, error %+v", writes, len(p.most), rec.Error)
		}
		if left := time.Until(rec.Error.RetryAt); left < 6*time.Minute || left > 8*time.Minute {
			t.Errorf("tried again in %s, want about %s", left, p.wait)
		}
		s.edit(func(rec *rotation.Record) { rec.Policy.Grace = 0 })
		s.sweep(20 * time.Minute)
		s.edit(func(rec *rotation.Record) { // as if its removal were due
			for i, m := range rec.Removals {
				rec.Removals[i] = rotation.Removal{
					Kind: m.Kind, Target: m.Target, KeyID: m.KeyID, VaultVersion: m.VaultVersion, Published: m.Published, After: time.Now(),
				}
			}
		})
		time.Sleep(time.Second)
		writes = 0
		s.pass(p, time.Time{})
		if rec := s.record(); writes != 0 || len(rec.Replaced()) != 1 || rec.Replaced()[0].Problem != serviceerror.Throttled {
			t.Errorf("%d writes, retiring %+v", writes, rec.Replaced())
		}
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
	})
}

// When the directory asks for a pause, the pacer learns for how long and whose.
func TestRefusedWritesAreNoted(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		busy := &serviceerror.Error{Op: "writing", Class: serviceerror.Throttled, Status: 429, RetryAfter: 5 * time.Minute}
		s.edit(func(rec *rotation.Record) { rec.Policy.Grace = 0 })
		time.Sleep(hour)
		s.h.add = func(func() (rotation.Issued, error)) (rotation.Issued, error) { return rotation.Issued{}, busy }
		p := &pacer{}
		s.pass(p, time.Time{})
		if len(p.refused) != 1 || p.refused[0] != busy.RetryAfter || p.actors[len(p.actors)-1] != s.app {
			t.Errorf("of issuing: %v for %v", p.refused, p.actors)
		}
		s.h.add, s.h.removing = nil, func(string) error { return busy }
		for range 20 {
			time.Sleep(time.Minute)
			s.pass(p, time.Time{})
		}
		if len(p.refused) < 2 {
			t.Errorf("of removing: nothing was noted")
		}
		s.h.removing = nil
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
	})
}
