package console

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/index"
	"rekey/shared/page"
	"rekey/shared/serviceerror"
)

// perPage is how many connections a page has.
const perPage = "100"

// stateFilters are the API's states to filter by, in words.
var stateFilters = []struct{ state, text string }{
	{index.Active, "rotation on"}, {index.Paused, "rotation off"}, {index.Running, "under way"}, {index.Failing, "last rotation failed"},
}

// asking is what a list of connections or of targets asks the API for, by what its form says; filtered:
// that is not all of them.
func asking(q url.Values) (ask url.Values, filtered bool) {
	ask = url.Values{"limit": {perPage}}
	for from, to := range map[string]string{"text": "text", "state": "state", "project": "projectId", "attention": "attention",
		"name": "name", "cursor": "cursor"} {
		if text := strings.TrimSpace(q.Get(from)); text != "" {
			ask.Set(to, text)
		}
	}
	if ask.Get("attention") != "true" {
		ask.Del("attention")
	}
	return ask, len(ask) > 1
}

// listFilters is the form above both lists.
func listFilters(at page.Address, q url.Values) g.Node {
	states := []g.Node{h.Option(h.Value(""), g.Text("any"))}
	for _, s := range stateFilters {
		states = append(states, h.Option(h.Value(s.state), g.If(q.Get("state") == s.state, h.Selected()), g.Text(s.text)))
	}
	return h.Form(h.Class("filters"), h.Role("search"), at.Action(),
		h.Label(g.Text("Name, vault secret, application, client id, key id or id"),
			h.Input(h.Type("search"), h.Name("text"), h.Value(q.Get("text")))),
		h.Label(g.Text("State"), h.Select(h.Name("state"), g.Group(states))),
		h.Label(g.Text("Project"), h.Input(h.Name("project"), h.Value(q.Get("project")))),
		h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("attention"), h.Value("true"),
			g.If(q.Get("attention") == "true", h.Checked())),
			g.Text("needs attention")),
		h.Button(h.Type("submit"), h.Class("plain"), g.Text("Filter")))
}

// connections lists connections by name.
func connections(v *visit) error {
	q := v.URL.Query()
	ask, filtered := asking(q)
	var list struct {
		AppConnections []subject
		NextCursor     string
	}
	if err := v.api.get(secrets, ask, &list); err != nil {
		return err
	}
	main := []g.Node{h.Div(h.Class("actions"), v.link(auth.Write, to("connect"), "Connect a tenant")), listFilters(to("connections"), q)}
	if len(list.AppConnections) == 0 && !filtered {
		main = append(main, v.beginning())
	} else {
		main = append(main, v.list("connections", "Connections in the order of their names", list.AppConnections, list.NextCursor)...)
	}
	return v.show(v.document("connections", "Connections", main...))
}

// targets lists what is rotated through connections.
func targets(v *visit) error {
	q := v.URL.Query()
	ask, filtered := asking(q)
	var list struct {
		SecretRotations []secretRotation
		NextCursor      string
	}
	if err := v.api.get(allTargets, ask, &list); err != nil {
		return err
	}
	found := make([]subject, len(list.SecretRotations))
	for i := range list.SecretRotations {
		found[i] = list.SecretRotations[i].subject()
	}
	about := "A target is an application whose client secret is rotated through a connection."
	if v.caller.Role.Allows(auth.Write) {
		about += " Add one on the connection's page, or adopt an application from the inventory."
	}
	main := []g.Node{
		h.P(h.Class("note"), g.Text(about)),
		listFilters(to("targets"), q),
	}
	if len(found) == 0 && !filtered {
		main = append(main, h.P(g.Text("There is no target yet.")))
	} else {
		main = append(main, v.list("targets", "Targets by name. One that was given no name is called as its vault secret, and comes by its id",
			found, list.NextCursor)...)
	}
	return v.show(v.document("targets", "Targets", main...))
}

