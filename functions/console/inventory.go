package console

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/inventory"
	"rekey/shared/page"
)

const inventories = secrets + "/inventory"

// item is an application of the inventory.
type item struct {
	TenantID, ClientID, Name string
	Disabled                 bool
	EndsAt                   *time.Time
	Findings                 []finding
	ManagedBy                []struct {
		ConnectionID string
		TargetID     *string
		Name         string
		Rotates      bool
	}
	Owners []struct {
		ID                  string
		Name, PrincipalName *string
	}
	MoreOwners           bool
	Credentials          []credential
	MoreCredentials      int
	FederatedCredentials []struct{ Name, Issuer, Subject *string }
	Audience             *string
	Unread               []string
	FirstSeenAt          time.Time
	ChangedAt            time.Time
}

type finding struct {
	Finding  string
	KeyID    *string
	Advice   string
	Accepted *struct {
		Reason, By string
		Until      time.Time
	}
}

type credential struct {
	KeyID, Kind, Of              string
	Name, Hint, Thumbprint       *string
	StartsAt, EndsAt, LastUsedAt *time.Time
}

type tenant struct {
	TenantID, ConnectionID string
	AsOf                   *time.Time
	Complete               bool
	Unread                 []struct{ List, Message string }
}

// findingWords is what findings are called, and how pressing they are.
var findingWords = map[inventory.FindingKind]struct {
	tone page.Tone
	text string
}{
	inventory.EndsIn7Days: {page.Bad, "ends within 7 days"}, inventory.OwnerlessEnding: {page.Bad, "ends, and has no owner"},
	inventory.EndsIn30Days: {page.Warn, "ends within 30 days"}, inventory.Orphan: {page.Bad, "orphan of Rekey"},
	inventory.Expired: {page.Warn, "expired"}, inventory.EndsIn90Days: {page.Calm, "ends within 90 days"},
	inventory.NeverEnds: {page.Warn, "never ends"}, inventory.TooLong: {page.Calm, "lives too long"}, inventory.Unused: {page.Calm, "unused"},
	inventory.Ownerless: {page.Warn, "no owner"}, inventory.DisabledFinding: {page.Calm, "disabled"},
	inventory.SeveralSecrets: {page.Calm, "several client secrets"}, inventory.FederatedAlready: {page.Calm, "federated already"},
	inventory.RoomForOne: {page.Calm, "room for two client secrets only"}, inventory.Incomplete: {page.Calm, "not read completely"},
	inventory.Managed: {page.Good, "managed"},
}

func findingBadge(kind string) g.Node {
	if w, ok := findingWords[inventory.FindingKind(kind)]; ok {
		return page.Badge(w.tone, w.text)
	}
	return page.Badge(page.Calm, kind)
}

// inventoryList lists what expires, the next end first.
func inventoryList(v *visit) error {
	q := v.URL.Query()
	ask := url.Values{"limit": {perPage}}
	for _, name := range []string{"finding", "tenantId", "owner", "text"} {
		if text := strings.TrimSpace(q.Get(name)); text != "" {
			ask.Set(name, text)
		}
	}
	if filtered := len(ask) > 1; !filtered && q.Get("all") == "" {
		ask.Set("endsAfter", v.now.UTC().Format(time.RFC3339))
	}
	if cursor := q.Get("cursor"); cursor != "" {
		ask.Set("cursor", cursor)
	}
	var list struct {
		Applications []item
		Tenants      []tenant
		NextCursor   string
	}
	if err := v.api.get(inventories, ask, &list); err != nil {
		return err
	}
	main := []g.Node{v.asOf(list.Tenants), v.inventoryFilters(q)}
	ask.Del("cursor")
	ask.Del("limit")
	switch {
	case len(list.Tenants) == 0:
		main = append(main, page.Notice(page.Calm,
			h.P(g.Text("No tenant was scanned yet. A scan reads applications through a connection that may read them "+
				"(Application.Read.All), and changes nothing.")), v.firstScan()))
	case len(list.Applications) == 0:
		main = append(main, h.P(g.Text("No application fits.")))
	default:
		main = append(main, v.items(list.Applications))
	}
	main = append(main, more(v, list.NextCursor), h.P(page.Link(to("inventory", "csv").With(ask), "The same as CSV")))
	main = append(main, g.Map(list.Tenants, v.scanAgain))
	if len(list.Tenants) > 0 && v.caller.Role.Allows(auth.Write) {
		main = append(main, h.Details(h.Summary(g.Text("Scan another tenant")), v.scanForm(nil)))
	}
	return v.show(v.document("inventory", "Inventory", main...))
}

