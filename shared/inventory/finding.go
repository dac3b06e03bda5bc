package inventory

import "time"

// FindingKind is what may be wrong with an application, or worth knowing.
type FindingKind string

// The findings. Of those about the end of a credential, only the nearest holds: what ends
// within 7 days is not listed as ending within 30 as well.
const (
	Expired          FindingKind = "expired"
	EndsIn7Days      FindingKind = "ends-in-7-days"
	EndsIn30Days     FindingKind = "ends-in-30-days"
	EndsIn90Days     FindingKind = "ends-in-90-days"
	NeverEnds        FindingKind = "never-ends"
	TooLong          FindingKind = "too-long"          // lives longer than 180 days, or than the policy allows
	SeveralSecrets   FindingKind = "several-secrets"   // more live client secrets than one, and none of Rekey's rotations explains it
	Ownerless        FindingKind = "ownerless"         // no owner is known, and owners could be read
	OwnerlessEnding  FindingKind = "ownerless-ending"  // ownerless, and something of it ends within 30 days
	DisabledFinding  FindingKind = "disabled"          // may not sign in, and still has live credentials
	Unused           FindingKind = "unused"            // no sign-in for 90 days, where activity could be read
	RoomForOne       FindingKind = "room-for-one"      // an application for personal accounts takes two client secrets only
	Orphan           FindingKind = "orphan"            // has Rekey's marker, and no record knows it
	Managed          FindingKind = "managed"           // a connection or target rotates it
	FederatedAlready FindingKind = "federated"         // signs in without a secret, and has live client secrets too
	Incomplete       FindingKind = "incompletely-read" // something about it could not be read
)

// Finding is one thing about an application, and what to do about it.
type Finding struct {
	Kind   FindingKind `json:"kind"`
	KeyID  string      `json:"keyId,omitempty"` // the credential, where it is about one
	Advice string      `json:"advice"`
	// Accepted: a person has accepted it, so that it counts for nothing and tells of nothing.
	Accepted *Acceptance `json:"accepted,omitempty"`
}

// Acceptance says that a finding is as it should be, until a moment.
type Acceptance struct {
	Kind   FindingKind `json:"kind"`
	KeyID  string      `json:"keyId,omitempty"` // empty: whatever credential of the application it is about
	Reason string      `json:"reason"`
	By     string      `json:"by"`
	At     time.Time   `json:"at"`
	Until  time.Time   `json:"until"` // required: at most a year
}

// Facts are what findings depend on beside the application.
type Facts struct {
	Deployment string        // of Rekey, in its markers
	Longest    time.Duration // how long a client secret may live by the tenant's policy; 0: unknown
	Activity   bool          // sign-in activity could be read
	Owners     bool          // owners could be read
	// Known: the records could be read, so that what no manager knows is an orphan.
	Known    bool
	Managers []Manager
}

// Manager is a connection or target that has to do with an application.
type Manager struct {
	ConnectionID string `json:"connectionId"`
	TargetID     string `json:"targetId,omitempty"` // empty: the connection itself
	Name         string `json:"name"`
	// Rotates: it rotates the application's client secret; otherwise it only signs in with it.
	Rotates bool `json:"rotates"`
	// KeyIDs are the client secrets that its record knows: current, being issued, being removed,
	// or left to a person.
	KeyIDs []string `json:"keyIds,omitempty"`
	// Marker is the display name of the client secret that it is issuing, whose key id it does
	// not know yet; empty: none.
	Marker string `json:"marker,omitempty"`
}
