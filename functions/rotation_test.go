package functions_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
)

// off are the edits that connect without rotation and without a key id.
var off = []any{"isAutoRotationEnabled", false, "rotation", absent, "credentials.clientSecretKeyId", absent}

// rotateNow asks for a rotation by hand without a grace period.
func (c *client) rotateNow(id string) reply {
	c.t.Helper()
	return c.call(auth.Rotate, http.MethodPost, secrets+"/"+id+"/rotate-credentials", object{"gracePeriodHours": 0})
}

// A tenant whose policy refuses the usual lifetime gets the longest half of it that is
// accepted, and is rotated before that ends.
func TestShorterLifetimeUnderPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	const days = 24 * time.Hour
	a := w.add(directory.Registration{OwnsItself: true, Settings: directory.Settings{
		Roles: owned.Roles, Policy: directory.Policy{ID: unknownID, MaxLifetime: 40 * days}}})
	made := w.create(a)
	w.settle()
	current := w.record(made.ID).Current
	w.managed(a, made.VaultSecretName, current.KeyID)
	left := current.ExpiresAt.Sub(w.clock.Now())
	if left < 20*days || left > 40*days {
		t.Errorf("it ends in %s, with a policy of 40 days", left)
	}
	if rec := w.record(made.ID); rec.Due().After(current.ExpiresAt.Add(-2 * days)) {
		t.Errorf("it ends in %s, and the next rotation is due at %s", left, rec.Due())
	}
}

// A connection that does not rotate is rotated by hand: which client secret was given
// is found out first, and that one is removed.
func TestRotateWithoutSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	foreign, _ := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
	made := w.create(a, off...)
	w.settle()
	if value, _, ok := w.published(made.VaultSecretName); !ok || value != a.Secret {
		t.Error("what was given is not published")
	}
	w.one(w.rotateNow(made.ID))
	w.settle()
	rec := w.record(made.ID)
	w.managed(a, made.VaultSecretName, rec.Current.KeyID, foreign)
	if !rec.NextSlot.IsZero() {
		t.Errorf("next rotation %s of a connection that does not rotate", rec.NextSlot)
	}
}

// refusedRotation is a rotation by hand that must be refused without any change but a note.
type refusedRotation struct {
	status  int
	says    []string
	prepare func(w *world, a directory.Application) (id string)
}

var refusedRotations = map[string]refusedRotation{
	"which secret was given is not clear": {400, []string{"clientSecretKeyId", "its twin"}, func(w *world, a directory.Application) string {
		w.twin(a)
		return w.create(a, off...).ID
	}},
	"no permission": {400, []string{"Application.ReadWrite.OwnedBy"}, func(w *world, a directory.Application) string {
		id := w.create(a, off...).ID
		if err := w.stack.Directory.Change(a.ObjectID, func(s *directory.Settings) { s.Roles = nil }); err != nil {
			w.Fatal(err)
		}
		return id
	}},
	"another connection has the application, too": {409, []string{"authenticates with this application"},
		func(w *world, a directory.Application) string {
			_, secret := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
			id := w.create(a, off...).ID
			w.create(a, append([]any{"name", "other", "credentials.clientSecret", secret}, off...)...)
			w.settle()
			return id
		}},
	"no such connection": {404, []string{"no such connection"}, func(*world, directory.Application) string { return unknownID }},
}

func TestRefusedRotations(t *testing.T) {
	t.Parallel()
	for name, c := range refusedRotations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			a := w.sample()
			id := c.prepare(w, a)
			before := w.truth()
			w.rotateNow(id).refuses(t, c.status, c.says...)
			w.stack.Break(nil)
			// What a pass has found out is noted on the record, as its last run, and lists say that it failed.
			noted := regexp.MustCompile(`^changed: row (conn|p?list|attn)-`).MatchString
			if list := slices.DeleteFunc(changes(before, w.truth()), noted); len(list) != 0 {
				t.Errorf("the request was refused, but it changed\n%s", strings.Join(list, "\n"))
			}
		})
	}
}

// What refuses once a run is under way is on the connection, with what to do; current
// stays published and works, and once it is repaired a request is served at once.
func TestRefusalDuringRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.create(a)
	w.settle()
	first := w.record(made.ID).Current.KeyID
	policy := func(p directory.Policy) {
		if err := w.stack.Directory.Change(a.ObjectID, func(s *directory.Settings) { s.Policy = p }); err != nil {
			t.Fatal(err)
		}
	}
	policy(directory.Policy{ID: unknownID, ForbidPasswords: true})
	got := w.one(w.rotateNow(made.ID))
	if s := got.Rotation.RotationStatus; s == nil || *s != "failed" || got.Rotation.State != "idle" {
		t.Errorf("after the refusal: %+v", got.Rotation)
	}
	if run := w.history(made.ID).Rotations[0]; run.Outcome != "failed" || run.Trigger != "manual" {
		t.Errorf("the history: %+v", run)
	}
	if message := w.record(made.ID).Error.Message; !strings.Contains(message, "forbids new client secrets") ||
		!strings.Contains(message, "Exempt") {
		t.Errorf("message %q", message)
	}
	w.managed(a, made.VaultSecretName, first)

	policy(directory.Policy{})
	w.one(w.rotateNow(made.ID))
	w.settle()
	w.managed(a, made.VaultSecretName, w.record(made.ID).Current.KeyID)
	if w.record(made.ID).Current.KeyID == first {
		t.Error("nothing was rotated")
	}
}
