package functionshost

import (
	"context"
	"log/slog"
	"time"
)

// longestWait bounds one wait, so that a machine that slept, or whose clock was
// set, is noticed.
const longestWait = time.Minute

// ticker runs one timer function by its schedule, one invocation at a time.
type ticker struct {
	name     string
	trigger  *timerTrigger
	statuses *statusFile
	now      func() time.Time
	log      *slog.Logger
	// invoke carries out one invocation and returns when it is over.
	invoke func(ctx context.Context, status *scheduleStatus, pastDue bool)
}

func (h *Host) ticker(f *function) *ticker {
	return &ticker{
		name: f.name, trigger: f.timer, statuses: h.statuses, now: h.config.Now, log: h.log,
		invoke: func(ctx context.Context, status *scheduleStatus, pastDue bool) {
			h.invokeTimer(ctx, f, status, pastDue)
		},
	}
}

// run ticks until ctx ends. Ticks that fall into a running invocation are
// skipped, and none is repeated when it fails: TimerListener.
func (t *ticker) run(ctx context.Context) {
	at := t.now()
	switch pastDue := t.trigger.monitored && t.pastDue(at); {
	case pastDue:
		t.tick(ctx, at, true)
	case t.trigger.runOnStartup:
		t.tick(ctx, at, false)
	}
	for {
		from := t.now()
		if from.Before(at) {
			from = at // the clock is behind the tick it was just asked for
		}
		next := t.trigger.schedule.Next(from)
		if next.IsZero() || !t.wait(ctx, next) {
			return
		}
		at = next
		if now := t.now(); now.After(at) {
			at = now
		}
		t.tick(ctx, at, false)
	}
}

// tick runs one invocation and then notes it, whether it succeeded or not.
func (t *ticker) tick(ctx context.Context, at time.Time, pastDue bool) {
	t.invoke(ctx, t.status(), pastDue)
	if t.trigger.monitored && ctx.Err() == nil {
		t.save(scheduleStatus{Last: netTime{at}, Next: netTime{t.trigger.schedule.Next(at)}, LastUpdated: netTime{at}})
	}
}

// status is what an invocation is told; nil if the schedule is not monitored.
func (t *ticker) status() *scheduleStatus {
	if !t.trigger.monitored {
		return nil
	}
	status, _ := t.statuses.get(t.name)
	return &status
}

// pastDue reports whether a tick was missed since the status was written. A
// schedule that was changed since then counts from now on; a timer without a
// status gets one. Source: ScheduleMonitor.CheckPastDueAsync.
func (t *ticker) pastDue(now time.Time) bool {
	schedule := t.trigger.schedule
	status, ok := t.statuses.get(t.name)
	if !ok {
		t.save(scheduleStatus{Next: netTime{schedule.Next(now)}, LastUpdated: netTime{now}})
		return false
	}
	from := status.LastUpdated
	if !status.Last.IsZero() {
		from = status.Last
	}
	expected := schedule.Next(from.Time)
	if !status.Next.Equal(expected) {
		if now.After(expected) {
			from, expected = netTime{now}, schedule.Next(now)
		}
		t.save(scheduleStatus{Next: netTime{expected}, LastUpdated: from})
	}
	return now.After(expected)
}

func (t *ticker) save(status scheduleStatus) {
	if err := t.statuses.set(t.name, status); err != nil {
		t.log.Error("a timer's status is lost", "function", t.name, "error", err)
	}
}

// wait returns true at until, false when ctx ends before.
func (t *ticker) wait(ctx context.Context, until time.Time) bool {
	for {
		left := until.Sub(t.now())
		if left <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(min(left, longestWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}
