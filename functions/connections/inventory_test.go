package connections_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// shelf is an inventory that answers as its fields say. What is nil must not be asked.
type shelf struct {
	list      func(catalog.Query) (catalog.Page, error)
	get       func(inventory.Key) (catalog.Item, inventory.Tenant, error)
	summarize func(tenantID string) ([]catalog.Summary, error)
	ends      func(from, to time.Time) ([]catalog.End, bool, error)
	accept    func(inventory.Key, catalog.Acceptance) (catalog.Item, inventory.Tenant, error)
	takeBack  func(inventory.Key, catalog.Acceptance) (catalog.Item, inventory.Tenant, error)
	scan      func(id string) (inventory.Scan, error)
	scans     func(tenantID string, limit int) ([]inventory.Scan, error)
	request   func(catalog.Request) (inventory.Scan, error)
}

func (s shelf) List(_ context.Context, q catalog.Query) (catalog.Page, error) { return s.list(q) }

func (s shelf) Get(_ context.Context, key inventory.Key) (catalog.Item, inventory.Tenant, error) {
	return s.get(key)
}

func (s shelf) Summarize(_ context.Context, tenantID string) ([]catalog.Summary, error) {
	return s.summarize(tenantID)
}

func (s shelf) Ends(_ context.Context, from, to time.Time) ([]catalog.End, bool, error) {
	return s.ends(from, to)
}

func (s shelf) Accept(_ context.Context, key inventory.Key, in catalog.Acceptance) (catalog.Item, inventory.Tenant, error) {
	return s.accept(key, in)
}

func (s shelf) TakeBack(_ context.Context, key inventory.Key, in catalog.Acceptance) (catalog.Item, inventory.Tenant, error) {
	return s.takeBack(key, in)
}

func (s shelf) Scan(_ context.Context, id string) (inventory.Scan, error) { return s.scan(id) }

func (s shelf) Scans(_ context.Context, tenantID string, limit int) ([]inventory.Scan, error) {
	return s.scans(tenantID, limit)
}

func (s shelf) RequestScan(_ context.Context, in catalog.Request) (inventory.Scan, error) {
	return s.request(in)
}

const (
	stock  = "/azure-client-secrets/inventory"
	single = stock + "/" + tenant + "/" + client
)

// stocked is the API with an inventory, for one caller.
func stocked(i shelf, s service, role auth.Role) *connections.Handler {
	h := handler(s, role)
	h.Inventory = i
	return h
}

// askStock sends one request of an administrator to an API with an inventory.
func askStock(t *testing.T, i shelf, method, path, body string, header ...string) (status int, answer string, got http.Header) {
	t.Helper()
	w, _ := askOf(t, stocked(i, service{}, auth.Admin), method, path, body, header...)
	return w.Code, w.Body.String(), w.Header()
}

// odd are names as people give them, or as they would who mean harm.
var odd = []string{
	`<script>alert(1)</script>`, `=HYPERLINK("http://x","y")`, "\u202Egnp.exe", "Σίσυφος 株式会社 שלום", `a,"b";c` + "\n=1+1", "a;=2+5",
}

// full is an application that has something of everything.
func full() catalog.Item {
	at := func(days int) time.Time { return now.AddDate(0, 0, days) }
	accepted := inventory.Acceptance{Kind: inventory.Ownerless, Reason: "r " + odd[0], By: "boss", At: at(-1), Until: at(30)}
	ended := inventory.Acceptance{Kind: inventory.Expired, KeyID: "k2", Reason: "s", By: "boss", At: at(-9), Until: at(-3), EndedBy: "chief"}
	i := catalog.Item{EndsAt: at(5)}
	i.Application = inventory.Application{
		Key: inventory.Key{TenantID: tenant, ClientID: client}, ObjectID: "o", PrincipalID: "p", Name: odd[0], Audience: "AzureADMyOrg",
		CreatedAt: at(-400), HomeTenantID: tenant, Disabled: true, MoreOwners: true, MoreCredentials: 2,
		Owners: []inventory.Owner{{ID: "u1", Kind: "user", Name: odd[1], PrincipalName: odd[1]}, {ID: "u2"}},
		Credentials: []inventory.Credential{
			{KeyID: "k1", Kind: inventory.ClientSecret, Holder: inventory.Registration, Name: odd[2], Hint: "=cm", StartsAt: at(-100),
				EndsAt: at(5), UsedAt: at(-1)},
			{KeyID: "k2", Kind: inventory.SAMLSigning, Holder: inventory.Principal, Thumbprint: "AB", EndsAt: time.Time{}},
		},
		Federated: []inventory.Federated{{ID: "f", Name: odd[3], Issuer: "https://i", Subject: "s"}, {ID: "g"}},
		Unread:    []inventory.List{inventory.Activity}, FirstSeenAt: at(-50), ChangedAt: at(-2),
	}
	i.Accepted = []inventory.Acceptance{accepted, ended}
	i.Findings = []inventory.Finding{
		{Kind: inventory.EndsIn7Days, KeyID: "k1", Advice: "replace it"}, {Kind: inventory.Ownerless, Advice: "name one", Accepted: &accepted},
	}
	i.Managers = []inventory.Manager{{ConnectionID: id, TargetID: client, Name: "payroll", Rotates: true}, {ConnectionID: id, Name: "c"}}
	return i
}

