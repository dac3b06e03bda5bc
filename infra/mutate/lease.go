package main

// lease: one worker for each connection, and what it may still do at the end of its lease.
var lease = []mutation{
	{
		name: "the lease of another pass is taken",
		rule: "P5", file: "shared/rotator/pass.go",
		old: "if p.Rules.Taken(now, rec.Lease) {",
		new: "if false && p.Rules.Taken(now, rec.Lease) {",
	},
	{
		name: "two passes take the lease at the same time",
		rule: "P5", file: "shared/rotator/pass.go",
		old: "\t\tif rec.Lease.Token != old {\n\t\t\treturn nil, ErrLeased",
		new: "\t\tif false && rec.Lease.Token != old {\n\t\t\treturn nil, ErrLeased",
	},
	{
		name: "a pass commits although its lease is lost",
		rule: "P5", file: "shared/rotator/step.go",
		old: "\t\tcase rec.Lease.Token != p.lease.Token:\n\t\t\treturn nil, ErrLeaseLost",
		new: "\t\tcase false && rec.Lease.Token != p.lease.Token:\n\t\t\treturn nil, ErrLeaseLost",
	},
	{
		name: "a pass gives back the lease of another",
		rule: "P5", file: "shared/rotator/pass.go",
		old: "\t\tif rec.Lease.Token != p.lease.Token {\n\t\t\treturn nil, ErrLeaseLost\n\t\t}\n\t\t*rec, events = p.Rules.ReleaseLease",
		new: "\t\t*rec, events = p.Rules.ReleaseLease",
	},
	{
		name: "a pass goes on after a pause although its lease is lost",
		rule: "P5", file: "shared/rotator/pass.go",
		old: "case fresh.Lease.Token != p.lease.Token:\n\t\treturn fresh, ErrLeaseLost\n\tcase fresh.Version",
		new: "case fresh.Version",
	},
	{
		name: "a lease is taken over the moment that it ends",
		rule: "R2", file: "shared/rotation/lease.go",
		old: `return lease.Token != "" && now.Before(lease.Until.Add(r.Skew))`,
		new: `return lease.Token != "" && now.Before(lease.Until)`,
	},
	{
		name: "calls may take as long as the lease",
		rule: "R2", file: "shared/rotation/lease.go",
		old: "return !now.Add(timeout).After(lease.Until.Add(-r.Skew))",
		new: "return !now.Add(timeout).After(lease.Until)",
	},
	{
		name: "calls may outlast the lease",
		rule: "R2", file: "shared/rotation/lease.go",
		old: "return !now.Add(timeout).After(lease.Until.Add(-r.Skew))",
		new: "return !now.After(lease.Until.Add(-r.Skew))",
	},
	{
		name: "a call starts without a look at the lease",
		rule: "R2", file: "shared/rotator/call.go",
		old: "if !p.Rules.Fits(now, p.lease, timeout) {",
		new: "if false && !p.Rules.Fits(now, p.lease, timeout) {",
	},
	{
		name: "a credential is issued when there is no time left to store it",
		rule: "R2", file: "shared/rotator/issuing.go",
		old: "if !p.Rules.Fits(p.now(), p.lease, p.issueNeeds()) {",
		new: "if false && !p.Rules.Fits(p.now(), p.lease, p.issueNeeds()) {",
	},
	{
		name: "a pass that dies is not looked for at the end of its lease",
		rule: "P3", file: "shared/rotation/lease.go",
		old: "next.Lease, next.WakeAt = lease, lease.Until",
		new: "next.Lease = lease",
	},
	{
		name: "that the caller was told is not committed",
		rule: "P3", file: "shared/rotation/lease.go",
		old: "next.Acknowledged = rec.Acknowledged || acknowledged && rec.Phase != Deleting || rec.Phase == Idle",
		new: "next.Acknowledged = rec.Acknowledged || rec.Phase == Idle",
	},
	{
		name: "a connection is never known to have been told of",
		rule: "P3", file: "shared/rotation/lease.go",
		old: "next.Acknowledged = rec.Acknowledged || acknowledged && rec.Phase != Deleting || rec.Phase == Idle",
		new: "next.Acknowledged = rec.Acknowledged",
	},
	{
		name: "a refusal undoes a creation that the caller was told of",
		rule: "P3", file: "shared/rotation/issuing.go",
		old: "undo := !rec.Acknowledged && run.Trigger == OnCreation",
		new: "undo := run.Trigger == OnCreation",
	},
}
