package rotator

import (
	"cmp"
	"context"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// call bounds one call to an outside service. It refuses with errNoTime when the
// call might outlast the lease (rule R2) or the pass's own end; a pass that runs
// inside a request shortens its calls rather than not making them, down to a
// sixth of what they may take.
func (p *pass) call(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc, error) {
	now := p.now()
	if !p.cutoff.IsZero() {
		left := p.cutoff.Sub(now)
		if left < timeout/6 {
			return nil, nil, errNoTime
		}
		timeout = min(timeout, left)
	}
	if !p.Rules.Fits(now, p.lease, timeout) {
		return nil, nil, errNoTime
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return ctx, cancel, nil
}

// find returns the newest version of name that fits, or nil.
func (p *pass) find(ctx context.Context, name string, fits func(rotation.VaultSecret) bool) (*rotation.VaultSecret, error) {
	versions, err := p.versions(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if fits(v) {
			return &v, nil
		}
	}
	return nil, nil
}

// versions lists every version of a secret, the newest first.
func (p *pass) versions(ctx context.Context, name string) ([]rotation.VaultSecret, error) {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return nil, err
	}
	defer cancel()
	return p.Vault.List(cctx, name)
}

// put writes one version. For a value that exists nowhere else, hold is true: then
// only the lease limits the call, not the end of a request.
func (p *pass) put(ctx context.Context, s rotation.VaultSecret, hold bool) (string, error) {
	q := *p
	if hold {
		q.cutoff = time.Time{}
	}
	cctx, cancel, err := q.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return "", err
	}
	defer cancel()
	return p.Vault.Put(cctx, s)
}

func (p *pass) get(ctx context.Context, name, version string) (rotation.VaultSecret, error) {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return rotation.VaultSecret{}, err
	}
	defer cancel()
	return p.Vault.Get(cctx, name, version)
}

func (p *pass) token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error) {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return rotation.Token{}, err
	}
	defer cancel()
	return p.Authority.Token(cctx, app, secret)
}

func (p *pass) application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error) {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return rotation.ApplicationState{}, err
	}
	defer cancel()
	return p.Directory.Application(cctx, token, app)
}

// tokenFor gets a token with which the credentials of app may be read and changed.
// If app does that itself, it is got with the first of its credentials in the vault
// that still works: current, then those that wait for their removal.
func (p *pass) tokenFor(ctx context.Context, rec *rotation.Record, app rotation.Application) (rotation.Token, error) {
	if rec.Delegated() {
		return p.actorToken(ctx, rec)
	}
	if t, ok := p.tokens[app.ClientID]; ok && t.ExpiresAt.After(p.now().Add(tokenReserve)) {
		return t, nil
	}
	var versions []string
	if c := rec.Current; c != nil && c.Target.Same(app) && c.VaultVersion != "" {
		versions = append(versions, c.VaultVersion)
	}
	for _, m := range rec.Removals {
		if m.Target.Same(app) && m.VaultVersion != "" && (m.RemovedAt.IsZero() || len(versions) == 0) {
			versions = append(versions, m.VaultVersion)
		}
	}
	refused := error(nil) // by the first, since the others count only without it
	for _, v := range versions {
		secret, err := p.get(ctx, rec.VaultName, v)
		if serviceerror.Unreadable(err) {
			refused = cmp.Or(refused, err)
			continue
		}
		if err != nil {
			return rotation.Token{}, err
		}
		token, err := p.token(ctx, app, secret.Value)
		if err == nil {
			p.keep(app, token)
		}
		if err == nil || !serviceerror.RefusesCredential(err) {
			return token, err
		}
		refused = cmp.Or(refused, err)
	}
	return rotation.Token{}, cmp.Or(refused, error(&serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialInvalid,
		Detail: "no credential of the application is known any more"}))
}

// keep keeps a token for what else the pass has to read and change of the application. It
// proves nothing: a proof takes a fresh one.
func (p *pass) keep(app rotation.Application, token rotation.Token) {
	if p.tokens == nil {
		p.tokens = map[string]rotation.Token{}
	}
	p.tokens[app.ClientID] = token
}

// patience is how long a pass may wait for a call that takes timeout.
func (p *pass) patience(now time.Time, timeout time.Duration) time.Duration {
	return max(0, min(p.until.Sub(now), p.lease.Until.Add(-p.Rules.Skew-timeout).Sub(now)))
}

// crowded is the error of a write that would have to wait for longer than its pass
// lasts.
func crowded(wait time.Duration) error {
	return &serviceerror.Error{Op: "waiting for room in the directory's quota", Class: serviceerror.Throttled, RetryAfter: wait}
}

// paceable asks beforehand whether there will be room for a write in time, so that
// nothing is prepared in vain.
func (p *pass) paceable(rec *rotation.Record, timeout time.Duration) error {
	if p.Pacer == nil {
		return nil
	}
	now := p.now()
	if wait, ok := p.Pacer.Room(now, rec.Actor, p.patience(now, timeout)); !ok {
		return crowded(wait)
	}
	return nil
}

// pace waits until the directory has room for another write of who acts for rec.
func (p *pass) pace(ctx context.Context, rec *rotation.Record, timeout time.Duration) error {
	if p.Pacer == nil {
		return nil
	}
	now := p.now()
	wait, ok := p.Pacer.Reserve(now, rec.Actor, p.patience(now, timeout))
	if !ok {
		return crowded(wait)
	}
	for at := now.Add(wait); wait > 0; wait = at.Sub(p.now()) { // a nudge ends a wait early
		if _, err := p.wait(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// written takes note of how the directory answered a write for rec.
func (p *pass) written(rec *rotation.Record, err error) {
	if p.Pacer != nil && err != nil && serviceerror.ClassOf(err) == serviceerror.Throttled {
		p.Pacer.Refused(p.now(), rec.Actor, serviceerror.RetryAfterOf(err))
	}
	p.denied(rec, err)
}
