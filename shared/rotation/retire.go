package rotation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// disable switches a staged version off whose attempt is over (rule R4).
func (p *pass) disable(ctx context.Context, rec Record, i int) (Record, error) {
	spent := rec.Spent[i]
	err := p.switchOff(ctx, &rec, spent)
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		if err != nil {
			s := &rec.Spent[i]
			s.Tries++
			s.NextAt = now.Add(backoff(rec.ID, ClassOf(err), s.Tries, retryAfter(err)))
			return
		}
		rec.Spent = slices.Delete(rec.Spent, i, i+1)
	})
}

// switchOff disables one version, or all that bear the marker of an attempt of
// which nobody knows whether it staged anything.
func (p *pass) switchOff(ctx context.Context, rec *Record, spent Spent) error {
	if spent.VaultVersion != "" {
		return p.disableVersion(ctx, rec.StagedName(), spent.VaultVersion)
	}
	for {
		v, err := p.find(ctx, rec.StagedName(), func(v VaultSecret) bool {
			return v.Enabled && p.ours(v.Tags, rec) && v.Tags[TagMarker] == spent.Marker
		})
		if err != nil || v == nil {
			return err
		}
		if err := p.disableVersion(ctx, rec.StagedName(), v.Version); err != nil {
			return err
		}
	}
}

func (p *pass) disableVersion(ctx context.Context, name, version string) error {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	if err := p.Vault.Disable(cctx, name, version); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// assure is the gate before every removal (rule R6): what is published is current,
// is not what is to be removed, and gets fresh tokens with the value just read. It
// returns the last of them.
//
// done says that the gate has dealt with the record itself, by committing what it
// found; the removal is then planned again.
func (p *pass) assure(ctx context.Context, rec Record, keyID string, postpone func(*Record, error)) (got Record, token Token, done bool, err error) {
	if rec.Current == nil {
		return rec, Token{}, false, nil // nothing is published: a target before its first run, or the very end
	}
	latest, written, err := p.republish(ctx, &rec)
	if err == nil && written != "" {
		got, err = p.commit(ctx, rec, func(rec *Record) { rec.Current.VaultVersion, rec.Current.Since = written, p.now() },
			Event{Kind: EventRepublished, KeyID: rec.Current.KeyID, Message: "what was published was not the current credential"})
		return got, Token{}, true, err
	}
	if err == nil && (latest.Version == "" || rec.Current.KeyID == keyID) {
		err = &Error{Op: "checking what is published", Class: VaultConflict, Detail: "the credential to be removed is the published one, or nothing is published"}
	}
	for n := 0; err == nil && n < p.Rules.Successes; n++ {
		token, err = p.token(ctx, rec.Current.Target, latest.Value)
	}
	if err == nil {
		return rec, token, false, nil
	}
	got, err = p.postponed(ctx, rec, err, postpone)
	return got, Token{}, true, err
}

// postponed commits that a removal could not be made now. That the published
// credential itself is refused is counted: often and long enough, it is lost.
func (p *pass) postponed(ctx context.Context, rec Record, err error, postpone func(*Record, error)) (Record, error) {
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	now := p.now()
	var events []Event
	class := ClassOf(err)
	refused := class == CredentialRefused || class == CredentialExpired
	if c := rec.Current; refused && !p.Rules.lost(c, now) {
		after := *c
		countRefusal(&after, now)
		if p.Rules.lost(&after, now) {
			events = append(events, Event{Kind: EventLost, KeyID: c.KeyID, Class: CredentialLost, Message: CredentialLost.Advice()})
			p.log.Error("the published credential is lost", "key", c.KeyID, "advice", CredentialLost.Advice())
		}
	}
	return p.commit(ctx, rec, func(rec *Record) {
		if refused && rec.Current != nil {
			countRefusal(rec.Current, now)
		}
		postpone(rec, err)
	}, events...)
}

func countRefusal(c *Credential, now time.Time) {
	if c.Refusals++; c.Refusals == 1 {
		c.RefusedSince = now
	}
}

// revoke removes an old credential whose time has come. If we die after the call,
// it is made again, and answered with "no such credential".
func (p *pass) revoke(ctx context.Context, rec Record, i int) (Record, error) {
	o := rec.Retiring[i]
	postpone := func(rec *Record, err error) {
		o := &rec.Retiring[i]
		o.Tries++
		p.refuse(&o.RefusedSince, &o.NextAt, o.Tries, rec.ID, err)
		if p.hopeless(o.RefusedSince) {
			p.byHand(rec, o.Target)
		}
	}
	if o.KeyID == "" || (rec.Current != nil && rec.Current.KeyID == o.KeyID) || (rec.Run != nil && rec.Run.KeyID == o.KeyID) {
		return p.commit(ctx, rec, func(rec *Record) { rec.Retiring = slices.Delete(rec.Retiring, i, i+1) })
	}
	rec, token, done, err := p.assure(ctx, rec, o.KeyID, postpone)
	if done {
		return rec, err
	}
	own, err := p.ownToken(ctx, &rec, o)
	if err == nil {
		token = own // every replica knows the old one (lesson L12)
	} else if token.Value.IsZero() || !rec.Current.Target.Same(o.Target) {
		return p.postponed(ctx, rec, notTheirs(err), postpone)
	}
	err = p.remove(ctx, token, o.Target, o.KeyID)
	if err != nil && ClassOf(err) != CredentialMissing {
		return p.postponed(ctx, rec, notTheirs(err), postpone)
	}
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		o := &rec.Retiring[i]
		o.RemovedAt, o.GoneReads, o.NextAt, o.RefusedSince = now, 0, now.Add(p.Rules.SettleSpacing), time.Time{}
		trusted(rec)
	}, Event{Kind: EventRevoked, KeyID: o.KeyID})
}

