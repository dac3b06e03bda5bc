package main

// issuing: one credential at most for each marker, whatever gets lost.
var issuing = []mutation{
	{
		name: "any lease may issue for a marker that is written down",
		rule: "R1", file: "shared/rotation/issuing.go",
		old: "run.Marker, run.IssuedUnder, run.FirstIssuedAt = t.out.Marker, t.out.LeaseToken, t.now",
		new: "run.Marker, run.IssuedUnder, run.FirstIssuedAt = t.out.Marker, \"\", t.now",
	},
	{
		name: "a pass issues for the marker of another pass",
		rule: "R1", file: "shared/rotation/issuing.go",
		old: `case lease.Token != "" && run.IssuedUnder == lease.Token:`,
		new: `case lease.Token != "" && run.IssuedUnder != "":`,
	},
	{
		name: "an unknown outcome counts as a refusal",
		rule: "R1", file: "shared/rotation/issuing.go",
		old: "case serviceerror.UnknownOutcome(err):",
		new: "case false && serviceerror.UnknownOutcome(err):",
	},
	{
		name: "addPassword is sent again after an unknown outcome",
		rule: "R1", file: "shared/rotation/issuing.go",
		old: `run.IssuedUnder, run.FirstIssuedAt = "", t.out.SentAt`,
		new: `run.FirstIssuedAt = t.out.SentAt`,
	},
	{
		name: "what is planned is written down although the record has changed",
		rule: "R1", file: "shared/rotator/step.go",
		old: "case intent(step) && rec.Version != planned:",
		new: "case false && intent(step) && rec.Version != planned:",
	},
	{
		name: "every attempt has the same marker",
		rule: "R1", file: "shared/rotator/rotator.go",
		old: "return rotation.MarkerPrefix(r.Deployment, rec.ID) + r.NewID()[:10]",
		new: "return rotation.MarkerPrefix(r.Deployment, rec.ID) + \"attempt\"",
	},
	{
		name: "what bears the marker of an attempt that was given up is not looked for",
		rule: "R3", file: "shared/rotation/issuing.go",
		old: "\tif run.Marker != \"\" {\n\t\tt.addRemoval",
		new: "\tif run.Marker != \"\" && run.KeyID != \"\" {\n\t\tt.addRemoval",
	},
	{
		name: "an attempt is given up while its value may be on its way",
		rule: "R3", file: "shared/rotation/issuing.go",
		old: "if closed := run.FirstIssuedAt.Add(t.issueWindow()); t.now.Before(closed) {",
		new: "if closed := run.FirstIssuedAt; t.now.Before(closed) {",
	},
	{
		name: "the window of an issue is the call alone",
		rule: "R3", file: "shared/rotation/rules.go",
		old: "return r.IssueTimeout + r.SettleSpacing }",
		new: "return r.IssueTimeout }",
	},
	{
		name: "a staged version of another attempt is adopted",
		rule: "R3", file: "shared/rotator/issuing.go",
		old: "v.Tags[vaulttag.Marker] == marker && ",
		new: "marker != \"\" && ",
	},
	{
		name: "a staged version that is disabled is adopted",
		rule: "R3", file: "shared/rotator/issuing.go",
		old: "return v.Enabled && rec.Owns(p.Deployment, v.Tags) && v.Tags[vaulttag.Marker] == marker",
		new: "return rec.Owns(p.Deployment, v.Tags) && v.Tags[vaulttag.Marker] == marker",
	},
	{
		name: "a probe is adopted for a credential",
		rule: "R3", file: "shared/rotator/issuing.go",
		old: ` && v.Tags[vaulttag.Marker] == marker && v.Tags[vaulttag.KeyID] != ""`,
		new: ` && v.Tags[vaulttag.Marker] == marker`,
	},
	{
		name: "the value is stored without its marker",
		rule: "R3", file: "shared/rotator/issuing.go",
		old: "KeyID: issued.KeyID, Marker: rec.Run.Marker, Origin",
		new: "KeyID: issued.KeyID, Origin",
	},
	{
		name: "the vault is not tried before a credential is issued",
		rule: "R1", file: "shared/rotator/issuing.go",
		old: "if _, err = p.put(ctx, p.probe(rec), false); err != nil {",
		new: "if err != nil {",
	},
	{
		name: "storing the new value is tried once only",
		rule: "P3", file: "shared/rotator/issuing.go",
		old: "if try == 4 || !p.Rules.Fits",
		new: "if try == 1 || !p.Rules.Fits",
	},
	{
		name: "storing the new value ends with the request",
		rule: "P3", file: "shared/rotator/issuing.go",
		old: "out.StagedVersion, out.Err = p.put(ctx, version, true)",
		new: "out.StagedVersion, out.Err = p.put(ctx, version, false)",
	},
	{
		name: "a credential whose value could not be stored is forgotten",
		rule: "R3", file: "shared/rotation/issuing.go",
		old: "\t\t\tMessage: \"the new value could not be stored in Key Vault\",\n\t\t})\n\t\tt.giveUpAttempt()",
		new: "\t\t\tMessage: \"the new value could not be stored in Key Vault\",\n\t\t})\n\t\tt.unissued()",
	},
}
