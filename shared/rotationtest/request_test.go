package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// reach brings the connection into a phase and keeps it there.
func (s *subject) reach(phase rotation.Phase) {
	s.t.Helper()
	switch phase {
	case rotation.Idle:
	case rotation.Issuing:
		s.h.add = func(func() (rotation.Issued, error)) (rotation.Issued, error) {
			return rotation.Issued{}, &serviceerror.Error{Op: "adding a password", Class: serviceerror.Throttled, Status: 429,
				RetryAfter: 15 * time.Minute}
		}
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(time.Second)
		s.h.add = nil
	case rotation.Verifying:
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(time.Second)
	case rotation.Publishing: // what is published is ahead of the record
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.Throttled, Status: 429, RetryAfter: 20 * time.Minute,
					UnknownOutcome: true}
			}
			return nil
		}
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(10 * time.Minute)
		s.h.put = nil
		if s.published() == s.keyID {
			s.t.Fatal("nothing new is published")
		}
	case rotation.Rebinding:
		_, _, given := s.rebind()
		s.h.token = func(v secret.Value) error {
			if v == given {
				return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
			}
			return nil
		}
		s.sweep(time.Minute)
	}
	s.phase(phase)
}

// settling is how long it takes in a phase until what is asked for is done: while publishing
// the vault has not answered, so that the write may still land (rule R8).
func (s *subject) settling(phase rotation.Phase) time.Duration {
	if phase == rotation.Publishing {
		return 12 * time.Minute
	}
	return time.Second
}

var phases = []rotation.Phase{rotation.Idle, rotation.Issuing, rotation.Verifying, rotation.Publishing, rotation.Rebinding}

func inEveryPhase(t *testing.T, test func(t *testing.T, s *subject, phase rotation.Phase)) {
	for _, phase := range phases {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.bound(3000)
				s.reach(phase)
				test(t, s, phase)
			})
		})
	}
}

// R12: abandoning ends a run at once, and what it issued is removed. Nothing begins
// again by itself before its slot.
func TestAbandonInEveryPhase(t *testing.T) {
	inEveryPhase(t, func(t *testing.T, s *subject, phase rotation.Phase) {
		issued := s.w.Directory.Issued
		var run rotation.Run
		if r := s.record().Run; r != nil {
			run = *r
		}
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(s.settling(phase))
		rec := s.record()
		switch phase {
		case rotation.Idle:
			if rec.LastRun != nil || rec.Request != nil {
				t.Errorf("there was nothing to abandon: %+v, %+v", rec.LastRun, rec.Request)
			}
			return
		case rotation.Rebinding:
			s.phase(rotation.Rebinding) // which is no run; it ends by itself
			return
		}
		if rec.Phase != rotation.Idle || rec.LastRun == nil || rec.LastRun.Outcome != "abandoned" ||
			rec.LastRun.KeyID != run.KeyID || rec.Error != nil {
			t.Fatalf("phase %s, last run %+v, error %+v", rec.Phase, rec.LastRun, rec.Error)
		}
		if got := s.published(); got != s.keyID {
			t.Errorf("published: %s, want what was there before", got)
		}
		s.sweep(30 * time.Minute)
		if s.w.Directory.Issued != issued {
			t.Error("another run began by itself")
		}
		s.w.CheckEnd(s.id)
		s.live(2)
	})
}

// A scheduled run that was abandoned is not due again before the next slot.
func TestAbandonedSlot(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour)
		s.sweep(time.Minute)
		s.phase(rotation.Verifying)
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(2 * day)
		s.w.CheckEnd(s.id)
		if rec := s.record(); s.w.Directory.Issued != 1 || rec.NextSlot.Before(time.Now().Add(20*day)) {
			t.Errorf("issued %d, next slot %s", s.w.Directory.Issued, rec.NextSlot)
		}
	})
}

// The original that is still to be taken over does not begin again at once, either.
func TestAbandonedTakeOver(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.bound(300)
		s.edit(func(rec *rotation.Record) { rec.Current.Origin = rotation.OriginNamed })
		s.h.token = func(v secret.Value) error {
			if v != s.secret {
				return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401}
			}
			return nil
		}
		s.sweep(time.Minute)
		s.phase(rotation.Verifying)
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(30 * time.Minute)
		if rec := s.record(); rec.Phase != rotation.Idle || rec.Error == nil || s.w.Directory.Issued != 1 {
			t.Errorf("phase %s, error %+v, issued %d", rec.Phase, rec.Error, s.w.Directory.Issued)
		}
		s.h.token = nil
		s.sweep(2 * hour)
		s.rotated(rotation.OnCreation)
		s.live(2)
	})
}

// R12: an emergency acts in every phase, and everything old goes at once.
func TestEmergencyInEveryPhase(t *testing.T) {
	inEveryPhase(t, func(t *testing.T, s *subject, phase rotation.Phase) {
		rest, restKey := s.w.AddForeign(s.app.ClientID)
		s.w.Name(restKey)
		version, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: "elsewhere", Value: rest, Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		s.edit(func(rec *rotation.Record) {
			rec.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, Target: s.app,
				KeyID: restKey, VaultVersion: version, After: time.Now().Add(30 * day)}}
		})
		asked := time.Now()
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.sweep(time.Minute)
		if rec := s.record(); len(rec.Replaced()) > 0 && rec.Replaced()[0].After.After(time.Now()) {
			t.Errorf("a grace period still runs: %+v", rec.Replaced()[0])
		}
		if phase == rotation.Rebinding {
			s.sweep(time.Hour) // the caller's credential does not prove itself; then the emergency has its turn
		}
		s.sweep(20 * time.Minute)
		s.rotated(rotation.OnEmergency)
		s.live(2)
		if phase == rotation.Idle && s.record().LastRotatedAt.Sub(asked) > time.Minute {
			t.Errorf("published %s after it was asked for", s.record().LastRotatedAt.Sub(asked))
		}
	})
}