// inventoryCSV is the list as a file, all pages of it.
func inventoryCSV(v *visit) error {
	ask := url.Values{"format": {"csv"}, "limit": {"1000"}}
	for _, name := range []string{"finding", "tenantId", "owner", "text", "endsAfter", "endsBefore"} {
		if text := v.URL.Query().Get(name); text != "" {
			ask.Set(name, text)
		}
	}
	var all bytes.Buffer // a file of which the end is missing would look complete
	for {
		lines, next, err := v.api.file(inventories, ask)
		if err != nil {
			return err
		}
		if all.Len() > 0 { // each page has the header row
			if _, rest, ok := bytes.Cut(lines, []byte("\n")); ok {
				lines = rest
			}
		}
		all.Write(lines)
		if next == "" {
			break
		}
		ask.Set("cursor", next)
	}
	v.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	v.w.Header().Set("Content-Disposition", `attachment; filename="inventory.csv"`)
	write(v.w, v.Request, all.Bytes())
	return nil
}

// asOf says how old and how complete the inventory is.
func (v *visit) asOf(tenants []tenant) g.Node {
	return g.Map(tenants, func(t tenant) g.Node {
		if t.AsOf == nil {
			return page.Notice(page.Warn, h.P(g.Text("Tenant "+t.TenantID+": the first scan has not come to its end yet.")))
		}
		if t.Complete {
			return h.P(h.Class("note"), g.Text("Tenant "+t.TenantID+", complete, as of "), v.when(*t.AsOf), g.Text("."))
		}
		return page.Notice(page.Warn, h.P(g.Text("Tenant "+t.TenantID+", as of "), v.when(*t.AsOf), g.Text(". Not everything could be read:")),
			h.Ul(g.Map(t.Unread, func(u struct{ List, Message string }) g.Node {
				return h.Li(g.Text(u.List + ": " + sentence(u.Message)))
			})))
	})
}

func (v *visit) inventoryFilters(q url.Values) g.Node {
	kinds := []g.Node{h.Option(h.Value(""), g.Text("any"))}
	for _, kind := range inventory.Kinds {
		kinds = append(kinds, h.Option(h.Value(string(kind)), g.If(q.Get("finding") == string(kind), h.Selected()),
			g.Text(findingWords[kind].text)))
	}
	return h.Form(h.Class("filters"), h.Role("search"), to("inventory").Action(),
		h.Label(g.Text("Finding"), h.Select(h.Name("finding"), g.Group(kinds))),
		h.Label(g.Text("Owner"), h.Input(h.Name("owner"), h.Value(q.Get("owner")))),
		h.Label(g.Text("Name, client id or credential"), h.Input(h.Type("search"), h.Name("text"), h.Value(q.Get("text")))),
		h.Label(g.Text("Tenant"), h.Input(h.Name("tenantId"), h.Value(q.Get("tenantId")))),
		h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("all"), h.Value("true"), g.If(q.Get("all") != "", h.Checked())),
			g.Text("also what has ended")),
		h.Button(h.Type("submit"), h.Class("plain"), g.Text("Filter")))
}

func (v *visit) items(list []item) g.Node {
	rows := make([][]g.Node, len(list))
	for i, a := range list {
		rows[i] = []g.Node{page.Link(to("inventory", a.TenantID, a.ClientID), orNone(a.Name, a.ClientID)), v.maybe(a.EndsAt, "never"),
			kinds(a.Findings), g.Text(owners(&a)),
			g.Text(strconv.Itoa(len(a.Credentials) + a.MoreCredentials))}
	}
	return page.Table("inventory", "Applications, what ends next first",
		[]page.Column{{Name: "Application", Wide: true}, {Name: "Ends next", Wide: true}, {Name: "Findings"}, {Name: "Owners"},
			{Name: "Credentials", Number: true}}, rows)
}

// kinds shows each kind of finding once, the most pressing first, with how often there is one.
func kinds(findings []finding) g.Node {
	var order []string
	times := map[string]int{}
	for _, f := range findings {
		if f.Accepted != nil {
			continue
		}
		if times[f.Finding]++; times[f.Finding] == 1 {
			order = append(order, f.Finding)
		}
	}
	return g.Map(order, func(kind string) g.Node {
		more := ""
		if n := times[kind]; n > 1 {
			more = " ×" + strconv.Itoa(n)
		}
		return g.Group{findingBadge(kind), g.Text(more + " ")}
	})
}

// owners names the first owners.
func owners(a *item) string {
	var names []string
	for _, o := range a.Owners {
		names = append(names, text(o.Name, text(o.PrincipalName, o.ID)))
	}
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > 2:
		return strings.Join(names[:2], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
