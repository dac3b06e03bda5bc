package rebuild_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rebuild"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// What is published was removed by somebody: the one before, still in its grace period,
// is current, and a new one is issued at once.
func TestPublishedDoesNotWork(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		if _, err := w.service().Rotate(w.t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
			t.Fatal(err)
		}
		w.sweep(hour)
		was := s.record()
		w.OutsideBreak(true)
		w.RemoveByHand(was.Current.KeyID)
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if c.Record.Current.KeyID != was.Retiring[0].KeyID || len(c.Notes) == 0 {
			t.Errorf("current %+v, notes %q", c.Record.Current, c.Notes)
		}
		w.sweep(hour)
		w.OutsideBreak(false)
		if rec := s.record(); rec.LastRun == nil || rec.LastRun.Outcome != "success" {
			t.Errorf("last run %+v", rec.LastRun)
		}
		s.works()
		w.sweep(3 * day)
		w.settled(s)
	})
}

// Nothing that was published works: the record says so, and takes a new client secret.
func TestNothingWorks(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		w.OutsideBreak(true)
		w.RemoveByHand(s.record().Current.KeyID)
		w.LoseTable(nil)
		plan := w.rebuild("")
		c := want(t, plan, s.id, rebuild.Rebuilt)
		if !plan.NeedsPerson() || !strings.Contains(strings.Join(c.ByPerson, " "), "econnect") {
			t.Errorf("by person: %q", c.ByPerson)
		}
		if rec := s.record(); rec.Error == nil || rec.Error.Class != rotation.CredentialLost || rec.Told == "" {
			t.Errorf("error %+v, told %q", rec.Error, rec.Told)
		}
		w.sweep(2 * hour)
		s.rebind()
		w.sweep(hour)
		w.OutsideBreak(false)
		s.works()
		w.sweep(3 * day)
		w.settled(s)
	})
}

// What a connection authenticates with does not work any more. It is rebuilt with what
// is wrong about it; its target goes on when it was reconnected, and what a pass had
// issued before the disaster is found then.
func TestSignInIsLost(t *testing.T) {
	inBubble(t, func(w *world) {
		s, parent := w.subject(), w.subject()
		in := parent.certificate()
		parent.make(in)
		s.target(parent.id, in.ClientID)
		w.sweep(hour)
		w.dies(5, s.emergency) // after addPassword
		w.LoseTable(nil)
		w.Withdraw(in.ClientID)
		plan := w.rebuild("")
		c := want(t, plan, parent.id, rebuild.Rebuilt)
		if len(c.ByPerson) != 1 || c.Record.Auth.Problem == nil || c.Record.Auth.Problem.Class != rotation.CertificateRefused {
			t.Errorf("by person %q, auth %+v", c.ByPerson, c.Record.Auth)
		}
		if rec := want(t, plan, s.id, rebuild.Rebuilt).Record; rec.Current == nil || len(rec.Abandoned) == 0 {
			t.Errorf("target: %+v", rec)
		}
		w.sweep(hour)
		next := s.certificate() // which the fake directory gives to another application
		w.Own(s.app.ClientID, next.ClientID, true)
		if _, err := w.service().Update(w.t.Context(), parent.id, connection.Change{By: "tester", Credentials: &next.Credentials}); err != nil {
			t.Fatal(err)
		}
		w.sweep(3 * day)
		w.settled(s, parent)
		w.sweep(32 * day)
		w.CheckEnd(s.id)
		s.works()
	})
}

// The application can't be read now, for want of a permission. What was issued is found
// by its marker when it can.
func TestApplicationIsUnreadable(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		w.dies(5, s.emergency)
		roles := []string(nil)
		w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { roles, a.Roles = a.Roles, nil })
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if len(c.Record.Abandoned) == 0 || c.Record.Abandoned[0].KeyID != "" || len(c.Notes) == 0 {
			t.Errorf("abandoned %+v, notes %q", c.Record.Abandoned, c.Notes)
		}
		w.sweep(hour)
		w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Roles = roles })
		w.sweep(3 * day)
		w.settled(s)
	})
}

