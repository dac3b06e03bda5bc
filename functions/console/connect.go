package console

import (
	"errors"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
)

// sheet is a form with what was entered and what is wrong with it. Secrets are never shown again.
type sheet struct {
	*visit
	refused *refusal
	from    func(name string) string // what to begin with
	rotates bool                     // rotation is on, so that the role write may turn it off
}

// mistaken says what is wrong.
func (f *sheet) mistaken() g.Node {
	if f.refused == nil {
		return nil
	}
	return mistaken(f.refused.message)
}

// show answers with the form, and with the status of what was refused.
func (f *sheet) show(d page.Document) error {
	if f.refused == nil {
		return f.visit.show(d)
	}
	return f.showRefused(f.refused, d)
}

// entered is what stands in a field.
func (f *sheet) entered(name string) string {
	if f.Method == http.MethodPost {
		return f.PostFormValue(name)
	}
	if f.from != nil {
		return f.from(name)
	}
	return ""
}

func (f *sheet) field(name, label, hint string, attrs ...g.Node) g.Node {
	return g.Group{
		h.Label(h.For(name), g.Text(label), g.If(hint != "", h.Span(h.Class("hint"), h.ID(name+"-hint"), g.Text(hint)))),
		h.Input(h.ID(name), h.Name(name), h.Value(f.entered(name)), h.AutoComplete("off"),
			g.If(hint != "", h.Aria("describedby", name+"-hint")), g.Group(attrs)),
	}
}

// secretField is one whose value is not shown again.
func secretField(name, label, hint string, attrs ...g.Node) g.Node {
	return g.Group{
		h.Label(h.For(name), g.Text(label), g.If(hint != "", h.Span(h.Class("hint"), g.Text(hint)))),
		h.Input(h.ID(name), h.Name(name), h.Type("password"), h.AutoComplete("new-password"), g.Group(attrs)),
	}
}

// schedule are the fields of a schedule.
func (f *sheet) schedule() g.Node {
	on, may, label := f.entered("rotate") == "on", f.rotates || f.caller.Role.Allows(auth.Rotate), "Rotate on a schedule"
	if !may {
		label += " (needs the role rotate)"
	}
	return h.FieldSet(h.Legend(g.Text("Rotation")),
		h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("rotate"), h.Value("on"), g.If(on && may, h.Checked()),
			g.If(!may, h.Disabled())), g.Text(label)),
		f.field("interval", "Every so many days", "", h.Type("number"), h.Min("1"), h.Max("365")),
		f.field("time", "At this time of day", "hh:mm, in the zone below", h.Type("time")),
		f.field("timeZone", "In this time zone", "An IANA name, such as Europe/Berlin", g.Attr("list", "zones")),
		f.field("grace", "Grace period in hours", "How long the old client secret still works after the new one is published. Empty: 48.",
			h.Type("number"), h.Min("0"), h.Step("any")))
}

// rotationOf is the schedule of a form for the API; nil if nothing was entered.
func rotationOf(v *visit) (object, error) {
	out := object{}
	interval, clock := strings.TrimSpace(v.PostFormValue("interval")), strings.TrimSpace(v.PostFormValue("time"))
	if interval != "" {
		n, err := strconv.Atoi(interval)
		if err != nil {
			return nil, &refusal{status: http.StatusBadRequest, message: "The days between rotations must be a whole number."}
		}
		out["rotationInterval"] = n
	}
	if clock != "" {
		t, err := time.Parse("15:04", clock)
		if err != nil {
			return nil, &refusal{status: http.StatusBadRequest, message: "The time of day must be hh:mm."}
		}
		out["rotateAt"] = timeOfDay{t.Hour(), t.Minute()}
		out["timeZone"] = orNone(strings.TrimSpace(v.PostFormValue("timeZone")), "UTC")
	}
	if text := strings.TrimSpace(v.PostFormValue("grace")); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, &refusal{status: http.StatusBadRequest, message: "The grace period must be a number of hours."}
		}
		out["gracePeriodHours"] = n
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// put sets members of a body to what was entered, where something was.
func put(v *visit, body object, names map[string]string) {
	for member, field := range names {
		if text := strings.TrimSpace(v.PostFormValue(field)); text != "" {
			body[member] = text
		}
	}
}

