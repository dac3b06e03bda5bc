package console

import (
	"errors"
	"net/http"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/inventory"
	"rekey/shared/page"
)

// adoptForm makes a target of an application.
func adoptForm(v *visit) error {
	return v.adopting(&sheet{visit: v, from: func(name string) string {
		return map[string]string{"interval": "30", "time": "03:00", "timeZone": v.zone.String(), "rotate": "on"}[name]
	}})
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
	var retire []g.Node
	for _, c := range a.Credentials {
		if c.Kind == string(inventory.ClientSecret) && c.Of == string(inventory.Registration) && (c.EndsAt == nil || c.EndsAt.After(v.now)) {
			retire = append(retire, h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("retire"), h.Value(c.KeyID),
				g.If(slices.Contains(v.PostForm["retire"], c.KeyID), h.Checked())),
				g.Text(text(c.Name, "without a name")+", begins with "+text(c.Hint, "?")+", "+c.KeyID)))
		}
	}
	via := f.entered("connectionId")
	if via == "" {
		via = found.Tenant.ConnectionID
	}
	d := v.document("adopt", "Adopt "+orNone(a.Name, a.ClientID), f.mistaken(),
		h.P(g.Text("Rekey issues a client secret for it, publishes it in Key Vault, and rotates it from then on. Certificates stay as "+
			"they are.")),
		v.form(to("inventory", a.TenantID, a.ClientID, "adopt"),
			h.Label(h.For("connectionId"), g.Text("Through the connection"),
				h.Span(h.Class("hint"), g.Text("Its id. It must be allowed to change this application."))),
			h.Input(h.ID("connectionId"), h.Name("connectionId"), h.Value(via), h.Required(), h.AutoComplete("off")),
			f.field("name", "Name", "Empty: one is made of the id."),
			f.field("vaultSecretName", "Name of the secret in Key Vault", "What consumers will read.", h.Required()), f.schedule(),
			g.If(len(retire) > 0 && v.caller.Role.Allows(auth.Rotate), h.FieldSet(h.Legend(g.Text("Client secrets to remove")),
				h.P(h.Class("note"), g.Text("Those chosen are removed after the first rotation, when the grace period is over. Choose none that "+
					"another consumer uses.")),
				g.Group(retire))),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Adopt")), page.Link(to("inventory", a.TenantID, a.ClientID), "Back"))))
	return f.show(d)
}

func adopt(v *visit) error {
	body := object{"isAutoRotationEnabled": v.PostFormValue("rotate") == "on"}
	put(v, body, map[string]string{"connectionId": "connectionId", "name": "name", "vaultSecretName": "vaultSecretName"})
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
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status < http.StatusInternalServerError {
		return v.adopting(&sheet{visit: v, refused: refused})
	}
	if err != nil {
		return err
	}
	v.done(ownAt(made.Target.ConnectionID, made.Target.ID), "target")
	return nil
}
