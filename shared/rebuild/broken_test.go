package rebuild_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rebuild"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// What is published was removed by a person: the one before, still in its grace period,
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
		if c.Record.Current.KeyID != was.Replaced()[0].KeyID || len(c.Notes) == 0 {
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

// The same of a connection that is not rotated: a person is told.
func TestPublishedDoesNotWorkWithoutRotation(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		off := false
		if _, err := w.service().Rotate(w.t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
			t.Fatal(err)
		}
		w.sweep(hour)
		if _, err := w.service().Update(w.t.Context(), s.id, connection.Change{Rotate: &off, By: "tester"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.service().Rotate(w.t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
			t.Fatal(err) // so that a tag says "off"
		}
		w.sweep(hour)
		was := s.record()
		w.OutsideBreak(true)
		w.RemoveByHand(was.Current.KeyID)
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if c.Record.Policy.Enabled || len(c.ByPerson) != 1 || !c.Record.NextSlot.IsZero() || c.Record.Policy.Grace != 48*hour {
			t.Errorf("by person %q, record %+v", c.ByPerson, c.Record)
		}
		s.emergency()
		w.sweep(hour)
		w.OutsideBreak(false)
		s.works()
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
		if rec := s.record(); rec.Error == nil || rec.Error.Class != serviceerror.CredentialLost || rec.Told == "" {
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
		if len(c.ByPerson) != 1 || c.Record.Auth.Problem == nil || c.Record.Auth.Problem.Class != serviceerror.CertificateRefused {
			t.Errorf("by person %q, auth %+v", c.ByPerson, c.Record.Auth)
		}
		if rec := want(t, plan, s.id, rebuild.Rebuilt).Record; rec.Current == nil || len(rec.Orphans()) == 0 {
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
		if len(c.Record.Orphans()) == 0 || c.Record.Orphans()[0].KeyID != "" || len(c.Notes) == 0 {
			t.Errorf("abandoned %+v, notes %q", c.Record.Orphans(), c.Notes)
		}
		w.sweep(hour)
		w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Roles = roles })
		w.sweep(3 * day)
		w.settled(s)
	})
}

// What is in its grace period can't be looked at either, for want of a permission: it is
// looked for by its marker when that has ended, and the original is a person's.
func TestReplacedIsUnreadable(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.subject()
		in := s.input()
		grace := 72 * hour
		in.OriginalGrace = &grace
		s.make(in)
		w.sweep(hour)
		if _, err := w.service().Rotate(w.t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
			t.Fatal(err)
		}
		w.sweep(hour)
		was := s.record()
		if len(was.Replaced()) != 2 {
			t.Fatalf("retiring: %+v", was.Replaced())
		}
		var roles []string
		w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { roles, a.Roles = a.Roles, nil })
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if len(c.Record.Orphans()) == 0 || c.Record.Orphans()[0].NextAt.Before(time.Now().Add(47*hour)) {
			t.Errorf("abandoned: %+v", c.Record.Orphans())
		}
		if len(c.Record.ByHand) != 1 || c.Record.ByHand[0].KeyID != s.keyID {
			t.Errorf("by hand: %+v", c.Record.ByHand)
		}
		w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Roles = roles })
		w.sweep(4 * day)
		if live := w.Live(s.app.ClientID); live != 4 { // with two foreign ones and the original
			t.Errorf("%d client secrets are alive, want 4", live)
		}
		w.settled(s)
	})
}

// The original in its grace period goes after it, as it would have.
func TestOriginalInGrace(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.subject()
		in := s.input()
		grace := 72 * hour
		in.OriginalGrace = &grace
		s.make(in)
		w.sweep(hour)
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if len(c.Record.Replaced()) != 1 || c.Record.Replaced()[0].KeyID != s.keyID {
			t.Errorf("retiring: %+v", c.Record.Replaced())
		}
		w.sweep(4 * day)
		if w.IsLive(s.keyID) {
			t.Error("it is still alive")
		}
		w.settled(s)
	})
}

// What a target was going to retire is in no tag: nothing of it is removed after a rebuild.
func TestWhatATargetRetiresIsForgotten(t *testing.T) {
	inBubble(t, func(w *world) {
		s, parent := w.subject(), w.subject()
		in := parent.certificate()
		parent.make(in)
		w.Own(s.app.ClientID, in.ClientID, true)
		rec, err := w.service().CreateTarget(t.Context(), parent.id, connection.TargetInput{
			Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true, Schedule: plan, Retire: []string{s.keyID}, By: "tester",
		})
		if err != nil {
			t.Fatal(err)
		}
		s.id = rec.ID
		w.sweep(hour)
		made := s.record()
		if retiring := made.Replaced(); len(retiring) != 1 || retiring[0].KeyID != s.keyID {
			t.Fatalf("retiring: %+v", retiring)
		}
		w.LoseTable(nil)
		want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		w.sweep(40 * day)
		if !w.IsLive(s.keyID) {
			t.Error("it was removed")
		}
		w.settled(s, parent)
	})
}

