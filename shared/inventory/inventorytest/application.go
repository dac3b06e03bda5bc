package inventorytest

import (
	"fmt"
	"time"

	"rekey/shared/inventory"
)

// LargeApplication is one with so many credentials, and as much text in each member as there may
// be, which hardly compresses. Another seed makes another text.
func LargeApplication(key inventory.Key, at time.Time, credentials, seed int) inventory.Application {
	long := func(i int) string { return Scripts(inventory.MaxText, seed*1_000_003+i) }
	app := inventory.Application{
		Key: key, ObjectID: NewID(), PrincipalID: NewID(), Name: long(0), Audience: "AzureADandPersonalMicrosoftAccount",
		CreatedAt: at, HomeTenantID: NewID(), Disabled: true, MoreOwners: true, MoreCredentials: 7, Unread: inventory.Lists,
		FirstSeenAt: at.Add(-time.Hour), ChangedAt: at,
	}
	for i := range inventory.MaxOwners {
		app.Owners = append(app.Owners, inventory.Owner{ID: NewID(), Kind: "user", Name: long(1 + i), PrincipalName: long(100 + i)})
	}
	for i := range inventory.MaxFederated {
		app.Federated = append(app.Federated, inventory.Federated{
			ID: NewID(), Name: long(200 + i), Issuer: long(300 + i), Subject: long(400 + i)})
	}
	for i := range credentials {
		app.Credentials = append(app.Credentials, inventory.Credential{
			KeyID: NewID(), Kind: inventory.Certificate, Holder: inventory.Principal, Name: long(1000 + i), Hint: "abc",
			Thumbprint: fmt.Sprintf("%s%s", NewID(), NewID()), StartsAt: at.Add(-time.Hour),
			EndsAt: at.Add(time.Duration(i) * time.Hour), UsedAt: at.Add(time.Duration(i) * time.Second),
		})
		for _, kind := range []inventory.FindingKind{inventory.EndsIn7Days, inventory.Orphan} {
			app.Noted = append(app.Noted, inventory.Noted{Kind: kind, KeyID: app.Credentials[i].KeyID})
		}
	}
	return app
}
