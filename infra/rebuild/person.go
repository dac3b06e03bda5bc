package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/app"
	"rekey/shared/serviceerror"
)

// person is the one that the Azure CLI is signed in as. It keeps why there was no token,
// since the adapters let nothing of a credential's errors through.
type person struct {
	cli azcore.TokenCredential

	mu  sync.Mutex
	err error
}

func signedIn() (*person, error) {
	cli, err := azidentity.NewAzureCLICredential(nil)
	if err != nil {
		return nil, fmt.Errorf("preparing the sign-in of the Azure CLI: %w", err)
	}
	return &person{cli: cli}, nil
}

// GetToken implements [azcore.TokenCredential].
func (p *person) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := p.cli.GetToken(ctx, o)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.err = err
	}
	return token, err
}

// explain adds to a failure what the person can do about it.
func (p *person) explain(err error) error {
	if advice := p.advice(err); advice != "" {
		return fmt.Errorf("%w\n%s", err, advice)
	}
	return err
}

// advice says what the person can do about a failure; nothing where they can't. A nil person
// is the app's own identity, of which the error says enough.
func (p *person) advice(err error) string {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e, refused := errors.AsType[*serviceerror.Error](err)
	switch {
	case p.err != nil:
		return p.err.Error() + "\nSign in to the tenant of the vault: az login --tenant <tenant id>; then try again"
	case refused && e.Class == serviceerror.VaultRefused:
		return "Your account needs the role Key Vault Secrets Officer on the vault, and the vault has to admit the address of this machine: " +
			"the variables operators and vault_allowed_ip_ranges of infra/azure. Both take some minutes"
	case refused && e.Class == serviceerror.Invalid && e.Status == http.StatusForbidden:
		return "Your account needs the role Storage Table Data Contributor on the table. It takes some minutes"
	}
	return ""
}

// reaches looks whether the person may use the table. A rebuild that may not would call
// every connection unclear.
func (p *person) reaches(ctx context.Context, a *app.App) error {
	_, err := a.Connections.Records.Load(ctx, "00000000-0000-4000-8000-000000000000") // no connection's
	if p.advice(err) == "" {
		return nil
	}
	return p.explain(fmt.Errorf("reading the table: %w", err))
}
