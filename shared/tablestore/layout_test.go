package tablestore

import (
	"maps"
	"strings"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
)

// Keys are in everybody's tables: none of these may ever change.
func TestKeysStayAsTheyAre(t *testing.T) {
	wake := time.Date(2030, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	claim := rotation.ClaimRow{Claim: rotation.Claim{ID: "id", App: rotation.Application{TenantID: "T", ClientID: "C"}.Key()}, Owner: "one"}
	const guid = "0195c2c4-6a1e-7f00-8000-000000000001"
	app := inventory.Key{TenantID: guid, ClientID: "0195c2c4-6a1e-7f00-8000-000000000002"}
	both := guid + "-0195c2c4-6a1e-7f00-8000-000000000002"
	for got, want := range map[string]string{
		tenantPartition(guid):             "s03",
		tenantKey(guid):                   "tenant-" + guid,
		scanKey(guid, guid+"-a-b", wake):  "scan-" + guid + "-0998106450155-a-b",
		pageKey(guid+"-a", 7):             "scanpage-" + guid + "-a-000007",
		pagePartKey(guid+"-a", 7, "f", 2): "scanpage-" + guid + "-a-000007-f-002",
		appPartition(app):                 "s04",
		appKey(app):                       "app-" + both,
		acceptedKey(app):                  "app-" + both + "-accepted",
		endKey(catalog.End{At: wake, Key: app, KeyID: "k_1"}): "end-20300102T020405Z-" + both + "-k_5f1",
		endKey(catalog.End{At: catalog.Never, Key: app}):      "end-99991231T000000Z-" + both + "-",
		noticeKey(wake, inventory.DueID(guid), 42, 0):         "evt-20300102T020405Z-scan-" + guid + "-0000000000000000042-00",
		dueKey(wake, inventory.DueID(guid)):                   "due-20300102T020405Z-scan-" + guid,
		partitionKey("0195c2c4-6a1e-7f00-8000-000000000001"):  "s01",
		partitionKey("one"):                                   "s0f",
		connectionKey("one"):                                  "conn-one",
		dueKey(wake, "one"):                                   "due-20300102T020405Z-one",
		historyKey("one", 1):                                  "hist-one-9223372036854775806",
		historyKey("one", 9e18):                               "hist-one-0223372036854775807",
		dayKey(wake, "one"):                                   "day-20300102-one",
		formerPrefix("t c") + "one":                           "former-" + digest("t c") + "-one",
		noticeKey(wake, "one", 42, 1):                         "evt-20300102T020405Z-one-0000000000000000042-01",
		pendingKey("0f3a"):                                    "oauth-0f3a",
		pendingKey("idem-0f3a"):                               "once-0f3a",
		reservationKey(reservation.Row{Kind: "name", Value: "org-My app_1/ü"}): "name-org-My_20app_5f1_2f_c3_bc",
		reservationKey(reservation.Row{Kind: "vault", Value: "rekey-a"}):       "vault-rekey-a",
		claimKey(claim): "claim-" + digest("t c") + "-one-id",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The rows beside a record can't change either: what an older Rekey has written would stay.
func TestRowsBesideARecord(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	rec := rotation.Record{ID: "one", Name: "a-0b", Project: "p", VaultName: "V", Phase: rotation.Idle, NextSlot: at,
		Policy: rotation.Policy{Enabled: true}, Target: rotation.Application{TenantID: "T", ClientID: "C"},
		Current: &rotation.Credential{KeyID: "K", ExpiresAt: at.AddDate(0, 0, 40)}}
	row := indexRow{Text: "a-0b\nc\nk\none\nv", States: "active"}
	urgent := row
	urgent.Project = "p"
	list := func(of string) indexRows {
		return indexRows{
			of + "list-a-10b-0one": row, of + "plist-" + digest("p") + "-a-10b-0one": row, of + "attn-20300102T040405Z-a-10b-0one": urgent,
			"next-20300102T030405Z-one": {}, "ends-20300211T030405Z-one": {Credential: "t c k"},
		}
	}
	if got := rowsOf(&rec); !maps.Equal(got, list("")) {
		t.Errorf("of a connection: %v", got)
	}
	rec.Via, row.Text = "other", "a-0b\nc\nk\none\nother\nv"
	urgent.Text = row.Text
	if got := rowsOf(&rec); !maps.Equal(got, list("t")) {
		t.Errorf("of a target: %v", got)
	}
	rec.Request = &rotation.Request{Kind: rotation.AskDelete}
	if got := rowsOf(&rec); len(got) != 2 {
		t.Errorf("of one that is going: %v", got)
	}
}

func TestForeignKeysAreNotTakenForOurs(t *testing.T) {
	if v, ok := parseHistoryKey("one", historyKey("one", 42)); !ok || v != 42 {
		t.Errorf("got %d, %v", v, ok)
	}
	for _, key := range []string{historyKey("one-0", 42), historyKey("one-0000000000000000000", 42),
		"hist-one-x223372036854775807", "conn-one"} {
		if v, ok := parseHistoryKey("one", key); ok {
			t.Errorf("%s is taken for version %d", key, v)
		}
	}
	for _, key := range []string{"due-", "due-20300102T020405Z", "due-20300102T020405Z-",
		"due-20301302T020405Z-one", "conn-20300102T020405Z-one"} {
		if d, ok := parseDueKey(key); ok {
			t.Errorf("%s is taken for %v", key, d)
		}
	}
	for _, row := range []string{`{"RowKey":"day-20300102-one"}`, `{"RowKey":"day-2030012-one","version":"1"}`,
		`{"RowKey":"day-20300102-","version":"1"}`,
		`{"RowKey":"day-20300102-one","version":"-1"}`, `{"RowKey":"due-20300102-one","version":"1"}`,
		`{"RowKey":"day-20300102-one","version":1}`, `{"RowKey":"day-20300102-one","version":"1","former":"conn-one"}`,
		`{"RowKey":"day-20300102-one","version":"1","former":"former-x-two"}`} {
		if d, ok := parseDay([]byte(row)); ok {
			t.Errorf("%s is taken for %+v", row, d)
		}
	}
	if d, ok := parseDay([]byte(`{"RowKey":"day-20300102-one-7","version":"42","former":"former-x-one-7"}`)); !ok ||
		d != (day{"20300102", "one-7", 42, "former-x-one-7"}) {
		t.Errorf("got %+v, %v", d, ok)
	}
	for _, key := range []string{"evt-", "evt-20300102T020405Z-0000000000000000042-01",
		"evt-20300102T020405Z-one-42-01", "evt-20301302T020405Z-one-0000000000000000042-01",
		"evt-20300102T020405Z-one-0000000000000000042-x", "evt-20300102T020405Z--0000000000000000042-01-",
		"due-20300102T020405Z-one-0000000000000000042-01"} {
		if n, ok := parseNoticeKey(key); ok {
			t.Errorf("%s is taken for %+v", key, n)
		}
	}
	if n, ok := parseNoticeKey("evt-20300102T020405Z-one-0000000000000000007-01-0000000000000000042-03"); !ok ||
		n.Connection != "one-0000000000000000007-01" || n.Version != 42 || n.Place != 3 {
		t.Errorf("got %+v, %v", n, ok)
	}
}

func TestForeignKeysOfTheInventory(t *testing.T) {
	const guid = "0195c2c4-6a1e-7f00-8000-000000000001"
	scanID := guid + "-a"
	for _, key := range []string{pageKey(scanID+"-b", 7), pageKey(scanID+"-000007", 7), pagePartKey(scanID, 7, "0123456789abcde", 1),
		pagePartKey(scanID, 7, "0123456789abcdef", 0), "scanpage-" + scanID + "-1000000", "scanpage-" + scanID + "-",
		"scan-" + scanID + "-000007"} {
		if n, digest, part, ok := parsePageKey(scanID, key); ok {
			t.Errorf("%s is taken for page %d, %s, %d", key, n, digest, part)
		}
	}
	key := pagePartKey(scanID, 7, "0123456789abcdef", 3)
	if n, digest, part, ok := parsePageKey(scanID, key); !ok || n != 7 || digest != "0123456789abcdef" || part != 3 {
		t.Errorf("got page %d, %s, %d, %v", n, digest, part, ok)
	}
	for _, key := range []string{"scan-" + guid + "-0998106476755-", "scan-" + guid + "-x998106476755-a", "scan-" + guid + "-998106476755-a",
		"scan-" + guid + "-0998106476755-a/b", "scanpage-" + guid + "-0998106476755-a", "scan-" + guid} {
		if id, ok := parseScanKey(guid, key); ok {
			t.Errorf("%s is taken for the scan %s", key, id)
		}
	}
	if id, ok := parseScanKey(guid, scanKey(guid, scanID+"-b", time.Time{})); !ok || id != scanID+"-b" {
		t.Errorf("got %s, %v", id, ok)
	}
	both := guid + "-" + guid
	for _, key := range []string{"app-" + guid, "app-" + both + "-", "app-" + both + "x", "app-" + both + "-accepted-accepted", "end-" + both,
		"app-" + strings.ToUpper(guid) + "-" + guid} {
		if app, accepted, ok := parseAppKey(key); ok {
			t.Errorf("%s is taken for %v, %v", key, app, accepted)
		}
	}
	for _, key := range []string{"end-20300102T020405Z-" + both, "end-20301302T020405Z-" + both + "-k", "end-20300102T020405Z-" + guid + "-k",
		"end-20300102T020405Z-" + both + "-_zz", "end-20300102T020405Z-" + both + "-_41", "due-20300102T020405Z-" + both + "-k"} {
		if end, ok := parseEndKey(key); ok {
			t.Errorf("%s is taken for %v", key, end)
		}
	}
	long := endKey(catalog.End{Key: inventory.Key{TenantID: guid, ClientID: guid}, KeyID: strings.Repeat("ü", 1000)})
	if _, ok := parseEndKey(long); !ok || !keyAllowed(long) {
		t.Errorf("a long key id makes the key %s", long)
	}
}
