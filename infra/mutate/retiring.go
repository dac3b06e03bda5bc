package main

// ofRequests are the packages that may notice what a request is refused.
var ofRequests = []string{"./shared/connection"}

// retiring: what a target retires of what its application had before.
var retiring = []mutation{
	{
		name: "what a target retires has no grace period",
		rule: "R6", file: "shared/rotation/publishing.go",
		old: "t.retireNamed(next.Target, t.now.Add(run.Grace))",
		new: "t.retireNamed(next.Target, t.now)",
	},
	{
		name: "the first run of a target has the grace period of the later ones, whatever was said",
		rule: "R6", file: "shared/rotation/issuing.go",
		old: "if rec.Current == nil && rec.Via != \"\" { // all that it replaces is what the target retires",
		new: "if false {",
	},
	{
		name: "what a target retires has the grace period of an original",
		rule: "R6", file: "shared/rotation/record.go",
		old: "\tcase r.Via == \"\":\n\t\treturn r.Policy.OriginalGrace\n",
		new: "\tcase true:\n\t\treturn r.Policy.OriginalGrace\n",
	},
	{
		name: "what a target retires is forgotten",
		rule: "P3", file: "shared/rotation/publishing.go",
		old: "for _, keyID := range named {",
		new: "for _, keyID := range named[:0] {",
	},
	{
		name: "each publication retires it once more",
		rule: "R6", file: "shared/rotation/publishing.go",
		old: "\tt.rec.Retire = nil\n",
		new: "",
	},
	{
		name: "a deletion that was asked for before the publication retires, too",
		rule: "R12", file: "shared/rotation/publishing.go",
		old: "|| asked != nil && asked.Kind == AskDelete {",
		new: "|| false && asked != nil {",
	},
	{
		name: "what a target retires goes before anything is published",
		rule: "P1", file: "shared/rotation/issuing.go",
		old: "\tt.beginAttempt(run)\n\trec.Run, rec.Phase = run, Issuing\n",
		new: "\tt.beginAttempt(run)\n\trec.Run, rec.Phase = run, Issuing\n\tt.retireNamed(run.Target, t.now)\n",
	},
	{
		name: "a change that is not committed takes what a target retires along",
		rule: "R9", file: "shared/rotation/record.go",
		old: "\tc.Retire = slices.Clone(r.Retire)\n",
		new: "",
	},
	{
		name: "a target retires what its application does not have",
		rule: "P2", file: "shared/connection/retire.go", tests: ofRequests,
		old: "if len(missing) == 0 {",
		new: "if true {",
	},
	{
		name: "a target retires more than has room",
		rule: "P6", file: "shared/connection/retire.go", tests: ofRequests,
		old: "if len(list) > rotation.MaxReplaced {",
		new: "if false {",
	},
	{
		name: "a key id in capitals is another one",
		rule: "P2", file: "shared/connection/retire.go", tests: ofRequests,
		old: "list[i] = strings.ToLower(strings.TrimSpace(id))",
		new: "list[i] = strings.TrimSpace(id)",
	},
	{
		name: "what is no key id is quoted",
		rule: "P4", file: "shared/connection/retire.go", tests: ofRequests,
		old: "case !uuidForm.MatchString(list[i]): // which",
		new: "case !uuidForm.MatchString(list[i]) && !slices.Contains(list[:i], list[i]): // which",
	},
	{
		name: "a target retires what its connection signs in with",
		rule: "R11", file: "shared/connection/retire.go", tests: ofRequests,
		old: "case slices.Contains(target.Retire, c.KeyID):",
		new: "case false:",
	},
	{
		name: "a target retires what its connection may sign in with",
		rule: "R11", file: "shared/connection/retire.go", tests: ofRequests,
		old: "case c.KeyID == \"\":",
		new: "case false:",
	},
	{
		name: "a target retires what its connection goes over to",
		rule: "R11", file: "shared/connection/retire.go", tests: ofRequests,
		old: "range append(goingOver(parent), used) {",
		new: "range []*rotation.Credential{used} {",
	},
	{
		name: "a client secret that a connection does not rotate may be retired",
		rule: "R11", file: "shared/connection/retire.go", tests: ofRequests,
		old: "if len(target.Retire) == 0 || parent.Method != ClientSecret {",
		new: "if len(target.Retire) == 0 || parent.Method != ClientSecret || parent.Auth != nil {",
	},
	{
		name: "retiring needs no role",
		rule: "P7", file: "shared/connection/target.go", tests: ofRequests,
		old: "if len(in.Retire) > 0 && !mayRemove(ctx) {",
		new: "if false {",
	},
}
