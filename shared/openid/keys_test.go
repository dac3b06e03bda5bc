package openid_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/openid"
)

// check verifies an ID token of the tenant that is good but for its key.
func (a *authority) check(t *testing.T, key *rsa.PrivateKey, kid string) error {
	t.Helper()
	now := a.clock()
	_, err := a.IDToken(t.Context(), sign(key, kid, with(a.idClaims(), object{"nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()})), good)
	return err
}

func TestKeysRollOver(t *testing.T) {
	a := newAuthority(t)
	if err := a.check(t, oldKey, "old"); err != nil {
		t.Fatal(err)
	}
	a.set(func() { a.keys["new"] = newKey })
	a.after(time.Minute)
	if err := a.check(t, newKey, "new"); err != nil {
		t.Errorf("token of the new key: %v", err)
	}
	if err := a.check(t, oldKey, "old"); err != nil {
		t.Errorf("token of the old key: %v", err)
	}
	if a.asked() != 2 {
		t.Errorf("%d requests, want 2", a.asked())
	}
}

// A key that was withdrawn is refused within an hour, and at once when anything
// makes us look.
func TestKeyDropped(t *testing.T) {
	a := newAuthority(t)
	if err := a.check(t, oldKey, "old"); err != nil {
		t.Fatal(err)
	}
	a.set(func() { a.keys = map[string]*rsa.PrivateKey{"new": newKey} })
	a.after(time.Hour)
	if err := a.check(t, oldKey, "old"); !errors.Is(err, openid.Signature) {
		t.Errorf("token of a withdrawn key: %v, want it refused", err)
	}

	b := newAuthority(t)
	if err := b.check(t, oldKey, "old"); err != nil {
		t.Fatal(err)
	}
	b.set(func() { b.keys = map[string]*rsa.PrivateKey{"new": newKey} })
	b.after(time.Minute)
	if err := b.check(t, newKey, "new"); err != nil {
		t.Errorf("token of the new key: %v", err)
	}
	if err := b.check(t, oldKey, "old"); !errors.Is(err, openid.Signature) {
		t.Errorf("token of a withdrawn key: %v, want it refused", err)
	}
}

// Any caller can make up key ids. One request a minute is all that this costs, and known
// callers go on.
func TestUnknownKeysFlood(t *testing.T) {
	a := newAuthority(t)
	if err := a.check(t, oldKey, "old"); err != nil {
		t.Fatal(err)
	}
	for i := range 300 { // five minutes
		if err := a.check(t, forger, fmt.Sprint("made up ", i)); !errors.Is(err, openid.Signature) {
			t.Fatalf("made-up key: %v", err)
		}
		a.after(time.Second)
	}
	if a.asked() > 1+5 {
		t.Errorf("%d requests in five minutes, want 6 at most", a.asked())
	}
	if err := a.check(t, oldKey, "old"); err != nil {
		t.Errorf("a good token afterwards: %v", err)
	}
}

func TestConcurrentCallersShareARequest(t *testing.T) {
	a := newAuthority(t)
	token := sign(oldKey, "old", a.idClaims())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := a.IDToken(t.Context(), token, good); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if a.asked() != 1 {
		t.Errorf("%d requests, want 1", a.asked())
	}
}

// Where any tenant may sign in, its keys are asked for; there are only so many
// requests for that.
func TestTenantsFlood(t *testing.T) {
	a := newAuthority(t)
	refused := 0
	for i := range 200 {
		tid := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		token := sign(forger, "mine", with(a.idClaims(), object{"tid": tid, "iss": a.URL + "/" + tid + "/v2.0"}))
		_, err := a.IDToken(t.Context(), token, openid.Expect{ClientID: client, Nonce: "the nonce"})
		if errors.Is(err, openid.Signature) {
			refused++
		} else if serviceerror.ClassOf(err) != serviceerror.Throttled {
			t.Fatal(err)
		}
	}
	if refused != 60 || a.asked() != 60 {
		t.Errorf("%d were judged with %d requests, want 60", refused, a.asked())
	}
}

// What goes wrong with the keys is no verdict on the token, and repeats nothing of
// what was answered.
func TestKeysUnavailable(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "confidential", code) }
	}
	body := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	usable := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"old","n":%q,"e":"AQAB"}]}`, b64(oldKey.N.Bytes()))
	weak := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"old","n":%q,"e":"AQAB"}]}`, b64(weakKey.N.Bytes()))
	encryption := fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"enc","kid":"old","n":%q,"e":"AQAB"}]}`, b64(oldKey.N.Bytes()))
	tests := map[string]struct {
		answer http.HandlerFunc
		want   serviceerror.Class
	}{
		"down":           {status(503), serviceerror.Transient},
		"throttled":      {status(429), serviceerror.Throttled},
		"unknown tenant": {status(400), serviceerror.Invalid},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
			serviceerror.Invalid},
		"no JSON":            {body("<html>confidential"), serviceerror.Invalid},
		"no keys":            {body(`{"keys":[]}`), serviceerror.Invalid},
		"huge":               {body(usable + strings.Repeat(" ", 600<<10)), serviceerror.Invalid},
		"keys of 1024 bits":  {body(weak), serviceerror.Invalid},
		"keys to encrypt to": {body(encryption), serviceerror.Invalid},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"keys":`)
		}, serviceerror.Transient},
		"connection closed": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, serviceerror.Transient},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			a.answer = tt.answer
			for range 20 {
				err := a.check(t, oldKey, "old")
				if err == nil || errors.Is(err, openid.ErrRefused) || serviceerror.ClassOf(err) != tt.want {
					t.Fatalf("err = %v, want class %s and no verdict", err, tt.want)
				}
				if strings.Contains(err.Error(), "confidential") || strings.Contains(err.Error(), a.URL) {
					t.Fatalf("the error repeats what was answered: %v", err)
				}
			}
			if a.asked() != 1 {
				t.Errorf("%d requests at one moment, want 1", a.asked())
			}
			a.set(func() { a.answer = nil })
			a.after(10 * time.Second)
			if err := a.check(t, oldKey, "old"); err != nil {
				t.Errorf("ten seconds later, with everything all right: %v", err)
			}
		})
	}
}

