package inventory

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Key names an application in a tenant. Both ids are GUIDs in lower case.
type Key struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`
}

// guid is how ids of tenants and applications are written.
var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// ValidID reports whether a tenant or an application may have that id: a GUID in lower case.
func ValidID(id string) bool { return guid.MatchString(id) }

// Bounds of what is kept of one application, so that a row can always be written. What is
// beyond them is counted.
const (
	MaxCredentials = 1000
	MaxOwners      = 20  // of each holder: Graph expands no more
	MaxFederated   = 20  // Entra takes no more
	MaxText        = 256 // characters
)

// Application is what is kept of one client id in one tenant.
type Application struct {
	Key
	// ObjectID is that of the registration; empty where it is in another tenant, or where there
	// is only a service principal. PrincipalID is that of the service principal; empty: none.
	ObjectID    string `json:"objectId,omitempty"`
	PrincipalID string `json:"principalId,omitempty"`
	Name        string `json:"name"`
	// Audience is who may sign in to it, as Graph calls that: AzureADMyOrg, AzureADMultipleOrgs,
	// AzureADandPersonalMicrosoftAccount or PersonalMicrosoftAccount.
	Audience  string    `json:"audience,omitempty"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	// HomeTenantID is the tenant that has the registration, where a service principal says so.
	HomeTenantID string `json:"homeTenantId,omitempty"`
	// Disabled: the service principal may not sign in.
	Disabled bool `json:"disabled,omitempty"`
	// Owners are those of the registration and of the service principal, without repetition.
	Owners []Owner `json:"owners,omitempty"`
	// MoreOwners: Graph returned as many as it ever expands, so that there may be more. Conclude sets it.
	MoreOwners bool `json:"moreOwners,omitempty"`
	// Credentials are in the order of their ends, those that never end last.
	Credentials []Credential `json:"credentials,omitempty"`
	// MoreCredentials is how many were left out beyond MaxCredentials: the ones that end last.
	MoreCredentials int         `json:"moreCredentials,omitempty"`
	Federated       []Federated `json:"federated,omitempty"`
	// Unread are the lists that did not tell of this application because they were refused. What
	// stands here of those parts is what an earlier scan read, if one did.
	Unread []List `json:"unread,omitempty"`

	// FirstSeenAt and ChangedAt are the starts of the scans that found it first, and that found
	// it different. Sign-ins are no difference.
	FirstSeenAt time.Time `json:"firstSeenAt"`
	ChangedAt   time.Time `json:"changedAt"`
	// Noted are the findings worth a notice that the last scan found, without those that were
	// accepted: the next one tells of what is not among them.
	Noted []Noted `json:"noted,omitempty"`

	// What Merge notes for Conclude: the lists that it had, the sign-ins that they told, and so on.
	told                                []List
	used                                []use
	there                               there
	beyondRegistration, beyondPrincipal beyond
}

// Noted is a finding about the application, or about one of its credentials.
type Noted struct {
	Kind  FindingKind `json:"kind"`
	KeyID string      `json:"keyId,omitempty"`
}

// Owner may change the application. Graph leaves name and principal name out where the
// caller may not read the owner.
type Owner struct {
	ID            string `json:"id"`
	Kind          string `json:"kind,omitempty"` // user or servicePrincipal
	Name          string `json:"name,omitempty"`
	PrincipalName string `json:"principalName,omitempty"`
	// What it owns, one of them at least. Merge sets it.
	OfRegistration bool `json:"ofApplication,omitempty"`
	OfPrincipal    bool `json:"ofServicePrincipal,omitempty"`
}

// CredentialKind is what a credential is.
type CredentialKind string

// The kinds of credentials.
const (
	ClientSecret CredentialKind = "client-secret"
	Certificate  CredentialKind = "certificate"
	// SAMLSigning is a certificate that a service principal signs SAML tokens with. Graph shows
	// each as two key credentials and a password; here it is one.
	SAMLSigning CredentialKind = "saml-signing"
)

// Holder is the object that a credential is on.
type Holder string

// The holders.
const (
	Registration Holder = "application"
	Principal    Holder = "service-principal"
)

// Credential is a client secret or a certificate, without its value.
type Credential struct {
	KeyID  string         `json:"keyId"`
	Kind   CredentialKind `json:"kind"`
	Holder Holder         `json:"holder"`
	Name   string         `json:"name,omitempty"`
	// Hint is the first three characters of a client secret, as the portal shows them.
	Hint       string    `json:"hint,omitempty"`
	Thumbprint string    `json:"thumbprint,omitempty"` // of a certificate, as Graph has it
	StartsAt   time.Time `json:"startsAt,omitzero"`
	EndsAt     time.Time `json:"endsAt,omitzero"` // zero: it never ends
	// UsedAt is the last sign-in with it; zero: none is known. While it is in use there may have been
	// later ones, of less than seven days after.
	UsedAt time.Time `json:"usedAt,omitzero"`
}

// Federated is a federated identity credential: it has no secret, and does not end.
type Federated struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// EndsAt is when the application ends next: the first end of a credential after now; or
// else, if all of them have ended, the last end. Zero: nothing of it ends. Lists are in the
// order of it.
func (a *Application) EndsAt(now time.Time) time.Time {
	var next, last time.Time
	for _, c := range a.Credentials {
		switch {
		case c.EndsAt.IsZero():
		case c.EndsAt.After(now):
			if next.IsZero() || c.EndsAt.Before(next) {
				next = c.EndsAt
			}
		case c.EndsAt.After(last):
			last = c.EndsAt
		}
	}
	if next.IsZero() {
		return last
	}
	return next
}

// Since returns the application as its managers have made it since a scan that started at asOf, which its row does not
// show: without the client secrets that they have removed, and with those that they have published.
func Since(a Application, asOf time.Time, managers []Manager) Application {
	gone := func(c Credential) bool {
		return slices.ContainsFunc(managers, func(m Manager) bool { return m.Removed[c.KeyID].After(asOf) })
	}
	if slices.ContainsFunc(a.Credentials, gone) {
		a.Credentials = slices.DeleteFunc(slices.Clone(a.Credentials), gone)
	}
	for _, m := range managers {
		is := func(c Credential) bool { return strings.EqualFold(c.KeyID, m.Published.KeyID) }
		if m.Published.KeyID != "" && m.Published.StartsAt.After(asOf) && !slices.ContainsFunc(a.Credentials, is) && !gone(m.Published) {
			a.Credentials = append(slices.Clone(a.Credentials), m.Published)
			slices.SortStableFunc(a.Credentials, inOrderOfEnds)
		}
	}
	return a
}

// Storable returns the application as it can be stored: times that JSON cannot write are moved
// to where it can.
func (a Application) Storable() Application {
	for _, at := range []*time.Time{&a.CreatedAt, &a.FirstSeenAt, &a.ChangedAt} {
		*at = storable(*at)
	}
	cloned := false
	for i, c := range a.Credentials {
		s := c
		s.StartsAt, s.EndsAt, s.UsedAt = storable(c.StartsAt), storable(c.EndsAt), storable(c.UsedAt)
		if s == c {
			continue
		}
		if !cloned {
			a.Credentials, cloned = slices.Clone(a.Credentials), true
		}
		a.Credentials[i] = s
	}
	return a
}

// storable returns t within the years 1 to 9999, in UTC.
func storable(t time.Time) time.Time {
	switch year := t.UTC().Year(); {
	case year > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	case year < 1:
		return time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC) // the zero time means that it never ends
	}
	return t.UTC()
}
