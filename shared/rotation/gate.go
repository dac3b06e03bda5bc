package rotation

import (
	"context"
	"errors"
	"time"

	"rekey/shared/serviceerror"
)

// entry is one of a record's removals. Its index stays what it is for as long as the
// pass holds the lease, since nobody else writes these lists.
type entry struct {
	target  Application
	keyID   string
	removal func(*Record) *Removal
}

func retiringEntry(rec *Record, i int) entry {
	o := rec.Retiring[i]
	return entry{o.Target, o.KeyID, func(rec *Record) *Removal { return &rec.Retiring[i].Removal }}
}

func abandonedEntry(rec *Record, i int) entry {
	o := rec.Abandoned[i]
	return entry{o.Target, o.KeyID, func(rec *Record) *Removal { return &rec.Abandoned[i].Removal }}
}

// assure is the gate before every removal (rule R6): what is published is current,
// is not what is to be removed, and gets fresh tokens with the value just read. It
// returns the last of them, and none if nothing is published: before a target's
// first run, and at the very end.
//
// Not ok says that the gate stayed closed and committed why; the removal is then
// planned again.
func (p *pass) assure(ctx context.Context, rec Record, e entry) (got Record, token Token, ok bool, err error) {
	if rec.Current == nil {
		return p.assureNothing(ctx, rec, e)
	}
	latest, written, err := p.republish(ctx, &rec)
	if err == nil && written != "" {
		got, err = p.commit(ctx, rec, func(rec *Record) { rec.Current.VaultVersion, rec.Current.Since = written, p.now() },
			Event{Kind: EventRepublished, KeyID: rec.Current.KeyID, Message: "what was published was not the current credential"})
		return got, Token{}, false, err
	}
	if err == nil && (latest.Version == "" || rec.Current.KeyID == e.keyID) {
		err = &serviceerror.Error{Op: "checking what is published", Class: serviceerror.VaultConflict, Detail: "the credential to be removed is the published one, or nothing is published"}
	}
	for n := 0; err == nil && n < p.Rules.Successes; n++ {
		token, err = p.token(ctx, rec.Current.Target, latest.Value)
	}
	if err == nil {
		return rec, token, true, nil
	}
	got, err = p.closed(ctx, rec, e, err)
	return got, Token{}, false, err
}

// assureNothing is the gate where there is no current credential: nobody may be
// reading what is to be removed from the vault. An attempt that was published and
// never became current is taken out of it first. Where everything is to be revoked,
// the published secret goes with it.
func (p *pass) assureNothing(ctx context.Context, rec Record, e entry) (got Record, token Token, ok bool, err error) {
	if !rec.Revoke {
		err = p.unpublish(ctx, &rec, e.keyID)
	}
	if err == nil {
		return rec, Token{}, true, nil
	}
	got, err = p.postponed(ctx, rec, e, err, func(*Record) {})
	return got, Token{}, false, err
}

// unpublish switches off what is published of a credential that never became
// current. Before a first run ends nothing of ours is published that anybody could
// rely on; what a deleted connection had left there is given back.
func (p *pass) unpublish(ctx context.Context, rec *Record, keyID string) error {
	latest, err := p.get(ctx, rec.VaultName, "")
	switch {
	case errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err):
		return nil
	case err != nil:
		return err
	case !p.ours(latest.Tags, rec) || latest.Tags[TagKeyID] != keyID:
		return nil
	case rec.Takeover != "":
		return p.giveBack(ctx, rec)
	}
	return p.disableVersion(ctx, rec.VaultName, latest.Version)
}

// closed commits that the gate stayed closed. That the published credential itself
// is refused is counted: often and long enough, it is lost.
func (p *pass) closed(ctx context.Context, rec Record, e entry, err error) (Record, error) {
	useful := false
	if serviceerror.RefusesCredential(err) && serviceerror.ClassOf(err) != serviceerror.ApplicationMissing { // perhaps another credential of the application still works
		_, terr := p.tokenFor(ctx, &rec, e.target)
		useful = terr == nil
	}
	now := p.now()
	class := serviceerror.ClassOf(err)
	return p.postponed(ctx, rec, e, err, func(rec *Record) {
		if c := rec.Current; class == serviceerror.CredentialRefused || class == serviceerror.CredentialExpired {
			if c.Refusals++; c.Refusals == 1 {
				c.RefusedSince = now
			}
		}
		if useful {
			e.removal(rec).RefusedSince = time.Time{}
		}
	})
}

// trusted records that the published credential has just worked.
func trusted(rec *Record) {
	if rec.Current != nil {
		rec.Current.Refusals, rec.Current.RefusedSince = 0, time.Time{}
	}
}

// postponed commits that a removal could not be made or looked at now, and also
// what else that means.
func (p *pass) postponed(ctx context.Context, rec Record, e entry, err error, also func(*Record)) (Record, error) {
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	p.log.Warn("a removal is postponed", "key", e.keyID, "class", string(serviceerror.ClassOf(err)), "reason", serviceerror.Explain(err))
	return p.commit(ctx, rec, func(rec *Record) {
		p.postpone(rec, e.removal(rec), err)
		also(rec)
		if p.hopeless(e.removal(rec)) {
			p.byHand(rec, e.target)
		}
	})
}

// postpone says when a removal is tried again after err, and since when nothing that
// Rekey knows is of use for it.
func (p *pass) postpone(rec *Record, r *Removal, err error) {
	now := p.now()
	r.Tries++
	r.Problem = serviceerror.ClassOf(err)
	r.NextAt = now.Add(backoff(rec.ID, r.Problem, r.Tries, serviceerror.RetryAfterOf(err)))
	// Rule R6: postponed by a minute. An application that is gone will not be back
	// in one, and others can look for it.
	if serviceerror.RefusesCredential(err) && !(rec.Delegated() && r.Problem == serviceerror.ApplicationMissing) {
		r.NextAt = now.Add(max(time.Minute, serviceerror.RetryAfterOf(err)))
	}
	switch {
	case !useless(rec, err):
		r.RefusedSince = time.Time{}
	case r.RefusedSince.IsZero():
		r.RefusedSince = now
	}
}

// useless reports whether err says that there is no credential left to remove others
// with: Entra refuses it, or its value is gone from the vault. While a connection is
// being deleted, so does a lack of permission, because then nobody may be left who
// would grant it, and the deletion has to end.
func useless(rec *Record, err error) bool {
	if rec.Delegated() { // who acts for it can be repaired, but a deletion has to end
		return rec.Phase == Deleting && serviceerror.ClassOf(err).Refusal()
	}
	return serviceerror.RefusesCredential(err) || errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err) ||
		rec.Phase == Deleting && serviceerror.ClassOf(err) == serviceerror.Permission
}

func (p *pass) hopeless(r *Removal) bool {
	return !r.RefusedSince.IsZero() && !p.now().Before(r.RefusedSince.Add(p.Rules.ByHand))
}
