package rotationtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// The rules of the design as behaviour: a connection in its world, the timer, and
// what somebody outside does meanwhile. Every test ends by checking the promises.

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// hooks are what a test does on the way to the services. Each may be nil.
type hooks struct {
	token     func(rotation.Secret) error                                        // instead of a token
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
	rotation.Store
	rotation.Vault
	rotation.Authority
	rotation.Directory
	h *hooks
}

func (s service) Token(ctx context.Context, app rotation.Application, secret rotation.Secret) (rotation.Token, error) {
	if s.h.token != nil {
		if err := s.h.token(secret); err != nil {
			return rotation.Token{}, err
		}
	}
	return s.Authority.Token(ctx, app, secret)
}

func (s service) AddPassword(ctx context.Context, token rotation.Token, app rotation.Application, marker string, expires time.Time) (rotation.Issued, error) {
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
	secret rotation.Secret
	keyID  string // current when it began
	id     string
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
		CreatedAt: time.Now(), Policy: rotation.Policy{Enabled: true, Schedule: rotation.Schedule{Interval: 30, Hours: 1, Zone: "UTC"}, Grace: 48 * hour},
		Actor: s.app, Target: s.app, NextSlot: time.Now().Add(hour), WakeAt: time.Now().Add(hour), Version: 1, Revision: 1,
		Current: &rotation.Credential{Target: s.app, KeyID: s.keyID, Origin: rotation.OriginIssued, Since: time.Now(), ExpiresAt: time.Now().Add(40 * day)},
	}
	version, err := w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.VaultName, Value: s.secret, Enabled: true, Tags: rotation.Tags(rotationtest.Deployment, &rec, *rec.Current)})
	if err != nil {
		t.Fatal(err)
	}
	rec.Current.VaultVersion = version
	if _, err := w.StorePort().Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	return s
}

// rotator is the one of the process that is alive.
func (s *subject) rotator() *rotation.Rotator {
	r := s.w.Rotator()
	via := service{r.Store, r.Vault, r.Authority, r.Directory, &s.h}
	r.Store, r.Vault, r.Authority, r.Directory = via, vaultOf{via}, via, via
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
// somebody else's.
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
	return v.Tags[rotation.TagKeyID]
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
	return &rotation.Error{Op: op, Class: rotation.Transient, Status: 504, UnknownOutcome: true}
}

func isStaged(v rotation.VaultSecret) bool {
	return strings.HasSuffix(v.Name, "-staged") && v.Tags[rotation.TagKeyID] != ""
}

func isPublished(v rotation.VaultSecret) bool { return !strings.HasSuffix(v.Name, "-staged") }

// TestScheduledRotation is how it goes when nothing happens.
func TestScheduledRotation(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var issued, published time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) { issued = time.Now(); return add() }
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				published = time.Now()
			}
			return nil
		}
		var removed []time.Time
		s.h.removing = func(string) error { removed = append(removed, time.Now()); return nil }
		s.sweep(2 * hour)
		s.rotated(rotation.OnSchedule)
		if age := published.Sub(issued); age < 5*time.Minute || age > 8*time.Minute {
			t.Errorf("published at the age of %s, want 5 minutes and a little", age)
		}
		s.live(3)
		s.sweep(3 * day)
		s.rotated(rotation.OnSchedule)
		s.live(2)
		if len(removed) != 1 || removed[0].Sub(published) < 48*hour || removed[0].Sub(published) > 48*hour+10*time.Minute {
			t.Errorf("removed at %v, published at %s: the grace period is 48 hours", removed, published)
		}
		if slot := s.record().NextSlot; !slot.Equal(time.Date(2000, 1, 31, 1, 0, 0, 0, time.UTC)) {
			t.Errorf("next slot: %s", slot)
		}
	})
}

// P5, P6: two timers at once work on many connections, each on each of them once.
func TestTwoSweepsRotateEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		w.Directory.Propagation = 7 * time.Second
		var all []*subject
		for n := range 12 {
			all = append(all, newSubject(t, w, n+1))
		}
		time.Sleep(hour)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				s := &subject{t: t, w: w}
				s.sweep(30 * time.Minute)
			})
		}
		wg.Wait()
		if w.Directory.Issued != len(all) {
			t.Errorf("%d client secrets were issued for %d connections", w.Directory.Issued, len(all))
		}
		for _, s := range all {
			s.rotated(rotation.OnSchedule)
			if n := len(s.events(rotation.EventStarted)); n != 1 {
				t.Errorf("%s: %d runs", s.id, n)
			}
		}
		all[0].check()
	})
}

// P5: wherever a pass loses its lease, it stops, undoes nothing, and whoever comes
// next finishes the run.
func TestLostLeaseStopsThePass(t *testing.T) {
	for n, lost := 1, true; lost && n < 40; n++ {
		t.Run(fmt.Sprintf("at commit %d", n), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				commits := 0
				s.h.commit = func(rotation.Record) {
					if commits++; commits != n {
						return
					}
					s.edit(func(rec *rotation.Record) {
						rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
						rec.CommitID = "thief"
					})
					s.w.Break(0, rotationtest.NoFault)
				}
				_, err := s.rotator().Pass(t.Context(), s.id, rotation.PassOptions{})
				if lost = commits >= n; lost {
					if !errors.Is(err, rotation.ErrLeaseLost) && !errors.Is(err, rotation.ErrLeased) {
						t.Errorf("the pass ended with %v", err)
					}
					if w := s.w.Writes(); !slices.Equal(w, []string{"store.commit"}) {
						t.Errorf("after it lost the lease the pass wrote %v; want the one commit that was refused", w)
					}
					if rec := s.record(); rec.CommitID != "thief" {
						t.Error("the pass wrote over another one's record")
					}
				}
				s.h = hooks{}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// P5: a pass that lost its lease while it waited does not even begin the next step.
func TestLostLeaseIsSeenAfterAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				time.AfterFunc(20*time.Second, func() { // it waits for current's first minute to pass
					s.edit(func(rec *rotation.Record) {
						rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
					})
					s.w.Break(0, rotationtest.NoFault)
				})
			}
			return nil
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotation.PassOptions{}); !errors.Is(err, rotation.ErrLeaseLost) {
			t.Errorf("the pass ended with %v", err)
		}
		if w := s.w.Writes(); len(w) != 0 {
			t.Errorf("after it lost the lease the pass wrote %v", w)
		}
		s.h = hooks{}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}

// P5: the very last write of a deletion is under the lease, too.
func TestLostLeaseStopsTheDeletion(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.h.removal = func() {
			s.h.removal = nil
			s.edit(func(rec *rotation.Record) {
				rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
				rec.CommitID = "thief"
			})
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotation.PassOptions{}); !errors.Is(err, rotation.ErrLeaseLost) {
			t.Errorf("the pass ended with %v", err)
		}
		if s.record().CommitID != "thief" {
			t.Error("the pass wrote over another one's record")
		}
		s.sweep(10 * time.Minute)
		if s.exists() {
			t.Error("nobody finished the deletion")
		}
	})
}

