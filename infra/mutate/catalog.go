package main

// ofCatalog are the packages that may notice what is wrong in how an inventory is served.
var ofCatalog = []string{"./shared/inventory/catalog", "./functions/connections"}

// served: a list has everything once, in order, at the cost of its page; what was accepted is
// known by name and ends; a table has no formulas.
var served = []mutation{
	{
		name: "each page is of its own moment",
		rule: "catalog", file: "shared/inventory/catalog/cursor.go", tests: ofCatalog,
		old: "at = time.Unix(c.Now, 0).UTC()",
		new: "at = now",
	},
	{
		name: "a cursor is good for another owner",
		rule: "catalog", file: "shared/inventory/catalog/cursor.go", tests: ofCatalog,
		old: "q.TenantID, q.Finding, q.Owner, q.Text,",
		new: "q.TenantID, q.Finding, \"\", q.Text,",
	},
	{
		name: "a list walks through what ended long ago",
		rule: "catalog", file: "shared/inventory/catalog/end.go", tests: ofCatalog,
		old: "c.EndsAt.IsZero() || c.EndsAt.After(since) ||",
		new: "c.EndsAt.IsZero() || c.EndsAt.After(since) || true ||",
	},
	{
		name: "an application of which all has ended is in no list",
		rule: "catalog", file: "shared/inventory/catalog/end.go", tests: ofCatalog,
		old: " || !at.Before(endOf(last))",
		new: "",
	},
	{
		name: "a walk has no end",
		rule: "catalog", file: "shared/inventory/catalog/walk.go", tests: ofCatalog,
		old: "walked >= maxEnds && ",
		new: "false && ",
	},
	{
		name: "what was accepted counts",
		rule: "catalog", file: "shared/inventory/catalog/query.go", tests: ofCatalog,
		old: "(f.Accepted == nil || q.IncludeAccepted)",
		new: "true",
	},
	{
		name: "an acceptance leaves the one before in force",
		rule: "catalog", file: "shared/inventory/catalog/accept.go", tests: ofCatalog,
		old: "\t\t\tall[i].Until, all[i].EndedBy = now, in.By\n\t\t}",
		new: "\t\t}",
	},
	{
		name: "what does not have a finding is accepted",
		rule: "catalog", file: "shared/inventory/catalog/accept.go", tests: ofCatalog,
		old: "if !slices.ContainsFunc(item.Findings",
		new: "if false && !slices.ContainsFunc(item.Findings",
	},
	{
		name: "a scan that is asked for again begins another one",
		rule: "catalog", file: "shared/inventory/catalog/scans.go", tests: ofCatalog,
		old: "if in.Random != \"\" {",
		new: "if false {",
	},
	{
		name: "who may rotate may accept",
		rule: "catalog", file: "functions/connections/inventory.go", tests: ofCatalog,
		old: "{\"POST\", acceptance, auth.Admin",
		new: "{\"POST\", acceptance, auth.Rotate",
	},
	{
		name: "an application is adopted through another tenant",
		rule: "catalog", file: "functions/connections/inventoryadopt.go", tests: ofCatalog,
		old: "via.Actor.TenantID != key.TenantID",
		new: "false",
	},
	{
		name: "a formula behind a semicolon",
		rule: "catalog", file: "functions/connections/inventorycsv.go", tests: ofCatalog,
		old: "(^|[;\\t\\r\\n])",
		new: "(^)",
	},
}
