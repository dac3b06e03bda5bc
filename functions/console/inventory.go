package console

import (
	"bytes"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/inventory"
	"rekey/shared/page"
	"rekey/shared/session"
)

const inventories = secrets + "/inventory"

// item is an application of the inventory.
type item struct {
	TenantID, ClientID, Name string
	ObjectID                 *string // nil: it is registered in another tenant
	ServicePrincipalID       *string
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
		ID                        string
		Kind, Name, PrincipalName *string
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
	ScanUnderWay           *string
	Unread                 []struct{ List, Message string }
}

// toned is a word for something, and how pressing that is.
type toned struct {
	tone page.Tone
	text string
}

// findingWords is what findings are called, and how pressing they are.
var findingWords = map[inventory.FindingKind]toned{
	inventory.EndsIn7Days: {page.Bad, "ends within 7 days"}, inventory.OwnerlessEnding: {page.Bad, "ends, and has no owner"},
	inventory.EndsIn30Days: {page.Warn, "ends within 30 days"}, inventory.Orphan: {page.Bad, "left behind by Rekey"},
	inventory.Expired: {page.Warn, "expired"}, inventory.EndsIn90Days: {page.Calm, "ends within 90 days"},
	inventory.NeverEnds: {page.Warn, "never ends"}, inventory.TooLong: {page.Calm, "lives too long"}, inventory.Unused: {page.Calm, "unused"},
	inventory.Ownerless: {page.Warn, "no owner"}, inventory.DisabledFinding: {page.Calm, "disabled"},
	inventory.SeveralSecrets: {page.Calm, "several client secrets"}, inventory.FederatedAlready: {page.Calm, "federated already"},
	inventory.RoomForOne: {page.Calm, "room for two client secrets only"}, inventory.Incomplete: {page.Calm, "not read completely"},
	inventory.Managed: {page.Good, "managed"},
}

func findingBadge(kind string) g.Node { return findingBadges(kind, 1) }

func wordsOfFinding(kind string) toned {
	if w, ok := findingWords[inventory.FindingKind(kind)]; ok {
		return w
	}
	return toned{page.Calm, strings.ReplaceAll(kind, "-", " ")} // of a newer API
}

// findingBadges is a badge for so many findings of a kind.
func findingBadges(kind string, times int) g.Node {
	w := wordsOfFinding(kind)
	if times > 1 {
		w.text += "\u00a0×" + strconv.Itoa(times)
	}
	return page.Badge(w.tone, w.text)
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
	askAccepted(ask, q)
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
				"(Application.Read.All), and changes nothing.")), v.scanForms(nil)))
	case len(list.Applications) == 0:
		main = append(main, h.P(g.Text("No application fits these filters. "), page.Link(to("inventory"), "All that has an end ahead")))
	default:
		main = append(main, v.items(list.Applications))
	}
	main = append(main, more(v, list.NextCursor), h.P(page.Link(to("inventory", "csv").With(ask), "The same as CSV")))
	if len(list.Tenants) > 0 {
		main = append(main, v.scanForms(list.Tenants))
	}
	return v.show(v.document("inventory", "Inventory", main...))
}

// inventoryCSV is the list as a file, all pages of it.
func inventoryCSV(v *visit) error {
	ask := url.Values{"format": {"csv"}, "limit": {"1000"}}
	for _, name := range []string{"finding", "tenantId", "owner", "text", "endsAfter", "endsBefore", "includeAccepted", "onlyAccepted"} {
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
			return page.Notice(page.Warn, h.P(g.Text("Tenant "+t.TenantID+": the first scan has not come to its end yet.")), v.scanning(t))
		}
		if t.Complete {
			return g.Group{h.P(h.Class("note"), g.Text("Tenant "+t.TenantID+", read completely "), v.when(*t.AsOf), g.Text(".")), v.scanning(t)}
		}
		return page.Notice(page.Warn, h.P(g.Text("Tenant "+t.TenantID+", read "), v.when(*t.AsOf), g.Text(". Not everything could be read:")),
			v.scanning(t),
			h.Ul(g.Map(t.Unread, func(u struct{ List, Message string }) g.Node {
				return h.Li(g.Text(wordOf(listWords, u.List) + ": " + sentence(u.Message)))
			})))
	})
}

