package directory_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// TestScanIsStrict: what Graph does not know, or not together, is an error.
func TestScanIsStrict(t *testing.T) {
	w := newWorld(t, directory.Config{})
	token := w.reader(directory.RoleReadAll, directory.RoleAuditLogReadAll, directory.RolePolicyReadAll)
	for _, path := range []string{
		"/applications?$expand=owners&$expand=federatedIdentityCredentials",
		"/applications?$expand=owners,federatedIdentityCredentials",
		"/applications?$expand=owners($select=id),federatedIdentityCredentials",
		"/applications?$expand=extensionProperties",
		"/applications?$expand=owners($select=mail)",
		"/applications?$expand=owners($top=5)",
		"/applications?$expand=owners&$count=true",
		"/applications?$select=id&$select=appId",
		"/applications?$orderby=displayName",
		"/applications?$top=0", "/applications?$top=1000", "/applications?$skiptoken=!",
		"/servicePrincipals?$expand=federatedIdentityCredentials",
		"/servicePrincipals?$select=signInAudience", "/servicePrincipals?$filter=startswith(displayName,'x')",
		"/servicePrincipals/" + w.app.ServicePrincipalID,
		policyPath + "?$select=id",
	} {
		a := w.get(token, strings.ReplaceAll(path, " ", "%20"))
		if a.status != http.StatusBadRequest || a.graphCode() == "" {
			t.Errorf("%s: %d %v", path, a.status, a.body)
		}
	}
	for _, path := range []string{scanActivity + "&$select=id", scanActivity + "&$filter=x", "/applications"} {
		if a := w.beta(token, strings.ReplaceAll(path, " ", "%20")); a.status != http.StatusBadRequest {
			t.Errorf("beta %s: %d %v", path, a.status, a.body)
		}
	}
	foreign := w.get(token, "/applications?$top=1").body["@odata.nextLink"].(string)
	foreign = strings.Replace(foreign, "/applications?", "/servicePrincipals?", 1)
	w.wantGraph("a token of another list", w.bearer(token, foreign), 400, "Request_BadRequest")
	encoded := strings.NewReplacer("$", "%24", "(", "%28", ")", "%29", ",", "%2C").Replace(scanApplications)
	if a := w.get(token, encoded); a.status != http.StatusOK {
		t.Errorf("percent-encoded: %d %v", a.status, a.body)
	}
}

func TestScanPermissions(t *testing.T) {
	w := newWorld(t, directory.Config{})
	const applications, federated, principals, activity, policy = "applications", "federated", "principals", "activity", "policy"
	for role, can := range map[string][]string{
		"":                             nil,
		directory.RoleReadAll:          {applications, federated, principals},
		directory.RoleReadWriteAll:     {applications, federated, principals},
		directory.RoleReadWriteOwnedBy: {applications, federated, principals},
		directory.RoleDirectoryReadAll: {applications, principals},
		directory.RoleUserReadAll:      nil,
		directory.RoleAuditLogReadAll:  {activity},
		directory.RolePolicyReadAll:    {policy},
	} {
		token := w.reader(role)
		for name, a := range map[string]answer{
			applications: w.get(token, scanApplications), federated: w.get(token, scanFederated), principals: w.get(token, scanPrincipals),
			activity: w.beta(token, scanActivity), policy: w.get(token, policyPath),
		} {
			if slices.Contains(can, name) {
				if a.status != http.StatusOK {
					t.Errorf("%s with %q: %d %v", name, role, a.status, a.body)
				}
				continue
			}
			w.wantGraph(name+" with "+role, a, 403, "Authorization_RequestDenied")
		}
	}
}

