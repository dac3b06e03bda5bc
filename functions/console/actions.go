package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
	"rekey/shared/session"
)

// Each button is a POST that leads on by GET; the form's key makes the API recognise one that is
// sent twice.

// own is the page of what the path names.
func (v *visit) own() page.Address { return ownAt(v.connection(), v.id()) }

// connection and id are what the path names: a target has both.
func (v *visit) connection() string {
	if v.params["targetId"] != "" {
		return v.params["id"]
	}
	return ""
}

func (v *visit) id() string {
	if t := v.params["targetId"]; t != "" {
		return t
	}
	return v.params["id"]
}

// at is the API's address of what the path names.
func (v *visit) at(below ...string) string { return at(v.params["id"], v.params["targetId"], below...) }

func (v *visit) once() string { return v.PostFormValue(onceField) }

type object = map[string]any

func rotate(v *visit) error {
	if err := v.api.send(http.MethodPost, v.at("rotate-credentials"), object{}, v.once(), nil); err != nil {
		return err
	}
	v.done(v.own(), "rotation")
	return nil
}

func pause(v *visit) error {
	if err := v.api.send(http.MethodPatch, v.at(), object{"isAutoRotationEnabled": false}, "", nil); err != nil {
		return err
	}
	v.done(v.own(), "paused")
	return nil
}

func resume(v *visit) error {
	if err := v.api.send(http.MethodPatch, v.at(), object{"isAutoRotationEnabled": true}, "", nil); err != nil {
		return err
	}
	v.done(v.own(), "resumed")
	return nil
}

func abandon(v *visit) error {
	if err := v.api.send(http.MethodPost, v.at("rotations", "abandon"), nil, "", nil); err != nil {
		return err
	}
	v.done(v.own(), "abandoned")
	return nil
}

// reconnect begins a sign-in for a connection that acts for a person.
func reconnect(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	return v.authorize(object{"connectionId": s.ID, "tenantId": s.Credentials.TenantID, "name": s.Name})
}

// authorize leads to the page that leads to Entra.
func (v *visit) authorize(body object) error {
	var begun struct{ AuthorizationURL string }
	if err := v.api.send(http.MethodPost, secrets+"/oauth/authorize", body, "", &begun); err != nil {
		return err
	}
	to, ok := page.Elsewhere(begun.AuthorizationURL)
	if !ok { // of a local deployment without TLS: its path is ours
		u, err := url.Parse(begun.AuthorizationURL)
		if err != nil {
			return &refusal{status: http.StatusInternalServerError, message: "The link for signing in can't be read."}
		}
		to = page.Here(u.RequestURI())
	}
	v.redirect(to)
	return nil
}

// plan shows a dry run in words.
func dryRun(v *visit) error {
	var answer struct{ Plan plan }
	if err := v.api.send(http.MethodPost, v.at("rotate-credentials"), object{"dryRun": true}, "", &answer); err != nil {
		return err
	}
	rows := make([][]g.Node, len(answer.Plan.Steps))
	for i, s := range answer.Plan.Steps {
		key := "-"
		if s.KeyID != nil {
			key = *s.KeyID
		}
		rows[i] = []g.Node{v.when(s.At), g.Text(s.What), g.Text(key), g.Text(orNone(strings.Join(s.Calls, ", "), "-"))}
	}
	main := []g.Node{h.P(g.Text("Nothing was done. This is what a rotation would do from now on, with the earliest time of each step."))}
	if answer.Plan.Running {
		main = append(main, page.Notice(page.Warn, h.P(g.Text("A run is under way: it would be the answer to a request now."))))
	}
	main = append(main, page.Table("plan", "Steps", []page.Column{{Name: "At the earliest"}, {Name: "What"}, {Name: "Key id"}, {Name: "Requests"}}, rows),
		h.P(page.Link(v.own(), "Back")))
	return v.show(v.document("plan", "What a rotation would do", main...))
}

// emergency asks for the name to be typed, since an emergency ends grace periods at once.
func emergency(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	return v.confirm(s, "")
}

