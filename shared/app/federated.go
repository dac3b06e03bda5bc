package app

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/app/webidentity"
)

// federated signs in on AWS Lambda: the function's role vouches for Rekey. The
// role's token is fetched for each request to Entra, as one that was just accepted
// may be refused a moment later by a replica that lags behind.
//
// Why AWS refuses is logged here, since the adapters let nothing of a credential's
// errors through.
func (i *identity) federated(options policy.ClientOptions) (azcore.TokenCredential, error) {
	id := i.config.Identity
	f := id.Federated
	role := webidentity.New(webidentity.Config{
		Region: f.Region, AccessKeyID: f.AccessKeyID, SecretAccessKey: f.SecretAccessKey, SessionToken: f.SessionToken,
		URL: f.STSURL, HTTPClient: i.client,
	})
	return azidentity.NewClientAssertionCredential(id.TenantID, id.ClientID, func(ctx context.Context) (string, error) {
		token, err := role.Assertion(ctx)
		if err != nil {
			i.log.ErrorContext(ctx, "no token of the function's role: is outbound web identity federation on in the account, and may the role "+
				"call sts:GetWebIdentityToken?", "reason", err.Error())
		}
		return token, err
	}, &azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: i.config.Emulated})
}
