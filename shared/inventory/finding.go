package inventory

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// FindingKind is what may be wrong with an application, or worth knowing.
type FindingKind string

// The findings, the most pressing first. Those with a key id are about one credential, the others
// about the application.
//
// A credential is live until its end; at that moment it has expired. One that is not good yet is
// live. All kinds of credentials count, those for signing SAML tokens too, unless it says
// client secret; those of the registration and of the service principal alike.
//
// A credential that a rotation has on its record ([Manager.Rotates]) is taken care of: until it
// has expired, nothing is found about its end or its length, and it is none of several. The
// connection itself tells where that goes wrong.
const (
	// EndsIn7Days, EndsIn30Days, EndsIn90Days: a live credential ends within that time, which
	// includes exactly that time. Of the three only the nearest holds.
	EndsIn7Days FindingKind = "ends-in-7-days"
	// OwnerlessEnding: it is Ownerless too, and a credential of it ends within 30 days.
	OwnerlessEnding FindingKind = "ownerless-ending"
	EndsIn30Days    FindingKind = "ends-in-30-days"
	// Orphan: a client secret is named like one that this deployment of Rekey issues
	// (rekey/<deployment>/<connection>/...), and no record has its key id or is issuing under that
	// name. Only where all records could be read. Rekey never removes such a one by itself.
	Orphan FindingKind = "orphan"
	// Expired: a credential has ended, and is still there.
	Expired      FindingKind = "expired"
	EndsIn90Days FindingKind = "ends-in-90-days"
	// NeverEnds: a credential has no end.
	NeverEnds FindingKind = "never-ends"
	// TooLong: a live client secret lives for longer than 180 days, or than the tenant's policy
	// allows, whichever is less. Certificates commonly live for longer.
	TooLong FindingKind = "too-long"
	// Unused: nothing has signed in for 90 days with a live client secret or certificate that has been
	// good for 90 days. Only where the sign-in activity could be read, and as of the moment
	// when it was. What signs SAML tokens signs nothing in.
	Unused FindingKind = "unused"
	// Ownerless: neither registration nor service principal has an owner, and both could be read.
	Ownerless FindingKind = "ownerless"
	// DisabledFinding: its service principal may not sign in, and it has live credentials.
	DisabledFinding FindingKind = "disabled"
	// SeveralSecrets: it has more live client secrets than one. What a rotation has on its record
	// counts as one, however many there are: a rotation under way has two, and more in their grace
	// period. Only where all records could be read.
	SeveralSecrets FindingKind = "several-secrets"
	// FederatedAlready: it has a federated credential, and a live client secret of its registration.
	FederatedAlready FindingKind = "federated"
	// RoomForOne: it admits personal accounts, so that Entra takes two client secrets for its
	// registration, expired ones included: beside the one in use there is room for one.
	RoomForOne FindingKind = "room-for-one"
	// Incomplete: credentials, owners or federated credentials of it could not be read in the last
	// scan, or there were too many. Activity that could not be read is told of the tenant.
	Incomplete FindingKind = "incompletely-read"
	// Managed: a connection or target rotates its client secret.
	Managed FindingKind = "managed"
)

// Kinds are all kinds of findings, the most pressing first. Lists of findings are in this order.
var Kinds = []FindingKind{
	EndsIn7Days, OwnerlessEnding, EndsIn30Days, Orphan, Expired, EndsIn90Days, NeverEnds, TooLong, Unused, Ownerless,
	DisabledFinding, SeveralSecrets, FederatedAlready, RoomForOne, Incomplete, Managed,
}

// Urgency is the place of k in Kinds, from 0 on; a kind that is unknown comes last.
func (k FindingKind) Urgency() int {
	if i := slices.Index(Kinds, k); i >= 0 {
		return i
	}
	return len(Kinds)
}

// Worthy reports whether a person is told when such a finding arises. A credential that comes
// nearer to its end arises three times.
func (k FindingKind) Worthy() bool {
	switch k {
	case EndsIn7Days, EndsIn30Days, EndsIn90Days, OwnerlessEnding, Orphan:
		return true
	}
	return false
}

// Acceptable reports whether a person can accept such a finding: whether it says that something
// should be different.
func (k FindingKind) Acceptable() bool {
	return slices.Contains(Kinds, k) && k != Managed && k != Incomplete && k != RoomForOne
}

// The bounds of the findings.
const (
	day         = 24 * time.Hour
	longest     = 180 * day
	unusedAfter = 90 * day
)

