package main

// Credentials that are given again (rule R13), and exclusive use (rule R11).
var given = []mutation{
	{
		name: "what was given last counts as new",
		rule: "R13", file: "shared/rotation/given.go",
		old: "case r.Given == digest:",
		new: "case false:",
	},
	{
		name: "what is current counts as new",
		rule: "R13", file: "shared/rotation/given.go",
		old: "case r.Current != nil && r.Current.Digest == digest:",
		new: "case false:",
	},
	{
		name: "what was removed is forgotten",
		rule: "R13", file: "shared/rotation/removing.go",
		old: "\t\tt.remember(m)\n",
		new: "",
	},
	{
		name: "a refused rebind keeps what it was given in mind",
		rule: "R13", file: "shared/rotation/issuing.go",
		old: "\t\tt.restoreGiven()\n",
		new: "",
	},
	{
		name: "a rebind without a claim removes what it leaves",
		rule: "R11", file: "shared/rotation/publishing.go",
		old: "case rebound && old.Origin != OriginGiven && !rec.Claims(Exclusive, old.Target):",
		new: "case false:",
	},
	{
		name: "what is lost holds a deletion up",
		rule: "R7", file: "shared/rotation/removing.go",
		old: "if t.rec.Phase == Deleting && t.Lost(c, t.now) {",
		new: "if false {",
	},
	{
		name: "two secrets of one name are the same",
		rule: "R13", file: "shared/rotation/given.go",
		old: "value.Reveal()} {",
		new: "\"\"} {",
	},
	{
		name: "a client secret that is seconds old is refused at once",
		rule: "R13", file: "shared/connection/fresh.go", tests: []string{"./functions/connections"},
		old: "if !perhapsFresh(err) {",
		new: "if true {",
	},
	{
		name: "a wrong client secret is tried for as long as the request may last",
		rule: "R13", file: "shared/connection/fresh.go", tests: []string{"./functions/connections"},
		old: "patience := min(3*s.Rotator.Rules.Spacing, freshFor)",
		new: "patience := 5 * s.Rotator.Rules.Spacing",
	},
	{
		name: "a caller who hangs up gets a verdict on a client secret that is seconds old",
		rule: "R13", file: "shared/connection/fresh.go", tests: []string{"./functions/connections"},
		old: "\t\treturn errHungUp\n",
		new: "\t\treturn err\n",
	},
	{
		name: "what is removed over and over is remembered each time",
		rule: "R13", file: "shared/rotation/given.go",
		old: "\trec.Removed = slices.DeleteFunc(rec.Removed, func(o removed) bool { return o.Digest == m.Digest })\n",
		new: "",
	},
	{
		name: "the hash does not tell that accepted credentials were given up",
		rule: "R13", file: "shared/rotation/issuing.go", tests: []string{"./functions/connections"},
		old: "t.rec.CredentialChanges++ // the caller's are those from before again",
		new: "",
	},
	{
		name: "what a connection has removed is forgotten with it",
		rule: "R13", file: "shared/rotation/given.go", tests: []string{"./shared/rotationtest"},
		old: "return f, len(r.Removed) > 0",
		new: "return f, false",
	},
}
