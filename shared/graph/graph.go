// Package graph reads and changes the client secrets of applications through
// Microsoft Graph, and reads what the inventory of a tenant needs: it is the
// [rotator.Directory] and the [scan.Directory] on msgraph-sdk-go.
//
// Adding a client secret is not idempotent, and its value is shown once. The
// package therefore promises that a write is sent at most once, and that its error
// says whether it may have happened all the same. To keep that, the SDK's HTTP
// client is built by hand:
//
//   - The middleware has a fixed order. The SDK's default list has a random one, in
//     which a retry may send an uncompressed body as a compressed one.
//   - There is no retry handler and no compression. The caller has its own backoff,
//     with its lease in mind; Retry-After is in [serviceerror.Error].
//   - Answers other than 2xx never reach the SDK: the innermost middleware makes
//     the [serviceerror.Error] out of them. The SDK's ODataError panics when it is
//     printed without a message, is replaced by other errors for HTML and empty
//     bodies, and takes redirects for success.
//   - A request without an Authorization header is not sent. The SDK leaves the
//     header out, without an error, when a host is not on its list.
//   - Every call brings its own token, so that nothing is cached, and no continuous
//     access evaluation is asked for.
//
// Of msgraph-sdk-go only the packages applications and models are imported, since
// the others double the build. The reads that need others, objects by client id, the
// tenant's policy and the lists of the inventory, are written with the SDK's request
// information.
package graph

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/authentication"
	khttp "github.com/microsoft/kiota-http-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"
	graphcore "github.com/microsoftgraph/msgraph-sdk-go-core"

	"rekey/shared/rotation"
)

// Config sets up a [Directory]. The zero Config is the public cloud.
type Config struct {
	// BaseURL is the https address of Graph without a version; empty means
	// https://graph.microsoft.com. A national cloud is chosen here.
	BaseURL string
	// HTTPClient carries the requests; nil means one with the standard
	// library's defaults. Its Timeout, if any, holds besides the deadline of the
	// caller's context. Redirects are not followed in either case: they would
	// carry the token elsewhere.
	HTTPClient *http.Client
	// Now is the clock for dates in Retry-After; nil means time.Now.
	Now func() time.Time
}

// Directory is Microsoft Graph. It is safe for concurrent use.
type Directory struct {
	root  string // without a trailing slash
	base  string // root with the version
	host  string // without the port: the SDK compares host names only
	http  *http.Client
	clock func() time.Time
}

var _ rotator.Directory = (*Directory)(nil)

// New checks c and returns a Directory; it makes no request.
func New(c Config) (*Directory, error) {
	if c.BaseURL == "" {
		c.BaseURL = "https://graph.microsoft.com"
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Scheme != "https" || base.Hostname() == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the Graph URL has to be an https address without user, query and fragment")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	d := &Directory{
		root:  strings.TrimRight(c.BaseURL, "/"),
		host:  base.Hostname(),
		clock: c.Now,
	}
	d.base = d.root + "/v1.0"
	d.http = newHTTPClient(c.HTTPClient, d.clock)
	return d, nil
}

func newHTTPClient(given *http.Client, clock func() time.Time) *http.Client {
	client := http.Client{Transport: http.DefaultTransport}
	if given != nil {
		client = *given
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Transport = khttp.NewCustomTransportWithParentTransport(client.Transport,
		graphcore.NewGraphTelemetryHandler(&graphcore.GraphClientOptions{}), // client-request-id
		khttp.NewParametersNameDecodingHandler(),                            // %24select to $select
		khttp.NewUserAgentHandler(),
		&gate{clock}, // last, so that it sees what is really sent
	)
	return &client
}

// adapter returns the SDK's client for one call with one token.
func (d *Directory) adapter(token rotation.Token) (abstractions.RequestAdapter, error) {
	hosts, err := authentication.NewAllowedHostsValidatorErrorCheck([]string{d.host})
	if err != nil {
		return nil, err
	}
	adapter, err := graphcore.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		authentication.NewBaseBearerTokenAuthenticationProvider(bearer{token.Value, hosts}),
		graphcore.GraphClientOptions{},
		kjson.NewJsonParseNodeFactory(), kjson.NewJsonSerializationWriterFactory(), d.http)
	if err != nil {
		return nil, err
	}
	adapter.SetBaseUrl(d.base)
	return adapter, nil
}

// bearer gives the SDK the one token of a call.
type bearer struct {
	token secret.Value
	hosts *authentication.AllowedHostsValidator
}

var errForeignHost = errors.New("the request is for a host that must not see the token")

// GetAuthorizationToken returns an error where the SDK's own providers return an
// empty token: the request would be sent without one.
func (b bearer) GetAuthorizationToken(_ context.Context, to *url.URL, _ map[string]any) (string, error) {
	if to.Scheme != "https" || !b.hosts.IsUrlHostValid(to) {
		return "", errForeignHost
	}
	return b.token.Reveal(), nil
}

func (b bearer) GetAllowedHostsValidator() *authentication.AllowedHostsValidator { return b.hosts }