// list shows a page of a list, and where it goes on. The API looks through a part of a long list at a
// time, so that a page may have few, or none, and still not be the last.
func (v *visit) list(id, caption string, found []subject, cursor string) (nodes []g.Node) {
	if len(found) > 0 {
		nodes = v.table(id, caption, found)
	}
	switch partly := cursor != "" && strconv.Itoa(len(found)) != perPage; {
	case partly && len(found) == 0:
		nodes = append(nodes, h.P(g.Text("Nothing fits in the part of the list that was looked through so far. Go on with the next page.")))
	case partly:
		nodes = append(nodes, h.P(h.Class("note"), g.Text("A part of the list was looked through so far. The next page goes on.")))
	case len(found) == 0:
		nodes = append(nodes, h.P(g.Text("Nothing fits. What is searched for is a part of a name, of a vault secret's or an "+
			"application's name, of a client id, of an id, or of the key id of a client secret that is published, being removed or "+
			"removed lately.")), v.elsewhere(id))
	}
	return append(nodes, more(v, cursor))
}

// elsewhere leads from a list in which nothing was found to those in which it may be: the inventory has every client
// secret of a tenant, by key id and by name.
func (v *visit) elsewhere(list string) g.Node {
	text := strings.TrimSpace(v.URL.Query().Get("text"))
	if text == "" {
		return nil
	}
	other, find := map[string]string{"connections": "targets", "targets": "connections"}[list], url.Values{"text": {text}}
	return h.P(g.Text("Look for it among the "), page.Link(to(other).With(find), other), g.Text(", or in the "),
		page.Link(to("inventory").With(find), "inventory"), g.Text(", which has every client secret as of the last scan."))
}

// link is a link that looks like a button, for a role.
func (v *visit) link(need auth.Role, at page.Address, text string) g.Node {
	if !v.caller.Role.Allows(need) {
		return nil
	}
	return h.A(h.Class("button"), at.Href(), g.Text(text))
}

// plain is a link that looks like a quiet button.
func (v *visit) plain(need auth.Role, at page.Address, text string) g.Node {
	if !v.caller.Role.Allows(need) {
		return nil
	}
	return h.A(h.Class("button plain"), at.Href(), g.Text(text))
}

// more leads to the next page of a list.
func more(v *visit, cursor string) g.Node {
	if cursor == "" {
		return nil
	}
	q := v.URL.Query()
	q.Set("cursor", cursor)
	q.Del("done")
	q.Del(chooseField)
	return h.Nav(h.Class("pages"), h.Aria("label", "Pages"), page.Link(page.Here(v.URL.Path).With(q), "Next page"))
}

// table lists connections with a choice of several, for what can be done to several at once.
func (v *visit) table(id, caption string, list []subject) []g.Node {
	choose, all := v.caller.Role.Allows(auth.Write), v.URL.Query().Get(chooseField) == "all"
	columns := []page.Column{{Name: "Name", Wide: true}, {Name: "State"}, {Name: "Next rotation", Wide: true}, {Name: "Ends", Wide: true},
		{Name: "Application"}}
	names := map[string]string{}
	through := id == "targets" && v.params["id"] == "" // on a connection's page all are through that one
	if through && len(list) > 0 {
		columns, names = append(columns, page.Column{Name: "Connection"}), v.connectionNames(list)
	}
	rows := make([][]g.Node, len(list))
	for i := range list {
		s := &list[i]
		var next, ends g.Node = g.Text("-"), g.Text("-")
		if r := s.state(); r != nil {
			next = v.maybe(r.NextRotationAt, "-")
			if r.Current != nil {
				ends = v.maybe(r.Current.ExpiresAt, "not known")
			}
		}
		if s.Authentication != nil && s.Authentication.ExpiresAt != nil {
			ends = v.when(*s.Authentication.ExpiresAt)
		}
		rows[i] = []g.Node{v.called(s), badge(s), next, ends, shown(s.ApplicationName, s.clientID())}
		if through {
			rows[i] = append(rows[i], page.Link(ownAt("", s.ConnectionID), cmp.Or(names[s.ConnectionID], s.ConnectionID)))
		}
		if choose && !s.gone() {
			rows[i][0] = g.Group{h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("chosen"), h.Value(reference(s)),
				g.If(all, h.Checked()), h.Aria("label", "Choose "+s.title())), rows[i][0])}
		}
	}
	table := page.Table(id, caption, columns, rows)
	filter := h.Label(h.Class("js"), g.Text("Find on this page"), h.Input(h.Type("search"), g.Attr("data-filters", id)))
	if !choose {
		return []g.Node{filter, table}
	}
	return []g.Node{filter, v.form(to("several"), h.Input(h.Type("hidden"), h.Name("back"), h.Value(v.here())), table,
		h.Div(h.Class("actions"), v.chooseAll(all), h.Span(h.Class("note"), g.Text("With those chosen:")),
			severalButton("pause", "Pause"),
			g.If(v.caller.Role.Allows(auth.Rotate), g.Group{severalButton("resume", "Resume"), severalButton("rotate", "Rotate now")})))}
}

