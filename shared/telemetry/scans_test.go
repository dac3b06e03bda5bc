package telemetry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
	"rekey/shared/telemetry/telemetrytest"
)

// The gauges of a tenant are those of its last complete scan, until the next one should have
// ended.
func TestScans(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, clock := exporting(t, r)
	o := tel.Scans()
	scan := func(tenantID string, phase inventory.Phase, ending int) inventory.Tenant {
		at := clock.now()
		return inventory.Tenant{ID: tenantID, Scan: &inventory.Scan{
			StartedAt: at.Add(-3 * time.Minute), FinishedAt: at, Phase: phase,
			Problem: &inventory.Unread{Message: "canary"},
			Result: &inventory.Result{
				Findings: map[inventory.FindingKind]int{inventory.EndsIn7Days: ending}, Ends: map[inventory.Left]int{inventory.Left7Days: 2 * ending},
				Changes: []inventory.Change{{Name: "canary"}},
			},
		}}
	}
	o.Ended(t.Context(), scan("one", inventory.Complete, 5))
	o.Ended(t.Context(), scan("two", inventory.Complete, 7))
	o.Ended(t.Context(), scan("one", inventory.Complete, 3))
	o.Ended(t.Context(), scan("two", inventory.Failed, 0))
	tel.Flush(t.Context())
	for tenantID, want := range map[string]float64{"one": 3, "two": 7} {
		if p := r.Point("rekey.inventory.findings", "rekey.tenant.id", tenantID, "rekey.finding", "ends-in-7-days"); p.Value != want {
			t.Errorf("of %s %v applications end within 7 days, want %v", tenantID, p.Value, want)
		}
		if p := r.Point("rekey.inventory.credentials", "rekey.tenant.id", tenantID, "rekey.left", "7-days"); p.Value != 2*want {
			t.Errorf("of %s %v credentials end within 7 days, want %v", tenantID, p.Value, 2*want)
		}
	}
	if n := len(r.Points("rekey.inventory.findings")); n != 2*len(inventory.Kinds) {
		t.Errorf("%d series of findings: what is not found has the value 0", n)
	}
	complete := r.Point("rekey.inventory.scan.duration", "rekey.outcome", "complete")
	failed := r.Point("rekey.inventory.scan.duration", "rekey.outcome", "failed")
	if complete.Count != 3 || complete.Sum != 3*180 || failed.Count != 1 {
		t.Errorf("durations %+v, of those that failed %+v", complete, failed)
	}
	clock.ahead.Add(int64(25 * time.Hour))
	o.Ended(t.Context(), scan("one", inventory.Complete, 4))
	clock.ahead.Add(int64(time.Hour))
	r.Forget()
	tel.Flush(t.Context())
	if p := r.Point("rekey.inventory.findings", "rekey.tenant.id", "one", "rekey.finding", "ends-in-7-days"); p.Value != 4 {
		t.Errorf("after the next scan: %+v", p)
	}
	if n := len(r.Points("rekey.inventory.findings")); n != len(inventory.Kinds) {
		t.Errorf("%d series of findings, although of one tenant there is no scan any more", n)
	}
	if strings.Contains(r.Text(), "canary") {
		t.Error("a name or a text was exported")
	}
}

// Requests are counted by list, and a pass is a span that names its tenant.
func TestReadsOfScans(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	o := tel.Scans()
	for _, err := range []error{nil, rotator.ErrLeased, errors.New("canary")} {
		ctx, end := o.Pass(t.Context(), "one")
		o.Read(ctx, inventory.Applications, "")
		o.Read(ctx, inventory.Activity, serviceerror.Permission)
		end(err)
	}
	tel.Flush(t.Context())
	if p := r.Point("rekey.inventory.reads", "rekey.list", "applications", "rekey.outcome", "ok"); p.Value != 3 {
		t.Errorf("reads %+v", p)
	}
	p := r.Point("rekey.inventory.reads", "rekey.list", "activity", "rekey.outcome", "failed", "rekey.class", "permission")
	if p.Value != 3 {
		t.Errorf("failed reads %+v", p)
	}
	var outcomes []string
	for _, s := range r.Spans() {
		if s.Name != "scan" || s.Attrs["rekey.tenant.id"] != "one" {
			t.Errorf("span %+v", s)
		}
		outcomes = append(outcomes, s.Attrs["rekey.outcome"])
	}
	if strings.Join(outcomes, " ") != "ok leased stopped" {
		t.Errorf("outcomes %v", outcomes)
	}
	if strings.Contains(r.Text(), "canary") {
		t.Error("the text of an error was exported")
	}
}
