package graph_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/rotationtest/canary"
	"rekey/shared/serviceerror"
)

// page reads the first page of a list that has these items.
func page(t *testing.T, list inventory.List, items string) []inventory.Application {
	t.Helper()
	p, err := answering(t, `{"@odata.context":"c","value":[`+items+`]}`).Page(t.Context(), anyToken, list, "")
	if err != nil || p.Next != "" {
		t.Fatalf("%s: next %q, %v", list, p.Next, err)
	}
	return p.Applications
}

func same(t *testing.T, got, want []inventory.Application) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.MarshalIndent(got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("got %s\nwant %s", g, w)
	}
}

// guidOf makes GUIDs that can be told apart; in upper case, as some answers have them.
func guidOf(n int) string { return fmt.Sprintf("ABCDEF00-0000-4000-8000-%012d", n) }

func lowerOf(n int) string { return strings.ToLower(guidOf(n)) }

// Members may be null or missing, and enumerations may have values that are not known yet.
func TestInventoryApplications(t *testing.T) {
	got := page(t, inventory.Applications, `null, {}, {"id":"x","appId":"y"},
	{"appId":"`+guidOf(1)+`"}, {"id":"`+guidOf(1)+`","appId":null},
	{"id":"`+guidOf(1)+`","appId":"`+guidOf(2)+`","displayName":"Λ 日本 שלום","signInAudience":"AzureADMyOrg",
	 "createdDateTime":"2024-02-29T10:11:12.1234567Z","unknown":{"a":[1]},
	 "passwordCredentials":[null, {"displayName":"has no key id"},
	  {"keyId":"`+guidOf(5)+`","displayName":null,"hint":null,"customKeyIdentifier":null,"secretText":null,
	   "startDateTime":null,"endDateTime":null},
	  {"keyId":"`+guidOf(4)+`","displayName":"one","hint":"abc","secretText":"`+canary.Mark+`","startDateTime":"2025-01-01T00:00:00Z",
	   "endDateTime":"2027-01-01T01:00:00.0000001+01:00"},
	  {"keyId":"`+guidOf(3)+`","endDateTime":"2026-01-01T00:00:00Z"}],
	 "keyCredentials":[null, {"keyId":"`+guidOf(6)+`","displayName":"CN=x","type":"AsymmetricX509Cert","usage":"Verify",
	   "key":"`+canary.Mark+`","customKeyIdentifier":"52ED9B5038A47B9E2E2190715CC238359D4F8F7","endDateTime":"2025-06-01T00:00:00Z"},
	  {"keyId":"`+guidOf(7)+`","type":"Quantum","usage":"Entangle","endDateTime":"2028-01-01T00:00:00Z"}],
	 "owners":[null, {"@odata.type":"#microsoft.graph.user","id":"`+guidOf(8)+`","displayName":"Ann","userPrincipalName":"ann@example.com"},
	  {"@odata.type":"#microsoft.graph.servicePrincipal","id":"`+guidOf(9)+`","displayName":null},
	  {"@odata.type":"#microsoft.graph.robot","id":"`+guidOf(10)+`"}, {"@odata.type":"#microsoft.graph.user"}]},
	{"id":"`+guidOf(11)+`","appId":"`+guidOf(12)+`","displayName":null,"passwordCredentials":null,"keyCredentials":null,"owners":null}`)
	at := func(year int, month time.Month) time.Time { return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC) }
	same(t, got, []inventory.Application{
		{
			Key: inventory.Key{ClientID: lowerOf(2)}, ObjectID: lowerOf(1), Name: "Λ 日本 שלום", Audience: "AzureADMyOrg",
			CreatedAt: time.Date(2024, 2, 29, 10, 11, 12, 123456700, time.UTC),
			Owners: []inventory.Owner{
				{ID: lowerOf(8), Kind: "user", Name: "Ann", PrincipalName: "ann@example.com"},
				{ID: lowerOf(9), Kind: "servicePrincipal"},
				{ID: lowerOf(10)},
			},
			Credentials: []inventory.Credential{
				{KeyID: lowerOf(6), Kind: inventory.Certificate, Holder: inventory.Registration, Name: "CN=x",
					Thumbprint: "52ED9B5038A47B9E2E2190715CC238359D4F8F7", EndsAt: at(2025, 6)},
				{KeyID: lowerOf(3), Kind: inventory.ClientSecret, Holder: inventory.Registration, EndsAt: at(2026, 1)},
				{KeyID: lowerOf(4), Kind: inventory.ClientSecret, Holder: inventory.Registration, Name: "one", Hint: "abc",
					StartsAt: at(2025, 1), EndsAt: at(2027, 1).Add(100)},
				{KeyID: lowerOf(7), Kind: inventory.Certificate, Holder: inventory.Registration, EndsAt: at(2028, 1)},
				{KeyID: lowerOf(5), Kind: inventory.ClientSecret, Holder: inventory.Registration},
			},
		},
		{Key: inventory.Key{ClientID: lowerOf(12)}, ObjectID: lowerOf(11)},
	})
}

