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
	{"orphans", orphans},
	{"lifetime", lifetime},
	{"requests", requests},
	{"journal", journal},
	{"ownership", ownership},
	{"trouble", trouble},
	{"secrecy", secrecy},
	{"callers", callers},
}
