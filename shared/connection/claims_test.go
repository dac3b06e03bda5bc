package connection_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/claim"
	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
)

// What two connections of one application can and cannot do (rule R11): of the first by what
// it does or has to do, of the second by what is asked for. An exclusive claim excludes all
// others; shared ones do not exclude each other; certificates claim nothing.
func TestWhatTwoConnectionsOfOneApplicationCanDo(t *testing.T) {
	rotationtest.PlainOnly(t)
	const nothing = rotation.ClaimKind("")
	update := func(t *testing.T, s *subject, c connection.Change) {
		t.Helper()
		if _, err := service(s.w).Update(t.Context(), s.id, c); err != nil {
			t.Fatal(err)
		}
	}
	const ends = true
	firsts := map[string]struct {
		has  rotation.ClaimKind
		ends bool // by itself, so that the refusal says when to try again
		make func(t *testing.T, s *subject)
	}{
		"none": {nothing, !ends, func(*testing.T, *subject) {}},
		"signs in with a certificate": {nothing, !ends, func(t *testing.T, s *subject) {
			s.w.AddCertificate(s.app.ClientID, stored(given))
			if err := s.make(t, connection.Input{Name: "certificate", Credentials: connection.Credentials{
				Method: connection.Certificate, TenantID: s.app.TenantID, ClientID: s.app.ClientID, Certificate: given,
			}}); err != nil {
				t.Fatal(err)
			}
		}},
		"publishes":              {rotation.Shared, !ends, unrotated},
		"signs in with a secret": {rotation.Shared, !ends, func(t *testing.T, s *subject) { s.signsInWithSecret(t) }},
		"rotated before": {rotation.Shared, !ends, func(t *testing.T, s *subject) {
			settled(t, s)
			update(t, s, connection.Change{Rotate: new(false)})
		}},
		"goes over to it":             {rotation.Shared, !ends, func(t *testing.T, s *subject) { s.goesOver(t, false) }},
		"goes over to it and rotates": {rotation.Exclusive, !ends, func(t *testing.T, s *subject) { s.goesOver(t, true) }},
		"rotates":                     {rotation.Exclusive, !ends, settled},
		"rotated before and has something to remove": {rotation.Exclusive, ends, func(t *testing.T, s *subject) {
			settled(t, s)
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
			update(t, s, connection.Change{Rotate: new(false)})
		}},
		"is rotated by hand": {rotation.Exclusive, ends, func(t *testing.T, s *subject) {
			unrotated(t, s)
			if rec, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil || rec.Run == nil {
				t.Fatalf("run %+v, %v", rec.Run, err)
			}
		}},
		"has left it and removes what it had": {rotation.Exclusive, ends, func(t *testing.T, s *subject) {
			settled(t, s)
			app, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			s.rebindTo(t, app, secret, keyID)
			s.sweep(t, time.Hour)
			if rec := s.record(t); !rec.Target.Same(app) || len(rec.Replaced()) != 1 {
				t.Fatalf("of %s, to be removed %v", rec.Target.ClientID, rec.Removals)
			}
		}},
		"a target rotates it": {rotation.Exclusive, !ends, func(t *testing.T, s *subject) { withTarget(t, s) }},
		"is being deleted": {rotation.Exclusive, ends, func(t *testing.T, s *subject) {
			settled(t, s)
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
			if _, err := s.briefly().Delete(t.Context(), s.id, connection.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
	}
	create := func(t *testing.T, s *subject, in connection.Input) error {
		_, err := service(s.w).Create(t.Context(), in)
		return err
	}
	// changed is the second connection, which publishes first.
	changed := func(t *testing.T, s *subject) (id string, err error) {
		rec, err := service(s.w).Create(t.Context(), s.own("second"))
		s.sweep(t, time.Minute)
		return rec.ID, err
	}
	asks := map[string]struct {
		needs rotation.ClaimKind
		ask   func(t *testing.T, s *subject) error
	}{
		"publish": {rotation.Shared, func(t *testing.T, s *subject) error { return create(t, s, s.own("second")) }},
		"sign in with a secret": {rotation.Shared, func(t *testing.T, s *subject) error {
			target, _, _ := s.w.AddApplication()
			s.w.Own(target.ClientID, s.app.ClientID, true)
			return create(t, s, rotating(s.publishing("second", s.another(), ""), target))
		}},
		"go over to it": {rotation.Shared, func(t *testing.T, s *subject) error {
			elsewhere, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			in := s.publishing("second", secret, keyID)
			in.TenantID, in.ClientID = elsewhere.TenantID, elsewhere.ClientID
			rec, err := service(s.w).Create(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			s.sweep(t, 2*time.Minute)
			next := s.own("").Credentials
			_, err = service(s.w).Update(t.Context(), rec.ID, connection.Change{Credentials: &next})
			return err
		}},
		"rotate": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			in := s.own("second")
			in.Rotate, in.Schedule = true, monthly
			return create(t, s, in)
		}},
		"turn rotation on": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Update(t.Context(), id, connection.Change{Rotate: new(true), Schedule: &monthly})
			}
			return err
		}},
		"turn rotation on with other credentials": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				next := s.own("").Credentials
				_, err = service(s.w).Update(t.Context(), id, connection.Change{Rotate: new(true), Schedule: &monthly, Credentials: &next})
			}
			return err
		}},
		"rotate by hand": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Rotate(t.Context(), id, connection.RotateOptions{})
			}
			return err
		}},
		"rotate in an emergency": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Rotate(t.Context(), id, connection.RotateOptions{Emergency: true})
			}
			return err
		}},
		"delete": {rotation.Shared, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Delete(t.Context(), id, connection.DeleteOptions{Revoke: true}) // nothing of it was issued
			}
			return err
		}},
	}
	for first, f := range firsts {
		for second, a := range asks {
			t.Run(first+", "+second, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					f.make(t, s)
					err := a.ask(t, s)
					refused := f.has == rotation.Exclusive || f.has == rotation.Shared && a.needs == rotation.Exclusive
					if refused != (kindOf(err) == connection.Conflict) || !refused && err != nil {
						t.Errorf("got %v; want it refused: %t", err, refused)
					}
					if e, ok := errors.AsType[*connection.Error](err); ok && (e.RetryAfter > 0) != f.ends {
						t.Errorf("told to try again in %s: %v", e.RetryAfter, err)
					}
					s.sweep(t, 3*day)
					s.check(t)
				})
			})
		}
	}
}

