package connection_test

import (
	"sync"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotationtest"
)

// This file is what the tests of the sequences ask the world, the record and the API:
// what must hold is stated in terms of the directory and the vault, and what only the
// record tells is asked here and nowhere else.

// vaultName is where the subject publishes.
func (s *subject) vaultName(t *testing.T) string {
	t.Helper()
	return mustRecord(t, s).VaultName
}

// published is the client secret that consumers of the subject read.
func (s *subject) published(t *testing.T) rotationtest.ClientSecret {
	t.Helper()
	c, ok := s.w.PublishedSecret(s.vaultName(t))
	if !ok {
		t.Fatal("nothing is published")
	}
	return c
}

// issued counts what Rekey has issued for the subject's application since a time.
func (s *subject) issued(since time.Time) (n int) {
	for _, c := range s.w.Secrets(s.app.ClientID) {
		if c.Issued && c.AddedAt.After(since) {
			n++
		}
	}
	return n
}

// nextSlot is when the subject is rotated next by its schedule.
func (s *subject) nextSlot(t *testing.T) time.Time {
	t.Helper()
	return mustRecord(t, s).NextSlot
}

// toSlot plays the timer until a minute before the next slot, and waits for it.
func (s *subject) toSlot(t *testing.T) {
	t.Helper()
	s.sweep(t, time.Until(s.nextSlot(t))-time.Minute)
	time.Sleep(time.Until(s.nextSlot(t)))
}

// attention is why a person should look at the subject, as the API says.
func (s *subject) attention(t *testing.T) []string {
	t.Helper()
	rec := mustRecord(t, s)
	return connection.Attention(&rec, time.Now())
}

// works reports whether a client secret authenticates.
func (s *subject) works(keyID string) bool { return s.w.IsLive(keyID) }

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

// keepsWorking plays the timer for d, and states that what is published works: it is
// looked at every so often. It stops at the first time that it does not.
func (s *subject) keepsWorking(real *testing.T, t testing.TB, every, d time.Duration) {
	t.Helper()
	name := s.vaultName(real)
	begun := time.Now()
	for end := begun.Add(d); time.Now().Before(end); {
		s.sweep(real, every)
		c, ok := s.w.PublishedSecret(name)
		if !ok {
			t.Fatalf("after %s nothing is published that works", time.Since(begun).Round(time.Second))
		}
		if c.Works(time.Now()) {
			continue
		}
		what := "ended " + time.Since(c.ExpiresAt).Round(time.Second).String() + " ago"
		if !c.RemovedAt.IsZero() {
			what = "was removed " + time.Since(c.RemovedAt).Round(time.Second).String() + " ago"
		}
		t.Fatalf("after %s the published client secret %s (%s) %s", time.Since(begun).Round(time.Second), c.KeyID, c.Name, what)
	}
}

// trouble is what the subject says went wrong last.
func (s *subject) trouble(t *testing.T) string {
	t.Helper()
	if e := mustRecord(t, s).Error; e != nil {
		return e.Message
	}
	return "nothing is wrong"
}
