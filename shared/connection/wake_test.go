package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
)

// A connection that rotates its own client secret and authenticates for a target loses it.
// Once new credentials are published, the target is rotated by the next ticks of the timer
// and does not wait for the end of its pause.
func TestPublishingANewSecretWakesTheTargetsThatItsLossHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.parent, s.acting = s.id, s.app
		target := s.crowd(t, 1, daily(6, 0))[0]
		s.sweep(t, time.Hour)
		due := s.nextSlotOf(t, target.id)
		current := s.record(t).Current.KeyID
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(current)
		s.sleepUntil(t, due.Add(4*time.Hour))
		if retry := s.recordOf(t, target.id).Error; retry == nil || time.Until(retry.RetryAt) < time.Hour {
			t.Fatalf("the target does not wait for long: %+v", retry)
		}
		secret, keyID := s.w.AddForeign(s.app.ClientID)
		s.w.Name(keyID)
		time.Sleep(10 * time.Second)
		asked := time.Now()
		if _, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
		}}); err != nil {
			t.Fatal(err)
		}
		s.w.OutsideBreak(false)
		s.sweep(t, 20*time.Minute)
		s.issuedWithin(t, target.app.ClientID, asked, asked.Add(10*time.Minute))
		s.check(t)
	})
}