// TestPagesWhileItChanges: a list goes on behind an object id. What is added in front of
// it or deleted behind it does not show; what is added behind it does; nothing shows twice.
func TestPagesWhileItChanges(t *testing.T) {
	w := newWorld(t, directory.Config{})
	id := func(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", n) }
	add := func(n int) {
		w.register(directory.Registration{ObjectID: id(n), Credentials: &directory.Credentials{}, WithoutPrincipal: true})
	}
	token := w.reader(directory.RoleReadAll)
	for n := 10; n <= 30; n += 2 {
		add(n)
	}
	all, pages := w.pages(token, w.get(token, "/applications?$select=id&$top=3"), func(page int) {
		switch page {
		case 1: // showed 10, 12, 14
			add(1)
			add(21)
			if err := w.RemoveApplication(id(14)); err != nil { // where the list goes on
				t.Fatal(err)
			}
			if err := w.RemoveApplication(id(22)); err != nil {
				t.Fatal(err)
			}
		case 2: // showed 16, 18, 20
			add(31)
		}
	})
	var shown []string
	for _, o := range all {
		if strings.HasSuffix(o["id"].(string), "-0000-4000-8000-000000000000") {
			shown = append(shown, strings.TrimLeft(o["id"].(string)[:8], "0"))
		}
	}
	if got := strings.Join(shown, " "); got != "a c e 10 12 14 15 18 1a 1c 1e 1f" || pages < 4 {
		t.Errorf("%d pages: %s", pages, got)
	}
}

// With $expand a page has 100 objects, whatever $top asks for.
func TestExpandedPages(t *testing.T) {
	w := newWorld(t, directory.Config{})
	for range 250 {
		w.register(directory.Registration{Credentials: &directory.Credentials{}})
	}
	token := w.reader(directory.RoleReadAll)
	for path, want := range map[string]int{
		scanApplications: 3, scanFederated: 3, scanPrincipals: 3,
		"/applications?$top=200": 2, "/servicePrincipals?$top=999": 1, "/servicePrincipals": 3,
	} {
		all, pages := w.pages(token, w.get(token, path), nil)
		if pages != want || len(all) != 252 {
			t.Errorf("%s: %d objects on %d pages, want 252 on %d", path, len(all), pages, want)
		}
	}
}

func TestKeyReadQuota(t *testing.T) {
	for _, silent := range []bool{false, true} {
		four := directory.Budget{Requests: 4, Per: time.Minute}
		w := newWorld(t, directory.Config{Quotas: directory.Quotas{KeyReads: four, Silent: silent}})
		token, other := w.reader(directory.RoleReadAll), w.reader(directory.RoleReadAll)
		byID := "/applications/" + w.app.ObjectID + "?$select=keyCredentials"
		w.wantGraph("a refused query costs nothing", w.get(token, scanApplications+"&$skip=1"), 400, "Request_BadRequest")
		principal := "/servicePrincipals(appId='" + w.app.ClientID + "')?$select=keyCredentials"
		for _, path := range []string{scanApplications, scanPrincipals, byID, principal} {
			if a := w.get(token, path); a.status != http.StatusOK {
				t.Fatalf("within the budget: %d %v", a.status, a.body)
			}
			w.pass(2 * time.Second)
		}
		a := w.get(other, scanApplications)
		w.wantGraph("over the budget, by another caller", a, 429, "TooManyRequests")
		want := "52" // the first was 8 s ago
		if silent {
			want = ""
		}
		if got := a.header.Get("Retry-After"); got != want {
			t.Errorf("Retry-After %q, want %q", got, want)
		}
		for _, path := range []string{scanFederated, "/applications", "/applications/" + w.app.ObjectID} {
			if a := w.get(token, path); a.status != http.StatusOK {
				t.Errorf("%s asks for no certificates: %d %v", path, a.status, a.body)
			}
		}
		w.pass(52 * time.Second)
		if a := w.get(other, scanPrincipals); a.status != http.StatusOK {
			t.Errorf("after the pause: %d %v", a.status, a.body)
		}
		if n := w.KeyReads(); n != (directory.KeyReads{Asked: 6, Refused: 1}) || w.Writes().Asked != 0 {
			t.Errorf("counted as %+v", n)
		}
	}
}

// TestPagesCostTheSame: a page costs what is on it, however many applications there are. A
// list that sorts or copies all of them for each page takes hours for a large tenant.
func TestPagesCostTheSame(t *testing.T) {
	cost := func(applications int) uint64 {
		w := newWorld(t, directory.Config{})
		for range applications {
			w.register(directory.Registration{Credentials: &directory.Credentials{Secrets: []directory.Secret{{StartsAt: began, UsedAt: began}}}})
		}
		token := w.reader(directory.RoleReadAll, directory.RoleAuditLogReadAll)
		graph := w.Graph()
		page := func(path string) {
			r := httptest.NewRequest(http.MethodGet, "https://graph.example"+path, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			graph.ServeHTTP(httptest.NewRecorder(), r)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 20 {
			for _, path := range []string{"/v1.0" + scanApplications, "/v1.0" + scanFederated, "/v1.0" + scanPrincipals, "/beta" + scanActivity} {
				page(strings.Replace(path, "$top=200", "$top=10", 1))
			}
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := cost(100), cost(5000)
	if many > few+few/5 {
		t.Errorf("80 pages take %d bytes in a tenant of 5,000 applications, and %d in one of 100", many, few)
	}
}
