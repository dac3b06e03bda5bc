package main

// proof: what is published works, for the pass that publishes it.
var proof = []mutation{
	{
		name: "one token too few proves a credential",
		rule: "R4", file: "shared/rotation/verifying.go",
		old: "proven := proof.Successes >= r.Successes",
		new: "proven := proof.Successes >= r.Successes-1",
	},
	{
		name: "a refusal in between does not end the row of tokens",
		rule: "R4", file: "shared/rotation/verifying.go",
		old: "proof.Successes, proof.Failures = 0, proof.Failures+1",
		new: "proof.Failures = proof.Failures+1",
	},
	{
		name: "tokens follow each other at once",
		rule: "R4", file: "shared/rotation/verifying.go",
		old: "proof.NextAt = t.now.Add(t.Spacing)",
		new: "proof.NextAt = t.now",
	},
	{
		name: "the proof of another attempt counts",
		rule: "R4", file: "shared/rotation/verifying.go",
		old: "if r.Run == nil || r.Proof.StagedVersion != r.Run.StagedVersion {",
		new: "if r.Run == nil {",
	},
	{
		name: "the proof of another pass counts",
		rule: "R4", file: "shared/rotation/lease.go",
		old:        "next.Lease, next.Proof = Lease{}, Proof{}",
		new:        "next.Lease = Lease{}",
		equivalent: "The proof is in memory: no store keeps it, and each pass begins with what a store has.",
	},
	{
		name: "the minimum age is ignored",
		rule: "R4", file: "shared/rotation/verifying.go",
		old: "ready := later(run.IssuedAt.Add(r.minAge(run.Trigger)), rec.settlesAt(run.StagedVersion))",
		new: "ready := later(run.IssuedAt, rec.settlesAt(run.StagedVersion))",
	},
	{
		name: "a scheduled run is as quick as an emergency",
		rule: "R4", file: "shared/rotation/rules.go",
		old: "\tcase OnSchedule, OnRequest:\n\t\treturn r.MinAge\n",
		new: "\tcase OnSchedule, OnRequest:\n\t\treturn r.MinAgeFirst\n",
	},
	{
		name: "an emergency waits like a scheduled run",
		rule: "R12", file: "shared/rotation/rules.go",
		old: "\t}\n\treturn r.MinAgeFirst\n",
		new: "\t}\n\treturn r.MinAge\n",
	},
	{
		name: "the staged version may be of another credential",
		rule: "R4", file: "shared/rotator/publishing.go",
		old: "if !rec.Owns(p.Deployment, s.Tags) || s.Tags[vaulttag.KeyID] != run.KeyID {",
		new: "if !rec.Owns(p.Deployment, s.Tags) {",
	},
	{
		name: "the latest staged version is proven, not the run's",
		rule: "R4", file: "shared/rotator/publishing.go",
		old: "s, err := p.get(ctx, rec.StagedName(), run.StagedVersion)",
		new: "s, err := p.get(ctx, rec.StagedName(), \"\")",
	},
}
