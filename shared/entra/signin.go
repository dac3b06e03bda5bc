package entra

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"rekey/shared/rotation"
)

// This file speaks to the token endpoint itself, because MSAL shows a refresh token
// to no caller. Source of the requests and answers:
// learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.

// OAuthApplication is the registration that people sign in to.
type OAuthApplication struct {
	ClientID string
	// Secret returns its client secret. It is asked once, and again when Entra
	// refuses what it said; its errors are [serviceerror.Error]s.
	Secret func(ctx context.Context) (secret.Value, error)
}

// oauthApplication keeps the secret.
type oauthApplication struct {
	OAuthApplication
	scopes string // what it asks people for

	mu     sync.Mutex
	secret secret.Value
}

// read returns the secret. other, if not zero, is the one that Entra refuses, so that
// it is read once more.
func (o *oauthApplication) read(ctx context.Context, op string, other secret.Value) (secret.Value, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ClientID == "" || o.Secret == nil {
		return secret.Value{}, &serviceerror.Error{Op: op, Class: serviceerror.Invalid,
			Detail: "this deployment has no application that people sign in to"}
	}
	if !o.secret.IsZero() && o.secret != other {
		return o.secret, nil
	}
	secret, err := o.Secret(ctx)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound) || err == nil && secret.IsZero():
		return secret, &serviceerror.Error{Op: op, Class: serviceerror.Invalid,
			Detail: "the client secret of the OAuth application is not where the settings say: " +
				"that is for the operator of Rekey"}
	case err != nil:
		return secret, err
	}
	o.secret = secret
	return secret, nil
}

// The permissions that people grant. Application.ReadWrite.All is the least with
// which a person's token may change client secrets; User.Read is what Entra gives
// with every sign-in.
const (
	readUser          = "User.Read"
	writeApplications = "Application.ReadWrite.All"
)

// connecting asks for an ID token, a refresh token and the permissions. scope is Graph's
// address, with .default in place of a permission.
func connecting(scope string) string {
	resource := strings.TrimSuffix(scope, ".default")
	return identifying + " offline_access " + resource + readUser + " " + resource + writeApplications
}

// SignInRequest is what a browser takes along to Entra.
type SignInRequest struct {
	TenantID    string
	RedirectURI string
	State       string
	Nonce       string
	Challenge   string // see [Challenge]
}

// Challenge is the S256 code challenge of a verifier (RFC 7636, section 4.2).
func Challenge(verifier secret.Value) string {
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SignInURL is where a person signs in. The account is asked for each time: the
// person who connects a tenant should see as whom.
func (a *Authority) SignInURL(r SignInRequest) string { return a.signInURL(&a.oauth, r) }

func (a *Authority) signInURL(app *oauthApplication, r SignInRequest) string {
	return a.address(r.TenantID, "oauth2/v2.0/authorize", url.Values{
		"client_id": {app.ClientID}, "response_type": {"code"}, "response_mode": {"query"}, "redirect_uri": {r.RedirectURI},
		"scope": {app.scopes}, "state": {r.State}, "nonce": {r.Nonce}, "prompt": {"select_account"},
		"code_challenge": {r.Challenge}, "code_challenge_method": {"S256"},
	})
}

// AdminConsentURL is where an administrator consents for the whole tenant.
// Source: learn.microsoft.com/entra/identity-platform/v2-admin-consent.
func (a *Authority) AdminConsentURL(tenantID, redirectURI, state string) string {
	return a.address(tenantID, "v2.0/adminconsent", url.Values{
		"client_id": {a.oauth.ClientID}, "scope": {a.scope}, "redirect_uri": {redirectURI}, "state": {state},
	})
}

// Issuer is the tenant's name in ID tokens, and in the parameter iss of an answer that
// has one (RFC 9207).
func (a *Authority) Issuer(tenantID string) string { return a.address(tenantID, "v2.0", nil) }

func (a *Authority) address(tenantID, path string, query url.Values) string {
	u := a.host + "/" + url.PathEscape(tenantID) + "/" + path
	if query != nil {
		u += "?" + query.Encode()
	}
	return u
}

// Redeemed is what a code is worth. Nothing of it is verified yet.
type Redeemed struct {
	Token        rotation.Token // for Graph
	RefreshToken secret.Value
	IDToken      secret.Value
}

// Redeem exchanges an authorization code, once: whether a lost answer has spent it
// can't be known. The verifier is empty where the code was asked for without a
// challenge. Errors are as for Refresh.
func (a *Authority) Redeem(ctx context.Context, tenantID string, code, verifier secret.Value, redirectURI string) (Redeemed, error) {
	got, err := a.redeem(ctx, &a.oauth, tenantID, code, verifier, redirectURI)
	switch {
	case err != nil:
		return Redeemed{}, err
	case got.RefreshToken.IsZero() || got.IDToken.IsZero():
		return Redeemed{}, &serviceerror.Error{Op: redeeming, Class: serviceerror.Invalid, Status: http.StatusOK,
			Detail: "no refresh token or no ID token came along: the sign-in has to ask for openid and offline_access"}
	case !got.grants(writeApplications):
		return Redeemed{}, &serviceerror.Error{Op: redeeming, Class: serviceerror.ConsentMissing, Status: http.StatusOK,
			Detail: writeApplications + " was not granted"}
	}
	return Redeemed{a.token(got), got.RefreshToken, got.IDToken}, nil
}

const redeeming = "redeeming an authorization code"

func (a *Authority) redeem(ctx context.Context, app *oauthApplication, tenantID string, code, verifier secret.Value,
	redirectURI string) (grant, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code.Reveal()}, "redirect_uri": {redirectURI}}
	if !verifier.IsZero() {
		form.Set("code_verifier", verifier.Reveal())
	}
	return a.exchange(ctx, redeeming, app, tenantID, form)
}

