// Package directory is an in-memory Microsoft Entra tenant directory that answers
// as Entra's token endpoint and as Microsoft Graph.
//
// It exists so that the real SDK clients can be tested, and the whole of Rekey be
// run, on one machine and without an account. Both services look at the same
// applications and client secrets: a secret that Graph issued is what the token
// endpoint accepts. It is simple, but strict: what the real services refuse is
// refused here with the same status, code and envelope, and what it does not know
// is an error and never a silent success.
//
// A [Directory] starts empty. Its Go methods see and change the ground truth at
// once; its HTTP side sees a change only when the replica that answers has heard of
// it ([Propagation]), since the real directory is eventually consistent (its token
// endpoint included). Writes may have a budget ([Quotas]).
//
// # A tenant to scan
//
// Registrations and service principals may have credentials that are listed and open
// nothing ([Credentials]), in any number; service principals may be of applications that
// are registered elsewhere ([Principal]). Package tenant fills a tenant with them. Graph
// lists what a scan asks for: applications with owners or with federated credentials, service
// principals with owners, and the last sign-in with each credential.
//
// # Signing in
//
// People ([User]) sign in at the authorize endpoint and consent for their tenant at
// the admin consent endpoint, as an application with [Settings.RedirectURIs] asks them
// to. Both show one page without a script. No person is ever signed in already. The
// element ids and form fields are made to be held on to by tests; [Person] fills them
// in without a browser:
//
//	page             body id        what it has
//	sign-in          sign-in        #application, #scopes; radio buttons "user" with the object id as
//	                                value and #user-<object id>, of which login_hint (a user principal
//	                                name) chooses one; checkbox "organization" (#organization, "true"),
//	                                which consents for the whole tenant; the buttons "decision":
//	                                #approve ("approve") and #decline ("decline")
//	admin consent    admin-consent  the same without the checkbox
//	no right to it   need-approval  a link back to the application, #return
//	error            error          #error with the AADSTS number and text
//
// The forms carry the request in hidden fields of the parameters' names, and anything
// else in them is refused. What is wrong with client_id or redirect_uri is shown to
// the person; everything after that is told to the application by a redirect.
//
// The emulator knows less than Entra: response_mode query, code challenges by S256
// and no others, the delegated permissions of Graph that this package has constants
// for, and no application permissions in consent.
//
// What is assumed and not verified against the real service is listed in
// docs/assumptions.md.
package directory

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"rekey/shared/emulator/fault"
)

// Config sets how a [Directory] behaves. The zero Config is a directory that is
// consistent at once and never fails.
type Config struct {
	// Now is the directory's clock; nil means time.Now. It decides about the
	// expiry of client secrets, tokens and assertions.
	Now func() time.Time
	// Propagation is how long the token endpoint and Graph's reads take to
	// notice a new or a removed client secret; with Replicas, the slowest of them.
	Propagation time.Duration
	// Replicas is how many there are that answer, see the type [Propagation]; 0
	// means one. Seed makes their delays and their turns repeatable.
	Replicas int
	Seed     uint64
	// Quotas limit the writes, and the reads of certificates; zero is without limit.
	// [DocumentedQuotas] are those of the real service.
	Quotas Quotas
	// TokenLifetime of access tokens; 0 means one hour.
	TokenLifetime time.Duration
	// OpaqueTokens makes access tokens strings without any structure, which
	// Entra reserves the right to issue.
	OpaqueTokens bool
	// MaxPasswords is how many client secrets fit into one application before
	// Graph answers Directory_ResourceSizeExceeded; 0 means 600. [Settings] may
	// say otherwise for one application.
	MaxPasswords int
	// Hook makes calls fail; nil never does. The operations are the Op
	// constants. An Effect's Code is a Graph error code, or an AADSTS number
	// with or without that prefix; if it is empty, one that is usual for the
	// status is used.
	Hook fault.Hook
	// Issued is told of every client secret, authorization code, access, refresh
	// and ID token that comes into being, so that a test can look for them where
	// they must not be. Nil: it is not called. It must not call the directory.
	Issued func(value string)
}

func (c Config) issued(value string) {
	if c.Issued != nil {
		c.Issued(value)
	}
}

func (c Config) now() time.Time {
	if c.Now == nil {
		return time.Now().UTC()
	}
	return c.Now().UTC()
}

func (c Config) tokenLifetime() time.Duration {
	if c.TokenLifetime == 0 {
		return time.Hour
	}
	return c.TokenLifetime
}

func (c Config) maxPasswords() int {
	if c.MaxPasswords == 0 {
		return 600
	}
	return c.MaxPasswords
}

