package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// A person is told once when a rotation fails for want of permission, however often it
// is tried, and once when it works again.
func TestToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
		s.sweep(12 * hour)
		if rec := s.record(); rec.Error == nil || rec.Error.Count < 3 {
			t.Fatalf("error %+v, want one that was tried often", rec.Error)
		}
		told := s.events(history.Attention)
		if len(told) != 1 || !told[0].Notice || told[0].Class != serviceerror.Permission || told[0].Message == "" {
			t.Errorf("notices %+v, want one", told)
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = false })
		s.sweep(48 * hour)
		back := s.events(history.Recovered)
		if len(back) != 1 || !back[0].Notice {
			t.Errorf("recovered %+v, want once", back)
		}
		if rec := s.record(); rec.Told != "" {
			t.Errorf("told of %q", rec.Told)
		}
		s.rotated(rotation.OnSchedule)
	})
}

// Of what passes by itself no person is told, until it has not passed for long.
func TestNotToldOfHiccups(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		n := 0
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			if n++; n <= 2 {
				return rotation.Issued{}, &serviceerror.Error{Op: "adding a password", Class: serviceerror.Throttled, Status: 429}
			}
			return add()
		}
		s.sweep(3 * hour)
		if told := s.events(history.Attention); len(told) != 0 {
			t.Errorf("notices %+v", told)
		}
		s.rotated(rotation.OnSchedule)
	})
}

// An old credential that can't be removed is told of, though the rotation went well.
func TestToldOfWhatIsNotRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		refuse := true
		s.h.removing = func(string) error {
			if refuse {
				return &serviceerror.Error{Op: "removing a password", Class: serviceerror.Permission, Status: 403}
			}
			return nil
		}
		s.sweep(4 * day)
		told := s.events(history.Attention)
		if len(told) != 1 || told[0].KeyID != s.keyID {
			t.Errorf("notices %+v, want one about %s", told, s.keyID)
		}
		refuse = false
		s.sweep(2 * day)
		if back := s.events(history.Recovered); len(back) != 1 {
			t.Errorf("recovered %+v", back)
		}
	})
}

// A version of an attempt that never became current is switched off before its
// credential is removed: no consumer reads a value from the vault that does not work.
func TestFirstRunIsWithdrawn(t *testing.T) {
	for _, how := range []rotation.RequestKind{rotation.AskAbandon, rotation.AskDelete, ""} {
		t.Run("by "+string(how), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.delegate(t)
				published := false
				s.h.put = func(v rotation.VaultSecret) error {
					if isPublished(v) && !published { // it lands, but the pass does not learn of it; from then on the value is refused
						published = true
						return unknown("writing a secret")
					}
					return nil
				}
				s.h.token = func(secret secret.Value) error {
					if published && secret.Reveal() != s.secret.Reveal() {
						return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
					}
					return nil
				}
				s.w.OutsideBreak(false)
				s.sweep(2 * time.Minute)
				if !published {
					t.Fatal("the attempt was not published")
				}
				if how != "" {
					s.ask(rotation.Request{Kind: how})
				}
				s.sweep(hour)
				s.h.token, s.h.put = nil, nil
				s.sweep(2 * hour)
				if how == rotation.AskDelete {
					if s.exists() {
						t.Error("the connection is still there")
					}
					s.live(2)
					return
				}
				s.w.CheckEnd(s.id)
				s.live(3)
			})
		})
	}
}
