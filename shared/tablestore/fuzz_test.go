package tablestore

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/rotation"
)

// canary stands for a secret that somebody has put into a row.
const canary = "Canary8Q~in-the-wrong-place"

// noQuote fails if err shows anything of a row.
func noQuote(t *testing.T, err error) {
	t.Helper()
	if strings.Contains(err.Error(), canary[:9]) {
		t.Errorf("the row is quoted: %v", err)
	}
}

// planted puts the canary into every string of a JSON document, also of JSON within
// strings; what is no JSON stays as it is.
func planted(document []byte) []byte {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return document
	}
	out, err := json.Marshal(plant(v))
	if err != nil {
		return document
	}
	return out
}

func plant(v any) any {
	switch v := v.(type) {
	case string:
		if strings.ContainsAny(v, `{["`) {
			return string(planted([]byte(v)))
		}
		return v + canary
	case []any:
		for i := range v {
			v[i] = plant(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = plant(v[name])
		}
	}
	return v
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// busy is a record with something in every member that can be empty.
func busy() rotation.Record {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	app := rotation.Application{TenantID: "t", ClientID: "c", ObjectID: "o"}
	grace := time.Hour
	return rotation.Record{
		Schema: rotation.Schema, ID: "one", Name: "billing", Method: "client-secret", VaultName: "rekey-one", CreatedAt: at, UpdatedAt: at,
		Policy:  rotation.Policy{Enabled: true, Schedule: rotation.Schedule{Interval: 30, Hours: 3, Zone: "Europe/Berlin"}, Grace: 48 * time.Hour},
		Request: &rotation.Request{Kind: rotation.AskRotate, ID: "r", At: at, Grace: &grace}, Actor: app, Target: app, Auth: &rotation.Auth{Generation: 1, ExpiresAt: at},
		Phase: rotation.Publishing, WakeAt: at, NextSlot: at, Error: &rotation.Failure{Class: rotation.Transient, Count: 2, At: at, RetryAt: at},
		Lease: rotation.Lease{Token: "l", Until: at}, Version: 7, Revision: 3, Run: &rotation.Run{ID: "r", Trigger: rotation.OnSchedule, Marker: "rekey/d/one/a", KeyID: "k", StagedVersion: "v", Target: app},
		LastRun: &rotation.RunResult{ID: "q", Outcome: "success"}, Current: &rotation.Credential{Target: app, KeyID: "k0", Origin: rotation.OriginIssued, Since: at},
		Retiring: []rotation.Retiring{{Target: app, KeyID: "k1", RevokeAfter: at}}, Abandoned: []rotation.Abandoned{{Target: app, Marker: "m", Since: at}},
		Spent: []rotation.Spent{{VaultVersion: "v0"}}, ByHand: []rotation.ByHand{{Target: app, KeyID: "k2", Since: at}},
	}
}

// A record's row is read or refused without a word of what it holds. What is read and
// written again is the same record in the same text, and says nothing about properties
// that this version does not know, so that a merge keeps them. It can be planned with, too.
func FuzzRecord(f *testing.F) {
	full := busy()
	properties, err := encodeRecord(&full)
	if err != nil {
		f.Fatal(err)
	}
	maps.Copy(properties, map[string]any{"PartitionKey": "s0f", "RowKey": "conn-one", "Timestamp": "2030-01-02T03:04:05.6Z", "later": "{}", "odata.etag": "W/\"1\""})
	f.Add(mustJSON(f, properties))
	for phase := range strings.FieldsSeq("creating idle issuing verifying publishing rebinding deleting sleeping") {
		f.Add(mustJSON(f, map[string]any{"schema": 1, "phase": `"` + phase + `"`, "id": `"one"`}))
	}
	for _, seed := range []string{
		"", "null", "[]", "{}", canary, `{"schema":2,"policy":7}`, `{"schema":"1"}`, `{"schema":1}`, `{"schema":-1,"id":"null","run":"null"}`, `{"schema":1,"id":"` + canary + `"}`,
		`{"schema":1,"run":"{\"attempt\":\"` + canary + `\"}"}`, `{"schema":1,"policy":{"` + canary + `":1}}`, `{"schema":1,"createdAt":"\"2030-01-02T03:04:05+23:59\""}`,
		`{"schema":1,"retiring":"[{},null,{\"later\":1}]","retiring":"[]","Version":"1","version":"9223372036854775808"}`, `{"schema":1,"name":"\"\\ud800\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		checkRecord(t, row)
		checkRecord(t, planted(row))
	})
}

func checkRecord(t *testing.T, row []byte) {
	t.Helper()
	rec, err := decodeRecord(row, "e")
	if err != nil {
		noQuote(t, err)
		if !errors.Is(err, rotation.ErrNewerSchema) && !strings.HasPrefix(err.Error(), "decoding a record: ") {
			t.Errorf("error %v", err)
		}
		return
	}
	if rec.Schema > rotation.Schema || rec.Handle != (rotation.Handle{ETag: "e", Wake: rec.WakeAt}) {
		t.Errorf("schema %d, handle %+v", rec.Schema, rec.Handle)
	}
	first, err := encodeRecord(&rec)
	if err != nil {
		t.Fatalf("what was read can't be written: %v", err)
	}
	var known []string
	for _, m := range members {
		known = append(known, m.name)
	}
	for name := range first {
		if name != schemaProperty && !slices.Contains(known, name) {
			t.Errorf("it writes %q, which is not the record's", name)
		}
	}
	again, err := decodeRecord(mustJSON(t, first), "e")
	if err != nil {
		t.Fatalf("what was written can't be read: %v", err)
	}
	if second, err := encodeRecord(&again); err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("written %v and then %v, %v", first, second, err)
	}
	clone := rec.Clone()
	if third, err := encodeRecord(&clone); err != nil || !reflect.DeepEqual(first, third) {
		t.Errorf("a clone of %v is %v, %v", first, third, err)
	}
	if rec.Run != nil || !slices.Contains([]rotation.Phase{rotation.Issuing, rotation.Verifying, rotation.Publishing, rotation.Rebinding}, rec.Phase) {
		checkPlan(t, &rec, &clone)
	}
	for _, res := range rec.Reservations() {
		if _, e := encodeReservation("op", res); e != nil && validID.MatchString(res.Owner) && res.Value != "" {
			t.Errorf("%+v: %v", res, e)
		}
	}
}

// checkPlan plans with a record and its clone. In the phases of a run a record has one:
// nobody writes it otherwise.
func checkPlan(t *testing.T, rec, clone *rotation.Record) {
	t.Helper()
	rules, now := rotation.DefaultRules(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	if a, b := rules.Plan(now, rec, rec.Lease), rules.Plan(now, clone, rec.Lease); !reflect.DeepEqual(a, b) {
		t.Errorf("planned %+v and %+v", a, b)
	}
	if at := rules.Wake(now, rec); at.Before(now) && !at.IsZero() {
		t.Errorf("to be woken at %s, which is over", at)
	}
}

// The rows beside a record: history, reservations, authorizations and notices. What
// can be read is written again as it was.
func FuzzRows(f *testing.F) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	events := []rotation.Event{{At: at, Kind: rotation.EventIssued, KeyID: "k", Class: rotation.Transient, Message: "m", Notice: true}, {At: at.Add(-time.Hour)}}
	history, err := encodeHistory(events)
	if err != nil {
		f.Fatal(err)
	}
	history["RowKey"] = historyKey("one", 7)
	f.Add(mustJSON(f, history))
	for _, kind := range []rotation.ReservationKind{rotation.ReserveName, rotation.ReserveVault, rotation.ReserveApplication, rotation.NoteActor, rotation.NoteTarget} {
		body, e := encodeReservation("op", rotation.Reservation{Kind: kind, Value: "p/ü " + string(kind), Owner: "one", At: at})
		if e != nil {
			f.Fatal(e)
		}
		f.Add(body)
	}
	f.Add(mustJSON(f, map[string]any{"RowKey": "oauth-x", "value": base64.StdEncoding.EncodeToString([]byte{0, 255}), "expires": at}))
	f.Add(mustJSON(f, map[string]any{"RowKey": noticeKey(at, "one-two", 42, 1), "kind": "k", "at": at, "tries": 3, "until": at, "class": "transient", "later": 1}))
	for _, seed := range []string{
		"", "null", "7", "{}", canary, `{"RowKey":7}`, `{"at":"` + canary + `"}`, `{"events":"` + canary + `"}`, `{"events":"[{\"at\":\"` + canary + `\"}]"}`, `{"value":"` + canary + `"}`,
		`{"RowKey":"evt-20300102T030405Z-one-0000000000000000042--1"}`, `{"RowKey":"evt-20300102T030405Z-` + canary + `-0000000000000000042-01","tries":"many"}`,
		`{"RowKey":"due-20300102T030405Z-one"}`, `{"RowKey":"hist-one-+000000000000000001","events":"null"}`, `{"rowkey":"conn-one","At":null,"kind":"name","value":"","owner":"a b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		for _, r := range [][]byte{row, planted(row)} {
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
	properties, err := encodeHistory(h.events)
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
	body, e := encodeReservation("op", rotation.Reservation(stored))
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
	if again.reservationRow != stored || !keyAllowed(again.RowKey) || again.RowKey != reservationKey(rotation.Reservation(stored)) {
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
	if !validID.MatchString(n.Connection) || n.Place < 0 || n.Version < 0 || n.Version > math.MaxInt64 {
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