// connectForm begins: with the method, since each has other fields.
func connectForm(v *visit) error {
	return v.connecting(&sheet{visit: v, from: func(name string) string {
		return map[string]string{"interval": "30", "time": "03:00", "timeZone": v.zone.String(), "rotate": "on"}[name]
	}}, nil)
}

func (v *visit) connecting(f *sheet, candidates []candidate) error {
	method := v.URL.Query().Get("method")
	if methods[method] == "" {
		method = "client-secret"
	}
	tabs := g.Map([]string{"client-secret", "certificate", "oauth"}, func(m string) g.Node {
		if m == "oauth" && !v.console.OAuth {
			return h.Li(h.Span(h.Class("note"), g.Text("by signing in (OAuth is not configured)")))
		}
		return h.Li(h.A(to("connect").With(map[string][]string{"method": {m}}).Href(), g.If(m == method, h.Aria("current", "page")),
			g.Text("by "+methods[m])))
	})
	fields := []g.Node{f.field("tenantId", "Tenant id", "A GUID: Entra admin center, Overview", h.Required())}
	switch method {
	case "client-secret":
		fields = append(fields, f.field("clientId", "Client id of the application", "", h.Required()),
			secretField("clientSecret", "Client secret", "Its value. With rotation, Rekey replaces it at once and revokes it.", h.Required()),
			f.keyID(candidates))
	case "certificate":
		fields = append(fields, f.field("clientId", "Client id of the application", "", h.Required()),
			area("certificateBody", "Certificate", "PEM, with its chain if there is one"), area("privateKey", "Private key", "PEM"))
	}
	fields = append(fields, h.FieldSet(h.Legend(g.Text("Connection")),
		f.field("name", "Name", "Lower-case letters, digits, hyphens", h.Required(), h.MaxLength("64")),
		f.field("description", "Description", ""), f.field("projectId", "Project", "Empty: none"),
		f.field("vaultSecretName", "Name of the secret in Key Vault", "What consumers read. Empty: one is made of the id.")))
	if method == "client-secret" {
		fields = append(fields, f.schedule())
	}
	d := v.document("connect", "Connect a tenant", h.Nav(h.Aria("label", "Method"), h.Ul(h.Class("tabs"), tabs)), f.mistaken(),
		v.form(to("connect").With(map[string][]string{"method": {method}}), g.Group(fields),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text(map[bool]string{true: "Go on to sign in", false: "Connect"}[method == "oauth"])),
				page.Link(to("connections"), "Back"))))
	return f.show(d)
}

// keyID asks which client secret a value is, with those that it could be where that is known.
func (f *sheet) keyID(candidates []candidate) g.Node {
	if len(candidates) == 0 {
		return f.field("clientSecretKeyId", "Key id of that client secret", "Empty: Rekey finds it by its first characters, and asks if several fit.")
	}
	options := []g.Node{h.Option(h.Value(""), g.Text("Choose one"))}
	for _, c := range candidates {
		ends := "end not known"
		if c.ExpiresAt != nil {
			ends = "ends " + f.clock(*c.ExpiresAt)
		}
		options = append(options, h.Option(h.Value(c.KeyID), g.If(f.entered("clientSecretKeyId") == c.KeyID, h.Selected()),
			g.Text(orNone(c.DisplayName, "without a name")+", begins with "+orNone(c.Hint, "?")+", "+ends+", "+c.KeyID)))
	}
	return g.Group{h.Label(h.For("clientSecretKeyId"), g.Text("Which client secret it is")),
		h.Select(h.ID("clientSecretKeyId"), h.Name("clientSecretKeyId"), g.Group(options))}
}

