package connections_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

// of is a service with a connection of that tenant.
func of(tenantID string) service {
	return service{get: func(id string) (rotation.Record, error) {
		return rotation.Record{ID: id, Actor: rotation.Application{TenantID: tenantID}}, nil
	}}
}

// A scan is shown with what it found, and what it could not see.
func TestScanView(t *testing.T) {
	s := inventory.Scan{
		ID: inventory.ScanID(tenant, "1"), ConnectionID: id, Trigger: rotation.OnRequest, RequestedBy: "boss", StartedAt: now,
		FinishedAt: now.Add(time.Minute),
		Phase:      inventory.Complete, Calls: 4, Rows: 5, Unread: owner.Unread,
		Problem: &inventory.Unread{List: inventory.Applications, Class: serviceerror.Throttled, Message: "later"},
		Result: &inventory.Result{Applications: 1, Credentials: 2, Federated: 3, Added: 4, Changed: 5, Gone: 6,
			Findings: map[inventory.FindingKind]int{inventory.Expired: 1}, Arisen: map[inventory.FindingKind]int{inventory.Orphan: 1},
			MoreChanges: 7,
			Changes: []inventory.Change{{Key: inventory.Key{TenantID: tenant, ClientID: client}, Name: odd[1], Kind: inventory.FindingArisen,
				KeyID: "k", Finding: inventory.Orphan}, {Key: inventory.Key{TenantID: tenant, ClientID: client}, Kind: inventory.AppGone}}},
	}
	want := `{"id":"` + tenant + `-1","tenantId":"` + tenant + `","connectionId":"` + id + `","trigger":"` + string(rotation.OnRequest) +
		`","requestedBy":"boss",
		"startedAt":"2026-07-01T12:00:00Z","finishedAt":"2026-07-01T12:01:00Z","phase":"complete","requests":4,"rowsWritten":5,
		"unread":[{"list":"activity","class":"permission","message":"give AuditLog.Read.All"}],
		"problem":{"list":"applications","class":"throttled","message":"later"},
		"result":{"applications":1,"credentials":2,"federatedCredentials":3,
			"added":4,"changed":5,"gone":6,"findings":{"expired":1},"arisen":{"orphan":1},
			"changes":[{"clientId":"` + client + `","name":"=HYPERLINK(\"http://x\",\"y\")",
				"change":"finding-arisen","keyId":"k","finding":"orphan"},
				{"clientId":"` + client + `","name":"","change":"application-gone","keyId":null,"finding":null}],"moreChanges":7}}`
	var asked []any
	i := shelf{
		scan: func(id string) (inventory.Scan, error) { asked = append(asked, id); return s, nil },
		scans: func(id string, n int) ([]inventory.Scan, error) {
			asked = append(asked, id, n)
			return []inventory.Scan{s}, nil
		},
	}
	_, answer, _ := askStock(t, i, http.MethodGet, stock+"/scans/"+s.ID, "")
	sameJSON(t, answer, `{"scan":`+want+`}`)
	_, answer, _ = askStock(t, i, http.MethodGet, stock+"/scans?limit=7&tenantId="+tenant, "")
	sameJSON(t, answer, `{"scans":[`+want+`]}`)
	if !reflect.DeepEqual(asked, []any{s.ID, tenant, 7}) {
		t.Errorf("asked for %v", asked)
	}
	s.Result = &inventory.Result{}
	if _, answer, _ = askStock(t, i, http.MethodGet, stock+"/scans/"+s.ID, ""); !strings.Contains(answer,
		`"findings":{},"arisen":{},"changes":[]`) {
		t.Errorf("of a scan that found nothing: %s", answer)
	}
}

