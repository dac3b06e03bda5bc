package catalog_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/serviceerror"
)

func scanOf(tenantID, random string, after time.Duration, phase inventory.Phase) inventory.Scan {
	return inventory.Scan{ID: inventory.ScanID(tenantID, random), StartedAt: start.Add(after), Phase: phase}
}

// Scans are listed with the one that is under way, of one tenant or of all.
func TestScans(t *testing.T) {
	d := newDeployment(t)
	running := scanOf(tenant, "running", 3*time.Hour, inventory.Reading)
	d.commit(t, inventory.Tenant{ID: tenant, Version: 1, Scan: &running},
		scanOf(tenant, "first", 0, inventory.Complete), scanOf(tenant, "second", time.Hour, inventory.Failed))
	last := scanOf(other, "last", 2*time.Hour, inventory.Complete)
	d.commit(t, inventory.Tenant{ID: other, Version: 1, Scan: &last}, last)
	for _, tt := range []struct {
		tenantID string
		limit    int
		want     []string
	}{
		{tenant, 10, []string{"running", "second", "first"}}, {other, 10, []string{"last"}},
		{"", 10, []string{"running", "last", "second", "first"}}, {"", 2, []string{"running", "last"}}, {tenant, 1, []string{"running"}},
	} {
		scans, err := d.Scans(t.Context(), tt.tenantID, tt.limit)
		var got []string
		for _, s := range scans {
			got = append(got, s.ID[37:])
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q, %d: %v, %v; want %v", tt.tenantID, tt.limit, got, err, tt.want)
		}
	}
	for _, id := range []string{running.ID, last.ID} {
		if s, err := d.Scan(t.Context(), id); err != nil || s.ID != id {
			t.Errorf("%s: %+v, %v", id, s, err)
		}
	}
	for _, id := range []string{inventory.ScanID(other, "running"), inventory.ScanID(numbered(1), "running")} {
		_, err := d.Scan(t.Context(), id)
		refused(t, err, connection.NotFound, "no such scan")
	}
	cost := d.counted(func() {
		for _, id := range []string{"", "x", tenant, tenant + "-", tenant + "-a'b", tenant + "-" + strings.Repeat("x", 65), "x" + running.ID,
			strings.Repeat("x", 36) + "-running"} {
			_, err := d.Scan(t.Context(), id)
			refused(t, err, connection.NotFound, "no such scan")
		}
	})
	if len(cost) != 0 {
		t.Errorf("what can be no id is looked for: %v", cost)
	}
	_, err := d.Scans(t.Context(), numbered(1), 10)
	refused(t, err, connection.NotFound, "no inventory of this tenant")
}

// A request that comes again is answered by what it began, for as long as that is kept.
func TestAScanThatIsRequestedAgain(t *testing.T) {
	d := newDeployment(t, tenant)
	in := catalog.Request{ConnectionID: numbered(1), TenantID: other, By: "boss (Ada)", Caller: "boss", From: "192.0.2.7", Random: "key"}
	s, err := d.RequestScan(t.Context(), in)
	if err != nil || s.ID != inventory.ScanID(other, "key") || len(d.scanner.asked) != 1 || d.scanner.asked[0] != in {
		t.Fatalf("%+v, %v, asked %+v", s, err, d.scanner.asked)
	}
	if !strings.Contains(d.log.String(), `msg="scan requested" caller=boss from=192.0.2.7 connection=`+
		numbered(1)+" tenant="+other+" scan="+s.ID) {
		t.Errorf("the log has no line of it: %s", d.log.String())
	}
	done := scanOf(other, "key", 0, inventory.Complete)
	d.commit(t, inventory.Tenant{ID: other, Version: 1, Scan: &done}, done)
	if again, err := d.RequestScan(t.Context(), in); err != nil || again.ID != s.ID || again.Phase != inventory.Complete ||
		len(d.scanner.asked) != 1 {
		t.Errorf("%+v, %v, asked %+v", again, err, d.scanner.asked)
	}
	in.Random = ""
	if _, err := d.RequestScan(t.Context(), in); err != nil || len(d.scanner.asked) != 2 {
		t.Errorf("without a key: %v, asked %+v", err, d.scanner.asked)
	}
	d.scanner.err = &connection.Error{Kind: connection.Conflict, Message: "later"}
	_, err = d.RequestScan(t.Context(), in)
	refused(t, err, connection.Conflict, "later")
	d.scanner.err = &serviceerror.Error{Class: serviceerror.Transient}
	_, err = d.RequestScan(t.Context(), in)
	refused(t, err, connection.Unavailable, "try again")
}

