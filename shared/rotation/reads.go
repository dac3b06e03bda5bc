package rotation

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/serviceerror"
)

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
		p.denied(&rec, err)
		if serviceerror.ClassOf(err) == serviceerror.ApplicationMissing {
			err = nil // then it shows no credentials either
		}
	}
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	now := p.now()
	if err != nil {
		p.log.Warn("an application could not be read", "application", target.ClientID, "class", string(serviceerror.ClassOf(err)), "reason", serviceerror.Explain(err))
		return p.commit(ctx, rec, func(rec *Record) { p.unread(rec, target, now, err) })
	}
	p.reportStrangers(&rec, app)
	return p.commitTold(ctx, rec, func(rec *Record) []Event { return p.judgeReads(rec, target, app, now) })
}

// dutyTarget is the application of the i-th of retiring and abandoned together.
func (r *Record) dutyTarget(i int) Application {
	if i < len(r.Retiring) {
		return r.Retiring[i].Target
	}
	return r.Abandoned[i-len(r.Retiring)].Target
}

// readDue reports whether o waits for a read at now: it was removed, and not so that
// only refusals can prove it.
func (o *Retiring) readDue(now time.Time) bool {
	return !o.RemovedAt.IsZero() && !o.Last && !o.NextAt.After(now)
}

// unread postpones every read of target that was due.
func (p *pass) unread(rec *Record, target Application, now time.Time, err error) {
	hopeless := false
	for i := range rec.Retiring {
		if o := &rec.Retiring[i]; o.Target.Same(target) && o.readDue(now) {
			p.postpone(rec, &o.Removal, err)
			hopeless = hopeless || p.hopeless(&o.Removal)
		}
	}
	for i := range rec.Abandoned {
		if o := &rec.Abandoned[i]; o.Target.Same(target) && !o.NextAt.After(now) {
			p.postpone(rec, &o.Removal, err)
			hopeless = hopeless || p.hopeless(&o.Removal)
		}
	}
	if hopeless {
		p.byHand(rec, target)
	}
}

// judgeReads counts what one read showed and drops what is finished.
func (p *pass) judgeReads(rec *Record, target Application, app ApplicationState, now time.Time) (events []Event) {
	room := len(rec.ByHand) + maxAtOnce
	target.ObjectID = cmp.Or(app.ObjectID, target.ObjectID)
	rec.learn(target)
	for i := range rec.Retiring {
		if o := &rec.Retiring[i]; o.Target.Same(target) && o.readDue(now) {
			p.judgeRetiring(o, app.shows(o.KeyID), now)
		}
	}
	for i := range rec.Abandoned {
		if o := &rec.Abandoned[i]; o.Target.Same(target) && !o.NextAt.After(now) {
			p.judgeAbandoned(rec, o, app, now, room)
		}
	}
	rec.Retiring = slices.DeleteFunc(rec.Retiring, func(o Retiring) bool {
		if o.Last || o.GoneReads < p.Rules.SettleReads || len(events) == maxAtOnce {
			return false
		}
		events = append(events, Event{Kind: EventGone, KeyID: o.KeyID})
		return true
	})
	rec.Abandoned = slices.DeleteFunc(rec.Abandoned, func(o Abandoned) bool {
		if o.GoneReads < p.Rules.SettleReads || len(events) == maxAtOnce {
			return false
		}
		events = append(events, Event{Kind: EventGone, KeyID: o.KeyID, Message: "nothing bears the marker of the attempt that was given up"})
		return true
	})
	return events
}

// judgeRetiring counts one read of a credential that was removed.
func (p *pass) judgeRetiring(o *Retiring, shows bool, now time.Time) {
	next := Removal{RemovedAt: o.RemovedAt, GoneReads: o.GoneReads + 1, NextAt: now.Add(p.Rules.SettleSpacing)}
	if shows {
		next.GoneReads = 0
		if now.After(o.RemovedAt.Add(showsAgain)) {
			next.RemovedAt = time.Time{} // remove it again
		}
	}
	o.Removal = next
}

