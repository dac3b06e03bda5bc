package simulation

import (
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
)

// expectation is something that has to come true soon after a request, as soon as nothing
// disturbs Rekey.
type expectation struct {
	kind  string
	id    string // the connection
	keyID string // has to be removed; empty: the connection has to be gone
	from  time.Time
}

// patience is how long what was asked for urgently may take.
var patience = map[string]time.Duration{"emergency-slow": 75 * minute, "emergency-leaves": 75 * minute, "delete-slow": 3 * hour}

// silence is how long something may fail before a person has to be told (promise P8).
const silence = 80 * minute

// inspect looks at everything now and then, as a person does who watches.
func (w *scene) inspect() {
	every := 20 * minute
	if w.h.Horizon > 80*day {
		every = 2 * hour
	}
	t := time.NewTimer(every + 1009)
	defer t.Stop()
	for {
		select {
		case <-w.end:
			return
		case <-w.cut:
			return
		case <-t.C:
			t.Reset(every)
		}
		w.mu.Lock()
		for _, s := range w.slots {
			for _, id := range s.ids {
				if v, ok := w.view(id); ok {
					w.checkSilence(s, v)
					w.countOverdue(s, v, every)
					w.checkExpiry(s, v)
					w.checkCount(v)
					w.checkDue(v)
				}
			}
		}
		w.checkExpectations()
		w.mu.Unlock()
	}
}

// lasts reports whether a condition has held for d, at all inspections.
func (w *scene) lasts(key string, holds bool, d time.Duration) bool {
	if !holds {
		delete(w.since, key)
		return false
	}
	if _, ok := w.since[key]; !ok {
		w.since[key] = time.Now()
	}
	return time.Since(w.since[key]) >= d
}

// silentDeletion is the one silence about what is being deleted.
const silentDeletion = "silent-deletion"

// checkSilence checks that trouble shows where people look (promise P8).
func (w *scene) checkSilence(s *slot, v view) {
	overdue, orphaned := false, false
	for _, o := range v.leaving {
		overdue = overdue || !o.removed && time.Now().After(o.until)
	}
	for _, o := range v.orphans {
		orphaned = orphaned || o.keyID != "" && slices.ContainsFunc(w.world.Truths(v.clientID),
			func(t truth) bool { return t.KeyID == o.keyID && t.RemovedAt.IsZero() })
	}
	for _, c := range []struct {
		kind  string
		holds bool
	}{
		{"silent-run", v.marker != "" || !v.idle && !v.creating},
		{"silent-request", v.pending != "" && v.pending != "delete"},
		{"silent-removal", overdue},
		{"silent-orphan", orphaned},
		{"silent-staged", v.stubborn},
		{silentDeletion, v.deleting || v.pending == "delete"},
	} {
		// While there is no table nothing can be written, nor read.
		holds := c.holds && len(v.attention) == 0 && (c.kind == silentDeletion || !v.deleting) && !v.creating && !w.raining("table-down", "")
		if w.lasts(c.kind+v.id, holds, silence) {
			w.violate(c.kind, "%s (%s, phase %s): something has not succeeded for %s and nothing shows", s.name, v.id, v.phase, silence)
		}
	}
}

// checkExpiry checks that current never expires while rotation is on and Rekey can work.
func (w *scene) checkExpiry(s *slot, v view) {
	now := time.Now()
	if _, truth, ok := w.published(v); ok && !truth.ExpiresAt.After(now) && truth.RemovedAt.IsZero() {
		if v.enabled && !v.deleting && !w.helpless(s, truth.ExpiresAt) && !s.lifetime && !w.h.Personal && w.calm(3*day) {
			w.violate("expired", "%s: what is published has expired while rotation is on", s.name)
		}
		if w.h.Shape == ShapeOwn || !v.enabled {
			s.broken = true // nothing is left to sign in with
		}
	}
	w.checkGrace(s, v)
}

// helpless reports whether a connection, or what it authenticates through, had nothing that
// works at a time or shortly before, and so could not rotate.
func (w *scene) helpless(s *slot, at time.Time) bool {
	parent := w.slot("parent")
	return s.broken || parent.broken || at.Before(s.mended.Add(hour)) || at.Before(parent.mended.Add(hour))
}

// checkCount checks that no more credentials of ours are alive than the record needs.
func (w *scene) checkCount(v view) {
	now, extra := time.Now(), 0
	for _, t := range w.world.Truths(v.clientID) {
		if !t.Issued || !t.Live(now) || !strings.HasPrefix(t.DisplayName, rotation.MarkerPrefix("test", v.id)) || v.current != nil &&
			v.current.keyID == t.KeyID ||
			slices.Contains(v.byHand, t.KeyID) || slices.ContainsFunc(v.leaving, func(o leavingSecret) bool { return o.keyID == t.KeyID }) {
			continue
		}
		extra++
	}
	if extra > 5 {
		w.violate("too-many-alive", "%d credentials of %s are alive of attempts that were given up", extra, v.id)
	}
	recent := 0
	for _, at := range w.adds[v.id] {
		if now.Sub(at) < day {
			recent++
		}
	}
	if recent > 14 {
		w.violate("issues-too-often", "%d credentials were issued for %s within a day", recent, v.id)
	}
}

// checkDue checks that what is due is begun.
func (w *scene) checkDue(v view) {
	due, ok := w.world.DueAt(v.id)
	if w.lasts("due"+v.id, ok && v.lease == "" && time.Since(due) > 15*minute && w.calm(15*minute), hour) {
		w.violate("due-late", "%s has been due since %s", v.id, time.Since(due))
	}
}

// checkExpectations checks what was asked for.
func (w *scene) checkExpectations() {
	w.expects = slices.DeleteFunc(w.expects, func(e expectation) bool {
		v, there := w.view(e.id)
		_, gone := w.removed[e.keyID]
		switch s := w.slotOf(e.id); {
		case e.keyID == "" && !there, e.keyID != "" && (gone || !there || slices.Contains(v.byHand, e.keyID)),
			s == nil || w.helpless(s, time.Now()):
			return true
		case e.keyID != "" && !slices.ContainsFunc(w.world.Truths(v.clientID), func(t truth) bool {
			return t.KeyID == e.keyID &&
				t.Live(time.Now())
		}):
			return true // an operator removed it
		case w.h.Personal && v.current != nil && v.current.keyID == e.keyID:
			return true // perhaps there is no room for another
		case v.current != nil && slices.ContainsFunc(w.world.Truths(v.clientID), func(t truth) bool {
			return t.KeyID == v.current.keyID && !t.Live(time.Now())
		}):
			return true // the gate stays closed for a day; why it has expired is another question
		case w.calmFrom.After(e.from):
			return true // what was refused meanwhile is tried again slowly
		case time.Since(e.from) > patience[e.kind]:
			kind := e.kind
			if kind == "emergency-slow" && s.lifetime {
				kind = "policy-stops" // it allows less than Rekey asks for at the least
			}
			w.violate(kind, "asked for %s ago, undisturbed, and not done (phase %s)", time.Since(e.from), v.phase)
			return true
		}
		return false
	})
}

func (w *scene) slotOf(id string) *slot {
	for _, s := range w.slots {
		if slices.Contains(s.ids, id) {
			return s
		}
	}
	return nil
}
