package table_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

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
