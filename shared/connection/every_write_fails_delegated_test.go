package connection_test

import (
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
)

var delegated = []scenario{
	{
		name:  "creation with a certificate",
		setup: func(_ *testing.T, s *subject) { s.input0 = s.actor() },
		act:   func(t *testing.T, s *subject) { s.make(t, s.input0) },
		quiet: time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			if !exists(s.w, s.id) {
				if clean {
					t.Error("nothing was created")
				}
				s.w.CheckGone(s.id, s.secret)
				if err := s.make(t, s.input0); err != nil {
					t.Errorf("creating again: %v", err)
				}
				s.sweep(t, time.Hour)
			}
			s.w.CheckEnd(s.id)
			s.live(t, 2)
		},
	},
	{
		name:  "creation with a certificate and a target of its own",
		setup: func(_ *testing.T, s *subject) { s.input0 = rotating(s.actor(), s.app) },
		act:   func(t *testing.T, s *subject) { s.make(t, s.input0) },
		quiet: time.Hour,
		end:   madeOrGone(func(t *testing.T, s *subject) error { return s.make(t, s.input0) }),
	},
	{
		name:  "creation by OAuth with a target of its own",
		setup: func(_ *testing.T, s *subject) { s.input0 = rotating(s.person(), s.app) },
		act:   func(t *testing.T, s *subject) { s.make(t, s.input0) },
		quiet: time.Hour,
		end:   madeOrGone(func(t *testing.T, s *subject) error { return s.make(t, s.input0) }),
	},
	{
		name:  "a target is added",
		setup: withParent,
		act:   func(t *testing.T, s *subject) { s.addTarget(t) },
		quiet: time.Hour,
		end:   madeOrGone(func(t *testing.T, s *subject) error { return s.addTarget(t) }),
	},
	{
		name: "a target retires what its application had",
		setup: func(t *testing.T, s *subject) {
			withParent(t, s)
			_, s.otherKey = s.w.AddForeign(s.app.ClientID)
		},
		act:   func(t *testing.T, s *subject) { s.retire(t, s.retiringAll()) },
		quiet: 5 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			if !exists(s.w, s.id) {
				if clean {
					t.Error("nothing was created")
				}
				s.w.CheckGone(s.id, s.secret)
				s.live(t, 3) // what it had; nothing was published that could take its place
				if err := s.retire(t, s.retiringAll()); err != nil {
					t.Errorf("creating again: %v", err)
				}
				s.sweep(t, 5*time.Hour)
			}
			s.w.CheckEnd(s.id)
			if rec := s.record(t); len(rec.Retire)+len(rec.Removals)+len(rec.ByHand) != 0 || s.works(s.keyID) || s.works(s.otherKey) {
				t.Errorf("retires %v, to be removed %+v, by hand %+v", rec.Retire, rec.Removals, rec.ByHand)
			}
			s.live(t, 2) // ours, and the one that was not named
			if after := s.removedAfter(t); after < 2*time.Hour {
				t.Errorf("one was removed %s after the first publication", after)
			}
		},
	},
	{
		name:  "scheduled rotation of a target",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			rec, _ := s.w.Record(s.id)
			time.Sleep(time.Until(rec.NextSlot))
			s.sweep(t, 20*time.Minute)
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			s.live(t, 3)
			if rec, _ := s.w.Record(s.id); rec.LastRun.Trigger != rotation.OnSchedule || rec.LastRun.Outcome != "success" {
				t.Errorf("last run: %+v", rec.LastRun)
			}
		},
	},
	{
		name:  "emergency of a target",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"})
		},
		quiet: time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			s.live(t, 3)
		},
	},
	{
		name:  "a target is deleted and revoked",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"})
			s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d", Revoke: true}) // the caller asks again
			s.sweep(t, time.Minute)
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			if exists(s.w, s.id) {
				t.Error("the target is still there")
			}
			s.live(t, 2)
			if _, ok := s.w.Published("rekey-" + s.id); ok {
				t.Error("the vault secret is still there")
			}
			// Nothing is left that would keep the connection.
			if _, err := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{}); err != nil {
				t.Errorf("deleting the connection: %v", err)
			}
		},
	},
	{
		name:  "a certificate is replaced",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
				Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
			}})
		},
		quiet: 2 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.parent)
			s.w.CheckEnd(s.id)
			s.live(t, 3)
			if rec, _ := s.w.Record(s.parent); clean && rec.Auth.Generation != 2 {
				t.Errorf("generation %d, want 2", rec.Auth.Generation)
			}
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
				t.Errorf("rotating: %v", err)
			}
		},
	},
	{
		name: "a refresh token is renewed",
		setup: func(t *testing.T, s *subject) {
			if err := s.make(t, s.person()); err != nil {
				t.Fatal(err)
			}
			rec, _ := s.w.Record(s.id)
			time.Sleep(time.Until(rec.Auth.RenewAt))
		},
		act:   func(t *testing.T, s *subject) { s.sweep(t, time.Minute) },
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			rec, _ := s.w.Record(s.id)
			if left := time.Until(rec.Auth.RenewAt); left < 20*24*time.Hour || rec.Auth.Problem != nil {
				t.Errorf("renewed again in %s; problem %v", left, rec.Auth.Problem)
			}
			if clean {
				s.w.CheckEnd(s.id) // after a crash the old version stays enabled until the next renewal
			}
		},
	},
	{
		name:  "the client secret is replaced by one of another application",
		setup: settled,
		act: func(t *testing.T, s *subject) {
			other, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			s.other = other
			service(s.w).Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
				TenantID: other.TenantID, ClientID: other.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
			}})
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec, _ := s.w.Record(s.id)
			moved := rec.Target.Same(s.other)
			if clean && !moved {
				t.Error("the connection is still of the old application")
			}
			if moved { // one ours, of the new one; of the old one the foreign secret is left
				s.live(t, 1)
				if n := s.w.Live(s.other.ClientID); n != 1 {
					t.Errorf("live client secrets of the new application: %d, want 1", n)
				}
			}
		},
	},
	{
		name: "rotation is turned on for a secret given without its key id",
		setup: func(t *testing.T, s *subject) {
			in := s.input()
			in.Rotate, in.ClientSecretKeyID = false, ""
			if err := s.make(t, in); err != nil {
				t.Fatal(err)
			}
		},
		act: func(t *testing.T, s *subject) {
			service(s.w).Update(t.Context(), s.id, connection.Change{
				Rotate: new(true), Schedule: &schedule.Schedule{Interval: 7, Hours: 4, Zone: "UTC"}, By: "tester",
			})
		},
		quiet: 2 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec, _ := s.w.Record(s.id)
			if clean && (!rec.Policy.Enabled || rec.Current.Origin != rotation.OriginIssued || rec.NextSlot.Before(time.Now())) {
				t.Errorf("enabled %v, current %+v, next slot %s", rec.Policy.Enabled, rec.Current, rec.NextSlot)
			}
			s.live(t, 2)
		},
	},
}

var givenAgain = []scenario{
	{
		name:  "a secret given without its key id is replaced by another one",
		setup: withGiven,
		act: func(t *testing.T, s *subject) {
			s.giveAnother(t, s.other, s.otherSecret)
		},
		quiet: 2 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec := s.record(t)
			moved := rec.Target.Same(s.other)
			if clean && !moved || len(rec.ByHand) == 1 != moved {
				t.Errorf("of the new application: %t, by hand %+v", moved, rec.ByHand)
			}
			s.live(t, 2) // both are left to a person
		},
	},
	{
		name: "an issued secret is given once more, without its key id",
		setup: func(t *testing.T, s *subject) {
			settled(t, s)
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
				t.Fatal(err)
			}
		},
		act: func(t *testing.T, s *subject) {
			v, _ := s.w.Published("rekey-" + s.id)
			s.giveAnother(t, s.app, v.Value)
		},
		quiet: 5 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			if rec := s.record(t); rec.Current.Origin != rotation.OriginIssued || len(rec.ByHand)+len(rec.Replaced()) != 0 {
				t.Errorf("current %+v, by hand %+v, old ones %+v", rec.Current, rec.ByHand, rec.Replaced())
			}
			s.live(t, 2)
		},
	},
}