// R2: whoever's clock is wrong by half a minute, calls of two passes never overlap.
func TestClocksMayDiffer(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 29 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Latency = 12 * time.Second // the first pass is out of time before it is done
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				var last, first time.Time
				ends := s.rotator()
				other := &subject{t: t, w: s.w, id: s.id}
				s.h.commit = func(rec rotation.Record) {
					if rec.Lease.Token == "" {
						s.w.Restart() // it dies before it gives the lease back
					}
					last = time.Now()
				}
				other.h.commit = func(rec rotation.Record) {
					if first.IsZero() {
						first = time.Now()
					}
				}
				var wg sync.WaitGroup
				wg.Go(func() { ends.Pass(t.Context(), s.id, rotation.PassOptions{}) })
				wg.Go(func() {
					for time.Sleep(time.Minute); first.IsZero(); time.Sleep(time.Second) {
						r := other.rotator()
						r.Now = func() time.Time { return time.Now().Add(skew) }
						r.Pass(t.Context(), s.id, rotation.PassOptions{})
					}
				})
				wg.Wait()
				if !first.After(last) {
					t.Errorf("the second pass began at %s, the first one's last call was made at %s", first, last)
				}
				s.w.Latency = 40 * time.Millisecond
				s.h.commit = nil
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
			})
		})
	}
}

// R1, R3, R7: addPassword answers nothing, but has issued. The value is lost; what
// was issued is found by its marker and removed, and its marker is kept until five
// reads from a quarter of an hour on have not shown it.
func TestUnknownOutcomeOfIssuing(t *testing.T) {
	for _, propagation := range []time.Duration{7 * time.Second, 16 * time.Minute} {
		t.Run(propagation.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Directory.Propagation = propagation
				var lost time.Time
				s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
					if !lost.IsZero() {
						return add()
					}
					lost = time.Now()
					add()
					return rotation.Issued{}, unknown("adding a password")
				}
				var reads []time.Time // that did not show it
				marker := ""
				s.h.commit = func(rec rotation.Record) {
					if rec.Run != nil && marker == "" {
						marker = rec.Run.Marker
					}
				}
				s.h.reading = func(st *rotation.ApplicationState) {
					if slices.ContainsFunc(st.Passwords, func(p rotation.Password) bool { return p.DisplayName == marker }) {
						reads = nil
					} else {
						reads = append(reads, time.Now())
					}
				}
				for range 60 {
					if len(s.record().Abandoned) == 0 {
						s.sweep(time.Minute)
					}
				}
				if dropped := s.events(rotation.EventAttemptDropped); len(dropped) != 1 || dropped[0].At.Sub(lost) < 2*time.Minute {
					t.Errorf("given up: %v, after %s; a call that takes a minute may land for another", dropped, lost)
				}
				for range 3 * 60 {
					if len(s.record().Abandoned) > 0 {
						s.sweep(time.Second)
					}
				}
				for len(reads) > 0 && reads[0].Before(lost.Add(15*time.Minute)) {
					reads = reads[1:]
				}
				if len(reads) < 5 {
					t.Errorf("forgotten after %d reads in a row that count", len(reads))
				} else if apart := reads[len(reads)-1].Sub(reads[len(reads)-5]); apart < 4*time.Minute {
					t.Errorf("the last five reads lie within %s", apart)
				}
				s.sweep(hour)
				s.rotated(rotation.OnSchedule)
				if s.w.Directory.Issued != 2 {
					t.Errorf("%d client secrets were issued, want 2", s.w.Directory.Issued)
				}
				s.live(3)
			})
		})
	}
}

// R7: a read that shows it again begins the count anew, and after five minutes it is
// removed once more.
func TestFlappingReads(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var removals []time.Time
		s.h.removing = func(string) error { removals = append(removals, time.Now()); return nil }
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		reads := 0
		s.h.reading = func(st *rotation.ApplicationState) {
			if len(removals) == 0 {
				return
			}
			if reads++; reads == 4 || reads == 8 {
				st.Passwords = append(st.Passwords, rotation.Password{KeyID: s.keyID})
			}
		}
		s.sweep(2 * hour)
		s.rotated(rotation.OnEmergency)
		if reads != 13 || len(removals) != 2 {
			t.Errorf("%d reads and %d removals, want 4 + 4 + 5 and 2", reads, len(removals))
		}
	})
}

// R3: the process dies between staging and committing; the next one adopts.
func TestAdoptsWhatWasStaged(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		died := false
		s.h.put = func(v rotation.VaultSecret) error {
			if isStaged(v) && !died {
				died = true
				s.w.Restart()
			}
			return nil
		}
		s.sweep(3 * hour)
		s.rotated(rotation.OnSchedule)
		if s.w.Directory.Issued != 1 || !died {
			t.Errorf("%d client secrets were issued, want the one that was adopted", s.w.Directory.Issued)
		}
	})
}

// The new value exists in one process only, so that this does not give up easily; and
// what was stored without an answer is not stored again.
func TestStagingIsTriedAgain(t *testing.T) {
	for name, fail := range map[string]struct {
		putting, put error
		tries        int
	}{
		"not stored":        {putting: &rotation.Error{Op: "writing a secret", Class: rotation.Transient, Status: 503}, tries: 4},
		"nobody knows":      {putting: unknown("writing a secret"), tries: 4},
		"stored, no answer": {put: unknown("writing a secret"), tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				tries := 0
				s.h.putting = func(v rotation.VaultSecret) error {
					if !isStaged(v) {
						return nil
					}
					if tries++; tries == 4 {
						return nil
					}
					return fail.putting
				}
				s.h.put = func(v rotation.VaultSecret) error {
					if isStaged(v) {
						return fail.put
					}
					return nil
				}
				s.sweep(2 * hour)
				s.rotated(rotation.OnSchedule)
				if tries != fail.tries || s.w.Directory.Issued != 1 {
					t.Errorf("stored %d times, issued %d", tries, s.w.Directory.Issued)
				}
			})
		})
	}
}

// A vault that stays away while the only copy of a value waits: it is given up, what
// was issued is removed by its marker, and so is what the vault has stored late.
func TestStagingIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.putting = func(v rotation.VaultSecret) error {
			if isStaged(v) && s.w.Directory.Issued == 1 {
				time.AfterFunc(25*time.Second, func() { s.w.VaultPort().Put(t.Context(), v) })
				return unknown("writing a secret")
			}
			return nil
		}
		s.sweep(2 * hour)
		s.rotated(rotation.OnSchedule)
		s.live(3)
		if dropped := s.events(rotation.EventAttemptDropped); len(dropped) != 1 || dropped[0].KeyID == "" || s.w.Directory.Issued != 2 {
			t.Errorf("given up: %v, issued %d", dropped, s.w.Directory.Issued)
		}
	})
}

// A refusal while the caller still waits undoes the creation, at once where nothing
// was issued; after he was told that the connection exists it is a failed run.
func TestRefusedCreation(t *testing.T) {
	for _, acknowledged := range []bool{false, true} {
		t.Run(fmt.Sprintf("acknowledged %t", acknowledged), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
				s.edit(func(rec *rotation.Record) { rec.Acknowledged, rec.Current.Origin = acknowledged, rotation.OriginNamed })
				s.sweep(2 * time.Minute)
				s.live(2)
				if s.exists() != acknowledged {
					t.Fatalf("exists %t", s.exists())
				}
				if !acknowledged {
					s.w.CheckGone(s.id, s.secret)
				} else if rec := s.record(); rec.Phase != rotation.Idle || rec.Error.Class != rotation.Permission || rec.LastRun.Outcome != "failed" {
					t.Errorf("phase %s, error %+v", rec.Phase, rec.Error)
				}
			})
		})
	}
}

