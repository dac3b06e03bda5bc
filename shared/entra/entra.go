// Package entra signs in at Microsoft Entra. It proves client secrets at the token
// endpoint, as the [rotator.Authority] on azidentity; it signs in with certificates
// likewise; and for people it sends browsers to Entra, redeems the codes that they
// come back with, and exchanges their refresh tokens (signin.go).
//
// A token that MSAL has in its cache says nothing about the secret, since MSAL
// returns it whatever secret the client holds. [Authority.Token] therefore makes a
// new credential with an empty cache for each call, and asks for no continuous
// access evaluation, whose tokens live up to a day instead of an hour.
//
// A new credential would also fetch what never changes: MSAL's instance metadata
// and the tenant's discovery document, two requests before the one that counts.
// They say where the token endpoint is and nothing about any secret, so this
// package keeps them for [Config.DiscoveryTTL] below MSAL. A proof then costs one
// request, and three when nothing is known yet (two with [Config.Emulated]); the
// tests of this package count them. The connections are shared by all calls.
//
// What goes wrong becomes a [serviceerror.Error] made from the status and Entra's own
// error codes. Nothing of the SDK's errors is passed on: they print addresses and
// whole bodies.
//
// The environment variables AZURE_REGIONAL_AUTHORITY_NAME and MSAL_FORCE_REGION
// have to be unset: they make MSAL ask other hosts.
package entra

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/rotation"
)

// Config sets up an [Authority]. The zero Config is the public cloud.
type Config struct {
	// AuthorityHost is the https address of Entra, or of the emulator; empty
	// means https://login.microsoftonline.com/. A national cloud is chosen here.
	AuthorityHost string
	// GraphScope is what tokens are asked for; empty means
	// https://graph.microsoft.com/.default.
	GraphScope string
	// Emulated says that AuthorityHost is no cloud that Microsoft runs, so that
	// Microsoft's instance discovery can't be asked whether it is one.
	Emulated bool
	// DiscoveryTTL is how long discovery documents are kept; 0 means an hour.
	DiscoveryTTL time.Duration
	// OAuth is the application that people sign in to. Without its ClientID
	// no person can sign in.
	OAuth OAuthApplication
	// HTTPClient carries the requests; nil means one with the standard
	// library's defaults. Redirects are not followed in either case: they would
	// carry the client secret elsewhere.
	HTTPClient *http.Client
	// Now is the clock for DiscoveryTTL and for dates in Retry-After; nil means
	// time.Now.
	Now func() time.Time
}

// Authority is Entra's token endpoint. It is safe for concurrent use.
type Authority struct {
	host    string // without a slash at its end
	scope   string
	options azidentity.ClientSecretCredentialOptions
	client  *http.Client // follows no redirects
	oauth   oauthApplication
	now     func() time.Time
}

var _ rotator.Authority = (*Authority)(nil)

// New checks c and returns an Authority; it makes no request.
func New(c Config) (*Authority, error) {
	if c.AuthorityHost == "" {
		c.AuthorityHost = cloud.AzurePublic.ActiveDirectoryAuthorityHost
	}
	host, err := url.Parse(c.AuthorityHost)
	if err != nil || host.Scheme != "https" || host.Host == "" || host.User != nil || host.RawQuery != "" || host.Fragment != "" {
		return nil, errors.New("the authority host has to be an https address without user, query and fragment")
	}
	if c.GraphScope == "" {
		c.GraphScope = "https://graph.microsoft.com/.default"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	cache := newDiscoveryCache(c)
	return &Authority{
		host: strings.TrimRight(c.AuthorityHost, "/"), scope: c.GraphScope, options: options(c, cache), client: cache.client,
		oauth: oauthApplication{OAuthApplication: c.OAuth, scopes: connecting(c.GraphScope)}, now: c.Now,
	}, nil
}

func options(c Config, cache *discoveryCache) azidentity.ClientSecretCredentialOptions {
	return azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: c.AuthorityHost},
			Transport: cache,
			// The caller knows how urgent it is and waits with its lease in mind.
			Retry: policy.RetryOptions{MaxRetries: -1},
		},
		DisableInstanceDiscovery: c.Emulated,
	}
}

const op = "asking for a token"

// Token asks for a Graph token with secret. See [rotator.Authority] for the errors.
func (a *Authority) Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error) {
	if !validTenant(app.TenantID) {
		return rotation.Token{}, &serviceerror.Error{Op: op, Class: serviceerror.TenantMissing}
	}
	if app.ClientID == "" {
		return rotation.Token{}, &serviceerror.Error{Op: op, Class: serviceerror.ApplicationMissing}
	}
	if secret.IsZero() {
		return rotation.Token{}, &serviceerror.Error{Op: op, Class: serviceerror.CredentialRefused}
	}
	options := a.options
	credential, err := azidentity.NewClientSecretCredential(app.TenantID, app.ClientID, secret.Reveal(), &options)
	if err != nil {
		return rotation.Token{}, &serviceerror.Error{Op: op, Class: serviceerror.CredentialInvalid}
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{a.scope}, EnableCAE: false})
	if err != nil {
		return rotation.Token{}, a.failure(err)
	}
	if token.Token == "" {
		return rotation.Token{}, &serviceerror.Error{Op: op, Class: serviceerror.Transient, Status: http.StatusOK}
	}
	return describe(token), nil
}

// A tenant becomes part of an address. The names that MSAL takes for something else
// than a tenant are no tenants to us.
var (
	tenantForm   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
	notOneTenant = map[string]bool{"common": true, "organizations": true, "consumers": true, "adfs": true, "dstsv2": true}
)

func validTenant(id string) bool {
	return len(id) <= 253 && tenantForm.MatchString(id) && !notOneTenant[strings.ToLower(id)]
}

// describe reads the claims of a token as far as they can be read. Its format is
// not promised to clients, so whatever is missing is missing.
func describe(t azcore.AccessToken) rotation.Token {
	token := rotation.Token{Value: secret.New(t.Token), ExpiresAt: t.ExpiresOn, Opaque: true}
	parts := strings.Split(t.Token, ".")
	if len(parts) != 3 {
		return token
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return token
	}
	var claims struct {
		Roles          []string `json:"roles"`
		ObjectID       string   `json:"oid"`
		Scopes         string   `json:"scp"`
		DirectoryRoles []string `json:"wids"`
	}
	if json.Unmarshal(data, &claims) != nil {
		return token
	}
	token.Opaque, token.Roles, token.ObjectID = false, claims.Roles, claims.ObjectID
	if claims.Scopes != "" { // an application's token has roles of directory, too, and no scopes
		token.Scopes, token.DirectoryRoles = strings.Fields(claims.Scopes), claims.DirectoryRoles
	}
	return token
}
