package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
)

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
				Changes                                         []struct{ ClientID, Name, Change string }
				MoreChanges                                     int
			}
		}
	}
	if err := v.api.get(inventories+"/scans/"+url.PathEscape(v.params["scanId"]), nil, &found); err != nil {
		return err
	}
	s := found.Scan
	under := s.FinishedAt == nil
	nodes := []g.Node{page.Facts(page.Say("Tenant", s.TenantID), page.Say("State", wordOf(scanWords, s.Phase)),
		page.Fact{Name: "Began", Value: v.when(s.StartedAt)},
		page.Fact{Name: "Ended", Value: v.maybe(s.FinishedAt, "not yet")}, page.Say("Requests", strconv.Itoa(s.Requests)),
		page.Say("Rows written", strconv.Itoa(s.RowsWritten)))}
	if s.Problem != nil {
		nodes = append(nodes, page.Notice(page.Warn, h.P(g.Text(sentence(s.Problem.Message)))))
	}
	if r := s.Result; r != nil {
		nodes = append(nodes, page.Facts(page.Say("Applications", strconv.Itoa(r.Applications)),
			page.Say("Credentials", strconv.Itoa(r.Credentials)),
			page.Say("New, different, gone", strconv.Itoa(r.Added)+", "+strconv.Itoa(r.Changed)+", "+strconv.Itoa(r.Gone))))
		rows := make([][]g.Node, len(r.Changes))
		for i, c := range r.Changes {
			rows[i] = []g.Node{page.Link(to("inventory", s.TenantID, c.ClientID), orNone(c.Name, c.ClientID)),
				g.Text(wordOf(changeWords, c.Change))}
		}
		if len(rows) > 0 {
			nodes = append(nodes, h.H2(g.Text("What has changed")), page.Table("changes", "Since the scan before",
				[]page.Column{{Name: "Application"}, {Name: "Change"}}, rows))
		}
	}
	return v.show(v.document("scan", "Scan of a tenant", h.Section(g.If(under, g.Attr("data-refresh", "")), g.Group(nodes)),
		h.P(page.Link(to("inventory"), "Inventory"))))
}
