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
	"time"

	"rekey/shared/inventory"
)

// Row is an application with what was accepted about it.
type Row struct {
	inventory.Application
	Accepted []inventory.Acceptance
}

// Store reads what package scan writes, and keeps acceptances.
type Store interface {
	// Tenants returns all tenants that have an inventory, by id.
	Tenants(ctx context.Context) ([]inventory.Tenant, error)
	// Row returns one application; [serviceerror.ErrNotFound] if there is none.
	Row(ctx context.Context, key inventory.Key) (Row, error)
	// Rows calls visit with every row of a tenant, in no order.
	Rows(ctx context.Context, tenantID string, visit func(Row) error) error
	// Ending returns up to limit ends of credentials at or after q.From and before q.To, in order.
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

// EndQuery is a range of ends.
type EndQuery struct {
	TenantID string // empty: of all tenants
	From, To time.Time
	After    *End // where to go on, behind this one
}

// End is the end of a credential, as the order of ends has it. What never ends, and an
// application without credentials, stands at [Never].
type End struct {
	At time.Time // whole seconds
	inventory.Key
	KeyID string // empty: the application has no credential
}

// Never is where in the order of ends stands what does not end.
var Never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Managers tells which connections and targets have to do with applications.
type Managers interface {
	// Of returns the managers of some applications. known is false where a record could not be read.
	Of(ctx context.Context, keys []inventory.Key) (managers map[inventory.Key][]inventory.Manager, known bool, err error)
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
	Daily        *bool // nil: as it is; true where the tenant is new
	By           string
}
