package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
)

// Two connections are created at once: one that rotates an application by taking its client
// secret over, and one that was given the same client secret to publish. One of them has
// to see the other, or the second publishes what the first removes (promise P1).
func TestTheSameSecretGivenTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		var rotates error
		publishing := service(s.w)
		publishing.Records = justBefore{publishing.Records, func() {
			_, rotates = service(s.w).Create(t.Context(), s.input())
		}}
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		_, publishes := publishing.Create(t.Context(), in)
		if rotates == nil && publishes == nil {
			t.Error("both were created")
		}
		s.sweep(t, time.Hour)
		s.check(t)
	})
}

// The same the other way round, and not at once: what a rotating connection has published
// is given to a second one, which would publish it until the first removes it.
func TestTheSecretOfARotatingConnectionGivenToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		rec, _ := s.w.Record(s.id)
		published, _ := s.w.Published(rec.VaultName)
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.ClientSecret, in.ClientSecretKeyID = published.Value, rec.Current.KeyID
		if _, err := service(s.w).Create(t.Context(), in); err == nil {
			t.Error("it was taken")
		}
		s.sweep(t, 40*24*time.Hour)
		s.check(t)
	})
}

// New credentials that turn rotation on bring the same conflict along.
func TestNewCredentialsThatAnotherHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.Rotate, in.Schedule = false, schedule.Schedule{}
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		in.Name = "second"
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
		s.w.Name(in.ClientSecretKeyID)
		second, err := service(s.w).Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = service(s.w).Update(t.Context(), second.ID, connection.Change{
			Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, Credentials: new(s.input().Credentials),
		})
		if kindOf(err) != connection.Conflict {
			t.Errorf("got %v", err)
		}
		s.sweep(t, 3*time.Hour)
		s.check(t)
	})
}