// A replica that has not heard of what is published refuses it at first.
func TestRefusedAtFirst(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		was := s.record()
		w.LoseTable(nil)
		r := w.rebuilder()
		r.Directory = &reluctant{Directory: r.Directory, left: 2}
		plan, err := r.Scan(w.t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if c := want(t, plan, s.id, rebuild.Missing); c.Record.Current.KeyID != was.Current.KeyID || len(c.ByPerson)+len(c.Notes) != 0 {
			t.Errorf("current %+v, notes %q, by person %q", c.Record.Current, c.Notes, c.ByPerson)
		}
	})
}

// reluctant is a directory that refuses so many tokens first.
type reluctant struct {
	rebuild.Directory
	left int
}

func (d *reluctant) Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error) {
	if d.left--; d.left >= 0 {
		return rotation.Token{}, &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
	}
	return d.Directory.Token(ctx, app, secret)
}

// Of what a connection authenticates with only the newest that works stays enabled.
func TestSignInTwice(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.subject()
		s.make(rotatingFor(s))
		w.sweep(hour)
		was := s.record()
		v, _ := w.Published(was.AuthName())
		v.Value = secret.New("not a certificate that anybody knows")
		for _, put := range []rotation.VaultSecret{mustGet(w, was.AuthName()), v} {
			time.Sleep(time.Second)
			if _, err := w.VaultPort().Put(w.t.Context(), put); err != nil {
				t.Fatal(err)
			}
		}
		w.sweep(hour)
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if auth := c.Record.Auth; auth.VaultVersion == was.Auth.VaultVersion || auth.Problem != nil ||
			auth.Thumbprint != was.Auth.Thumbprint || !auth.ExpiresAt.Equal(was.Auth.ExpiresAt) {
			t.Errorf("auth %+v, before %+v", auth, was.Auth)
		}
		w.settled(s)
	})
}

func mustGet(w *world, name string) rotation.VaultSecret {
	w.t.Helper()
	v, err := w.VaultPort().Get(w.t.Context(), name, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// What a connection authenticates with was disabled, or is gone.
func TestSignInIsNotThere(t *testing.T) {
	inBubble(t, func(w *world) {
		disabled, gone := w.subject(), w.subject()
		disabled.make(rotatingFor(disabled))
		gone.make(rotatingFor(gone))
		w.sweep(hour)
		one, two := disabled.record(), gone.record()
		if err := w.VaultPort().Disable(w.t.Context(), one.AuthName(), one.Auth.VaultVersion); err != nil {
			t.Fatal(err)
		}
		if err := w.VaultPort().Delete(w.t.Context(), two.AuthName()); err != nil {
			t.Fatal(err)
		}
		w.Purge(two.AuthName())
		w.LoseTable(nil)
		plan := w.rebuild("")
		for s, says := range map[*subject]string{disabled: "Enable", gone: "create it again"} {
			if c := want(t, plan, s.id, rebuild.Held); !strings.Contains(strings.Join(c.ByPerson, " "), says) {
				t.Errorf("by person %q, want %q", c.ByPerson, says)
			}
		}
	})
}

// A target whose connection is nowhere is not rebuilt: nothing could make it rotate.
func TestNoConnectionActs(t *testing.T) {
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
			Method: connection.ClientSecret, TenantID: next.app.TenantID, ClientID: next.app.ClientID,
			ClientSecret: next.secret, ClientSecretKeyID: next.keyID,
		}}); err != nil {
			t.Fatal(err)
		}
		w.sweep(hour)
		was := s.record()
		if len(was.Replaced()) == 0 {
			t.Fatalf("nothing is retiring: %+v", was)
		}
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if got, want := strings.Join(ids(c.Record.Replaced()), " "), strings.Join(ids(was.Replaced()), " "); got != want ||
			c.Record.Replaced()[0].Kind != rotation.RemoveLast {
			t.Errorf("retiring %+v, want %+v", c.Record.Replaced(), was.Replaced())
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

// A person wrote over what is published; Rekey's own takes its place with the next
// rotation, as it does while the table is there.
func TestWrittenOver(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		w.OutsideBreak(true)
		if _, err := w.VaultPort().Put(w.t.Context(),
			rotation.VaultSecret{Name: s.record().VaultName, Value: secret.New("by hand"), Enabled: true}); err != nil {
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

func ids(list []rotation.Removal) (all []string) {
	for _, o := range list {
		all = append(all, o.KeyID)
	}
	slices.Sort(all)
	return all
}
