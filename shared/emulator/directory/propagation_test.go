package directory_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

const step = 5 * time.Second

// history asks the token endpoint and Graph every step, for as long as the slowest
// replica may take and 10 steps more, and says what each answered: whether the secret
// works, and whether it is listed.
func (w *world) history(token, secret string, known int) (works, listed []bool) {
	for range 10*time.Minute/step + 10 {
		w.pass(step)
		works = append(works, w.ask(w.tenant, secretForm(w.app.ClientID, secret)).status == http.StatusOK)
		listed = append(listed, w.shown(token) > known)
	}
	return works, listed
}

// flaps counts how often the answer changed.
func flaps(history []bool) (n int) {
	for i := range history[1:] {
		if history[i] != history[i+1] {
			n++
		}
	}
	return n
}

// TestReplicas: with several replicas, what is new works, fails and works again
// until all know of it; what is removed likewise; and the same seed tells the same
// story.
func TestReplicas(t *testing.T) {
	play := func(seed uint64) (all [][]bool) {
		w := newWorld(t, directory.Config{Propagation: 10 * time.Minute, Replicas: 4, Seed: seed, TokenLifetime: 24 * time.Hour})
		token := w.token(w.app)
		path := "/applications/" + w.app.ObjectID
		added := w.act(token, path+"/addPassword", `{"passwordCredential":{"displayName":"new"}}`)
		secret, _ := added.body["secretText"].(string)
		keyID, _ := added.body["keyId"].(string)

		works, listed := w.history(token, secret, 1)
		for name, h := range map[string][]bool{"token endpoint": works, "list": listed} {
			if flaps(h) < 20 || slices.Contains(h[len(h)-10:], false) {
				t.Errorf("a new secret at the %s: %d changes, %v at the end; want many, and true", name, flaps(h), h[len(h)-10:])
			}
		}
		if a := w.act(token, path+"/removePassword", `{"keyId":"`+keyID+`"}`); a.status != http.StatusNoContent {
			t.Fatalf("removing: %d %v", a.status, a.body)
		}
		gone, unlisted := w.history(token, secret, 1)
		for name, h := range map[string][]bool{"token endpoint": gone, "list": unlisted} {
			if flaps(h) < 20 || slices.Contains(h[len(h)-10:], true) {
				t.Errorf("a removed secret at the %s: %d changes, %v at the end; want many, and false", name, flaps(h), h[len(h)-10:])
			}
		}
		return [][]bool{works, listed, gone, unlisted}
	}
	first, again, other := play(1), play(1), play(2)
	same := func(a, b [][]bool) bool { return slices.EqualFunc(a, b, slices.Equal) }
	if !same(first, again) || same(first, other) {
		t.Error("the seed does not decide what happens")
	}
}

func TestSetPropagation(t *testing.T) {
	w := newWorld(t, directory.Config{})
	w.SetPropagation(directory.Propagation{Max: time.Hour})
	token := w.token(w.app)
	w.act(token, "/applications/"+w.app.ObjectID+"/addPassword", `{}`)
	if n := w.shown(token); n != 1 {
		t.Errorf("%d passwords are listed, want the one that is old", n)
	}
	w.SetPropagation(directory.Propagation{})
	if n := w.shown(token); n != 2 {
		t.Errorf("%d passwords are listed, want both", n)
	}
}
