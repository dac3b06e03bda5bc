package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
)

// A connection is given another client secret of its application at the moment when another
// connection is created with the same one. Where either rotates, one has to see the other.
func TestOfTwoThatAreGivenOneSecretAtOnceOneIsRefused(t *testing.T) {
	for name, rotates := range map[string]bool{"the new one rotates": false, "the old one rotates": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				if rotates {
					settled(t, s)
				} else {
					unrotated(t, s)
				}
				time.Sleep(time.Hour)
				secret, keyID := s.w.AddForeign(s.app.ClientID)
				s.w.Name(keyID)
				in := s.publishing("second", secret, keyID)
				if !rotates {
					in.Rotate, in.Schedule = true, monthly
				}
				var other error
				s.onceStored(func() { _, other = service(s.w).Create(t.Context(), in) })
				_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials})
				if err == nil && other == nil {
					t.Error("both have it")
				}
				s.sweep(t, 3*24*time.Hour)
				s.check(t)
			})
		})
	}
}

// A rebind may take half an hour, and longer where the timer stands still. All that time
// no other connection gets the application that it goes over to (rule R11).
func TestARebindHoldsItsApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		time.Sleep(11 * time.Minute) // reservations may be reclaimed after ten
		in := s.input()
		in.Name, in.Credentials = "second", connection.Credentials{
			TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
		}
		if _, err := service(s.w).Create(t.Context(), in); kindOf(err) != connection.Conflict {
			t.Errorf("a second connection for the application that the first is going over to: %v, want a conflict", err)
		}
		s.sweep(t, 2*time.Hour)
		s.check(t)
	})
}

// Credentials that are given while others of the same application are being taken over: that
// this fails takes nothing from the rebind that is under way.
func TestRefusedChangeKeepsTheApplicationOfARebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		another, anotherKey := s.w.AddForeign(app.ClientID)
		s.w.Refuse("vault.put", full)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: another, ClientSecretKeyID: anotherKey,
		}}); err == nil {
			t.Fatal("a vault that takes nothing took it")
		}
		s.w.Refuse("vault.put", nil)
		s.claims(t, rotation.Exclusive, app)
		s.sweep(t, time.Hour)
		if rec, _ := s.w.Record(s.id); !rec.Target.Same(app) {
			t.Fatalf("the connection is of %s", rec.Target.ClientID)
		}
		s.claims(t, rotation.Exclusive, app)
	})
}

// Rotation is not turned on while another application's secret is being taken over: what
// would be looked into is not what would be rotated. It is afterwards, and has the new one.
func TestRotationIsNotTurnedOnWhileRebinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app := s.unrotatedGoesOver(t)
		on := connection.Change{Rotate: new(true), By: "tester"}
		if _, err := service(s.w).Update(t.Context(), s.id, on); kindOf(err) != connection.Conflict {
			t.Errorf("got %v, want a conflict", err)
		}
		s.sweep(t, 2*time.Hour)
		if _, err := service(s.w).Update(t.Context(), s.id, on); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 2*time.Hour)
		if rec := s.record(t); !rec.Policy.Enabled || !rec.Target.Same(app) {
			t.Fatalf("rotation is on: %v, of %s", rec.Policy.Enabled, rec.Target.ClientID)
		}
		s.claims(t, rotation.Exclusive, app)
		s.check(t)
	})
}

// unrotatedGoesOver turns rotation off and leaves the subject going over to another
// application.
func (s *subject) unrotatedGoesOver(t *testing.T) rotation.Application {
	t.Helper()
	if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
		t.Fatal(err)
	}
	app, secret, keyID := s.w.AddApplication()
	s.w.Name(keyID)
	s.rebindTo(t, app, secret, keyID)
	return app
}

