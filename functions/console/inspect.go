package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// A check tells before a connection is made what it would be able to do. It comes from the API, as the
// test of a connection that there is.

// inspection is what a check has shown.
type inspection struct {
	Inspection struct {
		ClientSecretKeyID *string
		Candidates        []candidate
		Complete          bool
	}
	Test  check
	actor string // the application that would sign in
}

// own are the candidates that the API takes: client secrets of the application.
func (i *inspection) own() []candidate {
	return slices.DeleteFunc(slices.Clone(i.Inspection.Candidates), func(c candidate) bool { return c.Of != "application" })
}

// checkConnection shows the form again with what it would make. What is secret has to be entered again,
// unless a script shows the result in the page as it is. It has an address of its own, so that no button
// that gets lost makes a connection of a check.
func checkConnection(v *visit) error {
	body, err := v.connectionBody()
	var found *inspection
	if err == nil {
		found, err = v.inspect(body)
	}
	if refused := refusedBy(err); refused != nil {
		if names := []string{"name", "vaultSecretName"}; len(refused.about) > 0 && !slices.ContainsFunc(refused.about,
			func(field string) bool { return !slices.Contains(names, field) }) { // the credentials can be checked all the same
			delete(body, "name")
			delete(body, "vaultSecretName")
			found, _ = v.inspect(body) // what else is wrong shows when the name is right
		}
		return v.connecting(&sheet{visit: v, refused: refused}, found)
	}
	if err != nil {
		return err
	}
	return v.connecting(&sheet{visit: v}, found)
}

// inspect asks the API. A key id that was chosen counts for a check; without one the candidates show.
func (v *visit) inspect(body object) (*inspection, error) {
	ask := maps.Clone(body)
	for _, not := range []string{"description", "projectId"} {
		delete(ask, not)
	}
	found := inspection{actor: strings.TrimSpace(v.PostFormValue("clientId"))}
	if err := v.api.send(http.MethodPost, secrets+"/inspect", ask, "", &found); err != nil {
		return nil, err
	}
	return &found, nil
}

func checkAt(method string) page.Address {
	return to("connect", "check").With(url.Values{"method": {method}}).Fragment("checked")
}

// checkButton sends the form to be checked.
func checkButton(method string) g.Node {
	return h.Button(h.Type("submit"), h.Class("plain"), h.FormNoValidate(), h.FormAction(checkAt(method).String()), g.Attr("data-check", ""),
		g.Text("Check"))
}

// checked shows what a check has shown. It is there without one, for the script to fill.
func (f *sheet) checked(method string, i *inspection) g.Node {
	if method == "oauth" {
		return nil
	}
	var nodes []g.Node
	switch {
	case i != nil:
		nodes = []g.Node{h.H2(g.Text("What was checked"))}
		if f.refused == nil {
			nodes = append(nodes, h.P(g.Text("Nothing was stored or changed.")))
		}
		if f.refused != nil && strings.HasSuffix(f.URL.Path, "/check") {
			nodes = append(nodes, page.Notice(page.Bad, h.P(g.Text(f.refused.message))))
		}
		nodes = append(nodes, findings(&tested{actor: i.actor, app: i.actor, rotates: method == "client-secret"}, &i.Test))
		if len(i.Inspection.Candidates) > len(i.own()) {
			nodes = append(nodes, page.Notice(page.Warn, h.P(g.Text("It could also be a client secret of the service principal (enterprise "+
				"application). Rekey rotates those of the app registration only: if it is one, create another under App registrations."))))
		}
		if f.Method == http.MethodPost {
			nodes = append(nodes, h.P(h.Class("note again"), g.Text("What is secret was not sent back: enter it again before you connect.")))
		}
	case f.refused != nil && strings.HasSuffix(f.URL.Path, "/check"):
		nodes = []g.Node{h.H2(g.Text("What was checked")), page.Notice(page.Bad, h.P(g.Text(f.refused.message)))}
	}
	return h.Section(h.ID("checked"), g.Attr("data-checked", ""), h.Aria("live", "polite"), h.Aria("label", "Check"), g.Group(nodes))
}

// keyID asks which client secret a value is, with those that it could be where that is known.
func (f *sheet) keyID(i *inspection) g.Node {
	const name = "clientSecretKeyId"
	if i == nil || len(i.own()) == 0 {
		return h.Div(h.ID("which"), g.Attr("data-checked", ""),
			f.field(name, "Certificates & secrets > Client secrets, column Secret ID. Empty: Rekey finds it by its "+
				"first characters. “Check” shows those that it could be."))
	}
	chosen := f.entered(name)
	if chosen == "" && i.Inspection.ClientSecretKeyID != nil {
		chosen = *i.Inspection.ClientSecretKeyID
	}
	options := []g.Node{h.Option(h.Value(""), g.Text("Choose one"))}
	for _, c := range i.own() {
		ends := "end not known"
		if c.ExpiresAt != nil {
			ends = "ends " + f.clock(*c.ExpiresAt)
		}
		options = append(options, h.Option(h.Value(c.KeyID), g.If(chosen == c.KeyID, h.Selected()),
			g.Text(orNone(c.DisplayName, "without a name")+", begins with "+orNone(c.Hint, "?")+", "+ends+", "+c.KeyID)))
	}
	hint := "These begin with the same characters."
	if len(i.own()) == 1 {
		hint = "It begins with the same characters."
	}
	return h.Div(h.ID("which"), g.Attr("data-checked", ""), label(name, hint),
		h.Select(h.ID(name), h.Name(name), f.about(name, hint), g.Group(options)))
}
