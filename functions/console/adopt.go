package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/inventory"
	"rekey/shared/page"
)

// adoptForm makes a target of an application.
func adoptForm(v *visit) error {
	return v.adopting(&sheet{visit: v, from: v.newSchedule})
}

func (v *visit) adopting(f *sheet) error {
	var found struct {
		Application item
		Tenant      tenant
	}
	if err := v.api.get(v.inventoryAt(), nil, &found); err != nil {
		return err
	}
	a := found.Application
	through, err := f.through(&found.Tenant)
	if err != nil {
		return err
	}
	d := v.document("adopt", "Adopt "+orNone(a.Name, a.ClientID), f.mistaken(),
		f.notOwned(cmp.Or(strings.TrimSpace(f.entered("otherConnectionId")), f.entered("connectionId")), a.ClientID),
		h.P(g.Text("Rekey issues a client secret for it, publishes it in Key Vault, and rotates it from then on. Certificates stay as "+
			"they are.")),
		v.form(to("inventory", a.TenantID, a.ClientID, "adopt"), through, f.field("name", noName, h.MaxLength("64")),
			f.field("vaultSecretName", "Required. What consumers will read.", h.Required()), f.schedule(graceOfNew), f.retire(&a, &found.Tenant),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Adopt")), page.Link(to("inventory", a.TenantID, a.ClientID), "Back"),
				patience())))
	return f.show(d)
}

// notOwned are the commands that make a connection an owner of an application, where that is why it was refused.
func (f *sheet) notOwned(connectionID, clientID string) g.Node {
	if f.refused == nil || connectionID == "" || !strings.Contains(f.refused.message, "is not an owner of") {
		return nil
	}
	var via struct{ AppConnection subject }
	if err := f.api.get(at(connectionID, ""), nil, &via); err != nil {
		return nil // the message says what to do
	}
	command := owner(via.AppConnection.Credentials.ClientID, clientID)
	if via.AppConnection.Method == "oauth" || command == "" {
		return nil
	}
	return g.Group{h.P(g.Text("This makes it an owner:")), page.Copyable(command, "the commands that make it an owner")}
}

// through asks for a connection of the tenant, by its name.
func (f *sheet) through(t *tenant) (g.Node, error) {
	const name = "connectionId"
	hint := "It must be allowed to change this application. Its page has “Test”."
	all, more, err := f.connections()
	if err != nil {
		return nil, err
	}
	list := f.ofTenant(t, all)
	chosen := f.entered(name)
	if chosen == "" {
		if chosen = t.ConnectionID; chosen != "" {
			hint += " The tenant was scanned through the one that is chosen."
		}
	}
	if len(list) == 0 && !more {
		return page.Notice(page.Warn, h.P(g.Text("There is no connection of this tenant. Make one that may change the application.")),
			h.P(f.link(auth.Write, to("connect"), "Connect the tenant"))), nil
	}
	options := []g.Node{h.Option(h.Value(""), g.Text("Choose one"))}
	for i := range list {
		options = append(options, h.Option(h.Value(list[i].ID), g.If(list[i].ID == chosen, h.Selected()),
			g.Text(list[i].title()+", by "+methods[list[i].Method])))
	}
	return g.Group{label(name, hint), h.Select(h.ID(name), h.Name(name), g.If(!more, h.Required()), f.about(name, hint), g.Group(options)),
		g.If(more, otherConnection("otherConnectionId", f.entered("otherConnectionId")))}, nil
}

// otherConnection is a field for a connection that is not among those to choose from.
func otherConnection(id, value string) g.Node {
	return g.Group{h.Label(h.For(id), g.Text("Or another connection, by its id"),
		h.Span(h.Class("hint"), g.Text("There are too many to list them all here. The id is on the connection's page."))),
		h.Input(h.ID(id), h.Name("otherConnectionId"), h.Value(value), h.AutoComplete("off"))}
}

