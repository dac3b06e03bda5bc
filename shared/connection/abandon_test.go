package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// A rotation that was asked for and has not begun is called off, also where new
// credentials are being taken over; nothing is issued for it. Without one there is nothing
// to abandon.
func TestAbandonWhatHasNotBegun(t *testing.T) {
	rebinding := func(t *testing.T, s *subject) {
		settled(t, s)
		s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
		s.w.Name(s.otherKey)
		s.rebindTo(t, s.other, s.otherSecret, s.otherKey)
	}
	for name, tt := range map[string]struct {
		setup func(t *testing.T, s *subject)
		kind  rotation.RequestKind // empty: none
		want  connection.Kind      // empty: it is abandoned
	}{
		"nothing":                       {settled, "", connection.Conflict},
		"a rotation":                    {settled, rotation.AskRotate, ""},
		"an emergency":                  {settled, rotation.AskEmergency, ""},
		"nothing, while rebinding":      {rebinding, "", connection.Conflict},
		"a rotation, while rebinding":   {rebinding, rotation.AskRotate, ""},
		"an emergency, while rebinding": {rebinding, rotation.AskEmergency, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.setup(t, s)
				if tt.kind != "" {
					s.request(t, rotation.Request{Kind: tt.kind, ID: "r"})
				}
				if _, err := service(s.w).Abandon(t.Context(), s.id, "tester"); kindOf(err) != tt.want {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				s.sweep(t, 3*time.Hour)
				s.w.CheckEnd(s.id)
				s.check(t)
			})
		})
	}
}

// Deleting works as far as the request's time goes, and leaves to the timer only what has
// to wait: the name is free and the current credential is revoked when it is answered.
func TestADeletionBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		was, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
		if err != nil || was.Phase != rotation.Idle {
			t.Fatalf("it was in the phase %s, %v", was.Phase, err)
		}
		if rec, there := s.w.Record(s.id); there && (rec.Phase != rotation.Deleting || rec.Current != nil) {
			t.Errorf("phase %s, current %+v", rec.Phase, rec.Current)
		}
		s.live(t, 1)
		s.sweep(t, time.Hour)
		s.check(t)
	})
}
