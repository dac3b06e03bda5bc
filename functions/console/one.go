package console

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/attention"
	"rekey/shared/auth"
	"rekey/shared/page"
	core "rekey/shared/rotation"
)

// load reads the connection or target that the path names.
func (v *visit) load() (*subject, error) {
	if target, ok := v.params["targetId"]; ok {
		var found struct{ Target subject }
		err := v.api.get(at(v.params["id"], target), nil, &found)
		return &found.Target, err
	}
	var found struct{ AppConnection subject }
	err := v.api.get(at(v.params["id"], ""), nil, &found)
	return &found.AppConnection, err
}

// one shows a connection or a target.
func one(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	v.became = s.cameTo(v.URL.Query().Get("done"))
	scan := v.scanOf(s)
	ends := scan.ends()
	main := []g.Node{v.standing(s, ends), v.actions(s), v.credentials(s, scan), v.about(s), v.references(s), v.proof(s), v.history(s)}
	if s.ConnectionID == "" {
		main = append(main, v.targetsOf(s))
	}
	if v.caller.Role.Allows(auth.Admin) {
		main = append(main, h.P(page.Link(own(s, "audit"), "Audit: who did what")))
	}
	id := "connection"
	if s.ConnectionID != "" {
		id = "target"
	}
	return v.show(v.document(id, s.title(), main...))
}

// via and target are the ids of the API's addresses.
func (s *subject) via() string {
	if s.ConnectionID != "" {
		return s.ConnectionID
	}
	return s.ID
}

func (s *subject) target() string {
	if s.ConnectionID != "" {
		return s.ID
	}
	return ""
}

// standing is what to know first. It is loaded again while something is under way.
func (v *visit) standing(s *subject, ends map[string]time.Time) g.Node {
	under := s.state() != nil && !s.state().Settled
	nodes := []g.Node{h.P(badge(s), g.Text(" "), h.Span(h.ID("status"), g.Text(v.status(s, ends))))}
	if len(s.Attention) > 0 {
		nodes = append(nodes, page.Notice(page.Bad, v.reasons(s)))
	}
	nodes = append(nodes, v.stillLeaked(s))
	if under {
		nodes = append(nodes, v.steps(s), v.waiting(s), v.again())
	}
	return h.Section(h.ID("standing"), h.Aria("label", "Where it stands"), g.If(under, g.Attr("data-refresh", "")), g.Group(nodes))
}

// waits reports whether a run under way waits after an error, of which no reason to look at it tells.
func (s *subject) waits(now time.Time) bool {
	r := s.state()
	return s.rotating() && r.RetryAt != nil && r.RetryAt.After(now) && r.LastRotationMessage != nil &&
		!slices.Contains(s.Attention, attention.Failing)
}

// waiting says why the running step waits, and until when.
func (v *visit) waiting(s *subject) g.Node {
	if !s.waits(v.now) {
		return nil
	}
	r := s.state()
	return page.Notice(page.Warn, h.P(h.ID("waits"), g.Text("This step waits. "), advice(sentence(v.dated(*r.LastRotationMessage))),
		g.Text(" The next try is "), v.when(*r.RetryAt), g.Text(".")))
}

// phases are the steps of a rotation in their order.
var phases = []struct{ state, name string }{
	{"issuing", "A new client secret is issued"}, {"verifying", "It is proven to work, until every replica has it"},
	{"publishing", "It is published in Key Vault"}, {"idle", "The old one is removed after its grace period"},
}

