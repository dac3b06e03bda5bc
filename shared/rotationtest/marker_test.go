package rotationtest_test

import (
	"regexp"
	"strings"
	"testing"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// R11: what is issued is named for its deployment, connection and attempt, and for
// nothing else: no date of a clock that nothing can check.
func TestMarkerHasNoDate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		names := map[string]bool{}
		s.h.reading = func(st *rotation.ApplicationState) {
			for _, p := range st.Passwords {
				if strings.HasPrefix(p.DisplayName, "rekey") {
					names[p.DisplayName] = true
				}
			}
		}
		for range 2 {
			s.ask(rotation.Request{Kind: rotation.AskEmergency})
			s.sweep(hour)
			s.rotated(rotation.OnEmergency)
		}
		form := regexp.MustCompile("^rekey/" + rotationtest.Deployment + "/" + s.id + "/[A-Z2-7]{10}$")
		for name := range names {
			if !form.MatchString(name) || len(name) > 64 {
				t.Errorf("%q is not of the form %s, or is longer than 64 characters", name, form)
			}
		}
		if len(names) != 2 {
			t.Errorf("%d names for two attempts: %v", len(names), names)
		}
	})
}

// P2: an attempt of unknown outcome is known by its marker alone. One that bears it is
// removed; of two it is unknown which was issued, and of what turns up later, that it was
// not: these are reported and left alone.
func TestWhatElseBearsTheMarker(t *testing.T) {
	for name, late := range map[string]bool{"at once": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Directory.Propagation = 0
				marker, copied := "", ""
				forge := func() { copied = s.w.AddMarked(s.app.ClientID, marker) }
				s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
					s.h.add = nil
					marker = s.record().Run.Marker
					if _, err := add(); err != nil {
						return rotation.Issued{}, err
					}
					if !late {
						forge()
					}
					return rotation.Issued{}, unknown("adding a password")
				}
				if late {
					s.h.removing = func(string) error { s.h.removing = nil; forge(); return nil }
				}
				s.sweep(3 * hour)
				rec := s.record()
				if rec.LastRun == nil || rec.LastRun.Outcome != "success" || len(rec.Orphans()) != 0 {
					t.Fatalf("last run %+v, abandoned %+v", rec.LastRun, rec.Orphans())
				}
				want := map[bool]int{false: 2, true: 1}[late]
				if by := s.events(history.ByHand); len(by) != want || len(rec.ByHand) != want || !by[0].Notice {
					t.Errorf("reported: %+v", by)
				}
				if !s.w.IsLive(copied) {
					t.Error("the copy was removed")
				}
				s.live(want + 3) // with current, the one before in its grace period, the foreign one
			})
		})
	}
}
