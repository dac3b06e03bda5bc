package console

import (
	"net/http"
	"slices"
	"strings"

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
	of := tested{actor: s.Credentials.ClientID, app: s.clientID(), rotates: s.state() != nil}
	if s.ConnectionID != "" {
		var via struct{ AppConnection subject }
		if err := v.api.get(at(s.ConnectionID, ""), nil, &via); err != nil {
			return err
		}
		of.actor = via.AppConnection.Credentials.ClientID
	}
	return v.show(v.document("test", "Test of "+s.title(), findings(&of, &answer.Test), h.P(page.Link(own(s), "Back"))))
}

// tested is what a test was of.
type tested struct {
	actor   string // the client id of the application that signs in; empty: a person does
	app     string // the one that is rotated
	rotates bool   // it has one
}

// findings shows a test field by field.
func findings(of *tested, c *check) g.Node {
	nodes := []g.Node{}
	if c.CanRotate {
		nodes = append(nodes, page.Notice(page.Good, h.P(g.Text("It can rotate."))))
	}
	tone := page.Bad
	if !of.rotates && c.Authenticates && len(c.Why) == 1 { // it is not meant to
		tone = page.Calm
	}
	for _, why := range c.Why {
		nodes = append(nodes, page.Notice(tone, h.P(g.Text(sentence(why)))))
	}
	if c.Problem != nil && !slices.Contains(c.Why, c.Problem.Message) {
		nodes = append(nodes, page.Notice(page.Bad, h.P(g.Text(sentence(c.Problem.Message)))))
	}
	rows := [][]g.Node{c.signsIn()}
	for _, p := range c.Permissions {
		has := yesNo(p.Has)
		if p.lacks() && !of.wants(c, p) {
			has = page.Badge(page.Calm, "not needed")
		}
		rows = append(rows, []g.Node{h.Code(g.Text(p.Name)), has, of.permission(c, p)})
	}
	if of.rotates {
		rows = append(rows, []g.Node{g.Text("Owns the application"), yesNo(c.OwnsItself), of.ownership(c)})
	}
	if c.ClientSecrets != nil {
		room := c.TwoSecretLimit == nil || !*c.TwoSecretLimit || *c.ClientSecrets < 2
		says := "It has " + count(*c.ClientSecrets, "client secret") + "."
		if c.TwoSecretLimit != nil && *c.TwoSecretLimit {
			says += " Personal accounts may sign in to it, so that it takes two at most: a rotation needs one place."
		}
		means := g.Group{g.Text(says)}
		if !room && of.app != "" {
			means = append(means, g.Text(" Remove one that nothing uses. "), makingRoom(of.app))
		}
		rows = append(rows, []g.Node{g.Text("Room for another client secret"), yesNo(&room), means})
	}
	if of.rotates {
		rows = append(rows, policyRow(c))
	}
	nodes = append(nodes, page.Table("test", "Field by field",
		[]page.Column{{Name: "What", Wide: true}, {Name: "Result"}, {Name: "What it means", Wide: true}}, rows))
	return g.Group(nodes)
}

// signsIn is not known where Key Vault did not give what to sign in with.
func (c *check) signsIn() []g.Node {
	name := g.Text("Signs in")
	if c.Problem != nil && strings.HasPrefix(c.Problem.Class, "vault-") {
		return []g.Node{name, yesNo(nil), g.Text("Key Vault did not give what to sign in with, so that Entra was not asked.")}
	}
	return []g.Node{name, yesNo(&c.Authenticates), g.Text("Entra has to accept the credentials.")}
}

func policyRow(c *check) []g.Node {
	const name = "The tenant's policy allows client secrets"
	if c.Policy == nil {
		return []g.Node{g.Text(name), yesNo(nil), g.Text("Policies can't be read, which is usual. If one is in the way, a rotation tells.")}
	}
	says, allowed := "They may live as long as one likes.", !c.Policy.ClientSecretsForbidden
	if c.Policy.MaxLifetimeDays != nil {
		says = "One may live " + duration(daysOf(*c.Policy.MaxLifetimeDays)) + "."
	}
	return []g.Node{g.Text(name), yesNo(&allowed), g.Text(says)}
}

// lacks reports whether p is known not to be there.
func (p *permission) lacks() bool { return p.Has != nil && !*p.Has }

// The permissions by which a client secret may be changed.
const owned, all = "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"

// has reports whether the permission is known to be there.
func (c *check) has(name string) bool {
	return slices.ContainsFunc(c.Permissions, func(p permission) bool { return p.Name == name && p.Has != nil && *p.Has })
}

// wants reports whether p would help. All does where an application is to be changed that is not owned.
func (of *tested) wants(c *check, p permission) bool {
	switch {
	case c.CanRotate, p.Name == owned && c.has(all):
		return false
	case p.Name == all:
		mayOwn := slices.ContainsFunc(c.Permissions, func(p permission) bool { return p.Name == owned && !p.lacks() })
		return !mayOwn || of.rotates && c.OwnsItself != nil && !*c.OwnsItself
	}
	return true
}

// permission says what a permission is for, and how one that is missing is granted.
func (of *tested) permission(c *check, p permission) g.Node {
	need := g.Text("For " + p.NeededFor + ".")
	command := grant(of.actor, p.Name, p.Type)
	if !p.lacks() || !of.wants(c, p) || command == "" {
		return need
	}
	return g.Group{need, g.Text(" This grants it: "), page.Copyable(command, "the command that grants "+p.Name)}
}

// ownership says what owning is for, and how an application becomes an owner.
func (of *tested) ownership(c *check) g.Node {
	need := g.Text("With Application.ReadWrite.OwnedBy it may change the applications that it owns, and no others.")
	command := owner(of.actor, of.app)
	if c.OwnsItself == nil || *c.OwnsItself || c.CanRotate || c.has(all) || command == "" {
		return need
	}
	return g.Group{need, g.Text(" This makes it an owner: "), page.Copyable(command, "the command that makes it an owner")}
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
