package rotation

import (
	"time"

	"rekey/shared/history"
)

// planDeleting ends the record once what lies beside the phase is done. What current is
// needed for goes first, since its own removal takes away the means to do anything. Stale
// versions go with their secret; one that may still be on its way is waited for.
func (r Rules) planDeleting(now time.Time, rec *Record) Step {
	if len(rec.Removals) > 0 {
		return Wait{} // what is beside the phase says until when
	}
	if rec.Stale.LookAt.After(now) {
		return Wait{rec.Stale.LookAt}
	}
	if rec.Revoke && rec.Current != nil && rec.Current.Origin == OriginIssued {
		return RevokeCurrent{}
	}
	if at := rec.settlesAt(""); (rec.Revoke || rec.Undo) && at.After(now) {
		return Wait{at} // a write that lands later would publish again what was deleted
	}
	return Purge{}
}

// beginDelete turns to deleting. From here on the connection does not exist for the API,
// and its name is free.
func (t *transition) beginDelete() {
	rec, asked := t.rec, t.rec.Request
	t.tell(Event{Kind: history.Deleting, By: asked.By})
	rec.Undo = rec.Undo || rec.Phase == Creating
	rec.Revoke = rec.Revoke || asked.Revoke
	if rec.Run != nil {
		t.giveUpRun("abandoned", "the connection was deleted")
	}
	rec.Phase, rec.DeletingSince, rec.Error, rec.Request = Deleting, asked.At, nil, nil
	t.endGracePeriods()
}

// revokeCurrent gives up the last credential. Nothing is left to do but this. Where
// another connection authenticates, that one can read whether it is gone.
func (t *transition) revokeCurrent() {
	t.retire(*t.rec.Current, t.now, !t.rec.Delegated())
	t.rec.Current = nil
}