// The operations that [Config.Hook] is asked about and [Directory.Calls] counts.
const (
	OpDiscovery             = "entra.discovery"
	OpToken                 = "entra.token"   // the client credentials grant
	OpRedeem                = "entra.redeem"  // the authorization code grant
	OpRefresh               = "entra.refresh" // the refresh token grant
	OpKeys                  = "entra.keys"
	OpAuthorize             = "entra.authorize" // the sign-in page
	OpDecide                = "entra.decide"    // its form
	OpAdminConsent          = "entra.adminConsent"
	OpDecideAdmin           = "entra.decideAdminConsent"
	OpGetApplication        = "graph.getApplication"
	OpListApplications      = "graph.listApplications"
	OpListFederated         = "graph.listFederated" // applications with their federated credentials
	OpListOwners            = "graph.listOwners"
	OpGetServicePrincipal   = "graph.getServicePrincipal"
	OpListServicePrincipals = "graph.listServicePrincipals"
	OpListSignInActivity    = "graph.listSignInActivity" // by credential
	OpGetDefaultPolicy      = "graph.getDefaultPolicy"
	OpListPolicies          = "graph.listPolicies" // that are assigned to an application
	OpAddPassword           = "graph.addPassword"
	OpRemovePassword        = "graph.removePassword"
	OpGetMe                 = "graph.getMe"
)

// Directory is the directory. Its methods may be called from many goroutines.
type Directory struct {
	config Config

	mu           sync.Mutex
	tenants      map[string]*tenant      // by lower-case id
	applications map[string]*application // by object id
	byClient     map[string]*application // by client id
	principals   map[string]*principal   // by object id
	tokens       map[[32]byte]grant      // by hash
	assertions   map[string]time.Time    // spent "client id/jti" until they expire
	calls        map[string]int
	replicas     replicas
	spent        map[spender][]time.Time // when
	writes       Writes
	keyReads     KeyReads

	users         map[string]*user // by object id
	consents      map[consentKey]map[string]bool
	codes         map[[32]byte]*authorizationCode // by hash
	refreshTokens map[[32]byte]*refreshToken      // by hash
	keys          []signingKey                    // the last one signs
}

// New returns an empty directory.
func New(c Config) *Directory {
	return &Directory{
		config:       c,
		tenants:      map[string]*tenant{},
		applications: map[string]*application{},
		byClient:     map[string]*application{},
		principals:   map[string]*principal{},
		tokens:       map[[32]byte]grant{},
		assertions:   map[string]time.Time{},
		calls:        map[string]int{},
		replicas:     newReplicas(Propagation{Max: c.Propagation, Replicas: c.Replicas, Seed: c.Seed}),
		spent:        map[spender][]time.Time{},

		users:         map[string]*user{},
		consents:      map[consentKey]map[string]bool{},
		codes:         map[[32]byte]*authorizationCode{},
		refreshTokens: map[[32]byte]*refreshToken{},
	}
}

// AddTenant makes a tenant known and returns its id, a new GUID.
func (d *Directory) AddTenant() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := newGUID()
	d.tenants[id] = &tenant{byClient: map[string]*principal{}}
	return id
}

// Passwords returns the client secrets that an application has by now, however
// little of that Graph shows yet; nil if there is no such application.
func (d *Directory) Passwords(objectID string) []Password {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.applications[objectID]
	if !ok {
		return nil
	}
	var list []Password
	for _, p := range app.passwords {
		if p.removed() {
			continue
		}
		list = append(list, Password{
			KeyID: p.keyID, DisplayName: p.displayName, Hint: p.hint(), StartsAt: p.startsAt, ExpiresAt: p.expiresAt,
		})
	}
	return list
}

// Authenticates reports whether secret is a client secret of the application by
// now, is neither removed nor expired, and would be accepted once every replica
// knows all that has happened.
func (d *Directory) Authenticates(clientID, secret string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	app := d.byClientID(clientID)
	return app != nil && app.accepts(secret, d.config.now())
}

// SecretOf returns the client id of the application that value is a client secret
// of, in the sense of [Directory.Authenticates].
func (d *Directory) SecretOf(value string) (clientID string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.config.now()
	for _, app := range d.applications {
		if app.accepts(value, now) {
			return app.clientID, true
		}
	}
	return "", false
}

// accepts reports whether value is one of a's client secrets by now.
func (a *application) accepts(value string, now time.Time) bool {
	return value != "" && slices.ContainsFunc(slices.Concat(a.passwords, a.principalPasswords()), func(p *password) bool {
		return !p.removed() && p.value == value && !p.expired(now)
	})
}

// Calls returns how many requests reached an operation, failed ones included.
func (d *Directory) Calls(op string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[op]
}

// serve counts a call and carries it out under the hook.
func (d *Directory) serve(op string, w http.ResponseWriter, r *http.Request, next http.HandlerFunc,
	fail func(http.ResponseWriter, int, string, string)) {
	d.mu.Lock()
	d.calls[op]++
	d.mu.Unlock()
	fault.Serve(d.config.Hook, op, w, r, next, fail)
}
