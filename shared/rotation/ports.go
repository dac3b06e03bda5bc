package rotation

import (
	"context"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// Store keeps records. It is strongly consistent: a Load after a Commit that
// returned shows it, from every process.
//
// There is no blind write. Every method that writes is conditional on what the
// record's Handle says was read, and answers [ErrConflict] if the row is another
// one now. After any other error of a write its outcome is unknown; the caller
// reads again and looks for its commit id (rule R8).
type Store interface {
	// Load returns the record and its Handle; [ErrNotFound] if there is none,
	// [ErrNewerSchema] if a newer Rekey wrote it.
	Load(ctx context.Context, id string) (Record, error)
	// Commit writes rec and one history row for events (none if there are no
	// events), and moves the due row to rec.WakeAt (away, if that is zero), all
	// in one transaction. It returns rec with the Handle for the next write.
	Commit(ctx context.Context, rec Record, events ...Event) (Record, error)
	// Remove deletes the record and its due row and writes a last history row,
	// in one transaction. History stays.
	Remove(ctx context.Context, rec Record, events ...Event) error
	// Release gives a reservation up if it is held by res.Owner; one that is
	// held by nobody or by somebody else is left alone without an error.
	Release(ctx context.Context, res Reservation) error
	// Due returns what has to be woken at or before until, the oldest first,
	// at most limit entries. Its cost depends on what is due only (promise P6).
	// With an error it may return a part.
	Due(ctx context.Context, until time.Time, limit int) ([]Due, error)
}

// Pruner takes old history away.
type Pruner interface {
	// Prune deletes what is older than before of a connection's history, and
	// returns how many rows that were.
	Prune(ctx context.Context, id string, before time.Time) (int, error)
}

// Due is one entry of the wake-up index. Wake is in UTC and whole seconds.
type Due struct {
	ID   string
	Wake time.Time
}

// Handle is what a store has to remember about a record that it returned: the
// condition of the next write. It is opaque to everybody else, and never encoded.
type Handle struct {
	ETag string
	Wake time.Time // the due row as it is stored
}

// ReservationKind says what a reservation keeps unique.
type ReservationKind string

// The kinds of reservations. Value is what must be unique: for a name the project
// and the name, for a vault secret its lower-case name, for an application its
// tenant and client id.
const (
	ReserveName        ReservationKind = "name"
	ReserveVault       ReservationKind = "vault"
	ReserveApplication ReservationKind = "app"

	// These two are no claims: any number of owners has the same value. They
	// are there to find the owners by it. For an actor it is the tenant and
	// client id of the application that the owner authenticates as; for a target
	// the id of the connection that authenticates for the owner.
	NoteActor  ReservationKind = "act"
	NoteTarget ReservationKind = "via"
)

// Shared reports whether a value of that kind may have many owners.
func (k ReservationKind) Shared() bool { return k == NoteActor || k == NoteTarget }

// Reservation is the claim of a connection (Owner, its id) on a unique value.
type Reservation struct {
	Kind  ReservationKind
	Value string
	Owner string
	At    time.Time // when it was made; set by whoever reserves
}

// Vault keeps the values. Each Put makes a new version; versions cannot be
// deleted one by one, only disabled. A caller may rely on a version that Put
// returned being there for every later Get.
type Vault interface {
	// Put writes a new version and returns its id. After an error with
	// UnknownOutcome the version may be there; List finds it by its tags.
	Put(ctx context.Context, secret VaultSecret) (version string, err error)
	// Get reads one version, or the latest if version is empty, with its value.
	// [ErrNotFound] if there is no such secret or version; a disabled version
	// is refused with class [VaultRefused] (Key Vault answers 403).
	Get(ctx context.Context, name, version string) (VaultSecret, error)
	// List returns every version of name with tags and state, newest first,
	// without values. Empty if there is no such secret.
	List(ctx context.Context, name string) ([]VaultSecret, error)
	// Disable switches one version off for good. [ErrNotFound] if it is not there.
	Disable(ctx context.Context, name, version string) error
	// Delete soft-deletes the secret with all its versions; nil if it is not there.
	Delete(ctx context.Context, name string) error
}

// VaultSecret is one version of a secret in Key Vault.
type VaultSecret struct {
	Name        string
	Version     string
	Value       secret.Value // empty in lists
	ContentType string
	Enabled     bool
	ExpiresAt   time.Time // zero: none; whole seconds
	CreatedAt   time.Time // set by the vault; whole seconds
	Tags        map[string]string
}

// Authority is the Entra token endpoint. Token asks for a Graph token with a
// fresh client and an empty cache, so that a success proves that the secret
// works now (rule R6). Its errors have class [CredentialRefused],
// [CredentialExpired], [CredentialInvalid], [ApplicationMissing],
// [TenantMissing], [Throttled] or [Transient].
type Authority interface {
	Token(ctx context.Context, app Application, secret secret.Value) (Token, error)
}

// Token is an access token for Microsoft Graph. What it says about its holder is
// read without verification and good for advice only, never for a decision to let
// somebody in; all of it is empty if the token is opaque.
type Token struct {
	Value     secret.Value
	ExpiresAt time.Time
	Opaque    bool     // the claims could not be read
	Roles     []string // application permissions, "Application.ReadWrite.OwnedBy"
	ObjectID  string   // the service principal's object id, or the person's

	// Of a person who signed in: what the application may do for them, and their
	// directory roles by template id.
	Scopes         []string
	DirectoryRoles []string
}

// Directory is Microsoft Graph, as far as the credentials of applications go.
// None of its methods retries a write; AddPassword in particular is called once
// and sent once (rule R1).
type Directory interface {
	// Application reads app by its object id if that is known, else by client
	// id. Class [ApplicationMissing] if it is not there (yet: reads are
	// eventually consistent).
	Application(ctx context.Context, token Token, app Application) (ApplicationState, error)
	// AddPassword issues a client secret with the display name marker that
	// ends at expires (whole seconds). app.ObjectID is required.
	AddPassword(ctx context.Context, token Token, app Application, marker string, expires time.Time) (Issued, error)
	// RemovePassword removes the client secret with that key id. Class
	// [CredentialMissing] if the directory shows none (gone, or not replicated
	// yet). app.ObjectID is required.
	RemovePassword(ctx context.Context, token Token, app Application, keyID string) error
}

// Observer sees what passes do, for metrics and traces. What its methods return is
// called at the end of what they saw begin; the context goes to everything in between.
type Observer interface {
	Pass(ctx context.Context, id string) (context.Context, func(rec *Record, err error))
	Step(ctx context.Context, rec *Record, do Do) (context.Context, func(outcome string, class serviceerror.Class))
	// Due is told of each look at the index what is due, the oldest first.
	Due(now time.Time, due []Due)
}

// Pacer keeps the writes of applications below what the directory takes, so that
// many connections which are due at once are served in their order instead of being
// refused. It knows of this process's writes only; the directory has the last word.
type Pacer interface {
	// Reserve books a write of actor and returns how long to wait until it may
	// be sent. Not ok: that would be longer than most; nothing is booked, and wait
	// is when to ask again.
	Reserve(now time.Time, actor Application, most time.Duration) (wait time.Duration, ok bool)
	// Room is Reserve without booking.
	Room(now time.Time, actor Application, most time.Duration) (wait time.Duration, ok bool)
	// Refused says that the directory refused a write of actor, and for how long
	// it asked to wait; 0 if it did not say.
	Refused(now time.Time, actor Application, retryAfter time.Duration)
}

// ApplicationState is what one read of an application showed.
type ApplicationState struct {
	ObjectID       string
	ClientID       string
	DisplayName    string
	SignInAudience string
	Passwords      []Password
}

// PersonalAccounts reports whether personal Microsoft accounts may sign in. Such
// an application may have two client secrets at most.
// Source: learn.microsoft.com/entra/identity-platform/supported-accounts-validation.
func (a ApplicationState) PersonalAccounts() bool {
	return a.SignInAudience == "AzureADandPersonalMicrosoftAccount" || a.SignInAudience == "PersonalMicrosoftAccount"
}

// Password is a client secret as the directory lists it, without its value.
type Password struct {
	KeyID       string // lower case
	DisplayName string
	Hint        string // the first three characters of the value; may be empty
	StartsAt    time.Time
	ExpiresAt   time.Time
}

// Issued is a new client secret; its value is returned this once.
type Issued struct {
	KeyID     string
	Value     secret.Value
	Hint      string
	ExpiresAt time.Time
}

// VaultState is what a vault knows about a name, without the value. A name that is
// neither Exists nor Deleted is free.
type VaultState struct {
	Exists  bool              // it can be read and written
	Deleted bool              // it is soft-deleted, or being recovered: its name is blocked
	Tags    map[string]string // of the latest version
	Version string            // the latest version
}
