package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
)

// perPage is how many connections a page has.
const (
	perPage  = "100"
	pageSize = 100
)

// connections lists connections by name. What is searched for is the name, as the API can find it
// without reading them all.
func connections(v *visit) error {
	q := v.URL.Query()
	ask := url.Values{"limit": {perPage}}
	for from, to := range map[string]string{"name": "name", "project": "projectId", "cursor": "cursor"} {
		if text := strings.TrimSpace(q.Get(from)); text != "" {
			ask.Set(to, text)
		}
	}
	if q.Get("attention") == "true" {
		ask.Set("attention", "true")
	}
	var list struct {
		AppConnections []subject
		NextCursor     string
	}
	if err := v.api.get(secrets, ask, &list); err != nil {
		return err
	}
	filters := h.Form(h.Class("filters"), h.Role("search"), to("connections").Action(),
		h.Label(g.Text("Name"), h.Input(h.Type("search"), h.Name("name"), h.Value(q.Get("name")))),
		h.Label(g.Text("Project"), h.Input(h.Name("project"), h.Value(q.Get("project")))),
		h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("attention"), h.Value("true"),
			g.If(q.Get("attention") == "true", h.Checked())),
			g.Text("needs attention")),
		h.Button(h.Type("submit"), h.Class("plain"), g.Text("Filter")))
	main := []g.Node{h.Div(h.Class("actions"), v.link(auth.Write, to("connect"), "Connect a tenant")), filters}
	switch {
	case len(list.AppConnections) == 0 && len(ask) == 1:
		main = append(main, v.beginning())
	case len(list.AppConnections) == 0:
		main = append(main, h.P(g.Text("No connection fits. Names are compared as a whole.")))
	default:
		main = append(main, v.table("connections", "Connections in the order of their names", list.AppConnections)...)
	}
	return v.show(v.document("connections", "Connections", append(main, more(v, list.NextCursor))...))
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
	return h.Nav(h.Class("pages"), h.Aria("label", "Pages"), page.Link(page.Here(v.URL.Path).With(q), "Next page"))
}

// table lists connections with a choice of several, for what can be done to several at once.
func (v *visit) table(id, caption string, list []subject) []g.Node {
	choose := v.caller.Role.Allows(auth.Write)
	columns := []page.Column{{Name: "Name", Wide: true}, {Name: "State"}, {Name: "Next rotation", Wide: true}, {Name: "Ends", Wide: true},
		{Name: "Application"}}
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
		rows[i] = []g.Node{page.Link(own(s), s.title()), badge(s), next, ends, h.Code(g.Text(s.clientID()))}
		if choose {
			rows[i][0] = g.Group{h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("chosen"), h.Value(reference(s)),
				h.Aria("label", "Choose "+s.title())), rows[i][0])}
		}
	}
	table := page.Table(id, caption, columns, rows)
	filter := h.Label(h.Class("js"), g.Text("Find on this page"), h.Input(h.Type("search"), g.Attr("data-filters", id)))
	if !choose {
		return []g.Node{filter, table}
	}
	return []g.Node{filter, v.form(to("several"), h.Input(h.Type("hidden"), h.Name("back"), h.Value(v.here())), table,
		h.Div(h.Class("actions"), h.Span(h.Class("note"), g.Text("With those chosen:")),
			severalButton("pause", "Pause"),
			g.If(v.caller.Role.Allows(auth.Rotate), g.Group{severalButton("resume", "Resume"), severalButton("rotate", "Rotate now")})))}
}

func severalButton(what, text string) g.Node {
	return h.Button(h.Type("submit"), h.Name("what"), h.Value(what), h.Class("plain"), g.Text(text))
}

// reference names a connection or target in a form.
func reference(s *subject) string { return s.ConnectionID + "/" + s.ID }

