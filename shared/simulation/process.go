package simulation

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// process is one process of Rekey.
type process struct {
	w        *scene
	name     string
	instance int
	skew     time.Duration
	svc      *service
	ctx      context.Context
	cancel   context.CancelFunc

	mu   sync.Mutex
	ids  int
	dead bool
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// newID returns an id that names the process, of which the first ten characters are unique.
func (p *process) newID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids++
	return fmt.Sprintf("%s%05dX%08X", p.name, p.ids, uint32(mix(p.w.h.Seed^uint64(p.ids)<<20)))
}

// boot starts a process of an instance.
func (w *scene) boot(i int) *process {
	w.mu.Lock()
	w.started++
	p := &process{w: w, name: fmt.Sprintf("P%03d", w.started), instance: i}
	w.mu.Unlock()
	if n := w.h.Instances; n > 1 {
		p.skew = w.h.Skew*time.Duration(i)/time.Duration(n-1) - w.h.Skew/2 + time.Duration(17*(i+1))
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.svc = newService(p, w.log)
	w.mu.Lock()
	w.running[i] = p
	w.mu.Unlock()
	return p
}

// crash ends a process: none of its calls reaches a service any more.
func (w *scene) crash(p *process) {
	w.mu.Lock()
	if w.running[p.instance] == p {
		w.running[p.instance] = nil
	}
	w.disturb(6 * minute) // a lease has to end
	w.trace("%s crashes", p.name)
	w.mu.Unlock()
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.cancel()
}

// instance runs the timer of an instance, and starts a process after each crash.
func (w *scene) instance(i int) {
	w.mu.Lock()
	p := w.running[i]
	w.mu.Unlock()
	defer func() { p.cancel() }()
	for {
		if p != nil && !w.timer(p) || w.tired() {
			return
		}
		time.Sleep(5*time.Second + time.Duration(w.draw("restart", i)%uint64(3*minute)))
		p = w.boot(i)
	}
}

// timer sweeps once a minute while anything is due, and once a week. False: the history is over.
func (w *scene) timer(p *process) bool {
	for {
		fire := time.After(time.Until(w.tick(p)))
		select {
		case <-w.end:
			return false
		case <-w.cut:
			return false
		case <-p.ctx.Done():
			return true
		case <-w.pokes[p.instance]:
			continue
		case <-fire:
		}
		ctx, cancel := context.WithTimeout(p.ctx, 9*minute+time.Duration(p.instance+1)*7)
		p.svc.sweep(onBehalf(ctx, "timer"))
		cancel()
	}
}

// tick is when the timer of p fires next so that it finds anything: what is due, or else
// history that is too old, once a week.
func (w *scene) tick(p *process) time.Time {
	from := time.Now()
	due, ok := w.world.NextDue()
	if week := from.Add(7 * day); !ok || due.After(week) {
		due = week
	}
	if due = due.Add(-p.skew); due.After(from) {
		from = due
	}
	offset := time.Duration(p.instance)*19*time.Second + time.Duration(101+7*p.instance)
	at := w.began.Add(from.Sub(w.began).Truncate(minute) + offset)
	for !at.After(time.Now()) || at.Before(from) {
		at = at.Add(minute)
	}
	return at
}

// poke lets the timers look again at what is due. The lock is held.
func (w *scene) poke() {
	for _, c := range w.pokes {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
