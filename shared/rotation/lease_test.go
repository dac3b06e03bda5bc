package rotation_test

import (
	"testing"

	"rekey/shared/rotation"
)

// The timer looks at the end of a lease whether the pass that took it has died.
func TestTakingTheLeaseMovesTheWakeUp(t *testing.T) {
	rec := idle()
	rec.WakeAt = now.Add(-minute)
	if next := rotation.DefaultRules().TakeLease(rec, mine); next.Lease != mine || !next.WakeAt.Equal(mine.Until) {
		t.Errorf("lease %+v, woken at %s", next.Lease, next.WakeAt)
	}
}

// Until the caller was told that a connection exists, a refusal undoes its creation; from
// then on it does not. A connection that is idle exists, whatever its caller was told.
func TestWhoWasToldOfAConnectionIsOnItsRecord(t *testing.T) {
	unknown := func(r *rotation.Record) { r.Acknowledged = false }
	deleting := func(r *rotation.Record) { r.Phase = rotation.Deleting }
	for name, row := range map[string]struct {
		rec         rotation.Record
		acknowledge bool
		want        bool
	}{
		"the caller is told":                     {with(issuing(), unknown), true, true},
		"the caller is not told":                 {with(issuing(), unknown), false, false},
		"what was told stays told":               {issuing(), false, true},
		"a creation that is undone is not told":  {with(issuing(), unknown, deleting), true, false},
		"an idle connection exists":              {with(idle(), unknown), false, true},
		"a connection that waits for its secret": {creating(), false, false},
	} {
		next, _ := rotation.DefaultRules().ReleaseLease(now, row.rec, row.acknowledge)
		if next.Acknowledged != row.want {
			t.Errorf("%s: acknowledged %t", name, next.Acknowledged)
		}
	}
}

// A pass gives its lease back with the moment at which the next one is needed, which is
// never in the past.
func TestReleasingTheLeaseSaysWhenToWake(t *testing.T) {
	for name, row := range map[string]struct {
		rec  rotation.Record
		want string
	}{
		"the slot":        {idle(), "240h0m0s"},
		"what is overdue": {with(idle(), slot(now.Add(-hour))), "0s"},
		"what is to be removed": {with(idle(), retires(rotation.Removal{Kind: rotation.RemoveReplaced, KeyID: "old", After: now.Add(hour)})),
			"1h0m0s"},
	} {
		rec := row.rec
		rec.Lease = mine
		next, _ := rotation.DefaultRules().ReleaseLease(now, rec, false)
		if next.Lease != none || next.WakeAt.Sub(now).String() != row.want {
			t.Errorf("%s: lease %+v, woken after %s", name, next.Lease, next.WakeAt.Sub(now))
		}
	}
}
