package rotationtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// rebind stages the credential of another application and asks for it, as the API
// does. It returns that application.
func (s *subject) rebind() (next rotation.Application, keyID string, secret secret.Value) {
	s.t.Helper()
	next, secret, keyID = s.w.AddApplication()
	s.w.Name(keyID)
	rec := s.record()
	c := rotation.Credential{Target: next, KeyID: keyID, Origin: rotation.OriginNamed, ExpiresAt: time.Now().Add(100 * day)}
	version, err := s.w.VaultPort().Put(s.t.Context(),
		rotation.VaultSecret{Name: rec.StagedName(), Value: secret, Enabled: true, Tags: rotation.Tags(rotationtest.Deployment, &rec, c)})
	if err != nil {
		s.t.Fatal(err)
	}
	c.VaultVersion = version
	s.ask(rotation.Request{Kind: rotation.AskRebind, Target: next, Next: &c})
	return next, keyID, secret
}

// reach brings the connection into a phase and keeps it there.
func (s *subject) reach(phase rotation.Phase) {
	s.t.Helper()
	switch phase {
	case rotation.Idle:
	case rotation.Issuing:
		s.h.add = func(func() (rotation.Issued, error)) (rotation.Issued, error) {
			return rotation.Issued{}, &serviceerror.Error{Op: "adding a password", Class: serviceerror.Throttled, Status: 429, RetryAfter: hour}
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
				return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.Throttled, Status: 429, RetryAfter: hour, UnknownOutcome: true}
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

// R12: a deletion ends every phase at once. Current stays, in Entra and in the vault;
// with revoke everything goes that Rekey issued.
func TestDeleteInEveryPhase(t *testing.T) {
	for _, revoke := range []bool{false, true} {
		t.Run(fmt.Sprintf("revoke %t", revoke), func(t *testing.T) {
			inEveryPhase(t, func(t *testing.T, s *subject, phase rotation.Phase) {
				name := s.record().VaultName
				s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: revoke})
				s.sweep(s.settling(phase))
				if s.exists() {
					s.phase(rotation.Deleting)
				}
				s.sweep(2 * hour)
				if s.exists() {
					t.Fatalf("the connection is still there: %+v", s.record())
				}
				v, published := s.w.Published(name)
				switch {
				case revoke && published:
					t.Error("the vault secret is still there")
				case !revoke && (!published || v.Tags[vaulttag.KeyID] != s.keyID):
					t.Error("current is not published any more")
				}
				want := 2
				if revoke {
					want = 1
				}
				s.live(want)
				if _, left := s.w.Published(name + "-staged"); left {
					t.Error("the staged secret is still there")
				}
			})
		})
	}
}

// R12: a run that fails to give way because the vault is down does so as soon as it
// is asked again, and does not hammer the vault meanwhile.
func TestDeleteDoesNotWaitForAPause(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.bound(60)
		s.h.putting = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403}
			}
			return nil
		}
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(2 * hour)
		s.phase(rotation.Publishing)
		if wait := time.Until(s.record().Error.RetryAt); wait < 30*time.Minute {
			t.Fatalf("the next try is in %s", wait)
		}
		s.h.putting = nil
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(30 * time.Minute)
		if s.exists() {
			t.Error("the deletion waits for the pause of a failure from before")
		}
	})
}

// And where giving way fails itself, that is not tried again without a pause.
func TestDeleteWhileTheVaultIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.reach(rotation.Publishing)
		s.bound(20)
		s.h.putting = func(rotation.VaultSecret) error {
			return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403}
		}
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(30 * time.Minute)
		s.phase(rotation.Publishing)
		s.h = hooks{}
		s.sweep(3 * hour)
		if s.exists() {
			t.Error("the connection is still there")
		}
	})
}

// A vault secret that a person deleted must not keep a connection from being deleted:
// what can't be removed for want of a credential is left to a person after a day.
func TestDeleteAfterTheVaultSecretIsGone(t *testing.T) {
	long(t)
	for _, phase := range []rotation.Phase{rotation.Idle, rotation.Verifying, rotation.Publishing} {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.bound(3000)
				s.reach(phase)
				s.w.OutsideBreak(true)
				if err := s.w.VaultPort().Delete(t.Context(), s.record().VaultName); err != nil {
					t.Fatal(err)
				}
				s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: true})
				s.sweep(3 * day)
				if s.exists() {
					t.Fatalf("the connection is still there: %+v", s.record())
				}
				if len(s.events(history.ByHand)) == 0 {
					t.Error("no person is told what is left to remove by hand")
				}
			})
		})
	}
}

// The same for a permission that was taken away.
func TestDeleteWithoutPermission(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
		s.sweep(4 * day)
		if rec := s.record(); len(rec.Replaced()) != 1 || rec.Replaced()[0].Problem != serviceerror.Permission {
			t.Fatalf("a permission may come back, and the record says that it lacks: %+v", rec.Replaced())
		}
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(4 * day)
		if s.exists() {
			t.Errorf("the connection is still there: %+v", s.record())
		}
		if by := s.events(history.ByHand); len(by) != 1 || by[0].KeyID != s.keyID {
			t.Errorf("left to a person: %v", by)
		}
	})
}

