package connection_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
)

// What a connection does not allow is refused with what to do instead, and nothing of it
// is changed.
func TestARefusedChangeChangesNothing(t *testing.T) {
	certificate := func(s *subject, tenant string) *connection.Credentials {
		return &connection.Credentials{Method: connection.Certificate, TenantID: tenant, ClientID: s.acting.ClientID, Certificate: renewed}
	}
	secret := func(s *subject) *connection.Credentials { return new(s.input().Credentials) }
	on := connection.Change{Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}}
	for name, tt := range map[string]struct {
		setup  func(t *testing.T, s *subject)
		change func(s *subject) connection.Change
		kind   connection.Kind
		says   string
	}{
		"credentials for a target": {withTarget, func(s *subject) connection.Change {
			return connection.Change{Credentials: certificate(s, s.acting.TenantID)}
		}, connection.Invalid, "no credentials of its own"},
		"another method": {withParent, func(s *subject) connection.Change {
			return connection.Change{Credentials: secret(s)}
		}, connection.Invalid, "can't be changed"},
		"another tenant": {withParent, func(s *subject) connection.Change {
			return connection.Change{Credentials: certificate(s, "22222222-2222-4222-8222-222222222222")}
		}, connection.Invalid, "of another tenant"},
		"a certificate that does not sign in": {withParent, func(s *subject) connection.Change {
			s.w.Withdraw(s.acting.ClientID)
			return connection.Change{Credentials: certificate(s, s.acting.TenantID)}
		}, connection.Invalid, ""},
		"rotation without a target": {withParent, func(*subject) connection.Change { return on }, connection.Invalid, "/targets"},
		"rotation without a schedule": {unrotated, func(*subject) connection.Change {
			return connection.Change{Rotate: new(true)}
		}, connection.Invalid, "rotationInterval"},
		"seen before another caller's change": {unrotated, func(*subject) connection.Change {
			return connection.Change{Version: new(int64(0)), Description: new("mine")}
		}, connection.Conflict, "Read it again"},
		"seen after it": {unrotated, func(*subject) connection.Change {
			return connection.Change{Version: new(int64(2)), Description: new("mine")}
		}, connection.Conflict, "Read it again"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.setup(t, s)
				change := tt.change(s)
				before, reserved := s.record(t), s.w.Reserved()
				_, err := service(s.w).Update(t.Context(), s.id, change)
				refusal(t, err, tt.kind, tt.says)
				after := s.record(t)
				if after.Revision != before.Revision || after.Description != before.Description || after.Policy != before.Policy ||
					(after.Auth == nil) != (before.Auth == nil) || after.CredentialChanges != before.CredentialChanges {
					t.Errorf("it was changed: %+v", after)
				}
				if n := len(s.w.Reserved()); n != len(reserved) {
					t.Errorf("%d reservations, want %d", n, len(reserved))
				}
				s.check(t)
			})
		})
	}
}

// Two changes at once: both are made, unless they name the version that they have
// seen; then one is, and the other is told.
func TestTwoChangesAtOnceAreBothMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		both := func(a, b connection.Change) (failed []error) {
			done := make(chan error, 2)
			for _, c := range []connection.Change{a, b} {
				go func() { _, err := service(s.w).Update(t.Context(), s.id, c); done <- err }()
			}
			for range 2 {
				if err := <-done; err != nil {
					failed = append(failed, err)
				}
			}
			return failed
		}
		planned := connection.Change{Schedule: &schedule.Schedule{Interval: 11, Zone: "UTC"}}
		if failed := both(connection.Change{Description: new("a")}, planned); len(failed) > 0 {
			t.Errorf("refused: %v", failed)
		}
		rec, _ := s.w.Record(s.id)
		if rec.Description != "a" || rec.Policy.Schedule.Interval != 11 {
			t.Errorf("a change was lost: %q, %+v", rec.Description, rec.Policy.Schedule)
		}
		failed := both(connection.Change{Description: new("b"), Version: &rec.Revision},
			connection.Change{Name: new("other"), Version: &rec.Revision})
		if len(failed) != 1 || !strings.Contains(failed[0].Error(), "Another caller has changed") {
			t.Errorf("refused: %v, want one of the two", failed)
		}
		s.check(t)
	})
}

// A schedule takes effect at once, not when the connection would have been woken for the
// old one.
func TestANewScheduleTakesEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.sweep(t, 3*24*time.Hour)
		before := s.record(t)
		soon := time.Now().UTC().Add(30 * time.Hour)
		if before.NextSlot.Before(soon.Add(48 * time.Hour)) {
			t.Fatalf("the slot before is at %s", before.NextSlot)
		}
		rec, err := service(s.w).Update(t.Context(), s.id, connection.Change{
			Schedule: &schedule.Schedule{Interval: 1, Hours: soon.Hour(), Zone: "UTC"},
		})
		if err != nil || !rec.UpdatedAt.After(before.UpdatedAt) {
			t.Fatalf("changed at %s, %v", rec.UpdatedAt, err)
		}
		s.sweep(t, 48*time.Hour)
		if rec := s.record(t); !rec.LastRotatedAt.After(before.LastRotatedAt) {
			t.Errorf("it was not rotated; its next slot is at %s", rec.NextSlot)
		}
		s.check(t)
	})
}

