package connection_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

// softDeleted leaves the vault secret of a target that was deleted, and says how to add
// that target again.
func (s *subject) softDeleted(t *testing.T) connection.TargetInput {
	t.Helper()
	withParent(t, s)
	in := connection.TargetInput{
		Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true,
		Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "tester", VaultSecretName: "billing",
	}
	first, err := service(s.w).CreateTarget(t.Context(), s.parent, in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service(s.w).Delete(t.Context(), first.ID, connection.DeleteOptions{Revoke: true}); err != nil {
		t.Fatal(err)
	}
	s.sweep(t, 3*time.Hour)
	return in
}

// The same of a target whose vault secret a deleted one has left soft-deleted: only the
// request that creates it recovers that. Where this fails, either the caller is told, or
// a later pass does it.
func TestATargetIsNotLeftWithoutItsSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.softDeleted(t)
		s.w.Slow("vault.recover", time.Hour)
		second, err := service(s.w).CreateTarget(t.Context(), s.parent, in)
		s.w.Slow("vault.recover", 0)
		s.sweep(t, 24*time.Hour)
		if rec, there := s.w.Record(second.ID); err == nil && (!there || rec.Current == nil) {
			t.Errorf("the caller was told that the target is there; a day later it has published nothing: %+v", rec.Error)
		}
	})
}

// What stands in the way of rotating an application is said before anything is made:
// no record, no reservation and no client secret is left of it.
func TestARefusedTargetLeavesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(s *subject, in *connection.TargetInput)
		says    string
	}{
		"not an owner": {func(s *subject, _ *connection.TargetInput) { s.w.Own(s.app.ClientID, s.acting.ClientID, false) }, "is not an owner"},
		"no permission": {func(s *subject, _ *connection.TargetInput) {
			s.w.Change(s.acting.ClientID, func(a *rotationtest.AppSettings) { a.Roles = []string{"User.Read.All"} })
		}, "with admin consent"},
		"disabled": {func(s *subject, _ *connection.TargetInput) { s.refuse(disabled) },
			"is disabled in this tenant, so that Entra accepts no client secret of it. Enable it: az ad sp update --id "},
		"two applications": {func(s *subject, in *connection.TargetInput) {
			other, _, _ := s.w.AddApplication()
			in.ClientID = other.ClientID
		}, "two applications"},
		"personal accounts": {func(s *subject, _ *connection.TargetInput) {
			s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Audience = "AzureADandPersonalMicrosoftAccount" })
		}, "it has 2. Remove one"},
		"its connection's vault": {func(s *subject, _ *connection.TargetInput) { s.w.Refuse("vault.get", full) },
			"a request has to be sent again"},
		"nothing named": {func(_ *subject, in *connection.TargetInput) { in.Target = connection.Target{} }, "clientId or objectId"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withParent(t, s)
				in := connection.TargetInput{
					Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true,
					Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"},
				}
				reserved := len(s.w.Reserved())
				tt.prepare(s, &in)
				_, err := service(s.w).CreateTarget(t.Context(), s.parent, in)
				kind := connection.Invalid
				if name == "its connection's vault" { // nothing that the caller could change in the request
					kind = connection.Unavailable
				}
				refusal(t, err, kind, tt.says)
				s.w.Refuse("vault.get", nil)
				if n := len(s.w.Records()); n != 1 {
					t.Errorf("%d records", n)
				}
				if n := len(s.w.Reserved()); n != reserved {
					t.Errorf("%d reservations, want %d", n, reserved)
				}
				s.live(t, 2)
				s.check(t)
			})
		})
	}
}

// A target is found through its own connection only, and rotates nothing else.
func TestATargetIsFoundThroughItsConnectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		svc := service(s.w)
		if rec, err := svc.GetTarget(t.Context(), s.parent, s.id); err != nil || rec.ID != s.id {
			t.Errorf("through its connection: %v", err)
		}
		_, err := svc.GetTarget(t.Context(), "another", s.id)
		refusal(t, err, connection.NotFound, "") // through another connection
		_, err = svc.Targets(t.Context(), s.id)
		refusal(t, err, connection.NotFound, "") // the targets of a target
		_, err = svc.CreateTarget(t.Context(), s.id, connection.TargetInput{Target: connection.Target{ObjectID: s.app.ObjectID}})
		refusal(t, err, connection.NotFound, "") // a target of a target
		s.check(t)
	})
}

// Of a caller who adds a target and one who deletes the connection at the same time, the API
// refuses one, wherever the one is when the other comes.
func TestOfDeletingAndAddingATargetOneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		var deleted error
		adding := service(s.w)
		s.w.Before("store.create", func() {
			_, deleted = service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{By: "tester"})
		})
		rec, added := adding.CreateTarget(t.Context(), s.parent, connection.TargetInput{
			Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true,
			Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "tester",
		})
		if deleted == nil && added == nil {
			t.Error("both were told that it is done")
		}
		s.sweep(t, 2*time.Hour)
		if exists(s.w, rec.ID) && !exists(s.w, s.parent) {
			got, _ := s.w.Record(rec.ID)
			t.Errorf("the target is there without a connection that could rotate it or remove what it has: "+
				"phase %s, current %v, %d client secrets alive", got.Phase, got.Current != nil, s.w.Live(s.app.ClientID))
		}
	})
}

