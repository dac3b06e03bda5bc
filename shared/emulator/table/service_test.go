package table_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
)

const accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// connect starts the service and returns the real client of a table that exists.
func connect(t *testing.T, cfg table.Config) (*table.Service, *aztables.Client) {
	t.Helper()
	cfg.AccountKey = accountKey
	service := table.New(cfg)
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	client := dial(t, server.URL+"/"+table.DefaultAccount, table.DefaultAccount, accountKey)
	if _, err := client.CreateTable(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return service, client
}

func dial(t *testing.T, url, account, key string) *aztables.Client {
	t.Helper()
	cred, err := aztables.NewSharedKeyCredential(account, key)
	if err != nil {
		t.Fatal(err)
	}
	options := &aztables.ClientOptions{ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}}
	service, err := aztables.NewServiceClientWithSharedKey(url, cred, options)
	if err != nil {
		t.Fatal(err)
	}
	return service.NewClient("rekey")
}

// entity is a row as JSON; properties come in pairs of name and value.
func entity(pk, rk string, properties ...any) []byte {
	m := map[string]any{"PartitionKey": pk, "RowKey": rk}
	for i := 0; i < len(properties); i += 2 {
		m[properties[i].(string)] = properties[i+1]
	}
	body, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return body
}

// wantFailure checks status and code of an answer.
func wantFailure(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	r, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || r.StatusCode != status || r.ErrorCode != code {
		t.Errorf("%s: got %v, want %d %s", what, err, status, code)
	}
}

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
	for _, test := range []struct {
		body []byte
		code string
	}{
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
	} {
		if _, err := client.AddEntity(t.Context(), body, nil); err != nil {
			t.Errorf("entity %d is within the limits: %v", i, err)
		}
	}
}

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

func TestAuthorization(t *testing.T) {
	service := table.New(table.Config{AccountKey: accountKey, Accept: func(token string) bool { return token == "good" }})
	server := httptest.NewTLSServer(service)
	defer server.Close()
	plain := httptest.NewServer(service)
	defer plain.Close()

	for name, test := range map[string]struct{ path, account, key string }{
		"another key":     {"/devstoreaccount1", table.DefaultAccount, "AAAA" + accountKey[4:]},
		"another account": {"/devstoreaccount1", "other", accountKey},
	} {
		_, err := dial(t, plain.URL+test.path, test.account, test.key).CreateTable(t.Context(), nil)
		wantFailure(t, name, err, 403, "AuthenticationFailed")
	}
	for _, path := range []string{"", "/devstoreaccount1"} { // as Azure, as Azurite
		client := dial(t, plain.URL+path, table.DefaultAccount, accountKey)
		_, err := client.CreateTable(t.Context(), nil)
		if path == "" && err != nil {
			t.Errorf("host style: %v", err)
		} else if path != "" {
			wantFailure(t, "path style", err, 409, "TableAlreadyExists")
		}
	}
	for token, want := range map[string]int{"good": 404, "bad": 403, "": 401} {
		req, err := http.NewRequest(http.MethodGet, server.URL+"/none()", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-ms-version", "2019-02-02")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("token %q: status %d, want %d", token, resp.StatusCode, want)
		}
	}
	closed := httptest.NewServer(table.New(table.Config{}))
	defer closed.Close()
	_, err := dial(t, closed.URL, table.DefaultAccount, accountKey).CreateTable(t.Context(), nil)
	wantFailure(t, "unconfigured", err, 403, "AuthenticationFailed")
}

func TestBatch(t *testing.T) {
	service, client := connect(t, table.Config{})
	add := func(pk, rk string) aztables.TransactionAction {
		return aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: entity(pk, rk)}
	}
	update := func(rk string, etag azcore.ETag) aztables.TransactionAction {
		return aztables.TransactionAction{ActionType: aztables.TransactionTypeUpdateMerge, Entity: entity("p", rk, "v", rk), IfMatch: &etag}
	}
	remove := func(rk string) aztables.TransactionAction {
		return aztables.TransactionAction{ActionType: aztables.TransactionTypeDelete, Entity: entity("p", rk)}
	}
	var tooMany []aztables.TransactionAction
	for i := range 101 {
		tooMany = append(tooMany, add("p", fmt.Sprint("many", i)))
	}
	if _, err := client.SubmitTransaction(t.Context(), []aztables.TransactionAction{add("p", "a"), add("p", "b")}, nil); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(service.Rows(""))
	for _, test := range []struct {
		actions []aztables.TransactionAction
		outer   int
		want    string
	}{
		{[]aztables.TransactionAction{remove("a"), add("p", "c"), add("p", "b")}, 202, `409 Conflict .*"EntityAlreadyExists".*"value":"2:`},
		{[]aztables.TransactionAction{update("b", "*"), update("a", `W/"old"`)}, 202, `412 .*"UpdateConditionNotSatisfied".*"value":"1:`},
		{[]aztables.TransactionAction{remove("none")}, 202, `404 Not Found .*"ResourceNotFound".*"value":"0:`},
		{[]aztables.TransactionAction{add("p", "c"), add("q", "d")}, 202, `400 .*"CommandsInBatchActOnDifferentPartitions".*"value":"1:`},
		{[]aztables.TransactionAction{update("a", "*"), remove("a")}, 202, `400 .*"InvalidDuplicateRow".*"value":"1:`},
		{tooMany, 400, `InvalidInput`},
	} {
		_, err := client.SubmitTransaction(t.Context(), test.actions, nil)
		r, ok := errors.AsType[*azcore.ResponseError](err)
		if !ok {
			t.Fatalf("want %s, got %v", test.want, err)
		}
		body, err := io.ReadAll(r.RawResponse.Body)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(body), "\r\n", " ")
		if r.StatusCode != test.outer || !regexp.MustCompile(test.want).MatchString(text) {
			t.Errorf("got %d %s\nwant %d %s", r.StatusCode, text, test.outer, test.want)
		}
		if after := fmt.Sprint(service.Rows("")); after != before {
			t.Fatalf("%s: a failed transaction changed\n%s to\n%s", test.want, before, after)
		}
	}
}