func (v *visit) confirm(s *subject, mistake string) error {
	d := v.document("emergency", "Emergency rotation of "+s.title(),
		page.Notice(page.Bad, h.P(g.Text("For a client secret that has leaked. A new one is issued and published at once, and every older one of Rekey's is removed "+
			"without a grace period: consumers that still have an older one stop working until they read the new one from Key Vault."))),
		v.form(own(s, "emergency"), mistaken(mistake),
			h.Label(h.For("confirm"), g.Text("Type "+s.title()+" to confirm")),
			h.Input(h.ID("confirm"), h.Name("confirm"), h.Required(), h.AutoComplete("off")),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("danger"), g.Text("Rotate at once")), page.Link(own(s), "Back"))))
	if mistake != "" {
		return v.showAs(http.StatusBadRequest, d)
	}
	return v.show(d)
}

func mistaken(message string) g.Node {
	if message == "" {
		return nil
	}
	return h.P(h.ID("message"), h.Class("field-error"), h.Role("alert"), g.Text(message))
}

func beginEmergency(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	if strings.TrimSpace(v.PostFormValue("confirm")) != s.title() {
		return v.confirm(s, "What was typed is not the name. Nothing was done.")
	}
	if err := v.api.send(http.MethodPost, v.at("rotate-credentials"), object{"emergency": true}, v.once(), nil); err != nil {
		return err
	}
	v.done(v.own(), "emergency")
	return nil
}

// remove says what stays and what goes before anything is deleted.
func remove(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	stays := "What is published in Key Vault stays, works on, and is rotated no more: it ends when it ends."
	if s.state() == nil {
		stays = "Nothing of it is published."
	}
	return v.show(v.document("delete", "Delete "+s.title(),
		h.H2(g.Text("Only stop managing it")), h.P(g.Text(stays+" Client secrets that wait for the end of their grace period are removed first.")),
		v.form(own(s, "delete"), h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("danger"), h.Name("revoke"), h.Value("false"),
			g.Text("Delete, and keep what is published")))),
		v.revoking(s), h.P(page.Link(own(s), "Back"))))
}

// revoking offers the deletion that removes what is published, which the API lets the role rotate do.
func (v *visit) revoking(s *subject) g.Node {
	if s.state() == nil {
		return nil
	}
	title := h.H2(g.Text("Remove the client secret as well"))
	if !v.caller.Role.Allows(auth.Rotate) {
		return g.Group{title, h.P(g.Text("This needs the role rotate."))}
	}
	return g.Group{title,
		h.P(g.Text("Rekey removes what it has issued from the application, and deletes the vault secret. Consumers stop working.")),
		v.form(own(s, "delete"), h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("danger"), h.Name("revoke"), h.Value("true"),
			g.Text("Delete, and revoke")))),
	}
}

func beginRemoval(v *visit) error {
	revoke := "false"
	if v.PostFormValue("revoke") == "true" {
		revoke = "true"
	}
	var answer struct{ Message string }
	if err := v.api.send(http.MethodDelete, v.at()+"?revoke="+revoke, nil, "", &answer); err != nil {
		return err
	}
	v.done(to("connections"), "deleted")
	return nil
}

// test shows what a connection can do. It asks Entra and changes nothing.
func test(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	var answer struct{ Test check }
	if err := v.api.send(http.MethodPost, v.at("test"), nil, "", &answer); err != nil {
		return err
	}
	// What signs in is the connection: a target has no application of its own to grant anything to.
	actor := s.Credentials.ClientID
	if s.ConnectionID != "" {
		var via struct{ AppConnection subject }
		if err := v.api.get(at(s.ConnectionID, ""), nil, &via); err != nil {
			return err
		}
		actor = via.AppConnection.Credentials.ClientID
	}
	return v.show(v.document("test", "Test of "+s.title(), findings(actor, &answer.Test), h.P(page.Link(own(s), "Back"))))
}

