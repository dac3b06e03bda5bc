package main

// givingUp: what happens to an attempt that is not proven (rule R5).
var givingUp = []mutation{
	{
		name: "an attempt without proof is kept for ever",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "if r.hopelessAttempt(now, rec) {",
		new: "if false && r.hopelessAttempt(now, rec) {",
	},
	{
		name: "an attempt is given up because the timer was late",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "if proof.Failures == 0 || now.Before(run.Deadline) {",
		new: "if now.Before(run.Deadline) {",
	},
	{
		name: "an attempt is given up at its first refusal",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "if proof.Failures == 0 || now.Before(run.Deadline) {",
		new: "if proof.Failures == 0 {",
	},
	{
		name: "any refusal gives an attempt up",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "return proof.Wrong || rec.Phase == Rebinding || ends || ended",
		new: "_, _ = ends, ended\n\treturn true",
	},
	{
		name: "an attempt whose value is wrong is kept",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "return proof.Wrong || rec.Phase == Rebinding || ends || ended",
		new: "return rec.Phase == Rebinding || ends || ended",
	},
	{
		name: "an attempt is kept until its own life is over",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "return proof.Wrong || rec.Phase == Rebinding || ends || ended",
		new: "_ = ends\n\treturn proof.Wrong || rec.Phase == Rebinding || ended",
	},
	{
		name: "what the caller gave is tried for ever",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "return proof.Wrong || rec.Phase == Rebinding || ends || ended",
		new: "return proof.Wrong || ends || ended",
	},
	{
		name: "a request waits for an attempt of an application that is gone",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "return proof.Wrong || rec.Phase == Rebinding || ends || ended",
		new: "_ = ended\n\treturn proof.Wrong || rec.Phase == Rebinding || ends",
	},
	{
		name: "what is shown while an attempt is tried makes its later pause longer",
		rule: "P6", file: "shared/rotation/verifying.go",
		old: "\t\t\trec.Error.Count = 0 // it is tried",
		new: "\t\t\t// it is tried",
	},
	{
		name: "new credentials that are refused wait an hour when their time is over",
		rule: "P6", file: "shared/rotation/verifying.go",
		old: "!t.now.Before(run.Deadline) && !t.hopelessAttempt(t.now, rec):",
		new: "!t.now.Before(run.Deadline) && !proof.Wrong:",
	},
	{
		name: "the refusal of new credentials stays when they are dropped",
		rule: "P8", file: "shared/rotation/verifying.go",
		old: "\t\trec.Error = nil // it was the new one's\n",
		new: "",
	},
	{
		name: "the refusal of new credentials stays when the old ones are given again",
		rule: "P8", file: "shared/rotation/verifying.go",
		old: "\t\trec.Error = nil // it was that of",
		new: "\t\t// it was that of",
	},
	{
		name: "that a new credential is refused is shown only when its time is over",
		rule: "P8", file: "shared/rotation/verifying.go",
		old: "case !refuses, !proof.Wrong && known:",
		new: "case !refuses, !proof.Wrong && known && false:",
	},
	{
		name: "that a new credential is refused is shown before every replica knows it",
		rule: "P8", file: "shared/rotation/verifying.go",
		old: "case !refuses, !proof.Wrong && known:",
		new: "case !refuses, !proof.Wrong && (known || true):",
	},
	{
		name: "a staged version that is gone is waited for",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "\t\trun.Deadline = t.now\n",
		new: "",
	},
	{
		name: "a run has any number of attempts",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "case run.Attempt >= maxAttempts:",
		new: "case false:",
	},
	{
		name: "the back-off begins anew with each run",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "\t\trec.Unproven++\n",
		new: "\t\trec.Unproven = 1\n",
	},
	{
		name: "a proof does not clear the back-off",
		rule: "R5", file: "shared/rotation/publishing.go",
		old: "rec.Unproven, rec.RepublishAt = 0, time.Time{}",
		new: "rec.RepublishAt = time.Time{}",
	},
	{
		name: "orphans keep nothing from being issued",
		rule: "R5", file: "shared/rotation/limits.go",
		old: "return n >= maxOrphans && !(ok && left < 3*day)",
		new: "return false && ok && left < 3*day",
	},
	{
		name: "orphans let current expire",
		rule: "R5", file: "shared/rotation/limits.go",
		old: "return n >= maxOrphans && !(ok && left < 3*day)",
		new: "_, _ = left, ok\n\treturn n >= maxOrphans",
	},
	{
		name: "orphans hold an emergency back",
		rule: "R5", file: "shared/rotation/issuing.go",
		old: `case run.Marker == "" && !urgent && rec.crowdedByOrphans(now):`,
		new: `case run.Marker == "" && (!urgent || true) && rec.crowdedByOrphans(now):`,
	},
	{
		name: "orphans keep a loss from being mended",
		rule: "R5", file: "shared/rotation/idle.go",
		old: "if rec.Request == nil && !r.Lost(rec.Current, now) && rec.crowdedByOrphans(now) {",
		new: "if rec.Request == nil && rec.crowdedByOrphans(now) {",
	},
	{
		name: "an orphan that is removed and not confirmed counts",
		rule: "R5", file: "shared/rotation/limits.go",
		old: "\t\tif m.RemovedAt.IsZero() {\n\t\t\tn++\n\t\t}\n",
		new: "\t\t_ = m\n\t\tn++\n",
	},
	{
		name: "an application that looks full after a removal ends the run",
		rule: "R5", file: "shared/rotation/issuing.go",
		old: "case serviceerror.ClassOf(err) == serviceerror.Full && t.rec.removedLately(t.now):",
		new: "case false && t.rec.removedLately(t.now):",
	},
}