// notTheirs keeps a refusal of the old credential from being counted as one of the
// published credential, without hiding that it was a refusal.
func notTheirs(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && refusedToken(err) {
		c := *e
		c.Class = CredentialInvalid
		return &c
	}
	return err
}

// removeOrphan removes what an abandoned attempt issued, found by its marker.
func (p *pass) removeOrphan(ctx context.Context, rec Record, i int) (Record, error) {
	o := rec.Abandoned[i]
	postpone := func(rec *Record, err error) {
		o := &rec.Abandoned[i]
		o.Tries++
		p.refuse(&o.RefusedSince, &o.NextAt, o.Tries, rec.ID, err)
		if p.hopeless(o.RefusedSince) {
			p.byHand(rec, o.Target)
		}
	}
	rec, token, done, err := p.assure(ctx, rec, o.KeyID, postpone)
	if done {
		return rec, err
	}
	if token.Value.IsZero() || !rec.Current.Target.Same(o.Target) {
		if token, err = p.tokenFor(ctx, &rec, o.Target); err != nil {
			return p.postponed(ctx, rec, notTheirs(err), postpone)
		}
	}
	err = p.remove(ctx, token, o.Target, o.KeyID)
	if err != nil && ClassOf(err) != CredentialMissing {
		return p.postponed(ctx, rec, notTheirs(err), postpone)
	}
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		o := &rec.Abandoned[i]
		o.RemovedAt, o.GoneReads, o.NextAt, o.RefusedSince = now, 0, now.Add(p.Rules.SettleSpacing), time.Time{}
		trusted(rec)
	}, Event{Kind: EventRevoked, KeyID: o.KeyID, Message: "issued by an attempt that was given up"})
}

// trusted records that the published credential has just worked.
func trusted(rec *Record) {
	if rec.Current != nil {
		rec.Current.Refusals, rec.Current.RefusedSince = 0, time.Time{}
	}
}

// refuse sets when a duty is tried again, and since when nothing gets a token.
func (p *pass) refuse(since, next *time.Time, tries int, id string, err error) {
	now := p.now()
	*next = now.Add(backoff(id, ClassOf(err), tries, retryAfter(err)))
	if refusedToken(err) {
		*next = now.Add(max(time.Minute, retryAfter(err))) // rule R6: postponed by a minute
		if since.IsZero() {
			*since = now
		}
	} else {
		*since = time.Time{}
	}
}

func (p *pass) hopeless(since time.Time) bool {
	return !since.IsZero() && !p.now().Before(since.Add(p.Rules.ByHand))
}

