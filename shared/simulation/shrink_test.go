package simulation

import (
	"strings"
	"testing"
	"time"
)

// Shrinking finds the two actions that matter among many, and the simplest world.
func TestShrinkingKeepsWhatMatters(t *testing.T) {
	h := New(7)
	h.Instances, h.Skew, h.Personal = 3, time.Minute, true
	for i := range 40 {
		h.Actions = append(h.Actions, Action{At: time.Duration(i) * time.Hour, Do: "rotate", On: "own"})
	}
	h.Actions[11].Do, h.Actions[31].Do = "this", "that"
	played := 0
	got := shrink(h, 300, func(h History) bool {
		played++
		return strings.Contains(h.String(), " this") && strings.Contains(h.String(), " that")
	})
	if len(got.Actions) != 2 || got.Instances != 1 || got.Skew != 0 || got.Personal || played > 300 {
		t.Errorf("after %d plays: %s", played, got)
	}
	if len(h.Actions) < 40 {
		t.Error("the history that was given has changed")
	}
}

// A history that breaks a promise shrinks to what a person would write down.
func TestShrinkingAHistoryThatBreaksAPromise(t *testing.T) {
	h := New(3)
	h.Shape, h.Horizon = ShapeOwn, 300*hour
	h.Actions = []Action{
		{At: 0, Do: "create", On: "own", What: "key", N: 30}, {At: hour, Do: "rename", On: "own", What: "a"}, {At: 2 * hour, Do: "rotate",
			On: "own", For: -1},
		{At: 50 * hour, Do: "dry-run", On: "own"}, {At: 100 * hour, Do: "sabotage", On: "own", What: "remove-published"}, {At: 110 * hour,
			Do: "grace", On: "own"},
	}
	got := Shrink(t, h, "published-removed", 60)
	if len(got.Actions) != 2 || got.Actions[0].Do != "create" || got.Actions[1].Do != "sabotage" {
		t.Errorf("%s", got)
	}
}
