package session_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/vault"
	"rekey/shared/session"
)

// newKey is a key as an operator writes one: openssl rand -base64 32.
func newKey(fill byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(fill), 32)))
}

// The first session makes the key, which stays in the vault: the next process opens what
// this one has sealed.
func TestTheKeyIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	if _, resp := b.get(); resp.StatusCode != http.StatusSeeOther || len(w.vault.Names()) != 0 {
		t.Errorf("a visitor without a session: status %d, and the vault has %q", resp.StatusCode, w.vault.Names())
	}
	b.signIn(w.addKey("ci", auth.Read))
	all := w.vault.Versions(keyName)
	if len(all) != 1 || !all[0].Enabled || all[0].ContentType != session.KeyType || !all[0].ExpiresAt.Equal(w.now().Add(365*24*time.Hour)) {
		t.Fatalf("the vault has %+v", all)
	}
	if raw, err := base64.StdEncoding.DecodeString(all[0].Value); err != nil || len(raw) != 32 {
		t.Errorf("the key has %d bytes, %v", len(raw), err)
	}
	b.m = w.instance()
	if p, _ := b.get(); p.Name != "ci" || len(w.vault.Versions(keyName)) != 1 {
		t.Errorf("the next process: %+v, and %d versions", p, len(w.vault.Versions(keyName)))
	}
}

// While nothing changes the vault is asked once in five minutes, not at each request.
func TestKeysAreKept(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(w.addKey("ci", auth.Read))
	asked := w.vault.Calls("vault.list") + w.vault.Calls("vault.get")
	for range 10 {
		w.after(59 * time.Second)
		if p, _ := b.get(); p.Name != "ci" {
			t.Fatal("the session is lost")
		}
	}
	// Once a read is a list and a value.
	if n := w.vault.Calls("vault.list") + w.vault.Calls("vault.get") - asked; n != 2 {
		t.Errorf("%d calls in ten minutes, want 2", n)
	}
}

// Made-up cookies make Rekey ask the vault once in ten seconds, not more.
func TestMadeUpCookiesAskSeldom(t *testing.T) {
	w := newWorld(t)
	w.browser().signIn(w.addKey("ci", auth.Read))
	before := w.vault.Calls("vault.list")
	b := w.browser()
	for range 600 { // a minute
		w.after(100 * time.Millisecond)
		b.cookies[sessionCookie], b.ends[sessionCookie] = strings.Repeat("A", 400), w.now().Add(time.Hour)
		if p, _ := b.get(); p.Name != "" {
			t.Fatal("let in")
		}
	}
	if n := w.vault.Calls("vault.list") - before; n < 1 || n > 7 {
		t.Errorf("%d looks in a minute", n)
	}
}

// Two instances that make the key at once find both, and agree.
func TestTwoInstancesMakeTheKey(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	instances := []*session.Manager{w.Manager, w.instance()}
	// Each has seen that there is none before the other writes.
	var seen atomic.Int32
	both := make(chan struct{})
	w.hook = func(op string, r *http.Request) *fault.Effect {
		if op == "vault.set" {
			if seen.Add(1) == 2 {
				close(both)
			}
			<-both
		}
		return nil
	}
	browsers := make([]*browser, len(instances))
	var all sync.WaitGroup
	for i, m := range instances {
		browsers[i] = w.browser()
		browsers[i].m = m
		all.Go(func() { browsers[i].signIn(key) })
	}
	all.Wait()
	if n := len(w.vault.Versions(keyName)); n != 2 {
		t.Fatalf("%d versions", n)
	}
	w.after(10 * time.Second)
	for i, b := range browsers {
		b.m = instances[1-i]
		if p, _ := b.get(); p.Name != "ci" {
			t.Errorf("the session of instance %d is none to the other one", i)
		}
	}
}

// A key whose writing had no answer is found where it was written, and made again where it was
// not.
func TestAKeyThatMayHaveBeenWritten(t *testing.T) {
	for _, applied := range []bool{true, false} {
		w := newWorld(t)
		key := w.addKey("ci", auth.Read)
		w.hook = func(op string, _ *http.Request) *fault.Effect {
			if op == "vault.set" {
				return &fault.Effect{Apply: applied, Status: http.StatusServiceUnavailable}
			}
			return nil
		}
		b := w.browser()
		if !applied {
			resp := b.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {key}})
			b.refused("not written", resp, http.StatusServiceUnavailable, session.Unavailable)
			w.hook = nil
			w.after(10 * time.Second)
		}
		if b.signIn(key); len(w.vault.Versions(keyName)) != 1 {
			t.Errorf("applied %v: %d versions", applied, len(w.vault.Versions(keyName)))
		}
	}
}

// What is no key is not used, and nothing is written beside it: the setting may name a
// secret of another kind.
func TestASecretThatIsNoKey(t *testing.T) {
	for name, seed := range map[string]func(v *vault.Vault){
		"text": func(v *vault.Vault) { v.Seed(keyName, "a client secret of a connection, say", nil) },
		"too short": func(v *vault.Vault) {
			v.Seed(keyName, base64.StdEncoding.EncodeToString([]byte("sixteen bytes ok")), nil)
		},
		"disabled": func(v *vault.Vault) {
			v.Seed(keyName, newKey('1'), nil)
			v.SetEnabled(keyName, "", false)
		},
		"soft-deleted": func(v *vault.Vault) {
			v.Seed(keyName, newKey('1'), nil)
			v.SoftDelete(keyName)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			seed(w.vault)
			before := len(w.vault.Versions(keyName))
			b := w.browser()
			resp := b.do(http.MethodPost, session.SignInPath+"/key", map[string][]string{"key": {w.addKey("ci", auth.Read)}})
			b.refused("signing in", resp, http.StatusServiceUnavailable, session.Unavailable)
			if n := len(w.vault.Versions(keyName)); n != before || len(b.cookies) != 0 {
				t.Errorf("%d versions, cookies %v", n, b.cookies)
			}
			if !strings.Contains(w.lines(), keyName) || strings.Contains(w.lines(), "client secret of") {
				t.Errorf("the log says %s", w.lines())
			}
		})
	}
}

// While the vault does not answer, sessions go on for an hour, and no longer.
func TestTheVaultIsAway(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(w.addKey("ci", auth.Read))
	w.server.Close()
	for range 5 {
		w.after(11 * time.Minute)
		if p, resp := b.get(); p.Name != "ci" {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	w.after(10 * time.Minute)
	_, resp := b.get()
	b.refused("after an hour", resp, http.StatusServiceUnavailable, session.Unavailable)
	if b.cookies[sessionCookie] == "" {
		t.Error("the session is thrown away")
	}
}
