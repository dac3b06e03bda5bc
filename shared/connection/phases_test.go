package connection_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
)

// phases bring a subject that was settled into each phase, between two passes.
var phases = map[string]func(t *testing.T, s *subject){
	"idle":       func(*testing.T, *subject) {},
	"issuing":    func(t *testing.T, s *subject) { s.stopAfter(t, "graph.addPassword") },
	"verifying":  func(t *testing.T, s *subject) { s.stopIn(t, rotation.Verifying) },
	"publishing": func(t *testing.T, s *subject) { s.stopIn(t, rotation.Publishing) },
	"retiring":   func(t *testing.T, s *subject) { s.rotateBy(t, 7*time.Minute) },
}

// asks are the requests about a connection, by name.
var asks = map[string]func(t *testing.T, s *subject) error{
	"patch": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Update(t.Context(), s.id, connection.Change{
			Name: new("renamed"), Description: new("changed"), Schedule: &schedule.Schedule{Interval: 9, Hours: 5, Zone: "UTC"},
		})
		return err
	},
	"off": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false)})
		return err
	},
	"credentials": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
			TenantID: s.other.TenantID, ClientID: s.other.ClientID, ClientSecret: s.otherSecret, ClientSecretKeyID: s.otherKey,
		}})
		return err
	},
	"rotate": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{})
		return err
	},
	"emergency": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true})
		return err
	},
	"abandon": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Abandon(t.Context(), s.id, "tester")
		return err
	},
	"delete": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{})
		return err
	},
	"revoke": func(t *testing.T, s *subject) error {
		_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
		return err
	},
}

// Whatever the API is asked in whatever phase, and while a pass works or after one has
// died: no change is lost, nothing is forgotten, and every promise holds.
func TestEveryRequestInEveryPhase(t *testing.T) {
	rotationtest.PlainOnly(t)
	for phase, bring := range phases {
		for name, ask := range asks {
			t.Run(fmt.Sprintf("%s while %s", name, phase), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					settled(t, s)
					s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
					s.w.Name(s.otherKey)
					bring(t, s)
					refused := ask(t, s)
					if refused != nil && name != "abandon" { // of which there may be nothing
						t.Errorf("refused: %v", refused)
					}
					s.sweep(t, 5*24*time.Hour)
					s.ended(t, name)
				})
			})
		}
	}
}

// ended checks what has to hold long after a request.
func (s *subject) ended(t *testing.T, name string) {
	t.Helper()
	gone, live := deleting(name), 2 // with the foreign one
	if name == "credentials" || name == "revoke" {
		live = 1
	}
	rec, there := s.w.Record(s.id)
	if there == gone {
		t.Fatalf("the connection is there: %v", there)
	}
	if there {
		s.w.CheckEnd(s.id)
	}
	s.live(t, live)
	switch name {
	case "patch":
		if rec.Name != "renamed" || rec.Description != "changed" || rec.Policy.Schedule.Interval != 9 || rec.NextSlot.Hour() != 5 {
			t.Errorf("a change was lost: %q, %q, %+v, next slot %s", rec.Name, rec.Description, rec.Policy.Schedule, rec.NextSlot)
		}
	case "credentials":
		if !rec.Target.Same(s.other) || s.w.Live(s.other.ClientID) != 1 {
			t.Errorf("of %s, with %d live client secrets of the new application", rec.Target.ClientID, s.w.Live(s.other.ClientID))
		}
	case "off":
		if rec.Policy.Enabled || !rec.NextSlot.IsZero() {
			t.Errorf("enabled %v, next slot %s", rec.Policy.Enabled, rec.NextSlot)
		}
	}
	s.check(t)
}

// deleting reports whether a request deletes the connection.
func deleting(name string) bool { return name == "delete" || name == "revoke" }

// While a connection is being created nothing else is done with it but deleting it; the API
// tells a caller who asks to come again. What was asked for is created all the same.
func TestEveryRequestWhileCreating(t *testing.T) {
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				s.w.Break(7, rotationtest.CrashAfter) // the given secret is in the vault
				s.create(t.Context())
				s.w.Break(0, rotationtest.NoFault)
				s.w.Restart()
				rec, _ := s.w.Record(s.id)
				if rec.Phase != rotation.Creating {
					t.Fatalf("phase %s", rec.Phase)
				}
				s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
				s.w.Name(s.otherKey)
				err := ask(t, s)
				switch name {
				case "patch", "off", "credentials", "abandon":
					if kindOf(err) != connection.Conflict {
						t.Errorf("got %v, want a conflict", err)
					}
				}
				s.sweep(t, 3*24*time.Hour)
				if exists(s.w, s.id) == deleting(name) {
					t.Errorf("the connection is there: %v", exists(s.w, s.id))
				}
				s.check(t)
			})
		})
	}
}

// While new credentials are being taken over: what was asked for is done, before or
// after, or refused; what is published works throughout.
func TestEveryRequestWhileRebinding(t *testing.T) {
	rotationtest.PlainOnly(t)
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				app, secret, keyID := s.w.AddApplication()
				s.w.Name(keyID)
				s.rebindTo(t, app, secret, keyID)
				s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
				s.w.Name(s.otherKey)
				err := ask(t, s)
				if (err != nil) != (name == "abandon") && name != "credentials" {
					t.Errorf("got %v", err)
				}
				s.sweep(t, 5*24*time.Hour)
				rec, there := s.w.Record(s.id)
				if there == deleting(name) {
					t.Fatalf("the connection is there: %v", there)
				}
				want := app
				if name == "credentials" && err == nil {
					want = s.other
				}
				if there && (!rec.Target.Same(want) || rec.Phase != rotation.Idle || rec.Current == nil) {
					t.Errorf("of %s in phase %s, want %s", rec.Target.ClientID, rec.Phase, want.ClientID)
				}
				if name == "patch" && (rec.Name != "renamed" || rec.Description != "changed" ||
					rec.Policy.Schedule.Interval != 9 || rec.NextSlot.Hour() != 5) {
					t.Errorf("a change was lost: %q, %q, %+v", rec.Name, rec.Description, rec.Policy)
				}
				if name == "off" && rec.Policy.Enabled {
					t.Error("rotation is on")
				}
				if there {
					s.w.CheckEnd(s.id)
				}
				s.check(t)
			})
		})
	}
}

// The API answers a request for a connection that is being deleted that it is gone, and it
// goes, however long that takes.
func TestEveryRequestWhileDeleting(t *testing.T) {
	rotationtest.PlainOnly(t)
	for name, ask := range asks {
		for _, revoke := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, revoke %v", name, revoke), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					settled(t, s)
					s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
					s.w.Name(s.otherKey)
					s.w.Break(2, rotationtest.CrashAfter) // the request, and the pass that takes it up
					service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: revoke})
					s.w.Break(0, rotationtest.NoFault)
					s.w.Restart()
					if !exists(s.w, s.id) {
						t.Fatal("it is gone already")
					}
					if err := ask(t, s); kindOf(err) != connection.NotFound {
						t.Errorf("got %v, want that it is gone", err)
					}
					s.sweep(t, 24*time.Hour)
					if exists(s.w, s.id) || len(s.w.Reserved()) > 0 {
						t.Errorf("there: %v; reserved: %v", exists(s.w, s.id), s.w.Reserved())
					}
					s.live(t, map[bool]int{false: 2, true: 1}[revoke])
					s.check(t)
				})
			})
		}
	}
}
