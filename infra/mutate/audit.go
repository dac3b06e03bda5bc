package main

var (
	ofTrail   = []string{"./shared/audit"}
	ofSession = []string{"./shared/session"}
)

// audited: who signs in, is refused, creates and deletes is written down, and that costs little.
var audited = []mutation{
	{
		name: "each refusal of a flood is a write",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "if l.retry.IsZero() && !doubled || now.Before(l.retry) {",
		new: "if _ = doubled; now.Before(l.retry) {",
	},
	{
		name: "each address of a flood is a line",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "if !known {",
		new: "if false {",
	},
	{
		name: "each reason of a flood is a line",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "if !ok && t.many[known] >= maxLines {",
		new: "if false {",
	},
	{
		name: "a flood of visitors hides where known callers come from",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "if !ok && t.many[known] >= maxLines {",
		new: "if !ok && t.many[false]+t.many[true] >= maxLines {",
	},
	{
		name: "a visitor who hangs up is not written down",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "context.WithTimeout(context.WithoutCancel(ctx), patience)",
		new: "context.WithTimeout(ctx, patience)",
	},
	{
		name: "an audit that can't be written holds a request up",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "context.WithTimeout(context.WithoutCancel(ctx), patience)",
		new: "context.WithTimeout(context.WithoutCancel(ctx), 10*patience)",
	},
	{
		name: "an audit that can't be written is lost without a word",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "t.log().WarnContext(",
		new: "t.log().DebugContext(",
	},
	{
		name: "a line that could not be written is not tried again",
		rule: "P7", file: "shared/audit/trail.go", tests: ofTrail,
		old: "l.retry = t.now().Add(pause)",
		new: "l.retry = time.Time{}",
	},
	{
		name: "the console's refusals are not audited",
		rule: "P7", file: "shared/session/manager.go", tests: ofSession,
		old: "\tm.audit(r, audit.ConsoleRefused, caller, reason)\n",
		new: "",
	},
	{
		name: "a flood at the console is not audited",
		rule: "P7", file: "shared/session/manager.go", tests: ofSession,
		old: "\t\t\tm.audit(r, audit.ConsoleRefused, auth.Caller{}, reason)\n",
		new: "",
	},
	{
		name: "sign-outs are not audited",
		rule: "P7", file: "shared/session/manager.go", tests: ofSession,
		old: "\tm.audit(r, audit.SignedOut, v.Caller, \"\")\n",
		new: "",
	},
	{
		name: "that a role is too low for a page is not audited",
		rule: "P7", file: "functions/console/handler.go", tests: []string{"./functions/console"},
		old: "c.Trail.Add(r.Context(), audit.By(v.caller, ",
		new: "_ = append([]audit.Event(nil), audit.By(v.caller, ",
	},
	{
		name: "the API's refusals are not audited",
		rule: "P7", file: "functions/connections/handler.go", tests: []string{"./functions/connections"},
		old: "\t\th.Trail.Add(r.Context(), audit.By(caller, audit.APIRefused, from, refusal(err)))\n",
		new: "",
	},
	{
		name: "the audit of the deployment is for readers",
		rule: "P7", file: "functions/connections/route.go", tests: []string{"./functions/connections"},
		old: "{trailBase, []route{{\"GET\", \"\", auth.Admin,",
		new: "{trailBase, []route{{\"GET\", \"\", auth.Read,",
	},
	{
		name: "who creates and deletes is not audited",
		rule: "P7", file: "shared/tablestore/prune.go", tests: []string{"./shared/tablestore"},
		old: "return c.addAudit(t)",
		new: "return nil",
	},
	{
		name: "the audit is kept for ever",
		rule: "P6", file: "shared/tablestore/audit.go", tests: []string{"./shared/tablestore"},
		old: "auditTime(before)+\".\", auditEnd, limit)",
		new: "auditEnd, auditEnd, limit)",
	},
	{
		name: "each instance renews the key of sessions",
		rule: "P7", file: "shared/session/keys.go", tests: ofSession,
		old: "Kind: reservation.ConsoleKey, Value: k.Name,",
		new: "Kind: reservation.ConsoleKey, Value: rand.Text(),",
	},
	{
		name: "the key of sessions is renewed without another look",
		rule: "P7", file: "shared/session/keys.go", tests: ofSession,
		old: "now, _, err = k.usable(ctx) //",
		new: "now = usable //",
	},
	{
		name: "a renewal that died is never made good",
		rule: "P7", file: "shared/session/keys.go", tests: ofSession,
		old: "reservation.Row) (bool, error) { return true, nil })",
		new: "reservation.Row) (bool, error) { return false, nil })",
	},
	{
		name: "a public URL with a path is taken",
		rule: "P7", file: "shared/config/reader.go", tests: []string{"./shared/config"},
		old: "if strings.Trim(u.EscapedPath(), \"/\") != \"\" {",
		new: "if false {",
	},
	{
		name: "a table that does not answer locks everyone out while the key ends soon",
		rule: "P7", file: "shared/session/keys.go", tests: ofSession,
		old: "ctx, cancel := context.WithTimeout(ctx, followTimeout)",
		new: "ctx, cancel := context.WithTimeout(ctx, keysTimeout)",
	},
}
