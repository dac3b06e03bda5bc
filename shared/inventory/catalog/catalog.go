package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// Catalog serves the inventory. Its errors are of type [*connection.Error]. Its fields are set
// once; Now and Log may be left out.
type Catalog struct {
	Store      Store
	Managers   Managers
	Scanner    Scanner
	Deployment string           // of Rekey, in its markers
	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil: slog.Default()
}

// Item is an application as it is now.
type Item struct {
	Row
	EndsAt   time.Time // see [inventory.Application.EndsAt]
	Findings []inventory.Finding
	Managers []inventory.Manager
}

// Get returns one application, and the tenant that it is in.
func (c *Catalog) Get(ctx context.Context, key inventory.Key) (Item, inventory.Tenant, error) {
	t, err := c.tenant(ctx, key.TenantID)
	if err != nil {
		return Item{}, t, err
	}
	row, err := c.Store.Row(ctx, key)
	if errors.Is(err, serviceerror.ErrNotFound) {
		return Item{}, t, errNoApplication
	}
	if err != nil {
		return Item{}, t, c.explain(ctx, "reading the application", err)
	}
	managers, known, err := c.Managers.Of(ctx, []inventory.Application{row.Application})
	if err != nil {
		return Item{}, t, c.explain(ctx, "reading the connections", err)
	}
	return c.item(row, &t, managers[key], known, c.now()), t, nil
}

// item computes what depends on the moment.
func (c *Catalog) item(row Row, t *inventory.Tenant, managers []inventory.Manager, known bool, now time.Time) Item {
	row.Application = inventory.Since(row.Application, t.AsOf, managers)
	return Item{
		Row: row, EndsAt: row.EndsAt(now), Managers: managers,
		Findings: inventory.Findings(now, &row.Application, facts(t, c.Deployment, managers, known), row.Accepted),
	}
}

// facts are what findings in a tenant rest on. Whether owners could be read, each application says.
func facts(t *inventory.Tenant, deployment string, managers []inventory.Manager, known bool) inventory.Facts {
	unread := slices.ContainsFunc(t.Unread, func(u inventory.Unread) bool { return u.List == inventory.Activity })
	return inventory.Facts{
		Deployment: deployment, AsOf: t.AsOf, Longest: t.Longest, Activity: !unread, Owners: true, Known: known, Managers: managers,
	}
}

// tenant returns a tenant that has an inventory.
func (c *Catalog) tenant(ctx context.Context, id string) (inventory.Tenant, error) {
	t, err := c.Store.Tenant(ctx, id)
	if errors.Is(err, serviceerror.ErrNotFound) {
		return t, errNoTenant
	}
	if err != nil {
		return t, c.explain(ctx, "reading the tenant", err)
	}
	return t, nil
}

// tenants returns one tenant, or all of them if id is empty.
func (c *Catalog) tenants(ctx context.Context, id string) ([]inventory.Tenant, error) {
	if id != "" {
		t, err := c.tenant(ctx, id)
		return []inventory.Tenant{t}, err
	}
	all, err := c.Store.Tenants(ctx)
	if _, err := c.readable(ctx, err); err != nil {
		return nil, c.explain(ctx, "reading the tenants", err)
	}
	return all, nil
}

// readable takes from the error of a list what says that rows were left out, and how many.
func (c *Catalog) readable(ctx context.Context, err error) (leftOut int, _ error) {
	some, ok := errors.AsType[interface {
		error
		LeftOut() int
	}](err)
	if !ok {
		return 0, err
	}
	c.warnLeftOut(ctx, some.LeftOut())
	return some.LeftOut(), nil
}

func (c *Catalog) warnLeftOut(ctx context.Context, rows int) {
	c.log().WarnContext(ctx, "rows of the inventory left out: they can't be read, as after a rollback", "rows", rows)
}

var (
	errNoTenant = &connection.Error{Kind: connection.NotFound,
		Message: "There is no inventory of this tenant. Ask for a scan of it: POST .../azure-client-secrets/inventory/scans."}
	errNoApplication = &connection.Error{Kind: connection.NotFound,
		Message: "The inventory has no such application. If it is new, ask for a scan: POST .../azure-client-secrets/inventory/scans."}
	errNoScan = &connection.Error{Kind: connection.NotFound, Message: "There is no such scan, or it is no longer kept."}
)

func invalid(format string, args ...any) *connection.Error {
	return &connection.Error{Kind: connection.Invalid, Message: fmt.Sprintf(format, args...)}
}

// explain turns an error of the table into one for the caller.
func (c *Catalog) explain(ctx context.Context, doing string, err error) error {
	return connection.ExplainStore(ctx, c.log(), doing, err)
}

func (c *Catalog) log() *slog.Logger { return cmp.Or(c.Log, slog.Default()) }

func (c *Catalog) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}
