package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// noApplication is what Entra answers for an application that was deleted.
var noApplication = &serviceerror.Error{Op: "signing in", Class: serviceerror.ApplicationMissing, Status: 400, Code: "AADSTS700016"}

// A request that ends a run is served although what is current does not work: by the attempt if that is published and
// works, and else without either, also where the whole application is gone.
func TestARequestEndsARunAlthoughCurrentIsRefused(t *testing.T) {
	rotationtest.PlainOnly(t)
	breaks := map[string]func(s *subject, current string){
		"removed by hand":         func(s *subject, current string) { s.w.RemoveByHand(current) },
		"the application is gone": func(s *subject, _ string) { s.refuse(noApplication) },
	}
	for why, broken := range breaks {
		for name, ask := range map[string]func(t *testing.T, s *subject){
			"abandon": func(t *testing.T, s *subject) { s.request(t, rotation.Request{Kind: rotation.AskAbandon, ID: "a"}) },
			"delete":  func(t *testing.T, s *subject) { s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d"}) },
			"rebind":  func(t *testing.T, s *subject) { s.giveAnother(t, s.other, s.otherSecret) },
		} {
			for _, written := range []bool{false, true} {
				if name == "delete" && why == "the application is gone" {
					continue // what is left is told to a person after a day, as after any deletion of such an application
				}
				t.Run(why+"/"+name+map[bool]string{true: "/published", false: "/not published"}[written], func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newSubject(t)
						settled(t, s)
						s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
						s.w.Name(s.otherKey)
						vaultName, current := s.vaultName(t), s.published(t).KeyID
						s.stopIn(t, rotation.Publishing)
						if written {
							time.Sleep(6 * time.Minute) // the lease of the pass that died
							s.w.BreakAt("vault.put", rotationtest.CrashAfter)
							service(s.w).Rotator.Sweep(t.Context())
							s.w.Break(0, rotationtest.NoFault)
							s.w.Restart()
						}
						rec := s.record(t)
						if rec.Phase != rotation.Publishing || (s.published(t).KeyID == current) == written {
							t.Fatalf("%s, published is %s, current %s", rec.Phase, s.published(t).KeyID, current)
						}
						s.w.OutsideBreak(true)
						broken(s, current)
						ask(t, s)
						s.sweep(t, 6*time.Hour)
						got, there := s.w.Record(s.id)
						if there == (name == "delete") || there && got.Request != nil || there && got.Run != nil && got.Run.ID == rec.Run.ID {
							t.Errorf("six hours later: there %t, %s, request %+v, run %+v, %+v", there, got.Phase, got.Request, got.Run, got.Error)
						}
						if name == "rebind" && there && !got.Target.Same(s.other) {
							t.Errorf("it has not gone over: %+v", got.Error)
						}
						if c, ok := s.w.PublishedSecret(vaultName); why == "removed by hand" && written && name != "rebind" && (!ok || !s.works(c.KeyID)) {
							t.Errorf("%s is published, and does not work", c.KeyID)
						}
					})
				})
			}
		}
	}
}
