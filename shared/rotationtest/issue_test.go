package rotationtest_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// TestScheduledRotation is how it goes when nothing happens.
func TestScheduledRotation(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var issued, published time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) { issued = time.Now(); return add() }
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				published = time.Now()
			}
			return nil
		}
		var removed []time.Time
		s.h.removing = func(string) error { removed = append(removed, time.Now()); return nil }
		s.sweep(2 * hour)
		s.rotated(rotation.OnSchedule)
		if age := published.Sub(issued); age < 5*time.Minute || age > 8*time.Minute {
			t.Errorf("published at the age of %s, want 5 minutes and a little", age)
		}
		s.live(3)
		s.sweep(3 * day)
		s.rotated(rotation.OnSchedule)
		s.live(2)
		if len(removed) != 1 || removed[0].Sub(published) < 48*hour || removed[0].Sub(published) > 48*hour+10*time.Minute {
			t.Errorf("removed at %v, published at %s: the grace period is 48 hours", removed, published)
		}
		if slot := s.record().NextSlot; !slot.Equal(time.Date(2000, 1, 31, 1, 0, 0, 0, time.UTC)) {
			t.Errorf("next slot: %s", slot)
		}
	})
}

// P5, P6: two timers at once work on many connections, each on each of them once.
func TestTwoSweepsRotateEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		w.Directory.Propagation = 7 * time.Second
		var all []*subject
		for n := range 12 {
			all = append(all, newSubject(t, w, n+1))
		}
		time.Sleep(hour)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				s := &subject{t: t, w: w}
				s.sweep(30 * time.Minute)
			})
		}
		wg.Wait()
		if w.Directory.Issued != len(all) {
			t.Errorf("%d client secrets were issued for %d connections", w.Directory.Issued, len(all))
		}
		for _, s := range all {
			s.rotated(rotation.OnSchedule)
			if n := len(s.events(history.Started)); n != 1 {
				t.Errorf("%s: %d runs", s.id, n)
			}
		}
		all[0].check()
	})
}

// P5: wherever a pass loses its lease, it stops, undoes nothing, and the next pass
// finishes the run.
func TestLostLeaseStopsThePass(t *testing.T) {
	for n, lost := 1, true; lost && n < 40; n++ {
		t.Run(fmt.Sprintf("at commit %d", n), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				commits := 0
				s.h.commit = func(rotation.Record) {
					if commits++; commits != n {
						return
					}
					s.edit(func(rec *rotation.Record) {
						rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
						rec.CommitID = "thief"
					})
					s.w.Break(0, rotationtest.NoFault)
				}
				_, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{})
				if lost = commits >= n; lost {
					if !errors.Is(err, rotator.ErrLeaseLost) && !errors.Is(err, rotator.ErrLeased) {
						t.Errorf("the pass ended with %v", err)
					}
					if w := s.w.Writes(); !slices.Equal(w, []string{"store.commit"}) {
						t.Errorf("after it lost the lease the pass wrote %v; want the one commit that was refused", w)
					}
					if rec := s.record(); rec.CommitID != "thief" {
						t.Error("the pass wrote over another one's record")
					}
				}
				s.h = hooks{}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// P5: a pass that lost its lease while it waited does not even begin the next step.
func TestLostLeaseIsSeenAfterAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				time.AfterFunc(20*time.Second, func() { // it waits for current's first minute to pass
					s.edit(func(rec *rotation.Record) {
						rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
					})
					s.w.Break(0, rotationtest.NoFault)
				})
			}
			return nil
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); !errors.Is(err, rotator.ErrLeaseLost) {
			t.Errorf("the pass ended with %v", err)
		}
		if w := s.w.Writes(); len(w) != 0 {
			t.Errorf("after it lost the lease the pass wrote %v", w)
		}
		s.h = hooks{}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}

// P5: the very last write of a deletion is under the lease, too.
func TestLostLeaseStopsTheDeletion(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.h.removal = func() {
			s.h.removal = nil
			s.edit(func(rec *rotation.Record) {
				rec.Lease = rotation.Lease{Token: "thief", Until: time.Now().Add(5 * time.Minute)}
				rec.CommitID = "thief"
			})
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); !errors.Is(err, rotator.ErrLeaseLost) {
			t.Errorf("the pass ended with %v", err)
		}
		if s.record().CommitID != "thief" {
			t.Error("the pass wrote over another one's record")
		}
		s.sweep(10 * time.Minute)
		if s.exists() {
			t.Error("no pass finished the deletion")
		}
	})
}

