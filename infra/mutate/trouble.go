package main

// trouble: back-offs, losses, and what the operator is told.
var trouble = []mutation{
	{
		name: "the back-off does not grow",
		rule: "R5", file: "shared/rotation/rules.go",
		old: "d := min(base<<min(max(count-1, 0), 20), limit)",
		new: "d := min(base, limit)",
	},
	{
		name: "the back-off has no limit",
		rule: "R5", file: "shared/rotation/rules.go",
		old: "d := min(base<<min(max(count-1, 0), 20), limit)",
		new: "d := base << min(max(count-1, 0), 20)",
	},
	{
		name: "a refusal is tried again like an outage",
		rule: "R5", file: "shared/rotation/rules.go",
		old: "base, limit = time.Hour, 24*time.Hour",
		new: "base, limit = 5*time.Second, 15*time.Minute",
	},
	{
		name: "failures do not add up",
		rule: "R5", file: "shared/rotation/apply.go",
		old: "count = rec.Error.Count + 1",
		new: "count = 1",
	},
	{
		name: "an outage makes the first refusal wait for a day",
		rule: "R5", file: "shared/rotation/apply.go",
		old: "if rec.Error != nil && rec.Error.Class.Refusal() == class.Refusal() {",
		new: "if rec.Error != nil {",
	},
	{
		name: "the pause that a service asks for is ignored",
		rule: "R5", file: "shared/rotation/apply.go",
		old: "RetryAt: now.Add(max(rec.pauseAfter(now, class, count), serviceerror.RetryAfterOf(err))),",
		new: "RetryAt: now.Add(rec.pauseAfter(now, class, count)),",
	},
	{
		name: "connections that failed together return together",
		rule: "P6", file: "shared/rotation/rules.go",
		old: "\th.Write([]byte(id))\n",
		new: "",
	},
	{
		name: "a step goes on in spite of its pause",
		rule: "R5", file: "shared/rotation/plan.go",
		old: "\tif rec.Error == nil || !rec.Error.RetryAt.After(now) {\n\t\treturn step",
		new: "\tif true {\n\t\treturn step",
	},
	{
		name: "one refusal means that the published credential is lost",
		rule: "R6", file: "shared/rotation/idle.go",
		old: "c.Refusals >= r.LossCount && ",
		new: "c.Refusals >= 1 && ",
	},
	{
		name: "refusals within a minute mean that the published credential is lost",
		rule: "R6", file: "shared/rotation/idle.go",
		old: "c.Refusals >= r.LossCount && !now.Before(c.RefusedSince.Add(r.LossPeriod))",
		new: "c.Refusals >= r.LossCount",
	},
	{
		name: "a loss is never noticed",
		rule: "P1", file: "shared/rotation/idle.go",
		old: "case r.Lost(rec.Current, now) && (rec.Rotates()",
		new: "case false && (rec.Rotates()",
	},
	{
		name: "a token does not end the row of refusals",
		rule: "R6", file: "shared/rotation/removing.go",
		old: "rec.Current.Refusals, rec.Current.RefusedSince = 0, time.Time{}",
		new: "_ = rec.Current",
	},
	{
		name: "a failure that stays is not told",
		rule: "P8", file: "shared/rotation/attention.go",
		old: "if e := r.Error; e != nil && e.Persists() {",
		new: "if e := r.Error; false && e.Persists() {",
	},
	{
		name: "a refusal is told at its fifth time",
		rule: "P8", file: "shared/rotation/attention.go",
		old: "return f.Class.Refusal() || f.Count >= persistent }",
		new: "return f.Count >= persistent }",
	},
	{
		name: "what passes by itself is told the first time",
		rule: "P8", file: "shared/rotation/attention.go",
		old: "return f.Class.Refusal() || f.Count >= persistent }",
		new: "return true }",
	},
	{
		name: "a notice is given again and again",
		rule: "P8", file: "shared/rotation/attention.go",
		old: "\trec.Told = strings.Join(told, \",\")\n",
		new: "",
	},
	{
		name: "a removal that resists is not told",
		rule: "P8", file: "shared/rotation/attention.go",
		old: `return m.Problem != "" && (m.Problem.Refusal() || m.Tries >= persistent)`,
		new: `return false`,
	},
	{
		name: "the recovery is not told",
		rule: "P8", file: "shared/rotation/attention.go",
		old: "if len(wrong) == 0 && len(told) > 0 && rec.Phase == Idle",
		new: "if false && rec.Phase == Idle",
	},
	{
		name: "an expiry that no rotation prevents is not told",
		rule: "P8", file: "shared/rotation/attention.go",
		old: "if c == nil || c.ExpiresAt.IsZero() || rec.Prevented() {",
		new: "if true {",
	},
	{
		name: "a manual removal is not told",
		rule: "P8", file: "shared/rotation/apply.go",
		old: "t.tell(Event{Kind: history.ByHand, KeyID: h.KeyID, Message: h.Reason, Notice: true})",
		new: "t.tell(Event{Kind: history.ByHand, KeyID: h.KeyID, Message: h.Reason})",
	},
	{
		name: "a sign-in is made for each target",
		rule: "P6", file: "shared/rotator/signins.go",
		old: "if !s.token.Value.IsZero() && s.token.ExpiresAt.After(p.now().Add(tokenReserve)) {",
		new: "if false {",
	},
	{
		name: "a token that is about to end is used again",
		rule: "P3", file: "shared/rotator/signins.go",
		old: "if !s.token.Value.IsZero() && s.token.ExpiresAt.After(p.now().Add(tokenReserve)) {",
		new: "if !s.token.Value.IsZero() {",
	},
	{
		name: "a panic in one pass ends the sweep",
		rule: "P3", file: "shared/rotator/sweep.go",
		old: "if v := recover(); v != nil {",
		new: "if v := error(nil); v != nil {",
	},
}
