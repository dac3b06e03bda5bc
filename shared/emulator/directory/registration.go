package directory

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The application permissions of Microsoft Graph that the directory knows.
const (
	RoleReadAll          = "Application.Read.All"
	RoleReadWriteAll     = "Application.ReadWrite.All"
	RoleReadWriteOwnedBy = "Application.ReadWrite.OwnedBy"
	RoleDirectoryReadAll = "Directory.Read.All"
	RoleUserReadAll      = "User.Read.All"
	RoleAuditLogReadAll  = "AuditLog.Read.All"
	RolePolicyReadAll    = "Policy.Read.All"
)

// The resources that the directory issues tokens for, as their audience. Graph is
// open to every application; the others to those that name them in
// [Settings.Resources], such as Rekey's own identity.
const (
	ResourceGraph    = "https://graph.microsoft.com"
	ResourceKeyVault = "https://vault.azure.net"
	ResourceStorage  = "https://storage.azure.com"
)

// Settings is what can be changed about an application, see [Directory.Change].
type Settings struct {
	DisplayName    string
	SignInAudience string   // empty means "AzureADMyOrg"
	Roles          []string // granted application permissions of Graph
	Owners         []string // object ids
	Policy         Policy   // the app management policy that applies
	Resources      []string // resources besides Graph that it gets tokens for
	Certificates   []*x509.Certificate
	TrustedIssuers []TrustedIssuer       // whose certificates do as well
	Federated      []FederatedCredential // who else may vouch for it
	RedirectURIs   []string              // where people may be sent back to, compared exactly
	Delegated      []string              // delegated permissions that /.default asks for
	AppRoles       map[string][]string   // its app roles that people have, by their object id: ID tokens say them
	MaxPasswords   int                   // how many client secrets fit in; 0 means as [Config] says
}

// Policy is an app management policy. It stops new client secrets only; those that
// exist keep working. The zero Policy allows everything.
type Policy struct {
	ID              string        // a GUID, named in errors
	ForbidPasswords bool          // restriction passwordAddition
	MaxLifetime     time.Duration // restriction passwordLifetime; 0 is unlimited
}

// Registration describes an application to be added. It gets a service principal
// in its own tenant.
type Registration struct {
	Settings
	TenantID string
	// ObjectID, ClientID and PrincipalID are drawn where they are empty.
	ObjectID, ClientID, PrincipalID string
	CreatedAt                       time.Time // zero means now
	// WithoutPrincipal: the registration stands alone, as one that a script made. It gets
	// no token.
	WithoutPrincipal bool
	Principal        PrincipalSettings
	// Credentials, if not nil, is what it has in place of a first client secret that works.
	Credentials          *Credentials
	PrincipalCredentials Credentials
	// OwnsItself makes its service principal one of its owners, which is how an
	// application rotates its own client secret.
	OwnsItself bool
	// SecretExpiresAt is the end of its first client secret; zero means in two
	// years, which is Graph's default.
	SecretExpiresAt time.Time
	// ServicePrincipalPasswords adds that many client secrets to the service
	// principal instead of the application.
	ServicePrincipalPasswords int
}

// Application is an application that was added, with its first client secret.
type Application struct {
	TenantID           string
	ClientID           string // Graph's appId
	ObjectID           string // of the application
	ServicePrincipalID string // object id of the service principal
	Secret             string
	KeyID              string
}

// Password is a client secret as the ground truth has it.
type Password struct {
	KeyID       string
	DisplayName string
	Hint        string
	StartsAt    time.Time
	ExpiresAt   time.Time
}

type application struct {
	Settings
	tenantID  string
	clientID  string
	objectID  string
	createdAt time.Time
	principal *principal // nil: it has none
	passwords []*password
	keys      []*key // those that are listed only; see also [Settings.Certificates]
	// certificatesUsed is when Certificates were last signed in with, by key id.
	certificatesUsed map[string]time.Time
}

func (a *application) id() string { return a.objectID }

