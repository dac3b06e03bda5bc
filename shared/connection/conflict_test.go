package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
)

// Two who are created at once: one that rotates an application by taking its client
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

// The same connection again, in every way in which one can bring a client secret along
// that another one rotates, or could begin to. It is refused, in whichever order they
// come; with a client secret of its own it is not.
func TestTwoThatHaveOneClientSecret(t *testing.T) {
	plan := schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}
	publishing := func(s *subject) connection.Input {
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "publishing", false, schedule.Schedule{}
		return in
	}
	// authenticating signs in with the client secret, and rotates another application.
	authenticating := func(s *subject) connection.Input {
		target, _, _ := s.w.AddApplication()
		s.w.Own(target.ClientID, s.app.ClientID, true)
		in := s.input()
		in.Name, in.Target, in.ClientSecretKeyID = "authenticating", connection.Target{ClientID: target.ClientID}, ""
		return in
	}
	turnOn := func(t *testing.T, s *subject, id string) error {
		_, err := service(s.w).Update(t.Context(), id, connection.Change{Rotate: new(true), Schedule: &plan})
		return err
	}
	byHand := func(t *testing.T, s *subject, id string) error {
		_, err := service(s.w).Rotate(t.Context(), id, connection.RotateOptions{})
		return err
	}
	for name, tt := range map[string]struct {
		other func(s *subject) connection.Input
		last  func(t *testing.T, s *subject, id string) error // nil: creating is what is refused
	}{
		"publishing, then rotating":     {other: func(s *subject) connection.Input { return s.input() }},
		"publishing, then turned on":    {other: publishing, last: turnOn},
		"publishing, then by hand":      {other: publishing, last: byHand},
		"authenticating, then rotating": {other: func(s *subject) connection.Input { return s.input() }},
		"authenticating, then by hand":  {other: publishing, last: byHand},
	} {
		for _, own := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", the same", true: ", each its own"}[own], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					first := publishing(s)
					if name[0] == 'a' {
						first = authenticating(s)
					}
					if _, err := service(s.w).Create(t.Context(), first); err != nil {
						t.Fatal(err)
					}
					in := tt.other(s)
					in.Name = "second"
					if own {
						in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
						s.w.Name(in.ClientSecretKeyID)
					}
					rec, err := service(s.w).Create(t.Context(), in)
					if tt.last != nil {
						if err != nil {
							t.Fatal(err)
						}
						s.sweep(t, time.Hour)
						err = tt.last(t, s, rec.ID)
					}
					if refused := kindOf(err) == connection.Conflict; refused == own {
						t.Errorf("got %v", err)
					}
					s.sweep(t, 3*time.Hour)
					s.check(t)
				})
			})
		}
	}
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
