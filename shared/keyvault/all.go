package keyvault

import (
	"context"
	"net/url"
	"strings"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"rekey/shared/rotation"
)

// All returns the latest version of every secret in the vault, whosever it is, with
// tags and state and without values and version ids: the service tells neither. Soft-
// deleted secrets are not among them. It costs a request for each 25 secrets, so that
// it is for repairs and not for a request or a pass.
//
// A disabled secret is listed, with Enabled false. Secrets that the vault manages for
// a certificate of its own are left out: no caller can write to them.
//
// Source: learn.microsoft.com/rest/api/keyvault/secrets/get-secrets.
func (v *Vault) All(ctx context.Context) ([]rotation.VaultSecret, error) {
	const op = "listing the vault's secrets"
	client, err := v.use(op)
	if err != nil {
		return nil, err
	}
	var all []rotation.VaultSecret
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, v.failure(op, read, err)
		}
		for _, p := range page.Value {
			if p == nil || p.Managed != nil && *p.Managed {
				continue
			}
			name := nameOf(p.ID)
			if name == "" {
				return nil, &serviceerror.Error{Op: op, Class: serviceerror.Transient, Detail: "answer without a name"}
			}
			all = append(all, describe(name, p.ID, p.ContentType, p.Attributes, p.Tags))
		}
	}
	return all, nil
}

// nameOf returns the name in id, which is https://<vault>/secrets/<name>, and "" if
// there is none. The SDK's own method panics then.
func nameOf(id *azsecrets.ID) string {
	if id == nil {
		return ""
	}
	u, err := url.Parse(string(*id))
	if err != nil {
		return ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 || parts[0] != "secrets" || !nameForm.MatchString(parts[1]) {
		return ""
	}
	return parts[1]
}
