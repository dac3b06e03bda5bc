package connection_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotationtest"
)

// A write to the vault that has timed out may land later, although a read does not show it
// yet. When a caller abandons the run or deletes the connection meanwhile, and the write then
// lands, what is published works: Rekey has not removed it.
func TestAWriteThatLandsLateNamesNothingThatWasRemoved(t *testing.T) {
	requests := map[string]func(t *testing.T, c *connection.Service, id string) error{
		"abandon": func(t *testing.T, c *connection.Service, id string) error {
			_, err := c.Abandon(t.Context(), id, "tester")
			return err
		},
		"delete": func(t *testing.T, c *connection.Service, id string) error {
			_, err := c.Delete(t.Context(), id, connection.DeleteOptions{By: "tester"})
			return err
		},
	}
	for name, ask := range requests {
		for _, after := range []time.Duration{6 * time.Second, time.Minute, 9 * time.Minute} {
			t.Run(fmt.Sprintf("%s, %s after its time-out", name, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					settled(t, s)
					vault := s.vaultName(t)
					c := service(s.w)
					landed, end := s.publishLate(t, c, after)
					defer end()
					if err := ask(t, c, s.id); err != nil {
						t.Fatalf("it was refused: %v", err)
					}
					for time.Since(landed) < 30*time.Minute {
						time.Sleep(10 * time.Second)
						if c, ok := s.w.PublishedSecret(vault); !ok {
							t.Fatalf("nothing is published")
						} else if !c.Works(time.Now()) {
							t.Fatalf("%s after the write has landed %s is published, which was removed %s ago",
								time.Since(landed), c.Name, time.Since(c.RemovedAt))
						}
					}
					for _, broken := range s.w.Violations() {
						t.Errorf("broken promise: %s", broken)
					}
				})
			})
		}
	}
}

// publishLate rotates the subject up to the write of its published name, which times out
// and lands that much later, and returns when it has timed out. The timer of c's process
// goes on for an hour; end waits for it.
func (s *subject) publishLate(t *testing.T, c *connection.Service, after time.Duration) (lands time.Time, end func()) {
	t.Helper()
	timedOut := s.w.Late("vault.put "+s.vaultName(t), after)
	if _, err := c.Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
		t.Fatalf("rotating: %v", err)
	}
	end = timer(t, c, time.Hour)
	select {
	case <-timedOut:
	case <-time.After(15 * time.Minute):
		t.Fatal("nothing was published")
	}
	lands = time.Now().Add(after)
	time.Sleep(time.Second)
	return lands, end
}

// A creation writes down, before it sends what was given to the vault, until when that write
// may land, and forgets that only if every try had a definite answer (rule R8).
func TestACreationAnnouncesTheWriteOfWhatWasGiven(t *testing.T) {
	for name, lost := range map[string]bool{"the write is answered": false, "its first try has no answer": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				in := s.input()
				in.VaultSecretName, in.Rotate = "given", false
				if lost { // at once: the request goes on with a second try
					s.w.BreakAt("vault.put", rotationtest.Applied)
				}
				var sent time.Time
				s.w.Before("vault.put given", func() {
					sent = time.Now()
					rec, _ := s.w.Record(s.w.Records()[0])
					if until := rec.Lease.Until.Add(10 * time.Minute); !rec.Unsettled.Until.Equal(until) {
						t.Errorf("announced until %s, want %s", rec.Unsettled.Until, until)
					}
				})
				if err := s.make(t, in); err != nil {
					t.Fatal(err)
				}
				if rec := s.record(t); rec.Unsettled.Until.After(sent.Add(10*time.Minute)) != lost {
					t.Errorf("a write may land until %s, %s after it was sent", rec.Unsettled.Until, rec.Unsettled.Until.Sub(sent))
				}
				s.sweep(t, 20*time.Minute)
				s.check(t)
			})
		})
	}
}