// chooseField is in the address of a list of which all are chosen.
const chooseField = "choose"

// chooseAll leads to the same page with all of it chosen, or none. The script does it in place.
func (v *visit) chooseAll(all bool) g.Node {
	q, says := v.URL.Query(), [...]string{"Choose all of this page", "Choose none"}
	q.Del("done")
	if q.Del(chooseField); all {
		says[0], says[1] = says[1], says[0]
	} else {
		q.Set(chooseField, "all")
	}
	return h.A(page.Here(v.URL.Path).With(q).Href(), g.Attr("data-chooses", says[1]), g.Text(says[0]))
}

// fewConnections is up to how many connections of a page of targets are read one by one.
const fewConnections = 10

// connectionNames are those of the connections of targets, by id: of few each is read, of many the first ones are
// listed, which costs no more than a page. Without a name a list shows the id.
func (v *visit) connectionNames(targets []subject) map[string]string {
	names := map[string]string{}
	for i := range targets {
		names[targets[i].ConnectionID] = ""
	}
	if len(names) <= fewConnections {
		for id := range names {
			names[id] = v.nameOf("", id)
		}
		return names
	}
	var list struct{ AppConnections []subject }
	if v.api.get(secrets, url.Values{"limit": {perPage}}, &list) == nil {
		for i := range list.AppConnections {
			names[list.AppConnections[i].ID] = list.AppConnections[i].title()
		}
	}
	return names
}

func severalButton(what, text string) g.Node {
	return h.Button(h.Type("submit"), h.Name("what"), h.Value(what), h.Class("plain"), g.Text(text))
}

// reference names a connection or target in a form.
func reference(s *subject) string { return s.ConnectionID + "/" + s.ID }

// allTargets is where the API has the list of all targets.
const allTargets = "/api/v2/secret-rotations/azure-client-secret"

// secretRotation is a target as the list of all targets has it.
type secretRotation struct {
	ID, Name, ConnectionID        string
	IsAutoRotationEnabled         bool
	RotationInterval              int
	Parameters                    struct{ ObjectID, ClientID string }
	ApplicationName               *string
	RotationStatus                *string
	LastRotationMessage           *string
	LastRotationClass             serviceerror.Class
	State                         string
	LastRotatedAt, NextRotationAt *time.Time
	RetryAt, ExpiresAt            *time.Time
	VaultSecretName               string
	Attention                     []string
}

// subject is the target as the tables have connections.
func (t *secretRotation) subject() subject {
	s := subject{ID: t.ID, ConnectionID: t.ConnectionID, Name: t.Name, IsAutoRotationEnabled: t.IsAutoRotationEnabled,
		Application:     &application{ClientID: t.Parameters.ClientID, ObjectID: t.Parameters.ObjectID},
		ApplicationName: t.ApplicationName, VaultSecretName: t.VaultSecretName,
		Attention: t.Attention}
	s.Rotation = &rotation{State: t.State, NextRotationAt: t.NextRotationAt, RetryAt: t.RetryAt,
		LastRotatedAt: t.LastRotatedAt, RotationInterval: t.RotationInterval,
		RotationStatus: text(t.RotationStatus, ""), LastRotationMessage: t.LastRotationMessage, LastRotationClass: t.LastRotationClass}
	if t.ExpiresAt != nil { // else nothing is published, as a rule
		s.Rotation.Current = &current{ExpiresAt: t.ExpiresAt}
	}
	return s
}

// beginning says how to begin.
func (v *visit) beginning() g.Node {
	return page.Notice(page.Calm,
		h.P(h.Strong(g.Text("Nothing is connected yet."))),
		h.Ol(h.Li(g.Text("Connect an application. There are three methods:"), v.wayIn()),
			h.Li(g.Text("With a certificate or as a person: adopt each application to rotate, which becomes a target. A scan of the tenant "+
				"shows what expires when, and whose it is.")),
			h.Li(g.Text("Let what uses the client secret read it from Key Vault.")),
			h.Li(g.Text("Prove it: the new value is read, and signs in; the old one is gone. The connection's page has the commands."))),
		h.P(v.link(auth.Write, to("connect"), "Connect a tenant")))
}
