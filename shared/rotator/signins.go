package rotator

import (
	"context"
	"errors"
	"sync"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"

	"golang.org/x/sync/errgroup"
)

// signIns are the tokens of those who act for others, kept for one invocation, so
// that a hundred targets of one connection cost one sign-in.
type signIns struct {
	mu   sync.Mutex
	byID map[string]*signIn
}

type signIn struct {
	busy  chan struct{} // has room for one: the caller that signs in
	token rotation.Token
	err   error // of the last try
	at    time.Time
	with  string // what was tried, as [pass.credentialOf] says
}

func newSignIns() *signIns { return &signIns{byID: make(map[string]*signIn)} }

// tokenReserve is how long a token has to be good for yet to be used again: longer
// than a pass.
const tokenReserve = 10 * time.Minute

// How long a refusal, or what passes by itself, answers for the others who wait, unless
// there is something else to sign in with by then. A sign-in that takes as long as a call
// may is not made once for each of them.
const (
	refusalKept   = time.Minute
	transientKept = 30 * time.Second
)

// kept is how long an error answers for others.
func kept(err error) time.Duration {
	if serviceerror.ClassOf(err).Refusal() {
		return refusalKept
	}
	return transientKept
}

func (s *signIns) of(id string) *signIn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[id] == nil {
		s.byID[id] = &signIn{busy: make(chan struct{}, 1)}
	}
	return s.byID[id]
}

// forget makes the next use sign in anew: what was granted meanwhile shows in a new
// token only.
func (s *signIns) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}

// actorToken gets a token of the connection that authenticates for rec. Neither the one
// that signs in nor those that wait for it hold a worker: however slow it is, connections
// that have nothing to do with it go on.
func (p *pass) actorToken(ctx context.Context, rec *rotation.Record) (rotation.Token, error) {
	defer p.idle(ctx)()
	s := p.signIns.of(rec.ActorID())
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return rotation.Token{}, context.Cause(ctx)
	}
	if !s.token.Value.IsZero() && s.token.ExpiresAt.After(p.now().Add(tokenReserve)) {
		return s.token, nil
	}
	// Before signing in: what is given while that is under way is another credential.
	with, known := p.credentialOf(ctx, rec.ActorID())
	if s.err != nil && known && with == s.with && p.now().Before(s.at.Add(kept(s.err))) {
		return rotation.Token{}, s.err
	}
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return rotation.Token{}, err
	}
	defer cancel()
	token, err := p.Actors.Token(cctx, rec.ActorID())
	s.token, s.err, s.at = token, nil, p.now()
	if err != nil && known {
		s.err, s.with = err, with
	}
	return token, err
}

// credentialOf names what a connection signs in with now; not known if that could not be
// read. One that is gone has nothing.
func (p *pass) credentialOf(ctx context.Context, id string) (name string, known bool) {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return "", false
	}
	defer cancel()
	rec, err := p.Store.Load(cctx, id)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return "", true
	case err != nil:
		return "", false
	case rec.Auth != nil:
		return rec.Actor.ClientID + " " + rec.Auth.VaultVersion, true
	case rec.Current != nil:
		return rec.Current.Target.ClientID + " " + rec.Current.VaultVersion, true
	}
	return "", true
}

// denied takes note that the directory refused what an actor's token asked for.
func (p *pass) denied(rec *rotation.Record, err error) {
	if c := serviceerror.ClassOf(err); err != nil && (c == serviceerror.Permission || c == serviceerror.CredentialInvalid) {
		p.tokens = nil
		if rec.Delegated() {
			p.signIns.forget(rec.ActorID())
		}
	}
}

// atOnce is how many targets are told at once. A table answers far more.
const atOnce = 8

// wakeTargets tells those that the connection authenticates for that it was given new
// credentials. It writes to those alone that wait or have to be told another application,
// so that it goes on where it stopped.
func (p *pass) wakeTargets(ctx context.Context, rec *rotation.Record) error {
	now := p.now()
	left := min(p.patience(now, p.Rules.CallTimeout), earlier(p.until, p.cutoff).Sub(now))
	if left < p.Rules.CallTimeout/6 {
		return errNoTime
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	notes, err := p.Store.Notes(ctx, reservation.Target, rec.ID)
	if err != nil {
		return err
	}
	all := errgroup.Group{}
	all.SetLimit(atOnce)
	for _, note := range notes {
		all.Go(func() error { return p.wakeTarget(ctx, note.Owner, rec) })
	}
	return all.Wait()
}

// wakeTarget tells one. What is gone, or was written by a newer Rekey, is left alone.
func (p *pass) wakeTarget(ctx context.Context, id string, parent *rotation.Record) error {
	j := AsAPI(Journal{Records: p.Store, NewID: p.NewID, Timeout: p.Rules.CallTimeout, Wait: func(ctx context.Context, d time.Duration) error {
		_, err := p.sleep(ctx, d)
		return err
	}})
	target, err := j.reload(ctx, id)
	if err == nil {
		_, err = j.Update(ctx, target, func(target *rotation.Record) ([]rotation.Event, error) {
			if target.Via != parent.ID || !target.GoOn(p.now(), parent.Actor) {
				return nil, ErrUnchanged
			}
			return nil, nil
		})
	}
	switch {
	case errors.Is(err, serviceerror.ErrNotFound), errors.Is(err, serviceerror.ErrNewerSchema):
		return nil
	case err == nil:
		p.Nudge(id)
	}
	return err
}