// scanning says that a scan of the tenant is under way, what is shown meanwhile, and where to look.
func (v *visit) scanning(t tenant) g.Node {
	if t.ScanUnderWay == nil {
		return nil
	}
	return h.P(g.Text("A scan of the tenant is under way; until its end this is what the one before has found. "),
		page.Link(to("inventory", "scans", *t.ScanUnderWay), "How far it is"), g.Text(" "),
		page.Link(page.Here(session.Back(v.here())), "Look again"))
}

// acceptedOptions say what becomes of findings that were accepted.
var acceptedOptions = [][2]string{{"", "don't count"}, {"too", "count, too"}, {"only", "only those"}}

// askAccepted asks the API for what was accepted as the filter says.
func askAccepted(ask, q url.Values) {
	switch q.Get("accepted") {
	case "too":
		ask.Set("includeAccepted", "true")
	case "only":
		ask.Set("onlyAccepted", "true")
	}
}

func (v *visit) inventoryFilters(q url.Values) g.Node {
	kinds := []g.Node{h.Option(h.Value(""), g.Text("any"))}
	for _, kind := range inventory.Kinds {
		kinds = append(kinds, h.Option(h.Value(string(kind)), g.If(q.Get("finding") == string(kind), h.Selected()),
			g.Text(findingWords[kind].text)))
	}
	return h.Form(h.Class("filters"), h.Role("search"), to("inventory").Action(),
		h.Label(g.Text("Finding"), h.Select(h.Name("finding"), g.Group(kinds))),
		h.Label(g.Text("Accepted findings"), h.Select(h.Name("accepted"), g.Map(acceptedOptions, func(o [2]string) g.Node {
			return h.Option(h.Value(o[0]), g.If(q.Get("accepted") == o[0], h.Selected()), g.Text(o[1]))
		}))),
		h.Label(g.Text("Owner"), h.Input(h.Name("owner"), h.Value(q.Get("owner")))),
		h.Label(g.Text("Name, client id or credential"), h.Input(h.Type("search"), h.Name("text"), h.Value(q.Get("text")))),
		h.Label(g.Text("Tenant"), h.Input(h.Name("tenantId"), h.Value(q.Get("tenantId")))),
		h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("all"), h.Value("true"), g.If(q.Get("all") != "", h.Checked())),
			g.Text("also what has ended")),
		h.Button(h.Type("submit"), h.Class("plain"), g.Text("Filter")))
}

func (v *visit) items(list []item) g.Node {
	q := v.URL.Query()
	rows := make([][]g.Node, len(list))
	for i, a := range list {
		rows[i] = []g.Node{page.Link(to("inventory", a.TenantID, a.ClientID), orNone(a.Name, a.ClientID)), v.maybe(a.EndsAt, "never"),
			kinds(a.Findings, q.Get("accepted") != ""), g.Text(owners(&a, 2)),
			g.Text(strconv.Itoa(len(a.Credentials) + a.MoreCredentials))}
	}
	return page.Table("inventory", "Applications, what ends next first",
		[]page.Column{{Name: "Application", Wide: true}, {Name: "Ends next", Wide: true}, {Name: "Findings"}, {Name: "Owners"},
			{Name: "Credentials", Number: true}}, rows)
}

// kinds shows each kind of finding once, the most pressing first, with how often there is one. What was
// accepted comes last, if it is to be shown.
func kinds(findings []finding, accepted bool) g.Node {
	var order, quiet []string
	times := map[string]int{}
	for _, f := range findings {
		switch {
		case f.Accepted == nil:
			if times[f.Finding]++; times[f.Finding] == 1 {
				order = append(order, f.Finding)
			}
		case accepted && !slices.Contains(quiet, f.Finding):
			quiet = append(quiet, f.Finding)
		}
	}
	return g.Group{g.Map(order, func(kind string) g.Node { return g.Group{findingBadges(kind, times[kind]), g.Text(" ")} }),
		g.Map(quiet, func(kind string) g.Node {
			return g.Group{page.Badge(page.Calm, "accepted: "+wordsOfFinding(kind).text), g.Text(" ")}
		})}
}

// owners names the first owners. One that is an application is no person to ask.
func owners(a *item, most int) string {
	var names []string
	for _, o := range a.Owners {
		name := text(o.Name, text(o.PrincipalName, o.ID))
		switch {
		case a.ServicePrincipalID != nil && o.ID == *a.ServicePrincipalID:
			name = "the application itself"
		case o.Kind != nil && *o.Kind != "user":
			name += " (an application)"
		}
		names = append(names, name)
	}
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most || a.MoreOwners:
		return strings.Join(names[:min(most, len(names))], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
