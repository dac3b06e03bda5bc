package console

import (
	"net/http"
	"net/url"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// connectForm begins: with the method, since each has other fields.
func connectForm(v *visit) error {
	return v.connecting(&sheet{visit: v, from: v.newSchedule}, nil)
}

// newSchedule is what stands in the schedule of a new form.
func (v *visit) newSchedule(name string) string {
	return map[string]string{"interval": "30", "time": "03:00", "timeZone": v.zone.String(), "rotate": "on"}[name]
}

// connecting is the form; checked is what a check of it has shown.
func (v *visit) connecting(f *sheet, checked *inspection) error {
	method := v.method()
	tabs := g.Map(ways, func(w way) g.Node {
		if w.method == "oauth" && !v.console.OAuth {
			return h.Li(h.Span(h.Class("note"), g.Text(w.name+notConfigured)))
		}
		return h.Li(h.A(connectAt(w.method).Href(), g.If(w.method == method, h.Aria("current", "page")), g.Text(w.name)))
	})
	fields := []g.Node{f.field("tenantId", "A GUID: "+tenantFrom, h.Required())}
	switch method {
	case "client-secret":
		fields = append(fields, f.field("clientId", "A GUID: "+clientFrom, h.Required()),
			f.secretField("clientSecret", "Its value. With rotation on, Rekey issues another one at once and revokes this one.", h.Required()),
			f.keyID(checked))
	case "certificate":
		fields = append(fields, f.field("clientId", "A GUID: "+clientFrom, h.Required()),
			f.certificateFields())
	case "oauth":
		fields = append(fields, h.P(h.Class("note"), g.Text("The next page says who asked and for what; its button leads to Microsoft. "+
			"A person signs in there who owns the applications that are to be rotated, or is an Application Administrator, and consents to "+
			"what Rekey may do for them. What that is can be "+
			"looked at afterwards, by “Test” on the connection's page.")))
	}
	fields = append(fields, h.FieldSet(h.Legend(g.Text("Connection")),
		f.field("name", "Lower-case letters, digits, hyphens", h.Required(), h.MaxLength("64")),
		f.field("description", ""), f.field("projectId", "Empty: none"),
		// The others publish nothing of their own: each target has a name.
		g.If(method == "client-secret", f.field("vaultSecretName", "What consumers read. Empty: one is made of the id."))))
	if method == "client-secret" {
		fields = append(fields, f.schedule(graceOfNew, f.field("originalGrace", "How long the client secret that you give stays valid after "+
			"Rekey has published its own. Empty or 0: about a minute later it is revoked, since a value that has been pasted around stays a "+
			"risk until it is gone. What still uses it then fails. So if consumers use it, give them the time to change over to Key Vault: "+
			"up to 720 hours.",
			h.Type("number"), h.Min("0"), h.Max("720"), h.Step("any"))))
	}
	d := v.document("connect", "Connect a tenant", h.Nav(h.Aria("label", "Method"), h.Ul(h.Class("tabs"), tabs)), f.mistaken(),
		f.first(method),
		v.form(connectAt(method), upload, g.Group(fields), f.checked(method, checked),
			h.Div(h.Class("actions"), g.If(method != "oauth", checkButton(method)),
				h.Button(h.Type("submit"), g.Text(map[bool]string{true: "Go on to sign in", false: "Connect"}[method == "oauth"])),
				page.Link(to("connections"), "Back"), g.If(method != "oauth", patience()))))
	return f.show(d)
}

func connectAt(method string) page.Address { return to("connect").With(url.Values{"method": {method}}) }

// method is the one that the address names.
func (v *visit) method() string {
	if method := v.URL.Query().Get("method"); methods[method] != "" {
		return method
	}
	return "client-secret"
}

// connect makes a connection, or leads to the sign-in.
func connect(v *visit) error {
	body, err := v.connectionBody()
	switch {
	case err != nil:
	case v.method() == "oauth":
		err = v.authorize(body)
	default:
		var made struct{ AppConnection subject }
		if err = v.api.send(http.MethodPost, secrets, body, v.once(), &made); err == nil {
			v.done(ownAt("", made.AppConnection.ID), "created")
		}
	}
	refused := refusedBy(err)
	if refused == nil {
		return err
	}
	if v.method() == "client-secret" { // several may fit
		if found, err := v.inspect(body); err == nil {
			return v.connecting(&sheet{visit: v, refused: refused}, found)
		}
	}
	return v.connecting(&sheet{visit: v, refused: refused}, nil)
}

// connectionBody is what the API gets of the form.
func (v *visit) connectionBody() (object, error) {
	body, method := object{}, v.method()
	put(v, body, map[string]string{"name": "name", "description": "description", "projectId": "projectId",
		"vaultSecretName": "vaultSecretName"})
	if method == "oauth" {
		put(v, body, map[string]string{"tenantId": "tenantId"})
		return body, nil
	}
	credentials, err := credentialsOf(v)
	if err != nil {
		return nil, err
	}
	body["method"], body["credentials"], body["isAutoRotationEnabled"] = method, credentials, v.PostFormValue("rotate") == "on"
	r, err := rotationOf(v)
	if r != nil && method == "client-secret" {
		body["rotation"] = r
	}
	return body, err
}
