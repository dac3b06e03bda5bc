package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
)

// Whether a client secret is given once more can't be found out right now: then it is not
// taken for another one, of which the old one would be left over, but looked at later.
func TestASecretThatIsComparedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
			t.Fatal(err)
		}
		before := mustRecord(t, s)
		published, _ := s.w.Published(before.VaultName)
		s.rebindTo(t, s.app, published.Value, "")
		r := s.w.Rotator()
		r.Vault = speechless{s.w.VaultPort(), before.VaultName, before.Current.VaultVersion}
		time.Sleep(time.Minute)
		r.Pass(t.Context(), s.id, rotator.PassOptions{Until: time.Now().Add(3 * time.Minute)})
		if rec := mustRecord(t, s); rec.Phase != rotation.Rebinding || rec.Error == nil {
			t.Fatalf("phase %s, trouble %+v", rec.Phase, rec.Error)
		}
		s.sweep(t, 5*24*time.Hour)
		rec := mustRecord(t, s)
		if rec.Current.KeyID != before.Current.KeyID || rec.Current.VaultVersion == before.Current.VaultVersion || len(rec.ByHand) != 0 {
			t.Errorf("current %+v, was %+v; by hand %+v", rec.Current, before.Current, rec.ByHand)
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}