// A target whose connection is nowhere is not rebuilt: nobody could make it rotate.
func TestNobodyActs(t *testing.T) {
	inBubble(t, func(w *world) {
		s, parent := w.subject(), w.subject()
		in := parent.certificate()
		parent.make(in)
		s.target(parent.id, in.ClientID)
		w.sweep(hour)
		rec := parent.record()
		if err := w.VaultPort().Delete(w.t.Context(), rec.AuthName()); err != nil {
			t.Fatal(err)
		}
		w.LoseTable(nil)
		want(t, w.rebuild(""), s.id, rebuild.Held)
		if err := w.VaultPort().Recover(w.t.Context(), rec.AuthName()); err != nil {
			t.Fatal(err)
		}
		plan := w.rebuild("")
		want(t, plan, parent.id, rebuild.Rebuilt)
		want(t, plan, s.id, rebuild.Rebuilt)
		w.settled(s, parent)
	})
}

// A secret that a person has deleted is not recovered, only told of.
func TestSoftDeleted(t *testing.T) {
	inBubble(t, func(w *world) {
		published, acting := w.rotating(), w.subject()
		acting.make(rotatingFor(acting))
		w.sweep(hour)
		w.OutsideBreak(true)
		one, two := published.record(), acting.record()
		for _, name := range []string{one.VaultName, two.AuthName()} {
			if err := w.VaultPort().Delete(w.t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		w.LoseTable(nil)
		plan := w.rebuild("")
		for _, s := range []*subject{published, acting} {
			if c := want(t, plan, s.id, rebuild.Held); !strings.Contains(strings.Join(c.ByPerson, " "), "Recover it") {
				t.Errorf("by person: %q", c.ByPerson)
			}
		}
		for _, name := range []string{one.VaultName, two.AuthName()} {
			if err := w.VaultPort().Recover(w.t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		w.OutsideBreak(false)
		w.rebuild("")
		w.settled(published, acting)
	})
}

// The connection had left an application for another: what it had issued there goes,
// the last one last.
func TestOtherApplication(t *testing.T) {
	inBubble(t, func(w *world) {
		s, next := w.rotating(), w.subject()
		if _, err := w.service().Update(w.t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.ClientSecret, TenantID: next.app.TenantID, ClientID: next.app.ClientID, ClientSecret: next.secret, ClientSecretKeyID: next.keyID,
		}}); err != nil {
			t.Fatal(err)
		}
		w.sweep(hour)
		was := s.record()
		if len(was.Retiring) == 0 {
			t.Fatalf("nothing is retiring: %+v", was)
		}
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if got, want := strings.Join(ids(c.Record.Retiring), " "), strings.Join(ids(was.Retiring), " "); got != want || !c.Record.Retiring[0].Last {
			t.Errorf("retiring %+v, want %+v", c.Record.Retiring, was.Retiring)
		}
		w.sweep(4 * day)
		w.settled(s)
		if live := w.Live(s.app.ClientID); live != 2 {
			t.Errorf("%d client secrets of the application that was left are alive, want 2", live)
		}
	})
}

// A client secret that was given without its key id, and was identified later: no tag
// names it, so that a person is told while it works, and not any more when it is gone.
func TestGivenWithoutKeyID(t *testing.T) {
	for _, wait := range []time.Duration{0, 4 * day} {
		inBubble(t, func(w *world) {
			s := w.subject()
			in := s.input()
			in.Rotate, in.ClientSecretKeyID = false, ""
			w.Change(s.app.ClientID, func(*rotationtest.AppSettings) {})
			s.make(in)
			grace := 48 * hour
			if _, err := w.service().Rotate(w.t.Context(), s.id, connection.RotateOptions{Grace: &grace, By: "tester"}); err != nil {
				t.Fatal(err)
			}
			w.sweep(hour + wait)
			w.LoseTable(nil)
			c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
			if told := len(c.ByPerson) > 0; told != (wait == 0) || c.Record.Current.Origin != rotation.OriginIssued {
				t.Errorf("after %s: by person %q, current %+v", wait, c.ByPerson, c.Record.Current)
			}
			w.settled(s)
		})
	}
}

// Somebody wrote over what is published; Rekey's own takes its place with the next
// rotation, as it does while the table is there.
func TestWrittenOver(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		w.OutsideBreak(true)
		if _, err := w.VaultPort().Put(w.t.Context(), rotation.VaultSecret{Name: s.record().VaultName, Value: rotation.NewSecret("by hand"), Enabled: true}); err != nil {
			t.Fatal(err)
		}
		w.LoseTable(nil)
		want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		w.sweep(hour)
		w.OutsideBreak(false)
		s.works()
		w.sweep(3 * day)
		w.settled(s)
	})
}
