package telemetry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rekey/shared/index"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/telemetry/telemetrytest"
)

// A run is counted once, when it ends, by whichever step or pass sees that first; one
// that ended before the pass, or in another instance's, is not.
func TestRotationsAreCounted(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	o, now := tel.Observer(), time.Now()
	ended := func(id, outcome string) *rotation.RunResult {
		return &rotation.RunResult{ID: id, Trigger: rotation.OnSchedule, FinishedAt: now, Outcome: outcome, Message: "canary"}
	}
	pass := func(err error, last ...*rotation.RunResult) {
		ctx, end := o.Pass(t.Context(), "one")
		for _, l := range last[:len(last)-1] {
			_, stepped := o.Step(ctx, &rotation.Record{Phase: rotation.Publishing, LastRun: l}, rotation.Publish{})
			stepped("ok", "")
		}
		end(&rotation.Record{Phase: rotation.Idle, LastRun: last[len(last)-1]}, err)
	}
	for name, tt := range map[string]struct {
		err  error
		last []*rotation.RunResult
		want [2]float64 // success, failed
	}{
		"nothing was done":           {nil, []*rotation.RunResult{ended("a", "success")}, [2]float64{0, 0}},
		"nothing ended":              {nil, []*rotation.RunResult{ended("a", "success"), ended("a", "success")}, [2]float64{0, 0}},
		"the first ever":             {nil, []*rotation.RunResult{nil, nil, ended("a", "success")}, [2]float64{1, 0}},
		"in the middle of a pass":    {nil, []*rotation.RunResult{nil, ended("b", "failed"), ended("b", "failed")}, [2]float64{0, 1}},
		"two in a pass":              {nil, []*rotation.RunResult{nil, ended("c", "failed"), ended("d", "success")}, [2]float64{1, 1}},
		"then the pass was stopped":  {errors.New("canary"), []*rotation.RunResult{nil, ended("e", "success")}, [2]float64{1, 0}},
		"of the holder of the lease": {rotator.ErrLeaseLost, []*rotation.RunResult{nil, ended("f", "success")}, [2]float64{0, 0}},
	} {
		count := func(outcome string) float64 {
			tel.Flush(t.Context())
			return r.Point("rekey.rotations", "rekey.trigger", "schedule", "rekey.outcome", outcome).Value
		}
		success, failed := count("success"), count("failed")
		pass(tt.err, tt.last...)
		if got := [2]float64{count("success") - success, count("failed") - failed}; got != tt.want {
			t.Errorf("%s: counted %v, want %v", name, got, tt.want)
		}
	}
	if strings.Contains(r.Text(), "canary") {
		t.Error("the text of an error was exported")
	}
}

// A step is a child of its pass and says what is needed to find it elsewhere.
func TestSteps(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	o := tel.Observer()
	ctx, end := o.Pass(t.Context(), "one")
	_, stepped := o.Step(ctx, &rotation.Record{Phase: rotation.Verifying,
		Run: &rotation.Run{ID: "run", Trigger: rotation.OnRequest, KeyID: "key"}}, rotation.Prove{})
	stepped("failed", serviceerror.Throttled)
	end(&rotation.Record{Phase: rotation.Verifying, Current: &rotation.Credential{
		KeyID: "old", ExpiresAt: time.Now().Add(12 * 24 * time.Hour),
	}, Auth: &rotation.Auth{ExpiresAt: time.Now().Add(-24 * time.Hour)}}, nil)
	tel.Flush(t.Context())
	spans := r.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	pass, step := spans[0], spans[1]
	if pass.Name != "pass" || pass.Attrs["rekey.connection.id"] != "one" || pass.Attrs["rekey.outcome"] != "ok" ||
		pass.Attrs["rekey.key.id"] != "old" || pass.Failed {
		t.Errorf("pass %+v", pass)
	}
	if step.Name != "prove" || step.Parent != pass.ID || step.Attrs["rekey.run.id"] != "run" || step.Attrs["rekey.key.id"] != "key" ||
		step.Attrs["rekey.outcome"] != "failed" ||
		step.Attrs["rekey.class"] != "throttled" || step.Attrs["rekey.trigger"] != "manual" || !step.Failed {
		t.Errorf("step %+v", step)
	}
	if p := r.Point("rekey.step.duration", "rekey.step", "prove", "rekey.outcome", "failed"); p.Count != 1 {
		t.Errorf("durations %+v", p)
	}
	for kind, days := range map[string]float64{"published": 12, "sign-in": -1} {
		if p := r.Point("rekey.credential.days_to_expiry", "rekey.credential", kind); p.Count != 1 || p.Sum < days-0.1 || p.Sum > days+0.1 {
			t.Errorf("%s: %+v, want %v days", kind, p, days)
		}
	}
}

// The backlog is that of the last look. It is not reported any more once looks have stopped.
func TestBacklog(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, clock := exporting(t, r)
	now := clock.now()
	tel.Observer().Due(now, []index.Due{{ID: "a", Wake: now.Add(-90 * time.Second)}, {ID: "b", Wake: now}})
	tel.Flush(t.Context())
	if due, age := r.Point("rekey.due").Value, r.Point("rekey.due.oldest.age").Value; due != 2 || age != 90 {
		t.Errorf("%v due for %v s", due, age)
	}
	tel.Observer().Due(now, nil)
	tel.Flush(t.Context())
	if p := r.Points("rekey.due"); len(p) != 1 || p[0].Value != 0 || r.Point("rekey.due.oldest.age").Value != 0 {
		t.Errorf("due %+v", p)
	}
	clock.ahead.Add(int64(6 * time.Minute))
	r.Forget()
	tel.Flush(t.Context())
	if p := r.Points("rekey.due"); len(p) != 0 {
		t.Errorf("six minutes after the last look %+v", p)
	}
}
