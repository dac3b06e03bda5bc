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
}
