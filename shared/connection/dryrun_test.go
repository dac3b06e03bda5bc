package connection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
)

// outline is a plan in short: after how long which kind of step comes, and of what.
func outline(p connection.Plan, now time.Time) string {
	var lines []string
	for _, s := range p.Steps {
		verb, _, _ := strings.Cut(s.What, " ")
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", s.At.Sub(now).Round(time.Second), verb, s.KeyID)))
	}
	return strings.Join(lines, "; ")
}

// A dry run says what the rotation that follows does; nothing is written for it.
func TestDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		if _, err := s.create(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 30*time.Minute)
		rec, _ := s.w.Record(s.id)
		key := rec.Current.KeyID
		plan := func(opts connection.RotateOptions) connection.Plan {
			t.Helper()
			writes := len(s.w.Writes())
			p, err := service(s.w).DryRun(t.Context(), s.id, opts)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(s.w.Writes()) - writes; n != 0 {
				t.Errorf("%d writes", n)
			}
			return p
		}
		for opts, want := range map[connection.RotateOptions]string{
			{}:                             "0s Sign; 0s Store; 5m0s Prove; 5m0s Disable; 48h5m0s Remove key; 48h6m0s Confirm key",
			{Emergency: true}:              "0s Sign; 0s Store; 15s Prove; 15s Disable; 1m15s Remove key; 2m15s Confirm key",
			{Grace: new(2 * time.Hour)}:    "0s Sign; 0s Store; 5m0s Prove; 5m0s Disable; 2h5m0s Remove key; 2h6m0s Confirm key",
			{Grace: new(time.Duration(0))}: "0s Sign; 0s Store; 5m0s Prove; 5m0s Disable; 6m0s Remove key; 7m0s Confirm key",
		} {
			if p, want := plan(opts), strings.ReplaceAll(want, "key", key); p.Running || outline(p, time.Now()) != want {
				t.Errorf("%+v: %t %s, want %s", opts, p.Running, outline(p, time.Now()), want)
			}
		}
		stored, err := s.w.StorePort().Load(t.Context(), s.id)
		if err != nil {
			t.Fatal(err)
		}
		stored.Stale.LookAt = time.Now().Add(20 * time.Minute) // a write of unknown outcome
		stored.Version++
		if _, err := s.w.StorePort().Commit(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
		if got := outline(plan(connection.RotateOptions{}), time.Now()); strings.Count(got, "Disable") != 1 {
			t.Errorf("old versions are disabled more than once: %s", got)
		}
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
		running, _ := s.w.Record(s.id)
		p, left := plan(connection.RotateOptions{}), time.Until(running.Run.IssuedAt.Add(5*time.Minute)).Round(time.Second)
		want := fmt.Sprintf("%s Prove %s; %s Disable; %s Remove %s; %s Confirm %s",
			left, running.Run.KeyID, left, left+48*time.Hour, key, left+48*time.Hour+time.Minute, key)
		if !p.Running || outline(p, time.Now()) != want {
			t.Errorf("during the run: %t %s, want %s", p.Running, outline(p, time.Now()), want)
		}
		s.sweep(t, 10*time.Minute)
		done, _ := s.w.Record(s.id)
		if len(done.Replaced()) != 1 || done.Replaced()[0].KeyID != key {
			t.Fatalf("retiring %+v", done.Replaced())
		}
		p = plan(connection.RotateOptions{Emergency: true})
		if got := outline(p, time.Now()); !strings.HasPrefix(got, "0s Remove "+key+"; 0s Sign; 0s Store; 15s Prove") {
			t.Errorf("an emergency with one in its grace period: %s", got)
		}
	})
}

// A dry run says that the rotation would look for the given client secret, and writes nothing.
func TestADryRunSaysThatAGivenSecretIsLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.Rotate, in.ClientSecretKeyID = false, ""
		rec, err := service(s.w).Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		s.id = rec.ID
		writes := len(s.w.Writes())
		p, err := service(s.w).DryRun(t.Context(), s.id, connection.RotateOptions{})
		if err != nil || !strings.Contains(outline(p, time.Now()), "Find") || !strings.Contains(outline(p, time.Now()), "Remove") {
			t.Errorf("%s, %v", outline(p, time.Now()), err)
		}
		if len(s.w.Writes()) != writes {
			t.Error("it wrote something")
		}
	})
}

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
		name, before := s.recordOf(t, s.id).VaultName, s.published(t).KeyID
		s.emergencyFor(t, 16*time.Second)
		if s.published(t).KeyID != before {
			t.Fatal("the emergency is over already")
		}
		plan, err := service(s.w).DryRun(t.Context(), s.id, connection.RotateOptions{By: "tester"})
		if err != nil || !plan.Running {
			t.Fatalf("running: %v, %v", plan.Running, err)
		}
		asked, says := time.Now(), foretold(t, plan, name)
		s.sweep(t, 10*time.Minute)
		v, _ := s.w.Published(name)
		if s.published(t).KeyID == before {
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
		old := s.published(t).KeyID
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
