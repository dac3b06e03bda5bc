package main

// table is every defect, by subject. Each subject is in a file of its own.
var table = []subject{
	{"issuing", issuing},
	{"lease", lease},
	{"proof", proof},
	{"giving up", givingUp},
	{"publishing", publishing},
	{"late writes", late},
	{"given again", given},
	{"removing", removing},
	{"retiring", retiring},
	{"orphans", orphans},
	{"lifetime", lifetime},
	{"requests", requests},
	{"journal", journal},
	{"ownership", ownership},
	{"trouble", trouble},
	{"secrecy", secrecy},
	{"callers", callers},
	{"audit", audited},
	{"inventory", inventory},
	{"inventory rows", inventoryRows},
	{"scans", scans},
	{"inventory lists", inventoryLists},
	{"catalog", served},
	{"overview", overview},
}
