package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

var monthly = schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}

// A caller who sends the name along with every change, as it is, does not get it back by
// that: it may be another connection's since this one was renamed.
func TestTheNameSentAlongWhileItIsRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		c := service(s.w)
		c.Records = &beforeCommit{c.Records, func() {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
				t.Error(err)
			}
		}}
		_, err := c.Update(t.Context(), s.id, connection.Change{Name: new("billing"), Description: new("changed")})
		t.Logf("the change that sent the name along: %v", err)
		rec := mustRecord(t, s)
		s.holds(t, rotation.NameReservation("", rec.Name, s.id))
	})
}

// Of two callers who give a connection new credentials of two applications, the later one's
// stay, and the connection says of which application they are.
func TestReconnectedTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signsInWithSecret(t)
		reconnect := func() rotation.Application {
			app, secret, _ := s.w.AddApplication()
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
				TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret,
			}}); err != nil {
				t.Fatal(err)
			}
			return app
		}
		var last rotation.Application
		s.w.Before("store.unclaim", func() { last = reconnect() }) // the first is written
		reconnect()
		if rec := mustRecord(t, s); !rec.Actor.Same(last) {
			t.Errorf("it authenticates as %s, with what is %s's", rec.Actor.ClientID, last.ClientID)
		}
		if _, err := service(s.w).Actors.Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
	})
}

// Of a connection that goes over to another application without rotating, and is told to
// rotate meanwhile, either is refused; or the application that it rotates is its own.
func TestTurnedOnWhileItGoesOver(t *testing.T) {
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
				c := service(s.w)
				c.Records = &beforeCommit{c.Records, func() {
					_, err := s.briefly().Update(t.Context(), s.id, second)
					t.Logf("the second: %v", err)
				}}
				_, err := c.Update(t.Context(), s.id, first)
				t.Logf("the first: %v", err)
				s.sweep(t, 2*time.Hour)
				if rec := mustRecord(t, s); rec.Policy.Enabled {
					s.claims(t, rotation.Exclusive, rec.Target)
				}
				s.check(t)
			})
		})
	}
}
