package inventory

import (
	"regexp"
	"strings"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// Tenant is the state of a tenant's inventory: one row, which the due index wakes.
type Tenant struct {
	ID string `json:"id"` // a GUID in lower case
	// ConnectionID is the connection that the scans sign in as.
	ConnectionID string `json:"connectionId"`
	// Daily: a scan begins 24 hours after the last one did.
	Daily  bool           `json:"daily"`
	WakeAt time.Time      `json:"wakeAt"` // the due row; zero: none
	Lease  rotation.Lease `json:"lease"`  // as of a record (rule R2)
	// Scan is the one under way, or the last one.
	Scan *Scan `json:"scan"`
	// Since is when its inventory was first asked for, or again after scans were not daily. Told: a
	// notice was given that no scan has come to its end for two days; the next one that does ends that.
	Since time.Time `json:"since"`
	Told  bool      `json:"told"`
	// AsOf is the start of the last scan that came to its end: what the rows show. Zero: there is
	// none yet. Unread says what that scan could not see, Longest how long a client secret may
	// live by the tenant's policy (0: unknown, or without limit).
	AsOf    time.Time     `json:"asOf"`
	Unread  []Unread      `json:"unread"`
	Longest time.Duration `json:"longest"`

	Version int64  `json:"version"` // of commits, from 1 on
	Handle  Handle `json:"-"`
}

// Handle is what the store needs for the next write.
type Handle struct {
	ETag string
	Wake time.Time
}

// dueID is what the due index calls a tenant's scan. No connection has such an id.
const dueID = "scan-"

// DueID is the id of a tenant in the due index.
func DueID(tenantID string) string { return dueID + tenantID }

// ParseDueID is the reverse of DueID; not ok: it is the id of a connection.
func ParseDueID(id string) (tenantID string, ok bool) { return strings.CutPrefix(id, dueID) }

// Unread is a list that could not be read, and why.
type Unread struct {
	List    List               `json:"list"`
	Class   serviceerror.Class `json:"class"`
	Message string             `json:"message"` // what is missing, and what to do
}

// Phase is how far a scan is.
type Phase string

// The phases.
const (
	Reading  Phase = "reading"  // pages are read and kept
	Writing  Phase = "writing"  // what has changed is decided, and is being written
	Complete Phase = "complete" // ended, and the rows show it
	Failed   Phase = "failed"   // ended without a change of the rows
)

// Scan is one scan of a tenant.
type Scan struct {
	ID           string           `json:"id"` // see [ScanID]
	ConnectionID string           `json:"connectionId"`
	Trigger      rotation.Trigger `json:"trigger"` // schedule or manual
	RequestedBy  string           `json:"requestedBy,omitempty"`
	StartedAt    time.Time        `json:"startedAt"`
	FinishedAt   time.Time        `json:"finishedAt,omitzero"`
	Phase        Phase            `json:"phase"`
	// List and Cursor are where reading goes on; Pages counts the pages that are kept, so that
	// the next one has that number. ListFrom is the number of the first page of List, and Restarts
	// how often that list began again because the directory no longer took its cursor.
	List     List   `json:"list,omitempty"`
	Cursor   string `json:"cursor,omitempty"`
	Pages    int    `json:"pages"`
	ListFrom int    `json:"listFrom,omitempty"`
	Restarts int    `json:"restarts,omitempty"`
	// Parts is in how many parts the applications are compared and written, so that they need
	// not fit into memory at once; Part is how many of them Result includes. The rows of the last of
	// these may not be written yet.
	Parts int `json:"parts,omitempty"`
	Part  int `json:"part,omitempty"`
	// Unread, and Longest as in [Tenant].
	Unread  []Unread      `json:"unread,omitempty"`
	Longest time.Duration `json:"longest,omitempty"`
	// Failures counts tries in a row that a service refused; Problem is the last of them.
	Failures int     `json:"failures,omitempty"`
	Problem  *Unread `json:"problem,omitempty"`
	Result   *Result `json:"result,omitempty"` // from Writing on
	Calls    int     `json:"calls"`            // requests to the directory
	Rows     int     `json:"rows"`             // rows of applications and of ends written or deleted
}

// ScanID makes the id of a scan from what is random: 1 to 64 characters of A-Z a-z 0-9 _ -. It
// begins with the tenant's, so that the id alone finds it.
func ScanID(tenantID, random string) string { return tenantID + "-" + random }

// scanName is what follows the tenant in the id of a scan: stores have it in keys.
var scanName = regexp.MustCompile(`^-[A-Za-z0-9_-]{1,64}$`)

// TenantOfScan is the tenant of a scan's id; not ok: it is none.
func TenantOfScan(id string) (tenantID string, ok bool) {
	const guid = 36
	if len(id) <= guid || !ValidID(id[:guid]) || !scanName.MatchString(id[guid:]) {
		return "", false
	}
	return id[:guid], true
}

// Result is what a scan found, and what had changed since the one before.
type Result struct {
	Applications int `json:"applications"`
	Credentials  int `json:"credentials"`
	Federated    int `json:"federated"`
	Added        int `json:"added"`   // applications that were not there before
	Changed      int `json:"changed"` // applications that are different
	Gone         int `json:"gone"`    // applications that are there no more
	// Findings counts applications by what is wrong with them at the start of the scan.
	Findings map[FindingKind]int `json:"findings"`
	// Ends counts credentials by what they have left at the start of the scan.
	Ends map[Left]int `json:"ends"`
	// Arisen counts those findings among them that were none at the last scan, and are worth a
	// notice.
	Arisen map[FindingKind]int `json:"arisen,omitempty"`
	// Changes are the MaxChanges most pressing of what has changed, with some of each kind;
	// MoreChanges counts the rest. A first scan lists no applications as added, since that would be
	// all of them.
	Changes     []Change `json:"changes,omitempty"`
	MoreChanges int      `json:"moreChanges,omitempty"`
}

// Left is a range of days that a credential has left. Each credential is in one range.
type Left string

// The ranges.
const (
	LeftNone   Left = "expired"
	Left7Days  Left = "7-days"
	Left30Days Left = "30-days"
	Left90Days Left = "90-days"
	LeftMore   Left = "more"
	LeftNever  Left = "never" // it does not end
)

// Lefts are all ranges.
var Lefts = []Left{LeftNone, Left7Days, Left30Days, Left90Days, LeftMore, LeftNever}

// LeftAt is what c has left at now.
func (c *Credential) LeftAt(now time.Time) Left {
	const day = 24 * time.Hour
	left := c.EndsAt.Sub(now)
	switch {
	case c.EndsAt.IsZero():
		return LeftNever
	case left <= 0:
		return LeftNone
	case left <= 7*day:
		return Left7Days
	case left <= 30*day:
		return Left30Days
	case left <= 90*day:
		return Left90Days
	}
	return LeftMore
}

// MaxChanges is how many changes a scan keeps.
const MaxChanges = 200

// Change is what became different about one application.
type Change struct {
	Key
	Name string     `json:"name"`
	Kind ChangeKind `json:"kind"`
	// KeyID is the credential, where it is about one.
	KeyID string `json:"keyId,omitempty"`
	// Finding is what arose, where Kind is FindingArisen. EndsAt is the end of the credential, or
	// the application's next end; zero: none.
	Finding FindingKind `json:"finding,omitempty"`
	EndsAt  time.Time   `json:"endsAt,omitzero"`
}

// ChangeKind is what became different.
type ChangeKind string

// The kinds of changes.
const (
	AppAdded          ChangeKind = "application-added"
	AppGone           ChangeKind = "application-gone"
	CredentialAdded   ChangeKind = "credential-added"
	CredentialRemoved ChangeKind = "credential-removed"
	OwnersChanged     ChangeKind = "owners-changed"
	EnabledChanged    ChangeKind = "enabled-changed"
	DetailsChanged    ChangeKind = "details-changed" // name, audience, federated credentials, or the ends of credentials
	FindingArisen     ChangeKind = "finding-arisen"
)
