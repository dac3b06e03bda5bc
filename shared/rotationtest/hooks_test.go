package rotationtest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// inABubble runs a test of a world with nothing in it but one application.
func inABubble(t *testing.T, test func(t *testing.T, w *rotationtest.World, app rotation.Application, secret secret.Value)) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		app, secret, _ := w.AddApplication()
		test(t, w, app, secret)
	})
}

func TestALateWriteTimesOutAndLandsAfterwards(t *testing.T) {
	inABubble(t, func(t *testing.T, w *rotationtest.World, _ rotation.Application, _ secret.Value) {
		write := func(name string) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			return w.VaultPort().Put(ctx, rotation.VaultSecret{Name: name, Value: secret.New("v"), Enabled: true})
		}
		timedOut := w.Late("vault.put one", time.Minute)
		if _, err := write("another"); err != nil {
			t.Fatalf("a write of another secret: %v", err)
		}
		begun := time.Now()
		if _, err := write("one"); !serviceerror.UnknownOutcome(err) {
			t.Errorf("error %v, want one of unknown outcome", err)
		}
		if took := time.Since(begun); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("the caller waited for %s, want its time-out of 30s", took)
		}
		select {
		case <-timedOut:
		default:
			t.Error("it is not said that the caller has given up")
		}
		w.Restart() // the write is on its way all the same
		time.Sleep(50 * time.Second)
		if _, ok := w.Published("one"); ok {
			t.Error("it has landed already")
		}
		time.Sleep(20 * time.Second)
		if _, ok := w.Published("one"); !ok {
			t.Error("it has not landed")
		}
		if _, err := write("one"); err != nil {
			t.Errorf("the next write: %v", err)
		}
	})
}

func TestBeforeRunsOnceAheadOfItsCall(t *testing.T) {
	inABubble(t, func(t *testing.T, w *rotationtest.World, app rotation.Application, secret secret.Value) {
		n := 0
		w.Before("graph.token", func() {
			n++
			if _, err := w.DirectoryPort().Token(t.Context(), app, secret); err != nil {
				t.Errorf("a call within: %v", err)
			}
			w.Change(app.ClientID, func(a *rotationtest.AppSettings) { a.Deleted = true })
		})
		for range 2 {
			if _, err := w.DirectoryPort().Token(t.Context(), app, secret); serviceerror.ClassOf(err) != serviceerror.ApplicationMissing {
				t.Errorf("error %v, want that the application is gone", err)
			}
		}
		if n != 1 {
			t.Errorf("it ran %d times", n)
		}
	})
}

func TestASlowCallEndsWithItsCallersTimeout(t *testing.T) {
	inABubble(t, func(t *testing.T, w *rotationtest.World, app rotation.Application, secret secret.Value) {
		sign := func(timeout time.Duration) (time.Duration, error) {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			begun := time.Now()
			_, err := w.DirectoryPort().Token(ctx, app, secret)
			return time.Since(begun), err
		}
		w.Slow("graph.token "+app.ClientID, 40*time.Second)
		if took, err := sign(30 * time.Second); err == nil || took != 30*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
		if took, err := sign(time.Minute); err != nil || took != 40*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
		w.Slow("graph.token "+app.ClientID, 0)
		if took, err := sign(time.Minute); err != nil || took != w.Latency {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestRefuseAnswersEveryCallUntilItIsTakenBack(t *testing.T) {
	inABubble(t, func(t *testing.T, w *rotationtest.World, app rotation.Application, secret secret.Value) {
		refusal := &serviceerror.Error{Op: "signing in", Class: serviceerror.Throttled, Status: 429}
		w.Refuse("graph.token", refusal)
		for range 2 {
			if _, err := w.DirectoryPort().Token(t.Context(), app, secret); !errors.Is(err, refusal) {
				t.Errorf("error %v", err)
			}
		}
		w.Refuse("graph.token", nil)
		if _, err := w.DirectoryPort().Token(t.Context(), app, secret); err != nil {
			t.Error(err)
		}
	})
}

// As Entra does: conditional access looks at who has signed in already.
func TestARefusedApplicationIsToldSoOnlyWithTheRightSecret(t *testing.T) {
	inABubble(t, func(t *testing.T, w *rotationtest.World, app rotation.Application, given secret.Value) {
		w.Change(app.ClientID, func(a *rotationtest.AppSettings) {
			a.Refused = &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialInvalid, Status: 400, Code: "AADSTS53003"}
		})
		if _, err := w.DirectoryPort().Token(t.Context(), app, given); serviceerror.ClassOf(err) != serviceerror.CredentialInvalid {
			t.Errorf("with the right secret: %v", err)
		}
		if _, err := w.DirectoryPort().Token(t.Context(), app, secret.New("wrong")); serviceerror.ClassOf(err) != serviceerror.CredentialRefused {
			t.Errorf("with a wrong one: %v", err)
		}
	})
}

func TestAHiddenSecretSignsInAndIsNotListed(t *testing.T) {
	inABubble(t, func(t *testing.T, w *rotationtest.World, app rotation.Application, secret secret.Value) {
		hidden, keyID := w.AddSecret(app.ClientID, rotationtest.SecretOptions{Fresh: true, Hidden: time.Minute})
		listed := func() (n int) {
			token, err := w.DirectoryPort().Token(t.Context(), app, hidden)
			if err != nil {
				t.Fatal(err)
			}
			state, err := w.DirectoryPort().Application(t.Context(), token, app)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range state.Passwords {
				if p.KeyID == keyID {
					n++
				}
			}
			return n
		}
		if n := listed(); n != 0 {
			t.Error("it is listed at once")
		}
		time.Sleep(time.Minute)
		if n := listed(); n != 1 {
			t.Errorf("after a minute it is listed %d times", n)
		}
		if all := w.Secrets(app.ClientID); len(all) != 2 || all[0].Value != secret || all[1].KeyID != keyID || !all[1].Works(time.Now()) {
			t.Errorf("by ground truth: %+v", all)
		}
	})
}
