package auth_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/auth"
)

// visits counts how many of n requests with a flow are let through at one moment.
func visits(l *auth.Limiter, flow string, now time.Time, n int) (count int) {
	for range n {
		if _, ok := l.AllowPage(flow, now); ok {
			count++
		}
	}
	return count
}

// A flood of the pages takes nothing from the API's unknown callers, nor the reverse, and
// nothing from a flow that exists.
func TestPagesAndAPIAreCountedApart(t *testing.T) {
	l := auth.NewLimiter(auth.Limits{Unknown: 5, Pages: 7, Flow: 3})
	l.KnowFlow("real", noon)
	if n := visits(l, "made up", noon, 100) + visits(l, "", noon, 100); n != 7 {
		t.Errorf("%d visitors, want 7", n)
	}
	unknown := 0
	for range 100 {
		if _, ok := l.AllowUnknown(noon); ok {
			unknown++
		}
	}
	if real := visits(l, "real", noon, 100); unknown != 5 || real != 3 {
		t.Errorf("%d unknown callers and %d requests of the flow, want 5 and 3", unknown, real)
	}
	if wait, ok := l.AllowPage("real", noon.Add(time.Second)); ok || wait != 19*time.Second {
		t.Errorf("wait %s, %v; want 19s", wait, ok)
	}
}

// However many flows there are, the memory is bounded; those that have ended make room.
func TestManyFlows(t *testing.T) {
	l := auth.NewLimiter(auth.Limits{Pages: 1, Flow: 2})
	for i := range 10_001 {
		l.KnowFlow(fmt.Sprint(i), noon)
	}
	if first, last := visits(l, "0", noon, 9), visits(l, "10000", noon, 9); first != 2 || last != 1 {
		t.Errorf("%d and %d, want 2 of the first and 1 of the one too many", first, last)
	}
	later := noon.Add(70 * time.Minute)
	l.KnowFlow("late", later)
	if n := visits(l, "late", later, 9); n != 2 {
		t.Errorf("%d of a later one, want 2", n)
	}
}

func TestRefusalsAreToldOnceAMinute(t *testing.T) {
	var r auth.Refusals
	var told []int
	for i := range 1200 { // ten a second, for two minutes
		if n := r.Add(noon.Add(time.Duration(i) * 100 * time.Millisecond)); n > 0 {
			told = append(told, n)
		}
	}
	if fmt.Sprint(told) != "[1 600]" {
		t.Errorf("told %v, want the first at once and 600 a minute later", told)
	}
}