// A scan is asked for by the caller's name; with an Idempotency-Key the same request asks for the
// same scan, and another one for another.
func TestRequestScan(t *testing.T) {
	var in catalog.Request
	i := shelf{request: func(got catalog.Request) (inventory.Scan, error) {
		in = got
		return inventory.Scan{ID: inventory.ScanID(tenant, "1"), StartedAt: now}, nil
	}}
	ask := func(body string, header ...string) catalog.Request {
		t.Helper()
		in = catalog.Request{}
		w, _ := askOf(t, stocked(i, of(tenant), auth.Write), http.MethodPost, stock+"/scans", body, header...)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"scan":{"id":"`+tenant+`-1"`) {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		return in
	}
	one := `{"connectionId":" ` + strings.ToUpper(id) + ` "}`
	want := catalog.Request{ConnectionID: id, TenantID: tenant, By: "boss", Caller: "boss", From: "192.0.2.1"}
	if got := ask(one); got != want {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	if got := ask(`{"connectionId":"` + id + `","daily":false}`); got.Daily == nil || *got.Daily {
		t.Errorf("daily is %v", got.Daily)
	}
	first := ask(one, "Idempotency-Key", "a").Random
	if first == "" || ask(one, "Idempotency-Key", "a").Random != first || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(first) {
		t.Errorf("the same request again is another one, or its id %q is none", first)
	}
	if ask(one, "Idempotency-Key", "b").Random == first || ask(`{"connectionId":"`+id+`","daily":true}`, "Idempotency-Key",
		"a").Random == first {
		t.Error("another request is the same one")
	}
	for name, s := range map[string]service{
		"an unknown connection": failing(&connection.Error{Kind: connection.NotFound, Message: "There is no such connection."}),
		"a target":              {get: func(id string) (rotation.Record, error) { return rotation.Record{ID: id, Via: client}, nil }},
	} {
		w, _ := askOf(t, stocked(shelf{}, s, auth.Admin), http.MethodPost, stock+"/scans", one)
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "no such connection") {
			t.Errorf("%s: status %d: %s", name, w.Code, w.Body)
		}
	}
	if w, _ := askOf(t, stocked(i, of(tenant), auth.Write), http.MethodPost, stock+"/scans", one, "Idempotency-Key",
		""); w.Code != http.StatusBadRequest {
		t.Errorf("a key that is none: status %d", w.Code)
	}
}

// A finding is accepted, and taken back, by the caller's name, for the application of the path.
func TestAcceptInput(t *testing.T) {
	var key inventory.Key
	var in catalog.Acceptance
	answer := func(k inventory.Key, got catalog.Acceptance) (catalog.Item, inventory.Tenant, error) {
		key, in = k, got
		return full(), owner, nil
	}
	i := shelf{accept: answer, takeBack: answer}
	for line, want := range map[string]catalog.Acceptance{
		`POST {"finding":"expired","keyId":"` + client + `","reason":"r","until":"2026-08-01T00:00:00+02:00"}`: {
			Kind: inventory.Expired, KeyID: client, Reason: "r", Until: time.Date(2026, 7, 31, 22, 0, 0, 0, time.UTC)},
		`POST {"finding":"expired","keyId":null,"reason":"r","until":"2026-08-01T00:00:00Z"}`: {
			Kind: inventory.Expired, Reason: "r", Until: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)},
		"DELETE ?finding=expired&keyId=" + strings.ToUpper(client): {Kind: inventory.Expired, KeyID: client},
		"DELETE ?finding=expired":                                  {Kind: inventory.Expired},
	} {
		method, rest, _ := strings.Cut(line, " ")
		path, body := single+"/accept", rest
		if method == http.MethodDelete {
			path, body = path+rest, ""
		}
		status, got, _ := askStock(t, i, method, path, body)
		want.By, want.Caller, want.From = "boss", "boss", "192.0.2.1"
		if status != http.StatusOK || key != full().Key || !in.Until.Equal(want.Until) || !strings.Contains(got, `"acceptances":[{`) {
			t.Errorf("%s: status %d, %v until %s: %s", line, status, key, in.Until, got)
		}
		if in.Until = want.Until; in != want {
			t.Errorf("%s: %+v, want %+v", line, in, want)
		}
	}
}

// To adopt an application is to create a target of it, through a connection of its tenant.
func TestAdoptInput(t *testing.T) {
	var via string
	var in connection.TargetInput
	s := of(tenant)
	s.createTarget = func(through string, got connection.TargetInput) (rotation.Record, error) {
		via, in = through, got
		return rotation.Record{ID: client, Via: through, Retire: got.Retire}, nil
	}
	var keyed connection.Keyed
	s.once = func(k connection.Keyed, do func(string) (rotation.Record, error)) (rotation.Record, error) {
		keyed = k
		return do("id-of-the-request")
	}
	body := `{"connectionId":"` + strings.ToUpper(id) + `","vaultSecretName":"payroll","name":"payroll",
		"description":"d","retireKeyIds":["` + client + `"],
		"isAutoRotationEnabled":true,"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0},"gracePeriodHours":1}}`
	w, _ := askOf(t, stocked(shelf{}, s, auth.Rotate), http.MethodPost, single+"/adopt", body, "Idempotency-Key", "a")
	grace := time.Hour
	want := connection.TargetInput{
		Target: connection.Target{ClientID: client}, Name: "payroll", Description: "d", VaultSecretName: "payroll", Rotate: true,
		Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, Grace: &grace, Retire: []string{client}, By: "boss",
		ID: "id-of-the-request",
	}
	if w.Code != http.StatusOK || via != id || !reflect.DeepEqual(in, want) || !strings.Contains(w.Body.String(),
		`"target":{"id":"`+client+`"`) {
		t.Errorf("status %d, through %s: %+v\nwant %+v\n%s", w.Code, via, in, want, w.Body)
	}
	if keyed.Key == "" || keyed.Hash == "" || keyed.Rotates != "" {
		t.Errorf("the request is known as %+v", keyed)
	}
	least := `{"connectionId":"` + id + `","vaultSecretName":"payroll"}`
	if w, _ := askOf(t, stocked(shelf{}, s, auth.Write), http.MethodPost, single+"/adopt", least); w.Code != http.StatusOK ||
		len(in.Retire) != 0 || in.Rotate {
		t.Errorf("with nothing to retire: status %d, %+v: %s", w.Code, in, w.Body)
	}
	w, _ = askOf(t, stocked(shelf{}, of(client), auth.Rotate), http.MethodPost, single+"/adopt", least)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "of another tenant") {
		t.Errorf("through a connection of another tenant: status %d: %s", w.Code, w.Body)
	}
}

// What is adopted is a target like any other. The same request again is answered by it.
func TestAdoptedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeployment(t)
		path := d.real(stock + "/TENANT/OWNED")
		body := d.real(`{"connectionId":"` + id + `","vaultSecretName":"payroll","retireKeyIds":["RETIRED"],"isAutoRotationEnabled":true,` +
			`"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0}}}`)
		var ids []string
		for range 2 {
			w, _ := askOf(t, d.api, http.MethodPost, path+"/adopt", body, "Idempotency-Key", "a")
			var got struct {
				Target struct {
					ID, ConnectionID, VaultSecretName string
					Application                       struct{ ClientID string }
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if got := got.Target; got.ConnectionID != id || got.VaultSecretName != "payroll" || got.Application.ClientID != d.owned.ClientID {
				t.Errorf("made is %+v", got)
			}
			ids = append(ids, got.Target.ID)
		}
		if ids[0] != ids[1] {
			t.Errorf("the same request made %v", ids)
		}
		w, _ := askOf(t, d.api, http.MethodGet, path, "")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"managedBy":[{"connectionId":"`+id+`","targetId":"`+ids[0]+`"`) {
			t.Errorf("the inventory does not know who manages it: %s", w.Body)
		}
		w, _ = askOf(t, d.api, http.MethodPost, path+"/accept", `{"finding":"ownerless","reason":"r","until":"2000-02-01T00:00:00Z"}`)
		if w.Code != http.StatusOK {
			t.Errorf("accepting: %s", w.Body)
		}
		d.check(t)
	})
}
