package tablestore_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/tablestore"
)

// accountKey is the one that local storage emulators are known to use.
const accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// conformer is a store together with the real client of its table, which reaches
// its rows past the store.
type conformer struct {
	*tablestore.Store
	rows *aztables.Client
}

// fixture is a store on the emulator, reached through the real client over TLS.
type fixture struct {
	conformer
	service *table.Service
	later   time.Duration // by how much the store's clock is ahead
}

// credential hands out the token that the emulator accepts.
type credential struct{}

func (credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "good", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// roundTripper lets a test change what travels.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) Do(r *http.Request) (*http.Response, error) { return f(r) }

// newFixture starts an emulator; wrap may change the transport.
func newFixture(t *testing.T, cfg table.Config, wrap func(policy.Transporter) policy.Transporter) (f *fixture) {
	t.Helper()
	cfg.Accept = func(token string) bool { return token == "good" }
	service := table.New(cfg)
	server := httptest.NewTLSServer(service)
	t.Cleanup(server.Close)
	url := server.URL + "/" + table.DefaultAccount
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64 // as in shared/app
	var transport policy.Transporter = server.Client()
	client, err := aztables.NewServiceClient(url, credential{},
		&aztables.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		transport = wrap(transport)
	}
	store, err := tablestore.New(tablestore.Config{
		ServiceURL: url, Credential: credential{}, Transport: transport, Notices: true,
		Retry: policy.RetryOptions{MaxRetries: 2, RetryDelay: time.Nanosecond, MaxRetryDelay: time.Nanosecond},
		Now:   func() time.Time { return time.Now().Add(f.later) },
	})
	if err != nil {
		t.Fatal(err)
	}
	f = &fixture{conformer: conformer{store, client.NewClient(tablestore.DefaultTable)}, service: service}
	return f
}

// row finds a row by its key.
func (f *fixture) row(t *testing.T, rowKey string) table.Row {
	t.Helper()
	for _, r := range f.service.Rows(rowKey) {
		if r.RowKey == rowKey {
			return r
		}
	}
	t.Fatalf("there is no row %s", rowKey)
	return table.Row{}
}

// record reads the properties of a record's row, whatever its partition.
func (c conformer) record(t *testing.T, id string) map[string]any {
	t.Helper()
	pager := c.rows.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: new("RowKey eq 'conn-" + id + "'")})
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, entity := range page.Entities {
			var row map[string]any
			if err := json.Unmarshal(entity, &row); err != nil {
				t.Fatal(err)
			}
			return row
		}
	}
	t.Fatalf("there is no record %s", id)
	return nil
}

// SetProperty implements [rotationtest.RawStore].
func (c conformer) SetProperty(t *testing.T, id, name string, value any) {
	t.Helper()
	row := c.record(t, id)
	body, err := json.Marshal(map[string]any{"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"], name: value})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.rows.UpdateEntity(t.Context(), body, nil); err != nil {
		t.Fatal(err)
	}
}

// Property implements [rotationtest.RawStore].
func (c conformer) Property(t *testing.T, id, name string) any {
	t.Helper()
	return c.record(t, id)[name]
}

// remove deletes a row behind the store's back.
func (f *fixture) remove(t *testing.T, rowKey string) {
	t.Helper()
	r := f.row(t, rowKey)
	if _, err := f.rows.DeleteEntity(t.Context(), r.PartitionKey, r.RowKey, nil); err != nil {
		t.Fatal(err)
	}
}

func TestStoreConformance(t *testing.T) {
	for i, test := range []struct {
		name string
		cfg  table.Config
	}{
		{"whole pages", table.Config{}},
		{"short pages", table.Config{PageSize: 2}},
		{"empty pages", table.Config{PageSize: 3, EmptyPages: true}},
	} {
		if !rotationtest.Sample(i) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			shared := newFixture(t, test.cfg, nil) // tests must bear each other's rows
			rotationtest.TestStore(t, func(*testing.T) rotationtest.Store { return shared })
		})
	}
}

// TestStoreConformanceAzurite runs the suite against a table service that is not
// ours.
func TestStoreConformanceAzurite(t *testing.T) {
	rotationtest.PlainOnly(t)
	connection := azurite.ForTest(t).ConnectionString
	store, err := tablestore.New(tablestore.Config{ConnectionString: secret.New(connection)})
	if err != nil {
		t.Fatal(err)
	}
	service, err := aztables.NewServiceClientFromConnectionString(connection, nil)
	if err != nil {
		t.Fatal("the connection string is not valid")
	}
	shared := conformer{store, service.NewClient(tablestore.DefaultTable)}
	rotationtest.TestStore(t, func(*testing.T) rotationtest.Store { return shared })
}

func TestConnectionString(t *testing.T) {
	server := httptest.NewServer(table.New(table.Config{AccountKey: accountKey}))
	defer server.Close()
	connect := func(key string) error {
		store, err := tablestore.New(tablestore.Config{
			ConnectionString: secret.New("DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=" +
				key + ";TableEndpoint=" + server.URL + "/devstoreaccount1"),
		})
		if err != nil {
			return err
		}
		if _, err = store.Create(t.Context(), rotation.Record{ID: "one"}); err != nil {
			return err
		}
		_, err = store.Load(t.Context(), "one")
		return err
	}
	if err := connect(accountKey); err != nil {
		t.Error(err)
	}
	wrong := "AAAA" + accountKey[4:]
	err := connect(wrong)
	if serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("a wrong key gave %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]tablestore.Config{
		"nothing":               {},
		"both":                  {ServiceURL: "https://a", Credential: credential{}, ConnectionString: secret.New("x")},
		"no credential":         {ServiceURL: "https://a"},
		"bad table name":        {ServiceURL: "https://a", Credential: credential{}, Table: "re-key"},
		"bad connection string": {ConnectionString: secret.New("AccountName=a;AccountKey=%%%")},
	} {
		if _, err := tablestore.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
