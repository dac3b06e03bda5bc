package main

// requests: what the API asks for, and in which order it is served.
var requests = []mutation{
	{
		name: "a request of a lower rank replaces one of a higher",
		rule: "R12", file: "shared/rotation/request.go",
		old: "case pending.Kind.Rank() >= q.Kind.Rank():",
		new: "case false && pending.Kind.Rank() >= q.Kind.Rank():",
	},
	{
		name: "an emergency that was refused waits whatever is asked",
		rule: "R12", file: "shared/rotation/request.go",
		old: "\t\tr.RetryNow(q.At)\n",
		new: "",
	},
	{
		name: "abandoning outranks an emergency",
		rule: "R12", file: "shared/rotation/request.go",
		old: "\tcase AskAbandon:\n\t\treturn 3\n",
		new: "\tcase AskAbandon:\n\t\treturn 5\n",
	},
	{
		name: "an emergency leaves grace periods as they are",
		rule: "R12", file: "shared/rotation/issuing.go",
		old: "\tif run.Trigger == OnEmergency {\n\t\tt.endGracePeriods()",
		new: "\tif false {\n\t\tt.endGracePeriods()",
	},
	{
		name: "an emergency during a run leaves grace periods as they are",
		rule: "R12", file: "shared/rotation/verifying.go",
		old: "\trun.Trigger, run.Grace = OnEmergency, 0\n\tt.endGracePeriods()\n",
		new: "\trun.Trigger, run.Grace = OnEmergency, 0\n",
	},
	{
		name: "an emergency leaves the grace period of what it replaces",
		rule: "R12", file: "shared/rotation/issuing.go",
		old: "run.Trigger, run.Grace = OnEmergency, 0",
		new: "run.Trigger = OnEmergency",
	},
	{
		name: "an emergency does not end the pause of a removal",
		rule: "R12", file: "shared/rotation/apply.go",
		old: `m.KeyID != "" && (m.After.After(now) || m.NextAt.After(now))`,
		new: `m.KeyID != "" && m.After.After(now)`,
	},
	{
		name: "a deletion waits for the grace periods",
		rule: "R12", file: "shared/rotation/deleting.go",
		old: "\trec.Phase, rec.DeletingSince, rec.Error, rec.Request = Deleting, asked.At, nil, nil\n\tt.endGracePeriods()",
		new: "\trec.Phase, rec.DeletingSince, rec.Error, rec.Request = Deleting, asked.At, nil, nil",
	},
	{
		name: "a deletion forgets the run under way",
		rule: "R12", file: "shared/rotation/deleting.go",
		old: "\tif rec.Run != nil {\n\t\tt.giveUpRun(\"abandoned\", \"the connection was deleted\")\n\t}\n",
		new: "\trec.Run = nil\n",
	},
	{
		name: "a record is purged while removals are left",
		rule: "R7", file: "shared/rotation/deleting.go",
		old: "if len(rec.Removals) > 0 {",
		new: "if len(rec.Removals) > 99 {",
	},
	{
		name: "a deletion without revoke removes current",
		rule: "P2", file: "shared/rotation/deleting.go",
		old: "if rec.Revoke && rec.Current != nil",
		new: "if rec.Current != nil",
	},
	{
		name: "a deletion with revoke removes what Rekey has not issued",
		rule: "P2", file: "shared/rotation/deleting.go",
		old: "rec.Current != nil && rec.Current.Origin == OriginIssued {",
		new: "rec.Current != nil {",
	},
	{
		name: "a deletion with revoke leaves current",
		rule: "R12", file: "shared/rotation/deleting.go",
		old: "\t\treturn RevokeCurrent{}\n",
		new: "\t\treturn Purge{}\n",
	},
	{
		name: "a rotation that was abandoned begins at once again",
		rule: "R12", file: "shared/rotation/verifying.go",
		old: "if (t.planIdle(t.now, rec) == BeginRun{}) {",
		new: "if false {",
	},
	{
		name: "a rotation by hand ignores that too many credentials wait",
		rule: "P6", file: "shared/rotation/limits.go",
		old: "if len(replaced) < MaxReplaced {",
		new: "if len(replaced) < 100*MaxReplaced {",
	},
	{
		name: "a connection is settled although its rotation is overdue",
		rule: "P8", file: "shared/rotation/record.go",
		old: "if r.Policy.Enabled && !r.Due().After(now) {\n\t\treturn false",
		new: "if r.Policy.Enabled && !r.Due().After(now) {\n\t\treturn true",
	},
	{
		name: "a connection is settled although an orphan is not resolved",
		rule: "P8", file: "shared/rotation/record.go",
		old: "r.Request != nil || len(r.Orphans()) > 0 || r.owed()",
		new: "r.Request != nil || r.owed()",
	},
	{
		name: "a connection is settled although its first run is owed",
		rule: "P8", file: "shared/rotation/record.go",
		old: "len(r.Orphans()) > 0 || r.owed() {",
		new: "len(r.Orphans()) > 0 {",
	},
	{
		name: "a connection is settled although a removal is overdue",
		rule: "P8", file: "shared/rotation/record.go",
		old: "return !slices.ContainsFunc(r.Removals, func(m Removal) bool { return !m.After.After(now) })",
		new: "return true",
	},
	{
		name: "a dry run predicts the slots after its run",
		rule: "R12", file: "shared/rotation/forecast.go",
		old: "if (step == BeginRun{}) && rec.Request == nil",
		new: "if false && rec.Request == nil",
	},
	{
		name: "an emergency that is outranked is forgotten",
		rule: "R12", file: "shared/rotation/request.go",
		old: "\t\tr.Outranked = pending\n",
		new: "",
	},
	{
		name: "an emergency that meets one of a higher rank is forgotten",
		rule: "R12", file: "shared/rotation/request.go",
		old: "\t\tr.Outranked = &q\n",
		new: "",
	},
	{
		name: "an emergency that was outranked is not served",
		rule: "R12", file: "shared/rotation/apply.go",
		old: "t.rec.Request, t.rec.Outranked = t.rec.Outranked, nil",
		new: "t.rec.Request, t.rec.Outranked = nil, nil",
	},
	{
		name: "an emergency waits with the removals until it has issued",
		rule: "R12", file: "shared/rotation/idle.go",
		old: "if remove, ok := r.planBeside(now, rec).(Remove); ok {",
		new: "if remove, ok := r.planBeside(now, rec).(Remove); false && ok {",
	},
}
