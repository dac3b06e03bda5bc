package rotation

import (
	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// adoptGiven: what was given is in the vault, so that the connection has a current
// credential, or something to authenticate with. It is not: the process that held it is
// dead and so is its only other copy, so that creation is undone. Undoing waits until a
// write that was under way then can no longer land.
func (t *transition) adoptGiven() {
	rec := t.rec
	if t.out.Err != nil {
		t.fail(t.out.Err)
		return
	}
	if t.out.Unclaimed {
		t.undoCreation("another connection has claimed the application meanwhile")
		return
	}
	what := "given client secret"
	if rec.Auth != nil {
		what = "given credential"
	}
	if t.out.Found == nil {
		t.undoCreation("the " + what + " did not reach Key Vault")
		return
	}
	event := Event{Kind: history.CredentialGiven}
	rec.Phase, rec.Error = Idle, nil
	if t.out.Settled {
		rec.Unsettled = Unsettled{}
	}
	if rec.Auth != nil {
		rec.Auth.VaultVersion, rec.Auth.SavedAt = t.out.Found.Version, t.now
		rec.Replace(t.now) // it may have been written twice
	} else {
		rec.Current.VaultVersion, rec.Current.Since = t.out.Found.Version, t.now
	}
	if rec.Current != nil {
		event.KeyID = rec.Current.KeyID
	}
	t.tell(event)
}

// undoCreation takes back a connection of which its creator has promised nothing yet.
func (t *transition) undoCreation(why string) {
	rec := t.rec
	rec.Phase, rec.Undo, rec.Request = Deleting, true, nil
	rec.Error = &Failure{
		Class: serviceerror.Transient, Message: "The creation is being undone: " + why + ".", Count: 1,
		At: t.now, RetryAt: later(t.now.Add(t.CallTimeout+t.SettleSpacing), rec.settlesAt("")),
	}
	t.tell(Event{Kind: history.Undone, Message: why})
}
