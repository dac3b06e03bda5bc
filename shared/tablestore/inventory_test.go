package tablestore_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/table"
	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/tablestore"
)

// inventoryStore is the inventory with the due index that it shares with the records.
type inventoryStore struct {
	tablestore.Inventory
	dueIndex
}

type dueIndex struct{ *tablestore.Store }

// subject is a table as the suite sees it.
func subject(store *tablestore.Store) inventorytest.Subject {
	return inventorytest.Subject{Store: inventoryStore{store.Inventory(), dueIndex{store}}, Told: func(t *testing.T) (all []scan.Notice) {
		notices, err := store.Undelivered(t.Context(), 10_000)
		if err != nil {
			t.Fatalf("Undelivered: %v", err)
		}
		for _, n := range notices {
			if n.Connection == inventory.DueID(n.TenantID) {
				all = append(all, scan.Notice{TenantID: n.TenantID, ConnectionID: n.Via, ScanID: n.ScanID, At: n.At, Kind: n.Kind, Message: n.Message})
			}
		}
		return all
	}}
}

func TestInventoryConformance(t *testing.T) {
	for i, test := range []struct {
		name string
		cfg  table.Config
	}{
		{"whole pages", table.Config{}},
		{"short pages", table.Config{PageSize: 7, EmptyPages: true}},
	} {
		if !rotationtest.Sample(i) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			shared := subject(newFixture(t, test.cfg, nil).Store) // tests must bear each other's rows
			inventorytest.TestStore(t, func(*testing.T) inventorytest.Subject { return shared })
		})
	}
}

func TestInventoryConformanceAzurite(t *testing.T) {
	rotationtest.PlainOnly(t)
	store, err := tablestore.New(tablestore.Config{ConnectionString: secret.New(azurite.ForTest(t).ConnectionString), Notices: true})
	if err != nil {
		t.Fatal(err)
	}
	shared := subject(store)
	inventorytest.TestStore(t, func(*testing.T) inventorytest.Subject { return shared })
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Where nothing delivers, nothing piles up.
func TestNoNoticesOfInventoriesUnlessConfigured(t *testing.T) {
	service := table.New(table.Config{AccountKey: accountKey})
	server := httptest.NewServer(service)
	defer server.Close()
	store, err := tablestore.New(tablestore.Config{ConnectionString: secret.New(
		"AccountName=devstoreaccount1;AccountKey=" + accountKey + ";TableEndpoint=" + server.URL + "/devstoreaccount1")})
	if err != nil {
		t.Fatal(err)
	}
	tenant := inventory.Tenant{ID: inventorytest.NewID(), Version: 1}
	if _, err := store.Inventory().Commit(t.Context(), tenant, scan.Write{
		Notice: &scan.Notice{TenantID: tenant.ID, Kind: history.InventoryFindings}}); err != nil {
		t.Fatal(err)
	}
	if n := len(service.Rows("evt-")); n != 0 || len(service.Rows("tenant-")) != 1 {
		t.Errorf("%d notices", n)
	}
}
