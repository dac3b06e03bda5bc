// Package catalog serves the inventory: lists, one application, counts, scans on request,
// and acceptances.
//
// Findings are computed when they are read, from the row, the moment, the records of the
// connections, and what was accepted. A list in the order of ends without another filter costs
// what is on its page: a range query in each partition, and the rows of the page. Any other
// filter reads all rows of the tenants that it asks about.
package catalog

import (
	"context"

	"rekey/shared/inventory"
)

// Row is an application with what was accepted about it.
type Row struct {
	inventory.Application
	Accepted []inventory.Acceptance
}

// Store reads what package scan writes, and keeps acceptances. A row that cannot be read is left
// out of a list; then there is an error beside the others, or at the end, that has a method
// LeftOut() int.
type Store interface {
	// Tenants returns all tenants that have an inventory, by id.
	Tenants(ctx context.Context) ([]inventory.Tenant, error)
	// Tenant returns one of them; [serviceerror.ErrNotFound] if there is none.
	Tenant(ctx context.Context, tenantID string) (inventory.Tenant, error)
	// Row returns one application; [serviceerror.ErrNotFound] if there is none.
	Row(ctx context.Context, key inventory.Key) (Row, error)
	// Rows calls visit with every row of a tenant, in no order.
	Rows(ctx context.Context, tenantID string, visit func(Row) error) error
	// Ending returns up to limit of the [Ends] of all applications, in the order of [End.Compare].
	// It costs a range query in each partition, and more only where many of them lie in one.
	Ending(ctx context.Context, q EndQuery, limit int) (ends []End, more bool, err error)
	// Accept changes the acceptances of an application, conditional on what was read:
	// [serviceerror.ErrNotFound] if there is no such application, [serviceerror.ErrConflict] if another
	// caller changed them at the same time.
	Accept(ctx context.Context, key inventory.Key, change func([]inventory.Acceptance) ([]inventory.Acceptance, error)) error
	// Scan returns a scan: the tenant's last one, or a finished one; [serviceerror.ErrNotFound].
	Scan(ctx context.Context, scanID string) (inventory.Scan, error)
	// Scans returns the finished scans of a tenant, the newest first.
	Scans(ctx context.Context, tenantID string, limit int) ([]inventory.Scan, error)
}

// Managers tells which connections and targets have to do with applications.
type Managers interface {
	// Of returns the managers of some applications: those whose claims are on them, and those that a
	// marker of one of their credentials names. It costs reads for each application. known is false
	// where a record could not be read. What only signs in as an application without a client
	// secret is left out.
	Of(ctx context.Context, apps []inventory.Application) (managers map[inventory.Key][]inventory.Manager, known bool, err error)
	// All returns those of every application of a tenant, by client id.
	All(ctx context.Context, tenantID string) (managers map[string][]inventory.Manager, known bool, err error)
}

// Scanner begins scans; see package scan.
type Scanner interface {
	// Request asks for a scan of the connection's tenant, and begins it: it returns the one that is
	// under way if there is one. The timer does what is left of it.
	Request(ctx context.Context, in Request) (inventory.Scan, error)
}

// Request asks for a scan.
type Request struct {
	ConnectionID string
	TenantID     string // the connection's
	Daily        *bool  // nil: as it is; true where the tenant is new
	By           string
	Caller       string // the same for the log: without what the directory calls a person
	From         string // where the request came from, for the log
	// Random is what the id of a new scan is made of (see [inventory.ScanID]), so that a request
	// that comes again is known by it; empty: it is drawn.
	Random string
}
