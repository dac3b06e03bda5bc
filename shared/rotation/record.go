package rotation

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"rekey/shared/reservation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

// Schema is the version of the record's shape that this code writes. A row with
// a higher one is never written ([ErrNewerSchema]).
const Schema = 1

// Phase is where a connection stands. The list in the package documentation says what
// each means; docs/promises.md says what follows if Rekey dies in it.
type Phase string

// The phases.
const (
	Creating   Phase = "creating"
	Idle       Phase = "idle"
	Issuing    Phase = "issuing"
	Verifying  Phase = "verifying"
	Publishing Phase = "publishing"
	Rebinding  Phase = "rebinding"
	Deleting   Phase = "deleting"
)

// Record is everything that is durable about a connection, except its values. It
// is one table row; every exported field is one property of it, so that a newer
// version's properties survive our writes.
//
// All writers commit through the Journal of package rotator. It applies a change again to
// the record as it is by then, so that no writer writes over another, and every change must
// check its preconditions on the record that it is given.
//
// Without the lease:
//
//	creation    everything, once; to take a target back, Lease, Undo and Request
//	a request   Name, Description, Labels, Policy, RetireGrace, NextSlot, Request, Outranked, UpdatedAt,
//	            Revision, ChangeID, CredentialChanges, LongestAccepted, Given, GivenBefore, the
//	            key id, the end and the origin of Current, RetryAt of Error, NextAt of Removals; with
//	            new credentials also Actor, Auth, WakeTargets and LookAt of Stale
//	a sign-in   Auth, LookAt of Stale
//	a pass of the connection that authenticates for it   Actor, RetryAt of Error, NextAt of Removals
//	all these   WakeAt, Changes, Version; Claimed and Told where they change
//
// With the lease a pass writes everything but Name, Description, Labels, Policy, RetireGrace, UpdatedAt,
// Revision, ChangeID and Changes, and what only a creation writes: ID, Project, Method,
// VaultName, Via, Takeover, CreatedAt and CreatedBy. It counts CredentialChanges up only where
// a rebind fails: the caller's credentials are those from before again.
type Record struct {
	Handle Handle `json:"-"`
	Proof  Proof  `json:"-"`

	Schema int    `json:"schema"`
	ID     string `json:"id"`

	Name        string    `json:"name"`
	Description string    `json:"description"`
	Project     string    `json:"project"`
	Method      string    `json:"method"`
	VaultName   string    `json:"vaultName"` // the published secret; staged values are in [Record.StagedName]
	CreatedAt   time.Time `json:"createdAt"`
	CreatedBy   string    `json:"createdBy"`
	UpdatedAt   time.Time `json:"updatedAt"`

	Policy            Policy      `json:"policy"`
	Request           *Request    `json:"request"`
	Outranked         *Request    `json:"outranked"`  // an emergency that is served after Request
	Actor             Application `json:"actor"`      // who authenticates
	Target            Application `json:"target"`     // whose credential is rotated
	TargetName        string      `json:"targetName"` // by [VisibleName], when the directory was read last; empty: not known
	CredentialChanges int         `json:"credentialChanges"`
	Given             string      `json:"given"`       // [Application.Digest] of what the caller gave last and was accepted
	GivenBefore       string      `json:"givenBefore"` // of what was given before, while new credentials are being proven
	Via               string      `json:"via"`         // the connection that authenticates for this one; empty: it does so itself
	Labels            *Labels     `json:"labels"`      // of a target; nil: no client has said any
	Auth              *Auth       `json:"auth"`        // what it authenticates with, if that is not the credential that it rotates

	// WakeTargets is when those that the connection authenticates for have to be told that
	// it has new credentials, since they may wait for that; zero: they know.
	WakeTargets time.Time `json:"wakeTargets"`

	Phase         Phase     `json:"phase"`
	WakeAt        time.Time `json:"wakeAt"` // zero: nothing will ever have to be done
	NextSlot      time.Time `json:"nextSlot"`
	LastRotatedAt time.Time `json:"lastRotatedAt"`
	// LongestAccepted is the longest lifetime that the tenant's policy has accepted, where
	// it has refused a longer one; zero: none was refused.
	LongestAccepted time.Duration `json:"longestAccepted"`
	VaultRefused    bool          `json:"vaultRefused"` // the vault has refused the last write
	Unproven        int           `json:"unproven"`     // runs in a row that ended without a proof
	Unsettled       Unsettled     `json:"unsettled"`    // a write of the published name that may still land
	RepublishAt     time.Time     `json:"republishAt"`  // current is not what is published: when to write it again; zero: it is
	Acknowledged    bool          `json:"acknowledged"` // the caller was promised that the connection exists
	Undo            bool          `json:"undo"`         // deleting because creation was refused
	Revoke          bool          `json:"revoke"`       // deleting: current goes too
	DeletingSince   time.Time     `json:"deletingSince,omitzero"`
	Takeover        string        `json:"takeover"` // the vault version that a deleted connection had left under our name
	Error           *Failure      `json:"error"`

	Lease    Lease    `json:"lease"`
	CommitID string   `json:"commitId"` // of the last commit by a pass
	Version  int64    `json:"version"`  // +1 with every write, by a pass or the API
	Revision int64    `json:"revision"` // +1 with every change by the API
	ChangeID string   `json:"changeId"` // of the last of these
	Changes  []string `json:"changes"`  // ids of the API's last commits, the newest last

	Run      *Run        `json:"run"`
	LastRun  *RunResult  `json:"lastRun"`
	Current  *Credential `json:"current"`
	Removals []Removal   `json:"removals"`
	Retire   []string    `json:"retire"` // of a target: key ids that its first publication replaces, as its creator has named them
	// RetireGrace is how long these stay valid after it; nil: as long as what later rotations replace.
	RetireGrace *time.Duration `json:"retireGrace,omitempty"`
	Removed     []removed      `json:"removed"` // the last that Rekey has removed, the newest last
	// RemovedKeys are likewise the last, also those of which Rekey has not known the value.
	RemovedKeys []removedKey `json:"removedKeys,omitempty"`

	Stale    Stale    `json:"stale"`
	Claimed  []Claim  `json:"claims"` // applications whose use is claimed (rule R11)
	ByHand   []ByHand `json:"byHand"`
	WarnedAt int      `json:"warnedAt"` // days before current's expiry for which a warning was given; 0: none
	Told     string   `json:"told"`     // what is wrong that notices were given of; see [Tell]
}

