package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// commit applies change to rec and writes it, for the holder of the lease.
//
// When the write is refused, or nobody knows whether it happened, the row is read
// again (rule R8). If it bears this commit's id, it landed. If the lease is still
// ours, only the API can have written in between, and it writes none of what
// change writes: change is applied to the fresh row, so that no work is lost.
// Otherwise the lease is lost. change may therefore run more than once.
func (p *pass) commit(ctx context.Context, rec Record, change func(*Record), events ...Event) (Record, error) {
	return p.commitIf(ctx, rec, func(fresh *Record) bool { return fresh.Lease.Token == p.lease.Token }, change, events...)
}

// commitIf is commit under another condition than holding the lease.
func (p *pass) commitIf(ctx context.Context, rec Record, mine func(fresh *Record) bool, change func(*Record), events ...Event) (Record, error) {
	id := p.NewID()
	for try := 1; ; try++ {
		next := rec.Clone()
		next.WakeAt = p.lease.Until
		change(&next)
		next.CommitID = id
		next.Version++
		all := append(slices.Clip(events), Tell(&next, p.now())...)
		saved, err := p.save(ctx, next, all)
		if err == nil {
			return saved, nil
		}
		if errors.Is(err, ErrNewerSchema) || try == 5 || ctx.Err() != nil {
			return rec, fmt.Errorf("committing: %w", err)
		}
		if !errors.Is(err, ErrConflict) {
			if _, err := p.wait(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
				return rec, err
			}
		}
		fresh, err := p.load(ctx)
		switch {
		case err != nil:
			return rec, fmt.Errorf("reading back after a commit: %w", err)
		case fresh.CommitID == id:
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
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNewerSchema) || errors.Is(err, errNotWhole) || try == 4 || ctx.Err() != nil {
			return rec, err
		}
		if _, err := p.wait(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return rec, err
		}
	}
}

// settle is commit for a change that may leave credentials to a person; each of them
// becomes an event.
func (p *pass) settle(ctx context.Context, rec Record, change func(*Record), events ...Event) (Record, error) {
	after := rec.Clone()
	change(&after)
	for _, h := range after.ByHand[len(rec.ByHand):] {
		events = append(events, Event{Kind: EventByHand, KeyID: h.KeyID, Message: h.Reason, Notice: true})
		p.log.Error("remove by hand", "key", h.KeyID, "application", h.Target.ClientID, "reason", h.Reason)
	}
	return p.commit(ctx, rec, change, events...)
}