// steps shows how far the run under way is.
func (v *visit) steps(s *subject) g.Node {
	state := s.state().State
	if last := s.state().LastRun; state == "idle" && (last == nil || last.Outcome != "success") {
		return nil // a failed run has no step
	}
	at := -1
	for i, p := range phases {
		if p.state == state {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	items := make([]g.Node, len(phases))
	for i, p := range phases {
		class, word := "", "to come"
		switch {
		case i < at:
			class, word = "done", "done"
		case i == at:
			class, word = "now", "now"
		}
		name := p.name
		switch r := s.state(); {
		case p.state != "idle":
		case len(r.Retiring) > 0 && len(r.waiting()) == 0:
			name = "What is older is removed, and that is being confirmed"
		case r.LastRun != nil && r.LastRun.Trigger == string(core.OnEmergency):
			name = "The older ones are removed, without a grace period"
		}
		items[i] = h.Li(h.Class(class), g.If(i == at, h.Aria("current", "step")), g.Text(name+" - "+word))
	}
	return h.Ol(h.Class("steps"), g.Group(items))
}

// actions are the buttons that the visitor's role allows.
func (v *visit) actions(s *subject) g.Node {
	r := s.state()
	var nodes []g.Node
	if r != nil {
		rotate := "Rotate now"
		if slices.Contains(s.Attention, attention.Failing) || s.failed() && r.RetryAt != nil {
			rotate = "Try again now"
		}
		nodes = append(nodes, v.button(auth.Rotate, own(s, "rotate"), rotate, ""))
		nodes = append(nodes, v.plain(auth.Rotate, own(s, "plan"), "What would a rotation do?"),
			v.plain(auth.Rotate, own(s, "emergency"), "Emergency"))
		if s.IsAutoRotationEnabled {
			nodes = append(nodes, v.button(auth.Write, own(s, "pause"), "Pause", "plain"))
		} else if r.RotationInterval > 0 {
			nodes = append(nodes, v.button(auth.Rotate, own(s, "resume"), "Resume", "plain"))
		}
		switch {
		case s.rotating():
			nodes = append(nodes, v.plain(auth.Admin, own(s, "abandon"), "Abandon the run"))
		case s.failed() && r.RetryAt != nil && r.LastRun != nil && (r.LastRun.Trigger == "manual" || r.LastRun.Trigger == "emergency"):
			nodes = append(nodes, v.plain(auth.Admin, own(s, "abandon"), "Stop trying"))
		}
	}
	nodes = append(nodes, v.plain(auth.Write, own(s, "test"), "Test"))
	nodes = append(nodes, v.plain(auth.Write, own(s, "edit"), "Edit"), v.plain(auth.Write, own(s, "delete"), "Delete"))
	if s.ConnectionID == "" {
		nodes = append(nodes, v.plain(auth.Write, own(s, "add-target"), "Add a target"))
		if s.Method == "oauth" {
			nodes = append(nodes, v.button(auth.Write, own(s, "reconnect"), "Sign in again", "plain"))
		}
	}
	nodes = append(nodes, g.If(r != nil && v.caller.Role.Allows(auth.Rotate), patience()))
	return h.Section(h.Class("actions"), h.Aria("label", "Actions"), g.Group(nodes))
}

// credentials lists what is live, what is being removed, and what a person has to remove.
func (v *visit) credentials(s *subject, scan *item) g.Node {
	r, ends := s.state(), scan.ends()
	if r == nil {
		return nil
	}
	columns := []page.Column{{Name: "Key id"}, {Name: "State"}, {Name: "Ends or goes"}}
	var rows [][]g.Node
	if c := r.Current; c != nil {
		rows = append(rows, []g.Node{h.Code(g.Text(orNone(c.KeyID, "not known"))), page.Badge(page.Good, "published"),
			v.maybe(c.ExpiresAt, "not known")})
	}
	for _, o := range r.Retiring {
		word, when := page.Badge(page.Calm, "in its grace period"), v.when(o.RevokeAfter)
		if end, ok := ends[strings.ToLower(o.KeyID)]; ok && end.Before(o.RevokeAfter) {
			word, when = page.Badge(page.Calm, "in its grace period, and ends by itself before that is over"), v.when(end)
			if !end.After(v.now) {
				word = page.Badge(page.Calm, "has ended, and is still to be removed")
			}
		}
		if o.RevokedAt != nil {
			word, when = page.Badge(page.Calm, "removed, being confirmed"), v.when(*o.RevokedAt)
		} else if o.Problem != "" {
			word, when = page.Badge(page.Bad, "not removed yet"), g.Text(sentence(v.dated(o.Problem)))
		}
		rows = append(rows, []g.Node{h.Code(g.Text(o.KeyID)), word, when})
	}
	for _, o := range r.ByHand {
		rows = append(rows, []g.Node{h.Code(g.Text(orNone(o.KeyID, "not known"))), page.Badge(page.Warn, "for you to remove"),
			g.Text(sentence(v.dated(o.Reason)))})
	}
	for _, keyID := range s.RetireKeyIDs {
		rows = append(rows, []g.Node{h.Code(g.Text(keyID)), page.Badge(page.Calm, "the first rotation takes its place"), g.Text("-")})
	}
	for _, c := range s.unmanaged(scan) {
		word := page.Badge(page.Calm, "not managed by it, and stays")
		if strings.HasPrefix(text(c.Name, ""), "rekey/") {
			word = page.Badge(page.Warn, "named like one of Rekey's: see the inventory")
		}
		name := h.Span(h.Class("hint"), g.Text(orNone(text(c.Name, ""), "without a name")))
		rows = append(rows, []g.Node{g.Group{h.Code(g.Text(c.KeyID)), name}, word, v.maybe(c.EndsAt, "never")})
	}
	if len(rows) == 0 {
		return nil
	}
	var seen g.Node
	if scan != nil {
		seen = h.P(page.Link(to("inventory", strings.ToLower(s.tenantID()), strings.ToLower(s.clientID())), "The application in the inventory"))
	}
	return g.Group{h.H2(g.Text("Client secrets")), page.Table("credentials", "What Rekey knows of this application's client secrets",
		columns, rows), seen}
}

// orNone is the text, or what stands for none where it shows nothing: in Entra a name may be a space.
func orNone(text, none string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return unicode.IsGraphic(c) && !unicode.IsSpace(c) }) {
		return none
	}
	return text
}

