package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// A deletion looks for the targets of the connection before it writes. It finds a target
// that was added since all the same, because adding it has written the connection, too.
func TestATargetIsAddedWhileItsConnectionIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		var added error
		deleting := service(s.w)
		deleting.Records = &beforeCommit{deleting.Records, func() { added = s.addTarget(t) }}
		_, err := deleting.Delete(t.Context(), s.parent, connection.DeleteOptions{Revoke: true})
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
