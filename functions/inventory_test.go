package functions_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

const inventories = secrets + "/inventory"

// What every walked world has: an application, and a scan of its tenant.
var (
	inventoried = inventory.Key{TenantID: "0b1e7e57-0000-4000-8000-0000000000aa", ClientID: "0b1e7e57-0000-4000-8000-0000000000bb"}
	scanned     = inventory.ScanID(inventoried.TenantID, "0123456789")
)

// stocked puts applications into the inventory, as a scan would.
func (w *world) stocked(apps ...inventory.Application) {
	w.Helper()
	store := w.app.Inventory.Store.(scan.Store)
	for _, a := range apps {
		s := inventory.Scan{ID: inventory.ScanID(a.TenantID, "0123456789"), Phase: inventory.Complete, StartedAt: w.clock.Now(),
			FinishedAt: w.clock.Now(), Trigger: "schedule", Result: &inventory.Result{Applications: 1}}
		t, err := store.Tenant(w.Context(), a.TenantID)
		if errors.Is(err, serviceerror.ErrNotFound) {
			t, err = inventory.Tenant{ID: a.TenantID, AsOf: w.clock.Now(), Scan: &s}, nil
		}
		if err != nil {
			w.Fatal(err)
		}
		t.Version++
		if _, err := store.Commit(w.Context(), t, scan.Write{Finished: &s}); err != nil {
			w.Fatal(err)
		}
	}
	if _, err := store.Put(w.Context(), apps, nil); err != nil {
		w.Fatal(err)
	}
}

// listed are what the tests read of an application of the inventory.
type listed struct {
	ClientID, Name string
	EndsAt         *time.Time
	Findings       []struct {
		Finding  string
		KeyID    *string
		Accepted *struct{ By, Reason string }
	}
	Credentials []struct{ KeyID string }
	ManagedBy   []struct{ ConnectionID, TargetID string }
	Acceptances []struct{ By, EndedBy string }
}

func (l *listed) finding(kind string) (found, accepted bool) {
	for _, f := range l.Findings {
		if f.Finding == kind {
			return true, f.Accepted != nil
		}
	}
	return false, false
}

// tenantsStock is a tenant's inventory: what is to be adopted, and others that end later.
func (w *world) tenantsStock(a directory.Application) inventory.Key {
	w.Helper()
	key := inventory.Key{TenantID: a.TenantID, ClientID: a.ClientID}
	ends := inventory.Credential{KeyID: a.KeyID, Kind: inventory.ClientSecret, Holder: inventory.Registration, Name: "=1+1",
		StartsAt: w.clock.Now().AddDate(0, -1, 0), EndsAt: w.clock.Now().AddDate(0, 0, 5)}
	later := ends
	later.KeyID, later.EndsAt = unknownID, w.clock.Now().AddDate(0, 2, 0)
	w.stocked(
		inventory.Application{Key: key, ObjectID: a.ObjectID, Name: "<b>payroll</b>", Credentials: []inventory.Credential{ends}},
		inventory.Application{Key: inventory.Key{TenantID: a.TenantID, ClientID: unknownID}, Name: "later",
			Credentials: []inventory.Credential{later}},
	)
	return key
}

