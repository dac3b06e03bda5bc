package connection_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// What stands in the way of rotating an application is said before anything is made:
// no record, no reservation and no client secret is left of it.
func TestRefusedTargets(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(s *subject, in *connection.TargetInput)
		says    string
	}{
		"not an owner": {func(s *subject, _ *connection.TargetInput) { s.w.Own(s.app.ClientID, s.acting.ClientID, false) }, "is not an owner"},
		"no permission": {func(s *subject, _ *connection.TargetInput) {
			s.w.Change(s.acting.ClientID, func(a *rotationtest.AppSettings) { a.Roles = []string{"User.Read.All"} })
		}, "with admin consent"},
		"two applications": {func(s *subject, in *connection.TargetInput) {
			other, _, _ := s.w.AddApplication()
			in.ClientID = other.ClientID
		}, "two applications"},
		"personal accounts": {func(s *subject, _ *connection.TargetInput) {
			s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Audience = "AzureADandPersonalMicrosoftAccount" })
		}, "it has 2. Remove one"},
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
				e, ok := errors.AsType[*connection.Error](err)
				if !ok || e.Kind != connection.Invalid || !strings.Contains(e.Message, tt.says) {
					t.Errorf("got %v, want %q", err, tt.says)
				}
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
func TestTargetsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		missing := func(doing string, err error) {
			t.Helper()
			if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != connection.NotFound {
				t.Errorf("%s: %v, want that there is no such connection", doing, err)
			}
		}
		svc := service(s.w)
		if rec, err := svc.GetTarget(t.Context(), s.parent, s.id); err != nil || rec.ID != s.id {
			t.Errorf("through its connection: %v", err)
		}
		_, err := svc.GetTarget(t.Context(), "another", s.id)
		missing("through another connection", err)
		_, err = svc.Targets(t.Context(), s.id)
		missing("the targets of a target", err)
		_, err = svc.CreateTarget(t.Context(), s.id, connection.TargetInput{Target: connection.Target{ObjectID: s.app.ObjectID}})
		missing("a target of a target", err)
		s.check(t)
	})
}

// justBefore does something right before a record is created.
type justBefore struct {
	connection.Records
	do func()
}

func (j justBefore) Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	j.do()
	return j.Records.Create(ctx, rec, events...)
}

// Of a caller who adds a target and one who deletes the connection at the same time, the API
// refuses one, wherever the one is when the other comes.
func TestDeletingWhileATargetIsAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		var deleted error
		adding := service(s.w)
		adding.Records = justBefore{adding.Records, func() {
			_, deleted = service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{By: "tester"})
		}}
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
