package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
)

// pass is one pass: it holds the lease of one tenant.
type pass struct {
	*Scanner
	id     string
	lease  rotation.Lease
	end    time.Time // of the last commit
	stop   time.Time // of everything else
	logger *slog.Logger

	t     inventory.Tenant // as it is stored
	calls int              // requests to the directory that no commit has counted yet
	rows  int              // rows likewise
	wake  time.Time        // when what failed is to be tried again; zero: nothing has to wait

	token rotation.Token
	seen  *survey // what is missing, once it is known
	known *known  // the managers, once they are read
	died  bool    // the pass before
	// written is how many parts are known to be written.
	written int
}

var (
	// errNoTime says that the rest is the next pass's.
	errNoTime = errors.New("no time left in this pass")
	// errAgain says that the tenant is another one than a step was planned for.
	errAgain = errors.New("the tenant has changed since the step was planned")
	// errIdle says that there is nothing to do.
	errIdle = errors.New("nothing to do")
)

const (
	// lastCommit is what a pass keeps of its time to give its lease back.
	lastCommit = 5 * time.Second
	// least is how much time is left for a pass that is worth its lease.
	least = time.Second
	// tries is how often the store is asked for the same.
	tries = 5
)

// work is the whole pass.
func (p *pass) work(ctx context.Context) error {
	start := p.now()
	p.lease = rotation.Lease{Token: p.newID(), Until: start.Add(p.Rules.Lease)}
	if last := p.lease.Until.Add(-p.Rules.Skew); last.Before(p.end) {
		p.end = last
	}
	left := p.end.Sub(start)
	if left < least {
		return nil
	}
	p.stop = p.end.Add(-min(lastCommit, left/4))
	err := p.take(ctx)
	if errors.Is(err, errIdle) {
		return nil
	}
	if err == nil {
		err = p.run(ctx)
	}
	if err == nil || errors.Is(err, errNoTime) {
		err = p.release(context.WithoutCancel(ctx))
	}
	if errors.Is(err, errNoTime) { // another pass gets it when it has run out
		err = rotator.ErrLeaseLost
	}
	p.report(start, err)
	return err
}

// report logs what the pass has done.
func (p *pass) report(start time.Time, err error) {
	if errors.Is(err, rotator.ErrLeased) || p.t.Scan == nil {
		return
	}
	sc := p.t.Scan
	attrs := []any{"scan", sc.ID, "phase", string(sc.Phase), "list", string(sc.List), "pages", sc.Pages, "part", sc.Part, "parts", sc.Parts,
		"calls", sc.Calls, "rows", sc.Rows, "duration", p.now().Sub(start)}
	switch {
	case err != nil:
		p.logger.Warn("scan", append(attrs, "outcome", "stopped", "reason", err.Error())...)
	case sc.Problem != nil:
		p.logger.Warn("scan", append(attrs, "outcome", "failed", "class", string(sc.Problem.Class), "reason", sc.Problem.Message,
			"retryAt", p.t.WakeAt)...)
	default:
		p.logger.Info("scan", append(attrs, "outcome", "ok")...)
	}
}

// take takes the lease, and begins the daily scan in the same commit if it is due.
func (p *pass) take(ctx context.Context) error {
	for try := 1; ; try++ {
		t, err := p.load(ctx)
		now := p.now()
		switch {
		case errors.Is(err, serviceerror.ErrNotFound):
			return errIdle
		case err != nil:
			return err
		case t.Lease.Token == p.lease.Token: // an answer was lost
			p.t = t
			return nil
		case p.Rules.Taken(now, t.Lease):
			return rotator.ErrLeased
		case !due(now, &t):
			return errIdle
		}
		p.died = t.Lease.Token != ""
		next := t
		if !underWay(&t) && !now.Before(scheduled(&t)) {
			next.Scan = p.newScan(&t, now, rotation.OnSchedule)
		}
		next.Lease, next.WakeAt = p.lease, p.lease.Until
		p.t, err = p.write(ctx, p.stop, next, Write{})
		switch {
		case err == nil:
			return nil
		case try == tries:
			return fmt.Errorf("taking the lease: %w", err)
		case !errors.Is(err, serviceerror.ErrConflict):
			if err := p.sleep(ctx, pause(try)); err != nil {
				return err
			}
		}
	}
}

// due reports whether a pass has anything to do.
func due(now time.Time, t *inventory.Tenant) bool {
	return underWay(t) || t.Lease.Token != "" || !t.WakeAt.IsZero() && !now.Before(t.WakeAt)
}

// run does step after step until none is left.
func (p *pass) run(ctx context.Context) error {
	began := underWay(&p.t)
	if sc := p.t.Scan; sc != nil {
		p.written = max(0, sc.Part-1) // of the last part that was decided the rows may not all be there
	}
	for {
		if !p.now().Before(p.stop) || ctx.Err() != nil {
			return errNoTime
		}
		var err error
		switch sc := p.t.Scan; {
		case !underWay(&p.t):
			p.ended(ctx, began)
			return nil
		case sc.Phase == inventory.Writing:
			err = p.writeRows(ctx)
		case sc.List == inventory.Policy:
			err = p.readPolicy(ctx)
		case sc.List == inventory.Missing:
			err = p.lookForMissing(ctx)
		default:
			err = p.readPage(ctx)
		}
		if err != nil && !errors.Is(err, errAgain) {
			return err
		}
	}
}

