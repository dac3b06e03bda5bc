package rotationtest_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// counted counts the sign-ins.
type counted struct {
	actor
	n    atomic.Int32
	err  error         // instead of a token
	left time.Duration // how long tokens are good; 0: as long as they are
}

func (c *counted) Token(ctx context.Context, id string) (rotation.Token, error) {
	c.n.Add(1)
	if c.err != nil {
		return rotation.Token{}, c.err
	}
	token, err := c.actor.Token(ctx, id)
	if c.left != 0 {
		token.ExpiresAt = time.Now().Add(c.left)
	}
	return token, err
}

// A connection that authenticates for many signs in once for all of them, as long as the
// token is good. A refusal answers those that wait, and what passes by itself answers them
// for half a minute. After the directory has refused what a token asked for, a new one is
// got: what is granted meanwhile shows in new tokens only.
func TestSignInsAreShared(t *testing.T) {
	const n = 5
	refuse := func(class serviceerror.Class, status int) func(func() (rotation.Issued, error)) (rotation.Issued, error) {
		return func(func() (rotation.Issued, error)) (rotation.Issued, error) {
			return rotation.Issued{}, &serviceerror.Error{Op: "adding a password", Class: class, Status: status}
		}
	}
	for _, tt := range []struct {
		name  string
		err   error
		left  time.Duration
		add   func(func() (rotation.Issued, error)) (rotation.Issued, error)
		least int32 // sign-ins
		most  int32
	}{
		{name: "the token is good", least: 1, most: 1},
		{name: "it ends during the pass", left: 9 * time.Minute, least: n, most: 2 * n},
		{name: "the sign-in is refused", err: &serviceerror.Error{Op: "signing in", Class: serviceerror.ActorRefused}, least: 1, most: 1},
		{name: "the sign-in has no answer", err: &serviceerror.Error{Op: "signing in", Class: serviceerror.Transient},
			least: 2, most: 10}, // of a sweep that lasts 4 min
		{name: "a permission is missing", add: refuse(serviceerror.Permission, 403), least: 2, most: n},
		{name: "the token is refused", add: refuse(serviceerror.CredentialInvalid, 401), least: 2, most: n},
		{name: "the application is full", add: refuse(serviceerror.Full, 403), least: 1, most: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := rotationtest.NewWorld(t)
				c := &counted{actor: actor{w: w}, err: tt.err, left: tt.left}
				c.app, c.secret, _ = w.AddApplication()
				var s *subject
				for i := range n {
					s = newSubject(t, w, i)
					w.Own(s.app.ClientID, c.app.ClientID, true)
					s.edit(func(rec *rotation.Record) { rec.Via, rec.Actor = "parent", c.app })
				}
				s.actors, s.h.add = c, tt.add
				time.Sleep(hour)
				r := s.rotator()
				r.Parallel = 1 // one after the other
				if _, err := r.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := c.n.Load(); got < tt.least || got > tt.most {
					t.Errorf("%d sign-ins of one that acts for %d, want %d to %d", got, n, tt.least, tt.most)
				}
				s.check()
			})
		})
	}
}