// Finding is one thing about an application, and what to do about it.
type Finding struct {
	Kind   FindingKind `json:"kind"`
	KeyID  string      `json:"keyId,omitempty"` // the credential, where it is about one
	Advice string      `json:"advice"`
	// Accepted: a person has accepted it, so that it counts for nothing and tells of nothing.
	Accepted *Acceptance `json:"accepted,omitempty"`
}

// Acceptance says that a finding is as it should be, until a moment. It holds for its kind
// alone: a credential whose end in 30 days is accepted is told of when it ends in 7.
type Acceptance struct {
	Kind   FindingKind `json:"kind"`
	KeyID  string      `json:"keyId,omitempty"` // empty: whatever credential of the application it is about
	Reason string      `json:"reason"`
	By     string      `json:"by"`
	At     time.Time   `json:"at"`
	Until  time.Time   `json:"until"` // required: at most a year
	// EndedBy took it back, or replaced it by another one: then Until is when. It stays as the trail
	// of what was accepted, and means no more than one whose time is over.
	EndedBy string `json:"endedBy,omitempty"`
}

// Facts are what findings depend on beside the application.
type Facts struct {
	Deployment string        // of Rekey, in its markers
	AsOf       time.Time     // the start of the scan that the row shows
	Longest    time.Duration // how long a client secret may live by the tenant's policy; 0: unknown
	Activity   bool          // sign-in activity could be read
	Owners     bool          // owners could be read; of single applications, Unread says so
	// Known: the records could be read, so that what no manager knows is an orphan.
	Known    bool
	Managers []Manager
}

// FactsOf are the facts of a scan that started at asOf: what it could not read, and how long a
// client secret may live. Deployment, Known and Managers are the caller's to set.
func FactsOf(asOf time.Time, unread []Unread, longest time.Duration) Facts {
	refused := func(list List) bool {
		return slices.ContainsFunc(unread, func(u Unread) bool { return u.List == list })
	}
	return Facts{AsOf: asOf, Longest: longest, Activity: !refused(Activity), Owners: !refused(Applications)}
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
	// Markers are the display names of client secrets that it is issuing, or has tried to, whose
	// key ids it does not know.
	Markers []string `json:"markers,omitempty"`
	// RemovedAt is when it last removed a client secret; zero: never, or it is not known. A row from
	// before still shows that one.
	RemovedAt time.Time `json:"removedAt,omitzero"`
	// Removed are the last client secrets that it has removed, by key id in lower case, and when.
	Removed map[string]time.Time `json:"removed,omitempty"`
	// Removing are the client secrets that it removes by itself, by key id in lower case, and not before
	// when; zero: at once, or after the rotation that takes their place.
	Removing map[string]time.Time `json:"removing,omitempty"`
	// Published is the client secret of its own that it publishes, and StartsAt since when it does; without a key id: none.
	Published Credential `json:"published,omitzero"`
	// ByHand are those that it has left to a person, by key id in lower case.
	ByHand []string `json:"byHand,omitempty"`
}

// Findings says what there is to say about a at now, the most pressing first and what was
// accepted last. A finding that was accepted says so until the acceptance ends.
func Findings(now time.Time, a *Application, facts Facts, accepted []Acceptance) []Finding {
	j := judge(now, a, facts)
	findings := make([]Finding, 0, len(j.found))
	for _, v := range j.found {
		findings = append(findings, Finding{
			Kind: v.kind, KeyID: v.keyID(), Advice: j.advice(v), Accepted: acceptance(now, v.kind, v.keyID(), accepted),
		})
	}
	slices.SortStableFunc(findings, func(x, y Finding) int {
		if was := x.Accepted != nil; was != (y.Accepted != nil) {
			if was {
				return 1
			}
			return -1
		}
		return cmp.Compare(x.Kind.Urgency(), y.Kind.Urgency())
	})
	return findings
}

// acceptance returns the one that holds for longest, nil if none does at now.
func acceptance(now time.Time, kind FindingKind, keyID string, accepted []Acceptance) *Acceptance {
	var found *Acceptance
	for i := range accepted {
		a := &accepted[i]
		if a.Kind != kind || a.KeyID != "" && !strings.EqualFold(a.KeyID, keyID) || !now.Before(a.Until) {
			continue
		}
		if found == nil || a.Until.After(found.Until) {
			found = a
		}
	}
	if found == nil {
		return nil
	}
	copied := *found
	return &copied
}
