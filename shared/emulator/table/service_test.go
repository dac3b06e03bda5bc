package table_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
)

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
