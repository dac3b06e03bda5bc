package rotationtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
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
