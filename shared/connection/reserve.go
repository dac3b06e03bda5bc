package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/shared/claim"
	"rekey/shared/reservation"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// free looks whether what has to be unique is free, before another service is asked.
// Only reserving and claiming decides. A connection that is inspected may have no name yet.
func (s *Service) free(ctx context.Context, rec *rotation.Record) error {
	for _, res := range slices.Backward(rec.Reservations()) { // a name says more than what the vault has
		if res.Kind.Shared() || res.Kind == reservation.Name && rec.Name == "" {
			continue
		}
		holder, err := s.Reservations.Find(ctx, res.Kind, res.Value)
		if errors.Is(err, serviceerror.ErrNotFound) {
			continue
		}
		if err != nil {
			return s.explainStore(ctx, "looking for other connections", err)
		}
		void, err := s.void(ctx, holder)
		if err != nil {
			return s.explainStore(ctx, "looking for other connections", err)
		}
		if !void {
			return s.taken(ctx, rec, holder)
		}
	}
	return s.unclaimed(ctx, rec)
}

// unclaimed looks whether another connection is in the way of what rec does with its application (rule R11).
func (s *Service) unclaimed(ctx context.Context, rec *rotation.Record) error {
	claims := s.claims()
	claims.Store = unwritten{claims.Store}
	if err := claims.Look(ctx, s.newClaims(rec, rec.Uses()...)...); err != nil {
		return s.explainClaim(ctx, err)
	}
	return nil
}

// unwritten leaves void claims to those who take one: looking is no write.
type unwritten struct{ claim.Store }

func (unwritten) Void(context.Context, rotation.ClaimRow) error { return nil }

// reserve reserves everything, or nothing.
func (s *Service) reserve(ctx context.Context, rec *rotation.Record) error {
	all := rec.Reservations()
	for i, res := range all {
		err := s.Reservations.Reserve(ctx, res, s.void)
		if err == nil {
			continue
		}
		s.release(ctx, all[:i+1]) // the one that failed may have been made all the same
		if errors.Is(err, serviceerror.ErrExists) {
			return taken(rec, res.Kind)
		}
		return s.explainStore(ctx, "reserving the connection's names", err)
	}
	return nil
}

// release gives reservations up; one that can't be becomes void by itself.
func (s *Service) release(ctx context.Context, made []reservation.Row) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Rotator.Rules.CallTimeout)
	defer cancel()
	for _, res := range made {
		if err := s.Reservations.Release(ctx, res); err != nil {
			s.log().WarnContext(ctx, "releasing a reservation", "kind", string(res.Kind), "reason", err.Error())
		}
	}
}

// void reports whether nothing needs a reservation any more: its connection is
// gone, or holds another value by now.
func (s *Service) void(ctx context.Context, held reservation.Row) (bool, error) {
	rec, err := s.Records.Load(ctx, held.Owner)
	if errors.Is(err, serviceerror.ErrNotFound) {
		// Perhaps its creator has reserved and not written the row yet.
		return s.Rotator.Clock().Sub(held.At) > coming, nil
	}
	if err != nil {
		return false, err
	}
	return !rec.Holds(held) || rec.Phase == rotation.Deleting && held.Kind == reservation.Name, nil
}

// taken says what is in the way, and whether it is about to go.
func (s *Service) taken(ctx context.Context, rec *rotation.Record, held reservation.Row) error {
	if other, err := s.Records.Load(ctx, held.Owner); held.Kind == reservation.Vault && err == nil && other.Gone() {
		return &Error{
			Kind: Conflict, RetryAfter: 15 * time.Minute,
			Message: "A connection that has the Key Vault secret is being deleted, " +
				"and what it has issued is being removed, which takes some minutes. Try again then.",
		}
	}
	return taken(rec, held.Kind)
}

func taken(rec *rotation.Record, kind reservation.Kind) error {
	if kind == reservation.Name {
		return invalid("An App Connection with the name %q already exists. Choose another name.", rec.Name)
	}
	return nameTaken("The Key Vault secret %q is used by another connection or target. Choose another vaultSecretName.", rec.VaultName)
}

func nameTaken(format string, args ...any) error {
	return &Error{Kind: Taken, Message: fmt.Sprintf(format, args...)}
}

// giveBack releases what a change has reserved, or needs no longer, except what the
// connection holds by now: another change may have reserved the same.
func (s *Service) giveBack(ctx context.Context, id string, list []reservation.Row) {
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.Rotator.Rules.CallTimeout)
	defer cancel()
	rec, err := s.Records.Load(ctx, id)
	if err != nil {
		return // they become void by themselves
	}
	free := slices.DeleteFunc(slices.Clone(list), func(res reservation.Row) bool { return rec.Holds(res) })
	s.release(ctx, free)
	if rec, err = s.Records.Load(ctx, id); err == nil {
		s.reaffirm(ctx, &rec, slices.DeleteFunc(free, func(res reservation.Row) bool { return !rec.Holds(res) }))
	}
}

// reaffirm reserves once more what a change has made the connection's: one that failed at
// the same time may have given it back before this one was written.
func (s *Service) reaffirm(ctx context.Context, rec *rotation.Record, reserved []reservation.Row) {
	for _, res := range reserved {
		if err := s.Reservations.Reserve(ctx, res, s.void); err != nil {
			s.log().ErrorContext(ctx, "a reservation was lost to another connection", "connection", rec.ID,
				"kind", string(res.Kind), "reason", err.Error())
		}
	}
}
