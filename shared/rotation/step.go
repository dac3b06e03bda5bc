package rotation

import "time"

// Step is the next thing to do for a connection. [Rules.Plan] decides it, package
// rotator does it, and [Rules.Apply] records what came of it in one commit.
type Step interface {
	// Name is what logs, traces and metrics call the step.
	Name() string
}

// The steps, by the phase in which they are planned.
type (
	// Wait ends the pass, or pauses it, until a moment; zero: nothing will ever have to
	// be done.
	Wait struct{ Until time.Time }

	AdoptGiven struct{} // creating: has what was given reached the vault?

	BeginRun        struct{} // idle: write the intent down
	BeginAttempt    struct{} // issuing: write the next intent down
	IssueCredential struct{} // issuing: addPassword, then the value into the vault
	Reconcile       struct{} // issuing: was anything issued under the marker?

	Prove         struct{}            // verifying, publishing, rebinding: one fresh token with the staged value
	Promote       struct{}            // verifying: it is proven and old enough
	Publish       struct{}            // publishing, rebinding: write the proven value under the published name
	AnnounceWrite struct{ Of string } // the value of that version is about to be written under the published name; see [Unsettled]
	Republish     struct{}            // what is published is not current: prove current, and write it again
	Withdraw      struct{}            // the same: give the attempt up. If its value is published, current is published again first

	EndRun          struct{} // on request: give the attempt and the run up
	MakeEmergency   struct{} // on request: the run under way becomes an emergency
	EndGracePeriods struct{} // on request: every grace period ends now
	IdentifyCurrent struct{} // on request: which credential is the one that was given?
	DropRequest     struct{} // it has nothing to act on
	RefuseRequest   struct{} // it can't be served as the record is; see [Record.Unable]

	BeginRebind struct{} // idle: prove the credentials that the caller gave

	BeginDelete   struct{} // any phase
	RevokeCurrent struct{} // deleting with revoke, after everything else
	Purge         struct{} // deleting: vault, reservations, rows

	// Beside the phase: ID is that of [Removal.ID].

	DisableStale    struct{}                 // versions that are done with
	Remove          struct{ ID string }      // a removal whose time has come
	ConfirmRemoved  struct{ ID string }      // read the application of that removal: is it gone?
	ConfirmRefused  struct{ ID string }      // the application's last credential: is its value refused?
	WarnOfExpiry    struct{}                 // current is about to expire
	WarnOfSignInEnd struct{}                 // what the connection authenticates with is about to expire
	RenewSignIn     struct{}                 // before a refresh token ends for want of use
	WakeTargets     struct{ Generation int } // tell the targets that it was given new credentials
)

func (Wait) Name() string            { return "wait" }
func (AdoptGiven) Name() string      { return "adopt given secret" }
func (BeginRun) Name() string        { return "begin run" }
func (BeginAttempt) Name() string    { return "begin attempt" }
func (IssueCredential) Name() string { return "issue" }
func (Reconcile) Name() string       { return "reconcile" }
func (Prove) Name() string           { return "prove" }
func (Promote) Name() string         { return "promote" }
func (Publish) Name() string         { return "publish" }
func (AnnounceWrite) Name() string   { return "announce write" }
func (Republish) Name() string       { return "republish" }
func (Withdraw) Name() string        { return "withdraw" }
func (EndRun) Name() string          { return "end run" }
func (MakeEmergency) Name() string   { return "make emergency" }
func (EndGracePeriods) Name() string { return "end grace periods" }
func (IdentifyCurrent) Name() string { return "identify" }
func (DropRequest) Name() string     { return "drop request" }
func (RefuseRequest) Name() string   { return "refuse request" }
func (BeginRebind) Name() string     { return "begin rebind" }
func (BeginDelete) Name() string     { return "begin delete" }
func (RevokeCurrent) Name() string   { return "revoke current" }
func (Purge) Name() string           { return "purge" }
func (DisableStale) Name() string    { return "disable stale versions" }
func (Remove) Name() string          { return "remove" }
func (ConfirmRemoved) Name() string  { return "confirm removal" }
func (ConfirmRefused) Name() string  { return "confirm refusal" }
func (WarnOfExpiry) Name() string    { return "warn of expiry" }
func (WarnOfSignInEnd) Name() string { return "warn of sign-in end" }
func (RenewSignIn) Name() string     { return "renew sign-in" }
func (WakeTargets) Name() string     { return "wake targets" }
