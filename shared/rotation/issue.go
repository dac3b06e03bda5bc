package rotation

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// adopt looks whether what was given has reached the vault. It has: the connection
// has a current credential, or something to authenticate with. It has not: whoever
// held it is dead and so is its only other copy, so creation is undone. Undoing waits
// until a write that was under way then can no longer land.
func (p *pass) adopt(ctx context.Context, rec Record) (Record, error) {
	name, what := rec.VaultName, "given client secret"
	if rec.Auth != nil {
		name, what = rec.AuthName(), "given credential"
	}
	found, err := p.find(ctx, name, func(v VaultSecret) bool { return v.Enabled && p.ours(v.Tags, &rec) })
	if err != nil {
		return p.fail(ctx, rec, err, nil)
	}
	now := p.now()
	if found == nil {
		return p.commit(ctx, rec, func(rec *Record) {
			rec.Phase, rec.Undo, rec.Request = Deleting, true, nil
			rec.Error = &Failure{
				Class: serviceerror.Transient, Message: "The " + what + " did not reach Key Vault; the creation is being undone.", Count: 1,
				At: now, RetryAt: now.Add(p.Rules.CallTimeout + p.Rules.SettleSpacing),
			}
		}, Event{Kind: EventUndone, Message: "the " + what + " did not reach Key Vault"})
	}
	event := Event{Kind: EventCredentialGiven}
	if rec.Current != nil {
		event.KeyID = rec.Current.KeyID
	}
	return p.commit(ctx, rec, func(rec *Record) {
		rec.Phase, rec.Error = Idle, nil
		if rec.Auth != nil {
			rec.Auth.VaultVersion, rec.Auth.SavedAt = found.Version, now
			rec.Replace(now) // it may have been written twice
			return
		}
		rec.Current.VaultVersion, rec.Current.Since = found.Version, now
	}, event)
}

// beginRun writes the intent down: from here on the marker is known, whatever
// happens.
func (p *pass) beginRun(ctx context.Context, rec Record) (Record, error) {
	now := p.now()
	run := Run{ID: p.NewID(), Trigger: OnSchedule, StartedAt: now, Slot: rec.NextSlot, Grace: rec.Policy.Grace, Target: rec.Target, Origin: OriginIssued}
	asked := rec.Request
	switch {
	case asked != nil && asked.Kind == AskEmergency:
		run.Trigger, run.Grace = OnEmergency, 0
	case asked != nil:
		run.Trigger = OnRequest
	case p.Rules.lost(rec.Current, now):
		run.Trigger, run.Grace = OnLoss, 0
	case rec.owed():
		run.Trigger, run.Grace = OnCreation, rec.Policy.OriginalGrace
	}
	if asked != nil {
		run.ID, run.By = asked.ID, asked.By
		if asked.Grace != nil && run.Trigger == OnRequest {
			run.Grace = *asked.Grace
		}
	}
	if run.Trigger != OnSchedule {
		run.Slot = time.Time{}
	}
	events := []Event{{Kind: EventStarted, RunID: run.ID, Trigger: run.Trigger, By: run.By}}
	if p.Rules.lost(rec.Current, now) {
		events = append(events, Event{Kind: EventLost, RunID: run.ID, KeyID: rec.Current.KeyID, Class: serviceerror.CredentialLost, Message: serviceerror.CredentialLost.Advice(), Notice: true})
		p.log.Error("the published credential is lost", "key", rec.Current.KeyID, "advice", serviceerror.CredentialLost.Advice())
	}
	p.intend(&run, now, &rec)
	return p.commit(ctx, rec, func(rec *Record) {
		r := run
		rec.Run, rec.Phase = &r, Issuing
		if c := rec.Current; asked != nil && c != nil && c.Origin == OriginGiven && asked.identifies(c) {
			rec.Current.KeyID, rec.Current.Origin = asked.KeyID, OriginNamed
		}
		clearRequest(rec, asked)
		retryNow(rec, now)
		if run.Trigger == OnEmergency {
			hasten(rec, now)
		}
	}, events...)
}

// intend gives run a marker of its own, to be issued under this lease only.
func (p *pass) intend(run *Run, now time.Time, rec *Record) {
	run.Attempt++
	run.Marker, run.IssuedUnder, run.FirstIssuedAt = p.marker(rec), p.lease.Token, now
	run.NextCheck = time.Time{}
}

func (p *pass) nextAttempt(ctx context.Context, rec Record) (Record, error) {
	run := *rec.Run
	p.intend(&run, p.now(), &rec)
	return p.commit(ctx, rec, func(rec *Record) { r := run; rec.Run = &r })
}