// R3: only an enabled version of ours that bears the run's marker and a key id is
// adopted.
func TestAdoptsNothingElse(t *testing.T) {
	for name, spoil := range map[string]func(*rotation.VaultSecret){
		"another marker":     func(v *rotation.VaultSecret) { v.Tags[rotation.TagMarker] += "x" },
		"disabled":           func(v *rotation.VaultSecret) { v.Enabled = false },
		"no key id":          func(v *rotation.VaultSecret) { delete(v.Tags, rotation.TagKeyID) },
		"another connection": func(v *rotation.VaultSecret) { v.Tags[rotation.TagConnection] = "another" },
		"another deployment": func(v *rotation.VaultSecret) { v.Tags[rotation.TagDeployment] = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.h.add = func(func() (rotation.Issued, error)) (rotation.Issued, error) {
					s.h.add = nil
					rec := s.record()
					c := rotation.Credential{Target: s.app, KeyID: "44444444-4444-4444-8444-999999999999", Marker: rec.Run.Marker, Origin: rotation.OriginIssued}
					stray := rotation.VaultSecret{Name: rec.StagedName(), Value: rotation.NewSecret("stray"), Enabled: true, Tags: rotation.Tags(rotationtest.Deployment, &rec, c)}
					spoil(&stray)
					if _, err := s.w.VaultPort().Put(t.Context(), stray); err != nil {
						t.Error(err)
					}
					return rotation.Issued{}, unknown("adding a password")
				}
				s.sweep(2 * hour)
				if rec := s.record(); rec.LastRun == nil || rec.LastRun.Outcome != "success" || rec.Run != nil {
					t.Errorf("run %+v, last run %+v", rec.Run, rec.LastRun)
				}
				if n := len(s.events(rotation.EventIssued)); n != 1 {
					t.Errorf("%d staged versions were proven, want the one that was issued", n)
				}
			})
		})
	}
}

// R4: an attempt whose staged version was tampered with ends; the next one succeeds.
func TestTamperedStagedVersion(t *testing.T) {
	for name, tamper := range map[string]func(s *subject){
		"disabled": func(s *subject) {
			rec := s.record()
			if err := s.w.VaultPort().Disable(s.t.Context(), rec.StagedName(), rec.Run.StagedVersion); err != nil {
				s.t.Error(err)
			}
		},
		"another key id": func(s *subject) {
			version := s.record().Run.StagedVersion
			s.h.got = func(v *rotation.VaultSecret) {
				if v.Version == version {
					v.Tags[rotation.TagKeyID] = "another"
				}
			}
		},
		"another connection": func(s *subject) {
			version := s.record().Run.StagedVersion
			s.h.got = func(v *rotation.VaultSecret) {
				if v.Version == version {
					v.Tags[rotation.TagConnection] = "another"
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				time.Sleep(hour)
				s.sweep(time.Second) // a pass ends before the credential is old enough
				s.phase(rotation.Verifying)
				first := s.record().Run.KeyID
				tamper(s)
				s.sweep(7 * time.Minute)
				if rec := s.record(); rec.Run == nil || rec.Run.KeyID == first {
					t.Errorf("the attempt goes on: %+v", rec.Run)
				}
				if got := s.published(); got != s.keyID {
					t.Errorf("published: %s, want what was there before", got)
				}
				s.sweep(hour)
				s.rotated(rotation.OnSchedule)
				s.live(3)
			})
		})
	}
}

// R5: without proof for half an hour the attempt ends, and current is untouched.
func TestNoProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var issued []time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			issued = append(issued, time.Now())
			return add()
		}
		s.h.token = func(v rotation.Secret) error {
			if v != s.secret && len(issued) == 1 {
				return &rotation.Error{Op: "signing in", Class: rotation.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
			}
			return nil
		}
		time.Sleep(hour)
		s.sweep(25 * time.Minute)
		s.phase(rotation.Verifying)
		s.sweep(hour)
		if len(issued) != 2 {
			t.Fatalf("%d attempts, want 2", len(issued))
		}
		if d := issued[1].Sub(issued[0]); d < 30*time.Minute || d > 35*time.Minute {
			t.Errorf("the second attempt came %s after the first, want half an hour", d)
		}
		s.rotated(rotation.OnSchedule)
		s.live(3)
	})
}

// R5: half an hour counts from when proof went missing. A timer that comes once an
// hour is no reason to throw good credentials away.
func TestTimerThatComesSeldom(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweepEvery(hour, 6*hour)
		s.rotated(rotation.OnSchedule)
		if s.w.Directory.Issued != 1 {
			t.Errorf("%d client secrets were issued, want 1", s.w.Directory.Issued)
		}
	})
}

// R6: what somebody wrote over the published secret is replaced before anything is
// removed, even if he copied the key id's tag.
func TestOverwrittenByHand(t *testing.T) {
	for _, tags := range []map[string]string{nil, {rotation.TagKeyID: "current"}} {
		t.Run(fmt.Sprint(tags), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.sweep(2 * hour)
				rec := s.record()
				if tags != nil {
					tags[rotation.TagKeyID] = rec.Current.KeyID
				}
				if _, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.VaultName, Value: rotation.NewSecret("by hand"), Enabled: true, Tags: tags}); err != nil {
					t.Fatal(err)
				}
				var again, removed time.Time
				s.h.put = func(v rotation.VaultSecret) error {
					if isPublished(v) {
						again = time.Now()
					}
					return nil
				}
				s.h.removing = func(string) error {
					if v, _ := s.w.Published(rec.VaultName); v.Tags[rotation.TagKeyID] != rec.Current.KeyID || v.Tags[rotation.TagConnection] != s.id {
						t.Errorf("removing while %v is published", v.Tags)
					}
					removed = time.Now()
					return nil
				}
				s.sweep(3 * day)
				s.rotated(rotation.OnSchedule)
				if len(s.events(rotation.EventRepublished)) != 1 || removed.Sub(again) < time.Minute {
					t.Errorf("published again at %s, removed at %s: another look comes a minute later", again, removed)
				}
				s.live(2)
			})
		})
	}
}

// proofs remembers what the tokens with a new value came to, and when.
type proofs struct {
	worked []bool
	at     time.Time
}

// watch keeps the proofs of everything but the old value, and checks them when
// something is published: three in a row, and one more just before.
func (s *subject) watch(refuse func(n int) bool) *proofs {
	p := &proofs{}
	s.h.token = func(v rotation.Secret) error {
		if v == s.secret {
			return nil
		}
		p.at = time.Now()
		if refuse != nil && refuse(len(p.worked)+1) {
			p.worked = append(p.worked, false)
			return &rotation.Error{Op: "signing in", Class: rotation.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
		}
		p.worked = append(p.worked, true)
		return nil
	}
	s.h.putting = func(v rotation.VaultSecret) error {
		if !isPublished(v) {
			return nil
		}
		if n := len(p.worked); n < 4 || slices.Contains(p.worked[n-4:], false) {
			s.t.Errorf("published after %v", p.worked)
		}
		if ago := time.Since(p.at); ago > time.Second {
			s.t.Errorf("published %s after the last proof", ago)
		}
		return nil
	}
	return p
}

// R6: success flaps, so that three tokens in a row are a proof, not three in all.
func TestFlappingProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Directory.Propagation = 0
		p := s.watch(func(n int) bool { return n < 12 && n%3 == 0 })
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.sweep(5 * time.Minute)
		s.h = hooks{}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
		if len(p.worked) < 13 {
			t.Errorf("proofs: %v", p.worked)
		}
	})
}