// findings shows a test field by field. actor is the application that signs in.
func findings(actor string, c *check) g.Node {
	nodes := []g.Node{}
	if c.CanRotate {
		nodes = append(nodes, page.Notice(page.Good, h.P(g.Text("It can rotate."))))
	}
	for _, why := range c.Why {
		nodes = append(nodes, page.Notice(page.Bad, h.P(g.Text(sentence(why)))))
	}
	if c.Problem != nil {
		nodes = append(nodes, page.Notice(page.Bad, h.P(g.Text(sentence(c.Problem.Message)))))
	}
	rows := [][]g.Node{{g.Text("Signs in"), yesNo(&c.Authenticates), g.Text("with what is stored")},
		{g.Text("Owns the application"), yesNo(c.OwnsItself), g.Text("needed with Application.ReadWrite.OwnedBy")}}
	if c.TwoSecretLimit != nil && *c.TwoSecretLimit {
		rows = append(rows, []g.Node{g.Text("Room"), page.Badge(page.Warn, "two at most"), g.Text("it is for personal accounts; remove one if it has two")})
	}
	if c.Policy != nil {
		says := "no limit of lifetimes"
		if c.Policy.MaxLifetimeDays != nil {
			says = "a client secret may live " + duration(daysOf(*c.Policy.MaxLifetimeDays))
		}
		forbidden := !c.Policy.ClientSecretsForbidden
		rows = append(rows, []g.Node{g.Text("The tenant's policy allows client secrets"), yesNo(&forbidden), g.Text(says)})
	}
	for _, p := range c.Permissions {
		need := g.Node(g.Text(p.NeededFor))
		if p.Has != nil && !*p.Has {
			if command := grant(actor, p.Name, p.Type); command != "" {
				need = g.Group{g.Text(p.NeededFor + ". "), page.Copyable(command, "the command that grants it")}
			}
		}
		rows = append(rows, []g.Node{h.Code(g.Text(p.Name)), yesNo(p.Has), need})
	}
	nodes = append(nodes, page.Table("test", "What was checked", []page.Column{{Name: "What"}, {Name: "Is so"}, {Name: "Needed for"}}, rows))
	return g.Group(nodes)
}

func yesNo(b *bool) g.Node {
	switch {
	case b == nil:
		return page.Badge(page.Calm, "not known")
	case *b:
		return page.Badge(page.Good, "yes")
	}
	return page.Badge(page.Bad, "no")
}

// several does one thing to all that were chosen, one after the other, and says what was refused.
func several(v *visit) error {
	what := v.PostFormValue("what")
	chosen := v.PostForm["chosen"]
	if len(chosen) == 0 {
		return &refusal{status: http.StatusBadRequest, message: "Nothing was chosen, so nothing was done."}
	}
	if len(chosen) > 100 {
		return &refusal{status: http.StatusBadRequest, message: "Choose 100 at most."}
	}
	var wrong []g.Node
	for i, ref := range chosen {
		via, id, _ := strings.Cut(ref, "/")
		path := at(id, "")
		if via != "" {
			path = at(via, id)
		}
		var err error
		switch what {
		case "pause", "resume":
			err = v.api.send(http.MethodPatch, path, object{"isAutoRotationEnabled": what == "resume"}, "", nil)
		case "rotate":
			err = v.api.send(http.MethodPost, path+"/rotate-credentials", object{}, v.once()+"-"+id, nil)
		default:
			return &refusal{status: http.StatusBadRequest, message: "There is no such button."}
		}
		if err != nil {
			message := "Something went wrong inside Rekey."
			if r, ok := errors.AsType[*refusal](err); ok {
				message = r.message
			}
			wrong = append(wrong, h.Li(page.Link(ownAt(via, id), fmt.Sprintf("Number %d of those chosen", i+1)), g.Text(": "+message)))
		}
	}
	if len(wrong) > 0 {
		v.fail(http.StatusConflict, "Not all were done", fmt.Sprintf("Done for %d of %d. These were refused:", len(chosen)-len(wrong), len(chosen)),
			h.Ul(wrong...), h.P(v.onward()))
		return nil
	}
	v.done(page.Here(session.Back(v.PostFormValue("back"))), "several")
	return nil
}

// zone keeps the zone that the reader chose.
func zone(v *visit) error {
	name := strings.TrimSpace(v.PostFormValue("zone"))
	if _, err := loadZone(name); err != nil {
		return &refusal{status: http.StatusBadRequest, message: "That is no time zone. Give a name of the IANA database, such as Europe/Berlin or UTC."}
	}
	http.SetCookie(v.w, &http.Cookie{Name: zoneCookie, Value: name, Path: Base, MaxAge: 400 * 24 * 3600, HttpOnly: true,
		Secure: !v.console.PlainHTTP, SameSite: http.SameSiteLaxMode})
	v.redirect(page.Here(session.Back(v.PostFormValue("back"))))
	return nil
}

func signOut(v *visit) error {
	leaving := v.console.Sessions.SignOut(v.w, v.Request, v.Visit)
	v.redirect(page.Here(leaving.Location))
	return nil
}