// about lists the rest.
func (v *visit) about(s *subject) g.Node {
	facts := []page.Fact{page.Say("Tenant", s.tenantID())}
	if id := s.clientID(); id != "" {
		facts = append(facts, page.Fact{Name: "Application", Value: shown(s.ApplicationName, id)})
	}
	if s.ConnectionID != "" {
		facts = append(facts, page.Fact{Name: "Through the connection",
			Value: page.Link(ownAt("", s.ConnectionID), v.nameOf("", s.ConnectionID))})
	} else {
		facts = append(facts, page.Say("Method", methods[s.Method]))
	}
	if s.Description != nil {
		facts = append(facts, page.Say("Description", *s.Description))
	}
	if s.ProjectID != nil {
		facts = append(facts, page.Say("Project", *s.ProjectID))
	}
	if r := s.state(); r != nil {
		if r.RotationInterval > 0 {
			facts = append(facts, page.Say("Schedule", fmt.Sprintf("every %s at %02d:%02d %s", count(r.RotationInterval, "day"), r.RotateAt.Hours,
				r.RotateAt.Minutes, r.TimeZone)))
		}
		if r.NextRotationAt != nil {
			facts = append(facts, page.Fact{Name: "Next rotation", Value: v.both(*r.NextRotationAt, r.TimeZone)})
		}
		facts = append(facts, page.Say("Grace period", hours(r.GracePeriodHours)))
		if r.LastRotationMessage != nil && !slices.Contains(s.Attention, attention.Failing) && !s.waits(v.now) { // else it stands above
			facts = append(facts, page.Say("The last rotation says", v.dated(said(*r.LastRotationMessage))))
		}
	}
	if a := s.Authentication; a != nil {
		if a.Account != nil {
			facts = append(facts, page.Say("Signed in as", orNone(text(a.AccountName, ""), "a person")+" (object id "+*a.Account+")"))
		}
		facts = append(facts, page.Fact{Name: "What it signs in with ends", Value: v.maybe(a.ExpiresAt, "not known")})
		if a.Thumbprint != nil {
			facts = append(facts, page.Say("Thumbprint", *a.Thumbprint))
		}
	}
	facts = append(facts, page.Fact{Name: "Created", Value: v.when(s.CreatedAt)}, page.Fact{Name: "Id", Value: h.Code(g.Text(s.ID))})
	return g.Group{h.H2(g.Text("About")), page.Facts(facts...)}
}

var methods = map[string]string{"client-secret": "client secret", "certificate": "certificate", "oauth": "a person who signed in (OAuth)"}

// targetsOf lists the targets of a connection.
func (v *visit) targetsOf(s *subject) g.Node {
	var list struct{ Targets []subject }
	if err := v.api.get(at(s.ID, "", "targets"), nil, &list); err != nil {
		return v.missing("Targets", err)
	}
	if len(list.Targets) == 0 && !v.caller.Role.Allows(auth.Write) {
		return g.Group{h.H2(g.Text("Targets")), h.P(g.Text("No other application is rotated through it."))}
	}
	if len(list.Targets) == 0 {
		return g.Group{h.H2(g.Text("Targets")), h.P(g.Text("No other application is rotated through it. To begin, “Add a target”, or "+
			"adopt one from the "), page.Link(to("inventory"), "inventory"), g.Text(".")), ownershipThrough(s)}
	}
	few := list.Targets[:min(100, len(list.Targets))]
	caption := "What is rotated through this connection, the oldest first"
	var rest g.Node
	if len(few) < len(list.Targets) {
		caption = fmt.Sprintf("The first %d of %d", len(few), len(list.Targets))
		rest = h.P(page.Link(to("targets").With(url.Values{"text": {s.ID}}), "All targets of this connection"))
	}
	return g.Group{h.H2(g.Text("Targets")), g.Group(v.table("targets", caption, few)), rest}
}
