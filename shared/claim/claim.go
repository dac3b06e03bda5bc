// Package claim gives connections the use of applications (rule R11).
//
// Whatever removes a client secret of an application has the exclusive claim on it; what
// signs in with one has a shared claim. A claim is a row of the table: [Claims.Take] writes
// the row first and looks for others afterwards, so that of two callers at once at least one
// sees the other. One that loses withdraws its row. Of two that see each other before a
// record lists either row, the one with the smaller owner's id waits for the other to
// withdraw: both losing would tell two callers to try again at the same time. The caller
// lists the claim on its record in the commit that makes the record need it.
//
// A row has an id of its own and is written once. So a removal that comes late, or that is
// of a request which failed, never takes away what another request has claimed.
//
// A row is void if it is older than [VoidAfter] and the record of its owner is missing or
// does not list it: its request is over, and has not come to anything. Then the next look
// that it would exclude removes it.
package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// VoidAfter is how old a row is for certain when the commit that would list it can't land
// any more: a request ends within the time of a lease, and a write lands at most ten minutes
// after it was sent.
const VoidAfter = 20 * time.Minute

// A caller waits for another one to withdraw for patience at most, and only if the row of
// that one is young: a caller that still runs has written its row within the last minute.
const (
	patience = 10 * time.Second
	young    = time.Minute
	interval = 200 * time.Millisecond
)

// Store keeps the rows. It is strongly consistent.
type Store interface {
	// Claim writes a row. One with its id that is there already is the same.
	Claim(ctx context.Context, row rotation.ClaimRow) error
	// ClaimsOf returns every claim on an application, in no order.
	ClaimsOf(ctx context.Context, app string) ([]rotation.ClaimRow, error)
	// Unclaim removes a row. No error if there is none.
	Unclaim(ctx context.Context, row rotation.ClaimRow) error
	// Void removes a row as [Store.ClaimsOf] has returned it; [serviceerror.ErrConflict] if
	// it was renewed since. No error if there is none.
	Void(ctx context.Context, row rotation.ClaimRow) error
}

// Records reads the records of owners.
type Records interface {
	Load(ctx context.Context, id string) (rotation.Record, error)
}

// Claims takes claims. Its fields are set once.
type Claims struct {
	Store   Store
	Records Records
	Now     func() time.Time
}

// TakenError says that another connection's claim excludes one.
type TakenError struct {
	Mine, Theirs rotation.ClaimRow
	// Holder is the record that lists Theirs; nil if none does yet.
	Holder *rotation.Record
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("the %s claim on an application is excluded by the %s claim of another connection", e.Mine.Kind, e.Theirs.Kind)
}

// Take claims all of rows, or none. A [*TakenError] says what is in the way. After another
// error rows may be left, which become void by themselves.
func (c Claims) Take(ctx context.Context, rows ...rotation.ClaimRow) error {
	for _, row := range rows {
		if err := c.Store.Claim(ctx, row); err != nil {
			return errors.Join(fmt.Errorf("writing a claim: %w", err), c.Withdraw(ctx, rows...))
		}
	}
	if err := c.await(ctx, rows); err != nil {
		return errors.Join(err, c.Withdraw(ctx, rows...))
	}
	return nil
}

// await looks until nothing excludes rows, or something does that will not withdraw for them.
func (c Claims) await(ctx context.Context, rows []rotation.ClaimRow) error {
	start := c.Now()
	for {
		err := c.Look(ctx, rows...)
		taken, ok := errors.AsType[*TakenError](err)
		if !ok || !c.withdraws(taken) || c.Now().Sub(start) >= patience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(interval):
		}
	}
}

// withdraws reports whether the other caller is going to withdraw as soon as it looks.
func (c Claims) withdraws(e *TakenError) bool {
	return e.Holder == nil && e.Mine.Owner < e.Theirs.Owner && c.Now().Sub(e.Theirs.At) < young
}

// Withdraw removes rows that no record lists.
func (c Claims) Withdraw(ctx context.Context, rows ...rotation.ClaimRow) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	var all error
	for _, row := range rows {
		if err := c.Store.Unclaim(ctx, row); err != nil {
			all = errors.Join(all, fmt.Errorf("withdrawing a claim: %w", err))
		}
	}
	return all
}

// Look reports whether any of rows is excluded, as Take does, and writes nothing but the
// removal of void rows. Of several that exclude one it names one that is not going to withdraw.
func (c Claims) Look(ctx context.Context, rows ...rotation.ClaimRow) error {
	seen := map[string][]rotation.ClaimRow{}
	var passing error
	for _, mine := range rows {
		others, ok := seen[mine.App]
		if !ok {
			var err error
			if others, err = c.Store.ClaimsOf(ctx, mine.App); err != nil {
				return fmt.Errorf("looking for claims: %w", err)
			}
			// What rotates the application says more than that it also signs in with it.
			slices.SortFunc(others, func(a, b rotation.ClaimRow) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
			seen[mine.App] = others
		}
		for _, theirs := range others {
			if !mine.Excludes(theirs) {
				continue
			}
			err := c.stands(ctx, mine, theirs)
			if taken, ok := errors.AsType[*TakenError](err); ok && c.withdraws(taken) {
				passing = err
			} else if err != nil {
				return err
			}
		}
	}
	return passing
}

// stands returns an error if theirs is not void.
func (c Claims) stands(ctx context.Context, mine, theirs rotation.ClaimRow) error {
	taken := &TakenError{Mine: mine, Theirs: theirs}
	rec, err := c.Records.Load(ctx, theirs.Owner)
	switch {
	case errors.Is(err, serviceerror.ErrNewerSchema):
		return taken // what it lists is not known
	case err != nil && !errors.Is(err, serviceerror.ErrNotFound):
		return fmt.Errorf("reading the owner of a claim: %w", err)
	case err == nil && rec.Lists(theirs.Claim):
		taken.Holder = &rec
		return taken
	case c.Now().Sub(theirs.At) <= VoidAfter:
		return taken
	}
	err = c.Store.Void(ctx, theirs)
	if errors.Is(err, serviceerror.ErrConflict) {
		return taken // renewed since the look
	}
	if err != nil {
		return fmt.Errorf("removing a void claim: %w", err)
	}
	return nil
}
