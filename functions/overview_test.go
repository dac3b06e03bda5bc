package functions_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/rotation"
)

// A reader sees what is rotated next, of connections and of targets, in the order of their slots
// although old client secrets are removed before that; and how many rotations there were.
func TestOverview(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	later := w.create(w.sample(), "name", "later", "rotation.rotationInterval", 40)
	sooner := w.create(w.sample(), "name", "sooner", "rotation.rotationInterval", 20)
	owned := w.owned(operator)
	one := w.target(w.call(auth.Rotate, http.MethodPost, secrets+"/"+via.ID+"/targets", object{"clientId": owned.ClientID,
		"isAutoRotationEnabled": true, "rotation": object{"rotationInterval": 30, "rotateAtUtc": object{"hours": 3, "minutes": 0}}}))
	w.settle()
	type next struct {
		At                                  time.Time
		ConnectionID, Name, VaultSecretName string
		TargetID                            *string
		Application                         struct{ TenantID, ClientID string }
		ExpiresAt                           *time.Time
	}
	upcoming := func(query string) []next {
		return decode[struct {
			Upcoming      []next
			CompleteUntil *time.Time
		}](t, w.call(auth.Read, http.MethodGet, secrets+"/upcoming"+query, nil)).Upcoming
	}
	got := upcoming("")
	if len(got) != 3 || got[0].Name != "sooner" || got[0].ConnectionID != sooner.ID || got[0].TargetID != nil ||
		got[1].ConnectionID != via.ID || got[1].TargetID == nil || *got[1].TargetID != one.ID || got[1].Application.ClientID != owned.ClientID ||
		got[2].Name != "later" || got[2].VaultSecretName != later.VaultSecretName {
		t.Fatalf("%+v", got)
	}
	for i, n := range got {
		if n.ExpiresAt == nil || !n.ExpiresAt.After(n.At) || i > 0 && n.At.Before(got[i-1].At) {
			t.Errorf("%+v", n)
		}
	}
	if few := upcoming("?limit=1"); fmt.Sprint(few) != fmt.Sprint(got[:1]) {
		t.Errorf("one of them: %+v", few)
	}
	weeks := decode[struct {
		Weeks []struct {
			Start             time.Time
			Succeeded, Failed int
		}
	}](t, w.call(auth.Read, http.MethodGet, secrets+"/activity?weeks=2", nil)).Weeks
	// The clock may have gone past a Monday meanwhile.
	if len(weeks) != 2 || !weeks[1].Start.Equal(rotation.WeekOf(w.clock.Now())) || weeks[0].Succeeded+weeks[1].Succeeded != 3 ||
		weeks[0].Failed+weeks[1].Failed != 0 {
		t.Errorf("%+v", weeks)
	}
	// No tenant was scanned. What Rekey has published is known all the same.
	type left map[string]int
	ahead := decode[struct {
		Due, ManagedEnds, Ends left
		DueByWeek              []int
		Complete               bool
	}](t, w.call(auth.Read, http.MethodGet, secrets+"/ahead", nil))
	if due := ahead.Due; !ahead.Complete || due["7-days"] != 0 || due["30-days"]+due["90-days"] != 3 || ahead.DueByWeek[0] != 0 ||
		ahead.ManagedEnds["90-days"] != 3 || fmt.Sprint(ahead.Ends) != fmt.Sprint(ahead.ManagedEnds) {
		t.Errorf("ahead: %+v", ahead)
	}
}