// AddApplication registers an application. Its first client secret is known
// everywhere at once, as if it had been there for long.
func (d *Directory) AddApplication(r Registration) (Application, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tenants[r.TenantID] == nil {
		return Application{}, fmt.Errorf("adding an application: no tenant %q", r.TenantID)
	}
	now := d.config.now()
	app := &application{
		Settings: r.Settings, tenantID: r.TenantID, clientID: orNew(r.ClientID), objectID: orNew(r.ObjectID),
		createdAt: cmp.Or(inUTC(r.CreatedAt), now), certificatesUsed: map[string]time.Time{},
	}
	app.SignInAudience = cmp.Or(app.SignInAudience, "AzureADMyOrg")
	app.Owners = slices.Clone(r.Owners)
	added := Application{TenantID: app.tenantID, ClientID: app.clientID, ObjectID: app.objectID}
	if r.Credentials != nil {
		app.passwords, app.keys = r.Credentials.listed()
	} else {
		first := d.newPassword("", now, cmp.Or(r.SecretExpiresAt, now.AddDate(2, 0, 0)))
		app.passwords = append(app.passwords, first)
		added.Secret, added.KeyID = first.value, first.keyID
	}
	if !r.WithoutPrincipal {
		app.principal = d.newPrincipal(app, r)
		added.ServicePrincipalID = app.principal.objectID
		if r.OwnsItself {
			app.Owners = append(app.Owners, app.principal.objectID)
		}
	}
	if d.applications[app.objectID] != nil || d.byClient[app.clientID] != nil || d.principals[app.principalID()] != nil {
		return Application{}, fmt.Errorf("adding an application: %w", errTaken)
	}
	d.enlist(app)
	return added, nil
}

// newPrincipal is the service principal of an application in its own tenant.
func (d *Directory) newPrincipal(app *application, r Registration) *principal {
	p := &principal{
		PrincipalSettings: r.Principal, tenantID: app.tenantID, objectID: orNew(r.PrincipalID), clientID: app.clientID,
		kind: KindApplication, home: app.tenantID, application: app,
	}
	p.Owners = slices.Clone(r.Principal.Owners)
	p.passwords, p.keys = r.PrincipalCredentials.listed()
	now := d.config.now()
	for range r.ServicePrincipalPasswords {
		p.passwords = append(p.passwords, d.newPassword("", now, now.AddDate(2, 0, 0)))
	}
	return p
}

var errNoApplication = errors.New("no such application")

// Change applies change to the settings of an application, at once.
func (d *Directory) Change(objectID string, change func(*Settings)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.applications[objectID]
	if !ok {
		return errNoApplication
	}
	change(&app.Settings)
	return nil
}

// RemoveApplication deletes an application with its service principal, at once.
// Tokens that were issued to it are refused from then on.
func (d *Directory) RemoveApplication(objectID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.applications[objectID]
	if !ok {
		return errNoApplication
	}
	d.delist(app)
	return nil
}

// AddPassword issues a client secret as a person in the portal would. It bypasses
// policies and limits and is known everywhere at once.
func (d *Directory) AddPassword(objectID, displayName string, expires time.Time) (keyID, secret string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.applications[objectID]
	if !ok {
		return "", "", errNoApplication
	}
	p := d.newPassword(displayName, d.config.now(), expires)
	app.passwords = append(app.passwords, p)
	return p.keyID, p.value, nil
}

// AddTwin is [Directory.AddPassword] for a client secret that has the hint of the
// one with the key id of, so that the hint does not tell them apart.
func (d *Directory) AddTwin(objectID, of, displayName string, expires time.Time) (keyID, secret string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.applications[objectID]
	if !ok {
		return "", "", errNoApplication
	}
	i := slices.IndexFunc(app.passwords, func(p *password) bool { return p.keyID == of })
	if i < 0 {
		return "", "", fmt.Errorf("no client secret %q", of)
	}
	p := d.newPassword(displayName, d.config.now(), expires)
	p.value = app.passwords[i].hint() + p.value[3:]
	d.config.issued(p.value)
	app.passwords = append(app.passwords, p)
	return p.keyID, p.value, nil
}

// RemovePassword removes a client secret by hand: it stops working everywhere at
// once, whatever [Propagation] says.
func (d *Directory) RemovePassword(objectID, keyID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.applications[objectID]
	if !ok {
		return errNoApplication
	}
	i := slices.IndexFunc(app.passwords, func(p *password) bool { return p.keyID == keyID })
	if i < 0 {
		return fmt.Errorf("no client secret %q", keyID)
	}
	app.passwords = slices.Delete(app.passwords, i, i+1)
	return nil
}
