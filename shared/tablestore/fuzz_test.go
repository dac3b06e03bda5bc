package tablestore

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest/canary"
)

// noQuote fails if err shows anything of a row.
func noQuote(t *testing.T, err error) {
	t.Helper()
	if canary.Quoted(err.Error()) {
		t.Errorf("the row is quoted: %v", err)
	}
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
		Policy: rotation.Policy{Enabled: true,
			Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "Europe/Berlin"}, Grace: 48 * time.Hour},
		Request: &rotation.Request{Kind: rotation.AskRotate, ID: "r", At: at, Grace: &grace}, Actor: app,
		Target: app, Auth: &rotation.Auth{Generation: 1, ExpiresAt: at},
		Phase: rotation.Publishing, WakeAt: at, NextSlot: at,
		Error: &rotation.Failure{Class: serviceerror.Transient, Count: 2, At: at, RetryAt: at},
		Lease: rotation.Lease{Token: "l", Until: at}, Version: 7, Revision: 3,
		Run:     &rotation.Run{ID: "r", Trigger: rotation.OnSchedule, Marker: "rekey/d/one/a", KeyID: "k", StagedVersion: "v", Target: app},
		LastRun: &rotation.RunResult{ID: "q", Outcome: "success"},
		Current: &rotation.Credential{Target: app, KeyID: "k0", Origin: rotation.OriginIssued, Since: at},
		Removals: []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, Target: app, KeyID: "k1", After: at},
			{Kind: rotation.RemoveOrphan, Target: app, Marker: "m", Since: at}},
		Stale: rotation.Stale{Versions: []string{"v0"}}, ByHand: []rotation.ByHand{{Target: app, KeyID: "k2", Since: at}},
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
	maps.Copy(properties, map[string]any{"PartitionKey": "s0f", "RowKey": "conn-one",
		"Timestamp": "2030-01-02T03:04:05.6Z", "later": "{}", "odata.etag": "W/\"1\""})
	f.Add(mustJSON(f, properties))
	for phase := range strings.FieldsSeq("creating idle issuing verifying publishing rebinding deleting sleeping") {
		f.Add(mustJSON(f, map[string]any{"schema": 1, "phase": `"` + phase + `"`, "id": `"one"`}))
	}
	for _, seed := range []string{
		"", "null", "[]", "{}", canary.Mark, `{"schema":2,"policy":7}`, `{"schema":2}`, `{"schema":"1"}`,
		`{"schema":1}`, `{"schema":-1,"id":"null","run":"null"}`, `{"schema":1,"id":"` + canary.Mark + `"}`,
		`{"schema":1,"run":"{\"attempt\":\"` + canary.Mark + `\"}"}`, `{"schema":1,"policy":{"` + canary.Mark + `":1}}`,
		`{"schema":1,"createdAt":"\"2030-01-02T03:04:05+23:59\""}`,
		`{"schema":1,"retiring":"[{},null,{\"later\":1}]","retiring":"[]","Version":"1","version":"9223372036854775808"}`,
		`{"schema":1,"name":"\"\\ud800\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		for _, r := range canary.Planted(row) {
			checkRecord(t, r)
		}
	})
}

func checkRecord(t *testing.T, row []byte) {
	t.Helper()
	rec, err := decodeRecord(row, "e")
	if err != nil {
		noQuote(t, err)
		if !errors.Is(err, serviceerror.ErrNewerSchema) && !strings.HasPrefix(err.Error(), "decoding a record: ") {
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
	for key := range rowsOf(&rec) {
		if validID.MatchString(rec.ID) && !keyAllowed(key) {
			t.Errorf("%q is no key", key)
		}
	}
	rec.Handle.Index = rowsOf(&rec).encode()
	if c := (&change{rec: rec}); !reflect.DeepEqual(c.indexed(), rowsOf(&rec)) {
		t.Errorf("the rows beside it are %v, and remembered as %v", rowsOf(&rec), c.indexed())
	}
	clone := rec.Clone()
	if third, err := encodeRecord(&clone); err != nil || !reflect.DeepEqual(first, third) {
		t.Errorf("a clone of %v is %v, %v", first, third, err)
	}
	if rec.Run != nil || !slices.Contains([]rotation.Phase{rotation.Issuing, rotation.Verifying, rotation.Publishing, rotation.Rebinding},
		rec.Phase) {
		checkPlan(t, &rec, &clone)
	}
	for _, res := range rec.Reservations() {
		if _, e := encodeReservation("op", res); e != nil && validID.MatchString(res.Owner) && res.Value != "" {
			t.Errorf("%+v: %v", res, e)
		}
	}
}

// checkPlan plans with a record and its clone. In the phases of a run a record has one:
// nothing writes it otherwise.
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
