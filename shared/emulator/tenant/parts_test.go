package tenant_test

import (
	"encoding/json"
	"testing"
	"time"

	"rekey/shared/inventory"
)

// lists are the requests of a scan.
var lists = map[inventory.List]string{
	inventory.Applications: "/v1.0/applications?$select=id,appId,displayName,signInAudience,createdDateTime," +
		"passwordCredentials,keyCredentials&$expand=owners($select=id,displayName,userPrincipalName)&$top=200",
	inventory.FederatedIDs: "/v1.0/applications?$select=id,appId&$expand=federatedIdentityCredentials&$top=200",
	inventory.Principals: "/v1.0/servicePrincipals?$select=id,appId,displayName,servicePrincipalType,accountEnabled,appOwnerOrganizationId," +
		"passwordCredentials,keyCredentials&$expand=owners($select=id,displayName,userPrincipalName)&$top=200",
	inventory.Activity: "/beta/reports/appCredentialSignInActivities?$top=200",
}

// object is an item of any of the lists.
type object struct {
	ID, AppID, DisplayName, SignInAudience       string
	CreatedDateTime                              time.Time
	ServicePrincipalType, AppOwnerOrganizationID string
	AccountEnabled                               bool
	PasswordCredentials, KeyCredentials          []entry
	FederatedIdentityCredentials                 []inventory.Federated
	KeyID                                        string
	SignInActivity                               struct{ LastSignInDateTime time.Time }
	Owners                                       []struct {
		Type                               string `json:"@odata.type"`
		ID, DisplayName, UserPrincipalName string
	}
}

// entry is a password or a key credential.
type entry struct {
	KeyID, DisplayName, Hint, CustomKeyIdentifier, Usage string
	StartDateTime, EndDateTime                           time.Time
}

// parts reads a page: what each of its items says of an application. It is written in the
// plainest way, against the text of the documentation, since the truth is compared with it.
func parts(t testing.TB, list inventory.List, page []byte) (all []inventory.Application) {
	t.Helper()
	var body struct{ Value []object }
	if err := json.Unmarshal(page, &body); err != nil {
		t.Fatal(err)
	}
	for _, o := range body.Value {
		if o.ServicePrincipalType == "ManagedIdentity" {
			continue
		}
		a := inventory.Application{Key: inventory.Key{ClientID: o.AppID}, Name: o.DisplayName, Federated: o.FederatedIdentityCredentials}
		switch list {
		case inventory.Applications, inventory.FederatedIDs:
			a.ObjectID, a.Audience, a.CreatedAt = o.ID, o.SignInAudience, o.CreatedDateTime
		case inventory.Principals:
			a.PrincipalID, a.HomeTenantID, a.Disabled = o.ID, o.AppOwnerOrganizationID, !o.AccountEnabled
		case inventory.Activity:
			a.Credentials = []inventory.Credential{{KeyID: o.KeyID, UsedAt: o.SignInActivity.LastSignInDateTime}}
		}
		for _, w := range o.Owners {
			kind := map[string]string{"#microsoft.graph.user": "user", "#microsoft.graph.servicePrincipal": "servicePrincipal"}[w.Type]
			a.Owners = append(a.Owners, inventory.Owner{ID: w.ID, Kind: kind, Name: w.DisplayName, PrincipalName: w.UserPrincipalName})
		}
		a.Credentials = append(a.Credentials, o.credentials()...)
		all = append(all, a)
	}
	return all
}

// credentials puts the three entries of a signing certificate together.
func (o object) credentials() (all []inventory.Credential) {
	signing := map[string]bool{}
	for _, k := range o.KeyCredentials {
		if k.Usage == "Sign" {
			signing[k.CustomKeyIdentifier] = true
			all = append(all, k.as(inventory.SAMLSigning))
		}
	}
	for _, k := range o.KeyCredentials {
		if !signing[k.CustomKeyIdentifier] {
			all = append(all, k.as(inventory.Certificate))
		}
	}
	for _, p := range o.PasswordCredentials {
		if !signing[p.CustomKeyIdentifier] {
			all = append(all, p.as(inventory.ClientSecret))
		}
	}
	return all
}

func (e entry) as(kind inventory.CredentialKind) inventory.Credential {
	return inventory.Credential{KeyID: e.KeyID, Kind: kind, Name: e.DisplayName, Hint: e.Hint, Thumbprint: e.CustomKeyIdentifier,
		StartsAt: e.StartDateTime, EndsAt: e.EndDateTime}
}