// judgeAbandoned counts one read that looked for what was issued under a marker. What is
// found is removed at once, if it was not just removed. That there is nothing counts only
// once what was issued must have replicated (rule R3); until then reads come more often
// than that, because an orphan is alive.
func (p *pass) judgeAbandoned(rec *Record, o *Abandoned, app ApplicationState, now time.Time, room int) {
	keyID := orphan(rec, o, app, now, room)
	next := Removal{RemovedAt: o.RemovedAt, GoneReads: o.GoneReads + 1, NextAt: now.Add(p.Rules.SettleSpacing)}
	if counts := o.Since.Add(p.Rules.SettleMinAge); now.Before(counts) {
		next.GoneReads = 0
		next.NextAt = later(earlier(next.NextAt, counts), now.Add(p.Rules.SettleSpacing/4))
	}
	if keyID != "" {
		next.GoneReads = 0
		if o.KeyID == "" || now.After(o.RemovedAt.Add(showsAgain)) {
			o.KeyID, next.RemovedAt, next.NextAt = keyID, time.Time{}, now
		}
	}
	o.Removal = next
}

// orphan returns the key id of what was issued under o's marker, if app shows it.
//
// One credential is issued under a marker at most (rule R1). So where the key id is known,
// from the directory's own answer, from a tag or because nothing else bore the marker,
// only that one is ours, and where it is not and several bear the marker, nobody can say
// which. Whatever else bears it is reported and left alone (promise P2), as far as there is
// room for it on the list.
func orphan(rec *Record, o *Abandoned, app ApplicationState, now time.Time, room int) (keyID string) {
	bearing := app.bearing(o.Marker)
	if o.KeyID == "" && len(bearing) == 1 && !rec.leftToAPerson(o.Target, bearing[0]) {
		return bearing[0]
	}
	for _, id := range bearing {
		if !strings.EqualFold(id, o.KeyID) && !rec.leftToAPerson(o.Target, id) && len(rec.ByHand) < room {
			rec.leave(now, o.Target, id, "it is named "+o.Marker+", like a client secret that Rekey issued and gave up, but nothing says that it is that one")
		}
	}
	if o.KeyID != "" && app.shows(o.KeyID) {
		return o.KeyID
	}
	return ""
}

func (a ApplicationState) shows(keyID string) bool {
	return slices.ContainsFunc(a.Passwords, func(w Password) bool { return strings.EqualFold(w.KeyID, keyID) })
}

// bearing returns the key ids of the credentials with that display name.
func (a ApplicationState) bearing(marker string) (keyIDs []string) {
	for _, w := range a.Passwords {
		if w.DisplayName == marker {
			keyIDs = append(keyIDs, w.KeyID)
		}
	}
	return keyIDs
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
	o, e := rec.Retiring[i], retiringEntry(&rec, i)
	_, err := p.ownToken(ctx, &rec, o)
	if err != nil && !serviceerror.RefusesCredential(err) {
		return p.postponed(ctx, rec, e, err, func(*Record) {})
	}
	now := p.now()
	if err != nil && o.GoneReads+1 >= p.Rules.SettleReads && !now.Before(o.RemovedAt.Add(p.Rules.LossPeriod)) {
		return p.commit(ctx, rec, func(rec *Record) { rec.Retiring = slices.Delete(rec.Retiring, i, i+1) },
			Event{Kind: EventGone, KeyID: o.KeyID, Message: "refused by Entra"})
	}
	next := Removal{RemovedAt: o.RemovedAt, GoneReads: o.GoneReads + 1, NextAt: now.Add(p.Rules.LossPeriod / time.Duration(p.Rules.SettleReads))}
	if err == nil {
		next.GoneReads = 0
		if now.After(o.RemovedAt.Add(showsAgain)) {
			next.RemovedAt = time.Time{} // remove it again
		}
	}
	return p.commit(ctx, rec, func(rec *Record) { *e.removal(rec) = next })
}
