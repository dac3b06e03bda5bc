package rotation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rekey/shared/serviceerror"
)

// retire queues an old credential for removal if it is ours to remove (promise
// P2); otherwise it is only reported.
func (p *pass) retire(rec *Record, old Credential, after time.Time, last bool) {
	if old.Origin == OriginGiven || old.KeyID == "" {
		rec.leave(p.now(), old.Target, old.KeyID, "the client secret was given without its key id")
		return
	}
	rec.Retiring = append(rec.Retiring, Retiring{
		Target: old.Target, KeyID: old.KeyID, VaultVersion: old.VaultVersion, RevokeAfter: after, Last: last,
	})
}

// revoke removes an old credential whose time has come. If we die after the call,
// it is made again, and answered with "no such credential".
func (p *pass) revoke(ctx context.Context, rec Record, i int) (Record, error) {
	o := rec.Retiring[i]
	if o.KeyID == "" || (rec.Current != nil && rec.Current.KeyID == o.KeyID) || (rec.Run != nil && rec.Run.KeyID == o.KeyID) {
		return p.commit(ctx, rec, func(rec *Record) { rec.Retiring = slices.Delete(rec.Retiring, i, i+1) })
	}
	e := retiringEntry(&rec, i)
	if err := p.pace(ctx, &rec, 2*p.Rules.CallTimeout); err != nil {
		return p.postponed(ctx, rec, e, err, func(*Record) {})
	}
	rec, token, ok, err := p.assure(ctx, rec, e)
	if !ok {
		return rec, err
	}
	if token, err = p.removalToken(ctx, &rec, token, o); err != nil {
		return p.postponed(ctx, rec, e, err, trusted)
	}
	return p.remove(ctx, rec, e, token, Event{Kind: EventRevoked, KeyID: o.KeyID})
}

// removeOrphan removes what an abandoned attempt issued, found by its marker.
func (p *pass) removeOrphan(ctx context.Context, rec Record, i int) (Record, error) {
	e := abandonedEntry(&rec, i)
	if err := p.pace(ctx, &rec, 2*p.Rules.CallTimeout); err != nil {
		return p.postponed(ctx, rec, e, err, func(*Record) {})
	}
	rec, token, ok, err := p.assure(ctx, rec, e)
	if !ok {
		return rec, err
	}
	if token, err = p.otherToken(ctx, &rec, token, e.target); err != nil {
		return p.postponed(ctx, rec, e, err, trusted)
	}
	return p.remove(ctx, rec, e, token, Event{Kind: EventRevoked, KeyID: e.keyID, Message: "issued by an attempt that was given up"})
}

// remove asks the directory to remove a credential, behind the gate. That it knows
// none only starts the reads (rule R7).
func (p *pass) remove(ctx context.Context, rec Record, e entry, token Token, event Event) (Record, error) {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err == nil {
		err = p.Directory.RemovePassword(cctx, token, e.target, e.keyID)
		cancel()
		p.written(&rec, err)
	}
	if err != nil && serviceerror.ClassOf(err) != serviceerror.CredentialMissing {
		return p.postponed(ctx, rec, e, err, trusted)
	}
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		*e.removal(rec) = Removal{RemovedAt: now, NextAt: now.Add(p.Rules.SettleSpacing)}
		trusted(rec)
	}, event)
}

// removalToken gets the token with which o is removed; gate is the one that the
// published credential got.
func (p *pass) removalToken(ctx context.Context, rec *Record, gate Token, o Retiring) (Token, error) {
	if !rec.Delegated() { // every replica knows the old credential (lesson L12); it may be dead, though
		if own, err := p.ownToken(ctx, rec, o); err == nil {
			return own, nil
		}
	}
	return p.otherToken(ctx, rec, gate, o.Target)
}

// ownToken gets a token with the value of the credential that is to be removed.
func (p *pass) ownToken(ctx context.Context, rec *Record, o Retiring) (Token, error) {
	if o.VaultVersion == "" {
		return Token{}, fmt.Errorf("reading the old value: %w", serviceerror.ErrNotFound)
	}
	secret, err := p.get(ctx, rec.VaultName, o.VaultVersion)
	if err != nil {
		return Token{}, err
	}
	return p.token(ctx, o.Target, secret.Value)
}

// otherToken returns token, which is the published credential's, if that is of
// target; else it gets one with whatever credential of target still works.
func (p *pass) otherToken(ctx context.Context, rec *Record, token Token, target Application) (Token, error) {
	if !rec.Delegated() && !token.Value.IsZero() && rec.Current.Target.Same(target) {
		return token, nil
	}
	return p.tokenFor(ctx, rec, target)
}

// byHand leaves all that is to be removed from target to a person, after it has
// refused every known credential for a day (rule R7). Of many it leaves some: the others
// are as hopeless at their next try.
func (p *pass) byHand(rec *Record, target Application) {
	now, left := p.now(), 0
	leave := func(keyID, marker string) {
		left++
		reason := "the application has refused every credential that Rekey knows for " + p.Rules.ByHand.String()
		if keyID == "" {
			reason += "; look for a client secret named " + marker
		}
		rec.leave(now, target, keyID, reason)
	}
	rec.Retiring = slices.DeleteFunc(rec.Retiring, func(o Retiring) bool {
		if !o.Target.Same(target) || o.RevokeAfter.After(now) || left == maxAtOnce {
			return false
		}
		leave(o.KeyID, "")
		return true
	})
	rec.Abandoned = slices.DeleteFunc(rec.Abandoned, func(o Abandoned) bool {
		if !o.Target.Same(target) || left == maxAtOnce {
			return false
		}
		leave(o.KeyID, o.Marker)
		return true
	})
}
