package console

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
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
		main = append(main, page.Notice(page.Calm, h.P(g.Text("No tenant was scanned yet. A scan reads applications through a connection that may read them "+
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
		kinds = append(kinds, h.Option(h.Value(string(kind)), g.If(q.Get("finding") == string(kind), h.Selected()), g.Text(findingWords[kind].text)))
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
		[]page.Column{{Name: "Application", Wide: true}, {Name: "Ends next", Wide: true}, {Name: "Findings"}, {Name: "Owners"}, {Name: "Credentials", Number: true}}, rows)
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

// scanAgain begins a scan of a tenant, through the connection of the last one.
func (v *visit) scanAgain(t tenant) g.Node {
	if t.ConnectionID == "" {
		return nil
	}
	return v.button(auth.Write, to("inventory", "scans"), "Scan tenant "+t.TenantID+" again", "plain",
		h.Input(h.Type("hidden"), h.Name("connectionId"), h.Value(t.ConnectionID)))
}

// firstScan begins the first scan of all, through a connection to choose.
func (v *visit) firstScan() g.Node {
	var list struct{ AppConnections []subject }
	if err := v.api.get(secrets, url.Values{"limit": {perPage}}, &list); err != nil {
		return v.missing("Connections", err)
	}
	return v.scanForm(list.AppConnections)
}

// scanForm begins a scan through a connection; some are offered.
func (v *visit) scanForm(offered []subject) g.Node {
	if !v.caller.Role.Allows(auth.Write) {
		return nil
	}
	return v.form(to("inventory", "scans"), h.Label(h.For("connectionId"), g.Text("Id of the connection to read through")),
		h.Input(h.ID("connectionId"), h.Name("connectionId"), h.Required(), h.AutoComplete("off"), g.Attr("list", "through")),
		h.DataList(h.ID("through"), g.Map(offered, func(s subject) g.Node {
			return h.Option(h.Value(s.ID), g.Text(s.title()+", tenant "+s.tenantID()))
		})),
		h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Scan the tenant"))))
}

func scan(v *visit) error {
	var begun struct{ Scan struct{ ID string } }
	body := object{"connectionId": strings.TrimSpace(v.PostFormValue("connectionId"))}
	if err := v.api.send(http.MethodPost, inventories+"/scans", body, v.once(), &begun); err != nil {
		return err
	}
	v.done(to("inventory", "scans", begun.Scan.ID), "scan")
	return nil
}

// scanPage shows how far a scan is, or what it found.
func scanPage(v *visit) error {
	var found struct {
		Scan struct {
			ID, TenantID, Phase string
			StartedAt           time.Time
			FinishedAt          *time.Time
			Requests            int
			RowsWritten         int
			Problem             *struct{ Message string }
			Result              *struct {
				Applications, Credentials, Added, Changed, Gone int
				Arisen                                          map[string]int
				Changes                                         []struct{ TenantID, ClientID, Name, Change string }
				MoreChanges                                     int
			}
		}
	}
	if err := v.api.get(inventories+"/scans/"+url.PathEscape(v.params["scanId"]), nil, &found); err != nil {
		return err
	}
	s := found.Scan
	under := s.FinishedAt == nil
	nodes := []g.Node{page.Facts(page.Say("Tenant", s.TenantID), page.Say("State", s.Phase), page.Fact{Name: "Began", Value: v.when(s.StartedAt)},
		page.Fact{Name: "Ended", Value: v.maybe(s.FinishedAt, "not yet")}, page.Say("Requests", strconv.Itoa(s.Requests)),
		page.Say("Rows written", strconv.Itoa(s.RowsWritten)))}
	if s.Problem != nil {
		nodes = append(nodes, page.Notice(page.Warn, h.P(g.Text(sentence(s.Problem.Message)))))
	}
	if r := s.Result; r != nil {
		nodes = append(nodes, page.Facts(page.Say("Applications", strconv.Itoa(r.Applications)), page.Say("Credentials", strconv.Itoa(r.Credentials)),
			page.Say("New, different, gone", strconv.Itoa(r.Added)+", "+strconv.Itoa(r.Changed)+", "+strconv.Itoa(r.Gone))))
		rows := make([][]g.Node, len(r.Changes))
		for i, c := range r.Changes {
			rows[i] = []g.Node{page.Link(to("inventory", c.TenantID, c.ClientID), orNone(c.Name, c.ClientID)), g.Text(strings.ReplaceAll(c.Change, "-", " "))}
		}
		if len(rows) > 0 {
			nodes = append(nodes, h.H2(g.Text("What has changed")), page.Table("changes", "Since the scan before",
				[]page.Column{{Name: "Application"}, {Name: "Change"}}, rows))
		}
	}
	return v.show(v.document("scan", "Scan of a tenant", h.Section(g.If(under, g.Attr("data-refresh", "")), g.Group(nodes)),
		h.P(page.Link(to("inventory"), "Inventory"))))
}

// inventoryOne shows one application, and what to do about it.
func inventoryOne(v *visit) error {
	var found struct {
		Application item
		Tenant      tenant
	}
	if err := v.api.get(v.inventoryAt(), nil, &found); err != nil {
		return err
	}
	a := &found.Application
	facts := []page.Fact{page.Say("Tenant", a.TenantID), page.Say("Client id", a.ClientID), page.Say("Owners", owners(a)),
		{Name: "Ends next", Value: v.maybe(a.EndsAt, "never")}}
	if a.Audience != nil {
		facts = append(facts, page.Say("Who may sign in to it", *a.Audience))
	}
	if a.Disabled {
		facts = append(facts, page.Say("Enabled", "no"))
	}
	for _, m := range a.ManagedBy {
		via, id := "", m.ConnectionID
		if m.TargetID != nil {
			via, id = m.ConnectionID, *m.TargetID
		}
		facts = append(facts, page.Fact{Name: "Managed by", Value: page.Link(ownAt(via, id), orNone(m.Name, id))})
	}
	main := []g.Node{v.asOf([]tenant{found.Tenant}), page.Facts(facts...)}
	if len(a.ManagedBy) == 0 {
		main = append(main, h.P(v.link(auth.Write, to("inventory", a.TenantID, a.ClientID, "adopt"), "Adopt: let Rekey rotate it")))
	}
	main = append(main, v.inventoryFindings(a))
	return v.show(v.document("application", orNone(a.Name, a.ClientID), append(main, v.inventoryCredentials(a))...))
}

func (v *visit) inventoryAt(below ...string) string {
	return strings.Join(append([]string{inventories, url.PathEscape(v.params["tenantId"]), url.PathEscape(v.params["clientId"])}, below...), "/")
}

func (v *visit) inventoryFindings(a *item) g.Node {
	if len(a.Findings) == 0 {
		return h.P(g.Text("Nothing is wrong with it."))
	}
	nodes := []g.Node{h.H2(g.Text("Findings"))}
	for _, f := range a.Findings {
		about := ""
		if f.KeyID != nil {
			about = " (credential " + *f.KeyID + ")"
		}
		one := []g.Node{h.P(findingBadge(f.Finding), g.Text(about)), h.P(g.Text(f.Advice))}
		if f.Accepted != nil {
			one = append(one, h.P(h.Class("note"), g.Text("Accepted by "+f.Accepted.By+": "+sentence(f.Accepted.Reason)+" Until "), v.when(f.Accepted.Until)),
				v.button(auth.Admin, to("inventory", a.TenantID, a.ClientID, "reject"), "Let it count again", "plain small",
					h.Input(h.Type("hidden"), h.Name("finding"), h.Value(f.Finding)), h.Input(h.Type("hidden"), h.Name("keyId"), h.Value(text(f.KeyID, "")))))
		} else if f.Finding != string(inventory.Managed) {
			one = append(one, v.acceptForm(a, f))
		}
		nodes = append(nodes, h.Div(h.Class("notice"), g.Group(one)))
	}
	return g.Group(nodes)
}

// acceptForm lets an administrator say that a finding is as it should be.
func (v *visit) acceptForm(a *item, f finding) g.Node {
	if !v.caller.Role.Allows(auth.Admin) {
		return nil
	}
	id := "accept-" + f.Finding + text(f.KeyID, "")
	return h.Details(h.Summary(g.Text("Accept it")), v.form(to("inventory", a.TenantID, a.ClientID, "accept"),
		h.Input(h.Type("hidden"), h.Name("finding"), h.Value(f.Finding)), h.Input(h.Type("hidden"), h.Name("keyId"), h.Value(text(f.KeyID, ""))),
		h.Label(h.For(id+"-reason"), g.Text("Reason")), h.Input(h.ID(id+"-reason"), h.Name("reason"), h.Required(), h.AutoComplete("off")),
		h.Label(h.For(id+"-until"), g.Text("Until")), h.Input(h.ID(id+"-until"), h.Name("until"), h.Type("date"), h.Required()),
		h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("plain"), g.Text("Accept")))))
}

func accept(v *visit) error {
	until, err := time.ParseInLocation("2006-01-02", v.PostFormValue("until"), v.zone)
	if err != nil {
		return &refusal{status: http.StatusBadRequest, message: "Give the day until which it is accepted."}
	}
	body := object{"finding": v.PostFormValue("finding"), "reason": v.PostFormValue("reason"), "until": until.UTC().Format(time.RFC3339)}
	put(v, body, map[string]string{"keyId": "keyId"})
	if err := v.api.send(http.MethodPost, v.inventoryAt("accept"), body, "", nil); err != nil {
		return err
	}
	v.done(to("inventory", v.params["tenantId"], v.params["clientId"]), "accepted")
	return nil
}

// reject takes an acceptance back.
func reject(v *visit) error {
	q := url.Values{"finding": {v.PostFormValue("finding")}}
	if key := v.PostFormValue("keyId"); key != "" {
		q.Set("keyId", key)
	}
	if err := v.api.send(http.MethodDelete, v.inventoryAt("accept")+"?"+q.Encode(), nil, "", nil); err != nil {
		return err
	}
	v.done(to("inventory", v.params["tenantId"], v.params["clientId"]), "rejected")
	return nil
}

func (v *visit) inventoryCredentials(a *item) g.Node {
	rows := make([][]g.Node, len(a.Credentials))
	for i, c := range a.Credentials {
		rows[i] = []g.Node{g.Text(orNone(text(c.Name, ""), "without a name")), g.Text(strings.ReplaceAll(c.Kind, "-", " ")), v.maybe(c.EndsAt, "never"),
			v.maybe(c.LastUsedAt, "not known"), h.Code(g.Text(c.KeyID))}
	}
	nodes := []g.Node{h.H2(g.Text("Credentials"))}
	if len(rows) == 0 {
		nodes = append(nodes, h.P(g.Text("It has none.")))
	} else {
		nodes = append(nodes, page.Table("credentials", "The next end first",
			[]page.Column{{Name: "Name"}, {Name: "Kind"}, {Name: "Ends"}, {Name: "Used last"}, {Name: "Key id"}}, rows))
	}
	if a.MoreCredentials > 0 {
		nodes = append(nodes, h.P(g.Text("And "+count(a.MoreCredentials, "more credential")+" that are not kept.")))
	}
	for _, f := range a.FederatedCredentials {
		nodes = append(nodes, h.P(g.Text("Federated: "+text(f.Name, "without a name")+", issuer "+text(f.Issuer, "-")+", subject "+text(f.Subject, "-"))))
	}
	return g.Group(nodes)
}

// adoptForm makes a target of an application.
func adoptForm(v *visit) error {
	return v.adopting(&sheet{visit: v, from: func(name string) string {
		return map[string]string{"interval": "30", "time": "03:00", "timeZone": v.zone.String(), "rotate": "on"}[name]
	}})
}

func (v *visit) adopting(f *sheet) error {
	var found struct {
		Application item
		Tenant      tenant
	}
	if err := v.api.get(v.inventoryAt(), nil, &found); err != nil {
		return err
	}
	a := found.Application
	var retire []g.Node
	for _, c := range a.Credentials {
		if c.Kind == string(inventory.ClientSecret) && c.Of == string(inventory.Registration) && (c.EndsAt == nil || c.EndsAt.After(v.now)) {
			retire = append(retire, h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("retire"), h.Value(c.KeyID),
				g.If(slices.Contains(v.PostForm["retire"], c.KeyID), h.Checked())), g.Text(text(c.Name, "without a name")+", begins with "+text(c.Hint, "?")+", "+c.KeyID)))
		}
	}
	via := f.entered("connectionId")
	if via == "" {
		via = found.Tenant.ConnectionID
	}
	d := v.document("adopt", "Adopt "+orNone(a.Name, a.ClientID), f.mistaken(),
		h.P(g.Text("Rekey issues a client secret for it, publishes it in Key Vault, and rotates it from then on. Certificates stay as they are.")),
		v.form(to("inventory", a.TenantID, a.ClientID, "adopt"),
			h.Label(h.For("connectionId"), g.Text("Through the connection"), h.Span(h.Class("hint"), g.Text("Its id. It must be allowed to change this application."))),
			h.Input(h.ID("connectionId"), h.Name("connectionId"), h.Value(via), h.Required(), h.AutoComplete("off")),
			f.field("name", "Name", "Empty: one is made of the id."),
			f.field("vaultSecretName", "Name of the secret in Key Vault", "What consumers will read.", h.Required()), f.schedule(),
			g.If(len(retire) > 0 && v.caller.Role.Allows(auth.Rotate), h.FieldSet(h.Legend(g.Text("Client secrets to remove")),
				h.P(h.Class("note"), g.Text("Those chosen are removed after the first rotation, when the grace period is over. Choose none that another consumer uses.")),
				g.Group(retire))),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Adopt")), page.Link(to("inventory", a.TenantID, a.ClientID), "Back"))))
	return f.show(d)
}

func adopt(v *visit) error {
	body := object{"isAutoRotationEnabled": v.PostFormValue("rotate") == "on"}
	put(v, body, map[string]string{"connectionId": "connectionId", "name": "name", "vaultSecretName": "vaultSecretName"})
	if chosen := v.PostForm["retire"]; len(chosen) > 0 {
		body["retireKeyIds"] = chosen
	}
	r, err := rotationOf(v)
	if r != nil {
		body["rotation"] = r
	}
	var made struct{ Target subject }
	if err == nil {
		err = v.api.send(http.MethodPost, v.inventoryAt("adopt"), body, v.once(), &made)
	}
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status < http.StatusInternalServerError {
		return v.adopting(&sheet{visit: v, refused: refused})
	}
	if err != nil {
		return err
	}
	v.done(ownAt(made.Target.ConnectionID, made.Target.ID), "target")
	return nil
}
