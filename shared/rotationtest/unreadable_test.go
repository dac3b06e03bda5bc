package rotationtest_test

import (
	"context"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// unreadable is a directory whose applications can't be read while failure says so.
type unreadable struct {
	rotator.Directory
	failure func() error
}

func (d unreadable) Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error) {
	if err := d.failure(); err != nil {
		return rotation.ApplicationState{}, err
	}
	return d.Directory.Application(ctx, token, app)
}

// R7: an application that can't be read shows nothing, least of all that what was
// removed from it is gone. The read is put off, and five good ones are still to come.
func TestFailedReadIsNoRead(t *testing.T) {
	for name, failure := range map[string]error{
		"forbidden": &serviceerror.Error{Op: "reading an application", Class: serviceerror.Permission, Status: 403},
		"throttled": &serviceerror.Error{Op: "reading an application", Class: serviceerror.Throttled, Status: 429},
		"no answer": &serviceerror.Error{Op: "reading an application", Class: serviceerror.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				removed, down, failed, good := false, true, 0, 0
				s.h.removing = func(string) error { removed = true; return nil }
				sweep := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
						r := s.rotator()
						r.Directory = unreadable{r.Directory, func() error {
							switch {
							case !removed:
								return nil
							case down:
								failed++
								return failure
							}
							good++
							return nil
						}}
						if _, err := r.Sweep(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				sweep(3 * hour)
				if !removed || failed < 2 {
					t.Fatalf("removed %v, then %d reads failed", removed, failed)
				}
				if o := s.record().Removals; len(o) != 1 || o[0].KeyID != s.keyID || o[0].GoneReads != 0 || len(s.events(history.Gone)) != 0 {
					t.Errorf("after %d reads that failed: retiring %+v, gone %v", failed, o, s.events(history.Gone))
				}
				down = false
				sweep(6 * hour)
				if gone := s.events(history.Gone); len(gone) != 1 || gone[0].KeyID != s.keyID || good < 5 {
					t.Errorf("gone %v after %d good reads, want 5", gone, good)
				}
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}