var owner = inventory.Tenant{
	ID: tenant, ConnectionID: id, Daily: true, AsOf: now, Longest: 36 * time.Hour, WakeAt: now.AddDate(0, 0, 1),
	Unread: []inventory.Unread{{List: inventory.Activity, Class: serviceerror.Permission, Message: "give AuditLog.Read.All"}},
}

// An application is shown as it is, whatever it is called, with everything that is known of it.
func TestApplicationView(t *testing.T) {
	var key inventory.Key
	i := shelf{get: func(k inventory.Key) (catalog.Item, inventory.Tenant, error) { key = k; return full(), owner, nil }}
	status, answer, _ := askStock(t, i, http.MethodGet, stock+"/"+strings.ToUpper(tenant)+"/"+strings.ToUpper(client)+"/", "")
	if status != http.StatusOK || key != (inventory.Key{TenantID: tenant, ClientID: client}) {
		t.Fatalf("status %d, asked for %v: %s", status, key, answer)
	}
	if strings.Contains(answer, "<script>") {
		t.Errorf("markup is shown as such: %s", answer)
	}
	const want = `{"application":{"tenantId":"` + tenant + `","clientId":"` + client + `","name":"<script>alert(1)</script>","objectId":"o",
		"servicePrincipalId":"p","homeTenantId":"` + tenant + `","audience":"AzureADMyOrg","createdAt":"2025-05-27T12:00:00Z","disabled":true,
		"endsAt":"2026-07-06T12:00:00Z",
		"findings":[{"finding":"ends-in-7-days","keyId":"k1","advice":"replace it","accepted":null},
			{"finding":"ownerless","keyId":null,"advice":"name one","accepted":{
				"finding":"ownerless","keyId":null,"reason":"r <script>alert(1)</script>",
				"by":"boss","at":"2026-06-30T12:00:00Z","until":"2026-07-31T12:00:00Z","endedBy":null}}],
		"managedBy":[{"connectionId":"` + id + `","targetId":"` + client + `","name":"payroll","rotates":true},
			{"connectionId":"` + id + `","targetId":null,"name":"c","rotates":false}],
		"owners":[{"id":"u1","kind":"user","name":"=HYPERLINK(\"http://x\",\"y\")","principalName":"=HYPERLINK(\"http://x\",\"y\")"},
			{"id":"u2","kind":null,"name":null,"principalName":null}],"moreOwners":true,
		"credentials":[{"keyId":"k1","kind":"client-secret","of":"application","name":"\u202egnp.exe","hint":"=cm","thumbprint":null,
				"startsAt":"2026-03-23T12:00:00Z","endsAt":"2026-07-06T12:00:00Z","lastUsedAt":"2026-06-30T12:00:00Z"},
			{"keyId":"k2","kind":"saml-signing","of":"service-principal","name":null,"hint":null,"thumbprint":"AB","startsAt":null,"endsAt":null,
				"lastUsedAt":null}],"moreCredentials":2,
		"federatedCredentials":[{"id":"f","name":"Σίσυφος 株式会社 שלום","issuer":"https://i","subject":"s"},
			{"id":"g","name":null,"issuer":null,"subject":null}],
		"unread":["activity"],"firstSeenAt":"2026-05-12T12:00:00Z","changedAt":"2026-06-29T12:00:00Z",
		"acceptances":[{"finding":"ownerless","keyId":null,"reason":"r <script>alert(1)</script>","by":"boss","at":"2026-06-30T12:00:00Z",
				"until":"2026-07-31T12:00:00Z","endedBy":null},
			{"finding":"expired","keyId":"k2","reason":"s","by":"boss",
				"at":"2026-06-22T12:00:00Z","until":"2026-06-28T12:00:00Z","endedBy":"chief"}]},
		"tenant":{"tenantId":"` + tenant + `","connectionId":"` + id + `","daily":true,"asOf":"2026-07-01T12:00:00Z","complete":false,
			"unread":[{"list":"activity","class":"permission","message":"give AuditLog.Read.All"}],
			"longestClientSecretDays":1.5,"scanUnderWay":null}}`
	sameJSON(t, answer, want)
}

