package rotationtest_test

import (
	"slices"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// R1, R3, R7: addPassword answers nothing, but has issued. The value is lost; what
// was issued is found by its marker and removed, and its marker is kept until five
// reads from a quarter of an hour on have not shown it.
func TestUnknownOutcomeOfIssuing(t *testing.T) {
	for _, propagation := range []time.Duration{7 * time.Second, 16 * time.Minute} {
		t.Run(propagation.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Directory.Propagation = propagation
				var lost time.Time
				s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
					if !lost.IsZero() {
						return add()
					}
					lost = time.Now()
					add()
					return rotation.Issued{}, unknown("adding a password")
				}
				var reads []time.Time // that did not show it
				marker := ""
				s.h.commit = func(rec rotation.Record) {
					if rec.Run != nil && marker == "" {
						marker = rec.Run.Marker
					}
				}
				s.h.reading = func(st *rotation.ApplicationState) {
					if slices.ContainsFunc(st.Passwords, func(p rotation.Password) bool { return p.DisplayName == marker }) {
						reads = nil
					} else {
						reads = append(reads, time.Now())
					}
				}
				for range 60 {
					if len(s.record().Removals) == 0 {
						s.sweep(time.Minute)
					}
				}
				if dropped := s.events(history.AttemptDropped); len(dropped) != 1 || dropped[0].At.Sub(lost) < 2*time.Minute {
					t.Errorf("given up: %v, after %s; a call that takes a minute may land for another", dropped, lost)
				}
				for range 3 * 60 {
					if len(s.record().Removals) > 0 {
						s.sweep(time.Second)
					}
				}
				for len(reads) > 0 && reads[0].Before(lost.Add(15*time.Minute)) {
					reads = reads[1:]
				}
				if len(reads) < 5 {
					t.Errorf("forgotten after %d reads in a row that count", len(reads))
				} else if apart := reads[len(reads)-1].Sub(reads[len(reads)-5]); apart < 4*time.Minute {
					t.Errorf("the last five reads lie within %s", apart)
				}
				s.sweep(hour)
				s.rotated(rotation.OnSchedule)
				if s.w.Directory.Issued != 2 {
					t.Errorf("%d client secrets were issued, want 2", s.w.Directory.Issued)
				}
				s.live(3)
			})
		})
	}
}

// R3: the process dies between staging and committing; the next one adopts.
func TestAdoptsWhatWasStaged(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		died := false
		s.h.put = func(v rotation.VaultSecret) error {
			if isStaged(v) && !died {
				died = true
				s.w.Restart()
			}
			return nil
		}
		s.sweep(3 * hour)
		s.rotated(rotation.OnSchedule)
		if s.w.Directory.Issued != 1 || !died {
			t.Errorf("%d client secrets were issued, want the one that was adopted", s.w.Directory.Issued)
		}
	})
}

// R3: only an enabled version of ours that bears the run's marker and a key id is
// adopted.
func TestAdoptsNothingElse(t *testing.T) {
	for name, spoil := range map[string]func(*rotation.VaultSecret){
		"another marker":     func(v *rotation.VaultSecret) { v.Tags[vaulttag.Marker] += "x" },
		"disabled":           func(v *rotation.VaultSecret) { v.Enabled = false },
		"no key id":          func(v *rotation.VaultSecret) { delete(v.Tags, vaulttag.KeyID) },
		"another connection": func(v *rotation.VaultSecret) { v.Tags[vaulttag.Connection] = "another" },
		"another deployment": func(v *rotation.VaultSecret) { v.Tags[vaulttag.Deployment] = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.h.add = func(func() (rotation.Issued, error)) (rotation.Issued, error) {
					s.h.add = nil
					rec := s.record()
					c := rotation.Credential{Target: s.app, KeyID: "44444444-4444-4444-8444-999999999999",
						Marker: rec.Run.Marker, Origin: rotation.OriginIssued}
					stray := rotation.VaultSecret{Name: rec.StagedName(), Value: secret.New("stray"), Enabled: true,
						Tags: rotation.Tags(rotationtest.Deployment, &rec, c)}
					spoil(&stray)
					if _, err := s.w.VaultPort().Put(t.Context(), stray); err != nil {
						t.Error(err)
					}
					return rotation.Issued{}, unknown("adding a password")
				}
				s.sweep(2 * hour)
				if rec := s.record(); rec.LastRun == nil || rec.LastRun.Outcome != "success" || rec.Run != nil {
					t.Errorf("run %+v, last run %+v", rec.Run, rec.LastRun)
				}
				if n := len(s.events(history.Issued)); n != 1 {
					t.Errorf("%d staged versions were proven, want the one that was issued", n)
				}
			})
		})
	}
}

