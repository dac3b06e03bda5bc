package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
	"rekey/shared/session"
)

// A new version seals from then on, and what the one before it has sealed still opens. After
// the next one it does not any more.
func TestTheKeyIsRolledOver(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	first, second, third := w.browser(), w.browser(), w.browser()
	first.signIn(key)
	hour := func(b *browser) { b.ends[sessionCookie] = w.now().Add(time.Hour) }

	w.after(5 * time.Minute)
	w.vault.Seed(keyName, newKey('2'), nil)
	if p, _ := second.get(); p.Name != "" {
		t.Fatal("signed in without doing so")
	}
	second.signIn(key)
	old := first.cookies[sessionCookie]
	if p, _ := first.get(); p.Name != "ci" || first.cookies[sessionCookie] == old {
		t.Errorf("after a roll-over: %+v", p)
	}

	// Sealed by the second now; what the first has sealed is the copy.
	w.after(5 * time.Minute)
	w.vault.Seed(keyName, newKey('3'), nil)
	third.signIn(key)
	if p, _ := second.get(); p.Name != "ci" {
		t.Error("what the last key but one has sealed does not open")
	}
	first.cookies[sessionCookie] = old
	hour(first)
	p, resp := first.get()
	first.refused("what the last key but two has sealed", resp, http.StatusSeeOther, session.Ended)
	if p.Name != "" {
		t.Errorf("it is %+v", p)
	}
}

// A session that another instance has sealed by a newer key is good at once, also here, where
// the newer key is not known yet; and it is not thrown away while it can't be opened.
func TestANewerKeyIsLookedFor(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	here := w.browser()
	here.signIn(key)
	w.after(30 * time.Second) // the keys are fresh here
	w.vault.Seed(keyName, newKey('2'), nil)

	there := w.browser()
	there.m = w.instance()
	there.signIn(key)
	there.m = w.Manager
	if p, _ := there.get(); p.Name != "ci" {
		t.Error("a session by a newer key is refused")
	}

	w.after(time.Second)
	w.vault.Seed(keyName, newKey('3'), nil)
	again := w.browser()
	again.m = w.instance()
	again.signIn(key)
	again.m = w.Manager
	if p, _ := again.get(); p.Name != "" || again.cookies[sessionCookie] == "" {
		t.Errorf("a second after the vault was asked: %+v, cookies %v", p, again.cookies)
	}
	w.after(10 * time.Second)
	if p, _ := again.get(); p.Name != "ci" {
		t.Error("ten seconds later the session is still refused")
	}
}

// A version that an operator disables opens nothing more, within five minutes; so all
// sessions are ended.
func TestAKeyIsRemoved(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	b := w.browser()
	b.signIn(key)
	w.after(time.Minute)
	w.vault.Seed(keyName, newKey('2'), nil)
	w.vault.SetEnabled(keyName, w.vault.Versions(keyName)[0].ID, false)
	if p, _ := b.get(); p.Name != "ci" { // not known here yet
		t.Errorf("at once: %+v", p)
	}
	w.after(5 * time.Minute)
	p, resp := b.get()
	if b.refused("after five minutes", resp, http.StatusSeeOther, session.Ended); p.Name != "" {
		t.Errorf("it is %+v", p)
	}
	b.signIn(key)
}

// Where all keys of Rekey's own are disabled the next session makes another one.
func TestAllKeysAreRemoved(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	b := w.browser()
	b.signIn(key)
	w.vault.SetEnabled(keyName, "", false)
	w.after(5 * time.Minute)
	if p, _ := b.get(); p.Name != "" {
		t.Errorf("after five minutes: %+v", p)
	}
	b.signIn(key)
	if all := w.vault.Versions(keyName); len(all) != 2 || !all[1].Enabled {
		t.Errorf("the vault has %+v", all)
	}
}

// A key that ends soon and can't be followed by another one goes on.
func TestAKeyThatIsNotRenewed(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	w.browser().signIn(key)
	w.after(340 * 24 * time.Hour)
	w.hook = func(op string, _ *http.Request) *fault.Effect {
		if op == "vault.set" {
			return &fault.Effect{Status: http.StatusForbidden, Code: "ForbiddenByPolicy"}
		}
		return nil
	}
	w.browser().signIn(key)
	if !strings.Contains(w.lines(), "can't be renewed") || len(w.vault.Versions(keyName)) != 1 {
		t.Errorf("%d versions; the log says %s", len(w.vault.Versions(keyName)), w.lines())
	}
}

// A key of Rekey's own is followed by another one a month before its end, without ending a
// session; a key that an operator wrote is for the operator to follow.
func TestKeysAreRenewed(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	w.browser().signIn(key)
	w.after(335 * 24 * time.Hour)
	b := w.browser()
	b.signIn(key)
	if n := len(w.vault.Versions(keyName)); n != 1 {
		t.Fatalf("%d versions a month before the end", n)
	}
	w.after(5 * time.Minute)
	if p, _ := b.get(); p.Name != "ci" || len(w.vault.Versions(keyName)) != 2 {
		t.Errorf("then: %+v, %d versions", p, len(w.vault.Versions(keyName)))
	}

	own := newWorld(t)
	own.vault.Seed(keyName, newKey('1'), nil)
	own.browser().signIn(own.addKey("ci", auth.Read))
	if n := len(own.vault.Versions(keyName)); n != 1 {
		t.Errorf("%d versions beside the operator's", n)
	}
}
