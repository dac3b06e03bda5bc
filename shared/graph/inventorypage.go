package graph

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/inventory"
)

// object is what is read of one item of a list: an application, a service principal, or an
// item of the report. What Graph leaves out, or has as null, is the zero value. There is no member for
// secretText and key, so that they are passed over.
type object struct {
	ID          string    `json:"id"`
	AppID       string    `json:"appId"`
	DisplayName string    `json:"displayName"`
	Audience    string    `json:"signInAudience"`
	CreatedAt   time.Time `json:"createdDateTime"`

	Passwords []credential `json:"passwordCredentials"`
	Keys      []credential `json:"keyCredentials"`
	Owners    []owner      `json:"owners"`
	Federated []trust      `json:"federatedIdentityCredentials"`

	// Of a service principal.
	Type    string `json:"servicePrincipalType"`
	Enabled *bool  `json:"accountEnabled"`
	Home    string `json:"appOwnerOrganizationId"`

	// Of the report.
	KeyID    string `json:"keyId"`
	Activity struct {
		At time.Time `json:"lastSignInDateTime"`
	} `json:"signInActivity"`
}

// credential is a passwordCredential or a keyCredential.
type credential struct {
	KeyID       string    `json:"keyId"`
	DisplayName string    `json:"displayName"`
	Hint        string    `json:"hint"`
	Identifier  string    `json:"customKeyIdentifier"`
	Usage       string    `json:"usage"`
	Start       time.Time `json:"startDateTime"`
	End         time.Time `json:"endDateTime"`
}

type owner struct {
	Type          string `json:"@odata.type"`
	ID            string `json:"id"`
	DisplayName   string `json:"displayName"`
	PrincipalName string `json:"userPrincipalName"`
}

type trust struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// page reads an answer. It is decoded here, not by the SDK: neither the value of a client secret
// nor the bytes of a key are read out of it, a certificate's identifier that is no base64 does not make it
// unreadable, it takes a fraction of the memory, and the report has no model in v1.0.
func (l listing) page(answer []byte, host string) (inventory.Page, error) {
	var in struct {
		Value []object `json:"value"`
		Next  string   `json:"@odata.nextLink"`
	}
	if err := json.Unmarshal(answer, &in); err != nil {
		return inventory.Page{}, err
	}
	if in.Value == nil { // an empty list would say that all applications are gone
		return inventory.Page{}, errors.New("no list")
	}
	next, ok := l.cursor(in.Next, host)
	if !ok {
		return inventory.Page{}, errForeignHost
	}
	return inventory.Page{Applications: l.apps(in.Value), Next: next}, nil
}

// each makes applications of what a list has; make says whether it tells of one.
func each(list []object, make func(object, *inventory.Application) bool) (apps []inventory.Application) {
	for _, o := range list {
		a := inventory.Application{Key: inventory.Key{ClientID: id(o.AppID)}}
		if a.ClientID != "" && id(o.ID) != "" && make(o, &a) {
			apps = append(apps, a)
		}
	}
	return apps
}

func registrations(list []object) []inventory.Application {
	return each(list, func(o object, a *inventory.Application) bool {
		a.ObjectID, a.Audience, a.CreatedAt = id(o.ID), short(o.Audience), instant(o.CreatedAt)
		o.common(a, inventory.Registration)
		return true
	})
}

func principals(list []object) []inventory.Application {
	return each(list, func(o object, a *inventory.Application) bool {
		a.PrincipalID, a.HomeTenantID = id(o.ID), id(o.Home)
		a.Disabled = o.Enabled != nil && !*o.Enabled
		o.common(a, inventory.Principal)
		return o.Type != "ManagedIdentity"
	})
}

// common sets what registrations and service principals have in common.
func (o *object) common(a *inventory.Application, holder inventory.Holder) {
	a.Name = short(o.DisplayName)
	a.Credentials, a.MoreCredentials = bounded(credentials(o, holder))
	for _, w := range o.Owners {
		if id(w.ID) != "" && len(a.Owners) < inventory.MaxOwners {
			a.Owners = append(a.Owners, inventory.Owner{
				ID: id(w.ID), Kind: kinds[w.Type], Name: short(w.DisplayName), PrincipalName: short(w.PrincipalName),
			})
		}
	}
	a.MoreOwners = len(o.Owners) >= inventory.MaxOwners
}