// secretRotation is a target as the list of all targets has it.
type secretRotation struct {
	ID, Name, ConnectionID        string
	IsAutoRotationEnabled         bool
	RotationInterval              int
	Parameters                    struct{ ObjectID, ClientID string }
	RotationStatus                *string
	LastRotationMessage           *string
	LastRotatedAt, NextRotationAt *time.Time
	VaultSecretName               string
	Attention                     []string
}

// targets lists what is rotated through connections.
func targets(v *visit) error {
	var list struct{ SecretRotations []secretRotation }
	if err := v.api.get("/api/v2/secret-rotations/azure-client-secret", nil, &list); err != nil {
		return err
	}
	q := v.URL.Query()
	found := matching(list.SecretRotations, strings.ToLower(strings.TrimSpace(q.Get("text"))), q.Get("attention") == "true")
	found, cursor := pageOf(found, q.Get("cursor"))
	main := []g.Node{
		h.P(h.Class("note"), g.Text("A target is an application whose client secret is rotated through a connection. Add one on the "+
			"connection's page, or adopt an application from the inventory.")),
		h.Form(h.Class("filters"), h.Role("search"), to("targets").Action(),
			h.Label(g.Text("Name, vault secret, client id, connection id"), h.Input(h.Type("search"), h.Name("text"), h.Value(q.Get("text")))),
			h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("attention"), h.Value("true"),
				g.If(q.Get("attention") == "true", h.Checked())),
				g.Text("needs attention")),
			h.Button(h.Type("submit"), h.Class("plain"), g.Text("Filter"))),
	}
	if len(found) == 0 {
		main = append(main, h.P(g.Text("There is no target here.")))
	} else {
		main = append(main, v.table("targets", "Targets in the order of their names", found)...)
	}
	return v.show(v.document("targets", "Targets", append(main, more(v, cursor))...))
}

// matching are the targets that a filter chooses.
func matching(all []secretRotation, text string, urgent bool) (found []subject) {
	for i := range all {
		t := &all[i]
		has := strings.ToLower(t.Name + " " + t.VaultSecretName + " " + t.Parameters.ClientID + " " + t.ConnectionID)
		if strings.Contains(has, text) && (!urgent || len(t.Attention) > 0) {
			found = append(found, t.subject())
		}
	}
	return found
}

// pageOf is the page of a list that comes after the target with the id cursor, and the cursor of the
// next one: the API has this list as a whole only.
func pageOf(all []subject, cursor string) (list []subject, next string) {
	at := slices.IndexFunc(all, func(s subject) bool { return s.ID == cursor }) + 1
	if list = all[at:]; len(list) > pageSize {
		list = list[:pageSize]
		next = list[pageSize-1].ID
	}
	return list, next
}

// subject is the target as the tables have connections.
func (t *secretRotation) subject() subject {
	s := subject{ID: t.ID, ConnectionID: t.ConnectionID, Name: t.Name, IsAutoRotationEnabled: t.IsAutoRotationEnabled,
		Application: &application{ClientID: t.Parameters.ClientID, ObjectID: t.Parameters.ObjectID}, VaultSecretName: t.VaultSecretName,
		Attention: t.Attention}
	s.Rotation = &rotation{NextRotationAt: t.NextRotationAt, LastRotatedAt: t.LastRotatedAt, RotationInterval: t.RotationInterval,
		RotationStatus: text(t.RotationStatus, ""), LastRotationMessage: t.LastRotationMessage}
	return s
}

// beginning says how to begin.
func (v *visit) beginning() g.Node {
	return page.Notice(page.Calm,
		h.P(h.Strong(g.Text("Nothing is connected yet."))),
		h.Ol(h.Li(g.Text("Connect a tenant: with a client secret that Rekey takes over, with a certificate, or by signing in.")),
			h.Li(g.Text("Scan the tenant: the inventory shows what expires when, and whose it is.")),
			h.Li(g.Text("Adopt what should be rotated: each application becomes a target."))),
		h.P(v.link(auth.Write, to("connect"), "Connect a tenant")))
}