// Keys that are known outlive an outage of a day, and no more.
func TestOutage(t *testing.T) {
	a := newAuthority(t)
	if err := a.check(t, oldKey, "old"); err != nil {
		t.Fatal(err)
	}
	a.set(func() { a.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) } })
	a.after(24*time.Hour - time.Second)
	if err := a.check(t, oldKey, "old"); err != nil {
		t.Errorf("after almost a day: %v", err)
	}
	if err := a.check(t, forger, "old"); !errors.Is(err, openid.Signature) {
		t.Errorf("a forgery during it: %v", err)
	}
	if err := a.check(t, newKey, "new"); err == nil || errors.Is(err, openid.ErrRefused) {
		t.Errorf("an unknown key during it: %v, want no verdict", err)
	}
	a.after(time.Second)
	if err := a.check(t, oldKey, "old"); err == nil || errors.Is(err, openid.ErrRefused) {
		t.Errorf("after a day: %v, want no verdict", err)
	}
}

// A caller who hangs up spoils nothing for the next.
func TestHangUp(t *testing.T) {
	a := newAuthority(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		a.answer = nil
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","kid":"old","n":%q,"e":"AQAB"}]}`, b64(oldKey.N.Bytes()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	token := sign(oldKey, "old", a.idClaims())
	done := make(chan error)
	go func() {
		_, err := a.Verifier.IDToken(ctx, token, good)
		done <- err
	}()
	<-arrived
	cancel()
	if err := <-done; err == nil || errors.Is(err, openid.ErrRefused) {
		t.Errorf("the one who hung up: %v, want no verdict", err)
	}
	close(release)
	if _, err := a.IDToken(t.Context(), token, good); err != nil || a.asked() != 1 {
		t.Errorf("the next: %v with %d requests, want the same request's answer", err, a.asked())
	}
}
