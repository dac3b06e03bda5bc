package connection_test

import (
	"fmt"
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

// What Rotate would refuse is refused; what it would find out is said.
func TestDryRunOfAGivenSecret(t *testing.T) {
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
		_, err = service(s.w).DryRun(t.Context(), s.id, connection.RotateOptions{Grace: new(1000 * time.Hour)})
		if kindOf(err) != connection.Invalid {
			t.Errorf("a grace period of 1000 hours: %v", err)
		}
	})
}
