package connection_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/secret"
)

// Of two renewals at once, and of a renewal during a reconnect, the newest refresh token
// stays.
func TestNewestRefreshTokenSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.person()
		if err := s.make(t, in); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		two := make(chan error, 2)
		for i := range 2 {
			go func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				_, err := actors(s.w).Token(t.Context(), s.id)
				two <- err
			}()
		}
		if err := errors.Join(<-two, <-two); err != nil {
			t.Fatal(err)
		}
		s.inVault(t, s.w.Newest(s.account))

		time.Sleep(48 * time.Hour)
		refresh := secret.Value{}
		go func() { two <- actors(s.w).Renew(t.Context(), s.id) }()
		go func() {
			var account string
			account, refresh = s.w.AddPerson()
			in.SignIn = &connection.SignIn{RefreshToken: refresh, Account: account}
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials})
			two <- err
		}()
		if err := errors.Join(<-two, <-two); err != nil {
			t.Fatal(err)
		}
		rec, _ := s.w.Record(s.id)
		if rec.Auth.Generation != 2 {
			t.Errorf("generation %d", rec.Auth.Generation)
		}
		s.inVault(t, refresh)
		s.sweep(t, time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// A reconnect beats the renewal of what was there before, however late that ends, and
// the version that the renewal has written in vain does not stay.
func TestAReconnectBeatsARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		c := s.signedIn(t)
		s.sweep(t, time.Hour)
		var refresh secret.Value
		s.w.Before("graph.refresh", func() { refresh = s.reconnect(t, c) })
		if err := actors(s.w).Renew(t.Context(), s.id); err != nil {
			t.Fatal(err)
		}
		s.inVault(t, refresh)
		if n := s.enabled(t); n != 2 { // the one before is disabled later
			t.Errorf("%d versions can be read, want the one in use and the one before", n)
		}
		s.sweep(t, time.Hour)
		s.w.CheckEnd(s.id)
		s.inVault(t, refresh)
		s.check(t)
	})
}

// Of two processes that renew at once the later one's refresh token stays, whichever writes
// it down first.
func TestOfTwoRenewalsTheLaterOneStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signedIn(t)
		s.sweep(t, time.Hour)
		s.onceStored(func() {
			if err := actors(s.w).Renew(t.Context(), s.id); err != nil {
				t.Errorf("the later one: %v", err)
			}
		})
		if err := actors(s.w).Renew(t.Context(), s.id); err != nil {
			t.Errorf("the earlier one: %v", err)
		}
		s.inVault(t, s.w.Newest(s.account))
		if n := s.enabled(t); n != 2 {
			t.Errorf("%d versions can be read, want the one in use and the one before", n)
		}
		s.sweep(t, time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// What is renewed while older credentials are being disabled is not taken for one of
// them, though the record does not name it yet.
func TestWhatIsRenewedIsNotDisabledWithOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		c := s.signedIn(t)
		s.sweep(t, time.Hour)
		s.reconnect(t, c)
		time.Sleep(rotation.StaleAge + time.Minute)
		s.onceStored(func() { service(s.w).Rotator.Sweep(t.Context()) })
		if err := actors(s.w).Renew(t.Context(), s.id); err != nil {
			t.Fatal(err)
		}
		if n := s.enabled(t); n != 2 {
			t.Errorf("%d versions can be read, want the new one and the one before", n)
		}
		if _, err := actors(s.w).Token(t.Context(), s.id); err != nil {
			t.Errorf("with what was renewed: %v", err)
		}
		s.sweep(t, time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// A refresh token is saved once a day, not at every use.
func TestARefreshTokenIsSavedOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signedIn(t)
		rec, _ := s.w.Record(s.id)
		saves := 0
		for range 40 { // ten days
			time.Sleep(6 * time.Hour)
			if _, err := actors(s.w).Token(t.Context(), s.id); err != nil {
				t.Fatal(err)
			}
			was := rec.Auth.VaultVersion
			if rec, _ = s.w.Record(s.id); rec.Auth.VaultVersion != was {
				saves++
			}
		}
		if saves < 8 || saves > 10 {
			t.Errorf("saved %d times in ten days", saves)
		}
		s.check(t)
	})
}

// A renewal that fails is tried again once a day, which is often enough.
func TestAFailedRenewalIsTriedOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signedIn(t)
		rec, _ := s.w.Record(s.id)
		time.Sleep(time.Until(rec.Auth.RenewAt))
		s.w.Withdraw(s.account)
		s.w.Calls()
		tried := 0
		for end := time.Now().Add(5 * 24 * time.Hour); tried <= 6 && time.Now().Before(end); time.Sleep(10 * time.Minute) {
			service(s.w).Rotator.Sweep(t.Context())
			tried += s.w.Calls()["graph.refresh"]
		}
		if tried < 4 || tried > 6 {
			t.Errorf("tried %d times in five days", tried)
		}
		s.check(t)
	})
}