// A summary counts each application once for a finding, and each credential once for its end.
func TestSummary(t *testing.T) {
	d := newDeployment(t, tenant, other)
	a, b := app(tenant, 1, 3, 4, 20, 60, 200, 0, -1), app(tenant, 2, 5)
	a.Federated, a.MoreCredentials = make([]inventory.Federated, 2), 3
	d.put(t, a, b, app(tenant, 3))
	d.put(t, app(other, 1, 2))
	d.accept(t, b.Key, inventory.EndsIn7Days, "")
	d.accept(t, a.Key, inventory.EndsIn7Days, a.Credentials[0].KeyID) // and not the other one
	all, err := d.Summarize(t.Context(), "")
	if err != nil || len(all) != 2 || all[0].Tenant.ID != tenant || all[1].Applications != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	s := all[0]
	if s.Applications != 3 || s.Credentials != 11 || s.Federated != 2 {
		t.Errorf("%d applications, %d credentials, %d federated", s.Applications, s.Credentials, s.Federated)
	}
	if s.Findings[inventory.EndsIn7Days] != 1 || s.Accepted[inventory.EndsIn7Days] != 1 || s.Findings[inventory.Expired] != 1 ||
		s.Findings[inventory.NeverEnds] != 1 || s.Findings[inventory.SeveralSecrets] != 1 {
		t.Errorf("found %v, accepted %v", s.Findings, s.Accepted)
	}
	want := map[inventory.Left]int{
		inventory.LeftNone: 1, inventory.Left7Days: 3, inventory.Left30Days: 1, inventory.Left90Days: 1, inventory.LeftMore: 4,
		inventory.LeftNever: 1,
	}
	if !maps.Equal(s.Ends, want) {
		t.Errorf("they end in %v, want %v", s.Ends, want)
	}
	if one, err := d.Summarize(t.Context(), other); err != nil || len(one) != 1 || one[0].Applications != 1 {
		t.Errorf("%+v, %v", one, err)
	}
	// Days 3, 4 and 5 are in the first week, day 20 in the third, day 60 in the ninth; 200 is too far.
	if want := [13]int{3, 0, 1, 0, 0, 0, 0, 0, 1}; s.Weeks != want {
		t.Errorf("by week %v, want %v", s.Weeks, want)
	}
	key := a.Credentials[1].KeyID
	d.managers.by = map[string][]inventory.Manager{a.ClientID: {{ConnectionID: "c", KeyIDs: []string{key}},
		{ConnectionID: "c", Rotates: true, KeyIDs: []string{key}}, {ConnectionID: "d", Rotates: true, KeyIDs: []string{key}}}}
	all, err = d.Summarize(t.Context(), tenant)
	if err != nil || !maps.Equal(all[0].Managed, map[inventory.Left]int{inventory.Left7Days: 1}) {
		t.Errorf("managed %v, %v", all[0].Managed, err)
	}
	// What a rotation has removed since the scan is gone; what it has removed before has come back.
	before := all[0]
	for removed, gone := range map[time.Duration]int{time.Hour: 1, -time.Hour: 0} {
		tn, err := d.store.Tenant(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		d.managers.by = map[string][]inventory.Manager{a.ClientID: {{ConnectionID: "c", Rotates: true, KeyIDs: []string{key},
			Removed: map[string]time.Time{key: tn.AsOf.Add(removed)}}}}
		all, err = d.Summarize(t.Context(), tenant)
		if err != nil || all[0].Credentials != before.Credentials-gone || all[0].Ends[inventory.Left7Days] != 3-gone {
			t.Errorf("removed %s after the scan: %d credentials, %v, %v", removed, all[0].Credentials, all[0].Ends, err)
		}
		if row, err := d.store.Row(t.Context(), a.Key); err != nil || !slices.ContainsFunc(row.Credentials,
			func(c inventory.Credential) bool { return c.KeyID == key }) {
			t.Errorf("the row has changed: %+v, %v", row, err)
		}
	}
	d.managers.by = nil
	_, err = d.Summarize(t.Context(), numbered(1))
	refused(t, err, connection.NotFound, "no inventory of this tenant")
}