// Of two that claim one application at the same moment, at least one is refused, and both
// may try again.
func TestOfTwoClaimsAtOnceOneIsRefused(t *testing.T) {
	for name, rotates := range map[string][2]bool{
		"both rotate": {true, true}, "one rotates": {true, false}, "the other rotates": {false, true},
	} {
		for _, op := range []string{"store.claim", "store.claims", "store.create"} {
			t.Run(name+", before "+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					var in [2]connection.Input
					for i := range in {
						if in[i] = s.own([]string{"first", "second"}[i]); rotates[i] {
							in[i].Rotate, in[i].Schedule = true, monthly
						}
					}
					var inner error
					calls := 0
					var between func()
					between = func() { // the first look is before anything is claimed
						if calls++; op == "store.claims" && calls == 1 {
							s.w.Before(op, between)
							return
						}
						_, inner = service(s.w).Create(t.Context(), in[1])
					}
					s.w.Before(op, between)
					_, outer := service(s.w).Create(t.Context(), in[0])
					if inner == nil && outer == nil {
						t.Error("both were created")
					}
					for _, err := range []error{inner, outer} {
						if err != nil && kindOf(err) != connection.Conflict {
							t.Errorf("refused with %v", err)
						}
					}
					s.sweep(t, time.Hour)
					s.check(t)
				})
			})
		}
	}
}

// frozen is a process that stands still for a while before it writes its new record. The
// write is made although the time of its caller is over.
type frozen struct {
	connection.Records
	meanwhile func()
}

func (f frozen) Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	f.meanwhile()
	return f.Records.Create(context.WithoutCancel(ctx), rec, events...)
}

// A process that stood still for so long that its claims were void writes a record that
// another connection is in the way of. A pass finds that out first, and undoes the creation.
func TestACreationThatComesTooLateIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		late := service(s.w)
		late.Records = frozen{late.Records, func() {
			time.Sleep(claim.VoidAfter + time.Minute)
			in := s.own("second")
			in.Rotate, in.Schedule = true, monthly
			if err := s.make(t, in); err != nil {
				t.Fatalf("after the claims are void: %v", err)
			}
		}}
		in := s.input()
		in.ID = "5a3d2b1c-0000-4000-8000-000000000001"
		if rec, err := late.Create(t.Context(), in); err == nil {
			t.Errorf("it was created: %+v", rec)
		}
		s.sweep(t, time.Hour)
		if !slices.ContainsFunc(s.historyOf(t, in.ID), func(e rotation.Event) bool { return e.Kind == history.Undone }) {
			t.Error("nothing was undone")
		}
		if left := s.w.Records(); len(left) != 1 || left[0] != s.id || !s.w.IsLive(s.keyID) {
			t.Errorf("records %v, want the second one's; what was given lives: %t", left, s.w.IsLive(s.keyID))
		}
		s.check(t)
	})
}