// R6: what is old enough when it is proven is proven once more when it is published.
func TestProofIsFreshWhenPublished(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Directory.Propagation = 0
		s.watch(nil)
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.sweep(time.Minute)
		s.h = hooks{}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}

// R6: the pass that publishes has made the whole proof itself.
func TestProofIsOfThePassThatPublishes(t *testing.T) {
	for _, budget := range []time.Duration{11 * time.Second, 16 * time.Second, 21 * time.Second} {
		t.Run(budget.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Directory.Propagation = 0
				p := s.watch(nil)
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				if _, err := s.rotator().Pass(t.Context(), s.id, rotation.PassOptions{Until: time.Now().Add(budget)}); err != nil {
					t.Fatal(err)
				}
				if s.record().Run == nil {
					return // it had time enough
				}
				p.worked = nil
				s.sweep(time.Minute)
				s.h = hooks{}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
			})
		})
	}
}

// R5: an attempt that got as far as being published is not given up before current is
// published again.
func TestCurrentIsPublishedBeforeAnAttemptIsGivenUp(t *testing.T) {
	for _, kind := range []rotation.RequestKind{rotation.AskAbandon, rotation.AskRebind, rotation.AskDelete} {
		t.Run(string(kind), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.reach(rotation.Publishing)
				ended := false
				s.h.commit = func(rec rotation.Record) {
					if rec.Run == nil && !ended {
						ended = true
						if v, _ := s.w.Published(rec.VaultName); v.Tags[rotation.TagKeyID] != s.keyID {
							t.Errorf("the attempt is given up while %s is published", v.Tags[rotation.TagKeyID])
						}
					}
				}
				if kind == rotation.AskRebind {
					s.rebind()
				} else {
					s.ask(rotation.Request{Kind: kind})
				}
				s.sweep(time.Minute)
				if !ended {
					t.Error("the attempt was not given up")
				}
			})
		})
	}
}

// R6: the gate is three fresh tokens with what is published, a minute after it came.
func TestGateBeforeRemoval(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		var published time.Time
		tokens, reads := 0, 0
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				published, tokens, reads = time.Now(), 0, 0
			}
			return nil
		}
		s.h.got = func(v *rotation.VaultSecret) {
			if isPublished(*v) && v.Tags[rotation.TagKeyID] != s.keyID {
				reads++
			}
		}
		s.h.token = func(v rotation.Secret) error {
			if v != s.secret {
				tokens++
			}
			return nil
		}
		removed := false
		s.h.removing = func(string) error {
			removed = true
			if age := time.Since(published); age < time.Minute || tokens != 3 || reads != 1 {
				t.Errorf("removed %s after publishing, after %d reads of what is published and %d tokens with it", age, reads, tokens)
			}
			return nil
		}
		s.sweep(hour)
		if !removed {
			t.Error("nothing was removed")
		}
		s.rotated(rotation.OnEmergency)
	})
}

// R6: whatever a record says, the published credential is not removed.
func TestGateKeepsWhatIsPublished(t *testing.T) {
	for name, queue := range map[string]func(*rotation.Record){
		"as retiring": func(rec *rotation.Record) {
			rec.Retiring = []rotation.Retiring{{Target: rec.Target, KeyID: rec.Current.KeyID, VaultVersion: rec.Current.VaultVersion}}
		},
		"as abandoned": func(rec *rotation.Record) {
			rec.Abandoned = []rotation.Abandoned{{Target: rec.Target, Marker: "x", KeyID: rec.Current.KeyID}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(queue)
				s.h.removing = func(keyID string) error { t.Errorf("%s is removed, which is published", keyID); return nil }
				s.sweep(30 * time.Minute)
				s.live(2)
			})
		})
	}
}

// R6: refusals count in a row. The published credential that works again is not lost.
func TestRefusalsInARow(t *testing.T) {
	for name, answer := range map[string]error{
		"then the removal goes well": nil,
		"then the removal does not":  &rotation.Error{Op: "removing a password", Class: rotation.Transient, Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				refused := 0
				s.h.token = func(v rotation.Secret) error {
					rec := s.record()
					if v == s.secret || rec.Phase != rotation.Idle || refused == 9 {
						return nil
					}
					if rec.Current.Refusals < 9 {
						refused = rec.Current.Refusals + 1
					}
					return &rotation.Error{Op: "signing in", Class: rotation.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
				}
				s.h.removing = func(string) error { return answer }
				s.sweep(20 * time.Minute)
				if refused != 9 {
					t.Fatalf("%d refusals", refused)
				}
				if c := s.record().Current; c.Refusals != 0 || !c.RefusedSince.IsZero() {
					t.Errorf("it works, but %d refusals since %s stand against it", c.Refusals, c.RefusedSince)
				}
				s.h = hooks{}
				s.sweep(2 * hour)
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// R6: somebody removes the published credential by hand. Removals are postponed; ten
// refusals over a quarter of an hour raise the alarm, and the old credential, which
// still works, issues a new one.
func TestPublishedCredentialLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		time.Sleep(47 * hour)
		dead, _ := s.w.Published(s.record().VaultName)
		var refusals []time.Time
		var started time.Time
		s.h.token = func(v rotation.Secret) error {
			if v == dead.Value && started.IsZero() {
				refusals = append(refusals, time.Now())
			}
			return nil
		}
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) { started = time.Now(); return add() }
		s.h.removing = func(string) error {
			if started.IsZero() {
				t.Error("the credential that still works was removed")
			}
			return nil
		}
		s.h.put = func(v rotation.VaultSecret) error { s.w.OutsideBreak(!isPublished(v)); return nil }
		s.sweep(4 * hour)
		s.rotated(rotation.OnLoss)
		s.live(2)
		if len(refusals) < 10 || started.Sub(refusals[0]) < 15*time.Minute || started.Sub(refusals[0]) > 20*time.Minute {
			t.Errorf("recovery began after %d refusals, %s after the first", len(refusals), started.Sub(refusals[0]))
		}
		if n := len(s.events(rotation.EventLost)); n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
		if !strings.Contains(s.w.Log.String(), "the published credential is lost") {
			t.Error("the alarm is not in the log")
		}
	})
}

// R6, R7, R9: nothing works any more. The record says so, it is tried ever more
// slowly, and after a day what is to be removed is left to a person.
func TestNothingWorks(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		s.w.RemoveByHand(s.keyID)
		s.sweep(47*hour + 25*time.Minute)
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error == nil || rec.Error.Class != rotation.CredentialLost || !strings.Contains(rec.Error.Message, "reconnect") {
			t.Fatalf("phase %s, error %+v", rec.Phase, rec.Error)
		}
		s.sweep(23 * hour)
		if len(s.record().Retiring) != 1 {
			t.Error("it was left to a person before a day was over")
		}
		s.sweep(2 * hour)
		rec = s.record()
		if len(rec.Retiring) != 0 || len(rec.ByHand) != 1 || rec.ByHand[0].KeyID != s.keyID || len(s.events(rotation.EventByHand)) != 1 {
			t.Errorf("retiring %v, by hand %v, events %v", rec.Retiring, rec.ByHand, s.events(rotation.EventByHand))
		}
		if n := len(s.events(rotation.EventFailed)); n < 4 || n > 6 {
			t.Errorf("%d runs failed in 25 hours; hours double from one", n)
		}
		if len(rec.Abandoned) != 0 || s.w.Directory.Issued != 1 {
			t.Errorf("abandoned %d, issued %d: nothing was asked for", len(rec.Abandoned), s.w.Directory.Issued)
		}
	})
}