// issue asks the directory for a new credential and stages its value.
//
// The probe comes first: a vault that would refuse the value must do so while
// there is none. What fails before addPassword issued nothing, so the intent is taken
// back. If we die before addPassword, nothing was issued and the marker is
// looked for in vain. If we die after it, the value is lost, and the marker, which
// is in the record, leads to the credential. If we die after the value is staged,
// it is adopted by its tags.
func (p *pass) issue(ctx context.Context, rec Record) (Record, error) {
	token, app, err := p.prepare(ctx, &rec)
	if err != nil {
		p.denied(&rec, err)
		return p.notBegun(ctx, rec, err)
	}
	// Last, so that what is booked is when it is sent. It is free while there is room.
	if err := p.pace(ctx, &rec, p.issueNeeds()); err != nil {
		return p.notBegun(ctx, rec, err)
	}
	start := p.now()
	cctx, cancel, err := p.call(ctx, p.Rules.IssueTimeout)
	if err != nil {
		return p.notBegun(ctx, rec, err)
	}
	expires := start.Add(lifetime(rec.Policy, rec.Run)).Truncate(time.Second)
	issued, err := p.Directory.AddPassword(cctx, token, Application{TenantID: rec.Run.Target.TenantID, ClientID: rec.Run.Target.ClientID, ObjectID: app.ObjectID}, rec.Run.Marker, expires)
	cancel()
	p.written(&rec, err)
	if err != nil {
		return p.notIssued(ctx, rec, start, err)
	}
	return p.stage(ctx, rec, app, issued)
}

// prepare makes sure of everything that can be known before a credential is issued.
func (p *pass) prepare(ctx context.Context, rec *Record) (token Token, app ApplicationState, err error) {
	if err = p.paceable(rec, p.issueNeeds()); err != nil {
		return token, app, err
	}
	token, err = p.tokenFor(ctx, rec, rec.Target)
	if err != nil {
		return token, app, lostFor(rec.Run, err)
	}
	app, err = p.application(ctx, token, rec.Run.Target)
	if err != nil {
		return token, app, err
	}
	if app.PersonalAccounts() && len(app.Passwords) >= 2 {
		return token, app, &serviceerror.Error{Op: "adding a password", Class: serviceerror.Full, Detail: "two client secrets at most where personal accounts may sign in"}
	}
	if _, err = p.put(ctx, p.stagedSecret(rec, secret.Value{}), false); err != nil {
		return token, app, err
	}
	if !p.Rules.fits(p.now(), p.lease, p.issueNeeds()) {
		return token, app, errNoTime
	}
	return token, app, nil
}

// issueNeeds is the time that issuing takes at most: the value must find time to be
// staged.
func (p *pass) issueNeeds() time.Duration { return p.Rules.IssueTimeout + 2*p.Rules.CallTimeout }

// notBegun takes the intent back after what comes before addPassword has failed. For
// want of time, too: the next pass may then issue, where it would have to reconcile.
func (p *pass) notBegun(ctx context.Context, rec Record, err error) (Record, error) {
	if !errors.Is(err, errNoTime) {
		return p.failRun(ctx, rec, err, unissued)
	}
	got, cerr := p.commit(ctx, rec, unissued)
	if cerr != nil {
		return got, cerr
	}
	return got, err
}

// lostFor says of a recovery run that found no credential that works what it means.
func lostFor(run *Run, err error) error {
	if e, ok := errors.AsType[*serviceerror.Error](err); ok && run.Trigger == OnLoss && serviceerror.RefusesCredential(err) {
		lost := *e
		lost.Class = serviceerror.CredentialLost
		return &lost
	}
	return err
}

// notIssued records what is known after addPassword failed (rule R1).
func (p *pass) notIssued(ctx context.Context, rec Record, start time.Time, err error) (Record, error) {
	class := serviceerror.ClassOf(err)
	if serviceerror.UnknownOutcome(err) {
		// The value, if there is one, is lost. Reconcile will look for a staged
		// version, find none, and abandon the marker when its time has come.
		return p.fail(ctx, rec, err, func(rec *Record) {
			rec.Run.IssuedUnder, rec.Run.FirstIssuedAt = "", start
		})
	}
	if class == serviceerror.PolicyLifetime && !rec.Run.Short {
		return p.commit(ctx, rec, func(rec *Record) { unissued(rec); rec.Run.Short = true })
	}
	return p.failRun(ctx, rec, err, unissued)
}

