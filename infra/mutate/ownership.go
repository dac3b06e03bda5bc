package main

// ownership: what Rekey may touch.
var ownership = []mutation{
	{
		name: "a vault secret is deleted without a look whether it is ours",
		rule: "P2", file: "shared/rotator/deleting.go",
		old: "func(v rotation.VaultSecret) bool { return rec.Owns(p.Deployment, v.Tags) })",
		new: "func(v rotation.VaultSecret) bool { return true })",
	},
	{
		name: "the deployment tag is ignored",
		rule: "P2", file: "shared/rotation/tags.go",
		old: "return tags[vaulttag.Deployment] == deployment && tags[vaulttag.Connection] == r.ID",
		new: "return tags[vaulttag.Connection] == r.ID",
	},
	{
		name: "the connection tag is ignored",
		rule: "P2", file: "shared/rotation/tags.go",
		old: "return tags[vaulttag.Deployment] == deployment && tags[vaulttag.Connection] == r.ID",
		new: "return tags[vaulttag.Deployment] == deployment",
	},
	{
		name: "a deletion without revoke takes the published secret",
		rule: "P2", file: "shared/rotator/deleting.go",
		old: "case rec.Undo, rec.Revoke:",
		new: "case true:",
	},
	{
		name: "undoing a creation leaves what it has published",
		rule: "P1", file: "shared/rotator/deleting.go",
		old: "case rec.Undo, rec.Revoke:",
		new: "case rec.Revoke:",
	},
	{
		name: "undoing a creation deletes what was there before",
		rule: "P1", file: "shared/rotator/deleting.go",
		old: "\tcase rec.Undo && rec.Takeover != \"\":\n\t\treturn p.restore(ctx, rec)\n",
		new: "",
	},
	{
		name: "the staged values stay after a deletion",
		rule: "P4", file: "shared/rotator/deleting.go",
		old: "for _, name := range []string{rec.StagedName(), rec.AuthName()} {",
		new: "for _, name := range []string{rec.AuthName()} {",
	},
	{
		name: "reservations stay after a deletion",
		rule: "R11", file: "shared/rotator/deleting.go",
		old: "for _, res := range rec.Reservations() {",
		new: "for _, res := range rec.Reservations()[:0] {",
	},
	{
		name: "a vault secret of another deployment is taken over",
		rule: "P2", file: "shared/connection/verify.go",
		old: "if tags[vaulttag.Deployment] != s.Rotator.Deployment || !before.Same(rec.Target) {",
		new: "if !before.Same(rec.Target) {",
	},
	{
		name: "a vault secret of another application is taken over",
		rule: "P2", file: "shared/connection/verify.go",
		old: "if tags[vaulttag.Deployment] != s.Rotator.Deployment || !before.Same(rec.Target) {",
		new: "if tags[vaulttag.Deployment] != s.Rotator.Deployment || before.TenantID == \"\" {",
	},
	{
		name: "a vault secret of a connection that exists is taken over",
		rule: "P2", file: "shared/connection/verify.go",
		old: "looking for the connection that the Key Vault secret was of\", err)\n\t}\n\treturn false, nil",
		new: "looking for the connection that the Key Vault secret was of\", err)\n\t}\n\treturn true, nil",
	},
	{
		name: "a secret is identified although the service principal was not read",
		rule: "R14", file: "shared/rotation/identifying.go",
		old: "case i >= 0 && !slices.ContainsFunc(own[i+1:], equal) && !slices.ContainsFunc(principal, equal) && !unread:",
		new: "case i >= 0 && !slices.ContainsFunc(own[i+1:], equal) && !slices.ContainsFunc(principal, equal):",
	},
	{
		name: "a secret is identified although the service principal has one like it",
		rule: "R14", file: "shared/rotation/identifying.go",
		old: "case i >= 0 && !slices.ContainsFunc(own[i+1:], equal) && !slices.ContainsFunc(principal, equal) && !unread:",
		new: "case i >= 0 && !slices.ContainsFunc(own[i+1:], equal) && !unread:",
	},
	{
		name: "the first of several secrets that fit is identified",
		rule: "R14", file: "shared/rotation/identifying.go",
		old: "case i >= 0 && !slices.ContainsFunc(own[i+1:], equal) && !slices.ContainsFunc(principal, equal) && !unread:",
		new: "case i >= 0 && !slices.ContainsFunc(principal, equal) && !unread:",
	},
	{
		name: "a key id is believed although its secret begins differently",
		rule: "P2", file: "shared/connection/verify.go",
		old: `case w.Hint != "" && w.Hint != secret.Hint():`,
		new: `case false:`,
	},
	{
		name: "a key id is believed although its secret has ended",
		rule: "P2", file: "shared/connection/verify.go",
		old: "case !w.ExpiresAt.After(s.Rotator.Clock()):",
		new: "case false:",
	},
	{
		name: "an application that Rekey depends on is rotated",
		rule: "P2", file: "shared/connection/create.go",
		old:   "if what, ok := s.Refused[strings.ToLower(clientID)]; ok {",
		new:   "if what, ok := s.Refused[strings.ToUpper(clientID)]; ok {",
		tests: []string{"./shared/connection", "./functions"},
	},
	{
		name: "a look at what a connection would be removes claims",
		rule: "R11", file: "shared/connection/reserve.go",
		old:   "claims.Store = unwritten{claims.Store}",
		new:   "_ = unwritten{claims.Store}",
		tests: []string{"./shared/connection"},
	},
	{
		name: "the check before connecting knows no object ids",
		rule: "P2", file: "shared/connection/inspect.go",
		old:   "err = found.Check.find(s.allowed(state.ClientID))",
		new:   "err = nil",
		tests: []string{"./shared/connection"},
	},
}
