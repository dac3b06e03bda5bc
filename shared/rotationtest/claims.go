package rotationtest

import (
	"fmt"

	"rekey/shared/rotation"
)

// CheckClaims checks that every record has claimed what it needs, that the rows of what it
// lists are there, and that no two records list claims which exclude each other (rule R11).
func (w *World) CheckClaims() {
	w.mu.Lock()
	defer w.mu.Unlock()
	listed := map[string][]rotation.ClaimRow{}
	for id, r := range w.Store.rows {
		rec := r.record()
		if missing := rec.Unclaimed(); len(missing) > 0 {
			w.violate(fmt.Sprintf("R11: %s (phase %s) has not claimed %v", id, rec.Phase, missing))
		}
		for _, c := range rec.Claimed {
			if _, ok := w.Store.claims[c.ID]; !ok && rec.Phase != rotation.Deleting {
				w.violate(fmt.Sprintf("R11: %s (phase %s) lists a claim that is gone: %v", id, rec.Phase, c))
			}
			listed[c.App] = append(listed[c.App], rec.ClaimRow(c))
		}
	}
	for _, rows := range listed {
		for i, a := range rows {
			for _, b := range rows[i+1:] {
				if a.Excludes(b) {
					w.violate(fmt.Sprintf("R11: %s and %s have claims that exclude each other: %v, %v", a.Owner, b.Owner, a.Claim, b.Claim))
				}
			}
		}
	}
}
