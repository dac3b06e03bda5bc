package simulation

import (
	"testing"
	"time"
)

// Shrink takes actions out of a history, and simplifies its world, for as long as playing
// it breaks a promise of that kind. It plays at most tries histories.
func Shrink(t *testing.T, h History, kind string, tries int) History {
	return shrink(h, tries, func(h History) bool {
		_, broke := Play(t, h).Broke(kind)
		return broke
	})
}

// shrink is Shrink for any question.
func shrink(h History, tries int, breaks func(History) bool) History {
	try := func(candidate History) bool {
		if tries <= 0 {
			return false
		}
		tries--
		if !breaks(candidate) {
			return false
		}
		h = candidate
		return true
	}
	for size := max(len(h.Actions)/2, 1); ; {
		shorter := false
		for from := 0; from < len(h.Actions); {
			if try(h.without(from, size)) {
				shorter = true
			} else {
				from += size
			}
		}
		if size == 1 && !shorter || tries <= 0 {
			break
		}
		if !shorter || size > len(h.Actions) {
			size = max(size/2, 1)
		}
	}
	for _, simpler := range []func(*History){
		func(h *History) { h.Instances, h.Skew = 1, 0 },
		func(h *History) { h.Skew = 0 },
		func(h *History) { h.Personal = false },
		func(h *History) { h.Horizon = h.lastAction() + day },
	} {
		candidate := h
		simpler(&candidate)
		if candidate.String() != h.String() {
			try(candidate)
		}
	}
	return h
}

// without returns h without some of its actions.
func (h History) without(from, n int) History {
	rest := append([]Action(nil), h.Actions[:from]...)
	h.Actions = append(rest, h.Actions[min(from+n, len(h.Actions)):]...)
	return h
}

func (h History) lastAction() (at time.Duration) {
	for _, a := range h.Actions {
		at = max(at, a.At+a.For)
	}
	return at
}
