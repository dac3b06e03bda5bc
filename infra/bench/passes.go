package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey/shared/app"
	"rekey/shared/config"
	"rekey/shared/emulator/crowd"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/stack"
	"rekey/shared/emulator/table"
)

// rig is Rekey in this process over emulated services whose calls are counted.
type rig struct {
	*stack.Stack
	app   *app.App
	env   []string
	dir   string
	delay time.Duration

	mu    sync.Mutex
	calls map[string]int
}

// impatient are gates that add next to nothing, so that what is measured is calls.
var impatient = []string{
	"REKEY_VERIFY_SPACING=1ms", "REKEY_VERIFY_MIN_AGE=1ms", "REKEY_VERIFY_MIN_AGE_FIRST=1ms", "REKEY_REVOKE_MIN_AGE=1ms",
	"REKEY_SETTLE_SPACING=1ms", "REKEY_SETTLE_MIN_AGE=1ms", "REKEY_LATE_WRITE=1ms",
}

func newRig(delay time.Duration) (*rig, error) {
	dir, err := os.MkdirTemp("", "rekey-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	s, err := stack.Start(stack.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	r := &rig{Stack: s, dir: dir, env: append(s.Env(), impatient...), calls: make(map[string]int)}
	env := make(map[string]string)
	for _, e := range r.env {
		k, v, _ := strings.Cut(e, "=")
		env[k] = v
	}
	settings, err := config.Load(func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if err != nil {
		return nil, err
	}
	r.app, err = app.New(settings, slog.New(slog.DiscardHandler))
	s.Break(r.count)
	r.delay = delay
	return r, err
}

func (r *rig) close() {
	r.Stop()
	os.RemoveAll(r.dir)
}

// count is asked before each call.
func (r *rig) count(op string, _ *http.Request) *fault.Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[op]++
	if r.delay == 0 {
		return nil
	}
	return &fault.Effect{Pass: true, Delay: r.delay}
}

// reset forgets the calls so far and sets how long each takes.
func (r *rig) reset(delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls, r.delay = make(map[string]int), delay
}

func (r *rig) counted() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.calls)
}

// add makes n connections due.
func (r *rig) add(ctx context.Context, n int) error {
	m := crowd.Maker{Stack: r.Stack, Vault: r.app.Rotator.Vault, Records: r.app.Connections.Records, Deployment: r.app.Rotator.Deployment}
	for i := range n {
		if _, _, err := m.Add(ctx, fmt.Sprintf("due-%d", i), time.Now().Add(-time.Duration(n-i)*time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// oneRotation compares a whole scheduled rotation, from the look at the index to the
// old credential being gone, with the calls that it makes, at 50 ms each.
func oneRotation(ctx context.Context) ([]result, error) {
	const latency = 50 * time.Millisecond
	r, err := newRig(0)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.add(ctx, 1); err != nil {
		return nil, err
	}
	r.reset(latency)
	begin := time.Now()
	if swept, err := r.app.Rotator.Sweep(ctx); err != nil || swept.Passes != 1 {
		return nil, fmt.Errorf("%+v %w", swept, err)
	}
	took := time.Since(begin)
	calls := 1 // the range queries run at the same time
	for op, n := range r.counted() {
		if op != table.OpQuery {
			calls += n
		}
	}
	needed := time.Duration(calls) * latency
	return []result{
		{"one rotation, to the end", float64(took.Milliseconds()), "ms"},
		{"its calls, one after the other", float64(calls), ""},
		{"at 50 ms each", float64(needed.Milliseconds()), "ms"},
		{"overhead", 100 * (took - needed).Seconds() / needed.Seconds(), "%"},
	}, nil
}

// timerPass counts the requests of a pass with 10 due among more and more others.
func timerPass(ctx context.Context, largest int) (results []result, err error) {
	for _, n := range []int{10, 1000, 100_000, 1_000_000} {
		if n > largest {
			break
		}
		r, err := newRig(0)
		if err != nil {
			return nil, err
		}
		if err := r.passAmong(ctx, n); err != nil {
			return nil, err
		}
		calls := r.counted()
		total := 0
		for _, c := range calls {
			total += c
		}
		results = append(results,
			result{fmt.Sprintf("10 due among %d: range queries", n), float64(calls[table.OpQuery]), ""},
			result{fmt.Sprintf("10 due among %d: other requests per due", n), float64(total-calls[table.OpQuery]) / 10, ""})
		r.close()
	}
	return results, nil
}

func (r *rig) passAmong(ctx context.Context, n int) error {
	if err := r.add(ctx, 10); err != nil {
		return err
	}
	rows := make([]table.Row, 0, 2*n)
	for i := range n - 10 {
		id, shard := fmt.Sprintf("other-%08d", i), fmt.Sprintf("s%02x", i%16)
		wake := time.Now().UTC().Add(time.Duration(i+60) * time.Minute)
		rows = append(rows,
			table.Row{Table: "rekey", PartitionKey: shard, RowKey: "conn-" + id, Properties: map[string]any{"schema": 1}},
			table.Row{Table: "rekey", PartitionKey: shard, RowKey: "due-" + wake.Format("20060102T150405Z") + "-" + id})
	}
	if err := r.Table.Load(rows); err != nil {
		return fmt.Errorf("loading rows: %w", err)
	}
	r.reset(0)
	if swept, err := r.app.Rotator.Sweep(ctx); err != nil || swept.Passes != 10 {
		return fmt.Errorf("%+v %w", swept, err)
	}
	return nil
}

// manyDue lets the real handler, 64 at a time, work on many that are due at once.
func manyDue(ctx context.Context, handler string, n int) ([]result, error) {
	r, err := newRig(0)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.add(ctx, n); err != nil {
		return nil, err
	}
	r.reset(0)
	p, err := start(ctx, handler, append(slices.Clone(r.env), "REKEY_MAX_PARALLEL=64"))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	begin := time.Now()
	if err := tick(ctx, p.port); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	peak, err := p.memory("VmHWM")
	if err != nil {
		return nil, err
	}
	results := []result{
		{fmt.Sprintf("%d due at once, 64 at a time: rotations", n), float64(n) / took.Seconds(), "per second"},
		{"peak memory", peak, "MB"},
	}
	calls := r.counted()
	for _, op := range slices.Sorted(maps.Keys(calls)) {
		results = append(results, result{"calls per rotation: " + op, float64(calls[op]) / float64(n), ""})
	}
	return results, nil
}

// tick plays the host's timer once.
func tick(ctx context.Context, port string) error {
	body := `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{}}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:"+port+"/rotatedue", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the invocation: %w", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("X-Azure-Functions-InvocationId", "6f1c0f5e-52a4-4c8e-9d5a-3f0b6d2f9a11")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("invoking the timer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the timer answered %s", resp.Status)
	}
	return nil
}