// R7: as long as any known credential works, nothing is left to a person, however long
// the published one is refused.
func TestLostButNotHopeless(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = true })
		s.sweep(4 * day)
		if rec := s.record(); len(rec.ByHand) != 0 || len(rec.Retiring) != 1 || rec.Error.Class != rotation.PolicyForbidden {
			t.Errorf("by hand %v, retiring %v, error %+v", rec.ByHand, rec.Retiring, rec.Error)
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = false })
		s.h.put = func(v rotation.VaultSecret) error { s.w.OutsideBreak(!isPublished(v)); return nil }
		s.sweep(2 * day)
		s.rotated(rotation.OnLoss)
		s.live(2)
	})
}

// R7: "no such credential" is no proof that it is gone.
func TestMissingOnlyStartsTheReads(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var asked time.Time
		s.h.removing = func(string) error {
			asked = time.Now()
			return &rotation.Error{Op: "removing a password", Class: rotation.CredentialMissing, Status: 400}
		}
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		for range 20 {
			if len(s.events(rotation.EventRevoked)) == 0 {
				s.sweep(time.Second)
			}
		}
		s.h.removing = nil
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
		s.live(2)
		if n := len(s.events(rotation.EventRevoked)); n != 2 {
			t.Errorf("%d removals, want a second one, since it still showed", n)
		}
		if gone := s.events(rotation.EventGone); len(gone) != 1 || gone[0].At.Sub(asked) < 9*time.Minute {
			t.Errorf("gone: %v, asked at %s", gone, asked)
		}
	})
}

// rebind stages the credential of another application and asks for it, as the API
// does. It returns that application.
func (s *subject) rebind() (next rotation.Application, keyID string, secret rotation.Secret) {
	s.t.Helper()
	next, secret, keyID = s.w.AddApplication()
	s.w.Name(keyID)
	rec := s.record()
	c := rotation.Credential{Target: next, KeyID: keyID, Origin: rotation.OriginNamed, ExpiresAt: time.Now().Add(100 * day)}
	version, err := s.w.VaultPort().Put(s.t.Context(), rotation.VaultSecret{Name: rec.StagedName(), Value: secret, Enabled: true, Tags: rotation.Tags(rotationtest.Deployment, &rec, c)})
	if err != nil {
		s.t.Fatal(err)
	}
	c.VaultVersion = version
	s.ask(rotation.Request{Kind: rotation.AskRebind, Target: next, Next: &c})
	return next, keyID, secret
}

// reach brings the connection into a phase and keeps it there.
func (s *subject) reach(phase rotation.Phase) {
	s.t.Helper()
	switch phase {
	case rotation.Idle:
	case rotation.Issuing:
		s.h.add = func(func() (rotation.Issued, error)) (rotation.Issued, error) {
			return rotation.Issued{}, &rotation.Error{Op: "adding a password", Class: rotation.Throttled, Status: 429, RetryAfter: hour}
		}
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(time.Second)
		s.h.add = nil
	case rotation.Verifying:
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(time.Second)
	case rotation.Publishing: // what is published is ahead of the record
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				return &rotation.Error{Op: "writing a secret", Class: rotation.Throttled, Status: 429, RetryAfter: hour, UnknownOutcome: true}
			}
			return nil
		}
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(10 * time.Minute)
		s.h.put = nil
		if s.published() == s.keyID {
			s.t.Fatal("nothing new is published")
		}
	case rotation.Rebinding:
		_, _, secret := s.rebind()
		s.h.token = func(v rotation.Secret) error {
			if v == secret {
				return &rotation.Error{Op: "signing in", Class: rotation.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
			}
			return nil
		}
		s.sweep(time.Minute)
	}
	s.phase(phase)
}

var phases = []rotation.Phase{rotation.Idle, rotation.Issuing, rotation.Verifying, rotation.Publishing, rotation.Rebinding}

func inEveryPhase(t *testing.T, test func(t *testing.T, s *subject, phase rotation.Phase)) {
	for _, phase := range phases {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.bound(3000)
				s.reach(phase)
				test(t, s, phase)
			})
		})
	}
}

// R12: abandoning ends a run at once, and what it issued is removed. Nothing begins
// again by itself before its slot.
func TestAbandonInEveryPhase(t *testing.T) {
	inEveryPhase(t, func(t *testing.T, s *subject, phase rotation.Phase) {
		issued := s.w.Directory.Issued
		var run rotation.Run
		if r := s.record().Run; r != nil {
			run = *r
		}
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(time.Second)
		rec := s.record()
		switch phase {
		case rotation.Idle:
			if rec.LastRun != nil || rec.Request != nil {
				t.Errorf("there was nothing to abandon: %+v, %+v", rec.LastRun, rec.Request)
			}
			return
		case rotation.Rebinding:
			s.phase(rotation.Rebinding) // which is no run; it ends by itself
			return
		}
		if rec.Phase != rotation.Idle || rec.LastRun == nil || rec.LastRun.Outcome != "abandoned" || rec.LastRun.KeyID != run.KeyID || rec.Error != nil {
			t.Fatalf("phase %s, last run %+v, error %+v", rec.Phase, rec.LastRun, rec.Error)
		}
		if got := s.published(); got != s.keyID {
			t.Errorf("published: %s, want what was there before", got)
		}
		s.sweep(40 * time.Minute)
		if s.w.Directory.Issued != issued {
			t.Error("another run began by itself")
		}
		s.w.CheckEnd(s.id)
		s.live(2)
	})
}

// A scheduled run that was abandoned is not due again before the next slot.
func TestAbandonedSlot(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour)
		s.sweep(time.Minute)
		s.phase(rotation.Verifying)
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(2 * day)
		s.w.CheckEnd(s.id)
		if rec := s.record(); s.w.Directory.Issued != 1 || rec.NextSlot.Before(time.Now().Add(20*day)) {
			t.Errorf("issued %d, next slot %s", s.w.Directory.Issued, rec.NextSlot)
		}
	})
}

// The original that is still to be taken over does not begin again at once, either.
func TestAbandonedTakeOver(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.bound(300)
		s.edit(func(rec *rotation.Record) { rec.Current.Origin = rotation.OriginNamed })
		s.h.token = func(v rotation.Secret) error {
			if v != s.secret {
				return &rotation.Error{Op: "signing in", Class: rotation.CredentialRefused, Status: 401}
			}
			return nil
		}
		s.sweep(time.Minute)
		s.phase(rotation.Verifying)
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(30 * time.Minute)
		if rec := s.record(); rec.Phase != rotation.Idle || rec.Error == nil || s.w.Directory.Issued != 1 {
			t.Errorf("phase %s, error %+v, issued %d", rec.Phase, rec.Error, s.w.Directory.Issued)
		}
		s.h.token = nil
		s.sweep(2 * hour)
		s.rotated(rotation.OnCreation)
		s.live(2)
	})
}