var kinds = map[string]string{"#microsoft.graph.user": "user", "#microsoft.graph.servicePrincipal": "servicePrincipal"}

// credentials are those of o with a key id, without which there is no way to name one. A
// certificate that signs tokens is a key with usage Sign; the key with usage Verify and the password of
// the same identifier belong to it.
// Source: learn.microsoft.com/graph/application-saml-sso-configure-api.
func credentials(o *object, holder inventory.Holder) (all []inventory.Credential) {
	signing := make(map[string]bool)
	for _, k := range o.Keys {
		if k.Usage == "Sign" && id(k.KeyID) != "" && k.Identifier != "" {
			signing[k.Identifier] = true
		}
	}
	for _, k := range o.Keys {
		kind := inventory.Certificate
		if k.Usage == "Sign" {
			kind = inventory.SAMLSigning
		}
		if id(k.KeyID) != "" && (k.Usage != "Verify" || !signing[k.Identifier]) {
			c := k.as(kind, holder)
			c.Thumbprint = short(k.Identifier)
			all = append(all, c)
		}
	}
	for _, p := range o.Passwords {
		if id(p.KeyID) != "" && !signing[p.Identifier] {
			c := p.as(inventory.ClientSecret, holder)
			c.Hint = short(p.Hint)
			all = append(all, c)
		}
	}
	return all
}

func (c *credential) as(kind inventory.CredentialKind, holder inventory.Holder) inventory.Credential {
	return inventory.Credential{
		KeyID: id(c.KeyID), Kind: kind, Holder: holder, Name: short(c.DisplayName), StartsAt: instant(c.Start), EndsAt: instant(c.End),
	}
}

// bounded puts credentials in the order of their ends, those that never end last, and counts
// what is beyond [inventory.MaxCredentials].
func bounded(all []inventory.Credential) (kept []inventory.Credential, more int) {
	slices.SortFunc(all, func(a, b inventory.Credential) int {
		never := func(c inventory.Credential) int {
			if c.EndsAt.IsZero() {
				return 1
			}
			return 0
		}
		return cmp.Or(never(a)-never(b), a.EndsAt.Compare(b.EndsAt), cmp.Compare(a.KeyID, b.KeyID))
	})
	n := min(len(all), inventory.MaxCredentials)
	return slices.Clone(all[:n]), len(all) - n
}

func federated(list []object) []inventory.Application {
	return each(list, func(o object, a *inventory.Application) bool {
		a.ObjectID = id(o.ID)
		for _, f := range o.Federated {
			if id(f.ID) != "" && len(a.Federated) < inventory.MaxFederated {
				a.Federated = append(a.Federated, inventory.Federated{
					ID: id(f.ID), Name: short(f.Name), Issuer: short(f.Issuer), Subject: short(f.Subject),
				})
			}
		}
		return len(a.Federated) > 0
	})
}

// activity puts the items of a page together that are about one application. It may have
// others on other pages.
func activity(list []object) (apps []inventory.Application) {
	at := make(map[string]int)
	for _, o := range list {
		client, key, used := id(o.AppID), id(o.KeyID), instant(o.Activity.At)
		if client == "" || key == "" || used.IsZero() {
			continue
		}
		i, ok := at[client]
		if !ok {
			i = len(apps)
			at[client] = i
			apps = append(apps, inventory.Application{Key: inventory.Key{ClientID: client}})
		}
		apps[i].Credentials = append(apps[i].Credentials, inventory.Credential{KeyID: key, UsedAt: used})
	}
	for i := range apps {
		apps[i].Credentials, _ = bounded(apps[i].Credentials)
	}
	return apps
}

// id is a GUID in lower case; empty if s is none.
func id(s string) string {
	if !guid.MatchString(s) {
		return ""
	}
	return strings.ToLower(s)
}

// short is a text cut to [inventory.MaxText] characters.
func short(s string) string {
	n := 0
	for i := range s {
		if n == inventory.MaxText {
			return strings.Clone(s[:i])
		}
		n++
	}
	return s
}

// instant is t in UTC; zero if that has no year of four digits, which no row could hold.
func instant(t time.Time) time.Time {
	if u := t.UTC(); u.Year() >= 1 && u.Year() <= 9999 {
		return u
	}
	return time.Time{}
}
