package rotation

import "rekey/shared/history"

// beginRebind starts to prove the new credential that the caller gave. It is staged
// already, in a version of its own.
func (t *transition) beginRebind() {
	rec, asked := t.rec, t.rec.Request
	next := asked.Next
	rec.Run = &Run{
		ID: asked.ID, Trigger: OnRebind, By: asked.By, StartedAt: t.now, Attempt: 1, Target: asked.Target, Grace: rec.Policy.Grace,
		KeyID: next.KeyID, StagedVersion: next.VaultVersion, Hint: next.Hint, ExpiresAt: next.ExpiresAt, Origin: next.Origin,
		IssuedAt: asked.At, Deadline: t.now.Add(t.Attempt),
	}
	rec.Phase, rec.Proof = Rebinding, Proof{}
	rec.Given, rec.GivenBefore = asked.Digest, rec.Given
	t.tell(Event{Kind: history.CredentialGiven, RunID: asked.ID, KeyID: next.KeyID, By: asked.By})
	t.clearRequest()
	t.rec.RetryNow(t.now)
}
