package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/history"
	"rekey/shared/page"
	core "rekey/shared/rotation"
)

// history lists the last runs.
func (v *visit) history(s *subject) g.Node {
	title := h.H2(h.ID("runs"), g.Text("History"))
	past, err := v.past(s, "20", "")
	if err != nil {
		return v.missing("History", err)
	}
	switch {
	case len(past.Rotations) == 0 && s.state() == nil:
		return g.Group{title, h.P(g.Text("Nothing of its own is rotated. Each target has a history on its page."))}
	case len(past.Rotations) == 0 && !v.caller.Role.Allows(auth.Rotate):
		return g.Group{title, h.P(g.Text("Nothing was rotated yet."))}
	case len(past.Rotations) == 0:
		return g.Group{title, h.P(g.Text("Nothing was rotated yet. “Rotate now” does it, and so does a schedule: see “Edit”."))}
	}
	var older g.Node
	if past.NextCursor != "" {
		older = h.Nav(h.Class("pages"), h.Aria("label", "Pages of the history"),
			page.Link(own(s, "history").With(url.Values{"cursor": {past.NextCursor}}), "Next page"))
	}
	return g.Group{title, v.runTable(s, past.Rotations), v.removedTable(past), older}
}

// runsPage is a page of the history.
func runsPage(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	past, err := v.past(s, "50", v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	var table g.Node = h.P(g.Text("There are no older rotations."))
	if len(past.Rotations) > 0 {
		table = v.runTable(s, past.Rotations)
	}
	return v.show(v.document("history", "History of "+s.title(), table, v.removedTable(past), more(v, past.NextCursor),
		h.P(page.Link(own(s), "Back"))))
}

// past is a page of the history: the rotations, the newest first, and what was removed meanwhile.
type past struct {
	Rotations   []run
	Revocations []struct {
		KeyID             string
		RevokedAt, GoneAt *time.Time
		Reason            *string
	}
	NextCursor string
}

func (v *visit) past(s *subject, limit, cursor string) (p past, err error) {
	q := url.Values{"limit": {limit}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	err = v.api.get(at(s.via(), s.target(), "rotations"), q, &p)
	return p, err
}

// removedTable lists the client secrets that Rekey has removed.
func (v *visit) removedTable(p past) g.Node {
	if len(p.Revocations) == 0 {
		return nil
	}
	rows := make([][]g.Node, len(p.Revocations))
	for i, r := range p.Revocations {
		rows[i] = []g.Node{h.Code(g.Text(r.KeyID)), v.maybe(r.RevokedAt, "on the next page"), v.maybe(r.GoneAt, "not yet"),
			g.Text(text(r.Reason, "-"))}
	}
	return page.Table("removed", "Client secrets that were removed, the newest first",
		[]page.Column{{Name: "Key id", Wide: true}, {Name: "Removed"}, {Name: "Confirmed"}, {Name: "Why"}}, rows)
}

// replaces reports whether the run at i, which is called one on creation, took the place of credentials that were
// given later: one before it had a good end already.
func (s *subject) replaces(runs []run, i int) bool {
	return s.rotatesItself() && runs[i].Trigger == string(core.OnCreation) &&
		slices.ContainsFunc(runs[i+1:], func(r run) bool { return r.Outcome == "success" })
}

func (v *visit) runTable(s *subject, runs []run) g.Node {
	rows := make([][]g.Node, len(runs))
	for i, r := range runs {
		tone, word := page.Bad, r.Outcome
		switch r.Outcome {
		case "success":
			tone, word = page.Good, "done"
		case "running":
			tone, word = page.Warn, "under way"
		case "abandoned":
			tone = page.Warn
		}
		began, why := &r.StartedAt, triggerWord(r)
		if began.IsZero() { // it was refused before that
			began = r.FinishedAt
		}
		if s.replaces(runs, i) {
			why = "for the new credentials"
		}
		rows[i] = []g.Node{v.maybe(began, "not known"), page.Badge(tone, word), g.Text(why),
			g.Text(orNone(v.dated(said(r.Message)), "-")), h.Code(g.Text(orNone(r.KeyID, "-")))}
	}
	return page.Table("runs", "Rotations, the newest first",
		[]page.Column{{Name: "Began", Wide: true}, {Name: "Outcome"}, {Name: "Why and by whom"}, {Name: "Message"}, {Name: "Key id"}}, rows)
}

// triggers are why a run began.
var triggers = map[string]string{
	string(core.OnCreation): "on creation", string(core.OnSchedule): "on schedule", string(core.OnRequest): "asked for",
	string(core.OnEmergency): "emergency", string(core.OnLoss): "what was published stopped working",
	string(core.OnRebind): "new credentials",
}

func triggerWord(r run) string {
	word := wordOf(triggers, r.Trigger)
	if r.RequestedBy != "" {
		return word + ", by " + r.RequestedBy
	}
	return word
}

// wordOf is what a code of the API is called; of a newer API what it looks like.
func wordOf(words map[string]string, code string) string {
	if word, ok := words[code]; ok {
		return word
	}
	return strings.NewReplacer("-", " ", ".", " ").Replace(code)
}

// unreadable is what stands for a line that this version can't read.
const unreadable = "a line that this version of Rekey can't read"

// eventWords are what the audit tells.
var eventWords = map[string]string{
	history.Created: "created", history.Undone: "creation undone", history.Deleting: "deletion asked for", history.Deleted: "deleted",
	history.Requested: "asked for", history.Started: "rotation began", history.Issued: "client secret issued",
	history.Published: "client secret published", history.Failed: "rotation failed", history.AttemptDropped: "attempt given up",
	history.Republished: "published again", history.Revoked: "client secret removed", history.Gone: "removal confirmed",
	history.GraceEnded: "grace period ended early", history.ByHand: "left for a person to remove",
	history.RemovedByHand: "removed by a person", history.Expiring: "warned: ends soon",
	history.Lost: "what was published stopped working", history.Rebound: "new credentials taken over",
	history.RebindRefused: "new credentials refused", history.CredentialGiven: "credentials given",
	history.Identified: "key id found out", history.Changed: "changed", history.Attention: "needs attention",
	history.Recovered: "all is well again", history.Reconnected: "connected again", history.SignInLost: "can't sign in any more",
	history.SignInBack: "can sign in again", history.Unreadable: unreadable,
}

// requestWords are what can be asked for.
var requestWords = map[string]string{
	string(core.AskIdentify): "to find out the key id", string(core.AskRotate): "a rotation",
	string(core.AskAbandon): "to abandon the run", string(core.AskEmergency): "an emergency rotation",
	string(core.AskRebind): "to take new credentials over", string(core.AskKeep): "to keep the credentials that it has",
	string(core.AskDelete): "the deletion, keeping what is published", "delete-and-revoke": "the deletion, with what is published",
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
		by := "Rekey"
		if e.Kind == history.Unreadable {
			by = "not known"
		}
		rows[i] = []g.Node{v.maybe(&e.At, "not known"), g.Text(wordOf(eventWords, e.Kind)), g.Text(text(e.By, by)), g.Text(text(e.From, "-")),
			g.Text(text(e.KeyID, "-")), g.Text(v.dated(eventMessage(e)))}
	}
	var table g.Node = h.P(g.Text("There is nothing here."))
	if len(rows) > 0 {
		table = page.Table("events", "The newest first",
			[]page.Column{{Name: "When"}, {Name: "What"}, {Name: "By"}, {Name: "From"}, {Name: "Key id"}, {Name: "Message"}}, rows)
	}
	return v.show(v.document("audit", "What was done to "+v.name(), table, more(v, list.NextCursor), h.P(v.above())))
}

// above leads back from the audit of something: to the deployment's where it was deleted.
func (v *visit) above() g.Node {
	if _, err := v.load(); isGone(err) {
		return page.Link(to("audit"), "Back to the audit of all")
	}
	return page.Link(v.own(), "Back")
}

// eventMessage is what an event says: of a request, what was asked for.
func eventMessage(e event) string {
	switch {
	case e.Kind == history.Requested && e.Message != nil:
		return wordOf(requestWords, *e.Message)
	case e.Message != nil:
		return said(*e.Message)
	case e.Trigger != nil:
		return wordOf(triggers, *e.Trigger)
	}
	return "-"
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
		kind := wordOf(trailWords, l.Kind)
		if l.Count > 1 {
			kind += ", " + strconv.Itoa(l.Count) + " times or more"
		}
		rows[i] = []g.Node{v.when(l.At), g.Text(kind), g.Text(l.who()), g.Text(text(l.From, "-")), l.about(),
			g.Text(v.dated(text(l.Reason, "-")))}
	}
	return v.show(v.document("trail", "Audit",
		h.P(g.Text("Who signed in and was refused, and what was created and deleted. What was done to a connection or target stands in its own "+
			"audit.")),
		page.Table("trail", "The newest first", []page.Column{{Name: "When"}, {Name: "What"}, {Name: "By"}, {Name: "From"}, {Name: "About"},
			{Name: "Why", Wide: true}}, rows),
		more(v, list.NextCursor)))
}

// trailWords are what the deployment's audit tells.
var trailWords = map[string]string{
	audit.SignedIn: "signed in", audit.SignedOut: "signed out", audit.ConsoleRefused: "refused by the console",
	audit.KeyMade: "key of the console made", audit.APIRefused: "refused by the API", audit.DeletionRequested: "deletion asked for",
	history.Created: "created", history.Undone: "creation undone", history.Deleted: "deleted",
	history.Unreadable: unreadable,
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
	case strings.HasSuffix(l.Kind, ".refused"), l.Kind == history.Unreadable:
		return "not known"
	case l.Kind == history.Deleted:
		return "Rekey, as it was asked to"
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