// Inspecting writes nothing, not even what would be right: a claim that is void stays, and is in no way.
func TestInspectingLeavesAVoidClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		left := rotation.ClaimRow{Claim: rotation.Claim{ID: "left", Kind: rotation.Exclusive, App: s.app.Key()}, Owner: "gone", At: time.Now()}
		if err := s.w.StorePort().Claim(t.Context(), left); err != nil {
			t.Fatal(err)
		}
		for _, free := range []bool{false, true} {
			for _, name := range []string{"billing", ""} {
				in := s.input()
				in.Name = name
				found, err := service(s.w).Inspect(t.Context(), in)
				if err != nil || (len(found.Check.Why) == 0) != free {
					t.Errorf("named %q, can rotate %t: %q, %v", name, !free, found.Check.Why, err)
				}
			}
			time.Sleep(claim.VoidAfter + time.Minute)
		}
		if rows, err := s.w.StorePort().ClaimsOf(t.Context(), s.app.Key()); err != nil || len(rows) != 1 {
			t.Errorf("claims afterwards: %+v, %v", rows, err)
		}
	})
}

// Inspecting names the connection that is in the way, also where no name is given for the new one. It claims nothing.
func TestInspectingNamesWhoHasTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		unrotated(t, s)
		for _, rotates := range []bool{false, true} { // what is there
			for _, second := range []bool{false, true} { // what is asked for
				in := s.own("")
				in.Rotate, in.Schedule = second, monthly
				before := s.claimIDs(t)
				found, err := service(s.w).Inspect(t.Context(), in)
				why := strings.Join(found.Check.Why, " ")
				if refused := rotates || second; err != nil || refused != strings.Contains(why, `"billing" (`+s.id+`)`) {
					t.Errorf("rotates %t, is to rotate %t: %q, %v", rotates, second, why, err)
				}
				if after := s.claimIDs(t); !slices.Equal(after, before) {
					t.Errorf("claims before %v, after %v", before, after)
				}
			}
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(true), Schedule: &monthly}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
		}
		for _, target := range []connection.Target{{ClientID: s.app.ClientID}, {ObjectID: s.app.ObjectID}} {
			in := s.actor()
			in.Name, in.Target, in.Rotate, in.Schedule = "", target, true, monthly
			if found, err := service(s.w).Inspect(t.Context(), in); err != nil || !strings.Contains(strings.Join(found.Check.Why, " "), s.id) {
				t.Errorf("for %+v: %q, %v", target, found.Check.Why, err)
			}
		}
	})
}

// claimIDs are the claims on the subject's application.
func (s *subject) claimIDs(t *testing.T) (ids []string) {
	t.Helper()
	rows, err := s.w.StorePort().ClaimsOf(t.Context(), s.app.Key())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	slices.Sort(ids)
	return ids
}

// goesOver makes a connection of another application and leaves it going over to the
// subject's.
func (s *subject) goesOver(t *testing.T, rotates bool) {
	t.Helper()
	here := s.own("over")
	elsewhere, secret, keyID := s.w.AddApplication()
	s.w.Name(keyID)
	in := s.publishing("billing", secret, keyID)
	in.TenantID, in.ClientID = elsewhere.TenantID, elsewhere.ClientID
	if rotates {
		in.Rotate, in.Schedule = true, monthly
	}
	if err := s.make(t, in); err != nil {
		t.Fatal(err)
	}
	s.sweep(t, time.Hour)
	s.rebindTo(t, s.app, here.ClientSecret, here.ClientSecretKeyID)
}

// A connection's own targets may have the application that it signs in with, whichever
// comes first.
func TestATargetMayHaveTheApplicationOfItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signsInWithSecret(t)
		s.w.Own(s.app.ClientID, s.app.ClientID, true)
		again := connection.TargetInput{Target: connection.Target{ClientID: s.app.ClientID}, Name: "payroll", Rotate: true, Schedule: monthly}
		if _, err := service(s.w).CreateTarget(t.Context(), s.id, again); err != nil {
			t.Fatal(err)
		}
		again.Name = "again"
		_, err := service(s.w).CreateTarget(t.Context(), s.id, again)
		refusal(t, err, connection.Conflict, `It is already a target of this connection: "payroll"`)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.another(),
		}}); err != nil {
			t.Errorf("reconnecting with the same application: %v", err)
		}
		err = s.second(t, s.another())
		refusal(t, err, connection.Conflict, "nothing may authenticate")
		s.sweep(t, 40*day)
		s.check(t)
	})
}

// givenTwice makes a connection that rotates nothing, and gives it new credentials twice
// within a minute, without key ids, so that it has nothing to remove. It returns the last.
func givenTwice(t *testing.T, s *subject) (last secret.Value) {
	t.Helper()
	unrotated(t, s)
	for range 2 {
		last = s.another()
		s.giveAnother(t, s.app, last)
		if v, _ := s.w.Published(s.recordOf(t, s.id).VaultName); v.Value != last {
			t.Fatal("the new credentials were not taken over")
		}
	}
	return last
}

// Neither removes anything, so that neither is in the other's way.
func TestTwoThatRotateNothingShareAnApplicationRightAfterNewCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		givenTwice(t, s)
		if err := s.second(t, s.another()); err != nil {
			t.Errorf("refused: %v", err)
		}
		s.check(t)
	})
}