// byHand leaves all that is to be removed from target to a person, after it has
// refused every known credential for a day (rule R7).
func (p *pass) byHand(rec *Record, target Application) {
	now := p.now()
	leave := func(keyID, marker string) {
		reason := "the application has refused every credential that Rekey knows for " + p.Rules.ByHand.String()
		if keyID == "" {
			reason += "; look for a client secret named " + marker
		}
		rec.ByHand = append(rec.ByHand, ByHand{Target: target, KeyID: keyID, Since: now, Reason: reason})
		p.log.Error("remove by hand", "key", keyID, "application", target.ClientID, "reason", reason)
	}
	rec.Retiring = slices.DeleteFunc(rec.Retiring, func(o Retiring) bool {
		if !o.Target.Same(target) || o.RevokeAfter.After(now) {
			return false
		}
		leave(o.KeyID, "")
		return true
	})
	rec.Abandoned = slices.DeleteFunc(rec.Abandoned, func(o Abandoned) bool {
		if !o.Target.Same(target) {
			return false
		}
		leave(o.KeyID, o.Marker)
		return true
	})
}

// ownToken gets a token with the value of the credential that is to be removed.
func (p *pass) ownToken(ctx context.Context, rec *Record, o Retiring) (Token, error) {
	if o.VaultVersion == "" {
		return Token{}, &Error{Op: "reading the old value", Class: CredentialInvalid}
	}
	secret, err := p.get(ctx, rec.VaultName, o.VaultVersion)
	if err != nil {
		return Token{}, err
	}
	return p.token(ctx, o.Target, secret.Value)
}

func (p *pass) remove(ctx context.Context, token Token, app Application, keyID string) error {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	return p.Directory.RemovePassword(cctx, token, app, keyID)
}

// showsAgain is how long after its removal a credential may still show in reads
// before it is removed once more.
const showsAgain = 5 * time.Minute

// look reads an application once and judges by it everything of that application
// that is to go and whose next read is due (rules R3, R7).
func (p *pass) look(ctx context.Context, rec Record, i int) (Record, error) {
	target := rec.dutyTarget(i)
	token, err := p.tokenFor(ctx, &rec, target)
	var app ApplicationState
	if err == nil {
		app, err = p.application(ctx, token, target)
		if ClassOf(err) == ApplicationMissing {
			err = nil // then it shows no credentials either
		}
	}
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	now := p.now()
	if err != nil {
		return p.commit(ctx, rec, func(rec *Record) { p.unread(rec, target, now, err) })
	}
	p.reportStrangers(&rec, app)
	var events []Event
	probe := rec.Clone()
	events = p.judgeReads(&probe, target, app, now)
	return p.commit(ctx, rec, func(rec *Record) { p.judgeReads(rec, target, app, now) }, events...)
}

// dutyTarget is the application of the i-th of retiring and abandoned together.
func (r *Record) dutyTarget(i int) Application {
	if i < len(r.Retiring) {
		return r.Retiring[i].Target
	}
	return r.Abandoned[i-len(r.Retiring)].Target
}

// unread postpones every read of target that was due.
func (p *pass) unread(rec *Record, target Application, now time.Time, err error) {
	hopeless := false
	for i := range rec.Retiring {
		if o := &rec.Retiring[i]; o.Target.Same(target) && !o.RemovedAt.IsZero() && !o.NextAt.After(now) {
			o.Tries++
			p.refuse(&o.RefusedSince, &o.NextAt, o.Tries, rec.ID, err)
			hopeless = hopeless || p.hopeless(o.RefusedSince)
		}
	}
	for i := range rec.Abandoned {
		if o := &rec.Abandoned[i]; o.Target.Same(target) && !o.NextAt.After(now) {
			o.Tries++
			p.refuse(&o.RefusedSince, &o.NextAt, o.Tries, rec.ID, err)
			hopeless = hopeless || p.hopeless(o.RefusedSince)
		}
	}
	if hopeless {
		p.byHand(rec, target)
	}
}

