package table_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/emulator/table"
)

func TestEntity(t *testing.T) {
	ctx := t.Context()
	service, client := connect(t, table.Config{Now: func() time.Time { return time.Now().Truncate(10 * time.Minute) }})
	_, err := client.CreateTable(ctx, nil)
	wantFailure(t, "creating a table twice", err, 409, "TableAlreadyExists")

	added, err := client.AddEntity(ctx, entity("p", "it's", "a", "x", "n", 7, "big@odata.type", "Edm.Int64", "big", "123"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^W/"datetime'\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{7}Z'"$`).MatchString(string(added.ETag)) {
		t.Errorf("ETag %s", added.ETag)
	}
	_, err = client.AddEntity(ctx, entity("p", "it's"), nil)
	wantFailure(t, "inserting twice", err, 409, "EntityAlreadyExists")

	merge := &aztables.UpdateEntityOptions{IfMatch: &added.ETag, UpdateMode: aztables.UpdateModeMerge}
	merged, err := client.UpdateEntity(ctx, entity("p", "it's", "b", true, "a", nil), merge)
	if err != nil || merged.ETag == added.ETag {
		t.Fatalf("merge: ETag %s as before, although the clock stood still (%v)", merged.ETag, err)
	}
	_, err = client.UpdateEntity(ctx, entity("p", "it's"), merge)
	wantFailure(t, "merging on a stale ETag", err, 412, "UpdateConditionNotSatisfied")
	_, err = client.DeleteEntity(ctx, "p", "it's", &aztables.DeleteEntityOptions{IfMatch: &added.ETag})
	wantFailure(t, "deleting on a stale ETag", err, 412, "UpdateConditionNotSatisfied")

	got, err := client.GetEntity(ctx, "p", "it's", nil)
	var row map[string]any
	if err != nil || json.Unmarshal(got.Value, &row) != nil || got.ETag != merged.ETag {
		t.Fatalf("get: %s, %v", got.Value, err)
	}
	if row["a"] != "x" || row["n"] != 7.0 || row["big"] != "123" || row["big@odata.type"] != "Edm.Int64" || row["b"] != true {
		t.Errorf("merged row %s", got.Value)
	}
	if _, err := client.UpsertEntity(ctx, entity("p", "it's", "c", 1.5),
		&aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace}); err != nil {
		t.Fatal(err)
	}
	if rows := service.Rows("it"); len(rows) != 1 || len(rows[0].Properties) != 1 || rows[0].Properties["c"] != 1.5 {
		t.Errorf("replaced row %v", rows)
	}
	if _, err := client.DeleteEntity(ctx, "p", "it's", nil); err != nil {
		t.Fatal(err)
	}
	_, err = client.GetEntity(ctx, "p", "it's", nil)
	wantFailure(t, "reading what was deleted", err, 404, "ResourceNotFound")
	_, err = client.UpdateEntity(ctx, entity("p", "it's"), nil)
	wantFailure(t, "updating what was deleted", err, 404, "ResourceNotFound")
	if n := service.Calls(table.OpDelete); n != 2 {
		t.Errorf("%d deletes counted, want 2", n)
	}
}

func TestLimits(t *testing.T) {
	_, client := connect(t, table.Config{})
	many := make([]any, 0, 2*253)
	for i := range 253 {
		many = append(many, fmt.Sprintf("p%d", i), i)
	}
	large := make([]any, 0, 2*17)
	for i := range 17 {
		large = append(large, fmt.Sprintf("p%d", i), strings.Repeat("x", 32768))
	}
	// Binary values are measured in bytes, not by how JSON writes them.
	binary := func(name string, bytes int) []any {
		return []any{name + "@odata.type", "Edm.Binary", name, make([]byte, bytes)}
	}
	var blobs []any
	for i := range 17 {
		blobs = append(blobs, binary(fmt.Sprintf("p%d", i), 64<<10)...)
	}
	for _, test := range []struct {
		body []byte
		code string
	}{
		{entity("p", "a", binary("x", 64<<10+1)...), "PropertyValueTooLarge"},
		{entity("p", "a", "x@odata.type", "Edm.Binary", "x", "no base64"), "InvalidInput"},
		{entity("p", "a", blobs...), "EntityTooLarge"},
		{entity("p", "a/b"), "OutOfRangeInput"},
		{entity("p#", "a"), "OutOfRangeInput"},
		{entity("p", "a\u0085"), "OutOfRangeInput"},
		{entity("p", strings.Repeat("k", 513)), "KeyValueTooLarge"},
		{entity("p", "a", "two words", 1), "PropertyNameInvalid"},
		{entity("p", "a", "x", strings.Repeat("€", 32769)), "PropertyValueTooLarge"},
		{entity("p", "a", "x", map[string]any{}), "InvalidInput"},
		{entity("p", "a", "x", 1<<31), "InvalidInput"},
		{entity("p", "a", "x@odata.type", "Edm.Guid", "x", "no"), "InvalidInput"},
		{entity("p", "a", many...), "TooManyProperties"},
		{entity("p", "a", large...), "EntityTooLarge"},
	} {
		_, err := client.AddEntity(t.Context(), test.body, nil)
		wantFailure(t, fmt.Sprintf("%.60s", test.body), err, 400, test.code)
	}
	for i, body := range [][]byte{
		entity("p", "a", "x", strings.Repeat("€", 32768)), entity("p", "b", many[:2*252]...), entity("p", "c", large[:2*15]...),
		entity("p", "d", blobs[:4*15]...),
	} {
		if _, err := client.AddEntity(t.Context(), body, nil); err != nil {
			t.Errorf("entity %d is within the limits: %v", i, err)
		}
	}
}