// R12: an emergency acts in every phase, and everything old goes at once.
func TestEmergencyInEveryPhase(t *testing.T) {
	inEveryPhase(t, func(t *testing.T, s *subject, phase rotation.Phase) {
		rest, restKey := s.w.AddForeign(s.app.ClientID)
		s.w.Name(restKey)
		version, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: "elsewhere", Value: rest, Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		s.edit(func(rec *rotation.Record) {
			rec.Retiring = []rotation.Retiring{{Target: s.app, KeyID: restKey, VaultVersion: version, RevokeAfter: time.Now().Add(30 * day)}}
		})
		asked := time.Now()
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.sweep(time.Minute)
		if rec := s.record(); len(rec.Retiring) > 0 && rec.Retiring[0].RevokeAfter.After(time.Now()) {
			t.Errorf("a grace period still runs: %+v", rec.Retiring[0])
		}
		if phase == rotation.Rebinding {
			s.sweep(time.Hour) // the caller's credential does not prove itself; then the emergency has its turn
		}
		s.sweep(20 * time.Minute)
		s.rotated(rotation.OnEmergency)
		s.live(2)
		if phase == rotation.Idle && s.record().LastRotatedAt.Sub(asked) > time.Minute {
			t.Errorf("published %s after it was asked for", s.record().LastRotatedAt.Sub(asked))
		}
	})
}

// R12: a deletion ends every phase at once. Current stays, in Entra and in the vault;
// with revoke everything goes that Rekey issued.
func TestDeleteInEveryPhase(t *testing.T) {
	for _, revoke := range []bool{false, true} {
		t.Run(fmt.Sprintf("revoke %t", revoke), func(t *testing.T) {
			inEveryPhase(t, func(t *testing.T, s *subject, phase rotation.Phase) {
				name := s.record().VaultName
				s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: revoke})
				s.sweep(time.Second)
				if s.exists() {
					s.phase(rotation.Deleting)
				}
				s.sweep(2 * hour)
				if s.exists() {
					t.Fatalf("the connection is still there: %+v", s.record())
				}
				v, published := s.w.Published(name)
				switch {
				case revoke && published:
					t.Error("the vault secret is still there")
				case !revoke && (!published || v.Tags[rotation.TagKeyID] != s.keyID):
					t.Error("current is not published any more")
				}
				want := 2
				if revoke {
					want = 1
				}
				s.live(want)
				if _, left := s.w.Published(name + "-staged"); left {
					t.Error("the staged secret is still there")
				}
			})
		})
	}
}

// R12: a run that fails to give way because the vault is down does so as soon as it
// is asked again, and does not hammer the vault meanwhile.
func TestDeleteDoesNotWaitForAPause(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.bound(60)
		s.h.putting = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				return &rotation.Error{Op: "writing a secret", Class: rotation.VaultRefused, Status: 403}
			}
			return nil
		}
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(2 * hour)
		s.phase(rotation.Publishing)
		if wait := time.Until(s.record().Error.RetryAt); wait < 30*time.Minute {
			t.Fatalf("the next try is in %s", wait)
		}
		s.h.putting = nil
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(30 * time.Minute)
		if s.exists() {
			t.Error("the deletion waits for the pause of a failure from before")
		}
	})
}

// And where giving way fails itself, that is not tried again without a pause.
func TestDeleteWhileTheVaultIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.reach(rotation.Publishing)
		s.bound(20)
		s.h.putting = func(rotation.VaultSecret) error {
			return &rotation.Error{Op: "writing a secret", Class: rotation.VaultRefused, Status: 403}
		}
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(30 * time.Minute)
		s.phase(rotation.Publishing)
		s.h = hooks{}
		s.sweep(3 * hour)
		if s.exists() {
			t.Error("the connection is still there")
		}
	})
}

// A vault secret that somebody deleted must not keep a connection from being deleted:
// what can't be removed for want of a credential is left to a person after a day.
func TestDeleteAfterTheVaultSecretIsGone(t *testing.T) {
	for _, phase := range []rotation.Phase{rotation.Idle, rotation.Verifying, rotation.Publishing} {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.bound(3000)
				s.reach(phase)
				s.w.OutsideBreak(true)
				if err := s.w.VaultPort().Delete(t.Context(), s.record().VaultName); err != nil {
					t.Fatal(err)
				}
				s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: true})
				s.sweep(3 * day)
				if s.exists() {
					t.Fatalf("the connection is still there: %+v", s.record())
				}
				if len(s.events(rotation.EventByHand)) == 0 {
					t.Error("nobody is told what is left to remove by hand")
				}
			})
		})
	}
}

// The same for a permission that was taken away.
func TestDeleteWithoutPermission(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
		s.sweep(4 * day)
		if rec := s.record(); len(rec.Retiring) != 1 || rec.Retiring[0].Problem != rotation.Permission {
			t.Fatalf("a permission may come back, and the record says that it lacks: %+v", rec.Retiring)
		}
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(4 * day)
		if s.exists() {
			t.Errorf("the connection is still there: %+v", s.record())
		}
		if by := s.events(rotation.EventByHand); len(by) != 1 || by[0].KeyID != s.keyID {
			t.Errorf("left to a person: %v", by)
		}
	})
}

// A new application's credential is proven, published, and taken over; the old
// application's goes after its grace, by its own means, and is proven by refusals.
func TestRebind(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		next, given, _ := s.rebind()
		s.sweep(20 * time.Minute)
		rec := s.record()
		if !rec.Target.Same(next) || !rec.Actor.Same(next) || rec.Current.KeyID == given || rec.LastRun.Trigger != rotation.OnCreation {
			t.Fatalf("target %v, current %+v, last run %+v", rec.Target, rec.Current, rec.LastRun)
		}
		if len(s.events(rotation.EventRebound)) != 1 {
			t.Error("the history does not say so")
		}
		s.w.CheckEnd(s.id)
		s.live(2) // the old application is in its grace period
		if n := s.w.Live(next.ClientID); n != 1 {
			t.Errorf("%d client secrets of the new application, want 1", n)
		}
		s.sweep(47 * hour)
		s.live(2)
		s.sweep(2 * hour)
		s.live(1)
		s.w.CheckEnd(s.id)
		if left := s.record().Retiring; len(left) != 0 {
			t.Errorf("retiring: %+v", left)
		}
		gone, revoked := s.events(rotation.EventGone), s.events(rotation.EventRevoked)
		if last := len(gone) - 1; gone[last].KeyID != s.keyID || gone[last].At.Sub(revoked[last].At) < 15*time.Minute {
			t.Errorf("gone %v, revoked %v: refusals over a quarter of an hour prove it", gone, revoked)
		}
	})
}

// A credential of the old application whose own value is of no use any more goes by
// means of the others.
func TestRebindWithAnOldValueThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		rec := s.record()
		s.rebind()
		s.sweep(20 * time.Minute)
		if err := s.w.VaultPort().Disable(t.Context(), rec.VaultName, rec.Retiring[0].VaultVersion); err != nil {
			t.Fatal(err)
		}
		s.sweep(51 * hour)
		s.w.CheckEnd(s.id)
		s.live(1)
		if left := s.record(); len(left.Retiring) != 0 || len(left.ByHand) != 0 {
			t.Errorf("retiring %+v, by hand %+v", left.Retiring, left.ByHand)
		}
	})
}

