package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/config"
)

// identity is Rekey's own credential, made on first use and kept with its cache.
type identity struct {
	config config.Config
	client *http.Client
	log    *slog.Logger

	once       sync.Once
	credential azcore.TokenCredential
	err        error
}

// GetToken implements [azcore.TokenCredential].
func (i *identity) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	i.once.Do(func() { i.credential, i.err = i.make() })
	if i.err != nil {
		return azcore.AccessToken{}, fmt.Errorf("preparing Rekey's own identity: %w", i.err)
	}
	return i.credential.GetToken(ctx, o)
}

// make chooses as the settings say: a client secret if there is one, the function's
// role on AWS Lambda, the managed identity that a client id names, or else what the
// platform offers.
func (i *identity) make() (azcore.TokenCredential, error) {
	id := i.config.Identity
	options := policy.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: i.config.AuthorityHost},
		Transport: i.client,
	}
	switch {
	case !id.ClientSecret.IsZero():
		return azidentity.NewClientSecretCredential(id.TenantID, id.ClientID, id.ClientSecret.Reveal(), &azidentity.ClientSecretCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: i.config.Emulated,
		})
	case id.Federated.On():
		return i.federated(options)
	case id.ClientID != "":
		return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID(id.ClientID)})
	}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options,
		DisableInstanceDiscovery: i.config.Emulated})
}