// With rotation off there is no slot, and none is shown; on again there is one.
func TestTheSlotGoesWithRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		for _, on := range []bool{false, true} {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: &on}); err != nil {
				t.Fatal(err)
			}
			if rec := s.record(t); rec.NextSlot.IsZero() == on {
				t.Errorf("rotation is on: %t, and the next slot is %s", on, rec.NextSlot)
			}
		}
		s.check(t)
	})
}

// What is being deleted is changed no more, although it was there when the change began.
func TestWhatIsBeingDeletedIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Before("store.commit", func() { s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d"}) })
		_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Description: new("changed")})
		refusal(t, err, connection.NotFound, "")
		if rec := s.record(t); rec.Description != "" {
			t.Errorf("it was changed: %q", rec.Description)
		}
		s.check(t)
	})
}

// The grace period of the client secret that was given is the policy's for that one, or
// what the change says, counted from the rotation that replaces it.
func TestTheOriginalHasItsOwnGracePeriod(t *testing.T) {
	for name, grace := range map[string]*time.Duration{"the policy's": nil, "said": new(5 * time.Hour)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withGiven(t, s)
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{
					Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Zone: "UTC"}, OriginalGrace: grace,
				}); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 4*time.Hour)
				if lives := s.w.IsLive(s.keyID); lives != (grace != nil) {
					t.Errorf("after four hours it lives: %t", lives)
				}
				s.sweep(t, 4*time.Hour)
				if s.w.IsLive(s.keyID) {
					t.Error("after eight hours it lives")
				}
				s.check(t)
			})
		})
	}
}

// What a connection had before it was given other credentials is removed if rotation is on,
// or if Rekey has issued it and no other connection uses the application. Otherwise another
// one may publish it, or sign in with it, and it is left to a person (promise P1).
func TestTheOldSecretIsRemovedOrLeftToAPerson(t *testing.T) {
	const shares, elsewhere = true, true
	for name, tt := range map[string]struct {
		make              func(t *testing.T, s *subject)
		off               bool // rotation is turned off before
		shares, elsewhere bool // another connection has it; the new one is of another application
		removed           bool
	}{
		"given, without rotation":                           {unrotated, false, !shares, !elsewhere, false},
		"given, without rotation, and shared":               {unrotated, false, shares, !elsewhere, false},
		"given, without rotation, for another application":  {unrotated, false, !shares, elsewhere, false},
		"issued, with rotation":                             {settled, false, !shares, !elsewhere, true},
		"issued, with rotation, for another application":    {settled, false, !shares, elsewhere, true},
		"issued, without rotation":                          {settled, true, !shares, !elsewhere, true},
		"issued, without rotation, and shared":              {settled, true, shares, !elsewhere, false},
		"issued, without rotation, for another application": {settled, true, !shares, elsewhere, true},
		"issued, shared, without rotation, for another one": {settled, true, shares, elsewhere, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.make(t, s)
				if tt.off {
					if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false)}); err != nil {
						t.Fatal(err)
					}
				}
				rec := s.record(t)
				old, _ := s.w.Published(rec.VaultName)
				if tt.shares {
					if err := s.second(t, old.Value); err != nil {
						t.Fatal(err)
					}
				}
				app := s.app
				secret, keyID := s.w.AddForeign(s.app.ClientID)
				if tt.elsewhere {
					app, secret, keyID = s.w.AddApplication()
				}
				s.w.Name(keyID)
				time.Sleep(10 * time.Second)
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
					TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
				}}); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 2*time.Hour)
				if !tt.removed {
					if err := s.second(t, old.Value); err != nil && !tt.shares {
						t.Errorf("another connection can't have it: %v", err)
					}
				}
				s.sweep(t, 3*day)
				now := s.record(t)
				if byHand := len(now.ByHand) == 1; s.w.IsLive(rec.Current.KeyID) == tt.removed || byHand == tt.removed || len(now.Removals) > 0 {
					t.Errorf("it lives: %t, by hand %+v, to be removed %+v", s.w.IsLive(rec.Current.KeyID), now.ByHand, now.Removals)
				}
				s.check(t)
			})
		})
	}
}

// A rotation that is asked for takes its grace period when it begins: until then, too, a
// caller without the role rotate may not shorten it, with rotation on or off.
func TestAPendingRotationKeepsItsGracePeriod(t *testing.T) {
	for name, turnOff := range map[string]*bool{"rotation is off": nil, "rotation is turned off with it": new(false)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				if turnOff == nil {
					if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false)}); err != nil {
						t.Fatal(err)
					}
				}
				s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "by-hand"})
				before := s.record(t).Policy.Grace
				_, err := service(s.w).Update(connection.WithoutRemovals(t.Context()), s.id,
					connection.Change{Rotate: turnOff, Grace: new(time.Duration(0)), By: "writer"})
				refusal(t, err, connection.Forbidden, `needs the role "rotate"`)
				if grace := s.record(t).Policy.Grace; grace != before || grace == 0 {
					t.Errorf("the grace period is %s, was %s", grace, before)
				}
			})
		})
	}
}