// sameJSON requires that two texts are the same JSON.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil || !reflect.DeepEqual(g, w) {
		t.Errorf("%v: got  %s\nwant %s", err, got, want)
	}
}

// What the filters say reaches the catalog.
func TestInventoryQuery(t *testing.T) {
	var q catalog.Query
	i := shelf{list: func(got catalog.Query) (catalog.Page, error) {
		q = got
		return catalog.Page{Items: []catalog.Item{{}}, Tenants: []inventory.Tenant{owner}, Next: "next", LeftOut: 3}, nil
	}}
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	for query, want := range map[string]catalog.Query{
		"": {Limit: 100},
		"?finding=expired&tenantId=" + strings.ToUpper(tenant) + "&owner=ada%40contoso.com&text=%3Da" +
			"&limit=7&cursor=c&includeAccepted=true&onlyAccepted=true&format=json": {
			OnlyAccepted: true, Finding: inventory.Expired, TenantID: tenant, Owner: "ada@contoso.com", Text: "=a",
			Limit: 7, Cursor: "c", IncludeAccepted: true},
		"?endsAfter=2026-08-01T00:00:00Z&endsBefore=2026-08-01T02:00:00%2B01:00": {Limit: 100, EndsAfter: at, EndsBefore: at.Add(time.Hour)},
	} {
		status, answer, header := askStock(t, i, http.MethodGet, stock+query, "")
		if status != http.StatusOK || !q.EndsBefore.Equal(want.EndsBefore) || !strings.Contains(answer, `"nextCursor":"next"`) ||
			!strings.Contains(answer, `"unreadableRows":3`) || header.Get("Link") != "" {
			t.Errorf("%s: status %d, until %s: %s", query, status, q.EndsBefore, answer)
		}
		if q.EndsBefore = want.EndsBefore; q != want {
			t.Errorf("%s: asked for %+v", query, q)
		}
	}
}