// P2: a credential that was given, and not named, is reported and left alone.
func TestGivenCredentialIsLeftAlone(t *testing.T) {
	for _, keyID := range []string{"", "known"} {
		t.Run("key id "+keyID, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) {
					rec.Current.Origin = rotation.OriginGiven
					if keyID == "" {
						rec.Current.KeyID = ""
					}
				})
				s.h.removing = func(keyID string) error { t.Errorf("%s is removed", keyID); return nil }
				s.sweep(3 * day)
				s.rotated(rotation.OnSchedule)
				s.live(3)
				if rec := s.record(); len(rec.ByHand) != 1 || len(s.events(rotation.EventByHand)) != 1 {
					t.Errorf("by hand %v, history %v", rec.ByHand, s.events(rotation.EventByHand))
				}
			})
		})
	}
}

// A deletion ends the grace periods: what is retiring goes, current stays.
func TestDeleteDuringTheGracePeriod(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.live(3)
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(hour)
		if s.exists() {
			t.Error("the deletion waits for the grace period")
		}
		s.live(2)
	})
}

// A target that refuses every credential for a day is left to a person (rule R7).
func TestRebindFromAnApplicationThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.OutsideBreak(true)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Deleted = true })
		s.rebind()
		s.sweep(20 * time.Minute)
		s.w.OutsideBreak(false)
		s.sweep(48*hour + 23*hour)
		if len(s.record().Retiring) != 1 {
			t.Fatalf("retiring: %+v", s.record().Retiring)
		}
		s.sweep(2 * hour)
		rec := s.record()
		if len(rec.Retiring) != 0 || len(rec.ByHand) != 1 || rec.ByHand[0].KeyID != s.keyID || !rec.ByHand[0].Target.Same(s.app) {
			t.Errorf("retiring %+v, by hand %+v", rec.Retiring, rec.ByHand)
		}
		if by := s.events(rotation.EventByHand); len(by) != 1 || by[0].KeyID != s.keyID {
			t.Errorf("history: %v", by)
		}
		s.w.CheckEnd(s.id)
	})
}

// R5: a new credential that does not prove itself is dropped after half an hour, and
// the connection keeps what it has. A rotation that was asked for meanwhile follows.
func TestRebindRefused(t *testing.T) {
	for _, rotate := range []bool{false, true} {
		t.Run(fmt.Sprintf("rotation asked for %t", rotate), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) { rec.NextSlot = time.Now().Add(30 * day) })
				s.reach(rotation.Rebinding)
				run := *s.record().Run
				if rotate {
					s.ask(rotation.Request{Kind: rotation.AskRotate})
				}
				s.sweep(20 * time.Minute)
				s.phase(rotation.Rebinding)
				s.sweep(25 * time.Minute)
				rec := s.record()
				if !rec.Target.Same(s.app) {
					t.Errorf("target: %v", rec.Target)
				}
				refused := s.events(rotation.EventRebindRefused)
				if len(refused) != 1 || refused[0].KeyID != run.KeyID || strings.Contains(refused[0].Message, "request") {
					t.Errorf("history: %+v", refused)
				}
				if rotate {
					s.rotated(rotation.OnRequest)
					return
				}
				if l := rec.LastRun; l.Outcome != "failed" || l.KeyID != run.KeyID || !strings.Contains(l.Message, "keeps its old one") {
					t.Errorf("last run: %+v", l)
				}
				if s.published() != s.keyID {
					t.Error("current was touched")
				}
				s.w.CheckEnd(s.id)
				s.live(2)
			})
		})
	}
}

// R10: an application that may have two client secrets has two.
func TestFullApplication(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Audience = "AzureADandPersonalMicrosoftAccount" })
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			t.Error("a third one is asked for")
			return add()
		}
		s.sweep(3 * hour)
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error == nil || rec.Error.Class != rotation.Full || len(rec.Abandoned) != 0 {
			t.Errorf("phase %s, error %+v, abandoned %v", rec.Phase, rec.Error, rec.Abandoned)
		}
		s.live(2)
		if s.published() != s.keyID {
			t.Error("current was touched")
		}
	})
}

// R10: a tenant's policy that allows less than twice the interval gets what the
// interval needs; one that allows less is named.
func TestLifetimePolicy(t *testing.T) {
	for _, tt := range []struct {
		longest, want time.Duration // want 0: refused
	}{{64 * day, 63 * day}, {62 * day, 35 * day}, {34 * day, 0}} {
		t.Run(tt.longest.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Longest = tt.longest })
				s.sweep(2 * hour)
				rec := s.record()
				if tt.want == 0 {
					if rec.Phase != rotation.Idle || rec.Error == nil || rec.Error.Class != rotation.PolicyLifetime || rec.LastRun.Outcome != "failed" {
						t.Errorf("phase %s, error %+v", rec.Phase, rec.Error)
					}
					s.live(2)
					return
				}
				s.rotated(rotation.OnSchedule)
				if life := rec.Current.ExpiresAt.Sub(rec.LastRotatedAt); life < tt.want-hour || life > tt.want {
					t.Errorf("it lives for %s, want %s", life, tt.want)
				}
			})
		})
	}
}

// R9: a permission that lacks is tried again ever more slowly, at once on request,
// and nothing is to be looked for, since nothing was issued.
func TestPermissionRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
		var tries []time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			tries = append(tries, time.Now())
			return add()
		}
		s.sweep(4 * day)
		if len(tries) < 7 {
			t.Fatalf("%d tries in four days", len(tries))
		}
		for i, want := range []time.Duration{hour, 2 * hour, 4 * hour, 8 * hour, 16 * hour, 24 * hour} {
			if pause := tries[i+1].Sub(tries[i]); pause < want || pause > want+want/5+2*time.Minute {
				t.Errorf("pause %d: %s, want %s and up to a fifth", i+1, pause, want)
			}
		}
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error.Class != rotation.Permission || !strings.Contains(rec.Error.Message, "Application.ReadWrite.OwnedBy") || len(rec.Abandoned) != 0 {
			t.Errorf("phase %s, error %+v, abandoned %v", rec.Phase, rec.Error, rec.Abandoned)
		}
		n := len(tries)
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(time.Second)
		if len(tries) != n+1 {
			t.Errorf("%d tries on request, want 1 at once", len(tries)-n)
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = false })
		s.ask(rotation.Request{Kind: rotation.AskRotate, ID: "again"})
		s.sweep(hour)
		s.rotated(rotation.OnRequest)
	})
}

