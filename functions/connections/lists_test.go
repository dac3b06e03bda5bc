package connections_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

// Lists of connections and of targets take the same filters, with pages and without.
func TestListsAreFiltered(t *testing.T) {
	d := newDeployment(t)
	for i, name := range []string{"billing-eu", "billing-us", "shop"} {
		for _, via := range []string{"", id} {
			rec := rotation.Record{ID: fmt.Sprintf("id-%d%s", i, via), Name: name, Via: via, Phase: rotation.Idle, Acknowledged: true, Version: 1,
				VaultName: "vault-" + name, Policy: rotation.Policy{Enabled: i != 0}, Target: rotation.Application{ClientID: "client-" + name}}
			switch i {
			case 1:
				rec.Error = &rotation.Failure{Class: serviceerror.Permission, Count: 1}
			case 2:
				rec.Phase, rec.Run = rotation.Verifying, &rotation.Run{}
				rec.LastRun = &rotation.RunResult{Outcome: "success"}
			}
			if _, err := d.w.StorePort().Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	for query, want := range map[string]string{
		"text=BILLING-": "billing-eu billing-us", "text=client-shop": "shop", "text=vault-b": "billing-eu billing-us", "text=no-ne": "",
		"state=active": "billing-us shop", "state=failing": "billing-us", "state=running": "shop", "name=shop": "shop", "name=sho": "",
		"state=active&text=ing-": "billing-us", "attention=true": "billing-us", "attention=true&text=eu": "",
		"attention=true&state=failing": "billing-us",
		"state=paused&text=-":          "billing-eu",
	} {
		for _, limit := range []string{"", "&limit=1", "&limit=100"} {
			for path, list := range map[string]string{
				"/api/v1/app-connections/azure-client-secrets":           "appConnections",
				"/api/v1/app-connections/azure-client-secrets/available": "appConnections",
				"/api/v2/secret-rotations/azure-client-secret":           "secretRotations",
			} {
				if got := d.names(t, path+"?"+query+limit, list); got != want {
					t.Errorf("%s?%s%s: %q, want %q", path, query, limit, got, want)
				}
			}
		}
	}
}

// A deletion that fails is listed with why, among what needs attention only: it is no connection that a client knows.
func TestADeletionThatFailsIsListed(t *testing.T) {
	d := newDeployment(t)
	for _, via := range []string{"", id} {
		rec := rotation.Record{ID: "stuck" + via, Name: "stuck", Via: via, Phase: rotation.Deleting, Version: 1, VaultName: "vault" + via,
			DeletingSince: time.Now().Add(-time.Minute), Target: rotation.Application{ClientID: "client"}, NextSlot: time.Now(),
			Policy: rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 1, Zone: "UTC"}},
			Error:  &rotation.Failure{Class: serviceerror.VaultRefused, Count: 1, At: time.Now(), Message: "Grant it."}}
		if _, err := d.w.StorePort().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	const all, targets = "/api/v1/app-connections/azure-client-secrets", "/api/v2/secret-rotations/azure-client-secret"
	for path, want := range map[string]string{
		all + "?attention=true": "stuck", targets + "?attention=true": "stuck", all + "?attention=true&limit=5": "stuck",
		all + "?limit=5": "", all + "?text=stuck&limit=5": "", targets + "?limit=5": "", all + "/available?attention=true": "",
	} {
		list := "appConnections"
		if strings.HasPrefix(path, targets) {
			list = "secretRotations"
		}
		if got := d.names(t, path, list); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for path, words := range map[string][]string{
		all: {`"attention":["deletion"]`, `"state":"deleting"`, `"lastRotationMessage":"Grant it."`}, targets: {`"attention":["deletion"]`,
			`"lastRotationMessage":"Grant it."`},
	} {
		r := httptest.NewRecorder()
		d.api.ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?attention=true", nil))
		for _, word := range words {
			if !strings.Contains(r.Body.String(), word) {
				t.Errorf("%s lacks %s: %s", path, word, r.Body)
			}
		}
		if strings.Contains(r.Body.String(), `"nextRotationAt":"`) {
			t.Errorf("%s has a next rotation: %s", path, r.Body)
		}
	}
}

// names are those of a list, but that of the connection which each deployment has.
func (d *deployment) names(t *testing.T, path, list string) string {
	t.Helper()
	var names []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		r := httptest.NewRecorder()
		d.api.ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"&cursor="+cursor, nil))
		w := r.Body.Bytes()
		var page map[string]json.RawMessage
		var items []struct{ Name string }
		if json.Unmarshal(w, &page) != nil || json.Unmarshal(page[list], &items) != nil || pages > 20 {
			t.Fatalf("%s: %s", path, w)
		}
		for _, item := range items {
			if item.Name != "connected" {
				names = append(names, item.Name)
			}
		}
		cursor = ""
		_ = json.Unmarshal(page["nextCursor"], &cursor) // there need not be one
	}
	return strings.Join(names, " ")
}

// What is ahead is counted once: what Rekey rotates as it knows it, and what else scans have found.
func TestAhead(t *testing.T) {
	at := func(days float64) time.Time { return now.Add(time.Duration(days * 24 * float64(time.Hour))) }
	managed := index.Ahead{Whole: true,
		Due:  []time.Time{at(0), at(7), at(7.5), at(90.5)},
		Ends: []index.End{{At: at(3), Credential: "t c one"}, {At: at(40), Credential: "t c "}, {At: at(90.1), Credential: "t c late"}},
	}
	key := inventory.Key{TenantID: "T", ClientID: "C"}
	scanned := []catalog.End{{At: at(2), Key: key, KeyID: "ONE"}, {At: at(40), Key: key, KeyID: "given"},
		{At: at(41), Key: key, KeyID: "given"},
		{At: at(4), Key: key, KeyID: "two"}, {At: at(30), Key: inventory.Key{TenantID: "T", ClientID: "D"}, KeyID: "one"}}
	var within time.Duration
	s := service{ahead: func(d time.Duration) (index.Ahead, error) { within = d; return managed, nil }}
	i := shelf{ends: func(from, to time.Time) ([]catalog.End, bool, error) {
		if !from.Equal(now) || !to.Equal(at(91)) {
			t.Errorf("asked for %v to %v", from, to)
		}
		return scanned, true, nil
	}}
	h := handler(s, auth.Read)
	h.Inventory = i
	w, _ := askOf(t, h, http.MethodGet, "/azure-client-secrets/ahead", "")
	want := `{"due":{"30-days":1,"7-days":2,"90-days":0},"managedEnds":{"30-days":0,"7-days":1,"90-days":1},` +
		`"ends":{"30-days":1,"7-days":2,"90-days":2},` +
		`"dueByWeek":[1,2,0,0,0,0,0,0,0,0,0,0,1],"endsByWeek":[2,0,0,0,1,2,0,0,0,0,0,0,1],"complete":true}`
	if got := strings.Join(strings.Fields(w.Body.String()), ""); w.Code != http.StatusOK || got != want || within != 91*24*time.Hour {
		t.Errorf("status %d: %s, want %s", w.Code, got, want)
	}
	managed.Whole = false
	if w, _ := askOf(t, h, http.MethodGet, "/azure-client-secrets/ahead", ""); !strings.Contains(w.Body.String(), `"complete":false`) {
		t.Errorf("more than was counted: %s", w.Body)
	}
}
