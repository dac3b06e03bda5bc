package console

import (
	"cmp"
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

// scanForms begin scans: of each tenant again, and of another one. The connection is chosen by its name.
func (v *visit) scanForms(tenants []tenant) g.Node {
	if !v.caller.Role.Allows(auth.Write) {
		return nil
	}
	all, more, err := v.connections()
	if err != nil {
		return v.missing("Connections", err)
	}
	again := make([]g.Node, len(tenants))
	others := all
	for i := range tenants {
		t := &tenants[i]
		others = slices.DeleteFunc(slices.Clone(others), func(s subject) bool { return s.tenantID() == t.TenantID })
		list := v.ofTenant(t, all)
		if len(list) == 0 && !more {
			again[i] = page.Notice(page.Warn, h.P(g.Text("Tenant "+t.TenantID+" has no connection any more through which it could be scanned.")),
				h.P(v.link(auth.Write, to("connect"), "Connect the tenant")))
			continue
		}
		again[i] = v.scanForm("Scan tenant "+t.TenantID+" again, through the connection", t, list, more)
	}
	if len(others) == 0 && !more {
		if len(tenants) == 0 {
			return h.P(v.link(auth.Write, to("connect"), "Connect a tenant"))
		}
		return g.Group(again)
	}
	another := v.scanForm("Through the connection", &tenant{}, others, more)
	if len(tenants) == 0 {
		return v.scanForm("Through the connection", &tenant{}, others, more)
	}
	return g.Group{g.Group(again), h.Details(h.Summary(g.Text("Scan another tenant")), another)}
}

// scanForm begins a scan through one of these connections. The one of the last scan is chosen already;
// where that is gone, a person chooses.
func (v *visit) scanForm(name string, t *tenant, list []subject, more bool) g.Node {
	id := "through-" + t.TenantID
	options := []g.Node{h.Option(h.Value(""), g.Text("Choose one"))}
	for i := range list {
		s := &list[i]
		text := s.title() + ", by " + methods[s.Method]
		if t.TenantID == "" {
			text = s.title() + ", tenant " + s.tenantID()
		}
		options = append(options, h.Option(h.Value(s.ID), g.If(s.ID == t.ConnectionID, h.Selected()), g.Text(text)))
	}
	return v.form(to("inventory", "scans"), h.Label(h.For(id), g.Text(name)),
		h.Select(h.ID(id), h.Name("connectionId"), g.If(!more, h.Required()), g.Group(options)), g.If(more, otherConnection(id+"-other", "")),
		h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.If(t.TenantID != "", h.Class("plain")), g.Text("Scan the tenant")), patience()))
}

func scan(v *visit) error {
	var begun struct{ Scan struct{ ID string } }
	body := object{"connectionId": cmp.Or(strings.TrimSpace(v.PostFormValue("otherConnectionId")), v.PostFormValue("connectionId"))}
	if body["connectionId"] == "" {
		return &refusal{status: http.StatusBadRequest, message: "Choose the connection to scan through. Nothing was done."}
	}
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
				Changes                                         []change
				MoreChanges                                     int
			}
		}
	}
	if err := v.api.get(inventories+"/scans/"+url.PathEscape(v.params["scanId"]), nil, &found); err != nil {
		return err
	}
	s := found.Scan
	under := s.FinishedAt == nil
	if !under && v.URL.Query().Get("done") == "scan" {
		v.became = map[bool]string{true: "failed", false: "scanned"}[s.Phase == string(inventory.Failed)]
	}
	nodes := []g.Node{page.Facts(page.Say("Tenant", s.TenantID), page.Say("State", wordOf(scanWords, s.Phase)),
		page.Fact{Name: "Began", Value: v.when(s.StartedAt)},
		page.Fact{Name: "Ended", Value: v.maybe(s.FinishedAt, "not yet")}, page.Say("Requests", strconv.Itoa(s.Requests)),
		page.Say("Rows written", strconv.Itoa(s.RowsWritten)))}
	if s.Problem != nil {
		nodes = append(nodes, page.Notice(page.Warn, h.P(g.Text(sentence(v.dated(s.Problem.Message))))))
	}
	if r := s.Result; r != nil {
		nodes = append(nodes, page.Facts(page.Say("Applications", strconv.Itoa(r.Applications)),
			page.Say("Credentials", strconv.Itoa(r.Credentials)),
			page.Say("New, different, gone", strconv.Itoa(r.Added)+", "+strconv.Itoa(r.Changed)+", "+strconv.Itoa(r.Gone))))
		nodes = append(nodes, changes(s.TenantID, r.Changes, r.MoreChanges))
	}
	if under {
		nodes = append(nodes, v.again())
	}
	return v.show(v.document("scan", "Scan of a tenant", h.Section(g.If(under, g.Attr("data-refresh", "")), g.Group(nodes)),
		h.P(page.Link(to("inventory"), "Inventory"))))
}

// change is what is different since the scan before.
type change struct {
	ClientID, Name, Change string
	KeyID, Finding         *string
}

func changes(tenantID string, list []change, more int) g.Node {
	if len(list) == 0 {
		return nil
	}
	rows := make([][]g.Node, len(list))
	for i, c := range list {
		what := g.Node(g.Text(wordOf(changeWords, c.Change)))
		if c.Finding != nil {
			what = g.Group{what, g.Text(": "), findingBadge(*c.Finding)}
		}
		rows[i] = []g.Node{page.Link(to("inventory", tenantID, c.ClientID), orNone(c.Name, c.ClientID)), what, h.Code(g.Text(text(c.KeyID, "-")))}
	}
	return g.Group{h.H2(g.Text("What has changed")), page.Table("changes", "Since the scan before",
		[]page.Column{{Name: "Application", Wide: true}, {Name: "Change"}, {Name: "Credential"}}, rows),
		g.If(more > 0, h.P(g.Text("Not listed: "+count(more, "more change")+".")))}
}
