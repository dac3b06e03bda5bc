package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// Within one sweep a refusal answers for all targets that wait for the same sign-in. It must not
// answer for a target that was woken because there is a new one.
func TestAReconnectEndsAKeptRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		// Another connection whose rotation keeps the sweep going.
		s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
		s.w.Name(s.otherKey)
		in := s.input()
		in.Name, in.Credentials = "second", connection.Credentials{
			TenantID: s.other.TenantID, ClientID: s.other.ClientID, ClientSecret: s.otherSecret, ClientSecretKeyID: s.otherKey,
		}
		c := s.briefly()
		_, err := c.Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		s.w.Withdraw(s.acting.ClientID)
		s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
		time.Sleep(2 * time.Second)
		ended := make(chan struct{})
		go func() { service(s.w).Rotator.Sweep(t.Context()); close(ended) }()
		time.Sleep(20 * time.Second)
		if rec, _ := s.w.Record(s.id); rec.Error == nil || rec.Error.Class != serviceerror.ActorRefused {
			t.Fatalf("the target: %+v", rec.Error)
		}
		s.w.AddCertificate(s.acting.ClientID, stored(renewed))
		if _, err := service(s.w).Update(t.Context(), s.parent, connection.Change{Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}}); err != nil {
			t.Fatalf("reconnecting: %v", err)
		}
		<-ended
		s.sweep(t, 20*time.Minute)
		rec, _ := s.w.Record(s.id)
		if rec.Error != nil {
			t.Errorf("twenty minutes after the reconnect the target still waits, until %s: %s", time.Until(rec.Error.RetryAt), rec.Error.Class)
		}
		s.check(t)
	})
}
