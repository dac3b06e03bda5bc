package graph

import (
	"context"
	"net/url"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"rekey/shared/rotation"
)

var _ scan.Directory = (*Directory)(nil)

// listing is how Graph is asked for a list of the inventory.
type listing struct {
	op    string
	path  string // from the version on
	query string // of the first page, as it is sent
	apps  func([]object) []inventory.Application
}

// owners says what is read of an application's owners. Graph expands one relation in a request
// at most, and no more than [inventory.MaxOwners] of them.
const owners = "&$expand=owners($select=id,displayName,userPrincipalName)"

// listings has what is sent for each list. A list has keyCredentials only where they are asked for by name,
// and then without the bytes of the keys; reading them is limited to 150 requests a minute and tenant.
// Source: learn.microsoft.com/graph/api/application-list, serviceprincipal-list and
// reportroot-list-appcredentialsigninactivities (beta, global cloud only).
var listings = map[inventory.List]listing{
	inventory.Applications: {
		"listing the app registrations", "/v1.0/applications",
		"$select=id,appId,displayName,signInAudience,createdDateTime,passwordCredentials,keyCredentials" + owners + "&$top=200",
		registrations,
	},
	inventory.FederatedIDs: {
		"listing the federated credentials", "/v1.0/applications",
		"$select=id,appId&$expand=federatedIdentityCredentials&$top=200",
		federated,
	},
	inventory.Principals: {
		"listing the service principals", "/v1.0/servicePrincipals",
		"$select=id,appId,displayName,servicePrincipalType,accountEnabled,appOwnerOrganizationId,passwordCredentials,keyCredentials" +
			owners + "&$top=200",
		principals,
	},
	inventory.Activity: {
		"listing the sign-in activity", "/beta/reports/appCredentialSignInActivities", "$top=200", activity,
	},
}

// Page reads a page of a list; see [scan.Directory]. What has no client id can't be named, and is
// left out, as are managed identities, whose credentials the platform rotates. A page holds no
// application of which the list has nothing to tell: no federated credential, no sign-in. Service principals
// of other tenants' applications are all there, since a token does not say reliably whose tenant
// this is: [inventory.Application.Kept] sorts them out.
func (d *Directory) Page(ctx context.Context, token rotation.Token, list inventory.List, cursor string) (inventory.Page, error) {
	l, ok := listings[list]
	if !ok {
		return inventory.Page{}, &serviceerror.Error{Op: "listing", Class: serviceerror.Invalid, Detail: "there is no such list"}
	}
	c := &call{op: l.op}
	query := l.query
	if cursor != "" {
		if query, ok = l.following(cursor); !ok {
			return inventory.Page{}, &serviceerror.Error{Op: c.op, Class: serviceerror.Invalid, Detail: "the cursor is not one of this list"}
		}
	}
	body, err := d.get(ctx, c, token, d.root+l.path+"?"+query)
	if err != nil {
		return inventory.Page{}, err
	}
	page, err := l.page(body, d.host)
	if err != nil {
		return inventory.Page{}, c.failure(err)
	}
	return page, nil
}

// get returns the body of a success.
func (d *Directory) get(ctx context.Context, c *call, token rotation.Token, address string) ([]byte, error) {
	adapter, err := d.open(c, token)
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(address)
	if err != nil {
		return nil, c.failure(err)
	}
	request := abstractions.NewRequestInformation()
	request.Method = abstractions.GET
	request.SetUri(*to)
	request.Headers.TryAdd("Accept", "application/json")
	answer, err := adapter.SendPrimitive(c.into(ctx), request, "[]byte", nil)
	if err != nil {
		return nil, c.failure(err)
	}
	body, _ := answer.([]byte)
	return body, nil
}

// Exists looks for the registration and the service principal of a client id; see [scan.Directory].
func (d *Directory) Exists(ctx context.Context, token rotation.Token, clientID string) (registration, principal bool, err error) {
	c := &call{op: "looking for the application"}
	adapter, err := d.begin(c, token, clientID)
	if err != nil {
		return false, false, err
	}
	id := []string{"id"}
	app, err := byClientID[models.Applicationable](c.into(ctx), adapter, "applications", clientID, id,
		models.CreateApplicationFromDiscriminatorValue)
	if registration, err = c.found(app, err); err != nil {
		return false, false, err
	}
	sp, err := byClientID[models.ServicePrincipalable](c.into(ctx), adapter, "servicePrincipals", clientID, id,
		models.CreateServicePrincipalFromDiscriminatorValue)
	if principal, err = c.found(sp, err); err != nil {
		return false, false, err
	}
	return registration, principal, nil
}

// found says whether a read found its object. Only Graph's own 404 says that there is none.
func (c *call) found(o interface{ GetId() *string }, err error) (bool, error) {
	if err != nil {
		e := c.failure(err)
		if serviceerror.ClassOf(e) == serviceerror.ApplicationMissing {
			return false, nil
		}
		return false, e
	}
	if o == nil || text(o.GetId()) == "" {
		return false, c.incomplete()
	}
	return true, nil
}

// LongestSecret reads how long a client secret may live by the tenant's default policy, in an
// application that is made now: most policies leave older ones alone. See [scan.Directory].
func (d *Directory) LongestSecret(ctx context.Context, token rotation.Token) (time.Duration, error) {
	c := &call{op: "reading the default app management policy"}
	adapter, err := d.open(c, token)
	if err != nil {
		return 0, err
	}
	list, err := tenantRestrictions(c.into(ctx), adapter)
	if err != nil {
		return 0, c.failure(err)
	}
	_, longest := strictest(list, d.clock())
	return longest, nil
}
