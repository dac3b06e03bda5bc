// Package app puts Rekey together: the one place that knows which adapter stands
// behind which interface.
//
// Nothing is asked and nothing is connected here; clients reach out when they are
// first used, so that a cold start costs no request. The clients of Rekey's own
// identity are kept for the life of the process. Credentials of connections never
// reach this package: they live in a pass.
package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/connection"
	"rekey/shared/entra"
	"rekey/shared/graph"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"
	"rekey/shared/keyvault"
	"rekey/shared/notice"
	"rekey/shared/oauth"
	"rekey/shared/openid"
	"rekey/shared/rotator"
	"rekey/shared/session"
	"rekey/shared/tablestore"
	"rekey/shared/telemetry"
)

// Version is what is running; it is stamped by the linker.
var Version = "devel"

// App is Rekey without a host.
type App struct {
	Config      config.Config
	Log         *slog.Logger
	Callers     *auth.Authenticator
	Limit       *auth.Limiter // of requests, for this process
	Connections *connection.Service
	Rotator     *rotator.Rotator
	Scans       *scan.Scanner        // of the inventories of tenants
	Inventory   *catalog.Catalog     // what they have found
	OAuth       *oauth.Flow          // nil: connecting by OAuth is not configured
	Sessions    *session.Manager     // who is signed in to the console
	Trail       *audit.Trail         // of what happens in the deployment
	Notices     *notice.Deliverer    // nil: there is no webhook
	Telemetry   *telemetry.Telemetry // nil: no metrics and traces are exported
}

// New puts an App together. Its error says what is wrong with the settings.
func New(c config.Config, log *slog.Logger) (*App, error) { return As(nil, c, log) }

// As is [New] with another identity than the settings name, such as a person's at a
// workstation; nil is that of the settings.
func As(own azcore.TokenCredential, c config.Config, log *slog.Logger) (*App, error) {
	client, err := httpClient(c)
	if err != nil {
		return nil, err
	}
	measure := measured(c, log)
	client.Transport = measure.Transport(client.Transport)
	if own == nil {
		own = &identity{config: c, client: client, log: log}
	}
	table := tablestore.Config{ConnectionString: c.TableConnection, Transport: client, Notices: c.Webhook.On()}
	if c.TableURL != "" {
		table.ServiceURL, table.Credential = c.TableURL, own
	}
	store, err := tablestore.New(table)
	if err != nil {
		return nil, fmt.Errorf("preparing the table: %w", err)
	}
	vault, err := keyvault.New(keyvault.Config{URL: c.KeyVaultURL, Credential: own, Emulated: c.Emulated, Transport: client})
	if err != nil {
		return nil, fmt.Errorf("preparing the key vault: %w", err)
	}
	authority, err := entra.New(entra.Config{AuthorityHost: c.AuthorityHost, GraphScope: graphScope(c), Emulated: c.Emulated,
		OAuth: peoplesApplication(c.OAuth, vault), HTTPClient: client})
	if err != nil {
		return nil, fmt.Errorf("preparing Entra: %w", err)
	}
	directory, err := graph.New(graph.Config{BaseURL: c.GraphURL, HTTPClient: client})
	if err != nil {
		return nil, fmt.Errorf("preparing Graph: %w", err)
	}
	actors := &connection.Actors{
		Records: store, Vault: vault, Authority: authority, SignIns: authority, Deployment: c.Deployment, Log: log,
	}
	rotator := &rotator.Rotator{
		Store: store, History: store, Vault: vault, Authority: authority, Directory: directory, Actors: actors, Pacer: &graph.Pace{},
		Observer: measure.Observer(), Rules: c.Rules, Deployment: c.Deployment, Parallel: c.MaxParallel, Log: log,
	}
	connections := &connection.Service{
		Rotator: rotator, Actors: actors, Records: store, Reservations: store, Claims: store,
		Vault: vault, Directory: reader{authority, directory},
		Applications: directory, Policies: directory, Notes: store, Refused: refused(c), Log: log,
	}
	tokens, err := openid.New(openid.Config{AuthorityHost: c.AuthorityHost, HTTPClient: client})
	if err != nil {
		return nil, fmt.Errorf("preparing the verification of tokens: %w", err)
	}
	deliverer, err := notices(c, store, vault, client, log)
	if err != nil {
		return nil, err
	}
	scans := scanner(c, store, directory, actors, connections, measure, log)
	rotator.Inventory = scans
	known, limit := callers(c, tokens), auth.NewLimiter(auth.Limits{})
	trail := &audit.Trail{Store: store, Log: log}
	return &App{
		Config: c, Log: log, Rotator: rotator, Scans: scans, Inventory: inventories(c, store, scans, log),
		Callers: known, Limit: limit, Trail: trail,
		Sessions:    sessions(c, known, limit, trail, store, tokens, authority, vault, log),
		Connections: connections, OAuth: connectPeople(c, tokens, store, authority, connections, log), Notices: deliverer, Telemetry: measure,
	}, nil
}

// reader is what the connection service reads of Entra and Graph.
type reader struct {
	rotator.Authority
	*graph.Directory
}

// callers are those whom the settings let in.
func callers(c config.Config, tokens *openid.Verifier) *auth.Authenticator {
	a := &auth.Authenticator{Keys: c.Callers.Keys, AppService: c.Callers.AppService, TenantID: c.Callers.TenantID}
	if c.Callers.Audience != "" {
		a.Tokens = &auth.EntraTokens{Verifier: tokens, Audience: c.Callers.Audience, TenantID: c.Callers.TenantID}
	}
	return a
}

// graphScope is what tokens for Graph are asked for. A national cloud has one of
// its own; an emulator, wherever it listens, stands for the public one.
func graphScope(c config.Config) string {
	if c.Emulated {
		return "" // the adapter's default
	}
	return strings.TrimSuffix(c.GraphURL, "/") + "/.default"
}

// refused are the applications that Rekey itself stands on.
func refused(c config.Config) map[string]string {
	list := make(map[string]string)
	if id := c.Console.ClientID; id != "" {
		list[strings.ToLower(id)] = "the one that people sign in to the console with"
	}
	if id := c.OAuth.ClientID; id != "" {
		list[strings.ToLower(id)] = "the one that people connect with by OAuth"
	}
	if id := c.Identity.ClientID; id != "" {
		list[strings.ToLower(id)] = "Rekey's own identity"
	}
	return list
}

// httpClient is shared by all clients, so that connections are reused however
// short-lived a credential is.
func httpClient(c config.Config) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.IdleConnTimeout = 4*c.MaxParallel, c.MaxParallel, 90*time.Second
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading REKEY_CA_FILE: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("REKEY_CA_FILE holds no certificate in PEM form")
		}
	}
	return &http.Client{Transport: t}, nil
}
