package main

// journal: commits whose answer is lost, or that meet another.
var journal = []mutation{
	{
		name: "a commit that has happened is made again",
		rule: "R9", file: "shared/rotator/journal.go",
		old: "if j.Marked(&fresh, id) {",
		new: "if false && j.Marked(&fresh, id) {",
	},
	{
		name: "a commit of unknown outcome counts as one that failed",
		rule: "R9", file: "shared/rotator/journal.go",
		old: "lost = lost || serviceerror.UnknownOutcome(err) && !conflict",
		new: "lost = lost || false && !conflict",
	},
	{
		name: "after a conflict the change is not made on what is stored",
		rule: "R9", file: "shared/rotator/journal.go",
		old: "\t\tnext := rec.Clone()\n\t\tevents, err := change(&next)",
		new: "\t\tnext := rec.Clone()\n\t\tif try > 1 {\n\t\t\treturn rec, nil\n\t\t}\n\t\tevents, err := change(&next)",
	},
	{
		name: "a conflict is final",
		rule: "R9", file: "shared/rotator/journal.go",
		old: "if errors.Is(err, serviceerror.ErrConflict) || serviceerror.UnknownOutcome(err) {\n\t\treturn false",
		new: "if serviceerror.UnknownOutcome(err) && !errors.Is(err, serviceerror.ErrConflict) {\n\t\treturn false",
	},
	{
		name: "an unknown outcome is final",
		rule: "R9", file: "shared/rotator/journal.go",
		old: "if errors.Is(err, serviceerror.ErrConflict) || serviceerror.UnknownOutcome(err) {\n\t\treturn false",
		new: "if errors.Is(err, serviceerror.ErrConflict) {\n\t\treturn false",
	},
	{
		name: "the commit of a pass hides that of the API",
		rule: "R9", file: "shared/rotator/journal.go",
		old: "j.Marked = func(rec *rotation.Record, id string) bool { return slices.Contains(rec.Changes, id) }",
		new: "j.Marked = func(rec *rotation.Record, id string) bool { return rec.CommitID == id }",
	},
	{
		name: "the API keeps the id of its last commit only",
		rule: "R9", file: "shared/rotator/journal.go",
		old: "rec.Changes = rec.Changes[max(0, len(rec.Changes)-maxChanges):]",
		new: "rec.Changes = rec.Changes[max(0, len(rec.Changes)-1):]",
	},
	{
		name: "the ids of the API's commits are not bounded",
		rule: "P6", file: "shared/rotator/journal.go",
		old: "rec.Changes = rec.Changes[max(0, len(rec.Changes)-maxChanges):]",
		new: "rec.Changes = rec.Changes[:len(rec.Changes)]",
	},
	{
		name: "a write says that its outcome is known when there is no answer",
		rule: "R9", file: "shared/serviceerror/serviceerror.go",
		old:   "return !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNewerSchema)",
		new:   "return false",
		tests: append([]string{"./shared/serviceerror"}, core...),
	},
	{
		name: "a copy of a record shares its removals",
		rule: "R9", file: "shared/rotation/record.go",
		old: "c.Removals = slices.Clone(r.Removals)",
		new: "c.Removals = r.Removals",
	},
	{
		name: "a copy of a record shares its run",
		rule: "R9", file: "shared/rotation/record.go",
		old: "c.Run = clone(r.Run)",
		new: "c.Run = r.Run",
	},
}