// From the list to what is managed: what ends first is found, accepted, and adopted; then the
// client secret that was named goes.
func TestInventory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, made := w.authenticator()
	a := w.owned(operator)
	kept, _ := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
	key := w.tenantsStock(a)
	one := inventories + "/" + key.TenantID + "/" + key.ClientID

	page := decode[struct {
		Applications []listed
		NextCursor   string
	}](t, w.call(auth.Read, http.MethodGet, inventories+"?limit=1&tenantId="+key.TenantID, nil))
	if len(page.Applications) != 1 || page.Applications[0].ClientID != key.ClientID || page.NextCursor == "" {
		t.Fatalf("first is %+v", page)
	}
	next := decode[struct{ Applications []listed }](t,
		w.call(auth.Read, http.MethodGet, inventories+"?limit=1&tenantId="+key.TenantID+"&cursor="+page.NextCursor, nil))
	if len(next.Applications) != 1 || next.Applications[0].Name != "later" {
		t.Errorf("next is %+v", next)
	}
	table := w.call(auth.Read, http.MethodGet, inventories+"?format=csv&limit=1", nil)
	if table.status != http.StatusOK || !strings.Contains(string(table.body), `"'=1+1"`) ||
		!strings.Contains(table.header.Get("Link"), `rel="next"`) {
		t.Errorf("as a table: %d, link %q: %s", table.status, table.header.Get("Link"), table.body)
	}

	w.call(auth.Rotate, http.MethodPost, one+"/accept", accepting(w)).refuses(t, http.StatusForbidden, "admin")
	got := w.inventoried(w.call(auth.Admin, http.MethodPost, one+"/accept", accepting(w)))
	if found, accepted := got.finding("ends-in-7-days"); !found || !accepted || got.Acceptances[0].By != "admin" {
		t.Errorf("accepted is %+v", got)
	}
	w.call(auth.Rotate, http.MethodDelete, one+"/accept?finding=ends-in-7-days", nil).refuses(t, http.StatusForbidden, "admin")
	got = w.inventoried(w.call(auth.Admin, http.MethodDelete, one+"/accept?finding=ends-in-7-days", nil))
	if _, accepted := got.finding("ends-in-7-days"); accepted || got.Acceptances[0].EndedBy != "admin" {
		t.Errorf("taken back is %+v", got)
	}
	for _, words := range []string{`"msg":"finding accepted","caller":"admin","from":"` + home,
		`"msg":"acceptance taken back","caller":"admin"`} {
		if !strings.Contains(w.watch.Log(), words) {
			t.Errorf("the log does not say %s", words)
		}
	}

	body := object{"connectionId": made.ID, "vaultSecretName": "payroll", "retireKeyIds": []string{a.KeyID}, "isAutoRotationEnabled": true,
		"rotation": object{"rotationInterval": 30, "rotateAt": object{"hours": 3, "minutes": 0}, "originalGracePeriodHours": 0}}
	w.call(auth.Write, http.MethodPost, one+"/adopt", body).refuses(t, http.StatusForbidden, "rotate")
	target := w.target(w.call(auth.Rotate, http.MethodPost, one+"/adopt", body))
	if r := target.Rotation; r.GracePeriodHours != 48 || r.OriginalGracePeriodHours != 0 {
		t.Errorf("grace periods of %v and %v hours, want 48 and, for what it retires, 0", r.GracePeriodHours, r.OriginalGracePeriodHours)
	}
	w.settle()
	w.managed(a, "payroll", w.record(target.ID).Current.KeyID, kept)
	if managed := w.inventoried(w.call(auth.Read, http.MethodGet, one, nil)).ManagedBy; len(managed) != 1 || managed[0].TargetID != target.ID {
		t.Errorf("managed by %+v", managed)
	}
	summary := decode[struct {
		Tenants []struct {
			TenantID, AsOf string
			Applications   int
			Findings       map[string]int
		}
	}](t, w.call(auth.Read, http.MethodGet, inventories+"/summary", nil)).Tenants
	if len(summary) != 1 || summary[0].Applications != 2 || summary[0].Findings["managed"] != 1 || summary[0].AsOf == "" {
		t.Errorf("summary %+v", summary)
	}
}

func accepting(w *world) object {
	return object{"finding": "ends-in-7-days", "reason": "it is deleted on Friday", "until": w.clock.Now().AddDate(0, 0,
		9).UTC().Format(time.RFC3339)}
}

// inventoried reads an answer with one application.
func (c *client) inventoried(r reply) listed {
	c.t.Helper()
	return decode[struct{ Application listed }](c.t, r).Application
}