// What a successful transaction looks like on the wire: aztables hides it.
func TestBatchAnswer(t *testing.T) {
	service, client := connect(t, table.Config{})
	var resp *http.Response
	ctx := policy.WithCaptureResponse(context.Background(), &resp)
	_, err := client.SubmitTransaction(ctx, []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeInsertMerge, Entity: entity("p", "a")},
		{ActionType: aztables.TransactionTypeAdd, Entity: entity("p", "b")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if seeker, ok := resp.Body.(io.Seeker); ok && len(body) == 0 {
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		body, err = io.ReadAll(resp.Body)
	}
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	for _, row := range service.Rows("") {
		if !strings.Contains(string(body), "HTTP/1.1 204 No Content\r\n") || !strings.Contains(string(body), "\r\nETag: "+row.ETag+"\r\n") {
			t.Errorf("the answer lacks the ETag %s:\n%s", row.ETag, body)
		}
	}
}

// What the client never sends.
func TestMalformedRequests(t *testing.T) {
	service := table.New(table.Config{Accept: func(string) bool { return true }})
	if err := service.Load([]table.Row{{Table: "rekey", PartitionKey: "p", RowKey: "a"}}); err != nil {
		t.Fatal(err)
	}
	batch := func(set string) string {
		return "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" + set + "\r\n--b--\r\n"
	}
	part := "--c\r\nContent-Type: application/http\r\n\r\n"
	for _, test := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/rekey", `{"PartitionKey":"p"}`, 400, "PropertiesNeedValue"},
		{"POST", "/rekey", `[]`, 400, "InvalidInput"},
		{"POST", "/none", `{"PartitionKey":"p","RowKey":"a"}`, 404, "TableNotFound"},
		{"POST", "/Tables", `{"TableName":"no-good"}`, 400, "InvalidResourceName"},
		{"PUT", "/rekey(PartitionKey='p',RowKey='a')", `{"RowKey":"b"}`, 400, "InvalidInput"},
		{"DELETE", "/rekey(PartitionKey='p',RowKey='a')", "", 400, "MissingRequiredHeader"},
		{"DELETE", "/Tables('rekey')", "", 501, "NotImplemented"},
		{"GET", "/rekey()?$top=1001", "", 400, "InvalidInput"},
		{"GET", "/rekey()?$orderby=v", "", 501, "NotImplemented"},
		{"POST", "/$batch", "", 400, "InvalidInput"},
		{"POST", "/$batch", batch("--c--"), 400, "InvalidInput"},
		{"POST", "/$batch", batch(part + "nonsense\r\n--c--"), 400, "InvalidInput"},
		{"POST", "/$batch", batch(part + "GET /rekey(PartitionKey='p',RowKey='a') HTTP/1.1\r\n\r\n\r\n--c--"), 501, "NotImplemented"},
		{"POST", "/$batch", strings.Repeat("x", 4<<20+1), 413, "RequestBodyTooLarge"},
	} {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("x-ms-version", "2019-02-02")
		r.Header.Set("Content-Type", "multipart/mixed; boundary=b")
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), `"code":"`+test.code+`"`) {
			t.Errorf("%s %s %.40q: %d %s, want %d %s", test.method, test.path, test.body, w.Code, w.Body, test.status, test.code)
		}
	}
}

func TestHook(t *testing.T) {
	var ops []string
	var effect *fault.Effect
	service, client := connect(t, table.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		ops = append(ops, op)
		return effect
	}})
	effect = &fault.Effect{Apply: true, Status: 500, Code: "InternalError", Text: "on purpose"}
	_, err := client.AddEntity(t.Context(), entity("p", "a"), nil)
	wantFailure(t, "failed, but applied", err, 500, "InternalError")
	effect.Apply = false
	_, err = client.AddEntity(t.Context(), entity("p", "b"), nil)
	wantFailure(t, "failed, not applied", err, 500, "InternalError")
	if rows := service.Rows(""); len(rows) != 1 || rows[0].RowKey != "a" {
		t.Errorf("rows %v", rows)
	}
	if want := []string{table.OpCreate, table.OpInsert, table.OpInsert}; !slices.Equal(ops, want) {
		t.Errorf("the hook saw %v, want %v", ops, want)
	}
}

func TestLoadChecks(t *testing.T) {
	service := table.New(table.Config{})
	for _, row := range []table.Row{
		{Table: "rekey", PartitionKey: "p", RowKey: "a#"},
		{Table: "rekey", PartitionKey: "p", RowKey: "a", Properties: map[string]any{"x": []int{1}}},
	} {
		if err := service.Load([]table.Row{row}); err == nil {
			t.Errorf("%v was loaded", row)
		}
	}
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