// A certificate that signs SAML tokens is one credential, whichever of its three parts are
// there. Managed identities are left out.
func TestInventoryPrincipals(t *testing.T) {
	key := func(n int, usage, identifier string) string {
		return fmt.Sprintf(`{"keyId":%q,"usage":%q,"customKeyIdentifier":%s,"displayName":"k","endDateTime":"2030-01-01T00:00:00Z","key":%q}`,
			guidOf(n), usage, identifier, canary.Mark)
	}
	got := page(t, inventory.Principals, `
	{"id":"`+guidOf(1)+`","appId":"`+guidOf(2)+`","servicePrincipalType":"ManagedIdentity","keyCredentials":[`+key(3, "Verify", "null")+`]},
	{"id":"`+guidOf(10)+`","appId":"`+guidOf(11)+`","displayName":"saml","servicePrincipalType":"Application","accountEnabled":true,
	 "appOwnerOrganizationId":"`+guidOf(90)+`",
	 "keyCredentials":[`+key(20, "Verify", `"AA=="`)+`,`+key(21, "Sign", `"AA=="`)+`,`+key(22, "Sign", `"BB=="`)+
		`,`+key(23, "Verify", `"CC=="`)+`,`+key(26, "Encrypt", `"AA=="`)+`,`+key(25, "Verify", "null")+`,`+key(24, "Sign", "null")+`],
	 "passwordCredentials":[`+key(21, "", `"AA=="`)+`,`+key(27, "", `"BB=="`)+`,`+key(28, "", `"CC=="`)+`,`+key(29, "", "null")+`]},
	{"id":"`+guidOf(30)+`","appId":"`+guidOf(31)+`","servicePrincipalType":"Novelty","accountEnabled":false,"appOwnerOrganizationId":null},
	{"id":"`+guidOf(40)+`","appId":"`+guidOf(41)+`","accountEnabled":null}`)
	one := func(n int, kind inventory.CredentialKind, thumbprint string) inventory.Credential {
		return inventory.Credential{KeyID: lowerOf(n), Kind: kind, Holder: inventory.Principal, Name: "k", Thumbprint: thumbprint,
			EndsAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	same(t, got, []inventory.Application{
		{
			Key: inventory.Key{ClientID: lowerOf(11)}, PrincipalID: lowerOf(10), Name: "saml", HomeTenantID: lowerOf(90),
			Credentials: []inventory.Credential{
				one(21, inventory.SAMLSigning, "AA=="), one(22, inventory.SAMLSigning, "BB=="), one(23, inventory.Certificate, "CC=="),
				one(24, inventory.SAMLSigning, ""), one(25, inventory.Certificate, ""), one(26, inventory.Certificate, "AA=="),
				one(28, inventory.ClientSecret, ""), one(29, inventory.ClientSecret, ""),
			},
		},
		{Key: inventory.Key{ClientID: lowerOf(31)}, PrincipalID: lowerOf(30), Disabled: true},
		{Key: inventory.Key{ClientID: lowerOf(41)}, PrincipalID: lowerOf(40)},
	})
}

func TestInventoryFederated(t *testing.T) {
	got := page(t, inventory.FederatedIDs, `
	{"id":"`+guidOf(1)+`","appId":"`+guidOf(2)+`","federatedIdentityCredentials":[]},
	{"id":"`+guidOf(3)+`","appId":"`+guidOf(4)+`"},
	{"id":"`+guidOf(5)+`","appId":"`+guidOf(6)+`","federatedIdentityCredentials":[null, {"name":"nameless"},
	 {"id":"`+guidOf(7)+`","name":"ci","issuer":"https://example.com","subject":"repo:x","audiences":["api://AzureADTokenExchange"]},
	 {"id":"`+guidOf(8)+`","name":null,"issuer":null,"subject":null}]}`)
	same(t, got, []inventory.Application{{
		Key: inventory.Key{ClientID: lowerOf(6)}, ObjectID: lowerOf(5),
		Federated: []inventory.Federated{
			{ID: lowerOf(7), Name: "ci", Issuer: "https://example.com", Subject: "repo:x"}, {ID: lowerOf(8)},
		},
	}})
}

func TestInventoryActivity(t *testing.T) {
	item := func(app, key, activity string) string {
		return `{"id":"bm90IGEgZ3VpZA","keyType":"clientSecret","keyUsage":"unknownFutureValue","appId":"` + app + `","keyId":"` + key +
			`","signInActivity":` + activity + `}`
	}
	const at = `{"lastSignInDateTime":"2026-11-01T10:00:00.1Z","lastSignInRequestId":"r"}`
	got := page(t, inventory.Activity, "null,"+strings.Join([]string{
		item(guidOf(1), guidOf(3), at), item(guidOf(2), guidOf(4), at), item(guidOf(1), guidOf(5), at),
		item(guidOf(1), guidOf(6), "null"), item(guidOf(1), guidOf(7), `{"lastSignInDateTime":null}`),
		item("x", guidOf(8), at), item(guidOf(9), "x", at),
	}, ","))
	used := func(n int) inventory.Credential {
		return inventory.Credential{KeyID: lowerOf(n), UsedAt: time.Date(2026, 11, 1, 10, 0, 0, 1e8, time.UTC)}
	}
	same(t, got, []inventory.Application{
		{Key: inventory.Key{ClientID: lowerOf(1)}, Credentials: []inventory.Credential{used(3), used(5)}},
		{Key: inventory.Key{ClientID: lowerOf(2)}, Credentials: []inventory.Credential{used(4)}},
	})
}

// What is kept of one application has a bound.
func TestInventoryBounds(t *testing.T) {
	long := strings.Repeat("日", inventory.MaxText)
	var passwords, owners, trusts []string
	for i := range inventory.MaxCredentials + 3 {
		end := fmt.Sprintf(`"%d-01-01T00:00:00Z"`, 9999-i)
		if i == 0 {
			end = "null"
		}
		passwords = append(passwords, `{"keyId":"`+guidOf(i)+`","displayName":"`+long+`日","hint":"`+long+`日","endDateTime":`+end+`}`)
	}
	for i := range inventory.MaxOwners + 1 {
		owners = append(owners, `{"id":"`+guidOf(i)+`","displayName":"`+long+`日","userPrincipalName":"`+long+`日"}`)
		trusts = append(trusts, `{"id":"`+guidOf(i)+`","name":"`+long+`日","issuer":"`+long+`日","subject":"`+long+`日"}`)
	}
	list := func(name string, items []string) string { return `"` + name + `":[` + strings.Join(items, ",") + `]` }
	app := func(members ...string) string {
		return `{"id":"` + guidOf(1) + `","appId":"` + guidOf(2) + `","displayName":"` + long + `日","signInAudience":"` + long + `日",` +
			strings.Join(members, ",") + "}"
	}
	got := page(t, inventory.Applications, app(list("passwordCredentials", passwords), list("owners", owners))+","+
		app(list("owners", owners[:inventory.MaxOwners]))+","+app(list("owners", owners[:inventory.MaxOwners-1])))
	a := got[0]
	if len(a.Credentials) != inventory.MaxCredentials || a.MoreCredentials != 3 {
		t.Fatalf("%d credentials and %d more", len(a.Credentials), a.MoreCredentials)
	}
	first, last := a.Credentials[0], a.Credentials[inventory.MaxCredentials-1]
	if first.EndsAt.Year() != 9999-inventory.MaxCredentials-2 || last.EndsAt.Year() != 9996 {
		t.Errorf("the credentials end from %v to %v: those that end last have to go", first.EndsAt, last.EndsAt)
	}
	if a.Name != long || a.Audience != long || first.Name != long || first.Hint != long || a.Owners[0].Name != long ||
		a.Owners[0].PrincipalName != long {
		t.Error("a text is not cut where it should be")
	}
	for i, want := range []struct {
		owners int
		more   bool
	}{{inventory.MaxOwners, true}, {inventory.MaxOwners, true}, {inventory.MaxOwners - 1, false}} {
		if len(got[i].Owners) != want.owners || got[i].MoreOwners != want.more {
			t.Errorf("%d: %d owners, more %t", i, len(got[i].Owners), got[i].MoreOwners)
		}
	}
	f := page(t, inventory.FederatedIDs, app(list("federatedIdentityCredentials", trusts)))[0].Federated
	if len(f) != inventory.MaxFederated || f[0].Name != long || f[0].Issuer != long || f[0].Subject != long {
		t.Errorf("%d federated credentials, the first %+v", len(f), f[0])
	}
}

// No value of a credential gets out of the adapter, wherever Graph would put one.
func TestInventoryHasNoValues(t *testing.T) {
	values := `"secretText":"` + canary.Mark + `","key":"` + canary.Mark + `","proof":{"secretText":"` + canary.Mark + `"}`
	credentials := `[{"keyId":"` + guidOf(3) + `","displayName":"n",` + values + `}]`
	item := `{"id":"` + guidOf(1) + `","appId":"` + guidOf(2) + `","keyId":"` + guidOf(3) + `",` + values + `,
	 "signInActivity":{"lastSignInDateTime":"2026-11-01T10:00:00Z",` + values + `},
	 "passwordCredentials":` + credentials + `,"keyCredentials":` + credentials + `,
	 "federatedIdentityCredentials":[{"id":"` + guidOf(4) + `",` + values + `}],
	 "owners":[{"id":"` + guidOf(5) + `","passwordProfile":{` + values + `}}]}`
	for _, list := range inventory.Lists {
		got := page(t, list, item)
		kept, err := json.Marshal(got)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %d applications, %v", list, len(got), err)
		}
		if canary.Quoted(string(kept)) || canary.Quoted(fmt.Sprintf("%+v", got)) {
			t.Errorf("%s shows a value: %s", list, kept)
		}
	}
}

// What is no page of Graph's is no page: an empty list would say that all applications are
// gone. Nothing of it is quoted.
func TestInventoryNoPage(t *testing.T) {
	whole := `{"value":[{"id":"` + guidOf(1) + `","appId":"` + guidOf(2) + `","displayName":"` + canary.Mark + `"}]}`
	for name, body := range map[string]string{
		"HTML": "<html>" + canary.Mark + "</html>", "empty": "", "truncated": whole[:len(whole)-2],
		"no value": `{"error":{"code":"` + canary.Mark + `"}}`, "null": "null", "value is null": `{"value":null}`,
		"value is no list": `{"value":{"a":"` + canary.Mark + `"}}`,
		"two documents":    whole + whole, "a number as name": `{"value":[{"displayName":7}]}`,
		"no date": `{"value":[{"createdDateTime":"` + canary.Mark + `"}]}`,
	} {
		for _, list := range inventory.Lists {
			got, err := answering(t, body).Page(t.Context(), anyToken, list, "")
			if err == nil || serviceerror.ClassOf(err) != serviceerror.Transient || got.Applications != nil || got.Next != "" {
				t.Errorf("%s, %s: %+v, %v", name, list, got, err)
			}
			if canary.Quoted(fmt.Sprintf("%v %+v %#v", err, err, err)) {
				t.Errorf("%s, %s: the error quotes the answer: %v", name, list, err)
			}
		}
	}
}
