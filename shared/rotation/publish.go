package rotation

import (
	"cmp"
	"context"
	"errors"
	"time"

	"rekey/shared/serviceerror"
)

// publish proves once more, writes the value under the published name and makes
// the credential current. If we die between the two, the next pass proves and
// publishes again: one more version of the same value.
func (p *pass) publish(ctx context.Context, rec Record) (Record, error) {
	staged, err := p.prove(ctx, &rec)
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		return p.judge(ctx, rec, err)
	}
	run := *rec.Run
	next := Credential{
		Target: run.Target, KeyID: run.KeyID, Hint: run.Hint, ExpiresAt: run.ExpiresAt,
		Origin: cmp.Or(run.Origin, OriginIssued), Marker: run.Marker,
	}
	was, err := p.recognise(ctx, &rec, &next, staged.Value)
	if err != nil {
		return p.fail(ctx, rec, err, nil)
	}
	version, err := p.put(ctx, VaultSecret{
		Name: rec.VaultName, Value: staged.Value, ContentType: ContentType, Enabled: true, ExpiresAt: next.ExpiresAt,
		Tags: Tags(p.Deployment, &rec, next),
	}, false)
	if err != nil {
		return p.fail(ctx, rec, err, nil)
	}
	next.VaultVersion, next.Since = version, p.now()
	kind := EventPublished
	if rec.Phase == Rebinding {
		kind = EventRebound
	}
	old := rec.Target
	got, err := p.commitTold(ctx, rec, func(rec *Record) []Event {
		event := Event{Kind: kind, RunID: run.ID, Trigger: run.Trigger, KeyID: next.KeyID, By: run.By}
		return append([]Event{event}, p.published(rec, next, was)...)
	})
	if err == nil && !old.Same(got.Target) {
		if got.Rotates() && !got.Holds(ApplicationReservation(old, rec.ID)) {
			p.releaseReservation(ctx, ApplicationReservation(old, rec.ID)) // if we die here, it is reclaimable
		}
		if note := ActorNote(old, rec.ID); !got.Holds(note) {
			p.releaseReservation(ctx, note) // a hint: whoever finds it looks at the record
		}
	}
	if err == nil {
		p.prune(ctx, got)
	}
	return got, err
}

// keepHistory is how long history is kept.
const keepHistory = 400 * 24 * time.Hour

// prune takes away history that is too old. Once in a rotation is often enough, and
// what fails is made up for by the next.
func (p *pass) prune(ctx context.Context, rec Record) {
	before := p.now().Add(-keepHistory)
	if p.History == nil || rec.CreatedAt.After(before) {
		return
	}
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return
	}
	defer cancel()
	if n, err := p.History.Prune(cctx, rec.ID, before); err != nil {
		p.log.Warn("pruning history", "class", string(serviceerror.ClassOf(err)))
	} else if n > 0 {
		p.log.Info("pruned history", "rows", n)
	}
}

// published makes next current and ends the run; was says how it compares with what is
// current until now. It returns what else there is to tell.
func (p *pass) published(rec *Record, next Credential, was likeness) (events []Event) {
	now := next.Since
	run := rec.Run
	rebound := rec.Phase == Rebinding
	switch old := rec.Current; {
	case old == nil || was == theSame:
	case was == unclear:
		rec.leave(now, old.Target, old.KeyID, "it can't be read in Key Vault any more, so that Rekey can't know whether it is the client secret that was given since; remove it if it is another one")
	case run.Keep:
		rec.leave(now, old.Target, old.KeyID, "another connection has it, too")
	default:
		p.retire(rec, *old, now.Add(run.Grace), rebound && !old.Target.Same(next.Target))
	}
	events = p.relieve(rec, now)
	rec.Spent = append(rec.Spent, Spent{VaultVersion: run.StagedVersion})
	rec.Current, rec.Error, rec.WarnedAt = &next, nil, 0
	endRun(rec, now, "success", "")
	if rebound {
		rec.Target = next.Target
		if !rec.Delegated() {
			rec.Actor = next.Target
		}
		return events
	}
	rec.LastRotatedAt = now
	switch {
	case !rec.Policy.Enabled:
		rec.NextSlot = time.Time{}
	case run.Trigger == OnSchedule:
		rec.NextSlot = rec.Policy.Schedule.After(run.Slot, now)
	default:
		rec.NextSlot = rec.Policy.Schedule.First(now)
	}
	return events
}

// republish makes sure that what is published is current. It returns what it found
// published, and the version that it had to write if that was not current; neither if
// there is nothing to publish. [ErrNotFound]: current's value is not there any more.
func (p *pass) republish(ctx context.Context, rec *Record) (latest VaultSecret, written string, err error) {
	c := rec.Current
	if c == nil || c.VaultVersion == "" {
		return VaultSecret{}, "", nil
	}
	latest, err = p.get(ctx, rec.VaultName, "")
	switch {
	case err == nil && p.isCurrent(latest, rec):
		return latest, "", nil
	case err != nil && !errors.Is(err, serviceerror.ErrNotFound) && !serviceerror.IsDisabled(err):
		return latest, "", err
	}
	own, err := p.get(ctx, rec.VaultName, c.VaultVersion)
	if err != nil {
		return latest, "", err
	}
	written, err = p.put(ctx, VaultSecret{
		Name: rec.VaultName, Value: own.Value, ContentType: ContentType, Enabled: true, ExpiresAt: c.ExpiresAt,
		Tags: Tags(p.Deployment, rec, *c),
	}, false)
	return latest, written, err
}

// isCurrent reports whether a published version is of the current credential. Where that
// has no key id only the version says so: of another one that was given nobody knows the
// key id, either.
func (p *pass) isCurrent(v VaultSecret, rec *Record) bool {
	c := rec.Current
	return p.ours(v.Tags, rec) && v.Tags[TagKeyID] == c.KeyID && (c.KeyID != "" || v.Version == c.VaultVersion)
}
