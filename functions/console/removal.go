package console

import (
	"net/http"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
)

// remove says what stays and what goes before anything is deleted.
func remove(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	stays := "What is published in Key Vault stays and works until its end date. Rekey does not rotate it any more."
	if s.state() == nil {
		stays = "Nothing of it is published."
	}
	return v.show(v.document("delete", "Delete "+s.title(),
		h.H2(g.Text("Only stop managing it")), h.P(g.Text(stays+" Client secrets that wait for the end of their grace period are removed "+
			"first.")),
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
		v.form(own(s, "delete"), h.Label(h.For("confirm"), g.Text("Type "+s.title()+" to confirm")),
			h.Input(h.ID("confirm"), h.Name("confirm"), h.Required(), h.AutoComplete("off")),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("danger"), h.Name("revoke"), h.Value("true"), g.Text("Delete, and revoke")))),
	}
}

func beginRemoval(v *visit) error {
	revoke := v.PostFormValue("revoke")
	switch revoke {
	case "true":
		s, err := v.load()
		if err != nil {
			return err
		}
		if strings.TrimSpace(v.PostFormValue("confirm")) != s.title() {
			return &refusal{status: http.StatusBadRequest, message: "What was typed is not the name. Nothing was done."}
		}
	case "false":
	default:
		return &refusal{status: http.StatusBadRequest, message: "Choose on the page for deleting what becomes of the client secret. Nothing was done."}
	}
	var answer struct{ Message string }
	if err := v.api.send(http.MethodDelete, v.at()+"?revoke="+revoke, nil, "", &answer); err != nil {
		return err
	}
	v.done(to("connections"), "deleted")
	return nil
}
