package main

// ofCallers are the packages that may notice that a caller is let in.
var ofCallers = []string{"./shared/auth"}

// callers: who is not known is refused.
var callers = []mutation{
	{
		name: "without a configuration everything is let through to the checks",
		rule: "P7", file: "shared/auth/auth.go", tests: ofCallers,
		old: "return a != nil && (len(a.Keys) > 0 || a.Tokens != nil || a.appService())",
		new: "return a != nil",
	},
	{
		name: "an API key signs in by whatever name",
		rule: "P7", file: "shared/auth/key.go", tests: ofCallers,
		old: "case caller.Name != name:",
		new: "case false:",
	},
	{
		name: "sign-ins that are refused are not counted",
		rule: "P7", file: "functions/connections/login.go", tests: []string{"./functions/connections"},
		old: "return auth.Caller{}, h.refuse(err)",
		new: "return auth.Caller{}, err",
	},
	{
		name: "a role that does not exist allows everything",
		rule: "P7", file: "shared/auth/auth.go", tests: ofCallers,
		old: "return r >= need && need >= Read && r <= Admin }",
		new: "return r >= need && need >= Read }",
	},
	{
		name: "what needs no role is allowed to any caller",
		rule: "P7", file: "shared/auth/auth.go", tests: ofCallers,
		old: "return r >= need && need >= Read && r <= Admin }",
		new: "return r >= need && r <= Admin }",
	},
	{
		name: "each role allows what the next one does",
		rule: "P7", file: "shared/auth/auth.go", tests: ofCallers,
		old: "return r >= need && need >= Read && r <= Admin }",
		new: "return r+1 >= need && need >= Read && r <= Admin }",
	},
	{
		name: "the first of two Authorization headers counts",
		rule: "P7", file: "shared/auth/auth.go", tests: ofCallers,
		old: "if len(values) != 1 || len(values[0]) > maxToken {",
		new: "if len(values) == 0 || len(values[0]) > maxToken {",
	},
	{
		name: "a key that is not known has the role of the first",
		rule: "P7", file: "shared/auth/key.go", tests: ofCallers,
		old: "\tfound := -1\n",
		new: "\tfound := 0\n",
	},
	{
		name: "an error of the validator lets the caller in",
		rule: "P7", file: "shared/auth/auth.go", tests: ofCallers,
		old: "\tif err != nil {\n\t\treturn Caller{}, err\n\t}\n\treturn caller, nil",
		new: "\t_ = err\n\treturn caller, nil",
	},
	{
		name: "new credentials need no role while rotation is off",
		rule: "P7", file: "shared/connection/removing.go", tests: []string{"./functions/connections"},
		old: "case e.Credentials != nil && rec.Auth == nil && (on || replaces(rec)):",
		new: "case e.Credentials != nil && rec.Auth == nil && on:",
	},
	{
		name: "a deletion that ends grace periods needs no role",
		rule: "P7", file: "shared/connection/removing.go", tests: []string{"./functions/connections"},
		old: "case len(rec.Removals) > 0 || rec.Run",
		new: "case rec.Run",
	},
}
