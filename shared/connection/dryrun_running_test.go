package connection_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
)

// foretold is when a plan publishes.
func foretold(t *testing.T, plan connection.Plan, vaultName string) time.Time {
	t.Helper()
	i := slices.IndexFunc(plan.Steps, func(p connection.PlanStep) bool {
		return slices.ContainsFunc(p.Calls, func(call string) bool { return strings.HasSuffix(call, "/secrets/"+vaultName) })
	})
	if i < 0 {
		t.Fatalf("nothing is published by %+v", plan)
	}
	return plan.Steps[i].At
}

// emergencyFor asks for an emergency and works on it for that long.
func (s *subject) emergencyFor(t *testing.T, d time.Duration) {
	t.Helper()
	one := service(s.w)
	one.Budget = d
	if _, err := one.Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"}); err != nil {
		t.Fatalf("asking for an emergency: %v", err)
	}
}

// The minimum age is that of the run under way, whatever the dry run itself
// would ask for.
func TestADryRunOfARunningEmergencySaysWhenItPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		name, before := s.recordOf(t, s.id).VaultName, s.publishedOf(t, s.id)
		s.emergencyFor(t, 16*time.Second)
		if s.publishedOf(t, s.id) != before {
			t.Fatal("the emergency is over already")
		}
		plan, err := service(s.w).DryRun(t.Context(), s.id, connection.RotateOptions{By: "tester"})
		if err != nil || !plan.Running {
			t.Fatalf("running: %v, %v", plan.Running, err)
		}
		asked, says := time.Now(), foretold(t, plan, name)
		s.sweep(t, 10*time.Minute)
		v, _ := s.w.Published(name)
		if s.publishedOf(t, s.id) == before {
			t.Fatal("the emergency was not served")
		}
		if late := v.CreatedAt.Sub(says).Abs(); late > time.Minute {
			after := func(at time.Time) time.Duration { return at.Sub(asked).Round(time.Second) }
			t.Errorf("foretold for %s from then on, published after %s", after(says), after(v.CreatedAt))
		}
		s.check(t)
	})
}

// What waits only to be confirmed as gone is not listed as to be removed.
func TestADryRunListsNoRemovalThatHasHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		old := s.publishedOf(t, s.id)
		s.emergencyFor(t, 25*time.Second)
		s.sweep(t, 3*time.Minute)
		if s.w.IsLive(old) {
			t.Fatal("the old client secret is not removed yet")
		}
		plan, err := service(s.w).DryRun(t.Context(), s.id, connection.RotateOptions{By: "tester"})
		if err != nil {
			t.Fatal(err)
		}
		removals := 0
		for _, step := range plan.Steps {
			if step.KeyID == old && slices.ContainsFunc(step.Calls, func(call string) bool { return strings.HasSuffix(call, "/removePassword") }) {
				removals++
			}
		}
		if removals > 0 {
			t.Errorf("%s is listed as to be removed, and is removed already", old)
		}
		s.check(t)
	})
}
