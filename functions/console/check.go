package console

import (
	"net/http"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

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
	rows := [][]g.Node{{g.Text("Signs in"), yesNo(&c.Authenticates), g.Text("what is stored is accepted by Entra")},
		{g.Text("Owns the application"), yesNo(c.OwnsItself), g.Text("Application.ReadWrite.OwnedBy allows changes to owned applications only")}}
	if c.TwoSecretLimit != nil && *c.TwoSecretLimit {
		rows = append(rows, []g.Node{g.Text("Room"), page.Badge(page.Warn, "two at most"),
			g.Text("it is for personal accounts; remove one if it has two")})
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
		if p.Has != nil && !*p.Has && !c.CanRotate {
			if command := grant(actor, p.Name, p.Type); command != "" {
				need = g.Group{g.Text(p.NeededFor + ". "), page.Copyable(command, "the command that grants it")}
			}
		}
		rows = append(rows, []g.Node{h.Code(g.Text(p.Name)), yesNo(p.Has), need})
	}
	nodes = append(nodes, page.Table("test", "What was checked", []page.Column{{Name: "What"}, {Name: "Result"}, {Name: "What for"}}, rows))
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
