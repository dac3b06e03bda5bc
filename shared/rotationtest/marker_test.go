package rotationtest_test

import (
	"regexp"
	"strings"
	"testing"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// R11: what is issued is named for its deployment, connection and attempt, and for
// nothing else: no date of a clock that nobody can check.
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
