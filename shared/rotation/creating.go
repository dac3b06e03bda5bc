package rotation

import "rekey/shared/serviceerror"

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
	what := "given client secret"
	if rec.Auth != nil {
		what = "given credential"
	}
	if t.out.Found == nil {
		rec.Phase, rec.Undo, rec.Request = Deleting, true, nil
		rec.Error = &Failure{
			Class: serviceerror.Transient, Message: "The " + what + " did not reach Key Vault; the creation is being undone.", Count: 1,
			At: t.now, RetryAt: later(t.now.Add(t.CallTimeout+t.SettleSpacing), rec.settlesAt("")),
		}
		t.tell(Event{Kind: EventUndone, Message: "the " + what + " did not reach Key Vault"})
		return
	}
	event := Event{Kind: EventCredentialGiven}
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