// What is wrong with a request about the inventory is said, by name, and the inventory is not asked.
func TestInventoryRefusals(t *testing.T) {
	for line, want := range map[string]struct {
		status int
		says   string
	}{
		"GET " + stock + "?limit=0":                          {400, "limit must be 1 to 1000"},
		"GET " + stock + "?limit=1001":                       {400, "limit must be 1 to 1000"},
		"GET " + stock + "?tenantId=x":                       {400, "tenantId must be a UUID"},
		"GET " + stock + "?endsAfter=tomorrow":               {400, "endsAfter must be a moment"},
		"GET " + stock + "?endsBefore=2026-08-01":            {400, "endsBefore must be a moment"},
		"GET " + stock + "?includeAccepted=1":                {400, "includeAccepted must be true or false"},
		"GET " + stock + "?onlyAccepted=yes":                 {400, "onlyAccepted must be true or false"},
		"GET " + stock + "?format=xml":                       {400, "format must be json or csv"},
		"GET " + stock + "/summary?tenantId=x":               {400, "tenantId must be a UUID"},
		"GET " + stock + "/scans?tenantId=x":                 {400, "tenantId must be a UUID"},
		"GET " + stock + "/scans?limit=101":                  {400, "limit must be 1 to 100"},
		"GET " + stock + "/" + tenant + "/x":                 {400, "client id, both UUIDs"},
		"GET " + stock + "/x/" + client:                      {400, "client id, both UUIDs"},
		"POST " + stock + "/x/y/adopt {}":                    {400, "client id, both UUIDs"},
		"POST " + stock + "/x/y/accept {}":                   {400, "client id, both UUIDs"},
		"DELETE " + stock + "/x/y/accept?finding=expired":    {400, "client id, both UUIDs"},
		"DELETE " + single + "/accept":                       {400, "finding is missing"},
		"DELETE " + single + "/accept?finding=unused&keyId=": {200, ""},
		"DELETE " + single + "/accept?finding=unused&keyId=k": {
			400, "keyId must be a UUID"},
		"POST " + single + "/accept {}":                                           {400, "finding is missing"},
		"POST " + single + `/accept {"finding":"unused"}`:                         {400, "reason is missing"},
		"POST " + single + `/accept {"finding":"unused","reason":"r"}`:            {400, "until is missing"},
		"POST " + single + `/accept {"finding":1,"reason":"r","until":"u"}`:       {400, "finding has the wrong type"},
		"POST " + single + `/accept {"finding":"a","reason":"r","until":1}`:       {400, "until has the wrong type"},
		"POST " + single + `/accept {"finding":"a","reason":"r","until":"later"}`: {400, "until must be a moment"},
		"POST " + single + `/accept [`:                                            {400, "not JSON"},
		"POST " + single + "/adopt {}":                                            {400, "vaultSecretName is missing"},
		"POST " + single + `/adopt {"vaultSecretName":"v"}`:                       {400, "connectionId is missing"},
		"POST " + single + `/adopt {"vaultSecretName":"v","connectionId":"x"}`:    {400, "connectionId must be"},
		"POST " + single + `/adopt {"retireKeyIds":"x"}`:                          {400, "retireKeyIds has the wrong type"},
		"POST " + stock + "/scans {}":                                             {400, "connectionId is missing"},
		"POST " + stock + `/scans {"connectionId":"x"}`:                           {400, "connectionId must be"},
		"POST " + stock + `/scans {"connectionId":"` + id + `","daily":1}`:        {400, "daily has the wrong type"},
		"PATCH " + stock + "/scans":                                               {405, "does not take that method"},
		"PUT " + single:                                                           {405, "does not take that method"},
		"GET " + single + "/adopt":                                                {405, "does not take that method"},
	} {
		line, body, _ := strings.Cut(line, " {")
		method, path, _ := strings.Cut(line, " ")
		if body != "" {
			body = "{" + body
		} else if path, body, _ = strings.Cut(path, " "); body == "" && method == http.MethodPost {
			body = "{}"
		}
		i := shelf{takeBack: func(inventory.Key, catalog.Acceptance) (catalog.Item, inventory.Tenant, error) {
			return full(), owner, nil
		}}
		status, answer, _ := askStock(t, i, method, path, body)
		if status != want.status || !strings.Contains(answer, want.says) {
			t.Errorf("%s %s: status %d, want %d: %s: %s", line, body, status, want.status, want.says, answer)
		}
	}
}

// Each address takes the role that it needs, and says which. What is refused asks nothing.
func TestInventoryRoles(t *testing.T) {
	gone := &connection.Error{Kind: connection.NotFound, Message: "none"}
	i := shelf{
		list:      func(catalog.Query) (catalog.Page, error) { return catalog.Page{}, nil },
		get:       func(inventory.Key) (catalog.Item, inventory.Tenant, error) { return full(), owner, nil },
		summarize: func(string) ([]catalog.Summary, error) { return nil, nil },
		takeBack: func(inventory.Key, catalog.Acceptance) (catalog.Item, inventory.Tenant, error) {
			return full(), owner, nil
		},
		scan:  func(string) (inventory.Scan, error) { return inventory.Scan{}, gone },
		scans: func(string, int) ([]inventory.Scan, error) { return nil, nil },
	}
	for line, least := range map[string]auth.Role{
		"GET " + stock: auth.Read, "GET " + stock + "?format=csv": auth.Read, "HEAD " + stock: auth.Read, "GET " + stock + "/summary": auth.Read,
		"GET " + stock + "/scans": auth.Read, "GET " + stock + "/scans/x": auth.Read, "GET " + single: auth.Read, "POST " + stock +
			"/scans": auth.Write,
		"POST " + single + "/adopt": auth.Write, "POST " + single + "/accept": auth.Admin, "DELETE " + single +
			"/accept?finding=unused": auth.Admin,
	} {
		method, path, _ := strings.Cut(line, " ")
		for _, role := range []auth.Role{auth.Read, auth.Write, auth.Rotate, auth.Admin} {
			w, _ := askOf(t, stocked(i, service{}, role), method, path, "{}")
			if refused := w.Code == http.StatusForbidden; refused != (role < least) {
				t.Errorf("%s as %s: status %d: %s", line, role, w.Code, w.Body)
			} else if refused && !strings.Contains(w.Body.String(), `\"`+least.String()+`\"`) {
				t.Errorf("%s as %s: it does not say which role it needs: %s", line, role, w.Body)
			}
		}
	}
	for _, body := range []string{
		`{"connectionId":"` + id + `","vaultSecretName":"v","retireKeyIds":["` + client + `"]}`,
		`{"connectionId":"` + id + `","vaultSecretName":"v","isAutoRotationEnabled":true}`,
	} {
		w, _ := askOf(t, stocked(i, service{}, auth.Write), http.MethodPost, single+"/adopt", body)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "rotate") {
			t.Errorf("%s: status %d: %s", body, w.Code, w.Body)
		}
	}
}

