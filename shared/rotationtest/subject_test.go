package rotationtest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// The rules that docs/glossary.md lists as behaviour: a connection in its world, the timer, and
// what a person outside does meanwhile. Every test ends by checking the promises.

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// hooks are what a test does on the way to the services. Each may be nil.
type hooks struct {
	token     func(secret.Value) error                                           // instead of a token
	add       func(add func() (rotation.Issued, error)) (rotation.Issued, error) // around addPassword
	removing  func(keyID string) error                                           // instead of removePassword
	reading   func(*rotation.ApplicationState)                                   // what a read of the application shows
	putting   func(rotation.VaultSecret) error                                   // instead of a new version
	put       func(rotation.VaultSecret) error                                   // after a new version
	got       func(*rotation.VaultSecret)                                        // what a read of the vault shows
	commit    func(rotation.Record)                                              // before a commit
	committed func() error                                                       // after a commit
	removal   func()                                                             // before the row is removed
}

// service is a process's way to the services, with hooks.
type service struct {
	rotator.Store
	rotator.Vault
	rotator.Authority
	rotator.Directory
	h *hooks
}

func (s service) Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error) {
	if s.h.token != nil {
		if err := s.h.token(secret); err != nil {
			return rotation.Token{}, err
		}
	}
	return s.Authority.Token(ctx, app, secret)
}

func (s service) AddPassword(ctx context.Context, token rotation.Token, app rotation.Application,
	marker string, expires time.Time) (rotation.Issued, error) {
	add := func() (rotation.Issued, error) { return s.Directory.AddPassword(ctx, token, app, marker, expires) }
	if s.h.add != nil {
		return s.h.add(add)
	}
	return add()
}

func (s service) RemovePassword(ctx context.Context, token rotation.Token, app rotation.Application, keyID string) error {
	if s.h.removing != nil {
		if err := s.h.removing(keyID); err != nil {
			return err
		}
	}
	return s.Directory.RemovePassword(ctx, token, app, keyID)
}

func (s service) Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error) {
	st, err := s.Directory.Application(ctx, token, app)
	if err == nil && s.h.reading != nil {
		s.h.reading(&st)
	}
	return st, err
}

func (s service) Put(ctx context.Context, v rotation.VaultSecret) (string, error) {
	if s.h.putting != nil {
		if err := s.h.putting(v); err != nil {
			return "", err
		}
	}
	version, err := s.Vault.Put(ctx, v)
	if err == nil && s.h.put != nil {
		err = s.h.put(v)
	}
	return version, err
}

func (s service) Get(ctx context.Context, name, version string) (rotation.VaultSecret, error) {
	v, err := s.Vault.Get(ctx, name, version)
	if err == nil && s.h.got != nil {
		s.h.got(&v)
	}
	return v, err
}

func (s service) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	if s.h.commit != nil {
		s.h.commit(rec)
	}
	got, err := s.Store.Commit(ctx, rec, events...)
	if err == nil && s.h.committed != nil {
		err = s.h.committed()
	}
	return got, err
}

func (s service) Remove(ctx context.Context, rec rotation.Record, events ...rotation.Event) error {
	if s.h.removal != nil {
		s.h.removal()
	}
	return s.Store.Remove(ctx, rec, events...)
}

// vaultOf and storeOf keep the two List methods and the two Removes apart.
type vaultOf struct{ service }

func (v vaultOf) List(ctx context.Context, name string) ([]rotation.VaultSecret, error) {
	return v.service.Vault.List(ctx, name)
}

// subject is one connection that was rotated before; its slot comes in an hour.
type subject struct {
	t      *testing.T
	w      *rotationtest.World
	h      hooks
	app    rotation.Application
	secret secret.Value
	keyID  string // current when it began
	id     string
	actors rotator.Actors // of one that rotates through another application
}

// inBubble runs a test with a settled connection and checks the promises after it.
func inBubble(t *testing.T, test func(t *testing.T, s *subject)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		w.Directory.Propagation = 7 * time.Second
		s := newSubject(t, w, 1)
		test(t, s)
		s.check()
	})
}

func newSubject(t *testing.T, w *rotationtest.World, n int) *subject {
	t.Helper()
	s := &subject{t: t, w: w, id: fmt.Sprintf("5a3d2b1c-0000-4000-8000-%012d", n)}
	s.app, s.secret, s.keyID = w.AddApplication()
	w.AddForeign(s.app.ClientID)
	w.Name(s.keyID)
	rec := rotation.Record{
		Schema: rotation.Schema, ID: s.id, Name: "billing", VaultName: fmt.Sprintf("rekey-%d", n), Phase: rotation.Idle, Acknowledged: true,
		CreatedAt: time.Now(), Policy: rotation.Policy{Enabled: true,
			Schedule: schedule.Schedule{Interval: 30, Hours: 1, Zone: "UTC"}, Grace: 48 * hour},
		Actor: s.app, Target: s.app, NextSlot: time.Now().Add(hour), WakeAt: time.Now().Add(hour), Version: 1, Revision: 1,
		Current: &rotation.Credential{Target: s.app, KeyID: s.keyID, Origin: rotation.OriginIssued,
			Since: time.Now(), ExpiresAt: time.Now().Add(40 * day)},
	}
	version, err := w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.VaultName, Value: s.secret,
		Enabled: true, Tags: rotation.Tags(rotationtest.Deployment, &rec, *rec.Current)})
	if err != nil {
		t.Fatal(err)
	}
	rec.Current.VaultVersion = version
	var rows []rotation.ClaimRow
	for i, c := range rec.Uses() {
		c.ID = fmt.Sprintf("%s-%d", s.id, i)
		row := rec.ClaimRow(c)
		row.At = time.Now()
		rows = append(rows, row)
		if err := w.StorePort().Claim(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	rec.AddClaims(rows)
	if _, err := w.StorePort().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	return s
}

// rotator is the one of the process that is alive.
func (s *subject) rotator() *rotator.Rotator {
	r := s.w.Rotator()
	via := service{r.Store, r.Vault, r.Authority, r.Directory, &s.h}
	r.Store, r.Vault, r.Authority, r.Directory, r.Actors = via, vaultOf{via}, via, via, s.actors
	return r
}

// sweep plays the timer for d: once a minute.
func (s *subject) sweep(d time.Duration) { s.sweepEvery(time.Minute, d) }

func (s *subject) sweepEvery(every, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		next := time.Now().Truncate(every).Add(every)
		s.rotator().Sweep(s.t.Context()) // its process may die: that may be the point
		time.Sleep(time.Until(next))
	}
}

