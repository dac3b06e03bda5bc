package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/shared/claim"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// errOvertaken says that a change does not fit what the connection has become meanwhile.
var errOvertaken = &Error{
	Kind: Conflict, RetryAfter: 10 * time.Second,
	Message: "Another request has changed the connection meanwhile. Read it again, and repeat the change.",
}

func (s *Service) claims() claim.Claims {
	return claim.Claims{Store: s.Claims, Records: s.Records, Now: s.Rotator.Clock}
}

// newClaims returns the rows of claims that rec has not listed; rec is as it is going to be.
func (s *Service) newClaims(rec *rotation.Record, wanted ...rotation.Claim) (rows []rotation.ClaimRow) {
	for _, c := range wanted {
		c.ID = s.Rotator.NewID()
		row := rec.ClaimRow(c)
		row.At = s.Rotator.Clock()
		rows = append(rows, row)
	}
	return rows
}

// claim takes what rec must have claimed and has not, all of it or nothing.
func (s *Service) claim(ctx context.Context, rec *rotation.Record, wanted ...rotation.Claim) ([]rotation.ClaimRow, error) {
	rows := s.newClaims(rec, wanted...)
	if err := s.claims().Take(ctx, rows...); err != nil {
		return nil, s.explainClaim(ctx, err)
	}
	return rows, nil
}

// listClaims adds the new claims to rec and drops those that it needs no more, in the
// callback of a commit. was is rec before the change. If the change makes rec need a claim
// that was not taken, another writer has changed the record since, and the answer is
// errOvertaken.
func (s *Service) listClaims(was, rec *rotation.Record, rows []rotation.ClaimRow) error {
	rec.AddClaims(rows)
	rec.DropClaims()
	if len(moreToClaim(was, rec)) > 0 {
		return errOvertaken
	}
	return nil
}

// moreToClaim lists what next needs and has not claimed, and rec does not need.
func moreToClaim(rec, next *rotation.Record) []rotation.Claim {
	missing := rec.Unclaimed()
	return slices.DeleteFunc(next.Unclaimed(), func(c rotation.Claim) bool { return slices.Contains(missing, c) })
}

// unclaimUnlisted withdraws the claims of a commit that rec does not list: it was refused, or had
// nothing to write. Where its outcome is not known they stay: it may land yet.
func (s *Service) unclaimUnlisted(ctx context.Context, rec *rotation.Record, rows []rotation.ClaimRow, err error) {
	if err != nil && errors.Is(err, errUnknown) {
		return
	}
	s.unclaim(ctx, slices.DeleteFunc(slices.Clone(rows), func(row rotation.ClaimRow) bool { return err == nil && rec.Lists(row.Claim) }))
}

// unclaim removes claims that no record lists, or that one has dropped. What fails here
// becomes void by itself.
func (s *Service) unclaim(ctx context.Context, rows []rotation.ClaimRow) {
	if err := s.claims().Withdraw(ctx, rows...); err != nil {
		s.log().WarnContext(ctx, "removing claims", "class", string(serviceerror.ClassOf(err)))
	}
}

// explainClaim says what is in the way of a claim, as far as the caller can know that.
func (s *Service) explainClaim(ctx context.Context, err error) error {
	taken, ok := errors.AsType[*claim.TakenError](err)
	if !ok {
		return s.explainStore(ctx, "claiming the application", err)
	}
	e, named := &Error{Kind: Conflict}, ""
	if taken.Holder != nil {
		named = fmt.Sprintf("%q (%s)", taken.Holder.Title(), taken.Holder.ID)
		if via := taken.Holder.Via; via != "" && via != taken.Mine.Via {
			named = fmt.Sprintf("the target %s of the connection %s", named, via)
		}
	}
	switch other := taken.Holder; {
	case other == nil:
		e.Message = "Another connection of this application is being created or changed. Try again in a minute."
		e.RetryAfter = time.Minute
	case other.Gone():
		e.Message = "A connection of this application is being deleted, " +
			"and what it has issued is being removed, which takes some minutes. Try again then."
		e.RetryAfter = 15 * time.Minute
	case taken.Theirs.Kind == rotation.Shared:
		e.Message = "Another connection authenticates with this application: " + named + ". What is removed here could be its client secret. " +
			"Rotate the application through that connection, or delete that one first."
	case !other.Rotates() || other.Target.Key() != taken.Theirs.App && removesOf(other, taken.Theirs.App):
		e.Message = "Another connection still has to remove client secrets of this application: " + named + ". Wait until none of them is " +
			"listed as retiring there, or end their grace periods by an emergency rotation of that connection."
		e.RetryAfter = time.Hour
	case other.Via != "" && other.Via == taken.Mine.Via:
		e.Message = "It is already a target of this connection: " + named + ". Change that one, or delete it first."
	case taken.Mine.Kind == rotation.Shared:
		e.Message = "Another connection rotates the client secrets of this application: " + named + ". So nothing may authenticate with one " +
			"that has to last. Use what that one publishes, or another application, or end that rotation first."
	default:
		e.Message = "Another connection rotates this application already: " + named + ". An application is rotated by one connection " +
			"only: use that one, or delete it first."
	}
	return e
}

// removesOf reports whether a connection has client secrets of an application to remove. One
// that rotates and has none is going over to the application.
func removesOf(rec *rotation.Record, app string) bool {
	return slices.ContainsFunc(rec.Removals, func(m rotation.Removal) bool { return m.Target.Key() == app })
}
