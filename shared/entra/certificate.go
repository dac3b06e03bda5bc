package entra

import (
	"context"
	"crypto/x509"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/certificate"
	"rekey/shared/rotation"
)

// Certificate asks for a Graph token with a certificate and its key, as
// [certificate.Certificate.PEM] has them. Chain sends what was given of the
// certificate's chain along, for applications that trust a subject name and an
// issuer instead of one certificate. Errors are as for Token; what Entra has against
// the certificate is class [serviceerror.CertificateRefused].
func (a *Authority) Certificate(ctx context.Context, app rotation.Application, pem secret.Value, chain bool) (rotation.Token, error) {
	if !validTenant(app.TenantID) {
		return rotation.Token{}, &serviceerror.Error{Op: op, Class: serviceerror.TenantMissing}
	}
	if app.ClientID == "" {
		return rotation.Token{}, &serviceerror.Error{Op: op, Class: serviceerror.ApplicationMissing}
	}
	unusable := &serviceerror.Error{Op: op, Class: serviceerror.CertificateRefused,
		Detail: "what is in the vault is no certificate with its key"}
	c, err := certificate.Read(pem)
	if err != nil {
		return rotation.Token{}, unusable
	}
	credential, err := azidentity.NewClientCertificateCredential(app.TenantID, app.ClientID,
		append([]*x509.Certificate{c.Leaf}, c.Chain...), c.Key,
		&azidentity.ClientCertificateCredentialOptions{
			ClientOptions: a.options.ClientOptions, DisableInstanceDiscovery: a.options.DisableInstanceDiscovery, SendCertificateChain: chain,
		})
	if err != nil {
		return rotation.Token{}, unusable
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{a.scope}, EnableCAE: false})
	if err != nil {
		return rotation.Token{}, a.failure(err)
	}
	return describe(token), nil
}