// A scan is asked for by who may write, once for a key, and is found by its id. What it finds is what
// the directory has, by the permission of the connection.
func TestScans(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, made := w.authenticator()
	ends := w.clock.Now().AddDate(0, 0, 20).UTC().Truncate(time.Second)
	other := w.add(directory.Registration{})
	keyID, _ := w.foreign(other, ends)
	body := object{"connectionId": made.ID}
	w.call(auth.Read, http.MethodPost, inventories+"/scans", body).refuses(t, http.StatusForbidden, "write")
	type scans struct {
		Scan struct {
			ID, TenantID, ConnectionID, RequestedBy, Phase string
			Requests                                       int
			Result                                         struct{ Applications, Credentials, Added int }
		}
		Scans []struct{ ID string }
	}
	ask := func(key string) scans {
		t.Helper()
		r := w.request(auth.Write, http.MethodPost, inventories+"/scans", body)
		r.Header.Set("Idempotency-Key", key)
		return decode[scans](t, w.send(r))
	}
	begun := ask("once").Scan
	if begun.TenantID != operator.TenantID || begun.ConnectionID != made.ID || begun.RequestedBy != "write" || begun.Phase != "complete" ||
		begun.Result.Applications < 2 || begun.Result.Applications != begun.Result.Added || begun.Requests == 0 {
		t.Errorf("begun is %+v", begun)
	}
	if again := ask("once").Scan; again != begun {
		t.Errorf("the same request again is answered by %+v", again)
	}
	if got := decode[scans](t, w.call(auth.Read, http.MethodGet, inventories+"/scans/"+begun.ID, nil)).Scan; got != begun {
		t.Errorf("%+v, want %+v", got, begun)
	}
	ask("twice")
	list := decode[scans](t, w.call(auth.Read, http.MethodGet, inventories+"/scans?tenantId="+begun.TenantID, nil)).Scans
	if len(list) != 2 || list[1].ID != begun.ID {
		t.Errorf("listed are %+v", list)
	}
	if n := strings.Count(w.watch.Log(), `"msg":"scan requested","caller":"write"`); n != 2 {
		t.Errorf("the log has %d lines of two scans", n)
	}
	found := decode[struct{ Applications []listed }](t,
		w.call(auth.Read, http.MethodGet, inventories+"?finding=ends-in-30-days", nil)).Applications
	if len(found) != 1 || found[0].ClientID != other.ClientID || !found[0].EndsAt.Equal(ends) {
		t.Fatalf("what ends in 30 days is %+v", found)
	}
	if len(found[0].Credentials) != 2 || found[0].Credentials[0].KeyID != keyID {
		t.Errorf("its credentials are %+v", found[0].Credentials)
	}
	w.foreignScans(made)
}

// foreignScans asks for what is not there, and for what is another tenant's.
func (w *world) foreignScans(made view) {
	w.Helper()
	for _, path := range []string{
		"/scans/" + scanned, "/scans/x", "/scans?tenantId=" + unknownID, "?tenantId=" + unknownID, "/summary?tenantId=" + unknownID,
		"/" + unknownID + "/" + unknownID,
	} {
		w.call(auth.Read, http.MethodGet, inventories+path, nil).refuses(w.T, http.StatusNotFound)
	}
	adopt := inventories + "/" + unknownID + "/" + unknownID + "/adopt"
	for id, want := range map[string]string{unknownID: "no such connection", made.ID: "another tenant"} {
		status := http.StatusNotFound
		if id == made.ID {
			status = http.StatusBadRequest
		} else {
			w.call(auth.Write, http.MethodPost, inventories+"/scans", object{"connectionId": id}).refuses(w.T, status, want)
		}
		w.call(auth.Write, http.MethodPost, adopt, object{"connectionId": id, "vaultSecretName": "v"}).refuses(w.T, status, want)
	}
	if slices.Contains(w.stack.Vault.Names(), "v") {
		w.Error("what was refused has written to the vault")
	}
}