// connections are as many as a page has. There may be more.
func (v *visit) connections() (list []subject, more bool, err error) {
	var found struct {
		AppConnections []subject
		NextCursor     string
	}
	err = v.api.get(secrets, url.Values{"limit": {perPage}}, &found)
	return found.AppConnections, found.NextCursor != "", err
}

// ofTenant are those of all that are of a tenant. The one that scans it is there in any case.
func (v *visit) ofTenant(t *tenant, all []subject) (list []subject) {
	scans := func(s subject) bool { return s.ID == t.ConnectionID }
	if t.ConnectionID != "" && !slices.ContainsFunc(all, scans) {
		var one struct{ AppConnection subject }
		if err := v.api.get(at(t.ConnectionID, ""), nil, &one); err == nil && one.AppConnection.tenantID() == t.TenantID { // else it is gone
			list = append(list, one.AppConnection)
		}
	}
	for _, s := range all {
		if s.tenantID() == t.TenantID {
			list = append(list, s)
		}
	}
	return list
}

// retire offers the client secrets that the application has. One that has ended takes up room, too.
func (f *sheet) retire(a *item, t *tenant) g.Node {
	var boxes []g.Node
	for _, c := range a.Credentials {
		if c.Kind != string(inventory.ClientSecret) || c.Of != string(inventory.Registration) {
			continue
		}
		ends := ", ends "
		if c.EndsAt != nil && !c.EndsAt.After(f.now) {
			ends = ", ended "
		}
		boxes = append(boxes, h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("retire"), h.Value(c.KeyID),
			g.If(slices.Contains(f.PostForm["retire"], c.KeyID), h.Checked())),
			h.Span(h.Strong(g.Text(text(c.Name, "without a name"))), g.Text(", begins with "+text(c.Hint, "?")+ends),
				f.maybe(c.EndsAt, "never"), g.Text(", used last: "), f.usedLast(&c, a, t),
				g.Text(", key id "), h.Code(g.Text(c.KeyID)))))
	}
	if len(boxes) == 0 || !f.caller.Role.Allows(auth.Rotate) {
		return nil
	}
	two := slices.ContainsFunc(a.Findings, func(found finding) bool { return found.Finding == string(inventory.RoomForOne) })
	return h.FieldSet(f.about("retire", ""), h.Legend(g.Text(labelOf("retire"))),
		h.P(h.Class("note"), g.Text("Choose what Rekey's own takes the place of: it is removed after the first rotation, when the grace "+
			"period below is over. Consumers that go on with one that is chosen fail then."),
			g.If(two && len(boxes) == 1, g.Text(" Entra takes two client secrets for this application, ended ones included: unless all of these "+
				"go, no second rotation has room."))),
		g.If(two && len(boxes) > 1, page.Notice(page.Bad, h.P(g.Text("It has two already, so that there is no room to issue one: remove one "+
			"that nothing uses in Entra first.")))),
		g.Group(boxes), f.field("originalGrace", "How long those chosen stay valid after Rekey has published its own. Empty: as long as the "+
			"grace period above. 0, if nothing uses them: then they are gone in minutes.",
			h.Type("number"), h.Min("0"), h.Max("720"), h.Step("any")))
}

func adopt(v *visit) error {
	body := object{"isAutoRotationEnabled": v.PostFormValue("rotate") == "on"}
	put(v, body, map[string]string{"connectionId": "connectionId", "name": "name", "vaultSecretName": "vaultSecretName"})
	put(v, body, map[string]string{"connectionId": "otherConnectionId"}) // which says more
	if chosen := v.PostForm["retire"]; len(chosen) > 0 {
		body["retireKeyIds"] = chosen
	}
	r, err := rotationOf(v)
	if r != nil {
		body["rotation"] = r
	}
	var made struct{ Target subject }
	if err == nil {
		err = v.api.send(http.MethodPost, v.inventoryAt("adopt"), body, v.once(), &made)
	}
	if refused := refusedBy(err); refused != nil {
		return v.adopting(&sheet{visit: v, refused: refused})
	}
	if err != nil {
		return err
	}
	v.done(ownAt(made.Target.ConnectionID, made.Target.ID), "target")
	return nil
}
