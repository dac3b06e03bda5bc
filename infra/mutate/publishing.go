package main

// publishing: what becomes current, and what happens to the one before.
var publishing = []mutation{
	{
		name: "the old credential is forgotten when the new one is published",
		rule: "P1", file: "shared/rotation/publishing.go",
		old: "t.retire(*old, t.now.Add(run.Grace), rebound && !old.Target.Same(next.Target))",
		new: "_ = old",
	},
	{
		name: "the old credential has no grace period",
		rule: "P1", file: "shared/rotation/publishing.go",
		old: "t.retire(*old, t.now.Add(run.Grace), rebound",
		new: "t.retire(*old, t.now, rebound",
	},
	{
		name: "what was given without its key id is removed",
		rule: "P2", file: "shared/rotation/publishing.go",
		old: `if old.Origin == OriginGiven || old.KeyID == "" {`,
		new: `if old.KeyID == "" {`,
	},
	{
		name: "an attempt that may be published is given up without a look at what is published",
		rule: "P1", file: "shared/rotator/publishing.go",
		old: "out.Err, out.NotCurrent = err, err == nil && !current && attempt",
		new: "_, _, _ = err, current, attempt",
	},
	{
		name: "an attempt that may have been published is removed like one that was not",
		rule: "R6", file: "shared/rotation/issuing.go",
		old: "Published: rec.Phase == Publishing,",
		new: "Published: false,",
	},
	{
		name: "what is given again is removed as the old one",
		rule: "R13", file: "shared/rotation/publishing.go",
		old: "case old.same(&next):",
		new: "case false:",
	},
	{
		name: "the staged version stays enabled after its value is published",
		rule: "P4", file: "shared/rotation/publishing.go",
		old: "rec.Stale.Add(t.now, run.StagedVersion)",
		new: "_ = rec.Stale",
	},
	{
		name: "the staged version of an attempt that was given up stays enabled",
		rule: "P4", file: "shared/rotation/issuing.go",
		old: "\t\trec.Stale.Add(t.now, run.StagedVersion)",
		new: "\t\t_ = rec.Stale",
	},
	{
		name: "what may be staged under an unknown outcome stays enabled",
		rule: "P4", file: "shared/rotation/issuing.go",
		old: "\t\trec.Stale.Look(t.now)\n",
		new: "\t\t_ = rec.Stale\n",
	},
	{
		name: "a staged version that is in use is disabled",
		rule: "P1", file: "shared/rotator/stale.go",
		old: "!rec.Owns(p.Deployment, v.Tags) || rec.InUse(v) {",
		new: "!rec.Owns(p.Deployment, v.Tags) {",
	},
}