// release gives the lease back and says when the tenant has to be woken.
func (p *pass) release(ctx context.Context) error {
	p.stop = p.end
	for {
		now := p.now()
		next := p.next()
		next.Lease, next.WakeAt = rotation.Lease{}, p.wakeAfter(now)
		w := Write{}
		if !now.Before(overdue(&p.t)) {
			next.Told, w.Notice = true, failure(now, &p.t)
		}
		if underWay(&next) {
			next.WakeAt = earlier(next.WakeAt, overdue(&next))
		}
		if err := p.commit(ctx, next, w); !errors.Is(err, errAgain) {
			return err
		}
	}
}

// wakeAfter is when the tenant has to be woken after this pass.
func (p *pass) wakeAfter(now time.Time) time.Time {
	switch {
	case !underWay(&p.t):
		return wakeIdle(&p.t)
	case p.wake.After(now):
		return p.wake
	}
	return now
}

// next is a copy of the tenant to be changed and committed.
func (p *pass) next() inventory.Tenant {
	next := p.t
	if p.t.Scan != nil {
		sc := *p.t.Scan
		sc.Unread = slices.Clone(sc.Unread)
		next.Scan = &sc
	}
	return next
}

// commit writes next, which comes from [pass.next]. If it was refused because another writer was
// first, or its outcome is unknown, the tenant is read again: with errAgain the step has to be
// planned on what is stored by now. So no commit ever overwrites what it does not know, and a
// pass that has lost its lease stops.
func (p *pass) commit(ctx context.Context, next inventory.Tenant, w Write) error {
	if next.Scan != nil {
		next.Scan.Calls += p.calls
		next.Scan.Rows += p.rows
	}
	for try := 1; ; try++ {
		saved, err := p.write(ctx, p.stop, next, w)
		if err == nil {
			p.t, p.calls, p.rows = saved, 0, 0
			return nil
		}
		if try == tries {
			return fmt.Errorf("committing: %w", err)
		}
		conflict := errors.Is(err, serviceerror.ErrConflict)
		if !conflict {
			if err := p.sleep(ctx, pause(try)); err != nil {
				return err
			}
		}
		fresh, err := p.load(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("reading back after a commit: %w", err)
		case next.Lease.Token == "" && fresh.Lease.Token == "": // it has happened
			p.t = fresh
			return nil
		case fresh.Lease.Token != p.lease.Token:
			return rotator.ErrLeaseLost
		case fresh.Version != p.t.Version || conflict:
			if !conflict { // it has happened, as a rule
				p.calls, p.rows = 0, 0
			}
			p.t = fresh
			return errAgain
		}
	}
}

// write commits t within its time.
func (p *pass) write(ctx context.Context, stop time.Time, t inventory.Tenant, w Write) (inventory.Tenant, error) {
	ctx, cancel := p.within(ctx, stop)
	defer cancel()
	t.Version++
	return p.Store.Commit(ctx, t, w)
}

// load reads the tenant.
func (p *pass) load(ctx context.Context) (t inventory.Tenant, err error) {
	err = p.insist(ctx, func(ctx context.Context) (err error) {
		t, err = p.Store.Tenant(ctx, p.id)
		return err
	})
	if err != nil {
		return t, fmt.Errorf("reading the tenant: %w", err)
	}
	return t, nil
}

// insist asks the store for something, again if need be, that does no harm when it is done twice.
func (p *pass) insist(ctx context.Context, do func(context.Context) error) error {
	return p.insistLong(ctx, func(ctx context.Context) error {
		ctx, cancel := p.within(ctx, p.stop)
		defer cancel()
		return do(ctx)
	})
}

// insistLong is insist for what takes many calls: it has all the time that the pass has.
func (p *pass) insistLong(ctx context.Context, do func(context.Context) error) error {
	for try := 1; ; try++ {
		cctx, cancel := context.WithTimeout(ctx, max(0, p.stop.Sub(p.now())))
		err := p.cut(ctx, do(cctx))
		cancel()
		if err == nil || errors.Is(err, errNoTime) || errors.Is(err, serviceerror.ErrNotFound) || try == tries {
			return err
		}
		if err := p.sleep(ctx, pause(try)); err != nil {
			return err
		}
	}
}

// within is a context for a call that ends by stop (rule R2).
func (p *pass) within(ctx context.Context, stop time.Time) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, min(p.Rules.CallTimeout, max(0, stop.Sub(p.now()))))
}

// sleep waits for d. A wait that would end behind the time of the pass ends it at once.
func (p *pass) sleep(ctx context.Context, d time.Duration) error {
	if !p.now().Add(d).Before(p.stop) {
		return errNoTime
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errNoTime
	}
}

// pause is how long to wait before the store is asked again.
func pause(try int) time.Duration { return min(time.Duration(try)*200*time.Millisecond, 2*time.Second) }

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
