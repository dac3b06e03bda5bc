package rotationtest_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// crowd gives the subject n old client secrets, issued by it, whose grace periods end in
// ten days and more.
func (s *subject) crowd(n int) {
	s.t.Helper()
	s.edit(func(rec *rotation.Record) {
		for i := range n {
			keyID := s.w.AddMarked(s.app.ClientID, fmt.Sprintf("%sAAAAAAAA%02d", rotation.MarkerPrefix("test", s.id), i))
			s.w.Name(keyID)
			rec.Removals = append(rec.Removals, rotation.Removal{Kind: rotation.RemoveReplaced, Published: true,
				Target: s.app, KeyID: keyID, After: time.Now().Add(10*day + time.Duration(i)*hour)})
		}
	})
}

// Too many old client secrets: the caller who asks by hand is told so, and nothing is issued.
func TestNoRoomForARotationByHand(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.crowd(rotation.MaxReplaced)
		s.ask(rotation.Request{Kind: rotation.AskRotate, ID: "r"})
		s.sweep(10 * time.Minute)
		rec := s.record()
		if last := rec.LastRun; rec.Request != nil || last == nil || last.ID != "r" || last.Outcome != "failed" ||
			last.Message == "" || s.w.Directory.Issued != 0 {
			t.Errorf("request %+v, last run %+v, issued %d", rec.Request, last, s.w.Directory.Issued)
		}
		if failed := s.events(history.Failed); len(failed) != 1 || failed[0].RunID != "r" {
			t.Errorf("history: %+v", failed)
		}
		if len(rec.Replaced()) != rotation.MaxReplaced {
			t.Errorf("%d old ones, want all of them in their grace period", len(rec.Replaced()))
		}
	})
}

// A slot is served: the oldest goes before its time, and the history says so.
func TestASlotMakesRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.crowd(rotation.MaxReplaced)
		oldest := s.record().Removals[0].KeyID
		s.sweep(3 * hour)
		s.rotated(rotation.OnSchedule)
		rec := s.record()
		if len(rec.Replaced()) != rotation.MaxReplaced || s.w.IsLive(oldest) || rec.Replaced()[len(rec.Replaced())-1].KeyID != s.keyID {
			t.Errorf("%d old ones, the oldest lives: %t", len(rec.Replaced()), s.w.IsLive(oldest))
		}
		if ended := s.events(history.GraceEnded); len(ended) != 1 || ended[0].KeyID != oldest || ended[0].Message == "" {
			t.Errorf("history: %+v", ended)
		}
	})
}

// An emergency ends all of them.
func TestAnEmergencyMakesRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.crowd(rotation.MaxReplaced)
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.sweep(3 * hour)
		s.rotated(rotation.OnEmergency)
		s.live(2) // current, and the foreign one
	})
}

// A directory that issues and removes nothing must not wedge the connection: what can't
// be removed is left to a person in the end, one by one, and told once each.
func TestNothingCanBeRemoved(t *testing.T) {
	rotationtest.PlainOnly(t)
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.removing = func(string) error {
			return &serviceerror.Error{Op: "removing a password", Class: serviceerror.Permission, Status: 403, Code: "Authorization_RequestDenied"}
		}
		const were, n = 60, 45
		s.crowd(were)
		for i := range n {
			s.ask(rotation.Request{Kind: rotation.AskEmergency, ID: fmt.Sprint(i)})
			s.sweepEvery(5*time.Minute, 15*time.Minute)
		}
		rec := s.record()
		if last := rec.LastRun; last.Outcome != "success" || last.ID != fmt.Sprint(n-1) {
			t.Errorf("last run: %+v", last)
		}
		told := map[string]bool{}
		for _, e := range s.events(history.ByHand) {
			if !e.Notice || told[e.KeyID] {
				t.Errorf("told twice, or as no notice: %+v", e)
			}
			told[e.KeyID] = true
		}
		if left := len(told); left+len(rec.Replaced()) != were+n || len(rec.Replaced()) != 48 || len(rec.ByHand) != 32 {
			t.Errorf("%d old ones, %d by hand, %d told", len(rec.Replaced()), len(rec.ByHand), left)
		}
	})
}

// Many that only a person can remove: all are told of, in commits that a table takes.
func TestManyLeftToAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		const n = 24
		s.crowd(n)
		s.edit(func(rec *rotation.Record) {
			for i := range n {
				o := rotation.Removal{Kind: rotation.RemoveOrphan, Target: s.app, Marker: fmt.Sprintf("m%d", i), Since: time.Now()}
				o.RefusedSince = time.Now().Add(-day)
				rec.Removals = append(rec.Removals, o)
			}
		})
		s.w.OutsideBreak(true)
		s.h.token = func(secret.Value) error {
			return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialInvalid, Status: 401, Code: "AADSTS700016"}
		}
		s.edit(func(rec *rotation.Record) {
			for i := range rec.Replaced() {
				rec.Removals[i].RefusedSince = time.Now().Add(-day)
			}
		})
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(10 * time.Minute)
		if s.exists() {
			t.Fatalf("the connection is still there, with %d old ones", len(s.record().Removals))
		}
		told := map[string]bool{}
		for _, e := range s.events(history.ByHand) {
			told[e.KeyID+e.Message] = true
		}
		if len(told) != 2*n {
			t.Errorf("%d of %d are told of", len(told), 2*n)
		}
	})
}
