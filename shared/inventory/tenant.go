package inventory

import (
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
	// the next one has that number.
	List   List   `json:"list,omitempty"`
	Cursor string `json:"cursor,omitempty"`
	Pages  int    `json:"pages"`
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

// ScanID makes the id of a scan from what is random. It begins with the tenant's, so that the id alone finds it.
func ScanID(tenantID, random string) string { return tenantID + "-" + random }

// TenantOfScan is the tenant of a scan's id; not ok: it is none.
func TenantOfScan(id string) (tenantID string, ok bool) {
	const guid = 36
	if len(id) <= guid+1 || id[guid] != '-' {
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
	// Arisen counts those findings among them that were none at the last scan, and are worth a
	// notice.
	Arisen map[FindingKind]int `json:"arisen,omitempty"`
	// Changes are the first MaxChanges of what has changed; MoreChanges counts the rest.
	Changes     []Change `json:"changes,omitempty"`
	MoreChanges int      `json:"moreChanges,omitempty"`
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
	// Finding is what arose, where Kind is Arisen.
	Finding FindingKind `json:"finding,omitempty"`
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
	FindingArisen     ChangeKind = "finding-arisen"
)
