package connection_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// sweep plays the timer for d: once a minute.
func (s *subject) sweep(t *testing.T, d time.Duration) {
	t.Helper()
	s.sweepEvery(t, time.Minute, d)
}

func (s *subject) sweepEvery(t *testing.T, every, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		next := time.Now().Truncate(every).Add(every)
		if due, ok := s.w.NextDue(); !ok || due.After(time.Now()) { // the timer would find nothing
			if !ok || due.After(end) {
				due = end
			}
			time.Sleep(time.Until(due.Add(every - 1).Truncate(every)))
			continue
		}
		service(s.w).Rotator.Sweep(t.Context()) // its process may die: that is the point
		time.Sleep(time.Until(next))
	}
}

// toSlot plays the timer until a minute before the next slot, and waits for it.
func (s *subject) toSlot(t *testing.T) {
	t.Helper()
	s.sweep(t, time.Until(s.nextSlotOf(t, s.id))-time.Minute)
	time.Sleep(time.Until(s.nextSlotOf(t, s.id)))
}

// sleepUntil lets time pass with the timer at work.
func (s *subject) sleepUntil(t *testing.T, at time.Time) {
	t.Helper()
	s.sweep(t, time.Until(at))
	time.Sleep(time.Until(at))
}

// timer is the timer of c's process for d, beside the test; end waits for it.
func timer(t *testing.T, c *connection.Service, d time.Duration) (end func()) {
	var all sync.WaitGroup
	all.Go(func() {
		for begun := time.Now(); time.Since(begun) < d; time.Sleep(time.Minute) {
			c.Rotator.Sweep(t.Context()) // what it could not do is the next one's
		}
	})
	return all.Wait
}

// tick plays the timer once an hour for d, whether anything is due or not.
func (s *subject) tick(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Hour) {
		service(s.w).Rotator.Sweep(t.Context())
	}
}

// request puts a request on the record as the API does.
func (s *subject) request(t *testing.T, q rotation.Request) {
	t.Helper()
	for range 10 {
		rec, err := s.w.StorePort().Load(t.Context(), s.id)
		if err != nil {
			continue
		}
		q.At = time.Now().UTC()
		rec.Ask(q)
		rec.WakeAt = q.At
		rec.Version++
		if _, err := s.w.StorePort().Commit(t.Context(), rec); err == nil {
			return
		}
	}
	t.Fatalf("could not write the request %s", q.Kind)
}

// rotateBy asks for a rotation and plays the timer for d.
func (s *subject) rotateBy(t *testing.T, d time.Duration) {
	t.Helper()
	s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
	s.sweep(t, d)
}

// stopIn rotates up to the first commit that reaches phase, and lets the process die
// right after it.
func (s *subject) stopIn(t *testing.T, phase rotation.Phase) {
	t.Helper()
	s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
	time.Sleep(time.Second)                 // wake-ups are in whole seconds
	service(s.w).Rotator.Sweep(t.Context()) // ends before the credential is old enough
	for range 10 {
		if rec, _ := s.w.Record(s.id); rec.Phase == phase {
			return
		}
		time.Sleep(2 * time.Minute)
		s.w.Break(2, rotationtest.CrashAfter) // the first takes the lease
		service(s.w).Rotator.Sweep(t.Context())
		s.w.Break(0, rotationtest.NoFault)
		s.w.Restart()
	}
	t.Fatalf("phase %s was not reached", phase)
}

// stopAfter rotates, and lets the process die after a write.
func (s *subject) stopAfter(t *testing.T, op string) {
	t.Helper()
	s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
	s.w.BreakAt(op, rotationtest.CrashAfter)
	for range 10 {
		service(s.w).Rotator.Sweep(t.Context())
		if slices.Contains(s.w.Writes(), op) {
			s.w.Break(0, rotationtest.NoFault)
			s.w.Restart()
			time.Sleep(6 * time.Minute)
			return
		}
		time.Sleep(time.Minute)
	}
	t.Fatalf("%s was not reached", op)
}

