package console

import (
	"net/url"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// perOverview is how many rows a part of the overview has.
const perOverview = "10"

// overview shows what needs attention first, then what ends when. A part that can't be read is missing
// by itself: the rest matters no less then.
func overview(v *visit) error {
	var some struct{ AppConnections []subject }
	if err := v.api.get(secrets, url.Values{"limit": {"1"}}, &some); err != nil {
		return err
	}
	main, none, err := v.attention()
	if err != nil {
		return err
	}
	if len(some.AppConnections) == 0 {
		if none {
			main = nil
		}
		return v.show(v.document("overview", "Overview", append(main, v.beginning())...))
	}
	var coming struct{ Upcoming []upcoming }
	missing := v.api.get(secrets+"/upcoming", url.Values{"limit": {perOverview}}, &coming)
	main = append(main, v.ahead())
	if missing != nil {
		main = append(main, v.missing("The next rotations", missing))
	}
	main = append(main, v.next(coming.Upcoming), v.weeks(), v.nextEnds())
	return v.show(v.document("overview", "Overview", main...))
}

// counted is what is ahead, by the time that is left and by week from now on.
type counted struct {
	Due, ManagedEnds, Ends map[string]int
	DueByWeek, EndsByWeek  []int
	Complete               bool
}

// ahead counts what is due and what ends, and draws both.
func (v *visit) ahead() g.Node {
	var is counted
	if err := v.api.get(secrets+"/ahead", nil, &is); err != nil {
		return v.missing("What is due and what ends", err)
	}
	var least g.Node
	if !is.Complete {
		least = h.P(h.Class("note"), g.Text("There is more than was counted: these are the least."))
	}
	asFound := h.P(h.Class("note"), g.Text("What scans have found is counted as they found it: a client secret that Rekey has removed "+
		"since then is counted until the next scan of its tenant."))
	return g.Group{h.H2(g.Text("What ends, and what rotates")), least, is.cards(), asFound, v.timeline(&is)}
}

// nextEnds lists the applications of which something ends next, and says how old that is.
func (v *visit) nextEnds() g.Node {
	var next struct {
		Applications []item
		Tenants      []tenant
	}
	after := url.Values{"limit": {perOverview}, "endsAfter": {v.now.UTC().Format(time.RFC3339)}}
	switch err := v.api.get(inventories, after, &next); {
	case err != nil:
		return v.missing("The next ten ends", err)
	case len(next.Tenants) == 0:
		return page.Notice(page.Calm, h.P(g.Text("No tenant was scanned yet, so that only what Rekey rotates is counted. A scan shows what else "+
			"ends, and when.")), h.P(page.Link(to("inventory"), "Inventory")))
	case len(next.Applications) == 0:
		return v.asOf(next.Tenants)
	}
	return g.Group{h.H2(g.Text("The next ten ends")), v.asOf(next.Tenants), v.items(next.Applications)}
}

// upcoming is what rotates next.
type upcoming struct {
	At                 time.Time
	ConnectionID, Name string
	TargetID           *string
	VaultSecretName    string
	ApplicationName    *string
	ExpiresAt          *time.Time
}

// week is how many rotations ended in a week.
type week struct {
	Start             time.Time
	Succeeded, Failed int
}

// cards are the counts of what ends, managed or not, and of what rotates.
func (c *counted) cards() g.Node {
	ends := func(left, text string) g.Node {
		at := to("inventory").With(url.Values{"finding": {"ends-in-" + left}})
		return h.Li(h.Class("card"), h.A(at.Href(), h.B(g.Text(strconv.Itoa(c.Ends[left]))), g.Text(text),
			h.Span(h.Class("hint"), g.Text(strconv.Itoa(c.ManagedEnds[left])+" managed"))))
	}
	due := func(left, text string) g.Node {
		return h.Li(h.Class("card"), h.B(g.Text(strconv.Itoa(c.Due[left]))), g.Text(text))
	}
	return h.Ul(h.Class("cards"),
		ends("7-days", "credentials end within 7 days"), ends("30-days", "credentials end in 7 to 30 days"),
		ends("90-days", "credentials end in 30 to 90 days"),
		due("7-days", "rotate within 7 days"), due("30-days", "rotate in 7 to 30 days"), due("90-days", "rotate in 30 to 90 days"))
}

// next lists the next rotations.
func (v *visit) next(list []upcoming) g.Node {
	if len(list) == 0 {
		return nil
	}
	rows := make([][]g.Node, len(list))
	for i, u := range list {
		via, id := "", u.ConnectionID
		if u.TargetID != nil {
			via, id = u.ConnectionID, *u.TargetID
		}
		called := (&subject{ID: id, Name: u.Name, VaultSecretName: u.VaultSecretName}).title()
		rows[i] = []g.Node{g.Group{page.Link(ownAt(via, id), called), under(u.ApplicationName)}, v.when(u.At),
			v.maybe(u.ExpiresAt, "not known")}
	}
	return g.Group{h.H2(g.Text("The next rotations")), page.Table("upcoming", "The soonest first",
		[]page.Column{{Name: "Name", Wide: true}, {Name: "Rotates"}, {Name: "Its client secret ends"}}, rows)}
}

// timeline shows by week from now on what ends and what rotates.
func (v *visit) timeline(is *counted) g.Node {
	p := page.Plot{Name: "Ends of credentials, and rotations, by week from now on", First: "ends", Second: "rotations"}
	for i := range min(len(is.EndsByWeek), len(is.DueByWeek)) {
		p.Bars = append(p.Bars, page.Bar{Label: v.now.In(v.zone).AddDate(0, 0, 7*i).Format("2 Jan"), First: is.EndsByWeek[i],
			Second: is.DueByWeek[i]})
	}
	return p.Draw()
}

// weeks shows the rotations of the last weeks.
func (v *visit) weeks() g.Node {
	var done struct{ Weeks []week }
	if err := v.api.get(secrets+"/activity", url.Values{"weeks": {"13"}}, &done); err != nil {
		return v.missing("Rotations of the last weeks", err)
	}
	p := page.Plot{Name: "Rotations by week", First: "succeeded", Second: "failed", Alarm: true}
	for _, w := range done.Weeks {
		p.Bars = append(p.Bars, page.Bar{Label: w.Start.Format("2 Jan"), First: w.Succeeded, Second: w.Failed})
	}
	drawn := p.Draw()
	if drawn == nil {
		return nil
	}
	return g.Group{h.H2(g.Text("Rotations of the last weeks")), drawn}
}
