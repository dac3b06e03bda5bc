package console

import (
	"errors"
	"net/http"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

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
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text(map[bool]string{true: "Go on to sign in",
				false: "Connect"}[method == "oauth"])),
				page.Link(to("connections"), "Back"))))
	return f.show(d)
}

// keyID asks which client secret a value is, with those that it could be where that is known.
func (f *sheet) keyID(candidates []candidate) g.Node {
	if len(candidates) == 0 {
		return f.field("clientSecretKeyId", "Key id of that client secret",
			"Empty: Rekey finds it by its first characters, and asks if several fit.")
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

// credentialsOf are the credentials of a form for the API.
func credentialsOf(v *visit) object {
	c := object{}
	put(v, c, map[string]string{"tenantId": "tenantId", "clientId": "clientId", "clientSecret": "clientSecret",
		"clientSecretKeyId": "clientSecretKeyId",
		"certificateBody":   "certificateBody", "privateKey": "privateKey"})
	return c
}

// connect makes a connection, or leads to the sign-in.
func connect(v *visit) error {
	method := v.URL.Query().Get("method")
	body := object{"method": method, "isAutoRotationEnabled": v.PostFormValue("rotate") == "on"}
	put(v, body, map[string]string{"name": "name", "description": "description", "projectId": "projectId",
		"vaultSecretName": "vaultSecretName"})
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