// stage puts the new value where a later pass finds it, and commits. Until then
// it is in this function only; so it does not give up easily, and it does not mind
// the end of the request that it may serve.
func (p *pass) stage(ctx context.Context, rec Record, app ApplicationState, issued Issued) (Record, error) {
	run := *rec.Run
	run.KeyID, run.Hint, run.ExpiresAt = issued.KeyID, issued.Hint, issued.ExpiresAt
	run.Target.ObjectID = app.ObjectID
	run.IssuedAt = p.now()
	next := rec.Clone()
	next.Run = &run
	secret := p.stagedSecret(&next, issued.Value)

	var err error
	for try := 1; ; try++ {
		if run.StagedVersion, err = p.put(ctx, secret, true); err == nil {
			break
		}
		if serviceerror.UnknownOutcome(err) { // it may be there: one version is enough
			if found, ferr := p.find(ctx, secret.Name, func(v VaultSecret) bool { return v.Tags[TagKeyID] == issued.KeyID && v.Enabled }); ferr == nil && found != nil {
				run.StagedVersion = found.Version
				break
			}
		}
		if try == 4 || !p.Rules.fits(p.now(), p.lease, 2*p.Rules.CallTimeout) {
			return p.fail(ctx, rec, err, func(rec *Record) {
				rec.Run.KeyID, rec.Run.IssuedAt = run.KeyID, run.IssuedAt
				p.endAttempt(rec, p.now())
			}, Event{Kind: EventAttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: issued.KeyID, Class: serviceerror.ClassOf(err), Message: "the new value could not be stored in Key Vault"})
		}
		if _, werr := p.wait(ctx, time.Duration(try)*time.Second); werr != nil {
			return rec, werr
		}
	}
	return p.commitIssued(ctx, rec, run)
}

// commitIssued moves a run whose credential and staged version are known to
// verifying.
func (p *pass) commitIssued(ctx context.Context, rec Record, run Run) (Record, error) {
	run.IssuedUnder, run.NextCheck, run.Deadline = "", p.now(), p.now().Add(p.Rules.Attempt)
	run.Successes, run.Failures = 0, 0
	return p.commit(ctx, rec, func(rec *Record) {
		r := run
		rec.Run, rec.Phase, rec.Error = &r, Verifying, nil
		rec.learn(run.Target)
	}, Event{Kind: EventIssued, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID})
}

// reconcile finds out whether anything was issued under the marker by a pass that
// is gone (rule R3). An enabled staged version that bears the marker and a key id
// is complete: it is adopted. Otherwise the marker is abandoned, once nothing that
// was under way can arrive any more.
func (p *pass) reconcile(ctx context.Context, rec Record) (Record, error) {
	run := *rec.Run
	found, err := p.find(ctx, rec.StagedName(), func(v VaultSecret) bool {
		return v.Enabled && p.ours(v.Tags, &rec) && v.Tags[TagMarker] == run.Marker && v.Tags[TagKeyID] != ""
	})
	if err != nil {
		return p.fail(ctx, rec, err, nil)
	}
	now := p.now()
	if found != nil {
		run.KeyID, run.StagedVersion = found.Tags[TagKeyID], found.Version
		run.ExpiresAt, run.IssuedAt = found.ExpiresAt, found.CreatedAt
		run.Target.ObjectID = cmp.Or(found.Tags[TagObject], run.Target.ObjectID)
		return p.commitIssued(ctx, rec, run)
	}
	if closed := run.FirstIssuedAt.Add(p.Rules.issueWindow()); now.Before(closed) {
		return p.commit(ctx, rec, func(rec *Record) { rec.Run.NextCheck, rec.Run.IssuedUnder = closed, "" })
	}
	return p.commit(ctx, rec, func(rec *Record) {
		p.endAttempt(rec, now)
	}, Event{Kind: EventAttemptDropped, RunID: run.ID, Trigger: run.Trigger, Message: "whether a credential was issued is unknown; it will be looked for and removed"})
}

// stagedSecret is the version that holds value, or the probe if there is none.
func (p *pass) stagedSecret(rec *Record, value secret.Value) VaultSecret {
	run := rec.Run
	s := VaultSecret{
		Name: rec.StagedName(), Value: value, ContentType: ContentType, Enabled: true, ExpiresAt: run.ExpiresAt,
		Tags: Tags(p.Deployment, rec, Credential{Target: run.Target, KeyID: run.KeyID, Marker: run.Marker, Origin: OriginIssued}),
	}
	if value.IsZero() {
		s.Enabled, s.Value = false, secret.New("probe")
		s.Tags = maps.Clone(s.Tags)
		delete(s.Tags, TagKeyID)
		s.Tags[TagProbe] = "true"
	}
	return s
}