// A deletion looks for the targets of the connection before it writes. It finds a target
// that was added since all the same, because adding it has written the connection, too.
func TestADeletionFindsATargetThatIsAddedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		var added error
		s.w.Before("store.commit", func() { added = s.addTarget(t) })
		_, err := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{Revoke: true})
		if added != nil {
			t.Fatalf("adding the target: %v", added)
		}
		refusal(t, err, connection.Invalid, "authenticates for 1 target,")
		s.sweep(t, time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// Nothing is rotated through a connection that is not there yet.
func TestNoTargetsWhileCreating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		rec := rotation.Record{
			Schema: rotation.Schema, ID: "5a3d2b1c-0000-4000-8000-000000000001", Phase: rotation.Creating,
			Method: connection.Certificate, Actor: s.app, Version: 1,
		}
		if _, err := s.w.StorePort().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		_, err := service(s.w).CreateTarget(t.Context(), rec.ID, connection.TargetInput{Target: connection.Target{ObjectID: s.app.ObjectID}})
		refusal(t, err, connection.Conflict, "is being created")
	})
}

// newerTarget makes a connection with two targets, one of which a newer Rekey has written,
// and returns the other one.
func newerTarget(t *testing.T, s *subject) (readable neighbour) {
	t.Helper()
	withParent(t, s)
	two := s.crowd(t, 2, daily(3, 0))
	s.sweep(t, 30*time.Minute)
	s.writtenByANewer(t, two[1].id)
	return two[0]
}

// One row that can't be read hides no other target.
func TestATargetOfANewerSchemaIsLeftOutOfTheListAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		readable := newerTarget(t, s)
		list, err := service(s.w).Targets(t.Context(), s.parent)
		if err != nil || len(list) != 1 || list[0].ID != readable.id {
			t.Errorf("%d targets, %v; want the one that can be read", len(list), err)
		}
		if !s.saysLeftOut(1) {
			t.Errorf("the log does not say that one was left out")
		}
		s.check(t)
	})
}

// The refusal is about the targets: the connection itself is not newer.
func TestAConnectionWithATargetOfANewerSchemaIsNotDeletedAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		readable := newerTarget(t, s)
		_, both := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{By: "tester"})
		if _, err := service(s.w).Delete(t.Context(), readable.id, connection.DeleteOptions{Revoke: true, By: "tester"}); err != nil {
			t.Fatalf("deleting the target that can be read: %v", err)
		}
		s.sweep(t, time.Hour)
		if exists(s.w, readable.id) {
			t.Fatal("the target that can be read is still there")
		}
		_, one := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{By: "tester"})
		if rec := s.recordOf(t, s.parent); rec.Phase == rotation.Deleting || both == nil || one == nil {
			t.Errorf("the connection is being deleted under a target that needs it")
		}
		for i, err := range []error{both, one} {
			if n := fmt.Sprintf("%d target", 2-i); err == nil || !strings.Contains(err.Error(), n) {
				t.Errorf("refused with %v, want that it authenticates for %ss", err, n)
			}
		}
		s.check(t)
	})
}

// A target has no name that a caller could look it up by, so that none is reserved.
func TestATargetReservesNoName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		before := len(s.w.Reserved())
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
			t.Fatal(err)
		}
		if left := s.w.Reserved(); len(left) != before {
			t.Errorf("reserved are %v", left)
		}
	})
}

// A connection that rotates its own client secret and authenticates for a target loses it.
// Once new credentials are published, the target is rotated by the next ticks of the timer
// and does not wait for the end of its pause.
func TestPublishingANewSecretWakesTheTargetsThatItsLossHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.parent, s.acting = s.id, s.app
		target := s.crowd(t, 1, daily(6, 0))[0]
		s.sweep(t, time.Hour)
		due := s.nextSlotOf(t, target.id)
		current := s.record(t).Current.KeyID
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(current)
		s.sleepUntil(t, due.Add(4*time.Hour))
		if retry := s.recordOf(t, target.id).Error; retry == nil || time.Until(retry.RetryAt) < time.Hour {
			t.Fatalf("the target does not wait for long: %+v", retry)
		}
		secret, keyID := s.w.AddForeign(s.app.ClientID)
		s.w.Name(keyID)
		time.Sleep(10 * time.Second)
		asked := time.Now()
		if _, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
		}}); err != nil {
			t.Fatal(err)
		}
		s.w.OutsideBreak(false)
		s.sweep(t, 20*time.Minute)
		s.issuedWithin(t, target.app.ClientID, asked, asked.Add(10*time.Minute))
		s.check(t)
	})
}

// replicating is a directory of which a replica does not know a service principal yet.
type replicating struct {
	connection.Directory
	until time.Time
}

func (d replicating) ServicePrincipal(
	ctx context.Context, token rotation.Token, app rotation.Application,
) ([]rotation.Password, bool, error) {
	if time.Now().Before(d.until) {
		return nil, false, &serviceerror.Error{Op: "reading a service principal", Class: serviceerror.ApplicationMissing}
	}
	return d.Directory.ServicePrincipal(ctx, token, app)
}

// A service principal that was made a moment ago may be unknown to a replica: a target of it is refused only if that stays so.
func TestATargetWhoseServicePrincipalIsNew(t *testing.T) {
	for late, refused := range map[time.Duration]bool{0: false, 5 * time.Second: false, time.Minute: true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			withParent(t, s)
			c := service(s.w)
			c.Directory = replicating{c.Directory, time.Now().Add(late)}
			in := connection.TargetInput{Target: connection.Target{ClientID: s.app.ClientID}, By: "tester"}
			_, err := c.CreateTarget(t.Context(), s.parent, in)
			if (err != nil) != refused || refused && !strings.Contains(err.Error(), "az ad sp create --id "+s.app.ClientID) {
				t.Errorf("known after %s: %v", late, err)
			}
		})
	}
}
