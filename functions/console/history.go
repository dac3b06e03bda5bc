package console

import (
	"net/url"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// history lists runs.
func (v *visit) history(s *subject) g.Node {
	var past struct{ Rotations []run }
	if err := v.api.get(at(s.via(), s.target(), "rotations"), url.Values{"limit": {"20"}}, &past); err != nil {
		return v.missing("History", err)
	}
	runs := past.Rotations
	if len(runs) == 0 {
		return g.Group{h.H2(g.Text("History")), h.P(g.Text("Nothing was rotated yet."))}
	}
	rows := make([][]g.Node, len(runs))
	for i, r := range runs {
		tone := map[string]page.Tone{"success": page.Good, "running": page.Warn}[r.Outcome]
		if tone == "" {
			tone = page.Bad
		}
		rows[i] = []g.Node{v.maybe(&r.StartedAt, "not known"), page.Badge(tone, r.Outcome), g.Text(triggerWord(r)),
			g.Text(orNone(r.Message, "-")),
			h.Code(g.Text(orNone(r.KeyID, "-")))}
	}
	return g.Group{h.H2(g.Text("History")), page.Table("history", "The last rotations, the newest first",
		[]page.Column{{Name: "Began"}, {Name: "Outcome"}, {Name: "Why and by whom"}, {Name: "Message"}, {Name: "Key id"}}, rows)}
}

func triggerWord(r run) string {
	if r.RequestedBy != "" {
		return r.Trigger + ", by " + r.RequestedBy
	}
	return r.Trigger
}

// audit lists everything that was done.
func audit(v *visit) error {
	q := url.Values{"limit": {"200"}}
	if cursor := v.URL.Query().Get("cursor"); cursor != "" {
		q.Set("cursor", cursor)
	}
	var list struct {
		Events     []event
		NextCursor string
	}
	if err := v.api.get(at(v.params["id"], v.params["targetId"], "audit"), q, &list); err != nil {
		return err
	}
	rows := make([][]g.Node, len(list.Events))
	for i, e := range list.Events {
		rows[i] = []g.Node{v.when(e.At), g.Text(e.Kind), g.Text(text(e.By, "Rekey")), g.Text(text(e.From, "-")), g.Text(text(e.KeyID, "-")),
			g.Text(text(e.Message, "-"))}
	}
	return v.show(v.document("audit", "Audit", page.Table("audit", "The newest first",
		[]page.Column{{Name: "When"}, {Name: "What"}, {Name: "By"}, {Name: "From"}, {Name: "Key id"}, {Name: "Message"}}, rows),
		more(v, list.NextCursor)))
}

func text(s *string, none string) string {
	if s == nil {
		return none
	}
	return *s
}