// The new value exists in one process only, so that this does not give up easily; and
// what was stored without an answer is not stored again.
func TestStagingIsTriedAgain(t *testing.T) {
	for name, fail := range map[string]struct {
		putting, put error
		tries        int
	}{
		"not stored":        {putting: &serviceerror.Error{Op: "writing a secret", Class: serviceerror.Transient, Status: 503}, tries: 4},
		"unknown":           {putting: unknown("writing a secret"), tries: 4},
		"stored, no answer": {put: unknown("writing a secret"), tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				tries := 0
				s.h.putting = func(v rotation.VaultSecret) error {
					if !isStaged(v) {
						return nil
					}
					if tries++; tries == 4 {
						return nil
					}
					return fail.putting
				}
				s.h.put = func(v rotation.VaultSecret) error {
					if isStaged(v) {
						return fail.put
					}
					return nil
				}
				s.sweep(2 * hour)
				s.rotated(rotation.OnSchedule)
				if tries != fail.tries || s.w.Directory.Issued != 1 {
					t.Errorf("stored %d times, issued %d", tries, s.w.Directory.Issued)
				}
			})
		})
	}
}

// A vault that stays away while the only copy of a value waits: it is given up, what
// was issued is removed by its marker, and so is what the vault has stored late.
func TestStagingIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.putting = func(v rotation.VaultSecret) error {
			if isStaged(v) && s.w.Directory.Issued == 1 {
				time.AfterFunc(25*time.Second, func() { s.w.VaultPort().Put(t.Context(), v) })
				return unknown("writing a secret")
			}
			return nil
		}
		s.sweep(2 * hour)
		s.rotated(rotation.OnSchedule)
		s.live(3)
		if dropped := s.events(history.AttemptDropped); len(dropped) != 1 || dropped[0].KeyID == "" || s.w.Directory.Issued != 2 {
			t.Errorf("given up: %v, issued %d", dropped, s.w.Directory.Issued)
		}
	})
}

// The value of a new credential exists in one invocation only, until it is stored: storing
// it may outlast the request that asked for the rotation, though not the lease.
func TestANewValueIsStoredAfterTheEndOfItsRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.w.Slow("graph.addPassword", 8*time.Second)
		rec, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{Until: time.Now().Add(12 * time.Second)})
		if err != nil || rec.Phase != rotation.Verifying || rec.Run.StagedVersion == "" {
			t.Errorf("%s, run %+v, error %+v, %v", rec.Phase, rec.Run, rec.Error, err)
		}
		if list := rec.Orphans(); len(list) != 0 {
			t.Errorf("the value was lost: %+v", list)
		}
		s.w.Slow("graph.addPassword", 0)
		s.sweep(20 * time.Minute)
		s.rotated(rotation.OnRequest)
	})
}

// A vault that refuses new versions must not make Rekey issue one credential after the
// other, whose values it can't keep.
func TestAVaultThatRefusesIsNotIssuedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Refuse("vault.put", &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403})
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(day)
		s.w.Refuse("vault.put", nil)
		issued := 0
		for _, p := range s.w.Secrets(s.app.ClientID) {
			if p.Issued {
				issued++
			}
		}
		if issued > 1 {
			t.Errorf("%d were issued", issued)
		}
		s.sweep(2 * day)
		s.rotated(rotation.OnRequest)
	})
}

// A slot that comes when a pass has little time left: the next pass issues at once.
func TestNoTimeToIssue(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour - 3*time.Minute)
		s.edit(func(rec *rotation.Record) { rec.WakeAt = time.Now() })
		var issued time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			issued = time.Now()
			if left := time.Until(s.record().Lease.Until); left < 150*time.Second {
				t.Errorf("issued when the lease had %s left: storing the value takes time, too", left)
			}
			return add()
		}
		s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}) // waits for the slot
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
		if late := issued.Sub(time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)); late > 90*time.Second ||
			len(s.events(history.AttemptDropped)) != 0 {
			t.Errorf("issued %s after the slot; attempts given up: %d", late, len(s.events(history.AttemptDropped)))
		}
	})
}

// R10: an application that may have two client secrets has two.
func TestFullApplication(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Audience = "AzureADandPersonalMicrosoftAccount" })
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			t.Error("a third one is asked for")
			return add()
		}
		s.sweep(3 * hour)
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error == nil || rec.Error.Class != serviceerror.Full || len(rec.Orphans()) != 0 {
			t.Errorf("phase %s, error %+v, abandoned %v", rec.Phase, rec.Error, rec.Orphans())
		}
		s.live(2)
		if s.published() != s.keyID {
			t.Error("current was touched")
		}
	})
}