// Refresh signs in as the person of a refresh token, and returns the new one, or the
// same where Entra gave none. The old one stays good.
//
// The classes of its errors, besides the usual: [serviceerror.SignInExpired] where the
// person has to sign in again; [serviceerror.ConsentMissing]; [serviceerror.Invalid] where it
// is Rekey's own registration that is refused, which no person who signs in again
// could change.
func (a *Authority) Refresh(ctx context.Context, app rotation.Application, refresh secret.Value) (rotation.Token, secret.Value, error) {
	const op = "signing in with a refresh token"
	if refresh.IsZero() || !strings.EqualFold(app.ClientID, a.oauth.ClientID) && a.oauth.ClientID != "" {
		return rotation.Token{}, secret.Value{}, &serviceerror.Error{Op: op, Class: serviceerror.SignInExpired,
			Detail: "the sign-in was to another OAuth application than this deployment has now"}
	}
	got, err := a.exchange(ctx, op, &a.oauth, app.TenantID, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh.Reveal()}})
	if err != nil {
		return rotation.Token{}, secret.Value{}, err
	}
	if got.RefreshToken.IsZero() {
		got.RefreshToken = refresh
	}
	return a.token(got), got.RefreshToken, nil
}

// grant is an answer of the token endpoint.
type grant struct {
	AccessToken  secret.Value `json:"access_token"`
	ExpiresIn    json.Number  `json:"expires_in"` // seconds
	Scope        string       `json:"scope"`
	RefreshToken secret.Value `json:"refresh_token"`
	IDToken      secret.Value `json:"id_token"`
}

// grants reports whether a permission is among those granted, as far as the answer
// says. Entra writes it with Graph's address or without.
func (g grant) grants(permission string) bool {
	return g.Scope == "" || slices.ContainsFunc(strings.Fields(g.Scope), func(s string) bool {
		return strings.EqualFold(s[strings.LastIndexByte(s, '/')+1:], permission)
	})
}

func (a *Authority) token(g grant) rotation.Token {
	seconds, _ := g.ExpiresIn.Int64() // exchange has checked it
	return describe(azcore.AccessToken{Token: g.AccessToken.Reveal(), ExpiresOn: a.now().Add(time.Duration(seconds) * time.Second)})
}

// exchange sends a grant as an application that people sign in to. Where Entra refuses its
// secret, the secret is read again, once, since it may have been replaced.
func (a *Authority) exchange(ctx context.Context, op string, app *oauthApplication, tenantID string, form url.Values) (grant, error) {
	if !validTenant(tenantID) {
		return grant{}, &serviceerror.Error{Op: op, Class: serviceerror.TenantMissing}
	}
	secret, err := app.read(ctx, op, secret.Value{})
	if err != nil {
		return grant{}, err
	}
	form.Set("client_id", app.ClientID)
	form.Set("scope", app.scopes)
	got, err := a.post(ctx, op, tenantID, form, secret)
	if e, ok := errors.AsType[*serviceerror.Error](err); ok && ownSecret[e.Code] {
		again, rerr := app.read(ctx, op, secret)
		if rerr != nil || again == secret {
			return got, err
		}
		return a.post(ctx, op, tenantID, form, again)
	}
	return got, err
}

