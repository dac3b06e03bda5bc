package tablestore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest/canary"
	"rekey/shared/serviceerror"
)

// The rows of the inventory are read or refused without a word of what they hold. What can be
// read is written again as it was. The content is given uncompressed, and the row around it: the
// fuzzer would not find its way through the compression.
func FuzzInventory(f *testing.F) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	id, client := "0195c2c4-6a1e-7f00-8000-000000000001", "0195c2c4-6a1e-7f00-8000-000000000002"
	app := inventory.Application{Key: inventory.Key{TenantID: id, ClientID: client}, Name: "ü", CreatedAt: at,
		Owners:      []inventory.Owner{{ID: "o"}},
		Credentials: []inventory.Credential{{KeyID: "k_1", Kind: inventory.ClientSecret, EndsAt: at}, {KeyID: client}},
		Federated:   []inventory.Federated{{ID: "f"}}, Unread: inventory.Lists}
	one := inventory.Scan{ID: inventory.ScanID(id, "a"), StartedAt: at, Phase: inventory.Complete,
		Result: &inventory.Result{Findings: map[inventory.FindingKind]int{inventory.Expired: 1}, Changes: []inventory.Change{{Key: app.Key}}}}
	tenant := inventory.Tenant{ID: id, Daily: true, WakeAt: at, Lease: rotation.Lease{Token: "l", Until: at}, Scan: &one, AsOf: at,
		Unread: []inventory.Unread{{List: inventory.Activity, Class: serviceerror.Permission}}}
	for key, v := range map[string]any{
		tenantKey(id): tenant, scanKey(id, one.ID, at): one, appKey(app.Key): app,
		acceptedKey(app.Key): []inventory.Acceptance{{Reason: "r", At: at}},
		pageKey(one.ID, 7):   storedPage{List: inventory.Principals, Applications: []inventory.Application{app}},
	} {
		f.Add([]byte(fmt.Sprintf(`{"RowKey":%q,"schema":1}`, key)), mustJSON(f, v))
	}
	for _, end := range endKeys(&app) {
		f.Add([]byte(fmt.Sprintf(`{"RowKey":%q}`, end)), []byte(nil))
	}
	for _, row := range []string{"", "null", "[]", "{}", `{"schema":2}`, `{"schema":"1"}`, `{"schema":1,"z00":1}`, `{"schema":1,"z00":"eJw="}`,
		`{"schema":1,"z00":"` + canary.Mark + `"}`, `{"schema":-1,"RowKey":"` + tenantKey(id) + `"}`, `{"schema":1,"RowKey":1}`} {
		f.Add([]byte(row), []byte(`{"id":"`+canary.Mark+`"}`))
	}
	for _, content := range []string{"", "null", "[]", "{}", "7", `{"id":7}`, `{"id":"` + id + `","wakeAt":"` + canary.Mark + `"}`,
		`{"tenantId":"` + id + `","clientId":"` + client +
			`","credentials":[{"endsAt":"9999-12-31T23:59:59-23:59"},{"endsAt":"0000-01-01T00:00:00+23:59"}]}`} {
		for _, key := range []string{tenantKey(id), appKey(app.Key)} {
			f.Add([]byte(`{"RowKey":"`+key+`","schema":1}`), []byte(content))
		}
	}
	f.Fuzz(func(t *testing.T, row, content []byte) {
		for _, r := range canary.Planted(row) {
			checkInventory(t, r)
		}
		for _, c := range canary.Planted(content) {
			checkInventory(t, packed(t, row, c))
		}
		checkInventoryKeys(t, row)
	})
}

// packed puts content into a row.
func packed(t *testing.T, row, content []byte) []byte {
	t.Helper()
	text := strings.TrimSuffix(strings.TrimSpace(string(row)), "}")
	if !strings.HasPrefix(text, "{") {
		return row
	}
	for name, chunk := range contentRow(compress(content)) {
		if name == schemaProperty {
			continue // that of the row
		}
		if text != "{" {
			text += ","
		}
		text += fmt.Sprintf("%q:%s", name, mustJSON(t, chunk))
	}
	return []byte(text + "}")
}

