package functions_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/functionshost"
)

// modes are the two ways in which a host passes requests on.
var modes = map[string]functionshost.Mode{"forwarding": functionshost.Forwarding, "proxying": functionshost.Proxying}

// history is what the tests read of a connection's history.
type history struct {
	Rotations []struct {
		ID, Trigger, Outcome, KeyID, RequestedBy string
		StartedAt, FinishedAt                    time.Time
	}
	Revocations []struct {
		KeyID             string
		RevokedAt, GoneAt *time.Time
	}
}

func (c *client) history(id string) history {
	c.t.Helper()
	return decode[history](c.t, c.call(auth.Read, http.MethodGet, secrets+"/"+id+"/rotations", nil))
}

func (c *client) get(id string) view {
	c.t.Helper()
	return c.one(c.call(auth.Read, http.MethodGet, secrets+"/"+id, nil))
}

func unixOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the handler is started by a shell script here")
	}
}

// The main job, with the binary that is deployed: a client secret is taken over and
// the original revoked, another one without its key id, then rotated by hand; the
// history tells both runs; and what a request has no time for the timer does.
func TestMainJob(t *testing.T) {
	t.Parallel()
	unixOnly(t)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, mode)
			a, b := d.sample(), d.sample()
			foreign, _ := d.foreign(a, time.Now().AddDate(1, 0, 0))

			made := d.create(a)
			d.settled(made.ID)
			first := d.get(made.ID).Rotation.Current.KeyID
			d.managed(a, made.VaultSecretName, first, foreign)

			other := d.create(b, "name", "reporting", "credentials.clientSecretKeyId", absent)
			d.settled(other.ID)
			d.managed(b, other.VaultSecretName, d.get(other.ID).Rotation.Current.KeyID)

			d.one(d.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/rotate-credentials", object{"gracePeriodHours": 0}))
			d.settled(made.ID)
			second := d.get(made.ID).Rotation.Current.KeyID
			d.managed(a, made.VaultSecretName, second, foreign)

			d.tells(made.ID, a, first, second)
			d.ticked()
		})
	}
}

// settled waits until nothing is under way for the connection and nothing waits for
// its removal: only the timer gets that far.
func (d *deployed) settled(id string) {
	d.Helper()
	d.eventually("settled", func() bool {
		r := d.get(id).Rotation
		return r.Settled && r.State == "idle" && len(r.Retiring) == 0
	})
}

// tells checks the history of a creation and one rotation by hand.
func (d *deployed) tells(id string, a directory.Application, first, second string) {
	d.Helper()
	past := d.history(id)
	if len(past.Rotations) != 2 {
		d.Fatalf("%d runs in the history, want 2: %+v", len(past.Rotations), past)
	}
	for i, want := range []struct{ trigger, key string }{{"manual", second}, {"creation", first}} {
		r := past.Rotations[i]
		if r.Trigger != want.trigger || r.KeyID != want.key || r.Outcome != "success" || r.ID == "" || r.StartedAt.IsZero() ||
			r.FinishedAt.Before(r.StartedAt) {
			d.Errorf("run %d: %+v, want a successful %s of %s", i, r, want.trigger, want.key)
		}
	}
	if by := past.Rotations[0].RequestedBy; by != "rotate" {
		d.Errorf("the rotation by hand was requested by %q", by)
	}
	for _, key := range []string{a.KeyID, first} {
		if !slices.ContainsFunc(past.Revocations, func(r struct {
			KeyID             string
			RevokedAt, GoneAt *time.Time
		}) bool {
			return r.KeyID == key && r.RevokedAt != nil && r.GoneAt != nil
		}) {
			d.Errorf("the history does not tell that %s was revoked and is gone: %+v", key, past.Revocations)
		}
	}
}

// ticked requires that the timer ran and that the host accepted all its answers, and
// that the handler had nothing to complain about.
func (d *deployed) ticked() {
	d.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ticks) == 0 {
		d.Error("the timer never ran")
	}
	for _, i := range d.ticks {
		if i.Err != nil {
			d.Errorf("invocation of %s: %v", i.Function, i.Err)
		}
	}
	for line := range strings.Lines(d.watch.Log()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.HasPrefix(line, "[error]") {
			d.Error(line)
		}
	}
}

// death is a moment of a creation at which the handler is killed: at the n-th call of
// op, which is carried out first or not at all, and never answered.
type death struct {
	mode   functionshost.Mode
	op     string
	n      int
	apply  bool
	issues int  // client secrets that are issued until all is done
	undone bool // the given secret died with the handler
}

