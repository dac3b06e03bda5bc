package main

// orphans: what an attempt that was given up may have issued.
var orphans = []mutation{
	{
		name: "that there is no orphan counts at once",
		rule: "R3", file: "shared/rotation/removing.go",
		old: "if counts := m.Since.Add(t.SettleMinAge); t.now.Before(counts) {",
		new: "if counts := m.Since; t.now.Before(counts) {",
	},
	{
		name: "an orphan that was found is not removed",
		rule: "R3", file: "shared/rotation/removing.go",
		old: `if m.KeyID == "" || t.now.After(m.RemovedAt.Add(showsAgain)) {`,
		new: `if m.KeyID != "" && t.now.After(m.RemovedAt.Add(showsAgain)) {`,
	},
	{
		name: "of several with the same marker the first is removed",
		rule: "P2", file: "shared/rotation/removing.go",
		old: `if o.KeyID == "" && len(bearing) == 1 && `,
		new: `if o.KeyID == "" && len(bearing) > 0 && `,
	},
	{
		name: "what bears the marker is removed although the record knows another key id",
		rule: "P2", file: "shared/rotation/removing.go",
		old: `if o.KeyID == "" && len(bearing) == 1 && `,
		new: `if len(bearing) == 1 && `,
	},
	{
		name: "what was left to a person is removed",
		rule: "P2", file: "shared/rotation/removing.go",
		old: "len(bearing) == 1 && !rec.leftToAPerson(o.Target, bearing[0]) {",
		new: "len(bearing) == 1 {",
	},
	{
		name: "an orphan that was never published waits for a published one",
		rule: "R6", file: "shared/rotator/removal.go",
		old: "if !m.Published {",
		new: "if false && !m.Published {",
	},
	{
		name: "an orphan that is published is removed",
		rule: "R6", file: "shared/rotator/removal.go",
		old: "return rec.Owns(p.Deployment, latest.Tags) && latest.Tags[vaulttag.KeyID] != m.KeyID, nil",
		new: "return rec.Owns(p.Deployment, latest.Tags), nil",
	},
	{
		name: "an orphan is removed although something foreign is published",
		rule: "R6", file: "shared/rotator/removal.go",
		old: "return rec.Owns(p.Deployment, latest.Tags) && latest.Tags[vaulttag.KeyID] != m.KeyID, nil",
		new: "return latest.Tags[vaulttag.KeyID] != m.KeyID, nil",
	},
	{
		name: "an orphan of a connection without a current credential stays published",
		rule: "R6", file: "shared/rotator/removal.go",
		old: "out.Err = p.unpublish(ctx, rec, m.KeyID)",
		new: "_ = p.unpublish",
	},
	{
		name: "what is published by another is switched off with an orphan",
		rule: "P2", file: "shared/rotator/removal.go",
		old: "case !rec.Owns(p.Deployment, latest.Tags) || latest.Tags[vaulttag.KeyID] != keyID:",
		new: "case latest.Tags[vaulttag.KeyID] != keyID:",
	},
	{
		name: "whatever is published is switched off with an orphan",
		rule: "P1", file: "shared/rotator/removal.go",
		old: "case !rec.Owns(p.Deployment, latest.Tags) || latest.Tags[vaulttag.KeyID] != keyID:",
		new: "case !rec.Owns(p.Deployment, latest.Tags):",
	},
}
