package console

import (
	"net/url"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// weeks is how far the overview looks ahead.
const weeks = 13

// perOverview is how many rows a part of the overview has.
const perOverview = "10"

// overview shows what needs attention first, then what ends when.
func overview(v *visit) error {
	var urgent, some struct{ AppConnections []subject }
	if err := v.api.get(secrets, url.Values{"limit": {perOverview}, "attention": {"true"}}, &urgent); err != nil {
		return err
	}
	if err := v.api.get(secrets, url.Values{"limit": {"1"}}, &some); err != nil {
		return err
	}
	if len(some.AppConnections) == 0 {
		return v.show(v.document("overview", "Overview", v.beginning()))
	}
	var all struct{ SecretRotations []secretRotation }
	if err := v.api.get("/api/v2/secret-rotations/azure-client-secret", nil, &all); err != nil {
		return err
	}
	for _, t := range all.SecretRotations {
		if len(t.Attention) > 0 && len(urgent.AppConnections) < 10 {
			urgent.AppConnections = append(urgent.AppConnections, t.subject())
		}
	}
	var summary struct {
		Tenants []struct {
			tenant
			Ends, ManagedEnds map[string]int
			EndsByWeek        []int
		}
	}
	if err := v.api.get(inventories+"/summary", nil, &summary); err != nil {
		return err
	}
	var next struct{ Applications []item }
	after := url.Values{"limit": {perOverview}, "endsAfter": {v.now.UTC().Format(time.RFC3339)}}
	if err := v.api.get(inventories, after, &next); err != nil {
		return err
	}
	var coming struct{ Upcoming []upcoming }
	if err := v.api.get(secrets+"/upcoming", url.Values{"limit": {perOverview}}, &coming); err != nil {
		return err
	}
	var done struct{ Weeks []week }
	if err := v.api.get(secrets+"/activity", url.Values{"weeks": {"13"}}, &done); err != nil {
		return err
	}
	ends, managed, byWeek := map[string]int{}, map[string]int{}, make([]int, weeks)
	var tenants []tenant
	for _, t := range summary.Tenants {
		tenants = append(tenants, t.tenant)
		for left, n := range t.Ends {
			ends[left] += n
			managed[left] += t.ManagedEnds[left]
		}
		for i, n := range t.EndsByWeek[:min(len(t.EndsByWeek), weeks)] {
			byWeek[i] += n
		}
	}
	main := []g.Node{v.urgent(urgent.AppConnections)}
	if len(tenants) > 0 {
		main = append(main, h.H2(g.Text("What ends")), v.asOf(tenants), counts(ends, managed), v.timeline(byWeek, coming.Upcoming))
	} else {
		main = append(main, page.Notice(page.Calm, h.P(g.Text("No tenant was scanned yet: the inventory shows what expires when.")),
			h.P(page.Link(to("inventory"), "Inventory"))))
	}
	main = append(main, v.next(coming.Upcoming), v.weeks(done.Weeks))
	if len(next.Applications) > 0 {
		main = append(main, h.H2(g.Text("The next ten ends")), v.items(next.Applications))
	}
	return v.show(v.document("overview", "Overview", main...))
}

// upcoming is what rotates next.
type upcoming struct {
	At                 time.Time
	ConnectionID, Name string
	TargetID           *string
	VaultSecretName    string
	ExpiresAt          *time.Time
}

// week is how many rotations ended in a week.
type week struct {
	Start             time.Time
	Succeeded, Failed int
}

// urgent lists what a person should look at, with what to do.
func (v *visit) urgent(list []subject) g.Node {
	if len(list) == 0 {
		return page.Notice(page.Good, h.P(g.Text("Nothing that Rekey manages needs attention.")))
	}
	nodes := []g.Node{h.H2(g.Text("Needs attention"))}
	for i := range list {
		s := &list[i]
		nodes = append(nodes, page.Notice(page.Bad, h.P(page.Link(own(s), s.title())),
			g.Map(s.Attention, func(text string) g.Node { return h.P(g.Text(text)) })))
	}
	return g.Group(nodes)
}

// counts are the credentials by the time that they have left, and how many of them Rekey rotates.
func counts(ends, managed map[string]int) g.Node {
	card := func(left, text, finding string) g.Node {
		at := to("inventory")
		if finding != "" {
			at = at.With(url.Values{"finding": {finding}})
		}
		return h.Li(h.Class("card"), h.A(at.Href(), h.B(g.Text(strconv.Itoa(ends[left]))), g.Text(text),
			h.Span(h.Class("hint"), g.Text(strconv.Itoa(managed[left])+" managed"))))
	}
	return h.Ul(h.Class("cards"), card("expired", "expired", "expired"), card("7-days", "end within 7 days", "ends-in-7-days"),
		card("30-days", "end within 30 days", "ends-in-30-days"), card("90-days", "end within 90 days", "ends-in-90-days"),
		card("more", "end later", ""), card("never", "never end", "never-ends"))
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
		rows[i] = []g.Node{page.Link(ownAt(via, id), orNone(u.Name, u.VaultSecretName)), v.when(u.At), v.maybe(u.ExpiresAt, "not known")}
	}
	return g.Group{h.H2(g.Text("The next rotations")), page.Table("upcoming", "The soonest first",
		[]page.Column{{Name: "Name", Wide: true}, {Name: "Rotates"}, {Name: "The client secret of now ends"}}, rows)}
}

// timeline shows by week from now on what ends, and above it the next ten rotations.
func (v *visit) timeline(byWeek []int, list []upcoming) g.Node {
	rotations := make([]int, weeks)
	for _, u := range list {
		if n := int(u.At.Sub(v.now) / (7 * 24 * time.Hour)); n >= 0 && n < weeks {
			rotations[n]++
		}
	}
	p := page.Plot{Name: "Ends of credentials, and the next rotations, by week from now on", First: "ends", Second: "rotations"}
	for i := range weeks {
		p.Bars = append(p.Bars, page.Bar{Label: v.now.In(v.zone).AddDate(0, 0, 7*i).Format("2 Jan"), First: byWeek[i], Second: rotations[i]})
	}
	return p.Draw()
}

// weeks shows the rotations of the last weeks.
func (v *visit) weeks(list []week) g.Node {
	p := page.Plot{Name: "Rotations by week", First: "succeeded", Second: "failed", Alarm: true}
	for _, w := range list {
		p.Bars = append(p.Bars, page.Bar{Label: w.Start.Format("2 Jan"), First: w.Succeeded, Second: w.Failed})
	}
	drawn := p.Draw()
	if drawn == nil {
		return nil
	}
	return g.Group{h.H2(g.Text("Rotations of the last weeks")), drawn}
}
