package tablestore

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/history"
	"rekey/shared/reservation"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest/canary"
)

// The rows beside a record: history, reservations, authorizations and notices. What
// can be read is written again as it was.
func FuzzRows(f *testing.F) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	events := []rotation.Event{{At: at, Kind: history.Issued, KeyID: "k", Class: serviceerror.Transient, Message: "m", Notice: true},
		{At: at.Add(-time.Hour)}}
	past, _, err := encodeHistory(events)
	if err != nil {
		f.Fatal(err)
	}
	past["RowKey"] = historyKey("one", 7)
	f.Add(mustJSON(f, past))
	for _, kind := range []reservation.Kind{reservation.Name, reservation.Vault, reservation.Target} {
		body, e := encodeReservation("op", reservation.Row{Kind: kind, Value: "p/ü " + string(kind), Owner: "one", At: at})
		if e != nil {
			f.Fatal(e)
		}
		f.Add(body)
	}
	claim, e := encodeClaim("op", rotation.ClaimRow{Claim: rotation.Claim{ID: "id", Kind: rotation.Shared, App: "t c"}, Owner: "one", At: at})
	if e != nil {
		f.Fatal(e)
	}
	f.Add(claim)
	f.Add(mustJSON(f, map[string]any{"RowKey": "oauth-x", "value": base64.StdEncoding.EncodeToString([]byte{0, 255}), "expires": at}))
	f.Add(mustJSON(f, map[string]any{"RowKey": noticeKey(at, "one-two", 42, 1), "kind": "k", "at": at,
		"tries": 3, "until": at, "class": "transient", "later": 1}))
	f.Add(mustJSON(f, map[string]any{"RowKey": formerPrefix("t c") + "one",
		"former": `{"id":"one","vaultName":"v","removed":[{"digest":"d","at":"2030-01-02T03:04:05.000000006Z"}]}`}))
	f.Add(mustJSON(f, map[string]any{"RowKey": dayKey(at, "one-7"), "version": "42", "former": formerPrefix("t c") + "one-7"}))
	for _, name := range []string{"billing", "a-0b", "My App_1/ü", strings.Repeat("-", 200), strings.Repeat("ü", 200)} {
		for key := range rowsOf(&rotation.Record{ID: "one-0", Name: name, Project: "p/ü", ByHand: []rotation.ByHand{{}}}) {
			f.Add(mustJSON(f, map[string]any{"RowKey": key}))
		}
	}
	f.Add(mustJSON(f, map[string]any{"RowKey": runKey("one-7", rotation.EndedRun{Week: rotation.WeekOf(at), ID: "ü/"})}))
	for _, e := range []audit.Event{{}, {At: at, Kind: audit.ConsoleRefused, From: "192.0.2.1", Reason: "ü", Count: 7},
		{At: at.AddDate(-1900, 0, 0), Kind: history.Deleted, By: "ann", ConnectionID: "one", TargetID: "two", Name: "payroll"}} {
		properties, err := encodeAudit(e)
		if err != nil {
			f.Fatal(err)
		}
		properties["RowKey"] = auditKey(e.At, "one-0000000000000000042-01")
		f.Add(mustJSON(f, properties))
	}
	for _, seed := range []string{
		`{"RowKey":"audit-1","event":"` + canary.Mark + `"}`, `{"event":"{\"at\":\"` + canary.Mark + `\"}"}`,
		`{"RowKey":"run-20291231-failed-one-r"}`, `{"RowKey":"run-20300102-failed-one-r"}`, `{"RowKey":"run-20291231-succeeded-"}`,
		`{"RowKey":"list-a--0one"}`, `{"RowKey":"list-_h-0one"}`, `{"RowKey":"list-_2D-0one"}`, `{"RowKey":"list--0one"}`,
		`{"RowKey":"list-a%41-0one"}`,
		`{"former":"` + canary.Mark + `"}`, `{"former":"{\"removed\":[{\"at\":\"` + canary.Mark + `\"}]}"}`, `{"former":"null"}`,
		`{"RowKey":"day-20300102-one","version":"+1"}`, `{"RowKey":"day-20300102-` + canary.Mark + `","version":"1","former":"conn-one"}`,
		"", "null", "7", "{}", canary.Mark, `{"RowKey":7}`, `{"at":"` + canary.Mark + `"}`,
		`{"events":"` + canary.Mark + `"}`, `{"events":"[{\"at\":\"` + canary.Mark + `\"}]"}`, `{"value":"` + canary.Mark + `"}`,
		`{"RowKey":"evt-20300102T030405Z-one-0000000000000000042--1"}`,
		`{"RowKey":"evt-20300102T030405Z-` + canary.Mark + `-0000000000000000042-01","tries":"many"}`,
		`{"RowKey":"due-20300102T030405Z-one"}`, `{"RowKey":"hist-one-+000000000000000001","events":"null"}`,
		`{"RowKey":"hist-one-5"}`, `{"rowkey":"conn-one","At":null,"kind":"name","value":"","owner":"a b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		for _, r := range canary.Planted(row) {
			checkKey(t, r)
			checkListed(t, r)
			checkFormer(t, r)
			checkDay(t, r)
			checkHistory(t, r)
			checkAudit(t, r)
			checkReservation(t, r)
			checkPending(t, r)
			checkNotice(t, r)
		}
	})
}

// checkKey holds a row's key against the keys that this package writes.
func checkKey(t *testing.T, row []byte) {
	t.Helper()
	key, err := rowKey(row)
	if err != nil {
		noQuote(t, err)
		return
	}
	if due, ok := parseDueKey(key); ok && dueKey(due.Wake, due.ID) != key {
		t.Errorf("%q is taken for the wake-up %+v", key, due)
	}
	if week, failed, ok := parseRunKey(key); ok {
		written := runKey("one", rotation.EndedRun{Week: week, ID: key, Failed: failed})
		if again, f, ok := parseRunKey(written); !ok || again != week || f != failed || !keyAllowed(written) {
			t.Errorf("%q is taken for a run of %v, whose row would be %q", key, week, written)
		}
	}
	for _, id := range []string{"one", "one-0000000000000000000"} {
		if version, ok := parseHistoryKey(id, key); ok && (version < 0 || keyAllowed(key) && historyKey(id, version) != key) {
			t.Errorf("%q is taken for version %d of %s", key, version, id)
		}
	}
}

// checkListed makes sure that a list goes on behind a row that it takes for one of its own, and
// that it is there again under the record's name.
func checkListed(t *testing.T, row []byte) {
	t.Helper()
	key, err := rowKey(row)
	if err != nil {
		noQuote(t, err)
		return
	}
	at := strings.TrimPrefix(key, listPrefix)
	if rest, ok := strings.CutPrefix(key, projectListPrefix); ok {
		_, at, _ = strings.Cut(rest, "-")
	}
	if _, rest, ok := cutTime(key, attentionPrefix); ok {
		at = rest
	}
	if name, id, ok := parseListed(at); ok {
		if got := listedAt(name, id); got != at || !validID.MatchString(id) {
			t.Errorf("%q is taken for %q of %s, which is at %q", at, name, id, got)
		}
		for _, written := range []string{"tlist-" + at, "tplist-" + digest("p") + "-" + at, "tattn-" + dueLayout + "-" + at} {
			if !keyAllowed(written) {
				t.Errorf("%q is no key", written)
			}
		}
	}
	id := "one"
	whole, _, ok := parseListed(listedAt(key, id)) // any text may be a name
	if !ok || !strings.HasPrefix(key, whole) || len(key) <= maxEncoded/3 && whole != key {
		t.Errorf("the name %q comes back as %q, %v", key, whole, ok)
	}
}

func checkFormer(t *testing.T, row []byte) {
	t.Helper()
	former, err := decodeFormer(row)
	if err != nil {
		noQuote(t, err)
		return
	}
	again, err := decodeFormer(mustJSON(t, map[string]any{"former": string(mustJSON(t, former))}))
	if err != nil || string(mustJSON(t, again)) != string(mustJSON(t, former)) {
		t.Errorf("of a former connection %+v, then %+v, %v", former, again, err)
	}
}

func checkDay(t *testing.T, row []byte) {
	t.Helper()
	d, ok := parseDay(row)
	if !ok {
		return
	}
	again, ok := parseDay(mustJSON(t, map[string]any{"RowKey": d.key(), "version": fmt.Sprint(d.version), "former": d.former}))
	if !ok || again != d {
		t.Errorf("day %+v, then %+v, %v", d, again, ok)
	}
	if d.former != "" && !strings.HasPrefix(d.former, "former-") {
		t.Errorf("the row %q would be deleted with the history", d.former)
	}
}

func checkHistory(t *testing.T, row []byte) {
	t.Helper()
	h, err := decodeHistory(row)
	if err != nil {
		noQuote(t, err)
		return
	}
	properties, _, err := encodeHistory(h.events)
	if err != nil {
		t.Fatalf("what was read can't be written: %v", err)
	}
	properties["RowKey"] = h.key
	again, err := decodeHistory(mustJSON(t, properties))
	if err != nil {
		t.Fatalf("what was written can't be read: %v", err)
	}
	if string(mustJSON(t, h.events)) != string(mustJSON(t, again.events)) || again.key != h.key {
		t.Errorf("history %+v, then %+v", h, again)
	}
	for _, e := range again.events {
		if e.At.After(again.at) {
			t.Errorf("the row is of %s, before its event of %s", again.at, e.At)
		}
	}
}

// checkAudit makes sure that a line comes back as it was, at a key behind which the list goes on.
func checkAudit(t *testing.T, row []byte) {
	t.Helper()
	_, e, err := decodeAudit(row)
	if err != nil {
		noQuote(t, err)
		return
	}
	properties, err := encodeAudit(e)
	if err != nil {
		t.Fatalf("what was read can't be written: %v", err)
	}
	key := auditKey(e.At, "one-0000000000000000042-01")
	properties["RowKey"] = key
	found, again, err := decodeAudit(mustJSON(t, properties))
	if err != nil || string(mustJSON(t, again)) != string(mustJSON(t, e)) || found != key || !keyAllowed(key) ||
		!auditCursor.MatchString(strings.TrimPrefix(key, auditPrefix)) {
		t.Errorf("audit %+v, then %+v at %q, %v", e, again, found, err)
	}
}

func checkReservation(t *testing.T, row []byte) {
	t.Helper()
	var stored reservationRow
	if err := decodeRow(row, &stored); err != nil {
		noQuote(t, err)
		return
	}
	body, e := encodeReservation("op", reservation.Row(stored))
	if e != nil {
		noQuote(t, e)
		return
	}
	var again struct {
		RowKey string
		reservationRow
	}
	if err := decodeRow(body, &again); err != nil {
		t.Fatalf("what was written can't be read: %v", err)
	}
	if again.At.Equal(stored.At) {
		again.At = stored.At // of a zone there is the offset only
	}
	if again.reservationRow != stored || !keyAllowed(again.RowKey) || again.RowKey != reservationKey(reservation.Row(stored)) {
		t.Errorf("reservation %+v, then %+v", stored, again)
	}
}

func checkPending(t *testing.T, row []byte) {
	t.Helper()
	var stored pendingRow
	if err := decodeRow(row, &stored); err != nil {
		noQuote(t, err)
		return
	}
	var again pendingRow
	if err := decodeRow(mustJSON(t, stored), &again); err != nil || again.Value != stored.Value || !again.Expires.Equal(stored.Expires) {
		t.Errorf("authorization %+v, then %+v, %v", stored, again, err)
	}
}

func checkNotice(t *testing.T, row []byte) {
	t.Helper()
	n, ours, err := decodeNotice(row)
	if err != nil {
		noQuote(t, err)
		return
	}
	if !ours {
		return
	}
	if !validID.MatchString(n.Connection) || n.Place < 0 || n.Version < 0 {
		t.Errorf("notice %+v", n)
	}
	properties := mustJSON(t, struct {
		RowKey string
		noticeRow
	}{n.ID, noticeRow{n.Name, n.Project, n.TenantID, n.ClientID, n.Kind, n.At, n.RunID, n.KeyID, n.Class, n.Message, n.Via, n.ScanID, n.Until, n.Tries}})
	again, ours, err := decodeNotice(properties)
	if err != nil || !ours || string(mustJSON(t, again)) != string(mustJSON(t, n)) {
		t.Errorf("notice %+v, then %+v, %v", n, again, err)
	}
}