func (s *subject) record() rotation.Record {
	s.t.Helper()
	rec, ok := s.w.Record(s.id)
	if !ok {
		s.t.Fatal("the connection is gone")
	}
	return rec
}

// edit changes the record as the API does.
func (s *subject) edit(change func(*rotation.Record)) {
	s.t.Helper()
	for range 20 {
		rec, err := s.w.StorePort().Load(s.t.Context(), s.id)
		if err != nil {
			s.t.Fatal(err)
		}
		change(&rec)
		rec.WakeAt = time.Now()
		rec.Version++
		rec.Revision++
		if _, err = s.w.StorePort().Commit(s.t.Context(), rec); err == nil {
			return
		}
	}
	s.t.Fatal("the record could not be edited")
}

func (s *subject) ask(q rotation.Request) {
	s.t.Helper()
	q.At = time.Now().UTC()
	if q.ID == "" {
		q.ID = "request-" + string(q.Kind)
	}
	s.edit(func(rec *rotation.Record) {
		if !rec.Ask(q) {
			s.t.Errorf("the request %s was not taken", q.Kind)
		}
	})
	time.Sleep(time.Second) // wake-ups are in whole seconds
}

// events are what the history has of some kind, the oldest first.
func (s *subject) events(kind string) (found []rotation.Event) {
	s.t.Helper()
	all, _, err := s.w.StorePort().History(s.t.Context(), s.id, "", 10_000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range slices.Backward(all) {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// live fails unless that many client secrets of the application are alive. One is
// foreign: Rekey did not issue it.
func (s *subject) live(want int) {
	s.t.Helper()
	if got := s.w.Live(s.app.ClientID); got != want {
		s.t.Errorf("%d client secrets are alive, want %d", got, want)
	}
}

func (s *subject) published() string {
	s.t.Helper()
	v, ok := s.w.Published(s.record().VaultName)
	if !ok {
		s.t.Fatal("nothing is published")
	}
	return v.Tags[vaulttag.KeyID]
}

func (s *subject) exists() bool { return slices.Contains(s.w.Records(), s.id) }

func (s *subject) phase(want rotation.Phase) {
	s.t.Helper()
	if got := s.record().Phase; got != want {
		s.t.Fatalf("phase %s, want %s", got, want)
	}
}

// rotated fails unless the last run went well and everything it left is done.
func (s *subject) rotated(trigger rotation.Trigger) {
	s.t.Helper()
	rec := s.record()
	if rec.LastRun == nil || rec.LastRun.Outcome != "success" || rec.LastRun.Trigger != trigger {
		s.t.Errorf("last run: %+v, want a success of trigger %s", rec.LastRun, trigger)
	}
	s.w.CheckEnd(s.id)
}

func (s *subject) check() {
	s.t.Helper()
	s.w.CheckLeaks()
	if v := s.w.Violations(); len(v) > 0 {
		s.t.Errorf("broken promises: %v", v)
	}
	if s.t.Failed() && testing.Verbose() {
		s.t.Log(s.w.Log.String())
	}
}

// bound fails a test whose passes commit again and again without getting anywhere.
func (s *subject) bound(commits int) {
	n := 0
	s.h.commit = func(rotation.Record) {
		if n++; n > commits {
			panic("a pass goes round in circles")
		}
	}
}

func unknown(op string) error {
	return &serviceerror.Error{Op: op, Class: serviceerror.Transient, Status: 504, UnknownOutcome: true}
}

func isStaged(v rotation.VaultSecret) bool {
	return strings.HasSuffix(v.Name, "-staged") && v.Tags[vaulttag.KeyID] != ""
}

func isPublished(v rotation.VaultSecret) bool { return !strings.HasSuffix(v.Name, "-staged") }

// delegate makes the subject one that rotates through another application and has no
// credential of its own yet.
func (s *subject) delegate(t *testing.T) {
	t.Helper()
	acting, secret, _ := s.w.AddApplication()
	s.w.Own(s.app.ClientID, acting.ClientID, true)
	s.actors = actor{s.w, acting, secret}
	if err := s.w.VaultPort().Delete(t.Context(), s.record().VaultName); err != nil {
		t.Fatal(err)
	}
	s.edit(func(rec *rotation.Record) {
		rec.Via, rec.Actor, rec.Current, rec.VaultName = "parent", acting, nil, "rekey-target"
	})
}

// actor signs in as the application that rotates others.
type actor struct {
	w      *rotationtest.World
	app    rotation.Application
	secret secret.Value
}

func (a actor) Token(ctx context.Context, _ string) (rotation.Token, error) {
	return a.w.DirectoryPort().Token(ctx, a.app, a.secret)
}

func (a actor) Renew(context.Context, string) error { return nil }