// A summary has a count for every range of time, and what is known of the tenant.
func TestSummaryView(t *testing.T) {
	with := owner
	with.Scan = &inventory.Scan{ID: inventory.ScanID(tenant, "1"), Phase: inventory.Reading, StartedAt: now}
	i := shelf{summarize: func(tenantID string) ([]catalog.Summary, error) {
		return []catalog.Summary{{
			Tenant: with, Applications: 3, Credentials: 4, Federated: 5, LeftOut: 6, Findings: map[inventory.FindingKind]int{inventory.Expired: 2},
			Accepted: map[inventory.FindingKind]int{inventory.Unused: 1}, Ends: map[inventory.Left]int{inventory.LeftNone: 2},
		}}, nil
	}}
	status, answer, _ := askStock(t, i, http.MethodGet, stock+"/summary", "")
	if status != http.StatusOK {
		t.Fatal(answer)
	}
	sameJSON(t, answer, `{"tenants":[{"tenantId":"`+tenant+`","connectionId":"`+id+`","daily":true,
		"asOf":"2026-07-01T12:00:00Z","complete":false,"unread":[{"list":"activity","class":"permission","message":"give AuditLog.Read.All"}],
		"longestClientSecretDays":1.5,"scanUnderWay":"`+tenant+`-1","applications":3,"credentials":4,"federatedCredentials":5,
		"unreadableRows":6,"findings":{"expired":2},"acceptedFindings":{"unused":1},
		"ends":{"expired":2,"7-days":0,"30-days":0,"90-days":0,"more":0,"never":0},
		"managedEnds":{"expired":0,"7-days":0,"30-days":0,"90-days":0,"more":0,"never":0},"endsByWeek":[0,0,0,0,0,0,0,0,0,0,0,0,0],
		"nextScanAt":"2026-07-02T12:00:00Z",
		"scan":{"id":"`+tenant+`-1","tenantId":"`+tenant+`","connectionId":"","trigger":"","requestedBy":null,"startedAt":"2026-07-01T12:00:00Z",
			"finishedAt":null,"phase":"reading","requests":0,"rowsWritten":0,"unread":[],"problem":null,"result":null}}]}`)
}

// scanner begins scans that never get further.
type scanner struct{}

func (scanner) Request(_ context.Context, in catalog.Request) (inventory.Scan, error) {
	return inventory.Scan{ID: inventory.ScanID(in.TenantID, "1"), ConnectionID: in.ConnectionID, Phase: inventory.Reading,
		StartedAt: time.Now()}, nil
}

// inventory is a real catalog, which knows the application that may be rotated.
func (d *deployment) inventory(t *testing.T) *catalog.Catalog {
	t.Helper()
	store := &inventorytest.MemoryStore{}
	if _, err := store.Commit(t.Context(), inventory.Tenant{ID: d.owned.TenantID, ConnectionID: id, AsOf: time.Now(), Version: 1},
		scan.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), []inventory.Application{{Key: inventory.Key{TenantID: d.owned.TenantID,
		ClientID: d.owned.ClientID}}}, nil); err != nil {
		t.Fatal(err)
	}
	return &catalog.Catalog{
		Store: store, Managers: &connection.Managers{Records: d.w.StorePort(), Deployment: rotationtest.Deployment}, Scanner: scanner{},
		Deployment: rotationtest.Deployment, Log: d.api.Log,
	}
}
