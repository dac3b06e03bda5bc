// Package openid verifies the tokens that Microsoft Entra signs: ID tokens of
// people who connect a tenant, and access tokens of those who call Rekey. It is
// auth's [auth.AccessTokens] on go-oidc.
//
// A token is refused for what it says before anything is fetched to check its
// signature. So no caller can make Rekey ask for the keys of a tenant that it has
// nothing to do with, and a token that could not be accepted anyway costs no
// request. The claims are read a second time from what the signature covers.
//
// There are two kinds of errors. One for which errors.Is reports [ErrRefused] is a
// verdict: the token is no good, and [Refusal] says why in a word. Every other
// error means that Entra's keys could not be read, so that nothing is known about
// the token; it is a [serviceerror.Error]. In both cases the caller does not get in.
//
// The signing keys are not read through go-oidc's RemoteKeySet, because that asks
// for them again for every unknown key id, reads answers of any length, and never
// forgets a key that was withdrawn while no other appears. See keys.go for what
// this package does instead.
package openid

import (
	"context"
	"crypto"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"rekey/shared/secret"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"rekey/shared/auth"
)

// ErrRefused is what every [Refusal] is.
var ErrRefused = errors.New("the token is refused")

// Refusal is why a token is no good. It is safe to print: it has nothing of the
// token. To auth a Refusal is [auth.ErrUnauthenticated].
type Refusal string

// The reasons.
const (
	Malformed   Refusal = "malformed"     // no JWT, too long, or without a claim that Entra always sets
	Algorithm   Refusal = "algorithm"     // not RS256, the only one that Entra signs with
	Issuer      Refusal = "issuer"        // not this cloud's Entra, or not for the tenant in tid
	Tenant      Refusal = "tenant"        // another tenant's
	Audience    Refusal = "audience"      // for another application
	Expired     Refusal = "expired"       //
	NotYetValid Refusal = "not yet valid" //
	Nonce       Refusal = "nonce"         // of another sign-in
	Signature   Refusal = "signature"     // not made with a key that the tenant publishes now
)

func (r Refusal) Error() string { return ErrRefused.Error() + ": " + string(r) }

// Is makes a Refusal an [ErrRefused] and an [auth.ErrUnauthenticated].
func (r Refusal) Is(target error) bool {
	return target == ErrRefused || target == auth.ErrUnauthenticated
}

// Config sets up a [Verifier]. The zero Config is the public cloud.
type Config struct {
	// AuthorityHost is the https address of Entra, or of the emulator; empty
	// means https://login.microsoftonline.com. It is the beginning of the issuer
	// of v2.0 tokens, and where the keys are.
	AuthorityHost string
	// HTTPClient reads the keys; nil means one with the standard library's
	// defaults. Redirects are not followed in either case.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verifier verifies tokens and keeps the signing keys. It is safe for concurrent
// use, and meant to be kept for the life of the process.
type Verifier struct {
	authority string // without a slash at its end
	legacy    string // issuer of v1.0 tokens, likewise
	client    *http.Client
	now       func() time.Time
	budget    *rate.Limiter // of requests for keys, over all tenants

	mu      sync.Mutex
	tenants map[string]*keySet // by tenant id in lower case
}

var _ auth.AccessTokens = (*Verifier)(nil)

// legacyIssuers are the issuers of v1.0 access tokens where they are not
// https://sts.windows.net, which is also that of the clouds for governments.
var legacyIssuers = map[string]string{
	"login.chinacloudapi.cn":           "https://sts.chinacloudapi.cn",
	"login.partner.microsoftonline.cn": "https://sts.chinacloudapi.cn",
}

// New checks c and returns a Verifier; it makes no request.
func New(c Config) (*Verifier, error) {
	if c.AuthorityHost == "" {
		c.AuthorityHost = "https://login.microsoftonline.com"
	}
	host, err := url.Parse(c.AuthorityHost)
	if err != nil || host.Scheme != "https" || host.Host == "" || host.User != nil || host.RawQuery != "" || host.Fragment != "" {
		return nil, errors.New("the authority host has to be an https address without user, query and fragment")
	}
	v := &Verifier{
		authority: strings.TrimRight(c.AuthorityHost, "/"), legacy: "https://sts.windows.net",
		client: new(http.Client), now: c.Now,
		budget:  rate.NewLimiter(budgetRate, budgetBurst),
		tenants: make(map[string]*keySet),
	}
	if issuer, ok := legacyIssuers[strings.ToLower(host.Hostname())]; ok {
		v.legacy = issuer
	}
	if c.HTTPClient != nil {
		*v.client = *c.HTTPClient
	}
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if v.now == nil {
		v.now = time.Now
	}
	return v, nil
}

// Expect is what an ID token has to be.
type Expect struct {
	// ClientID is the application that asked for it, the token's audience.
	// Required.
	ClientID string
	// TenantID is the GUID of the tenant that must have issued it. Empty means
	// any tenant of this cloud, for a caller who compares [Identity.TenantID]
	// with what it knows afterwards.
	TenantID string
	// Nonce is what the token's must be. Leaving it empty is an error, unless
	// NoNonce says that the sign-in was begun by a caller's own page, whose
	// nonce is not known; then a code may have been slipped in by a third party.
	Nonce   string
	NoNonce bool
}

// Identity is who signed in. TenantID and ObjectID identify a person; Name is what
// their directory calls them, and Username what they sign in with, if the token says; both may be
// empty, and identify no person.
type Identity struct {
	TenantID string // GUID in lower case
	ObjectID string // GUID in lower case
	Subject  string // of this person towards this application only
	Name     string
	Username string
	Roles    []string // app roles of the application that are assigned to the person
}

// IDToken verifies a v2.0 ID token.
func (v *Verifier) IDToken(ctx context.Context, raw secret.Value, want Expect) (Identity, error) {
	if want.ClientID == "" || want.Nonce == "" != want.NoNonce {
		return Identity{}, errors.New("verifying an ID token needs a client id and either a nonce or the word that there is none")
	}
	c, err := v.verify(ctx, raw.Reveal(), func(c claims) error {
		switch {
		case c.Issuer != v.issuer(c.TenantID):
			return Issuer
		case want.TenantID != "" && !strings.EqualFold(c.TenantID, want.TenantID):
			return Tenant
		case !c.Audience.is(want.ClientID):
			return Audience
		case !want.NoNonce && subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(want.Nonce)) == 0:
			return Nonce
		case !isGUID(c.ObjectID) || c.Subject == "":
			return Malformed
		}
		return nil
	})
	if err != nil {
		return Identity{}, err
	}
	return Identity{
		TenantID: strings.ToLower(c.TenantID), ObjectID: strings.ToLower(c.ObjectID),
		Subject: c.Subject, Name: c.Name, Username: c.Username, Roles: c.Roles,
	}, nil
}

