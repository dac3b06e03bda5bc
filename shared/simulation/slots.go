package simulation

import (
	"slices"
	"time"

	"rekey/shared/rotation"
)

// slot is a connection of the history, whichever record it has at the moment.
type slot struct {
	name     string
	app      rotation.Application // what is rotated, or for the parent what signs in
	minutes  int                  // of its schedule
	ids      []string             // records, the newest last
	given    given                // what the caller has given last
	person   string
	broken   bool      // from outside: current was removed or disabled by hand
	mended   time.Time // when a caller gave what works instead
	lifetime bool      // a policy has limited lifetimes
}

func (w *scene) slot(name string) *slot {
	for _, s := range w.slots {
		if s.name == name {
			return s
		}
	}
	return w.slots[0]
}

// saw takes note of a record as it was stored. The lock is held.
func (w *scene) saw(rec rotation.Record) {
	if _, known := w.records[rec.ID]; !known && !slices.Contains(w.order, rec.ID) {
		w.order = append(w.order, rec.ID)
	}
	w.records[rec.ID] = rec
	v := look(&rec, time.Now())
	for _, keyID := range v.byHand {
		w.toldByHand[keyID] = true
	}
	if v.current != nil {
		w.everPublished[v.current.keyID] = true
	}
	if a := w.retirements[v.id]; a != nil {
		a.follow(v)
	}
	w.follow(v)
	w.poke()
}

func (w *scene) forgot(id string) {
	delete(w.records, id)
	w.poke()
}

// view returns what is stored of a connection. The lock is held.
func (w *scene) view(id string) (view, bool) {
	rec, ok := w.records[id]
	if !ok {
		return view{}, false
	}
	return look(&rec, time.Now()), true
}

// existing returns the records of a slot that are there and not being deleted.
func (s *slot) existing(w *scene) (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range s.ids {
		if v, ok := w.view(id); ok && !v.deleting {
			ids = append(ids, id)
		}
	}
	return ids
}

// id returns the newest record of a slot.
func (s *slot) id(w *scene) string {
	if ids := s.existing(w); len(ids) > 0 {
		return ids[len(ids)-1]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(s.ids) == 0 {
		return ""
	}
	return s.ids[len(s.ids)-1]
}