// judgeReads counts what one read showed and drops what is finished.
func (p *pass) judgeReads(rec *Record, target Application, app ApplicationState, now time.Time) (events []Event) {
	due := func(t Application, next time.Time) bool { return t.Same(target) && !next.After(now) }
	rec.Retiring = slices.DeleteFunc(rec.Retiring, func(o Retiring) bool {
		return due(o.Target, o.NextAt) && !o.RemovedAt.IsZero() && !o.Last && !app.shows(o.KeyID) && o.GoneReads+1 >= p.Rules.SettleReads &&
			addEvent(&events, Event{Kind: EventGone, KeyID: o.KeyID})
	})
	for i := range rec.Retiring {
		o := &rec.Retiring[i]
		if !due(o.Target, o.NextAt) || o.RemovedAt.IsZero() || o.Last {
			continue
		}
		o.NextAt, o.RefusedSince = now.Add(p.Rules.SettleSpacing), time.Time{}
		if o.GoneReads++; app.shows(o.KeyID) {
			o.GoneReads = 0
			if now.After(o.RemovedAt.Add(showsAgain)) {
				o.RemovedAt = time.Time{} // remove it again
			}
		}
	}
	rec.Abandoned = slices.DeleteFunc(rec.Abandoned, func(o Abandoned) bool {
		return due(o.Target, o.NextAt) && app.bearing(o.Marker) == "" && p.counts(o, now) && o.GoneReads+1 >= p.Rules.SettleReads &&
			addEvent(&events, Event{Kind: EventGone, KeyID: o.KeyID, Message: "nothing bears the marker of the attempt that was given up"})
	})
	for i := range rec.Abandoned {
		o := &rec.Abandoned[i]
		if !due(o.Target, o.NextAt) {
			continue
		}
		o.NextAt, o.RefusedSince = now.Add(p.Rules.SettleSpacing), time.Time{}
		if p.counts(*o, now) {
			o.GoneReads++
		} else {
			o.NextAt = earlier(o.NextAt, o.Since.Add(p.Rules.SettleMinAge)) // look early, too: an orphan is alive
			o.NextAt = later(o.NextAt, now.Add(p.Rules.SettleSpacing/4))
		}
		if key := app.bearing(o.Marker); key != "" {
			o.GoneReads = 0
			if o.KeyID != key || now.After(o.RemovedAt.Add(showsAgain)) {
				o.KeyID, o.RemovedAt, o.NextAt = key, time.Time{}, now
			}
		}
	}
	return events
}

// counts reports whether a read at now may count towards an abandoned attempt
// being gone.
func (p *pass) counts(o Abandoned, now time.Time) bool {
	return !now.Before(o.Since.Add(p.Rules.SettleMinAge))
}

func addEvent(events *[]Event, e Event) bool {
	*events = append(*events, e)
	return true
}

func (a ApplicationState) shows(keyID string) bool {
	return slices.ContainsFunc(a.Passwords, func(w Password) bool { return strings.EqualFold(w.KeyID, keyID) })
}

// bearing returns the key id of the credential with that display name, or "".
func (a ApplicationState) bearing(marker string) string {
	for _, w := range a.Passwords {
		if w.DisplayName == marker {
			return w.KeyID
		}
	}
	return ""
}

// reportStrangers logs credentials that look like ours but are not in the record.
// They are left alone (promise P2).
func (p *pass) reportStrangers(rec *Record, app ApplicationState) {
	known := func(w Password) bool {
		if rec.Current != nil && strings.EqualFold(rec.Current.KeyID, w.KeyID) || rec.Run != nil && rec.Run.Marker == w.DisplayName {
			return true
		}
		return slices.ContainsFunc(rec.Retiring, func(o Retiring) bool { return strings.EqualFold(o.KeyID, w.KeyID) }) ||
			slices.ContainsFunc(rec.Abandoned, func(o Abandoned) bool { return o.Marker == w.DisplayName })
	}
	for _, w := range app.Passwords {
		if strings.HasPrefix(w.DisplayName, MarkerPrefix(p.Deployment, rec.ID)) && !known(w) {
			p.log.Warn("a client secret bears our marker but is not in the record; it is left alone", "key", w.KeyID)
		}
	}
}

// proveRefused shows that a target's last credential is gone, by its being refused
// (rule R7): there is nothing left to read the application with.
func (p *pass) proveRefused(ctx context.Context, rec Record, i int) (Record, error) {
	o := rec.Retiring[i]
	_, err := p.ownToken(ctx, &rec, o)
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	now := p.now()
	done := refusedToken(err) && o.GoneReads+1 >= p.Rules.SettleReads && !now.Before(o.RemovedAt.Add(p.Rules.LossPeriod))
	var events []Event
	if done {
		events = append(events, Event{Kind: EventGone, KeyID: o.KeyID, Message: "refused by Entra"})
	}
	return p.commit(ctx, rec, func(rec *Record) {
		if done {
			rec.Retiring = slices.Delete(rec.Retiring, i, i+1)
			return
		}
		o := &rec.Retiring[i]
		o.NextAt = now.Add(p.Rules.LossPeriod / time.Duration(p.Rules.SettleReads-1))
		switch {
		case refusedToken(err):
			o.GoneReads++
		case err == nil:
			o.GoneReads = 0
			if now.After(o.RemovedAt.Add(showsAgain)) {
				o.RemovedAt = time.Time{}
			}
		}
	}, events...)
}
