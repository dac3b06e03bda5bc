package graph

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/rotation"
)

var paceStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// No stretch of time of the budget's length sees more writes than the budget has, and
// all but nothing of the budget is wasted, whatever the order of the asking.
func TestPaceFillsTheBudget(t *testing.T) {
	b := Budget{Writes: 30, Per: 15 * time.Second}
	p := &Pace{Application: b, Tenant: Budget{1000, time.Minute}}
	actor := rotation.Application{TenantID: "T", ClientID: "C"}
	var sent []time.Time
	for i := range 200 {
		now := paceStart.Add(time.Duration(i) * 10 * time.Millisecond)
		wait, ok := p.Reserve(now, actor, time.Hour)
		if !ok {
			t.Fatalf("booking %d was turned away", i)
		}
		sent = append(sent, now.Add(wait))
	}
	for i, at := range sent {
		if i > 0 && at.Before(sent[i-1]) {
			t.Fatalf("booking %d is served before the one before it", i)
		}
		if i >= b.Writes && at.Sub(sent[i-b.Writes]) < b.Per {
			t.Fatalf("%d writes within %s", b.Writes+1, at.Sub(sent[i-b.Writes]))
		}
	}
	if took, least := sent[199].Sub(paceStart), 6*b.Per; took < least || took > least+2*time.Second {
		t.Errorf("200 writes took %s, the budget allows %s", took, least)
	}
}

// A tenant's budget is shared by its applications, and an application's is its own.
func TestPaceOfATenant(t *testing.T) {
	p := &Pace{Application: Budget{5, time.Minute}, Tenant: Budget{8, time.Minute}}
	at := func(tenant, client string) time.Duration {
		wait, _ := p.Reserve(paceStart, rotation.Application{TenantID: tenant, ClientID: client}, time.Hour)
		return wait
	}
	for i := range 5 {
		if at("t1", "a") != 0 {
			t.Fatalf("write %d of the first application waits", i)
		}
	}
	if got := at("T1", "A"); got != time.Minute {
		t.Errorf("the sixth of an application waits %s, want a minute", got)
	}
	if got := at("t2", "a"); got != 0 {
		t.Errorf("another tenant's waits %s", got)
	}
	for range 2 {
		at("t1", "b")
	}
	if got := at("t1", "c"); got != time.Minute {
		t.Errorf("the ninth of a tenant waits %s, want a minute", got)
	}
}

// What would wait for too long is turned away, books nothing, and is told to come
// back in its turn.
func TestPaceTurnsAway(t *testing.T) {
	p := &Pace{Application: Budget{10, time.Minute}}
	actor := rotation.Application{TenantID: "t", ClientID: "c"}
	for range 10 {
		p.Reserve(paceStart, actor, 0)
	}
	last := time.Duration(0)
	for i := range 20 {
		wait, ok := p.Reserve(paceStart, actor, 30*time.Second)
		if ok || wait < time.Minute || wait <= last {
			t.Fatalf("request %d: wait %s, booked %v; before it %s", i, wait, ok, last)
		}
		last = wait
	}
	if wait, ok := p.Reserve(paceStart.Add(time.Minute), actor, 0); !ok || wait != 0 {
		t.Errorf("a minute later: wait %s, booked %v", wait, ok)
	}
}

// After a refusal everything of that application stops for as long as was asked.
func TestPaceAfterARefusal(t *testing.T) {
	p := &Pace{}
	actor := rotation.Application{TenantID: "t", ClientID: "c"}
	p.Refused(paceStart, actor, 40*time.Second)
	p.Refused(paceStart, actor, 0) // says less than what is known
	if wait, ok := p.Reserve(paceStart, actor, time.Hour); !ok || wait != 40*time.Second {
		t.Errorf("waits %s, want 40s", wait)
	}
	if wait, _ := p.Reserve(paceStart, rotation.Application{TenantID: "t", ClientID: "d"}, time.Hour); wait != 0 {
		t.Errorf("another application waits %s", wait)
	}
}

// Windows that are not used any more are not kept for ever.
func TestPaceForgets(t *testing.T) {
	p := &Pace{}
	for i := range maxWindows + 10 {
		p.Reserve(paceStart.Add(time.Duration(i)*time.Minute), rotation.Application{TenantID: "t", ClientID: fmt.Sprint(i)}, 0)
	}
	if len(p.windows) > maxWindows/2 {
		t.Errorf("%d windows are kept", len(p.windows))
	}
}

func BenchmarkPace(b *testing.B) {
	p := &Pace{}
	now := paceStart
	for b.Loop() {
		now = now.Add(10 * time.Millisecond)
		p.Reserve(now, rotation.Application{TenantID: "t", ClientID: "c"}, time.Hour)
	}
}

// Bookings are served in the order in which they are made, also where the one who comes
// later has looked at the clock before.
func TestPaceKeepsTheOrder(t *testing.T) {
	p := &Pace{Application: Budget{Writes: 10, Per: time.Minute}}
	actor := rotation.Application{TenantID: "t", ClientID: "c"}
	for i, after := range []time.Duration{0, 2 * time.Second, time.Second} {
		now := paceStart.Add(after)
		wait, ok := p.Reserve(now, actor, time.Hour)
		if want := paceStart.Add(time.Duration(min(i, 1)) * 2 * time.Second); !ok || !now.Add(wait).Equal(want) {
			t.Errorf("booking %d is served at %s, want %s", i, now.Add(wait), want)
		}
	}
	wait, ok := p.Room(paceStart.Add(time.Second), actor, time.Hour)
	if !ok || wait != time.Second {
		t.Errorf("the next one has room after %s, want 1s", wait)
	}
}
