package main

// late: writes of the published name that land after their answer was given up (rule R8).
var late = []mutation{
	{
		name: "an attempt that may be all that works is given up on request",
		rule: "R5", file: "shared/rotation/plan.go",
		old: "return Withdraw{}, !rec.settlesAt(\"\").After(now) && !rec.currentRefused()\n\t\tcase running",
		new: "return Withdraw{}, !rec.settlesAt(\"\").After(now)\n\t\tcase running",
	},
	{
		name: "a request waits for an attempt that is refused, too",
		rule: "R5", file: "shared/rotation/verifying.go",
		old: "rec.currentRefused() && rec.proof().Wrong): // else",
		new: "rec.currentRefused() && false): // else",
	},
	{
		name: "a request looks without a pause whether it can have an attempt given up",
		rule: "P6", file: "shared/rotation/plan.go",
		old: "rec.Request.ends() && !rec.currentRefused() {",
		new: "rec.Request.ends() {",
	},
	{
		name: "another value is published while a write may still land",
		rule: "R8", file: "shared/rotation/verifying.go",
		old: "if at := rec.settlesAt(version); at.After(now) {",
		new: "if at := rec.settlesAt(version); false && at.After(now) {",
	},
	{
		name: "a write is not announced",
		rule: "R8", file: "shared/rotation/verifying.go",
		old: "\t\tif !announced {",
		new: "\t\tif false && !announced {",
	},
	{
		name: "promoting does not announce the write",
		rule: "P6", file: "shared/rotation/verifying.go",
		old: "\tt.announce(t.rec.Run.StagedVersion)\n",
		new: "",
	},
	{
		name: "a write that was announced before is forgotten",
		rule: "R8", file: "shared/rotation/late.go",
		old: "next.Before = later(was.Before, was.Until)",
		new: "next.Before = was.Before",
	},
	{
		name: "the answer to the last write settles the one before",
		rule: "R8", file: "shared/rotation/late.go",
		old: "*u = Unsettled{Until: u.Before}",
		new: "*u = Unsettled{}",
	},
	{
		name: "a definite answer settles nothing",
		rule: "R8", file: "shared/rotation/late.go",
		old: "*u = Unsettled{Until: u.Before}",
		new: "_ = u",
	},
	{
		name: "a write can land until the end of the lease",
		rule: "R8", file: "shared/rotation/late.go",
		old: "Unsettled{Until: t.rec.Lease.Until.Add(t.Late), Of",
		new: "Unsettled{Until: t.rec.Lease.Until, Of",
	},
	{
		name: "an unknown outcome settles a write",
		rule: "R8", file: "shared/rotation/late.go",
		old: "\tcase err != nil && serviceerror.UnknownOutcome(err):\n\t\tu.Unknown = true\n",
		new: "\tcase err != nil && serviceerror.UnknownOutcome(err):\n\t\t*u = Unsettled{Until: u.Before}\n",
	},
	{
		name: "an unknown outcome settles a write that publishes again",
		rule: "R8", file: "shared/rotation/publishing.go",
		old: "if t.out.Proven { // it was written",
		new: "if false {",
	},
	{
		name: "the answer to a retry settles the write without one",
		rule: "R8", file: "shared/rotation/late.go",
		old: "\tcase !u.Unknown:\n",
		new: "\tdefault:\n",
	},
	{
		name: "announcing the same value again forgets that a write has no answer",
		rule: "R8", file: "shared/rotation/late.go",
		old: "\t\tnext.Unknown = true\n",
		new: "",
	},
	{
		name: "what was published is removed while a write may still land",
		rule: "R8", file: "shared/rotation/removal.go",
		old: `at = later(at, later(rec.settlesAt(""), rec.RepublishAt))`,
		new: `at = later(at, rec.RepublishAt)`,
	},
	{
		name: "an attempt is given up on request while its write may still land",
		rule: "R8", file: "shared/rotation/plan.go",
		old: "be published in its place.\n\t\t\treturn Withdraw{}, !rec.settlesAt(\"\").After(now) && ",
		new: "be published in its place.\n\t\t\treturn Withdraw{}, ",
	},
	{
		name: "undoing a creation does not wait for a late write",
		rule: "R8", file: "shared/rotation/deleting.go",
		old: "(rec.Revoke || rec.Undo) && at.After(now) {",
		new: "rec.Revoke && at.After(now) {",
	},
	{
		name: "revoking everything does not wait for a late write",
		rule: "R8", file: "shared/rotation/deleting.go",
		old: "(rec.Revoke || rec.Undo) && at.After(now) {",
		new: "rec.Undo && at.After(now) {",
	},
	{
		name: "undoing begins before a write can have landed",
		rule: "R8", file: "shared/rotation/creating.go",
		old: "RetryAt: later(t.now.Add(t.CallTimeout+t.SettleSpacing), rec.settlesAt(\"\")),",
		new: "RetryAt: t.now,",
	},
	{
		name: "a creation does not announce what it writes",
		rule: "R8", file: "shared/connection/create.go",
		old: "rec.Unsettled.Until = rec.Lease.Until.Add(s.Rotator.Rules.Late)",
		new: "rec.Unsettled.Until = rec.Unsettled.Until.Add(0)",
	},
	{
		name: "storing what was given counts as answered after a time-out",
		rule: "R8", file: "shared/connection/create.go",
		old: "\t\tsettled = false\n",
		new: "\t\tsettled = true\n",
	},
	{
		name: "current is published again without proof",
		rule: "R4", file: "shared/rotator/publishing.go",
		old: "for n := 0; err == nil && n < p.Rules.Successes; n++ {",
		new: "for n := 0; err == nil && n < 0; n++ {",
	},
	{
		name: "what was there before is restored without proof",
		rule: "R4", file: "shared/rotator/deleting.go",
		old: "for n := 0; err == nil && n < p.Rules.Successes; n++ {",
		new: "for n := 0; err == nil && n < 0; n++ {",
	},
	{
		name: "what is published and not current is left",
		rule: "R8", file: "shared/rotation/removing.go",
		old: "\tcase t.out.NotCurrent:\n\t\trec.RepublishAt = t.now\n",
		new: "\tcase t.out.NotCurrent:\n\t\tm.NextAt = t.now.Add(time.Hour)\n",
	},
}
