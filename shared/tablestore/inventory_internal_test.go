package tablestore

import (
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/rotationtest"
)

// An application of as much as there may be of everything, in characters that hardly compress, fits
// into its row.
func TestTheLargestApplicationFits(t *testing.T) {
	rotationtest.PlainOnly(t)
	app := inventorytest.LargeApplication(inventory.Key{TenantID: inventorytest.NewID(), ClientID: inventorytest.NewID()},
		time.Now(), inventory.MaxCredentials, 1)
	x := uint64(1)
	worst := func() string {
		out := make([]rune, inventory.MaxText)
		for i := range out {
			x = x*6364136223846793005 + 1442695040888963407
			out[i] = 0x10000 + rune(x>>33%0x100000)
		}
		return string(out)
	}
	app.Name = worst()
	for i := range app.Credentials {
		app.Credentials[i].Name = worst()
	}
	for i := range app.Owners {
		app.Owners[i].Name, app.Owners[i].PrincipalName = worst(), worst()
	}
	for i := range app.Federated {
		app.Federated[i].Name, app.Federated[i].Issuer, app.Federated[i].Subject = worst(), worst(), worst()
	}
	w := appWrite{key: app.Key, app: &app}
	row, err := w.rowTransaction("s00")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KiB as base64", row.size>>10)
}
