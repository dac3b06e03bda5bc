package console

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

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

// ownAudit lists everything that was done to a connection or target.
func ownAudit(v *visit) error {
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
	return v.show(v.document("audit", "What was done", page.Table("audit", "The newest first",
		[]page.Column{{Name: "When"}, {Name: "What"}, {Name: "By"}, {Name: "From"}, {Name: "Key id"}, {Name: "Message"}}, rows),
		more(v, list.NextCursor)))
}

func text(s *string, none string) string {
	if s == nil {
		return none
	}
	return *s
}

// trail lists what happened in the deployment. What was deleted is in no other list, so that each
// line leads to the audit of what it is about, which outlives it.
func trail(v *visit) error {
	q := url.Values{"limit": {"100"}}
	if cursor := v.URL.Query().Get("cursor"); cursor != "" {
		q.Set("cursor", cursor)
	}
	var list struct {
		Events     []line
		NextCursor string
	}
	if err := v.api.get(trailAt, q, &list); err != nil {
		return err
	}
	rows := make([][]g.Node, len(list.Events))
	for i, l := range list.Events {
		kind := l.Kind
		if l.Count > 1 {
			kind += ", " + strconv.Itoa(l.Count) + " times or more"
		}
		rows[i] = []g.Node{v.when(l.At), g.Text(kind), g.Text(l.who()), g.Text(text(l.From, "-")), l.about(), g.Text(text(l.Reason, "-"))}
	}
	return v.show(v.document("trail", "Audit",
		h.P(g.Text("Who signed in and was refused, and what was created and deleted. What was done to a connection or target stands in its own "+
			"audit.")),
		page.Table("trail", "The newest first", []page.Column{{Name: "When"}, {Name: "What"}, {Name: "By"}, {Name: "From"}, {Name: "About"},
			{Name: "Why", Wide: true}}, rows),
		more(v, list.NextCursor)))
}

// line is a line of the deployment's audit.
type line struct {
	At                                                               time.Time
	Kind                                                             string
	By, CallerKind, Role, From, ConnectionID, TargetID, Name, Reason *string
	Count                                                            int
}

func (l *line) who() string {
	switch {
	case l.By != nil && l.Role != nil:
		return *l.By + " (" + *l.Role + ")"
	case l.By != nil:
		return *l.By
	case strings.HasSuffix(l.Kind, ".refused"):
		return "not known"
	}
	return "Rekey"
}

// about links to the audit of a connection or target.
func (l *line) about() g.Node {
	switch {
	case l.ConnectionID == nil:
		return g.Text("-")
	case l.TargetID == nil:
		return page.Link(ownAt("", *l.ConnectionID, "audit"), cmp.Or(text(l.Name, ""), *l.ConnectionID))
	}
	return page.Link(ownAt(*l.ConnectionID, *l.TargetID, "audit"), cmp.Or(text(l.Name, ""), *l.TargetID))
}
