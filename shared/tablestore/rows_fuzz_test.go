package tablestore

import (
	"encoding/base64"
	"testing"
	"time"

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
	history, _, err := encodeHistory(events)
	if err != nil {
		f.Fatal(err)
	}
	history["RowKey"] = historyKey("one", 7)
	f.Add(mustJSON(f, history))
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
	for _, seed := range []string{
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
			checkHistory(t, r)
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
	for _, id := range []string{"one", "one-0000000000000000000"} {
		if version, ok := parseHistoryKey(id, key); ok && (version < 0 || keyAllowed(key) && historyKey(id, version) != key) {
			t.Errorf("%q is taken for version %d of %s", key, version, id)
		}
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
	}{n.ID, noticeRow{n.Name, n.Project, n.TenantID, n.ClientID, n.Kind, n.At, n.RunID, n.KeyID, n.Class, n.Message, n.Until, n.Tries}})
	again, ours, err := decodeNotice(properties)
	if err != nil || !ours || string(mustJSON(t, again)) != string(mustJSON(t, n)) {
		t.Errorf("notice %+v, then %+v, %v", n, again, err)
	}
}