// briefly is the service with so little time for a request that a rebind stays under way.
func (s *subject) briefly() *connection.Service {
	c := service(s.w)
	c.Budget = 3 * time.Second
	return c
}

// rebindTo gives the subject the client secret of another application, and leaves it in
// the phase rebinding.
func (s *subject) rebindTo(t *testing.T, app rotation.Application, secret secret.Value, keyID string) {
	t.Helper()
	rec, err := s.briefly().Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
		TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
	}})
	if err != nil || rec.Phase != rotation.Rebinding {
		t.Fatalf("rebinding: phase %s, %v", rec.Phase, err)
	}
}

// giveAnother gives the connection another client secret, by its value alone.
func (s *subject) giveAnother(t *testing.T, app rotation.Application, secret secret.Value) {
	service(s.w).Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
		TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret,
	}})
}

// reconnect gives it the sign-in of another person.
func (s *subject) reconnect(t *testing.T, c connection.Credentials) secret.Value {
	t.Helper()
	account, refresh := s.w.AddPerson()
	c.SignIn = &connection.SignIn{RefreshToken: refresh, Account: account}
	if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &c}); err != nil {
		t.Errorf("reconnecting: %v", err)
	}
	return refresh
}

// What Entra answers an application with the right client secret: one that is kept out by conditional access, one
// that is disabled, and one whose secrets never get known.
var (
	keptOut  = &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialInvalid, Status: 400, Code: "AADSTS53003"}
	disabled = &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialInvalid, Status: 400, Code: "AADSTS7000112"}
	unknown  = &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
)

// refuse lets every sign-in of the subject's application be answered with that.
func (s *subject) refuse(with *serviceerror.Error) {
	s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Refused = with })
}

var errLost = &serviceerror.Error{Op: "asking the table", Class: serviceerror.Transient, Status: 504, UnknownOutcome: true}

// whenLost commits, and reports once that the answer was lost, after something else was
// done. Of reads after that some fail.
type whenLost struct {
	connection.Records
	of   func(rec *rotation.Record) bool // nil: the first commit
	do   func(landed rotation.Record)
	lost bool
	deaf int // how many reads fail then
}

func (l *whenLost) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	got, err := l.Records.Commit(ctx, rec, events...)
	if err != nil || l.lost || l.of != nil && !l.of(&rec) {
		return got, err
	}
	l.lost = true
	l.do(got)
	return rec, errLost
}

func (l *whenLost) Load(ctx context.Context, id string) (rotation.Record, error) {
	if l.lost && l.deaf > 0 {
		l.deaf--
		return rotation.Record{}, errLost
	}
	return l.Records.Load(ctx, id)
}

// full is what a vault answers that takes nothing.
var full = &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403, Code: "Forbidden"}

// onceStored does something when the next new version is in the vault and the record does
// not name it yet.
func (s *subject) onceStored(do func()) {
	s.w.Before("vault.put", func() { s.w.Before("store.commit", do) })
}

// unsteady is a table that fails as a test says.
type unsteady struct {
	connection.Records
	commit func(n int) (made bool, err error) // the n-th one
	load   func(n int) error                  // the n-th one after the first commit

	commits, loads int
	first, second  time.Time // commit
}

func (u *unsteady) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	switch u.commits++; u.commits {
	case 1:
		u.first = time.Now()
	case 2:
		u.second = time.Now()
	}
	made, err := u.commit(u.commits)
	if !made {
		return rec, err
	}
	got, failed := u.Records.Commit(ctx, rec, events...)
	if failed != nil {
		return got, failed
	}
	return got, err
}

func (u *unsteady) Load(ctx context.Context, id string) (rotation.Record, error) {
	if u.commits > 0 && u.load != nil {
		u.loads++
		if err := u.load(u.loads); err != nil {
			return rotation.Record{}, err
		}
	}
	return u.Records.Load(ctx, id)
}

// dies carries out f in a process that may die in it.
func dies(f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	<-ended
}

func nothing() {}