// R2: whichever clock is wrong by half a minute, calls of two passes never overlap.
func TestClocksMayDiffer(t *testing.T) {
	for _, skew := range []time.Duration{-29 * time.Second, 29 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Latency = 12 * time.Second // the first pass is out of time before it is done
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				var last, first time.Time
				ends := s.rotator()
				other := &subject{t: t, w: s.w, id: s.id}
				s.h.commit = func(rec rotation.Record) {
					if rec.Lease.Token == "" {
						s.w.Restart() // it dies before it gives the lease back
					}
					last = time.Now()
				}
				other.h.commit = func(rec rotation.Record) {
					if first.IsZero() {
						first = time.Now()
					}
				}
				var wg sync.WaitGroup
				wg.Go(func() { ends.Pass(t.Context(), s.id, rotator.PassOptions{}) })
				wg.Go(func() {
					for time.Sleep(time.Minute); first.IsZero(); time.Sleep(time.Second) {
						r := other.rotator()
						r.Now = func() time.Time { return time.Now().Add(skew) }
						r.Pass(t.Context(), s.id, rotator.PassOptions{})
					}
				})
				wg.Wait()
				if !first.After(last) {
					t.Errorf("the second pass began at %s, the first one's last call was made at %s", first, last)
				}
				s.w.Latency = 40 * time.Millisecond
				s.h.commit = nil
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
			})
		})
	}
}

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

// R7: a read that shows it again begins the count anew, and after five minutes it is
// removed once more.
func TestFlappingReads(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var removals []time.Time
		s.h.removing = func(string) error { removals = append(removals, time.Now()); return nil }
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		reads := 0
		s.h.reading = func(st *rotation.ApplicationState) {
			if len(removals) == 0 {
				return
			}
			if reads++; reads == 4 || reads == 8 {
				st.Passwords = append(st.Passwords, rotation.Password{KeyID: s.keyID})
			}
		}
		s.sweep(2 * hour)
		s.rotated(rotation.OnEmergency)
		if reads != 13 || len(removals) != 2 {
			t.Errorf("%d reads and %d removals, want 4 + 4 + 5 and 2", reads, len(removals))
		}
	})
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

// A refusal while the caller still waits undoes the creation, at once where nothing
// was issued; after he was told that the connection exists it is a failed run.
func TestRefusedCreation(t *testing.T) {
	for _, acknowledged := range []bool{false, true} {
		t.Run(fmt.Sprintf("acknowledged %t", acknowledged), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
				s.edit(func(rec *rotation.Record) { rec.Acknowledged, rec.Current.Origin = acknowledged, rotation.OriginNamed })
				s.sweep(2 * time.Minute)
				s.live(2)
				if s.exists() != acknowledged {
					t.Fatalf("exists %t", s.exists())
				}
				if !acknowledged {
					s.w.CheckGone(s.id, s.secret)
				} else if rec := s.record(); rec.Phase != rotation.Idle || rec.Error.Class != serviceerror.Permission ||
					rec.LastRun.Outcome != "failed" {
					t.Errorf("phase %s, error %+v", rec.Phase, rec.Error)
				}
			})
		})
	}
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

// R4: an attempt whose staged version was tampered with ends; the next one succeeds.
func TestTamperedStagedVersion(t *testing.T) {
	for name, tamper := range map[string]func(s *subject){
		"disabled": func(s *subject) {
			rec := s.record()
			if err := s.w.VaultPort().Disable(s.t.Context(), rec.StagedName(), rec.Run.StagedVersion); err != nil {
				s.t.Error(err)
			}
		},
		"another key id": func(s *subject) {
			version := s.record().Run.StagedVersion
			s.h.got = func(v *rotation.VaultSecret) {
				if v.Version == version {
					v.Tags[vaulttag.KeyID] = "another"
				}
			}
		},
		"another connection": func(s *subject) {
			version := s.record().Run.StagedVersion
			s.h.got = func(v *rotation.VaultSecret) {
				if v.Version == version {
					v.Tags[vaulttag.Connection] = "another"
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				time.Sleep(hour)
				s.sweep(time.Second) // a pass ends before the credential is old enough
				s.phase(rotation.Verifying)
				first := s.record().Run.KeyID
				tamper(s)
				s.sweep(7 * time.Minute)
				if rec := s.record(); rec.Run == nil || rec.Run.KeyID == first {
					t.Errorf("the attempt goes on: %+v", rec.Run)
				}
				if got := s.published(); got != s.keyID {
					t.Errorf("published: %s, want what was there before", got)
				}
				s.sweep(hour)
				s.rotated(rotation.OnSchedule)
				s.live(3)
			})
		})
	}
}

// R5: without proof for half an hour the attempt ends, and current is untouched.
func TestNoProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var issued []time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			issued = append(issued, time.Now())
			return add()
		}
		s.h.token = func(v secret.Value) error {
			if v != s.secret && len(issued) == 1 {
				return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
			}
			return nil
		}
		time.Sleep(hour)
		s.sweep(25 * time.Minute)
		s.phase(rotation.Verifying)
		s.sweep(hour)
		if len(issued) != 2 {
			t.Fatalf("%d attempts, want 2", len(issued))
		}
		if d := issued[1].Sub(issued[0]); d < 30*time.Minute || d > 35*time.Minute {
			t.Errorf("the second attempt came %s after the first, want half an hour", d)
		}
		s.rotated(rotation.OnSchedule)
		s.live(3)
	})
}

// R5: half an hour counts from when proof went missing. A timer that comes once an
// hour is no reason to throw good credentials away.
func TestTimerThatComesSeldom(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweepEvery(hour, 6*hour)
		s.rotated(rotation.OnSchedule)
		if s.w.Directory.Issued != 1 {
			t.Errorf("%d client secrets were issued, want 1", s.w.Directory.Issued)
		}
	})
}
