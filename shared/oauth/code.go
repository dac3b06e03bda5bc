package oauth

import (
	"context"
	"strings"

	"rekey/shared/secret"

	"rekey/shared/connection"
	"rekey/shared/openid"
)

// Redeem exchanges a code that a caller's own page got from Entra: Infisical's form of
// connecting by OAuth. The page must have used our redirect URI, since Entra compares
// it. There is no state, nonce or verifier of ours, so that nothing shows that the person who
// signed in meant this caller; that is the caller's page to see to. Tenant and ID
// token are verified. Its errors are of type [*connection.Error].
func (f *Flow) Redeem(ctx context.Context, code secret.Value, tenantID string) (connection.Credentials, error) {
	ctx = context.WithoutCancel(ctx) // the code is spent, even if the caller goes away
	tenantID = strings.ToLower(strings.TrimSpace(tenantID))
	switch {
	case code.IsZero():
		return connection.Credentials{}, &connection.Error{Kind: connection.Invalid, Message: "credentials.code is missing."}
	case !connection.ValidID(tenantID): // the form of a GUID
		return connection.Credentials{}, &connection.Error{Kind: connection.Invalid,
			Message: "credentials.tenantId must be a UUID; find it in the portal as \"Directory (tenant) ID\"."}
	}
	c, failed := f.signIn(ctx, code, secret.Value{}, openid.Expect{ClientID: f.ClientID, TenantID: tenantID, NoNonce: true})
	if failed == nil {
		return c, nil
	}
	e := &connection.Error{Kind: connection.Invalid, Message: codeMessages[failed.Kind]}
	if failed.Kind == Failed {
		e.Kind = connection.Unavailable
	}
	if failed.Entra != "" {
		e.Message += " [" + failed.Entra + "]" // a code from an adapter
	}
	return connection.Credentials{}, e
}

var codeMessages = map[Kind]string{
	NeedsAdmin: "An administrator of the tenant has to consent first. Nothing was stored.",
	CodeSpent: "Entra does not accept credentials.code: it was used already, has expired (after 10 minutes), " +
		"or was made for another tenant, redirect URI or with a code challenge. Sign in again. Nothing was stored.",
	Setup: "Entra refuses the OAuth application of this deployment, or the redirect URI that the code was asked for with. " +
		"It must be this deployment's own callback. Nothing was stored.",
	Identity: "The ID token that came with credentials.code is not of credentials.tenantId, or not for this application. Nothing was stored.",
	Refused:  "Entra refuses credentials.code. Nothing was stored.",
	Failed:   "Entra did not answer properly. Sign in again, since the code may be spent.",
}
