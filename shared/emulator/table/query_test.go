package table_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/emulator/table"
)

func TestQuery(t *testing.T) {
	for _, cfg := range []table.Config{{}, {PageSize: 1}, {PageSize: 2, EmptyPages: true}} {
		service, client := connect(t, cfg)
		var rows []table.Row
		for _, pk := range []string{"q", "p"} {
			for _, rk := range []string{"b", "a", "B", "d", "c"} {
				rows = append(rows, table.Row{Table: "rekey", PartitionKey: pk, RowKey: rk, Properties: map[string]any{"v": pk + rk}})
			}
		}
		if err := service.Load(append(rows, rows[0])); err != nil {
			t.Fatal(err)
		}
		for filter, want := range map[string]string{
			"":                                "pB pa pb pc pd qB qa qb qc qd",
			"PartitionKey eq 'q'":             "qB qa qb qc qd",
			"PartitionKey gt 'p' ":            "qB qa qb qc qd",
			"RowKey ge 'b' and RowKey lt 'd'": "pb pc qb qc",
			"PartitionKey le 'p' and RowKey gt 'b' and RowKey le 'd'":       "pc pd",
			"PartitionKey eq 'p' and PartitionKey eq 'q'":                   "",
			"PartitionKey eq 'p' and RowKey eq 'it''s'":                     "",
			"PartitionKey eq 'q' and RowKey lt 'b' and RowKey ge 'B'":       "qB qa",
			"PartitionKey ge 'p' and PartitionKey lt 'q' and RowKey eq 'c'": "pc",
		} {
			var got []string
			pager := client.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Select: new("v,none")})
			for pager.More() {
				page, err := pager.NextPage(t.Context())
				if err != nil {
					t.Fatalf("%s: %v", filter, err)
				}
				for _, e := range page.Entities {
					var row map[string]any
					if err := json.Unmarshal(e, &row); err != nil || len(row) != 2 || row["none"] != nil {
						t.Errorf("selected %s, %v", e, err)
					}
					got = append(got, row["v"].(string))
				}
			}
			if !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("%+v %q: got %v, want %s", cfg, filter, got, want)
			}
		}
	}
}

func TestQueriesBeyondTheEmulatorAreRefused(t *testing.T) {
	_, client := connect(t, table.Config{})
	for _, filter := range []string{
		"PartitionKey eq 'p' or RowKey eq 'a'", "not (PartitionKey eq 'p')", "PartitionKey ne 'p'", "v eq 1",
		"PartitionKey eq 'p' and", "PartitionKey eq p", "PartitionKey eq 'p'and RowKey eq 'a' or",
	} {
		_, err := client.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter}).NextPage(t.Context())
		wantFailure(t, filter, err, 501, "NotImplemented")
	}
	_, err := client.NewListEntitiesPager(&aztables.ListEntitiesOptions{NextPartitionKey: new("p"),
		NextRowKey: new("a")}).NextPage(t.Context())
	wantFailure(t, "a key as continuation token", err, 400, "InvalidInput")
}

// Loading, and inserting and finding among what was loaded, stay quick.
func BenchmarkInsertAmongMillion(b *testing.B) {
	service := table.New(table.Config{Accept: func(string) bool { return true }})
	rows := make([]table.Row, 1_000_000)
	for i := range rows {
		rows[i] = table.Row{Table: "rekey", PartitionKey: fmt.Sprintf("s%02x", i%16), RowKey: fmt.Sprintf("due-%08d", (i*7919)%len(rows))}
	}
	started := time.Now()
	if err := service.Load(rows); err != nil {
		b.Fatal(err)
	}
	loaded := time.Since(started)
	for i := 0; b.Loop(); i++ {
		r := httptest.NewRequest(http.MethodPost, "/rekey", strings.NewReader(fmt.Sprintf(`{"PartitionKey":"s03","RowKey":"due-%08dx"}`, i)))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("x-ms-version", "2019-02-02")
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			b.Fatal(w.Code, w.Body)
		}
	}
	b.ReportMetric(loaded.Seconds(), "load-s")
}