// AccessToken verifies an access token, v1.0 or v2.0, that was issued by the
// tenant with the GUID tenantID for the application that is audience: for v2.0 its
// client id, for v1.0 also one of its identifier URIs, compared to the letter. With api://
// and the client id as audience a token for the client id is good, too.
func (v *Verifier) AccessToken(ctx context.Context, raw secret.Value, audience, tenantID string) (auth.Claims, error) {
	if audience == "" || tenantID == "" {
		return auth.Claims{}, errors.New("verifying an access token needs an audience and a tenant")
	}
	c, err := v.verify(ctx, raw.Reveal(), func(c claims) error {
		switch {
		case c.Issuer != v.issuer(c.TenantID) && c.Issuer != v.legacy+"/"+c.TenantID+"/":
			return Issuer
		case !strings.EqualFold(c.TenantID, tenantID):
			return Tenant
		case !c.Audience.is(audience):
			return Audience
		// Every access token names the application that asked for it. An ID
		// token has the same audience and may have the same roles, but no such
		// claim: it says who signed in, and is no permission to call anything.
		case !isGUID(c.client()) || !isGUID(c.ObjectID):
			return Malformed
		}
		return nil
	})
	if err != nil {
		return auth.Claims{}, err
	}
	return auth.Claims{
		TenantID: strings.ToLower(c.TenantID), ObjectID: strings.ToLower(c.ObjectID), AppID: strings.ToLower(c.client()),
		Name: c.Name, Roles: c.Roles, Scopes: strings.Fields(c.Scopes),
	}, nil
}

func (v *Verifier) issuer(tenantID string) string { return v.authority + "/" + tenantID + "/v2.0" }

// verify returns the claims of raw if it is signed by its tenant, valid now and
// accepted by check, which is asked before and after.
func (v *Verifier) verify(ctx context.Context, raw string, check func(claims) error) (claims, error) {
	h, c, err := decode(raw)
	if err != nil {
		return claims{}, err
	}
	if h.Algorithm != oidc.RS256 {
		return claims{}, Algorithm
	}
	if err := c.check(v.now(), check); err != nil {
		return claims{}, err
	}
	key, err := v.keys(c.TenantID).key(ctx, h.KeyID)
	if err != nil {
		return claims{}, err
	}
	// The times are checked here, since go-oidc allows for the clocks' difference
	// on one side only.
	verifier := oidc.NewVerifier(c.Issuer, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key}}, &oidc.Config{
		ClientID: c.Audience.first(), SupportedSigningAlgs: []string{oidc.RS256}, SkipExpiryCheck: true,
	})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return claims{}, Signature
	}
	var signed claims
	if token.Claims(&signed) != nil {
		return claims{}, Malformed
	}
	return signed, signed.check(v.now(), check)
}
