package console

import (
	"net/http"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// noName is what a target is called that is given no name.
const noName = "Lower-case letters, digits, hyphens. Empty: it is called as its secret in Key Vault."

// targetForm adds an application to be rotated through a connection.
func targetForm(v *visit) error {
	return v.targeting(&sheet{visit: v, from: v.newSchedule})
}

func (v *visit) targeting(f *sheet) error {
	d := v.document("add-target", "Add a target to "+v.name(), f.mistaken(),
		f.notOwned(v.params["id"], strings.TrimSpace(f.entered("clientId"))),
		h.P(g.Text("Rekey issues a client secret for the application, publishes it, and rotates it. Client secrets that are there already "+
			"stay as they are.")),
		v.form(to("connections", v.params["id"], "add-target"),
			f.field("clientId", "A GUID: "+clientFrom, h.Required()),
			f.field("name", noName, h.MaxLength("64")), f.field("description", ""),
			f.field("vaultSecretName", "What consumers read. Empty: one is made of the id."), f.schedule(graceOfNew),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Add")), page.Link(ownAt("", v.params["id"]), "Back"), patience())))
	return f.show(d)
}

func addTarget(v *visit) error {
	body := object{"isAutoRotationEnabled": v.PostFormValue("rotate") == "on"}
	put(v, body, map[string]string{"clientId": "clientId", "name": "name", "description": "description", "vaultSecretName": "vaultSecretName"})
	r, err := rotationOf(v)
	if r != nil {
		body["rotation"] = r
	}
	var made struct{ Target subject }
	if err == nil {
		err = v.api.send(http.MethodPost, at(v.params["id"], "", "targets"), body, v.once(), &made)
	}
	if refused := refusedBy(err); refused != nil {
		return v.targeting(&sheet{visit: v, refused: refused})
	}
	if err != nil {
		return err
	}
	v.done(ownAt(v.params["id"], made.Target.ID), "target")
	return nil
}