// R9: Retry-After is honoured, in issuing, in proving and in removing.
func TestRetryAfter(t *testing.T) {
	throttled := func(op string) error {
		return &rotation.Error{Op: op, Class: rotation.Throttled, Status: 429, RetryAfter: 10 * time.Minute}
	}
	// once answers the first call so, and checks when the second comes.
	once := func(t *testing.T, first *time.Time) func() error {
		return func() error {
			switch {
			case first.IsZero():
				*first = time.Now()
				return throttled("calling")
			case time.Since(*first) < 10*time.Minute:
				t.Errorf("called again after %s", time.Since(*first))
			}
			return nil
		}
	}
	for name, arm := range map[string]func(s *subject, next func() error){
		"issuing": func(s *subject, next func() error) {
			s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
				if err := next(); err != nil {
					return rotation.Issued{}, err
				}
				return add()
			}
		},
		"proving": func(s *subject, next func() error) {
			s.h.token = func(v rotation.Secret) error {
				if v == s.secret {
					return nil
				}
				return next()
			}
		},
		"removing": func(s *subject, next func() error) { s.h.removing = func(string) error { return next() } },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				var first time.Time
				arm(s, once(t, &first))
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				s.sweep(hour)
				if first.IsZero() {
					t.Error("never called")
				}
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// An outage of a day leaves nothing behind: what was never asked for need not be
// looked for.
func TestOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.token = func(rotation.Secret) error {
			return &rotation.Error{Op: "signing in", Class: rotation.Transient, Status: 503}
		}
		s.sweep(day)
		rec := s.record()
		if len(rec.Abandoned)+len(rec.Spent) != 0 || rec.Error == nil || rec.Error.Class != rotation.Transient {
			t.Errorf("abandoned %d, spent %d, error %+v", len(rec.Abandoned), len(rec.Spent), rec.Error)
		}
		s.h.token = nil
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
		s.live(3)
	})
}

// A slot that comes when a pass has little time left: the next pass issues at once.
func TestNoTimeToIssue(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour - 3*time.Minute)
		s.edit(func(rec *rotation.Record) { rec.WakeAt = time.Now() })
		var issued time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			issued = time.Now()
			if left := time.Until(s.record().Lease.Until); left < 150*time.Second {
				t.Errorf("issued when the lease had %s left: storing the value takes time, too", left)
			}
			return add()
		}
		s.rotator().Pass(t.Context(), s.id, rotation.PassOptions{}) // waits for the slot
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
		if late := issued.Sub(time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)); late > 90*time.Second || len(s.events(rotation.EventAttemptDropped)) != 0 {
			t.Errorf("issued %s after the slot; attempts given up: %d", late, len(s.events(rotation.EventAttemptDropped)))
		}
	})
}

// With rotation off the end of the credential is announced 14, 7, 3 and 1 days before.
func TestWarnings(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		end := time.Now().Add(20 * day)
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled, rec.Current.ExpiresAt = false, end })
		s.sweepEvery(hour, 21*day)
		var left []int
		for _, e := range s.events(rotation.EventExpiring) {
			left = append(left, int((end.Sub(e.At)+2*hour)/day))
		}
		if want := []int{14, 7, 3, 1}; !slices.Equal(left, want) {
			t.Errorf("warnings %v days before the end, want %v", left, want)
		}
		if s.w.Directory.Issued != 0 {
			t.Error("rotation is off, but something was issued")
		}
	})
}

// R8: whichever commit has no answer, it is made once.
func TestCommitWithoutAnAnswer(t *testing.T) {
	for n, lost := 1, true; lost && n < 40; n++ {
		t.Run(fmt.Sprintf("commit %d", n), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				commits := 0
				s.h.committed = func() error {
					if commits++; commits == n {
						return unknown("committing")
					}
					return nil
				}
				version := s.record().Version
				if _, err := s.rotator().Pass(t.Context(), s.id, rotation.PassOptions{}); err != nil {
					t.Errorf("the pass ended with %v", err)
				}
				lost = commits >= n
				if got := s.record().Version - version; got != int64(commits) {
					t.Errorf("%d commits made %d versions", commits, got)
				}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
				for _, kind := range []string{rotation.EventStarted, rotation.EventIssued, rotation.EventPublished, rotation.EventRevoked, rotation.EventGone} {
					if got := len(s.events(kind)); got != 1 {
						t.Errorf("%d times %s", got, kind)
					}
				}
			})
		})
	}
}

// The process that created the connection died: the vault tells whether the given
// secret reached it.
func TestCreationAfterACrash(t *testing.T) {
	for _, arrived := range []bool{true, false} {
		t.Run(fmt.Sprintf("arrived %t", arrived), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) {
					rec.Phase, rec.Acknowledged, rec.Current.VaultVersion, rec.Current.Origin = rotation.Creating, false, "", rotation.OriginNamed
					if !arrived {
						rec.VaultName = "nothing-there"
					}
				})
				s.sweep(hour)
				if arrived {
					s.rotated(rotation.OnCreation)
				} else if s.exists() || len(s.events(rotation.EventUndone)) == 0 || len(s.events(rotation.EventStarted)) != 0 {
					t.Error("the creation is not undone")
				}
				s.live(2)
			})
		})
	}
}

// R8: whenever the API writes in the middle of a pass, the pass loses nothing and
// overwrites nothing.
func TestPolicyEditedDuringAPass(t *testing.T) {
	for n, edited := 1, true; edited && n < 40; n++ {
		t.Run(fmt.Sprintf("before commit %d", n), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				commits, revision := 0, int64(0)
				s.h.commit = func(rotation.Record) {
					if commits++; commits == n {
						s.edit(func(rec *rotation.Record) {
							rec.Name, rec.Policy.Schedule.Interval, rec.Policy.Grace = "renamed", 7, hour
							revision = rec.Revision + 1
						})
					}
				}
				tokens := 0
				s.h.token = func(rotation.Secret) error { tokens++; return nil }
				if _, err := s.rotator().Pass(t.Context(), s.id, rotation.PassOptions{}); err != nil {
					t.Errorf("the pass ended with %v", err)
				}
				if edited = commits >= n; !edited {
					return
				}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
				rec := s.record()
				if rec.Name != "renamed" || rec.Policy.Schedule.Interval != 7 || rec.Policy.Grace != hour || rec.Revision != revision {
					t.Errorf("the edit is lost: %s, %+v, revision %d", rec.Name, rec.Policy, rec.Revision)
				}
				if s.w.Directory.Issued != 1 {
					t.Errorf("%d client secrets were issued", s.w.Directory.Issued)
				}
			})
		})
	}
}

// R12: a request that comes while a pass waits is seen at once, and what the pass has
// proven by then still counts.
func TestNudgeKeepsTheProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		tokens := 0
		s.h.token = func(v rotation.Secret) error {
			if v != s.secret {
				tokens++
			}
			return nil
		}
		published := 0
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) && published == 0 {
				published = tokens
			}
			return nil
		}
		r := s.rotator()
		var wg sync.WaitGroup
		wg.Go(func() { r.Pass(t.Context(), s.id, rotation.PassOptions{}) })
		for range 30 {
			time.Sleep(time.Second)
			r.Nudge(s.id)
		}
		wg.Wait()
		if refused := 2; published > 4+refused { // 3 in a row, one more to publish, and those before it has replicated
			t.Errorf("%d tokens until it was published", published)
		}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}

// R4: a run that ends while nobody knows whether a dead pass has staged a value leaves
// no staged version enabled.
func TestAbandonAfterACrash(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.put = func(v rotation.VaultSecret) error {
			if isStaged(v) {
				s.h.put = nil
				s.w.Restart()
			}
			return nil
		}
		time.Sleep(hour)
		s.sweep(time.Second)
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(hour)
		s.w.CheckEnd(s.id)
		s.live(2)
		if rec := s.record(); rec.LastRun == nil || rec.LastRun.Outcome != "abandoned" {
			t.Errorf("last run: %+v", rec.LastRun)
		}
	})
}
