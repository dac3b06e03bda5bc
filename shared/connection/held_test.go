package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/secret"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// releasing tells of what is released.
type releasing struct {
	connection.Reservations
	released []reservation.Row
}

func (r *releasing) Release(ctx context.Context, res reservation.Row) error {
	r.released = append(r.released, res)
	return r.Reservations.Release(ctx, res)
}

// unreadable can't be read from some time on.
type unreadable struct {
	connection.Records
	since *bool
}

func (u unreadable) Load(ctx context.Context, id string) (rotation.Record, error) {
	if *u.since {
		return rotation.Record{}, errLost
	}
	return u.Records.Load(ctx, id)
}

// A refused change does not release what another one has made the connection's meanwhile,
// not even for a moment, nor anything if it is unknown whether one has.
func TestNothingHeldIsReleased(t *testing.T) {
	for _, readable := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			settled(t, s)
			lost := false
			slow := service(s.w)
			seen := &releasing{Reservations: slow.Reservations}
			slow.Records = unreadable{slow.Records, &lost}
			slow.Reservations = &beforeReserving{seen, reservation.Name, func() {
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), By: "tester"}); err != nil {
					t.Error(err)
				}
				lost = !readable
			}}
			wrong := s.input().Credentials
			wrong.ClientSecret = secret.New("wrong")
			_, err := slow.Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Credentials: &wrong, By: "tester"})
			refusal(t, err, connection.Invalid, "")
			if len(seen.released) != 0 {
				t.Errorf("released are %v", seen.released)
			}
			s.holds(t, rotation.NameReservation("", "invoices", s.id))
			s.check(t)
		})
	}
}

// Of a connection that is being deleted the name is free at once. The application is not:
// what was issued for it is still being removed.
func TestTheApplicationOfADeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Break(3, rotationtest.CrashAfter) // the request, the lease, and the beginning
		service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
		s.w.Break(0, rotationtest.NoFault)
		s.w.Restart()
		if rec := mustRecord(t, s); rec.Phase != rotation.Deleting {
			t.Fatalf("phase %s", rec.Phase)
		}
		time.Sleep(time.Hour) // no pass is at it, and nothing is new any more
		in := s.input()
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
		_, err := service(s.w).Create(t.Context(), in)
		refusal(t, err, connection.Conflict, "is being deleted")
		s.claims(t, rotation.Exclusive, s.app)
		s.check(t)
	})
}
