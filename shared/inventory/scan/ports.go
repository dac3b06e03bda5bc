// Package scan reads a tenant's directory and keeps the rows of its inventory.
//
// A scan goes through the lists of [inventory.Lists] page by page, under a lease on the tenant's
// row. Each page is kept in the transaction that moves the cursor behind it, so that a scan which
// dies goes on at that page, and a second one that runs at once loses its commit and stops. When
// all pages are there, it puts them together and compares that with the rows, so many applications
// at a time as fit into memory. What it found in a part ([inventory.Result]) is committed before a
// row of that part is written: a scan that dies while writing does the same writes again, and
// finds the same. The last commit says that the rows show this scan, and tells of what has arisen.
//
// An application that no list showed is looked for by its client id before its row is deleted,
// since a list that is read while the directory changes may leave one out.
//
// Where its connection is gone, a scan goes on through another one of the tenant.
//
// A list that is refused for want of a permission is marked as unread; what is known of that
// part stays. Without the list of applications a scan fails, and changes no row.
//
// docs/promises.md has the order of its writes.
package scan

import (
	"context"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
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
// person has to act: also if the connection is one of another tenant by now, or gone.
type Actors interface {
	TokenIn(ctx context.Context, connectionID, tenantID string) (rotation.Token, error)
}

// Connections knows connections. Its errors are for the caller.
type Connections interface {
	// TenantOf returns the tenant that a connection signs in to, in lower case.
	TenantOf(ctx context.Context, connectionID string) (tenantID string, err error)
}

// Store keeps tenants, the pages of scans that are under way, and the rows of applications. It
// is strongly consistent, and every write of a tenant is conditional on its Handle:
// [serviceerror.ErrConflict] if the row is another one now. After any other error of a write its
// outcome is unknown; the caller reads again.
type Store interface {
	// Tenant returns a tenant with its Handle; [serviceerror.ErrNotFound] if there is none.
	Tenant(ctx context.Context, tenantID string) (inventory.Tenant, error)
	// Commit writes t, and moves its due row to t.WakeAt, in one transaction with what w has. The
	// caller raises t.Version with every commit. A tenant without a Handle is created;
	// [serviceerror.ErrConflict] if it is there. It returns t with the Handle for the next write,
	// and with WakeAt in whole seconds, rounded up.
	Commit(ctx context.Context, t inventory.Tenant, w Write) (inventory.Tenant, error)
	// Pages calls visit with the pages of a scan in the order of their numbers. It fails where one
	// cannot be read: without it applications would look as if they were gone.
	Pages(ctx context.Context, scanID string, visit func(number int, list inventory.List, apps []inventory.Application) error) error
	// DropPages deletes the pages of every scan of the tenant but keep, which may be empty.
	DropPages(ctx context.Context, tenantID, keep string) error
	// Rows is that of [catalog.Store]. A row that it leaves out [Store.Put] writes anew.
	Rows(ctx context.Context, tenantID string, visit func(catalog.Row) error) error
	// Put writes rows of applications and deletes others, with their rows by end and what was
	// accepted about them, and returns how many rows that were. Each application is written as a
	// whole or not at all, unless it has more than about 95 credentials: then its rows by end may be
	// ahead of its row until Put is done again. Doing it again does no harm, and writes nothing that
	// is there already. After an error rows counts what was written before.
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

// KeptPage is a page of a list under its number within the scan. It takes the place of one that has
// that number already.
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

// Observer sees what scans do, for metrics and traces. What Pass returns is called at the end of
// the pass; the context goes to everything in between.
type Observer interface {
	Pass(ctx context.Context, tenantID string) (context.Context, func(error))
	// Read is told of each request for a list, or what is asked after the lists; class is empty if
	// it succeeded.
	Read(ctx context.Context, list inventory.List, class serviceerror.Class)
	// Ended is told of each scan that has ended: it is the tenant's last.
	Ended(ctx context.Context, t inventory.Tenant)
}
