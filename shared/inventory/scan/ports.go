// Package scan reads a tenant's directory and keeps the rows of its inventory.
//
// A scan goes through the lists of [inventory.Lists] page by page, under a lease on the tenant's
// row. Each page is kept in the transaction that moves the cursor behind it, so that a scan which
// dies goes on at that page, and a second one that runs at once loses its commit and stops. When
// all pages are there, it puts them together, compares that with the rows, and commits what it
// found ([inventory.Result]) before it writes a row: a scan that dies while writing does the same
// writes again, and finds the same. The last commit says that the rows show this scan, tells of what has
// arisen, and sets the next wake-up.
//
// An application that no list showed is looked for by its client id before its row is deleted,
// since a list that is read while the directory changes may leave one out.
//
// A list that is refused for want of a permission is marked as unread; what is known of that
// part stays. Without the list of applications a scan fails, and changes no row.
package scan

import (
	"context"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/rotation"
)

// Directory is Microsoft Graph, as far as a scan goes. None of its methods tries twice. Errors
// have class [serviceerror.Permission] where a permission is missing, [serviceerror.Throttled]
// with RetryAfter where Graph said it, or [serviceerror.Transient].
type Directory interface {
	// Page reads the page of a list at cursor, which is empty for the first one. What it returns
	// of an application is what that list knows of it; TenantID is the caller's to set. A cursor that
	// Graph takes no more is refused with class [serviceerror.Invalid].
	Page(ctx context.Context, token rotation.Token, list inventory.List, cursor string) (inventory.Page, error)
	// Exists looks for an application by its client id.
	Exists(ctx context.Context, token rotation.Token, clientID string) (registration, principal bool, err error)
	// LongestSecret is how long a client secret may live by the tenant's default policy; 0 is
	// without limit.
	LongestSecret(ctx context.Context, token rotation.Token) (time.Duration, error)
}

// Actors signs in as a connection. Its errors have class [serviceerror.ActorRefused] where a
// person has to act.
type Actors interface {
	Token(ctx context.Context, connectionID string) (rotation.Token, error)
}

// Store keeps tenants, the pages of scans that are under way, and the rows of applications. It
// is strongly consistent, and every write of a tenant is conditional on its Handle:
// [serviceerror.ErrConflict] if the row is another one now. After any other error of a write its
// outcome is unknown; the caller reads again.
type Store interface {
	// Tenant returns a tenant with its Handle; [serviceerror.ErrNotFound] if there is none.
	Tenant(ctx context.Context, tenantID string) (inventory.Tenant, error)
	// Commit writes t, and moves its due row to t.WakeAt, in one transaction with what w has. A
	// tenant without a Handle is created; [serviceerror.ErrConflict] if it is there. It returns t
	// with the Handle for the next write.
	Commit(ctx context.Context, t inventory.Tenant, w Write) (inventory.Tenant, error)
	// Pages calls visit with the pages of a scan in the order of their numbers.
	Pages(ctx context.Context, scanID string, visit func(number int, list inventory.List, apps []inventory.Application) error) error
	// DropPages deletes the pages of every scan of the tenant but keep, which may be empty.
	DropPages(ctx context.Context, tenantID, keep string) error
	// Applications calls visit with every row of the tenant, in no order.
	Applications(ctx context.Context, tenantID string, visit func(inventory.Application) error) error
	// Put writes rows of applications and deletes others, with their rows by end, and returns how
	// many rows that were. Each application is written as a whole or not at all; doing it again does no harm.
	Put(ctx context.Context, write []inventory.Application, gone []inventory.Key) (rows int, err error)
	// PruneScans keeps the last keep finished scans of a tenant.
	PruneScans(ctx context.Context, tenantID string, keep int) error
}

// Write is what goes with a commit of a tenant.
type Write struct {
	Page     *KeptPage       // kept with the cursor behind it
	Finished *inventory.Scan // kept among the tenant's finished scans
	Notice   *Notice         // told of, if there is a webhook
}

// KeptPage is a page of a list under its number within the scan.
type KeptPage struct {
	ScanID       string
	Number       int
	List         inventory.List
	Applications []inventory.Application
}

// Notice tells of what a scan found. There is one for a scan at most.
type Notice struct {
	TenantID     string
	ConnectionID string
	ScanID       string
	At           time.Time
	Kind         string // history.InventoryFindings or history.InventoryFailed
	Message      string // the counts and the first names, in words
}

// Managers tells which connections and targets have to do with applications.
type Managers interface {
	// All returns the managers of every application of a tenant, by client id. known is false
	// where some records could not be read.
	All(ctx context.Context, tenantID string) (managers map[string][]inventory.Manager, known bool, err error)
}