// Of a connection that goes over to another application without rotating, and is told to
// rotate meanwhile, either is refused; or the application that it rotates is its own.
func TestWhatIsRotatedAfterGoingOverIsClaimed(t *testing.T) {
	for name, outer := range map[string]bool{"turning on is slow": false, "going over is slow": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				unrotated(t, s)
				app, secret, keyID := s.w.AddApplication()
				s.w.Name(keyID)
				over := connection.Change{By: "tester", Credentials: &connection.Credentials{
					TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
				}}
				on := connection.Change{Rotate: new(true), Schedule: &monthly}
				first, second := on, over
				if outer {
					first, second = over, on
				}
				s.w.Before("store.commit", func() {
					_, err := s.briefly().Update(t.Context(), s.id, second)
					t.Logf("the second: %v", err)
				})
				_, err := service(s.w).Update(t.Context(), s.id, first)
				t.Logf("the first: %v", err)
				s.sweep(t, 2*time.Hour)
				if rec := s.record(t); rec.Policy.Enabled {
					s.claims(t, rotation.Exclusive, rec.Target)
				}
				s.check(t)
			})
		})
	}
}

// A connection goes over to another application, and its caller gives it back the first
// one at the moment when it has arrived. Whichever it rotates is its own (rule R11).
func TestWhatIsRotatedAfterGoingBackIsClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		back, backKey := s.w.AddForeign(s.app.ClientID)
		s.w.Name(backKey)
		s.onceStored(func() {
			s.sweep(t, 2*time.Minute)
			if rec := s.record(t); !rec.Target.Same(app) {
				t.Fatalf("it has not gone over: phase %s", rec.Phase)
			}
		})
		_, err := service(s.w).Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: back, ClientSecretKeyID: backKey,
		}})
		s.sweep(t, 2*time.Hour)
		rec := s.record(t)
		if err != nil && rec.Target.Same(s.app) {
			t.Fatalf("it was refused and done: %v", err)
		}
		s.claims(t, rotation.Exclusive, rec.Target)
	})
}

// A connection that rotates nothing and was refused to begin with it does not keep its
// application from the others.
func TestARefusedChangeKeepsNoApplication(t *testing.T) {
	plan := schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}
	for name, refused := range map[string]func(t *testing.T, s *subject) error{
		"new credentials": func(t *testing.T, s *subject) error {
			s.w.Refuse("vault.put", full)
			defer s.w.Refuse("vault.put", nil)
			c := s.input().Credentials
			c.ClientSecret, c.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(true), Schedule: &plan, Credentials: &c})
			return err
		},
		"turning on": func(t *testing.T, s *subject) error {
			rec := s.record(t)
			s.w.Before("store.claims", func() {
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Description: new("changed")}); err != nil {
					t.Fatal(err)
				}
			})
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(true), Schedule: &plan, Version: new(rec.Revision)})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				in := s.input()
				in.Rotate, in.Schedule = false, schedule.Schedule{}
				if err := s.make(t, in); err != nil {
					t.Fatal(err)
				}
				if err := refused(t, s); err == nil {
					t.Fatal("it was not refused")
				}
				s.sweep(t, 24*time.Hour)
				if err := s.second(t, s.another()); err != nil {
					t.Errorf("a day later another connection, which rotates nothing: %v", err)
				}
			})
		})
	}
}

// The same of a rotation by hand that was refused while the connection was going over to
// another application.
func TestARefusedRotationKeepsNoApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
			t.Fatal(err)
		}
		app, secret, keyID := s.w.AddApplication()
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		s.rebindTo(t, app, secret, keyID)
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"}); err == nil {
			t.Fatal("it was not refused")
		}
		s.sweep(t, 24*time.Hour)
		in = s.input()
		in.Name, in.Rotate, in.Schedule = "third", false, schedule.Schedule{}
		in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID}
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(app.ClientID)
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Errorf("a day later another connection, with a client secret of its own: %v", err)
		}
	})
}

// The application of a connection that does not rotate is reserved while it is rotated by
// hand, and given back at once where that is refused.
func TestRefusedRotationGivesTheApplicationBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		unrotated(t, s)
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		before := len(s.w.Reserved())
		_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{})
		refusal(t, err, connection.Conflict, "authenticates with this application")
		if left := s.w.Reserved(); len(left) != before {
			t.Errorf("reserved are %v", left)
		}
		s.check(t)
	})
}