// Application is an app registration. ObjectID may be empty until it is known.
type Application struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`
	ObjectID string `json:"objectId"`
}

// Same reports whether a and b are the same registration.
func (a Application) Same(b Application) bool {
	return strings.EqualFold(a.TenantID, b.TenantID) && strings.EqualFold(a.ClientID, b.ClientID)
}

// Policy is what the owner of a connection decided.
type Policy struct {
	Enabled       bool              `json:"enabled"`
	Schedule      schedule.Schedule `json:"schedule"`
	Grace         time.Duration     `json:"grace"`         // how long an old credential stays after a scheduled or manual rotation
	OriginalGrace time.Duration     `json:"originalGrace"` // how long the original stays after the rotation on creation
}

// OriginalGrace is how long what r takes over stays valid after its first rotation: the client secret that was given, or
// those that a target retires.
func (r *Record) OriginalGrace() time.Duration {
	switch {
	case r.Via == "":
		return r.Policy.OriginalGrace
	case r.RetireGrace != nil:
		return *r.RetireGrace
	}
	return r.Policy.Grace
}

// SetOriginalGrace changes that.
func (r *Record) SetOriginalGrace(d time.Duration) {
	if r.Via == "" {
		r.Policy.OriginalGrace = d
		return
	}
	r.RetireGrace = new(d)
}

// Failure is why the last step did not work. It is cleared by the next success.
type Failure struct {
	Class   serviceerror.Class `json:"class"`
	Message string             `json:"message"` // printable; says what to do
	Count   int                `json:"count"`   // in a row
	At      time.Time          `json:"at"`
	RetryAt time.Time          `json:"retryAt"`
	// NotBefore is until when the service wants no call (Retry-After), as far as a person who asks
	// again has to wait for that; zero: it did not say.
	NotBefore time.Time `json:"notBefore,omitzero"`
	Request   string    `json:"request,omitempty"` // the request that was being served; a newer one need not wait
}

// Rotates reports whether the connection has its target for itself: it rotates by itself,
// or rotating is all that it is for.
func (r *Record) Rotates() bool {
	return r.Policy.Enabled || r.Delegated() && r.Target.ClientID != ""
}

// Gone reports whether the API shows the connection no more: it is being deleted, or is going to be.
func (r *Record) Gone() bool {
	return r.Phase == Deleting || r.Request != nil && r.Request.Kind == AskDelete
}

// Noun is what messages call it.
func (r *Record) Noun() string {
	if r.Via != "" {
		return "target"
	}
	return "connection"
}

// Title is its name. A target that was given none is called as its vault secret, which it always has.
func (r *Record) Title() string {
	if r.Via != "" && r.Name == "target-"+r.ID {
		return r.VaultName
	}
	return r.Name
}

// StagedName is the Key Vault secret that holds values which are not published yet.
func (r *Record) StagedName() string { return r.VaultName + "-staged" }

// Reservations lists what the record keeps unique. The note comes last: a create that
// loses a name must not look like a target in progress.
func (r *Record) Reservations() []reservation.Row {
	res := []reservation.Row{
		{Kind: reservation.Vault, Value: strings.ToLower(r.VaultName), Owner: r.ID},
		{Kind: reservation.Vault, Value: strings.ToLower(r.StagedName()), Owner: r.ID},
	}
	if r.Via == "" {
		res = append(res, NameReservation(r.Project, r.Name, r.ID))
	}
	if r.Auth != nil {
		res = append(res, reservation.Row{Kind: reservation.Vault, Value: r.AuthName(), Owner: r.ID})
	}
	if r.Via != "" {
		res = append(res, reservation.Row{Kind: reservation.Target, Value: r.Via, Owner: r.ID})
	}
	return res
}

// Holds reports whether the record needs a reservation that bears its name.
func (r *Record) Holds(res reservation.Row) bool {
	return slices.ContainsFunc(r.Reservations(), func(o reservation.Row) bool { return o.Kind == res.Kind && o.Value == res.Value })
}

// NameReservation keeps a connection's name unique within its project. A name has no slash,
// so that no two values are the same by chance.
func NameReservation(project, name, owner string) reservation.Row {
	return reservation.Row{Kind: reservation.Name, Value: project + "/" + name, Owner: owner}
}

// errNotWhole says that a row was written by something else than Rekey, or by hand.
var errNotWhole = errors.New("the record says that a run is under way, but not which; correct it, or rebuild it")

// Whole refuses a record that has no clear meaning: it must not stop others.
func (r *Record) Whole() error {
	switch r.Phase {
	case Issuing, Verifying, Publishing, Rebinding:
		if r.Run == nil {
			return errNotWhole
		}
	}
	return nil
}

// Settled reports whether nothing is under way or overdue: what waits for its
// grace period may remain.
func (r *Record) Settled(now time.Time) bool {
	if r.Phase != Idle || r.Request != nil || len(r.Orphans()) > 0 || r.owed() {
		return false
	}
	if r.Policy.Enabled && !r.Due().After(now) {
		return false
	}
	return !slices.ContainsFunc(r.Removals, func(m Removal) bool { return !m.After.After(now) })
}

// Retries reports whether what has failed is tried again at Error.RetryAt. Otherwise that is only the earliest
// time at which another run may begin: the request for the one that failed was taken back, say.
func (r *Record) Retries() bool {
	switch {
	case r.Error == nil:
		return false
	case r.Phase != Idle, r.Request != nil, r.owed():
		return true
	case r.Error.Class == serviceerror.CredentialLost:
		return r.Rotates() || r.Claims(Exclusive, r.Target)
	}
	due := r.Due()
	return r.Policy.Enabled && !due.IsZero() && !due.After(r.Error.RetryAt)
}

// owed reports whether the first run has still to come: the one that takes the named
// original over, or that gives an application its first credential of ours.
func (r *Record) owed() bool {
	switch {
	case !r.Policy.Enabled:
		return false
	case r.Current == nil:
		return r.Delegated() && r.Target.ClientID != ""
	}
	return r.Current.Origin == OriginNamed
}

// learn writes app's object id wherever the record names the application without
// it. A secret that was given without rotation was taken over unread; writes to the
// directory need the object id.
func (r *Record) learn(app Application) {
	named := []*Application{&r.Actor, &r.Target}
	if r.Current != nil {
		named = append(named, &r.Current.Target)
	}
	if r.Run != nil {
		named = append(named, &r.Run.Target)
	}
	for i := range r.Removals {
		named = append(named, &r.Removals[i].Target)
	}
	for _, a := range named {
		if a.Same(app) && a.ObjectID == "" {
			a.ObjectID = app.ObjectID
		}
	}
}

// LearnName keeps what the directory calls the target, if app is the target.
func (r *Record) LearnName(app *ApplicationState) {
	if app != nil && app.DisplayName != "" && strings.EqualFold(app.ClientID, r.Target.ClientID) {
		r.TargetName = VisibleName(app.DisplayName)
	}
}

// maxVisibleName is how much of a name is kept, in characters.
const maxVisibleName = 100

// VisibleName is a name that a stranger chose as it is kept to be shown: one line of what can be seen, and not
// long.
func VisibleName(name string) string {
	visible := []rune(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, name))
	if len(visible) > maxVisibleName {
		return string(visible[:maxVisibleName]) + "…"
	}
	return string(visible)
}

// Clone returns a copy that shares nothing with r.
func (r *Record) Clone() Record {
	c := *r
	if c.Request = clone(r.Request); c.Request != nil {
		c.Request.Grace, c.Request.Next = clone(c.Request.Grace), clone(c.Request.Next)
	}
	c.Outranked = clone(r.Outranked)
	if c.Auth = clone(r.Auth); c.Auth != nil {
		c.Auth.Problem = clone(r.Auth.Problem)
	}
	c.Error = clone(r.Error)
	c.Labels = clone(r.Labels)
	if c.Run = clone(r.Run); c.Run != nil {
		c.Run.AskedGrace = clone(c.Run.AskedGrace)
	}
	c.LastRun = clone(r.LastRun)
	c.Current = clone(r.Current)
	c.Removals = slices.Clone(r.Removals)
	c.Retire = slices.Clone(r.Retire)
	c.RetireGrace = clone(r.RetireGrace)
	c.Removed = slices.Clone(r.Removed)
	c.RemovedKeys = slices.Clone(r.RemovedKeys)
	c.Stale.Versions = slices.Clone(r.Stale.Versions)
	c.Claimed = slices.Clone(r.Claimed)
	c.ByHand = slices.Clone(r.ByHand)
	c.Changes = slices.Clone(r.Changes)
	return c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// VaultDoubtful reports whether the vault may refuse a new value: it has taken none of this
// connection so far, or refused the last one. Then it is tried before there is a value that
// could be lost.
func (r *Record) VaultDoubtful() bool {
	return r.VaultRefused || r.Current == nil || r.Current.Origin != OriginIssued
}