// The handler is killed in the middle of a creation; the host starts it again, and what
// was begun is finished or undone. In the proxying mode the host sends the request to
// the new one once more: that makes no second connection.
func TestKilledDuringCreation(t *testing.T) {
	t.Parallel()
	unixOnly(t)
	for name, c := range map[string]death{
		"before the given secret is stored": {functionshost.Forwarding, "vault.set", 1, false, 0, true},
		"given secret stored":               {functionshost.Forwarding, "vault.set", 1, true, 1, false},
		"new secret issued, its value lost": {functionshost.Forwarding, "graph.addPassword", 1, true, 2, false},
		"new secret staged":                 {functionshost.Proxying, "vault.set", 3, true, 1, false},
		"new secret published":              {functionshost.Proxying, "vault.set", 4, true, 1, false},
		"original revoked":                  {functionshost.Forwarding, "graph.removePassword", 1, true, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, c.mode)
			a := d.sample()
			foreign, _ := d.foreign(a, time.Now().AddDate(1, 0, 0))
			before := d.truth()
			d.stack.Break(d.deathAt(c))
			got := d.call(auth.Rotate, http.MethodPost, secrets, creation(a))
			if got.status == http.StatusOK {
				t.Errorf("an answer of a handler that was killed: %s", got.body)
			}
			d.stack.Break(nil)
			d.eventually("started again", func() bool { return d.starts() == 2 })
			d.bury()
			if c.undone {
				d.eventually("undone", func() bool { return len(changes(before, d.truth())) == 0 })
			} else {
				d.finished(a, foreign)
			}
			if n := d.stack.Directory.Calls(directory.OpAddPassword); n != c.issues {
				t.Errorf("addPassword was called %d times, want %d", n, c.issues)
			}
		})
	}
}

// deathAt is a hook that kills the handler. What it was about to do has arrived by
// then, so that it can still be carried out.
func (d *deployed) deathAt(c death) fault.Hook {
	var mu sync.Mutex
	calls := 0
	return func(op string, r *http.Request) *fault.Effect {
		mu.Lock()
		defer mu.Unlock()
		if op != c.op {
			return nil
		}
		if calls++; calls != c.n {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			d.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		d.kill()
		return &fault.Effect{Apply: c.apply}
	}
}

// finished waits until the one connection there is has taken a over.
func (d *deployed) finished(a directory.Application, others ...string) {
	d.Helper()
	list := decode[struct{ AppConnections []view }](d.T, d.call(auth.Read, http.MethodGet, secrets, nil)).AppConnections
	if len(list) != 1 {
		d.Fatalf("%d connections, want 1", len(list))
	}
	d.settled(list[0].ID)
	d.managed(a, list[0].VaultSecretName, d.get(list[0].ID).Rotation.Current.KeyID, others...)
}

// A request that the host sends twice, with the same invocation id, is carried out
// once, whether the second comes while the first runs or after it.
func TestRequestSentTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	again := func() *http.Request {
		r := w.request(auth.Rotate, http.MethodPost, secrets, creation(a))
		r.Header.Set("X-Azure-Functions-InvocationId", "5cd1f3a6-3a3e-4b6c-9b53-0c1f5b5d8f10")
		return r
	}
	replies := make([]reply, 3)
	var both sync.WaitGroup
	for i := range 2 {
		r := again()
		both.Go(func() { replies[i], _ = w.try(r) })
	}
	both.Wait()
	replies[2] = w.send(again())
	for i, r := range replies {
		if r.status != http.StatusOK || string(r.body) != string(replies[0].body) {
			t.Errorf("answer %d: status %d, %s; want the first one's", i, r.status, r.body)
		}
	}
	w.settle()
	if n := len(w.records()); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n := w.stack.Directory.Calls(directory.OpAddPassword); n != 1 {
		t.Errorf("addPassword was called %d times, want 1", n)
	}
	// Another body with that id is another request.
	other := w.request(auth.Rotate, http.MethodPost, secrets, creation(a, "name", "other"))
	other.Header = again().Header
	w.send(other).refuses(t, http.StatusConflict, "rotates this application already")
}

// A rotation by hand needs no body, and such a request .NET's client sends again in the
// forwarding mode when the connection is closed without an answer. That it is the same
// the host says by its own invocation id, also behind one that a client sent.
func TestRotationSentTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.connected("rotation.gracePeriodHours", 0)
	first := w.stack.Directory.Calls(directory.OpAddPassword)
	for range 3 {
		r := w.request(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/rotate-credentials", nil)
		r.Header.Set("X-Azure-Functions-InvocationId", unknownID+", 5cd1f3a6-3a3e-4b6c-9b53-0c1f5b5d8f11")
		if got := w.send(r); got.status != http.StatusOK {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		w.settle()
	}
	if n := w.stack.Directory.Calls(directory.OpAddPassword) - first; n != 1 {
		t.Errorf("%d rotations, want 1", n)
	}
	runs := 0
	for _, r := range w.history(made.ID).Rotations {
		if r.Trigger == "manual" {
			runs++
		}
	}
	if runs != 1 {
		t.Errorf("%d runs in the history, want 1", runs)
	}
}
