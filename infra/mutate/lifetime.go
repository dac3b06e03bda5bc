package main

// lifetime: current never expires while rotation is on.
var lifetime = []mutation{
	{
		name: "a credential lives for one interval",
		rule: "R10", file: "shared/rotation/rules.go",
		old: "asked := max(2*interval, interval+max(p.Grace, run.Grace)) + 3*day",
		new: "asked := max(interval, max(p.Grace, run.Grace)) + 3*day",
	},
	{
		name: "a credential may end in its grace period",
		rule: "R10", file: "shared/rotation/rules.go",
		old: "asked := max(2*interval, interval+max(p.Grace, run.Grace)) + 3*day",
		new: "asked := 2*interval + 3*day",
	},
	{
		name: "a lifetime that the policy has accepted is forgotten",
		rule: "R10", file: "shared/rotation/issuing.go",
		old: "t.rec.LongestAccepted = cmp.Or(run.Lifetime, t.rec.LongestAccepted)",
		new: "_ = cmp.Or(run.Lifetime, t.rec.LongestAccepted)",
	},
	{
		name: "a lifetime that the policy refuses is asked for again",
		rule: "R10", file: "shared/rotation/issuing.go",
		old: "run.Lifetime = max(t.rec.Lifetime()/2, shortest)",
		new: "run.Lifetime = t.rec.Lifetime()",
	},
	{
		name: "the slot alone says when a rotation is due",
		rule: "R10", file: "shared/rotation/rules.go",
		old: `if !r.Policy.Enabled || c == nil || c.ExpiresAt.IsZero() {`,
		new: `if true || c.ExpiresAt.IsZero() {`,
	},
	{
		name: "a rotation is due at the expiry",
		rule: "R10", file: "shared/rotation/rules.go",
		old: "later(c.ExpiresAt.Add(-r.Policy.Grace-2*day), half)",
		new: "later(c.ExpiresAt, half)",
	},
	{
		name: "a short lifetime makes rotations follow each other",
		rule: "R10", file: "shared/rotation/rules.go",
		old: "half := c.Since.Add(c.ExpiresAt.Sub(c.Since) / 2)",
		new: "half := c.Since",
	},
	{
		name: "the grace period is not counted before an expiry",
		rule: "R10", file: "shared/rotation/rules.go",
		old: "later(c.ExpiresAt.Add(-r.Policy.Grace-2*day), half)",
		new: "later(c.ExpiresAt.Add(-2*day), half)",
	},
	{
		name: "a run that comes early uses the slot up",
		rule: "R10", file: "shared/rotation/publishing.go",
		old: "case run.Trigger == OnSchedule && run.Slot.After(t.now):",
		new: "case false && run.Trigger == OnSchedule && run.Slot.After(t.now):",
	},
	{
		name: "a pause lets current expire",
		rule: "R10", file: "shared/rotation/apply.go",
		old: "pause = min(pause, max(left/4, time.Minute))",
		new: "_ = left",
	},
	{
		name: "the slot of a run is served again",
		rule: "R10", file: "shared/rotation/publishing.go",
		old: "rec.NextSlot = rec.Policy.Schedule.After(run.Slot, t.now)",
		new: "rec.NextSlot = run.Slot",
	},
}
