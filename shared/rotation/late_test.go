package rotation_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// unsettled is a write of the published name that was announced and not answered.
func unsettled(until time.Time, of string, before time.Time) change {
	return func(r *rotation.Record) { r.Unsettled = rotation.Unsettled{Until: until, Of: of, Before: before} }
}

func underLease(r *rotation.Record) { r.Lease = mine }

// Rule R8: while a write of another value may land, nothing is published and nothing that was
// published is removed. A write is announced first, for the lease under which it is made.
func TestNothingOverwritesWhatMayStillLand(t *testing.T) {
	at, ends, never := now.Add(7*minute), mine.Until.Add(10*minute), time.Time{}
	waits := rotation.Wait{Until: at}
	replaced := rotation.Removal{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", Published: true}
	neverPublished := rotation.Removal{Kind: rotation.RemoveOrphan, Target: billing, Marker: "m0", KeyID: "orphan"}
	gone := func(r *rotation.Record) { r.Phase, r.Current = rotation.Deleting, nil }
	revoked := func(r *rotation.Record) { r.Revoke = true }
	undone := func(r *rotation.Record) { r.Undo = true }
	republished := func(r *rotation.Record) { r.RepublishAt = now }
	for name, row := range map[string]struct {
		rec  rotation.Record
		want rotation.Step
	}{
		"a proven value waits for another":    {with(verifying(), unsettled(at, "s0", never)), waits},
		"so does one that was promoted":       {with(publishing(), unsettled(at, "s0", never)), waits},
		"its own write does not hold it back": {with(publishing(), unsettled(ends, "s1", never)), rotation.Publish{}},
		"one before its own does":             {with(publishing(), unsettled(ends, "s1", at)), waits},
		"it was not announced":                {with(publishing(), unsettled(never, "", never)), rotation.AnnounceWrite{Of: "s1"}},
		"it was for an earlier lease":         {with(publishing(), unsettled(ends.Add(-minute), "s1", never)), rotation.AnnounceWrite{Of: "s1"}},
		"current is published again":          {with(idle(), republished, unsettled(ends, "v1", never)), rotation.Republish{}},
		"that is announced, too":              {with(idle(), republished), rotation.AnnounceWrite{Of: "v1"}},
		"and waits for another value":         {with(idle(), republished, unsettled(at, "s1", never)), waits},
		"what was published is not removed":   {with(idle(), retires(replaced), unsettled(at, "s1", never)), waits},
		"what was not is removed":             {with(idle(), retires(neverPublished), unsettled(at, "s1", never)), rotation.Remove{ID: "m0"}},
		"an attempt is not given up":          {with(publishing(), asked(rotation.AskAbandon), unsettled(ends, "s1", never)), rotation.Publish{}},
		"it is, once nothing can land":        {with(publishing(), asked(rotation.AskAbandon), unsettled(now, "s1", never)), rotation.Withdraw{}},
		"a revoked one is not purged":         {with(idle(), gone, revoked, unsettled(at, "s1", never)), waits},
		"nor is one that is undone":           {with(idle(), gone, undone, unsettled(at, "", never)), waits},
		"what stays published may be written": {with(idle(), gone, unsettled(at, "s1", never)), rotation.Purge{}},
	} {
		if step := rotation.DefaultRules().Plan(now, &row.rec, mine); step != row.want {
			t.Errorf("%s: %+v, want %+v", name, step, row.want)
		}
	}
}

// What is announced adds to what was announced before, as long as that may still land.
func TestAnnouncingAWrite(t *testing.T) {
	ends, at, past := mine.Until.Add(10*minute), now.Add(7*minute), now.Add(-minute)
	both := rotation.Unsettled{Until: ends, Before: at, Of: "s1"}
	again := both
	again.Unknown = true
	for name, row := range map[string]struct {
		was  rotation.Unsettled
		want rotation.Unsettled
	}{
		"the first":                  {rotation.Unsettled{}, rotation.Unsettled{Until: ends, Of: "s1"}},
		"after another value":        {rotation.Unsettled{Until: at, Of: "s0"}, both},
		"after one that has landed":  {rotation.Unsettled{Until: past, Of: "s0"}, rotation.Unsettled{Until: ends, Of: "s1"}},
		"the same value again":       {rotation.Unsettled{Until: at, Of: "s1"}, rotation.Unsettled{Until: ends, Of: "s1", Unknown: true}},
		"the same, another before":   {rotation.Unsettled{Until: at, Before: at, Of: "s1"}, again},
		"after what the caller gave": {rotation.Unsettled{Until: at}, both},
	} {
		rec := with(publishing(), underLease, func(r *rotation.Record) { r.Unsettled = row.was })
		for step, out := range map[rotation.Step]rotation.Outcome{rotation.AnnounceWrite{Of: "s1"}: {}, rotation.Promote{}: {}} {
			if next, _ := rotation.DefaultRules().Apply(now, rec, step, out); next.Unsettled != row.want {
				t.Errorf("%s, %s: %+v, want %+v", name, step.Name(), next.Unsettled, row.want)
			}
		}
	}
}

// Only a definite answer settles a write, and only that write.
func TestWhatSettlesAWrite(t *testing.T) {
	until, before := now.Add(14*minute), now.Add(5*minute)
	unknown := &serviceerror.Error{Op: "writing a secret", Class: serviceerror.Transient, UnknownOutcome: true}
	refused := &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused}
	next := &rotation.Credential{Target: billing, KeyID: "new"}
	for name, row := range map[string]struct {
		step    rotation.Step
		out     rotation.Outcome
		settled bool
	}{
		"published":                  {rotation.Publish{}, rotation.Outcome{Proven: true, Next: next, PublishedVersion: "v2"}, true},
		"publishing is refused":      {rotation.Publish{}, rotation.Outcome{Proven: true, Next: next, Err: refused}, true},
		"publishing has no answer":   {rotation.Publish{}, rotation.Outcome{Proven: true, Next: next, Err: unknown}, false},
		"published again":            {rotation.Republish{}, rotation.Outcome{Proven: true, PublishedVersion: "v2"}, true},
		"republishing is refused":    {rotation.Republish{}, rotation.Outcome{Proven: true, Err: refused}, true},
		"republishing has no answer": {rotation.Republish{}, rotation.Outcome{Proven: true, Err: unknown}, false},
		"it was not proven":          {rotation.Republish{}, rotation.Outcome{Err: unknown}, true},
		"it is published already":    {rotation.Republish{}, rotation.Outcome{}, true},
	} {
		rec := with(publishing(), unsettled(until, "s1", before), func(r *rotation.Record) { r.RepublishAt = now })
		want := rotation.Unsettled{Until: until, Before: before, Of: "s1", Unknown: true}
		if row.settled {
			want = rotation.Unsettled{Until: before}
		}
		if got, _ := rotation.DefaultRules().Apply(now, rec, row.step, row.out); got.Unsettled != want {
			t.Errorf("%s: %+v, want %+v", name, got.Unsettled, want)
		}
		rec.Unsettled.Unknown = true // the same value was written before, without an answer
		if got, _ := rotation.DefaultRules().Apply(now, rec, row.step, row.out); got.Unsettled != rec.Unsettled {
			t.Errorf("%s, after a write without an answer: %+v", name, got.Unsettled)
		}
	}
}

