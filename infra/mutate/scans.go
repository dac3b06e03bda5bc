package main

// ofScans are the packages that may notice what is wrong in a scan.
var ofScans = []string{"./shared/inventory/scan"}

// scans: complete and right at the end, whatever happens on the way, and no more often than is good for
// the directory.
var scans = []mutation{
	{
		name: "calls of a scan end with the lease, and not a skew before",
		rule: "R2", file: "shared/inventory/scan/pass.go", tests: ofScans,
		old: "last := p.lease.Until.Add(-p.Rules.Skew)",
		new: "last := p.lease.Until",
	},
	{
		name: "a scan takes a lease that another pass has",
		rule: "R2", file: "shared/inventory/scan/pass.go", tests: ofScans,
		old: "case p.Rules.Taken(now, t.Lease):",
		new: "case false:",
	},
	{
		name: "a pass over a scan goes on under another pass's lease",
		rule: "P5", file: "shared/inventory/scan/pass.go", tests: ofScans,
		old: "case fresh.Lease.Token != p.lease.Token:",
		new: "case false:",
	},
	{
		name: "pages of a list from before it began again count",
		rule: "inventory", file: "shared/inventory/scan/missing.go", tests: ofScans,
		old: "case number >= p.t.Scan.Pages:",
		new: "case false:",
	},
	{
		name: "a page that is lost is not missed",
		rule: "inventory", file: "shared/inventory/scan/missing.go", tests: ofScans,
		old: "\tif err == nil && n < p.t.Scan.Pages {\n\t\terr = errPagesLost\n\t}\n",
		new: "",
	},
	{
		name: "what no list showed is gone, without a look",
		rule: "inventory", file: "shared/inventory/scan/missing.go", tests: ofScans,
		old: "if len(p.seen.missing) == 0 {",
		new: "if true {",
	},
	{
		name: "a service principal that no list showed is gone, without a look",
		rule: "inventory", file: "shared/inventory/scan/missing.go", tests: ofScans,
		old: "m.PrincipalID != \"\")",
		new: "false)",
	},
	{
		name: "rows of a part that was decided before a crash are not written",
		rule: "P3", file: "shared/inventory/scan/pass.go", tests: ofScans,
		old: "p.written = max(0, sc.Part-1)",
		new: "p.written = sc.Part",
	},
	{
		name: "what was decided before a crash is decided again",
		rule: "P3", file: "shared/inventory/scan/write.go", tests: ofScans,
		old: "if part.number == sc.Part {",
		new: "if part.number <= sc.Part {",
	},
	{
		name: "the second trouble of a tenant's scans is not told of",
		rule: "P8", file: "shared/inventory/scan/complete.go", tests: ofScans,
		old: "next.Told = sc.StartedAt, sc.Unread, sc.Longest, false",
		new: "next.Told = sc.StartedAt, sc.Unread, sc.Longest, next.Told",
	},
	{
		name: "a scan that was refused begins again each minute",
		rule: "inventory", file: "shared/inventory/scan/schedule.go", tests: ofScans,
		old: "rotation.Backoff(t.ID, sc.Problem.Class, sc.Failures)",
		new: "time.Minute",
	},
	{
		name: "that no scan ends is told of again and again",
		rule: "P8", file: "shared/inventory/scan/schedule.go", tests: ofScans,
		old: "if t.Told || !t.Daily && !underWay(t) {",
		new: "if !t.Daily && !underWay(t) {",
	},
	{
		name: "a scan does not wait for as long as Graph asks",
		rule: "inventory", file: "shared/inventory/scan/failed.go", tests: ofScans,
		old: "\td := serviceerror.RetryAfterOf(err)\n",
		new: "\td := time.Duration(0)\n",
	},
	{
		name: "reads of keyCredentials are not spaced",
		rule: "inventory", file: "shared/inventory/scan/scanner.go", tests: ofScans,
		old: "return l.ReserveN(now, 1).DelayFrom(now)",
		new: "return 0",
	},
	{
		name: "a list that begins again adds to what it told before",
		rule: "inventory", file: "shared/inventory/scan/failed.go", tests: ofScans,
		old: "sc.Cursor, sc.Pages = \"\", sc.ListFrom",
		new: "sc.Cursor = \"\"",
	},
	{
		name: "a policy that may not be read any more limits nothing",
		rule: "inventory", file: "shared/inventory/scan/failed.go", tests: ofScans,
		old: "\tif why.List == inventory.Policy {",
		new: "\tif false {",
	},
	{
		name: "cleaning up that lands late takes the pages of the scan under way",
		rule: "P3", file: "shared/inventory/scan/complete.go", tests: ofScans,
		old: "\tif underWay(&p.t) {\n\t\tkeep = p.t.Scan.ID\n\t}\n",
		new: "",
	},
	{
		name: "each request begins another scan",
		rule: "inventory", file: "shared/inventory/scan/request.go", tests: ofScans,
		old: "began = !underWay(&t)",
		new: "began = true",
	},
	{
		name: "a scan goes on without the list of applications",
		rule: "inventory", file: "shared/inventory/scan/failed.go", tests: ofScans,
		old: "case class.Refusal() && list == inventory.Applications:",
		new: "case false:",
	},
	{
		name: "with a record that can't be read all markers are orphans",
		rule: "inventory", file: "shared/inventory/scan/write.go", tests: ofScans,
		old: "Known: p.known.all",
		new: "Known: true",
	},
	{
		name: "what is gone keeps its row",
		rule: "inventory", file: "shared/inventory/scan/write.go", tests: ofScans,
		old: "case former != nil:\n",
		new: "case false:\n",
	},
	{
		name: "a pass keeps no time to give its lease back",
		rule: "inventory", file: "shared/inventory/scan/pass.go", tests: ofScans,
		old: "p.stop = p.end.Add(-min(lastCommit, left/4))",
		new: "p.stop = p.end",
	},
	{
		name: "what a refused list would have told is forgotten",
		rule: "inventory", file: "shared/inventory/scan/write.go", tests: ofScans,
		old: "app.Conclude(former, m.refused, m.t.Scan.StartedAt)",
		new: "app.Conclude(former, nil, m.t.Scan.StartedAt)",
	},
	{
		name: "a pass takes the lease although nothing is due",
		rule: "P6", file: "shared/inventory/scan/pass.go", tests: ofScans,
		old: "\t\tcase !due(now, &t):",
		new: "\t\tcase false:",
	},
}
