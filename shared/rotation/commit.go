package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/shared/serviceerror"
)

// commit applies change to rec and writes it, for the holder of the lease.
//
// When the write is refused, or nobody knows whether it happened, the row is read
// again (rule R8). If it bears this commit's id, it landed. If the lease is still
// ours, only the API can have written in between, and it writes none of what
// change writes: change is applied to the fresh row, so that no work is lost.
// Otherwise the lease is lost. change may therefore run more than once.
//
// Each credential that change leaves to a person becomes an event and is logged, and the
// list of them is kept short ([MaxByHand]).
func (p *pass) commit(ctx context.Context, rec Record, change func(*Record), events ...Event) (Record, error) {
	return p.commitTold(ctx, rec, func(rec *Record) []Event {
		change(rec)
		return slices.Clone(events)
	})
}

// commitTold is commit for a change that says itself what happened.
func (p *pass) commitTold(ctx context.Context, rec Record, change func(*Record) []Event) (Record, error) {
	return p.commitIf(ctx, rec, func(fresh *Record) bool { return fresh.Lease.Token == p.lease.Token }, change)
}

// commitIf is commitTold under another condition than holding the lease.
func (p *pass) commitIf(ctx context.Context, rec Record, mine func(fresh *Record) bool, change func(*Record) []Event) (Record, error) {
	id := p.NewID()
	for try := 1; ; try++ {
		next := rec.Clone()
		next.WakeAt = p.lease.Until
		events := change(&next)
		left := slices.Clone(next.ByHand[len(rec.ByHand):])
		for _, h := range left {
			events = append(events, Event{Kind: EventByHand, KeyID: h.KeyID, Message: h.Reason, Notice: true})
		}
		next.ByHand = next.ByHand[max(0, len(next.ByHand)-MaxByHand):]
		next.CommitID = id
		next.Version++
		saved, err := p.save(ctx, next, append(events, Tell(&next, p.now())...))
		if err == nil {
			p.logByHand(left)
			return saved, nil
		}
		if errors.Is(err, serviceerror.ErrNewerSchema) || try == 5 || ctx.Err() != nil {
			return rec, fmt.Errorf("committing: %w", err)
		}
		if !errors.Is(err, serviceerror.ErrConflict) {
			if _, err := p.wait(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
				return rec, err
			}
		}
		fresh, err := p.load(ctx)
		switch {
		case err != nil:
			return rec, fmt.Errorf("reading back after a commit: %w", err)
		case fresh.CommitID == id:
			p.logByHand(left)
			return fresh, nil
		case !mine(&fresh):
			return fresh, ErrLeaseLost
		}
		rec = fresh
	}
}

func (p *pass) save(ctx context.Context, rec Record, events []Event) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Rules.CallTimeout)
	defer cancel()
	now := p.now()
	for i := range events {
		if events[i].At.IsZero() {
			events[i].At = now
		}
	}
	return p.Store.Commit(ctx, rec, events...)
}

// load reads the record, twice if need be: reading is free of risk.
func (p *pass) load(ctx context.Context) (Record, error) {
	for try := 1; ; try++ {
		cctx, cancel := context.WithTimeout(ctx, p.Rules.CallTimeout)
		rec, err := p.Store.Load(cctx, p.id)
		cancel()
		if err == nil {
			err = rec.whole()
		}
		if err == nil || errors.Is(err, serviceerror.ErrNotFound) || errors.Is(err, serviceerror.ErrNewerSchema) || errors.Is(err, errNotWhole) || try == 4 || ctx.Err() != nil {
			return rec, err
		}
		if _, err := p.wait(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return rec, err
		}
	}
}

func (p *pass) logByHand(left []ByHand) {
	for _, h := range left {
		p.log.Error("remove by hand", "key", h.KeyID, "application", h.Target.ClientID, "reason", h.Reason)
	}
}
