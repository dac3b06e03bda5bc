package rotator

import (
	"context"
	"time"

	"rekey/shared/index"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// Store keeps records. It is strongly consistent: a Load after a Commit that
// returned shows it, from every process.
//
// There is no blind write. Every method that writes is conditional on what the
// record's Handle says was read, and answers [serviceerror.ErrConflict] if the row is another
// one now. After any other error of a write its outcome is unknown; the caller
// reads again and looks for its commit id (rule R9).
type Store interface {
	// Load returns the record and its Handle; [serviceerror.ErrNotFound] if there is none,
	// [serviceerror.ErrNewerSchema] if a newer Rekey wrote it.
	Load(ctx context.Context, id string) (rotation.Record, error)
	// Commit writes rec and one history row for events (none if there are no
	// events), and moves the due row to rec.WakeAt (away, if that is zero), all
	// in one transaction. It returns rec with the Handle for the next write.
	Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
	// Remove deletes the record and its due row and writes a last history row,
	// in one transaction. History stays until it is pruned.
	Remove(ctx context.Context, rec rotation.Record, events ...rotation.Event) error
	// Release gives a reservation up if it is held by res.Owner; one that is
	// not held, or held by another owner, is left alone without an error.
	Release(ctx context.Context, res reservation.Row) error
	// Notes returns the reservations of a shared kind that have that value.
	Notes(ctx context.Context, kind reservation.Kind, value string) ([]reservation.Row, error)
	// RenewClaim writes a claim's row once more if it is there, so that a look of another
	// connection from before does not remove it; [serviceerror.ErrNotFound] if it is gone.
	RenewClaim(ctx context.Context, row rotation.ClaimRow) error
	// Unclaim removes the row of a claim. No error if there is none.
	Unclaim(ctx context.Context, row rotation.ClaimRow) error
	// Due returns what has to be woken at or before until, the oldest first,
	// at most limit entries. Its cost depends on what is due only (promise P6).
	// With an error it may return a part.
	Due(ctx context.Context, until time.Time, limit int) ([]index.Due, error)
}

// Pruner takes old history away.
type Pruner interface {
	// Prune deletes the history of days that had ended at before, of at most limit
	// days of connections, the oldest first; connections that are deleted are among them.
	// It returns how many rows that were, and whether there is more. Its cost depends on
	// what there is to be deleted only (promise P6).
	Prune(ctx context.Context, before time.Time, limit int) (rows int, more bool, err error)
}

// Vault keeps the values. Each Put makes a new version; versions cannot be
// deleted one by one, only disabled. A caller may rely on a version that Put
// returned being there for every later Get.
type Vault interface {
	// Put writes a new version and returns its id. After an error with
	// UnknownOutcome the version may be there; List finds it by its tags.
	Put(ctx context.Context, secret rotation.VaultSecret) (version string, err error)
	// Get reads one version, or the latest if version is empty, with its value.
	// [serviceerror.ErrNotFound] if there is no such secret or version; of a version that is
	// named the error has class [serviceerror.VaultMissing] and says whether the secret is
	// soft-deleted. A disabled version is refused with class [serviceerror.VaultDisabled] (Key
	// Vault answers 403).
	Get(ctx context.Context, name, version string) (rotation.VaultSecret, error)
	// List returns every version of name with tags and state, newest first,
	// without values. Empty if there is no such secret.
	List(ctx context.Context, name string) ([]rotation.VaultSecret, error)
	// Disable switches one version off for good. [serviceerror.ErrNotFound] if it is not there.
	Disable(ctx context.Context, name, version string) error
	// Delete soft-deletes the secret with all its versions; nil if it is not there.
	Delete(ctx context.Context, name string) error
}

// Authority is the Entra token endpoint. Token asks for a Graph token with a
// fresh client and an empty cache, so that a success proves that the secret
// works now (rules R4 and R6). Its errors have class [serviceerror.CredentialRefused],
// [serviceerror.CredentialExpired], [serviceerror.CredentialInvalid], [serviceerror.ApplicationMissing],
// [serviceerror.TenantMissing], [serviceerror.Throttled] or [serviceerror.Transient].
type Authority interface {
	Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error)
}

// Directory is Microsoft Graph, as far as the credentials of applications go.
// None of its methods retries a write; AddPassword in particular is called once
// and sent once (rule R1).
type Directory interface {
	// Application reads app by its object id if that is known, else by client
	// id. Class [serviceerror.ApplicationMissing] if it is not there (yet: reads are
	// eventually consistent).
	Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error)
	// ServicePrincipal lists the client secrets of app's service principal, and says whether it may sign in.
	ServicePrincipal(ctx context.Context, token rotation.Token, app rotation.Application) (own []rotation.Password, enabled bool, err error)
	// AddPassword issues a client secret with the display name marker that
	// ends at expires (whole seconds). app.ObjectID is required.
	AddPassword(ctx context.Context, token rotation.Token, app rotation.Application, marker string, expires time.Time) (rotation.Issued, error)
	// RemovePassword removes the client secret with that key id. Class
	// [serviceerror.CredentialMissing] if the directory shows none (gone, or not replicated
	// yet). app.ObjectID is required.
	RemovePassword(ctx context.Context, token rotation.Token, app rotation.Application, keyID string) error
}

// Observer sees what passes do, for metrics and traces. What its methods return is
// called at the end of what they saw begin; the context goes to everything in between.
type Observer interface {
	Pass(ctx context.Context, id string) (context.Context, func(rec *rotation.Record, err error))
	Step(ctx context.Context, rec *rotation.Record, step rotation.Step) (context.Context, func(outcome string, class serviceerror.Class))
	// Due is told of each look at the index what is due, the oldest first.
	Due(now time.Time, due []index.Due)
}

// Pacer keeps the writes of applications below what the directory takes, so that
// many connections which are due at once are served in their order instead of being
// refused. It knows of this process's writes only; the directory has the last word.
type Pacer interface {
	// Reserve books a write of actor and returns how long to wait until it may
	// be sent. Not ok: that would be longer than most; nothing is booked, and wait
	// is when to ask again.
	Reserve(now time.Time, actor rotation.Application, most time.Duration) (wait time.Duration, ok bool)
	// Room is Reserve without booking.
	Room(now time.Time, actor rotation.Application, most time.Duration) (wait time.Duration, ok bool)
	// Refused says that the directory refused a write of actor, and for how long
	// it asked to wait; 0 if it did not say.
	Refused(now time.Time, actor rotation.Application, retryAfter time.Duration)
}

// Actors signs in as connections that authenticate with something else than what
// is rotated. Their errors have class [serviceerror.ActorRefused] where a person has to act.
type Actors interface {
	// Token returns a Graph token of the connection with that id.
	Token(ctx context.Context, id string) (rotation.Token, error)
	// Renew signs in and stores the new refresh token, however new the old one is.
	Renew(ctx context.Context, id string) error
}

// Inventory works on the inventories of tenants, which lie in the same index of what is due.
type Inventory interface {
	// Pass works on the scan of a tenant that is due, and ends before until. [ErrLeased]: another
	// pass is at it. [ErrLeaseLost]: another one has taken it over.
	Pass(ctx context.Context, tenantID string, until time.Time) error
}