// checkInventory decodes a row as each of the kinds that there are.
func checkInventory(t *testing.T, row []byte) {
	t.Helper()
	if tenant, err := decodeTenant(row, "e"); again(t, row, err) {
		if tenant.Handle != (inventory.Handle{ETag: "e", Wake: tenant.WakeAt}) {
			t.Errorf("handle %+v", tenant.Handle)
		}
		twice(t, tenantKey(tenant.ID), tenant, func(row []byte) (inventory.Tenant, error) { return decodeTenant(row, "e") })
	}
	if one, err := decodeScan(row); again(t, row, err) {
		tenantID, _ := inventory.TenantOfScan(one.ID)
		twice(t, scanKey(tenantID, one.ID, one.StartedAt), one, decodeScan)
	}
	if app, err := decodeApp(row); again(t, row, err) {
		for _, key := range endKeys(&app) {
			if _, ok := parseEndKey(key); !ok || !keyAllowed(key) {
				t.Errorf("an end has the key %q", key)
			}
		}
		w := appWrite{key: app.Key, app: &app, was: formerApp{known: true}}
		if transaction, err := w.transaction(appPartition(app.Key)); err != nil || transaction == nil && len(app.Credentials) < 90 {
			t.Errorf("what was read can't be written: %v", err)
		}
		twice(t, appKey(app.Key), app.Storable(), decodeApp)
	}
	if accepted, err := decodeAccepted(row); again(t, row, err) {
		twice(t, "", accepted, decodeAccepted)
	}
	checkPage(t, row)
}

// again reports whether a row could be read; an error may not quote it.
func again(t *testing.T, row []byte, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	noQuote(t, err)
	if !errors.Is(err, serviceerror.ErrNewerSchema) && !strings.HasPrefix(err.Error(), "decoding ") {
		t.Errorf("error %v of %q", err, row)
	}
	return false
}

// twice writes what was read, and reads it once more.
func twice[T any](t *testing.T, key string, v T, decode func(row []byte) (T, error)) {
	t.Helper()
	properties, e := encodeRow("op", v)
	if e != nil {
		t.Fatalf("what was read can't be written: %v", e)
	}
	properties["RowKey"] = key
	is, err := decode(mustJSON(t, properties))
	if err != nil || string(mustJSON(t, is)) != string(mustJSON(t, v)) {
		t.Errorf("read %s, then %s, %v", mustJSON(t, v), mustJSON(t, is), err)
	}
}

func checkPage(t *testing.T, row []byte) {
	t.Helper()
	var open openPage
	if !again(t, row, open.add(7, 0, row)) || open.have < open.parts {
		return
	}
	page, err := decodePage(open.compressed)
	if !again(t, row, err) {
		return
	}
	rows, e := pageRows("op", scan.KeptPage{ScanID: "s", Number: 7, List: page.List, Applications: page.Applications})
	if e != nil || len(rows) != 1 {
		t.Fatalf("what was read makes %d rows, %v", len(rows), e)
	}
	var next openPage
	if err := next.add(7, 0, mustJSON(t, rows[0].properties)); err != nil {
		t.Fatal(err)
	}
	is, err := decodePage(next.compressed)
	for i := range page.Applications {
		page.Applications[i] = page.Applications[i].Storable()
	}
	if err != nil || len(is.Applications) != len(page.Applications) ||
		len(is.Applications) > 0 && string(mustJSON(t, is)) != string(mustJSON(t, page)) {
		t.Errorf("page %s, then %s, %v", mustJSON(t, page), mustJSON(t, is), err)
	}
}

// checkInventoryKeys holds a row's key against those that this package writes.
func checkInventoryKeys(t *testing.T, row []byte) {
	t.Helper()
	key, err := rowKey(row)
	if err != nil {
		noQuote(t, err)
		return
	}
	if end, ok := parseEndKey(key); ok && endKey(end) != key {
		t.Errorf("%q is taken for the end %+v", key, end)
	}
	if app, accepted, ok := parseAppKey(key); ok && (accepted && acceptedKey(app) != key || !accepted && appKey(app) != key) {
		t.Errorf("%q is taken for the application %v, %v", key, app, accepted)
	}
	const scanID = "0195c2c4-6a1e-7f00-8000-000000000001-a"
	if number, digest, part, ok := parsePageKey(scanID, key); ok &&
		key != pageKey(scanID, number) && key != pagePartKey(scanID, number, digest, part) {
		t.Errorf("%q is taken for page %d, %s, %d", key, number, digest, part)
	}
	if id, ok := parseScanKey(scanID[:36], key); ok && !strings.HasSuffix(key, strings.TrimPrefix(id, scanID[:36])) {
		t.Errorf("%q is taken for the scan %s", key, id)
	}
}
