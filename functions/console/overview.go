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

// overview shows what needs attention first, then what ends when. A part that can't be read is missing
// by itself: the rest matters no less then.
func overview(v *visit) error {
	var some struct{ AppConnections []subject }
	if err := v.api.get(secrets, url.Values{"limit": {"1"}}, &some); err != nil {
		return err
	}
	if len(some.AppConnections) == 0 {
		return v.show(v.document("overview", "Overview", v.beginning()))
	}
	main, err := v.attention()
	if err != nil {
		return err
	}
	var coming struct{ Upcoming []upcoming }
	missing := v.api.get(secrets+"/upcoming", url.Values{"limit": {"100"}}, &coming)
	main = append(main, v.ends(coming.Upcoming))
	if missing != nil {
		main = append(main, v.missing("The next rotations", missing))
	}
	main = append(main, v.next(coming.Upcoming[:min(10, len(coming.Upcoming))]), v.weeks(), v.nextEnds())
	return v.show(v.document("overview", "Overview", main...))
}

// ends counts what ends when, in all tenants, and draws it beside what rotates next.
func (v *visit) ends(coming []upcoming) g.Node {
	var summary struct {
		Tenants []struct {
			tenant
			Ends, ManagedEnds map[string]int
			EndsByWeek        []int
		}
	}
	if err := v.api.get(inventories+"/summary", nil, &summary); err != nil {
		return v.missing("What ends", err)
	}
	if len(summary.Tenants) == 0 {
		return page.Notice(page.Calm, h.P(g.Text("No tenant was scanned yet: the inventory shows what expires when.")),
			h.P(page.Link(to("inventory"), "Inventory")))
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
	return g.Group{h.H2(g.Text("What ends")), v.asOf(tenants), counts(ends, managed), v.timeline(byWeek, coming)}
}

// nextEnds lists the applications of which something ends next.
func (v *visit) nextEnds() g.Node {
	var next struct{ Applications []item }
	after := url.Values{"limit": {perOverview}, "endsAfter": {v.now.UTC().Format(time.RFC3339)}}
	switch err := v.api.get(inventories, after, &next); {
	case err != nil:
		return v.missing("The next ten ends", err)
	case len(next.Applications) == 0:
		return nil
	}
	return g.Group{h.H2(g.Text("The next ten ends")), v.items(next.Applications)}
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
		card("30-days", "end in 8 to 30 days", "ends-in-30-days"), card("90-days", "end in 31 to 90 days", "ends-in-90-days"),
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
		[]page.Column{{Name: "Name", Wide: true}, {Name: "Rotates"}, {Name: "Its client secret ends"}}, rows)}
}

// timeline shows by week from now on what ends, and above it the next hundred rotations.
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
