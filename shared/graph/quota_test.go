package graph_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/graph"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// actor signs in as the one application that owns all others.
type actor struct {
	w      *rotationtest.World
	app    rotation.Application
	secret secret.Value
}

func (a actor) Token(ctx context.Context, _ string) (rotation.Token, error) {
	return a.w.DirectoryPort().Token(ctx, a.app, a.secret)
}

func (a actor) Renew(context.Context, string) error { return nil }

// due makes n connections that rotate through a, due one after the other in the last
// minutes, in an order that their ids do not show. It returns when, by client id.
func (a actor) due(t *testing.T, n int) map[string]time.Time {
	t.Helper()
	now := time.Now()
	due := make(map[string]time.Time)
	policy := rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Zone: "UTC"}} // no grace: each has two writes
	for i := range n {
		target, secret, keyID := a.w.AddApplication()
		a.w.Own(target.ClientID, a.app.ClientID, true)
		a.w.Name(keyID)
		at := now.Add(-time.Duration((i*7919)%n) * time.Second / 10)
		due[target.ClientID] = at
		rec := rotation.Record{
			Schema: rotation.Schema, ID: fmt.Sprintf("c-%05d", i), VaultName: fmt.Sprintf("rekey-%d", i), Phase: rotation.Idle, Acknowledged: true,
			Via: "parent", CreatedAt: now, Policy: policy, Actor: a.app, Target: target, NextSlot: at, WakeAt: at, Version: 1,
			Current: &rotation.Credential{Target: target, KeyID: keyID, Origin: rotation.OriginIssued, Since: now.Add(-time.Hour),
				ExpiresAt: now.Add(40 * 24 * time.Hour)},
		}
		var err error
		rec.Current.VaultVersion, err = a.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.VaultName, Value: secret, Enabled: true,
			Tags: rotation.Tags(rotationtest.Deployment, &rec, *rec.Current)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.w.StorePort().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	return due
}

// TestQuota lets 2,000 connections of one tenant be due at once, all through one
// application, and the directory enforce a quota: what Graph documents, the same rate
// in a shorter window, and so little that the connections have to wait for several
// passes. They are all rotated and their old credentials removed, the oldest first, at
// nearly what the quota allows, and hardly a write is refused.
func TestQuota(t *testing.T) {
	connections := 2000
	if rotationtest.Raced {
		connections = 400
	}
	for i, tt := range []struct {
		graph.Budget
		share float64 // of what the quota allows, at least
	}{
		{graph.Budget{Writes: 3000, Per: 150 * time.Second}, 0.9},
		{graph.Budget{Writes: 300, Per: 15 * time.Second}, 0.9},
		{graph.Budget{Writes: 600, Per: 150 * time.Second}, 0.75}, // who was turned away is back at the next full minute
	} {
		if !rotationtest.Sample(i) {
			continue
		}
		t.Run(fmt.Sprintf("%d in %s", tt.Writes, tt.Per), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testQuota(t, connections, tt.Budget, tt.share) })
		})
	}
}

func testQuota(t *testing.T, n int, quota graph.Budget, share float64) {
	w := rotationtest.NewWorld(t)
	w.AtEnd, w.Latency = true, 10*time.Millisecond
	w.Directory.Propagation = 5 * time.Second
	w.Directory.Quota, w.Directory.QuotaPer = quota.Writes, quota.Per
	a := actor{w: w}
	a.app, a.secret, _ = w.AddApplication()
	due := a.due(t, n)
	start := time.Now()
	// It outlives its process here, as it does in a warm instance.
	pace := &graph.Pace{Application: graph.Careful(quota)}
	for range 60 {
		r := w.Rotator()
		r.Actors, r.Pacer = a, pace
		if _, err := r.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if due, ok := w.NextDue(); !ok || due.After(time.Now().Add(24*time.Hour)) {
			break
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
	}
	w.AtEnd = false
	for i := range n {
		w.CheckEnd(fmt.Sprintf("c-%05d", i))
	}
	if v := w.Violations(); len(v) > 0 {
		t.Fatalf("broken promises: %v", v)
	}
	judge(t, w.Directory.Writes, start, due, quota, share)
}

func judge(t *testing.T, writes []rotationtest.Write, start time.Time, due map[string]time.Time, quota graph.Budget, share float64) {
	t.Helper()
	n, refused := len(due), 0
	var order []time.Time // of what was due, in the order of its rotation
	var added time.Time   // the last of them
	for _, o := range writes {
		if o.Refused {
			refused++
		} else if o.Add {
			order, added = append(order, due[o.ClientID]), o.At
		}
	}
	if len(order) != n || len(writes)-refused != 2*n {
		t.Errorf("%d rotations and %d writes, want %d and %d", len(order), len(writes)-refused, n, 2*n)
	}
	if 100*refused >= len(writes) {
		t.Errorf("%d of %d writes were refused, want less than 1 %%", refused, len(writes))
	}
	oldestFirst(t, order)
	// What the quota allowed until the last was rotated, and what was made of it.
	took, used := added.Sub(start), 0
	for _, o := range writes {
		if !o.Refused && !o.At.After(added) {
			used++
		}
	}
	allowed := min(quota.Writes*(1+int(took/quota.Per)), 2*n)
	t.Logf("rotated in %s and done after %s: %d writes by then, the quota allows %d; %d refused", took, writes[len(writes)-1].At.Sub(start),
		used, allowed, refused)
	if n > quota.Writes && float64(used) < share*float64(allowed) {
		t.Errorf("%d writes until the last rotation, the quota allows %d", used, allowed)
	}
	if n <= quota.Writes && took > 30*time.Second {
		t.Errorf("the quota allows all at once, but it took %s", took)
	}
}

// oldestFirst fails unless the rotations came in the order in which they were due, up
// to twice the number of workers: as many are side by side before and after a wait.
func oldestFirst(t *testing.T, order []time.Time) {
	t.Helper()
	const workers = 64
	var before time.Time // the latest of those that came more than that before
	for i, at := range order {
		if i >= workers && order[i-workers].After(before) {
			before = order[i-workers]
		}
		if late := before.Sub(at); late > 2*workers*time.Second/10 {
			t.Fatalf("rotation %d was due %s before one that came long before it", i, late)
		}
	}
}
