package entra

import (
	"context"
	"net/http"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// identifying asks for an ID token alone. Without profile it has neither oid nor tid.
// Source: learn.microsoft.com/entra/identity-platform/id-token-claims-reference.
const identifying = "openid profile"

// Identification sends people to Entra only to learn who they are. It asks for no
// permission, so that no consent of an administrator is needed for more than signing in, and
// it keeps no token: what comes with the ID token is dropped. It is safe for concurrent use.
type Identification struct {
	authority *Authority
	app       oauthApplication
}

// Identification returns one for the application that people sign in to.
func (a *Authority) Identification(app OAuthApplication) *Identification {
	return &Identification{a, oauthApplication{OAuthApplication: app, scopes: identifying}}
}

// SignInURL is where a person signs in.
func (i *Identification) SignInURL(r SignInRequest) string { return i.authority.signInURL(&i.app, r) }

// Issuer is that of [Authority.Issuer].
func (i *Identification) Issuer(tenantID string) string { return i.authority.Issuer(tenantID) }

// Redeem exchanges an authorization code, once, for an ID token. Nothing of it is verified
// yet. Its errors are those of [Authority.Redeem].
func (i *Identification) Redeem(ctx context.Context, tenantID string, code, verifier secret.Value,
	redirectURI string) (secret.Value, error) {
	got, err := i.authority.redeem(ctx, &i.app, tenantID, code, verifier, redirectURI)
	if err == nil && got.IDToken.IsZero() {
		err = &serviceerror.Error{Op: redeeming, Class: serviceerror.Invalid, Status: http.StatusOK, Detail: "no ID token came along"}
	}
	return got.IDToken, err
}