func area(name, label, hint string) g.Node {
	return g.Group{h.Label(h.For(name), g.Text(label), h.Span(h.Class("hint"), g.Text(hint))),
		h.Textarea(h.ID(name), h.Name(name), h.AutoComplete("off"), g.Attr("spellcheck", "false"))}
}

// credentialsOf are the credentials of a form for the API.
func credentialsOf(v *visit) object {
	c := object{}
	put(v, c, map[string]string{"tenantId": "tenantId", "clientId": "clientId", "clientSecret": "clientSecret", "clientSecretKeyId": "clientSecretKeyId",
		"certificateBody": "certificateBody", "privateKey": "privateKey"})
	return c
}

// connect makes a connection, or leads to the sign-in.
func connect(v *visit) error {
	method := v.URL.Query().Get("method")
	body := object{"method": method, "isAutoRotationEnabled": v.PostFormValue("rotate") == "on"}
	put(v, body, map[string]string{"name": "name", "description": "description", "projectId": "projectId", "vaultSecretName": "vaultSecretName"})
	r, err := rotationOf(v)
	if err == nil && r != nil && method == "client-secret" {
		body["rotation"] = r
	}
	if err == nil && method == "oauth" {
		put(v, body, map[string]string{"tenantId": "tenantId"})
		delete(body, "method")
		err = v.authorize(body)
		if err == nil {
			return nil
		}
	} else if err == nil {
		body["credentials"] = credentialsOf(v)
		var made struct{ AppConnection subject }
		if err = v.api.send(http.MethodPost, secrets, body, v.once(), &made); err == nil {
			v.done(ownAt("", made.AppConnection.ID), "created")
			return nil
		}
	}
	refused, ok := errors.AsType[*refusal](err)
	if !ok || refused.status >= http.StatusInternalServerError {
		return err
	}
	return v.connecting(&sheet{visit: v, refused: refused}, v.candidates(method))
}

// candidates are the client secrets that the entered one could be, where the API can tell.
func (v *visit) candidates(method string) []candidate {
	if method != "client-secret" {
		return nil
	}
	var found struct {
		Inspection struct{ Candidates []candidate }
	}
	credentials := credentialsOf(v)
	delete(credentials, "clientSecretKeyId")
	if err := v.api.send(http.MethodPost, secrets+"/inspect", object{"credentials": credentials}, "", &found); err != nil {
		return nil // the refusal that led here says what is wrong
	}
	return found.Inspection.Candidates
}

// targetForm adds an application to be rotated through a connection.
func targetForm(v *visit) error {
	return v.targeting(&sheet{visit: v, from: func(name string) string {
		return map[string]string{"interval": "30", "time": "03:00", "timeZone": v.zone.String(), "rotate": "on"}[name]
	}})
}

