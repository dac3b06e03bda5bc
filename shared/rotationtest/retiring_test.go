package rotationtest_test

import (
	"slices"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// retiring makes the subject a target that retires the client secret which its application has, and
// plays the timer until its first own one is published.
func (s *subject) retiring(t *testing.T) {
	t.Helper()
	s.delegate(t)
	s.edit(func(rec *rotation.Record) { rec.Retire = []string{s.keyID} })
	s.sweep(hour)
	rec := s.record()
	if rec.Current == nil || len(rec.Retire) != 0 || rec.Removal(s.keyID) == nil {
		t.Fatalf("current %+v, retires %v, to be removed %+v", rec.Current, rec.Retire, rec.Removals)
	}
}

// R6: what an application had before is removed only while the first secret of ours is what is
// published. What a person wrote over that is replaced first.
func TestNothingIsRetiredWhileAnotherSecretIsPublished(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.retiring(t)
		rec, removed := s.record(), 0
		over := rotation.VaultSecret{Name: rec.VaultName, Value: secret.New("by hand"), Enabled: true}
		if _, err := s.w.VaultPort().Put(t.Context(), over); err != nil {
			t.Fatal(err)
		}
		s.h.removing = func(keyID string) error {
			removed++
			if v, _ := s.w.Published(rec.VaultName); v.Tags[vaulttag.KeyID] != rec.Current.KeyID || keyID != s.keyID {
				t.Errorf("%s is removed while %v is published", keyID, v.Tags)
			}
			return nil
		}
		s.sweep(46 * hour)
		if removed != 0 {
			t.Fatal("it was removed in its grace period")
		}
		s.sweep(3 * hour)
		if removed != 1 || len(s.events(history.Republished)) != 1 {
			t.Errorf("removed %d times, published again %d times", removed, len(s.events(history.Republished)))
		}
		s.rotated(rotation.OnCreation)
		s.live(2)
	})
}

// R6: nor is it removed while Entra refuses what is published. That is tried again until Entra
// takes it.
func TestNothingIsRetiredWhileWhatIsPublishedIsRefused(t *testing.T) {
	rotationtest.PlainOnly(t)
	inBubble(t, func(t *testing.T, s *subject) {
		s.retiring(t)
		v, _ := s.w.Published(s.record().VaultName)
		s.h.token = func(value secret.Value) error {
			if value == v.Value {
				return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialInvalid, Status: 400, Code: "AADSTS53003"}
			}
			return nil
		}
		s.sweep(4 * day)
		rec := s.record()
		if !s.w.IsLive(s.keyID) || rec.Removal(s.keyID) == nil || len(rec.ByHand) != 0 {
			t.Fatalf("alive: %t, to be removed %+v, by hand %+v", s.w.IsLive(s.keyID), rec.Removals, rec.ByHand)
		}
		told := func(e rotation.Event) bool { return e.Notice && e.KeyID == s.keyID }
		if !slices.ContainsFunc(s.events(history.Attention), told) {
			t.Error("no notice tells of it")
		}
		s.h.token = nil
		s.sweep(day)
		if s.w.IsLive(s.keyID) {
			t.Error("it was not removed afterwards")
		}
		s.rotated(rotation.OnCreation)
	})
}

// R1 to R3: attempts that end without an answer, and processes that die, leave what waits for the
// first publication alone.
func TestNothingIsRetiredForAnAttemptThatIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.delegate(t)
		s.edit(func(rec *rotation.Record) { rec.Retire = []string{s.keyID} })
		tries := 0
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			if tries++; tries <= 2 {
				add()
				return rotation.Issued{}, unknown("adding a password")
			}
			return add()
		}
		var published time.Time
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) && published.IsZero() {
				published = time.Now()
			}
			return nil
		}
		s.h.removing = func(keyID string) error {
			if keyID == s.keyID && (published.IsZero() || time.Since(published) < 48*hour) {
				t.Errorf("it is removed; published at %s", published)
			}
			return nil
		}
		s.sweep(4 * day)
		if tries != 3 || s.w.IsLive(s.keyID) {
			t.Errorf("%d attempts; alive: %t", tries, s.w.IsLive(s.keyID))
		}
		s.rotated(rotation.OnCreation)
		s.live(2)
	})
}
