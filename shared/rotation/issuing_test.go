package rotation_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// A run by schedule uses up the slot that it serves, and no other.
func TestTheSlotAfterARun(t *testing.T) {
	out := rotation.Outcome{Proven: true, PublishedVersion: "v2", Next: &rotation.Credential{Target: billing, KeyID: "new"}}
	for name, slot := range map[string]time.Time{"it was due": now.Add(-minute), "it is to come": now.Add(5 * day)} {
		rec := with(publishing(), func(r *rotation.Record) { r.NextSlot, r.Run.Slot = slot, slot })
		next, _ := rotation.DefaultRules().Apply(now, rec, rotation.Publish{}, out)
		if came := slot.After(now); !next.NextSlot.After(now) || came != next.NextSlot.Equal(slot) {
			t.Errorf("%s: the next one is %s", name, next.NextSlot)
		}
	}
}

// Rule R10: a lifetime that the policy refuses is halved until it is accepted, and what was
// accepted is asked for the next time.
func TestALifetimeThatIsRefused(t *testing.T) {
	rules, rec := rotation.DefaultRules(), issuing()
	refused := rotation.Outcome{Err: refusedWith(serviceerror.PolicyLifetime), SentAt: now}
	asked := rec.Lifetime()
	next, _ := rules.Apply(now, rec, rotation.IssueCredential{}, refused)
	if next.Phase != rotation.Issuing || next.Lifetime() != asked/2 || next.Run.Marker != "" {
		t.Fatalf("after %s was refused: %s, %s, marker %q", asked, next.Phase, next.Lifetime(), next.Run.Marker)
	}
	next.Run.Marker, next.Run.IssuedUnder = "m2", "mine"
	issued := rotation.Outcome{
		SentAt: now, IssuedAt: now, Application: &rotation.ApplicationState{}, Issued: &rotation.Issued{KeyID: "new"}, StagedVersion: "s1",
	}
	next, _ = rules.Apply(now, next, rotation.IssueCredential{}, issued)
	if next.LongestAccepted != asked/2 {
		t.Errorf("accepted: %s, want %s", next.LongestAccepted, asked/2)
	}
}

// An intent that issued nothing is taken back and counts as no attempt: however often that
// happens, the credential that is issued then has its three attempts (rule R5).
func TestWhatIssuedNothingIsNoAttempt(t *testing.T) {
	for name, out := range map[string]rotation.Outcome{
		"the policy allows less":       {Err: refusedWith(serviceerror.PolicyLifetime), SentAt: now},
		"it was not sent":              {Err: refusedWith(serviceerror.Transient), NotSent: true},
		"the service refused for once": {Err: refusedWith(serviceerror.Throttled), SentAt: now},
	} {
		t.Run(name, func(t *testing.T) {
			rec := issuing()
			rec.Run.IssuedUnder = mine.Token
			for range 5 {
				rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.IssueCredential{}, out)
				if rec.Run == nil {
					t.Fatal("the run has ended")
				}
				if rec.Run.Attempt != 0 || rec.Run.Marker != "" {
					t.Fatalf("attempt %d, marker %q", rec.Run.Attempt, rec.Run.Marker)
				}
				rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.BeginAttempt{}, rotation.Outcome{Marker: "next", LeaseToken: mine.Token})
			}
			if rec.Run.Attempt != 1 {
				t.Errorf("attempt %d, want the first", rec.Run.Attempt)
			}
		})
	}
}

// The value of an attempt that is given up was staged, where an operator can read it. Given
// by a caller, it is refused while its removal waits and afterwards (rule R13).
func TestTheValueOfAnAttemptThatWasGivenUpIsRecognised(t *testing.T) {
	rules, rec := rotation.DefaultRules(), issuing()
	rec, _ = rules.Apply(now, rec, rotation.IssueCredential{}, rotation.Outcome{
		SentAt: now, IssuedAt: now, Application: &rotation.ApplicationState{}, Issued: &rotation.Issued{KeyID: "new"},
		Digest: "d", StagedVersion: "s1",
	})
	rec.Request = &rotation.Request{Kind: rotation.AskAbandon, ID: "q", At: now}
	rec, _ = rules.Apply(now, rec, rotation.EndRun{}, rotation.Outcome{})
	if again, _ := rec.Recognise("d"); again != rotation.BeingRemoved {
		t.Fatalf("while it waits it is recognised as %v: %+v", again, rec.Removals)
	}
	rec, _ = rules.Apply(now, rec, rotation.Remove{ID: rec.Removals[0].ID()}, rotation.Outcome{})
	rec.Removals = nil
	if again, _ := rec.Recognise("d"); again != rotation.WasRemoved {
		t.Errorf("afterwards it is recognised as %v", again)
	}
}

// The last key ids that were removed are remembered, each once, also those whose value Rekey never knew: as many as an
// emergency may remove at once.
func TestRemovedKeysAreRemembered(t *testing.T) {
	rules, rec := rotation.DefaultRules(), idle()
	remove := func(keyID string) {
		rec = with(rec, retires(rotation.Removal{Kind: rotation.RemoveReplaced, Target: billing, KeyID: keyID}))
		rec, _ = rules.Apply(now, rec, rotation.Remove{ID: keyID}, rotation.Outcome{})
		rec.Removals = nil
	}
	for i := range 52 {
		remove(fmt.Sprint("key-", i))
	}
	remove("key-10")
	if k := rec.RemovedKeys; len(k) != 48 || k[0].KeyID != "key-4" || k[47].KeyID != "key-10" || !k[47].At.Equal(now) {
		t.Errorf("remembered: %+v", rec.RemovedKeys)
	}
}