// A removal that finds something else published has current published again first.
func TestWhatIsNotCurrentIsPublishedAgain(t *testing.T) {
	old := rotation.Removal{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", Published: true}
	for step, rec := range map[rotation.Step]rotation.Record{
		rotation.Remove{ID: "old"}: with(idle(), retires(old)),
		rotation.Withdraw{}:        publishing(),
	} {
		next, _ := rotation.DefaultRules().Apply(now, rec, step, rotation.Outcome{NotCurrent: true})
		if !next.RepublishAt.Equal(now) || next.Phase != rec.Phase || len(next.Removals) != len(rec.Removals) {
			t.Errorf("%s: published again at %s, %s", step.Name(), next.RepublishAt, next.Phase)
		}
	}
}

// An attempt that may be published is given up on request once no write can land any more, whatever current is worth: the
// look shows whether it is published. Where it is, and current can't be published in its place, the attempt may be all
// that works, and is tried.
func TestAnAttemptIsNotGivenUpForWhatIsRefused(t *testing.T) {
	settled := func(r *rotation.Record) { r.Unsettled = rotation.Unsettled{Until: now} }
	fresh := func(r *rotation.Record) { r.Proof = rotation.Proof{} } // another pass
	refused := func(r *rotation.Record) { r.Current.Refusals, r.Current.RefusedSince = 1, now }
	stands := func(r *rotation.Record) { r.Run.Stands = true }
	for name, rec := range map[string]rotation.Record{"publishing": publishing(), "rebinding": rebinding()} {
		for _, kind := range []rotation.RequestKind{rotation.AskDelete, rotation.AskRebind, rotation.AskAbandon, rotation.AskKeep} {
			if name == "rebinding" && kind == rotation.AskAbandon || name == "publishing" && kind == rotation.AskKeep {
				continue // neither is possible
			}
			rec := with(rec.Clone(), settled, fresh, refused, asked(kind))
			if step := rotation.DefaultRules().Plan(now, &rec, mine); step != (rotation.Withdraw{}) {
				t.Errorf("%s, %s: %T", name, kind, step)
			}
			rec = with(rec, stands)
			if step := rotation.DefaultRules().Plan(now, &rec, mine); step != (rotation.Prove{}) {
				t.Errorf("%s, %s, it stands: %T", name, kind, step)
			}
			rec.Proof = rotation.Proof{StagedVersion: rec.Run.StagedVersion, Failures: 1, NextAt: now.Add(minute)}
			if step := rotation.DefaultRules().Plan(now, &rec, mine); step != (rotation.Wait{Until: now.Add(minute)}) {
				t.Errorf("%s, %s, between two tries: %+v", name, kind, step)
			}
		}
	}

	// Where the attempt is refused as well there is nothing to keep published, and the request gets on.
	for name, row := range map[string]struct {
		proof rotation.Proof
		want  rotation.Phase
	}{
		"dead": {rotation.Proof{Failures: 3, Dead: true}, rotation.Idle}, "refused for another reason": {rotation.Proof{Failures: 3}, rotation.Rebinding},
		"its version can't be read": {rotation.Proof{Failures: 3, Wrong: true}, rotation.Rebinding},
	} {
		rec := with(rebinding(), settled, refused, stands, asked(rotation.AskRebind), func(r *rotation.Record) {
			row.proof.StagedVersion = r.Run.StagedVersion
			r.Proof = row.proof
		})
		next, _ := rotation.DefaultRules().Apply(now, rec, rotation.Withdraw{}, rotation.Outcome{NotCurrent: true})
		if next.Phase != row.want || next.Request == nil {
			t.Errorf("the attempt is %s: %s, %+v", name, next.Phase, next.Request)
		}
		rec.Run.Stands = false // current may work
		if next, _ = rotation.DefaultRules().Apply(now, rec, rotation.Withdraw{}, rotation.Outcome{NotCurrent: true}); next.Run == nil {
			t.Errorf("the attempt is %s, and current was not tried: %s", name, next.Phase)
		}
	}
}

// What keeps current from being published in the place of an attempt: whatever says that it does not work, or is not to
// be had. The first time the attempt is tried at once, later ones wait, and an outage says nothing.
func TestWhenAnAttemptStands(t *testing.T) {
	for class, want := range map[serviceerror.Class]bool{
		serviceerror.CredentialRefused: true, serviceerror.ApplicationMissing: true, serviceerror.CredentialInvalid: true,
		serviceerror.VaultDisabled: true, serviceerror.Transient: false, serviceerror.VaultRefused: false,
	} {
		out := rotation.Outcome{Err: refusedWith(class)}
		rec, _ := rotation.DefaultRules().Apply(now, with(rebinding(), asked(rotation.AskDelete)), rotation.Republish{}, out)
		if rec.Run.Stands != want || (rec.Error == nil) != want {
			t.Errorf("%s: stands %t, %+v", class, rec.Run.Stands, rec.Error)
		}
		if rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.Republish{}, out); rec.Error == nil {
			t.Errorf("%s, once more: no pause", class)
		}
		rec.Run.Stands, rec.Current.Refusals, rec.Current.RefusedSince = true, 2, now
		out = rotation.Outcome{Proven: true, PublishedVersion: "v9"}
		if rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.Republish{}, out); rec.Run.Stands || rec.Current.Refusals != 0 {
			t.Errorf("%s, then published: stands %t, %d refusals", class, rec.Run.Stands, rec.Current.Refusals)
		}
	}
}

// A creation whose secret did not reach the vault is undone once it can't any more.
func TestUndoingWaitsForALateWrite(t *testing.T) {
	until := now.Add(14 * minute)
	rec := with(creating(), unsettled(until, "", time.Time{}))
	next, _ := rotation.DefaultRules().Apply(now, rec, rotation.AdoptGiven{}, rotation.Outcome{})
	if next.Phase != rotation.Deleting || !next.Undo || next.Error == nil || next.Error.RetryAt.Before(until) {
		t.Errorf("%s, undone %t, %+v", next.Phase, next.Undo, next.Error)
	}
	found := rotation.Outcome{Found: &rotation.VaultSecret{Version: "v1"}}
	for _, settled := range []bool{false, true} {
		found.Settled = settled
		next, _ := rotation.DefaultRules().Apply(now, rec, rotation.AdoptGiven{}, found)
		if next.Phase != rotation.Idle || next.Current.VaultVersion != "v1" || next.Unsettled.Until.IsZero() != settled {
			t.Errorf("found, answered %t: %s, %+v", settled, next.Phase, next.Unsettled)
		}
	}
}
