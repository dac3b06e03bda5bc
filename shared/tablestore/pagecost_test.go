package tablestore_test

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"rekey/shared/emulator/table"
	"rekey/shared/index"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// crowded loads many records with the rows beside them, of which one in each of some needs attention.
func crowded(t *testing.T, f *fixture, of string, records, urgent int) {
	t.Helper()
	rows := make([]table.Row, 0, 5*records)
	for i := range records {
		id, name := fmt.Sprintf("%s%08d", of, i), fmt.Sprintf("app-%05d", i)
		hash := fnv.New32a()
		hash.Write([]byte(id))
		partition, at := fmt.Sprintf("s%02x", hash.Sum32()%16), fmt.Sprintf("app-1%05d-0%s", i, id)
		properties := map[string]any{"schema": rotation.Schema, "id": `"` + id + `"`, "name": `"` + name + `"`, "phase": `"idle"`}
		if of != "" {
			properties["via"] = `"via"`
		}
		add := func(key string, properties map[string]any) {
			rows = append(rows, table.Row{Table: "rekey", PartitionKey: partition, RowKey: key, Properties: properties})
		}
		said := map[string]any{"text": id + "\n" + name, "states": "paused", "project": ""}
		since := "20990101T000000Z"
		if i == urgent {
			since, properties["byHand"] = "00010101T000001Z", `[{"keyId":"k"}]`
		}
		add("conn-"+id, properties)
		add(of+"list-"+at, said)
		add(fmt.Sprintf("%splist-%x-", of, sha256.Sum256(nil))+at, said)
		add(of+"attn-"+since+"-"+at, said)
		add(fmt.Sprintf("next-%s-%s", epoch.AddDate(0, 0, i%60).Format("20060102T150405Z"), id), nil)
	}
	if err := f.service.Load(rows); err != nil {
		t.Fatal(err)
	}
}

// A page of a list costs what is on it: 16 queries of keys and a read for each record. A search
// looks through a bounded part of the list and reads what it finds; what needs attention is found
// without looking at what does not.
func TestCostOfAPage(t *testing.T) {
	rotationtest.PlainOnly(t)
	const records, limit = 20_000, 50
	f := newFixture(t, table.Config{}, nil)
	crowded(t, f, "", records, 15_000)
	crowded(t, f, "t", records, 15_000)
	project := ""
	for name, tt := range map[string]struct {
		q       index.Query
		found   int
		queries int // at most
		more    bool
	}{
		"all":                  {index.Query{Limit: limit}, limit, 18, true},
		"of a project":         {index.Query{Project: &project, Limit: limit}, limit, 18, true},
		"one":                  {index.Query{Limit: 1}, 1, 18, true},
		"in the middle":        {index.Query{Limit: limit, AfterName: "app-10000", AfterID: "x"}, limit, 18, true},
		"the end":              {index.Query{Limit: limit, AfterName: "app-19949", AfterID: "x"}, limit, 18, false},
		"of a name":            {index.Query{Name: "app-00007", Limit: 1000}, 1, 18, false},
		"searched":             {index.Query{Text: "p-0777", Limit: limit}, 10, 16, true},
		"searched in vain":     {index.Query{Text: "p-1999", Limit: limit}, 0, 16, true},
		"searched on":          {index.Query{Text: "p-1999", Limit: limit, AfterName: "app-15000", AfterID: "x"}, 10, 16, false},
		"in a state":           {index.Query{State: index.Paused, Limit: limit}, limit, 16, true},
		"what needs attention": {index.Query{Attention: epoch, Limit: limit}, 1, 16, false},
		"and its name":         {index.Query{Attention: epoch, Text: "p-15000", Project: &project, Limit: limit}, 1, 16, false},
		"or not":               {index.Query{Attention: epoch, Text: "p-15001", Limit: limit}, 0, 16, false},
	} {
		for _, tt.q.Targets = range []bool{false, true} {
			if tt.q.Targets && tt.q.Searches() && tt.q.Attention.IsZero() {
				continue // that takes longest, and is no different
			}
			f.service.ResetCalls()
			records, next, err := f.Page(t.Context(), tt.q)
			if err != nil || len(records) != tt.found || (next != nil) != tt.more {
				t.Fatalf("%s: %d records, next %+v, %v", name, len(records), next, err)
			}
			if queries, gets := f.service.Calls(table.OpQuery), f.service.Calls(table.OpGet); queries > tt.queries || gets != tt.found {
				t.Errorf("%s: %d queries and %d reads", name, queries, gets)
			}
		}
	}
	f.service.ResetCalls()
	ahead, err := f.Ahead(t.Context(), epoch, epoch.AddDate(0, 0, 7))
	if n := f.service.Calls(table.OpQuery); err != nil || !ahead.Whole || len(ahead.Due) < 2*records*7/60 || n != 32 {
		t.Errorf("ahead: %d, whole %v, %d queries, %v", len(ahead.Due), ahead.Whole, n, err)
	}
	f.service.ResetCalls()
	ahead, err = f.Ahead(t.Context(), epoch, epoch.AddDate(0, 0, 90))
	if n := f.service.Calls(table.OpQuery); err != nil || ahead.Whole || len(ahead.Due) != 16*1000 || n != 32 {
		t.Errorf("more than is counted: %d, whole %v, %d queries, %v", len(ahead.Due), ahead.Whole, n, err)
	}
	t.Run("a search goes on", func(t *testing.T) { searchGoesOn(t, f, records) })
}

// searchGoesOn searches from page to page, which finds everything once, whatever the parts of the list that each
// page has looked at.
func searchGoesOn(t *testing.T, f *fixture, records int) {
	found, pages, seen := 0, 0, map[string]bool{}
	for next := (&index.Query{Text: "7-", Limit: 1000}); next != nil; pages++ {
		page, more, err := f.Page(t.Context(), *next)
		if err != nil || len(page) > 0 {
			t.Fatal(len(page), err)
		}
		next = more
	}
	if pages != 2 {
		t.Errorf("in vain it took %d pages", pages)
	}
	want := 0
	for text, limit := range map[string]int{"777": 20, "99\napp": 1000} {
		for next := (&index.Query{Text: text, Limit: limit}); next != nil; {
			page, more, err := f.Page(t.Context(), *next)
			if err != nil || len(page) > limit {
				t.Fatal(len(page), err)
			}
			for _, rec := range page {
				found++
				seen[text+rec.ID] = true
			}
			next = more
		}
		for i := range records {
			if strings.Contains(fmt.Sprintf("%08d\napp-%05d", i, i), text) {
				want++
			}
		}
	}
	if found != want || len(seen) != want {
		t.Errorf("%d found, %d different ones, want %d", found, len(seen), want)
	}
}