func (v *visit) targeting(f *sheet) error {
	d := v.document("add-target", "Add a target", f.mistaken(),
		h.P(g.Text("Rekey issues a client secret for the application, publishes it, and rotates it. Client secrets that are there already stay as they are.")),
		v.form(to("connections", v.params["id"], "add-target"),
			f.field("clientId", "Client id of the application", "", h.Required()), f.field("description", "Description", ""),
			f.field("vaultSecretName", "Name of the secret in Key Vault", "What consumers read. Empty: one is made of the id."), f.schedule(),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Add")), page.Link(ownAt("", v.params["id"]), "Back"))))
	return f.show(d)
}

func addTarget(v *visit) error {
	body := object{"isAutoRotationEnabled": v.PostFormValue("rotate") == "on"}
	put(v, body, map[string]string{"clientId": "clientId", "description": "description", "vaultSecretName": "vaultSecretName"})
	r, err := rotationOf(v)
	if r != nil {
		body["rotation"] = r
	}
	var made struct{ Target subject }
	if err == nil {
		err = v.api.send(http.MethodPost, at(v.params["id"], "", "targets"), body, v.once(), &made)
	}
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status < http.StatusInternalServerError {
		return v.targeting(&sheet{visit: v, refused: refused})
	}
	if err != nil {
		return err
	}
	v.done(ownAt(v.params["id"], made.Target.ID), "target")
	return nil
}

// editForm changes what may be changed, with new credentials if some are entered.
func editForm(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	return v.editing(s, &sheet{visit: v, from: s.fields, rotates: s.IsAutoRotationEnabled})
}

// fields are what stands in the form of a connection at first.
func (s *subject) fields(name string) string {
	out := map[string]string{"name": s.Name, "version": strconv.FormatInt(s.Version, 10)}
	if s.Description != nil {
		out["description"] = *s.Description
	}
	if s.IsAutoRotationEnabled {
		out["rotate"] = "on"
	}
	if r := s.state(); r != nil && s.scheduled() {
		maps.Copy(out, map[string]string{"timeZone": r.TimeZone, "grace": strconv.FormatFloat(r.GracePeriodHours, 'f', -1, 64)})
		if r.RotationInterval > 0 {
			out["interval"], out["time"] = strconv.Itoa(r.RotationInterval), time.Date(1, 1, 1, r.RotateAt.Hours, r.RotateAt.Minutes, 0, 0, time.UTC).Format("15:04")
		}
	}
	return out[name]
}

func (v *visit) editing(s *subject, f *sheet) error {
	fields := []g.Node{h.Input(h.Type("hidden"), h.Name("version"), h.Value(f.entered("version")))}
	if s.ConnectionID == "" {
		fields = append(fields, f.field("name", "Name", "", h.Required(), h.MaxLength("64")))
	}
	fields = append(fields, f.field("description", "Description", ""))
	if s.state() != nil {
		fields = append(fields, f.schedule())
	}
	switch s.Method {
	case "client-secret":
		fields = append(fields, h.FieldSet(h.Legend(g.Text("New credentials")), h.P(h.Class("note"), g.Text("Leave empty to keep those that it has.")),
			secretField("clientSecret", "Client secret", ""), f.field("clientSecretKeyId", "Its key id", "")))
	case "certificate":
		fields = append(fields, h.FieldSet(h.Legend(g.Text("New credentials")), h.P(h.Class("note"), g.Text("Leave empty to keep those that it has.")),
			area("certificateBody", "Certificate", "PEM"), area("privateKey", "Private key", "PEM")))
	}
	d := v.document("edit", "Edit "+s.title(), f.mistaken(), v.form(own(s, "edit"), g.Group(fields),
		h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Save")), page.Link(own(s), "Back"))))
	return f.show(d)
}

func edit(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	body := object{"description": strings.TrimSpace(v.PostFormValue("description"))}
	put(v, body, map[string]string{"name": "name"})
	if n, err := strconv.ParseInt(v.PostFormValue("version"), 10, 64); err == nil {
		body["version"] = n
	}
	if s.state() != nil {
		// Only a difference is sent: a box that the role may not tick is disabled, and so never sent.
		if on := v.PostFormValue("rotate") == "on"; on != s.IsAutoRotationEnabled {
			body["isAutoRotationEnabled"] = on
		}
		r, wrong := rotationOf(v)
		if err = wrong; r != nil {
			body["rotation"] = r
		}
	}
	if c := credentialsOf(v); len(c) > 0 {
		c["tenantId"], c["clientId"] = s.Credentials.TenantID, s.Credentials.ClientID
		body["credentials"] = c
	}
	if err == nil {
		err = v.api.send(http.MethodPatch, v.at(), body, "", nil)
	}
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status < http.StatusInternalServerError {
		return v.editing(s, &sheet{visit: v, refused: refused, rotates: s.IsAutoRotationEnabled})
	}
	if err != nil {
		return err
	}
	v.done(v.own(), "saved")
	return nil
}