func (a *Authority) post(ctx context.Context, op, tenantID string, form url.Values, secret secret.Value) (grant, error) {
	form.Set("client_secret", secret.Reveal())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.address(tenantID, "oauth2/v2.0/token", nil), strings.NewReader(form.Encode()))
	if err != nil {
		return grant{}, &serviceerror.Error{Op: op, Class: serviceerror.Invalid, Detail: "the authority host makes no address"}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	reply, err := a.client.Do(r)
	if err != nil { // its text has the address
		return grant{}, &serviceerror.Error{Op: op, Class: serviceerror.Transient}
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return grant{}, a.signInFailure(op, reply)
	}
	var got grant
	data, err := io.ReadAll(io.LimitReader(reply.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if seconds, nerr := got.ExpiresIn.Int64(); err != nil || nerr != nil || seconds <= 0 || got.AccessToken.IsZero() {
		return grant{}, &serviceerror.Error{Op: op, Class: serviceerror.Transient, Status: reply.StatusCode, Detail: "the answer is no token"}
	}
	return got, nil
}

// ownSecret are the codes that say that the OAuth application's secret is wrong or has
// expired.
var ownSecret = map[string]bool{"AADSTS7000215": true, "AADSTS7000222": true}

// signInClasses says what the codes mean where a person's grant is exchanged. What is
// not here goes by OAuth's own error.
var signInClasses = map[int]serviceerror.Class{
	65001:   serviceerror.ConsentMissing,
	65004:   serviceerror.ConsentMissing, // the person declined
	90094:   serviceerror.ConsentMissing, // an administrator has to
	700016:  serviceerror.ConsentMissing, // the application is not in the tenant any more
	54005:   serviceerror.SignInExpired,  // the code was redeemed already
	70008:   serviceerror.SignInExpired,
	70043:   serviceerror.SignInExpired,     // sign-in frequency
	50076:   serviceerror.SignInExpired,     // multi-factor authentication is asked for
	50078:   serviceerror.SignInExpired,     // it is too long ago
	50079:   serviceerror.SignInExpired,     // the person has not registered for it
	53003:   serviceerror.CredentialInvalid, // signing in again does not help against these
	53000:   serviceerror.CredentialInvalid,
	53001:   serviceerror.CredentialInvalid,
	50105:   serviceerror.CredentialInvalid,
	7000112: serviceerror.CredentialInvalid,
	700082:  serviceerror.SignInExpired, // 90 idle days
	50173:   serviceerror.SignInExpired, // revoked, or the password was changed
	50057:   serviceerror.SignInExpired, // the account is disabled
	50011:   serviceerror.Invalid,       // the redirect URI is not registered
	500112:  serviceerror.Invalid,       // the redirect URI is not the one of the code
	7000215: serviceerror.Invalid,       // these are our own
	7000222: serviceerror.Invalid,
	7000218: serviceerror.Invalid,
	700025:  serviceerror.Invalid, // registered as a public client
	9002325: serviceerror.Invalid, // the redirect URI is of a single-page application
	9002327: serviceerror.Invalid, // the same, for a request without Origin
}

// ours is the Detail of what only the operator of Rekey can put right.
const ours = "the application that people sign in to is not set up right: that is for the operator of Rekey"

// signInFailure is the error of a person's grant that was not exchanged.
func (a *Authority) signInFailure(op string, reply *http.Response) *serviceerror.Error {
	e, body := a.refusal(op, reply)
	if !e.Class.Refusal() || e.Class == serviceerror.TenantMissing {
		return e
	}
	class, known := serviceerror.Class(""), false
	for _, n := range body.Codes {
		if c, ok := signInClasses[n]; ok {
			class, known, e.Code = c, true, "AADSTS"+strconv.Itoa(n)
			break
		}
	}
	switch {
	case known:
	case body.SubError == "consent_required" || body.Error == "consent_required":
		class = serviceerror.ConsentMissing
	case body.Error == "invalid_grant" || body.Error == "interaction_required":
		class = serviceerror.SignInExpired
	default:
		class = serviceerror.Invalid
	}
	if e.Class = class; class == serviceerror.Invalid {
		e.Detail = ours
	}
	return e
}