// A deletion that the API writes while the pass drops a request that has nothing to act on
// is not dropped with it: what the pass planned was for another record.
func TestARequestThatReplacesADroppedOneIsServed(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		abandon, remove := false, false
		s.h.commit = func(next rotation.Record) {
			switch {
			case !abandon && next.Phase == rotation.Publishing:
				abandon = true
				s.edit(func(rec *rotation.Record) { rec.Ask(rotation.Request{Kind: rotation.AskAbandon, ID: "abandon"}) })
			case abandon && !remove && next.Request == nil:
				remove = true
				s.edit(func(rec *rotation.Record) { rec.Ask(rotation.Request{Kind: rotation.AskDelete, ID: "delete"}) })
			}
		}
		s.sweep(3 * hour)
		if !remove {
			t.Fatal("no request was dropped")
		}
		s.h.commit = nil
		s.sweep(3 * day)
		if s.exists() {
			t.Errorf("the connection was not deleted: %+v", s.record().Request)
		}
	})
}

func (s *subject) deny(denied bool) {
	s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = denied })
}

// What was asked for and refused is tried again by itself, slowly, as what it was.
func TestRefusedRequestIsTriedAgain(t *testing.T) {
	for _, kind := range []rotation.RequestKind{rotation.AskRotate, rotation.AskEmergency} {
		t.Run(string(kind), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) { rec.NextSlot = time.Now().Add(20 * day) })
				s.deny(true)
				s.ask(rotation.Request{Kind: kind})
				s.sweep(30 * time.Minute)
				s.phase(rotation.Idle)
				first := s.record()
				if first.Error == nil || first.Error.Class != serviceerror.Permission || first.Settled(time.Now()) {
					t.Fatalf("error %+v, settled %v", first.Error, first.Settled(time.Now()))
				}
				s.sweep(6 * hour)
				if rec := s.record(); rec.Error.Count < 2 || rec.Error.Count > 4 {
					t.Errorf("tried %d times in 6 hours", rec.Error.Count)
				}
				s.deny(false)
				s.sweep(10 * hour)
				rec := s.record()
				want := rotation.OnRequest
				if kind == rotation.AskEmergency {
					want = rotation.OnEmergency
				}
				s.rotated(want)
				if waits := len(rec.Replaced()) == 1; waits != (kind == rotation.AskRotate) {
					t.Errorf("retiring %+v after %s", rec.Replaced(), kind)
				}
			})
		})
	}
}

// Asked again, it is tried at once; abandoned, it is not tried any more.
func TestRefusedRequestIsReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.NextSlot = time.Now().Add(20 * day) })
		s.deny(true)
		s.ask(rotation.Request{Kind: rotation.AskRotate, ID: "one"})
		s.sweep(10 * time.Minute)
		s.ask(rotation.Request{Kind: rotation.AskRotate, ID: "two"})
		s.sweep(10 * time.Minute)
		if rec := s.record(); rec.LastRun == nil || rec.LastRun.ID != "two" {
			t.Errorf("last run %+v, want the second request's", rec.LastRun)
		}
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(10 * time.Minute)
		s.deny(false)
		s.sweep(2 * day)
		if rec := s.record(); rec.Request != nil || rec.LastRun.Outcome != "failed" {
			t.Errorf("request %+v, last run %+v", rec.Request, rec.LastRun)
		}
		s.live(2)
	})
}

// R4: a run that ends while it is unknown whether a dead pass has staged a value leaves
// no staged version enabled.
func TestAbandonAfterACrash(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.put = func(v rotation.VaultSecret) error {
			if isStaged(v) {
				s.h.put = nil
				s.w.Restart()
			}
			return nil
		}
		time.Sleep(hour)
		s.sweep(time.Second)
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(hour)
		s.w.CheckEnd(s.id)
		s.live(2)
		if rec := s.record(); rec.LastRun == nil || rec.LastRun.Outcome != "abandoned" {
			t.Errorf("last run: %+v", rec.LastRun)
		}
	})
}

// An emergency that a rebind outranks is served after it (rule R12).
func TestAnEmergencyThatWasOutrankedIsServedAfterwards(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		value, keyID := s.w.AddForeign(s.app.ClientID)
		s.w.Name(keyID)
		next := rotation.Credential{Target: s.app, KeyID: keyID, Origin: rotation.OriginNamed}
		rec := s.record()
		version, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.StagedName(), Value: value, Enabled: true,
			Tags: rotation.Tags(rotationtest.Deployment, &rec, next)})
		if err != nil {
			t.Fatal(err)
		}
		next.VaultVersion = version
		s.edit(func(rec *rotation.Record) {
			rec.Ask(rotation.Request{Kind: rotation.AskEmergency, ID: "emergency", At: time.Now()})
			rec.Ask(rotation.Request{Kind: rotation.AskRebind, ID: "rebind", At: time.Now(), Target: s.app, Next: &next})
		})
		s.sweep(30 * time.Minute)
		if len(s.events(history.Rebound)) != 1 {
			t.Errorf("the new credentials were not taken: %v", s.record().Error)
		}
		s.rotated(rotation.OnEmergency)
	})
}