// A new application's credential is proven, published, and taken over; the old
// application's goes after its grace, by its own means, and is proven by refusals.
func TestRebind(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		next, given, _ := s.rebind()
		s.sweep(20 * time.Minute)
		rec := s.record()
		if !rec.Target.Same(next) || !rec.Actor.Same(next) || rec.Current.KeyID == given || rec.LastRun.Trigger != rotation.OnCreation {
			t.Fatalf("target %v, current %+v, last run %+v", rec.Target, rec.Current, rec.LastRun)
		}
		if len(s.events(history.Rebound)) != 1 {
			t.Error("the history does not say so")
		}
		s.w.CheckEnd(s.id)
		s.live(2) // the old application is in its grace period
		if n := s.w.Live(next.ClientID); n != 1 {
			t.Errorf("%d client secrets of the new application, want 1", n)
		}
		s.sweep(47 * hour)
		s.live(2)
		s.sweep(2 * hour)
		s.live(1)
		s.w.CheckEnd(s.id)
		if left := s.record().Removals; len(left) != 0 {
			t.Errorf("retiring: %+v", left)
		}
		gone, revoked := s.events(history.Gone), s.events(history.Revoked)
		if last := len(gone) - 1; gone[last].KeyID != s.keyID || gone[last].At.Sub(revoked[last].At) < 15*time.Minute {
			t.Errorf("gone %v, revoked %v: refusals over a quarter of an hour prove it", gone, revoked)
		}
	})
}

// A credential of the old application whose own value is of no use any more goes by
// means of the others.
func TestRebindWithAnOldValueThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		rec := s.record()
		s.rebind()
		s.sweep(20 * time.Minute)
		if err := s.w.VaultPort().Disable(t.Context(), rec.VaultName, rec.Replaced()[0].VaultVersion); err != nil {
			t.Fatal(err)
		}
		s.sweep(51 * hour)
		s.w.CheckEnd(s.id)
		s.live(1)
		if left := s.record(); len(left.Replaced()) != 0 || len(left.ByHand) != 0 {
			t.Errorf("retiring %+v, by hand %+v", left.Replaced(), left.ByHand)
		}
	})
}

// P2: a credential that was given, and not named, is reported and left alone.
func TestGivenCredentialIsLeftAlone(t *testing.T) {
	for _, keyID := range []string{"", "known"} {
		t.Run("key id "+keyID, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) {
					rec.Current.Origin = rotation.OriginGiven
					if keyID == "" {
						rec.Current.KeyID = ""
					}
				})
				s.h.removing = func(keyID string) error { t.Errorf("%s is removed", keyID); return nil }
				s.sweep(3 * day)
				s.rotated(rotation.OnSchedule)
				s.live(3)
				if rec := s.record(); len(rec.ByHand) != 1 || len(s.events(history.ByHand)) != 1 {
					t.Errorf("by hand %v, history %v", rec.ByHand, s.events(history.ByHand))
				}
			})
		})
	}
}

// A deletion ends the grace periods: what is retiring goes, current stays.
func TestDeleteDuringTheGracePeriod(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.live(3)
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(hour)
		if s.exists() {
			t.Error("the deletion waits for the grace period")
		}
		s.live(2)
	})
}

// A target that refuses every credential for a day is left to a person (rule R7).
func TestRebindFromAnApplicationThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.OutsideBreak(true)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Deleted = true })
		s.rebind()
		s.sweep(20 * time.Minute)
		s.w.OutsideBreak(false)
		s.sweep(48*hour + 23*hour)
		if len(s.record().Removals) != 1 {
			t.Fatalf("retiring: %+v", s.record().Removals)
		}
		s.sweep(2 * hour)
		rec := s.record()
		if len(rec.Replaced()) != 0 || len(rec.ByHand) != 1 || rec.ByHand[0].KeyID != s.keyID || !rec.ByHand[0].Target.Same(s.app) {
			t.Errorf("retiring %+v, by hand %+v", rec.Replaced(), rec.ByHand)
		}
		if by := s.events(history.ByHand); len(by) != 1 || by[0].KeyID != s.keyID {
			t.Errorf("history: %v", by)
		}
		s.w.CheckEnd(s.id)
	})
}

// R5: a new credential that does not prove itself is dropped after half an hour, and
// the connection keeps what it has. A rotation that was asked for meanwhile follows.
func TestRebindRefused(t *testing.T) {
	for _, rotate := range []bool{false, true} {
		t.Run(fmt.Sprintf("rotation asked for %t", rotate), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) { rec.NextSlot = time.Now().Add(30 * day) })
				s.reach(rotation.Rebinding)
				run := *s.record().Run
				if rotate {
					s.ask(rotation.Request{Kind: rotation.AskRotate})
				}
				s.sweep(20 * time.Minute)
				s.phase(rotation.Rebinding)
				s.sweep(25 * time.Minute)
				rec := s.record()
				if !rec.Target.Same(s.app) {
					t.Errorf("target: %v", rec.Target)
				}
				refused := s.events(history.RebindRefused)
				if len(refused) != 1 || refused[0].KeyID != run.KeyID || strings.Contains(refused[0].Message, "request") {
					t.Errorf("history: %+v", refused)
				}
				if rotate {
					s.rotated(rotation.OnRequest)
					return
				}
				if l := rec.LastRun; l.Outcome != "failed" || l.KeyID != run.KeyID || !strings.Contains(l.Message, "keeps its old one") {
					t.Errorf("last run: %+v", l)
				}
				if s.published() != s.keyID {
					t.Error("current was touched")
				}
				s.w.CheckEnd(s.id)
				s.live(2)
			})
		})
	}
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
