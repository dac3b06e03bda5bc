package rotation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rekey/shared/serviceerror"
)

// Auth is what a connection authenticates with, where that is not the credential
// that it rotates: a certificate, somebody's sign-in, or a client secret that is
// nobody's to rotate. The material itself is in Key Vault, in the secret
// [Record.AuthName]; this is what may be known about it.
//
// Who gives new material or renews it writes this by compare-and-swap and without
// the lease, since nothing of the rotation depends on it. Of a pass only Warned and
// RenewAt are.
type Auth struct {
	VaultVersion string `json:"vaultVersion"` // the version in use
	// Generation counts what was given: +1 with each reconnect. What was renewed
	// from an older one must not replace a newer one.
	Generation int       `json:"generation"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero"`   // of a certificate, or of a client secret if that is known
	Thumbprint string    `json:"thumbprint,omitempty"` // SHA-1 of a certificate, as the portal shows it
	Chain      bool      `json:"chain,omitempty"`      // send the chain along: subject name and issuer authentication
	Account    string    `json:"account,omitempty"`    // object id of the person who signed in
	SavedAt    time.Time `json:"savedAt,omitzero"`     // when VaultVersion was written
	RenewAt    time.Time `json:"renewAt,omitzero"`     // when a refresh token has to be renewed at the latest; zero: never
	Warned     int       `json:"warned,omitempty"`     // days before ExpiresAt for which a warning was given

	// Problem is why the connection can't sign in any more, nil if it can.
	Problem *Failure `json:"problem,omitempty"`
}

// Actors signs in as connections that authenticate with something else than what
// is rotated. Their errors have class [ActorRefused] where a person has to act.
type Actors interface {
	// Token returns a Graph token of the connection with that id.
	Token(ctx context.Context, id string) (Token, error)
	// Renew signs in and stores the new refresh token, however new the old one is.
	Renew(ctx context.Context, id string) error
}

// Delegated reports whether somebody else than the target itself authenticates.
func (r *Record) Delegated() bool { return r.Via != "" || r.Auth != nil }

// AuthName is the Key Vault secret with what a connection authenticates with.
func (r *Record) AuthName() string { return "rekey-" + r.ID + "-auth" }

// actor is the connection that authenticates for r.
func (r *Record) actor() string {
	if r.Via != "" {
		return r.Via
	}
	return r.ID
}

// Replaced is how long credentials that were replaced, or that nothing came of, stay
// enabled: longer than any request that may still use them.
const Replaced = 10 * time.Minute

// Replace notes that what r authenticates with is being replaced, so that the old
// versions are disabled.
func (r *Record) Replace(now time.Time) {
	at := now.Add(Replaced)
	r.Spent = append(r.Spent, Spent{Auth: true, NextAt: at})
	r.WakeAt = earlier(r.WakeAt, at)
}

// signIns are the tokens of those who act for others, kept for one invocation, so
// that a hundred targets of one connection cost one sign-in.
type signIns struct {
	mu   sync.Mutex
	byID map[string]*signIn
}

type signIn struct {
	busy  chan struct{} // has room for one: whoever signs in
	token Token
	err   error // a refusal
	at    time.Time
	with  string // what was refused, as [pass.credentialOf] says
}

func newSignIns() *signIns { return &signIns{byID: make(map[string]*signIn)} }

// tokenReserve is how long a token has to be good for yet to be used again: longer
// than a pass.
const tokenReserve = 10 * time.Minute

// refusalKept is how long a refusal answers for the others who wait, unless there is
// something else to sign in with by then.
const refusalKept = time.Minute

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

// actorToken gets a token of the connection that authenticates for rec.
func (p *pass) actorToken(ctx context.Context, rec *Record) (Token, error) {
	s := p.signIns.of(rec.actor())
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return Token{}, context.Cause(ctx)
	}
	if !s.token.Value.IsZero() && s.token.ExpiresAt.After(p.now().Add(tokenReserve)) {
		return s.token, nil
	}
	// Before signing in: what is given while that is under way is another credential.
	with, known := p.credentialOf(ctx, rec.actor())
	if s.err != nil && known && with == s.with && p.now().Before(s.at.Add(refusalKept)) {
		return Token{}, s.err
	}
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return Token{}, err
	}
	defer cancel()
	token, err := p.Actors.Token(cctx, rec.actor())
	s.token, s.err, s.at = token, nil, p.now()
	if err != nil && known && serviceerror.ClassOf(err).Refusal() {
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
func (p *pass) denied(rec *Record, err error) {
	if c := serviceerror.ClassOf(err); err != nil && rec.Delegated() && (c == serviceerror.Permission || c == serviceerror.CredentialInvalid) {
		p.signIns.forget(rec.actor())
	}
}

// AuthWarnDays are the days before the expiry of what a connection authenticates
// with at which a warning is given. No rotation ever prevents it.
var AuthWarnDays = []int{30, 14, 7, 3, 1}

// planAuth plans what has to be done about what rec authenticates with.
func planAuth(p *dutyPlan, now time.Time, rec *Record) {
	a := rec.Auth
	if a == nil {
		return
	}
	if days, next := threshold(now, a.ExpiresAt, a.Warned, AuthWarnDays); days != 0 {
		p.add(now, Action{Do: WarnAuth})
	} else if !next.IsZero() {
		p.add(next, Action{Do: WarnAuth})
	}
	if !a.RenewAt.IsZero() {
		p.add(a.RenewAt, Action{Do: Renew})
	}
}

// renewPause is how long a renewal that failed waits, at most and at first. A
// refresh token lasts 90 idle days and is renewed long before.
const renewPause = 24 * time.Hour

// renew renews a refresh token that was not used for long. Whether it worked and
// until when it is good is written by whoever renews.
func (p *pass) renew(ctx context.Context, rec Record) (Record, error) {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return rec, err
	}
	err = p.Actors.Renew(cctx, rec.ID)
	cancel()
	if ctx.Err() != nil {
		return rec, context.Cause(ctx)
	}
	if err != nil {
		p.log.Warn("renewing a sign-in", "class", string(serviceerror.ClassOf(err)), "reason", serviceerror.Explain(err))
	}
	planned, now := rec.Auth.RenewAt, p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		if rec.Auth == nil || !rec.Auth.RenewAt.Equal(planned) {
			return // renewed, or given anew
		}
		rec.Auth.RenewAt = now.Add(renewPause)
	})
}

// warnAuth says that what the connection authenticates with is about to expire.
func (p *pass) warnAuth(ctx context.Context, rec Record) (Record, error) {
	now := p.now()
	days, _ := threshold(now, rec.Auth.ExpiresAt, rec.Auth.Warned, AuthWarnDays)
	if days == 0 {
		return rec, nil
	}
	left := rec.Auth.ExpiresAt.Sub(now).Round(time.Hour)
	message := fmt.Sprintf("what the connection authenticates with (%s) expires in %s; reconnect with a new one before", rec.Method, left)
	if left <= 0 {
		message = fmt.Sprintf("what the connection authenticates with (%s) has expired; reconnect with a new one", rec.Method)
	}
	p.log.Warn("credential expires", "expiresAt", rec.Auth.ExpiresAt, "days", days, "method", rec.Method)
	given := rec.Auth.Generation
	return p.commit(ctx, rec, func(rec *Record) {
		if rec.Auth != nil && rec.Auth.Generation == given {
			rec.Auth.Warned = days
		}
	}, Event{Kind: EventExpiring, Message: message, Notice: true})
}
