package connections

import (
	"context"
	"strings"
	"time"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// What expires in the tenants: package catalog computes it, these are its addresses.
const (
	inventories = app + "/inventory"
	scans       = inventories + "/scans"
	application = inventories + "/{tenantId}/{clientId}"
	acceptance  = application + "/accept"
)

// Accepting a finding hides a risk from all others who look at the inventory, and from its notices.
// So it takes the role that reads the audit, and not the one that pipelines have. Scans read the
// tenant and change nothing there.
var inventoryRoutes = []route{
	{"GET", inventories, auth.Read, (*Handler).inventory},
	{"GET", inventories + "/summary", auth.Read, (*Handler).summary},
	{"GET", scans, auth.Read, (*Handler).scans},
	{"POST", scans, auth.Write, (*Handler).requestScan},
	{"GET", scans + "/{scanId}", auth.Read, (*Handler).scan},
	{"GET", application, auth.Read, (*Handler).application},
	{"POST", application + "/adopt", auth.Write, (*Handler).adopt},
	{"POST", acceptance, auth.Admin, (*Handler).accept},
	{"DELETE", acceptance, auth.Admin, (*Handler).takeBack},
}

// Inventory is what expires in the tenants, and what was accepted of it.
type Inventory interface {
	List(ctx context.Context, q catalog.Query) (catalog.Page, error)
	Get(ctx context.Context, key inventory.Key) (catalog.Item, inventory.Tenant, error)
	Summarize(ctx context.Context, tenantID string) ([]catalog.Summary, error)
	Ends(ctx context.Context, from, to time.Time) (ends []catalog.End, whole bool, err error)
	Accept(ctx context.Context, key inventory.Key, in catalog.Acceptance) (catalog.Item, inventory.Tenant, error)
	TakeBack(ctx context.Context, key inventory.Key, in catalog.Acceptance) (catalog.Item, inventory.Tenant, error)
	Scans
}

// Scans read a tenant.
type Scans interface {
	Scan(ctx context.Context, id string) (inventory.Scan, error)
	Scans(ctx context.Context, tenantID string, limit int) ([]inventory.Scan, error)
	RequestScan(ctx context.Context, in catalog.Request) (inventory.Scan, error)
}

// key is the application that the path names.
func (r *request) key() (inventory.Key, error) {
	key := inventory.Key{TenantID: strings.ToLower(r.params["tenantId"]), ClientID: strings.ToLower(r.params["clientId"])}
	if !connection.ValidID(key.TenantID) || !connection.ValidID(key.ClientID) {
		return key, badRequest("The address has to have the tenant's id and the application's client id, both UUIDs.")
	}
	return key, nil
}

// guid reads a query parameter that is a GUID.
func (r *request) guid(name string) (string, error) {
	id := strings.ToLower(strings.TrimSpace(r.URL.Query().Get(name)))
	if id != "" && !connection.ValidID(id) {
		return "", badRequest("%s must be a UUID.", name)
	}
	return id, nil
}

// moment reads a query parameter that is a moment.
func (r *request) moment(name string) (at time.Time, err error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return at, nil
	}
	return moment(name, text)
}

func moment(name, text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	if err != nil {
		return at, badRequest("%s must be a moment as in RFC 3339, such as 2027-01-31T00:00:00Z.", name)
	}
	return at, nil
}

// The forms that the list has.
const (
	formJSON = "json"
	formCSV  = "csv"
)

// inventory lists applications by the time that they have left.
func (h *Handler) inventory(r *request) (any, error) {
	values := r.URL.Query()
	form := values.Get("format")
	if form != "" && form != formJSON && form != formCSV {
		return nil, badRequest("format must be %s or %s.", formJSON, formCSV)
	}
	q, err := r.inventoryQuery()
	if err != nil {
		return nil, err
	}
	page, err := h.Inventory.List(r.Context(), q)
	if err != nil {
		return nil, err
	}
	if form == formCSV {
		return r.csv(&page), nil
	}
	views := make([]itemView, 0, len(page.Items))
	for i := range page.Items {
		views = append(views, viewOfItem(&page.Items[i]))
	}
	return listing{"applications": views, "tenants": viewOfTenants(page.Tenants), "unreadableRows": page.LeftOut}.next(page.Next), nil
}

func (r *request) inventoryQuery() (q catalog.Query, err error) {
	values := r.URL.Query()
	q = catalog.Query{
		Finding: inventory.FindingKind(values.Get("finding")), Owner: values.Get("owner"), Text: values.Get("text"), Cursor: values.Get("cursor"),
	}
	if q.Limit, err = r.whole("limit", catalog.DefaultLimit, catalog.MaxLimit); err != nil {
		return q, err
	}
	if q.TenantID, err = r.guid("tenantId"); err != nil {
		return q, err
	}
	if q.EndsAfter, err = r.moment("endsAfter"); err != nil {
		return q, err
	}
	if q.EndsBefore, err = r.moment("endsBefore"); err != nil {
		return q, err
	}
	if q.IncludeAccepted, err = r.flag("includeAccepted"); err != nil {
		return q, err
	}
	q.OnlyAccepted, err = r.flag("onlyAccepted")
	return q, err
}

// application shows one application, with everything that was accepted about it.
func (h *Handler) application(r *request) (any, error) {
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	return oneItem(h.Inventory.Get(r.Context(), key))
}

func oneItem(item catalog.Item, t inventory.Tenant, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	v := applicationItemView{viewOfItem(&item), []acceptanceView{}}
	for i := range item.Accepted {
		v.Acceptances = append(v.Acceptances, viewOfAcceptance(&item.Accepted[i]))
	}
	return map[string]any{"application": v, "tenant": viewOfTenant(&t)}, nil
}

// summary counts what the tenants have.
func (h *Handler) summary(r *request) (any, error) {
	tenantID, err := r.guid("tenantId")
	if err != nil {
		return nil, err
	}
	all, err := h.Inventory.Summarize(r.Context(), tenantID)
	if err != nil {
		return nil, err
	}
	views := make([]summaryView, 0, len(all))
	for i := range all {
		views = append(views, viewOfSummary(&all[i]))
	}
	return map[string]any{"tenants": views}, nil
}
