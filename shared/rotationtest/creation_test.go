package rotationtest_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

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

// The process that created the connection died: the vault tells whether the given
// secret reached it.
func TestCreationAfterACrash(t *testing.T) {
	for _, arrived := range []bool{true, false} {
		t.Run(fmt.Sprintf("arrived %t", arrived), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) {
					rec.Phase, rec.Acknowledged, rec.Current.VaultVersion, rec.Current.Origin = rotation.Creating, false, "", rotation.OriginNamed
					if !arrived {
						rec.VaultName = "nothing-there"
					}
				})
				s.sweep(hour)
				if arrived {
					s.rotated(rotation.OnCreation)
				} else if s.exists() || len(s.events(history.Undone)) == 0 || len(s.events(history.Started)) != 0 {
					t.Error("the creation is not undone")
				}
				s.live(2)
			})
		})
	}
}

// A version of an attempt that never became current is switched off before its
// credential is removed: no consumer reads a value from the vault that does not work.
func TestFirstRunIsWithdrawn(t *testing.T) {
	for _, how := range []rotation.RequestKind{rotation.AskAbandon, rotation.AskDelete, ""} {
		t.Run("by "+string(how), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.delegate(t)
				published := false
				s.h.put = func(v rotation.VaultSecret) error {
					if isPublished(v) && !published { // it lands, but the pass does not learn of it; from then on the value is refused
						published = true
						return unknown("writing a secret")
					}
					return nil
				}
				s.h.token = func(secret secret.Value) error {
					if published && secret.Reveal() != s.secret.Reveal() {
						return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
					}
					return nil
				}
				s.w.OutsideBreak(false)
				s.sweep(2 * time.Minute)
				if !published {
					t.Fatal("the attempt was not published")
				}
				if how != "" {
					s.ask(rotation.Request{Kind: how})
				}
				s.sweep(hour)
				s.h.token, s.h.put = nil, nil
				s.sweep(2 * hour)
				if how == rotation.AskDelete {
					if s.exists() {
						t.Error("the connection is still there")
					}
					s.live(2)
					return
				}
				s.w.CheckEnd(s.id)
				s.live(3)
			})
		})
	}
}
