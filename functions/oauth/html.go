package oauth

import (
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/oauth"
	"rekey/shared/page"
	"rekey/shared/session"
)

// html renders v. The ids are what tests hold on to.
func (v view) html() []byte {
	d := page.Document{ID: v.ID, Title: v.Title, Narrow: true}
	if v.Again {
		d.Refresh = 2
	}
	if v.Problem != "" {
		d.Class = string(v.Problem)
	}
	if v.Invitation != nil {
		d.Main = append(d.Main, invitation(v.Invitation, v.Until))
	}
	if v.Result != nil {
		d.Class = string(v.Result.Kind)
		d.Main = append(d.Main, result(v.Result))
	}
	if v.Text != "" {
		d.Main = append(d.Main, h.P(h.ID("message"), g.Text(v.Text)))
	}
	if v.Problem != "" || v.Invitation != nil || v.Result != nil && v.Result.Kind != oauth.Working { // it may have begun there
		d.Main = append(d.Main, h.P(page.Link(page.Path(session.Base), v.back())))
	}
	return d.Render()
}

// back is what the way back to the console is called.
func (v view) back() string {
	if v.Invitation != nil {
		return "Cancel, and go to the console"
	}
	return "To the console"
}

// invitation asks people to go on. The form has no action, so that it goes to the
// page's own address, and no state stands in the page.
func invitation(i *oauth.Invitation, until string) g.Node {
	can, name := "can manage", i.Name
	if i.Again {
		can, name = "can go on managing", name+" (signing in again)"
	}
	return g.Group{
		h.P(h.Strong(h.ID("requester"), g.Text(i.RequestedBy)), g.Text(" asks you to sign in to Microsoft Entra, so that Rekey "+can+
			" client secrets of applications in your tenant on your behalf.")),
		page.Facts(page.Say("Connection", name).As("name"), page.Say("Description", i.Description).As("description"),
			page.Say("Tenant", i.TenantID).As("tenant"), page.Say("Application whose client secret is rotated", i.Rotates).As("rotates")),
		h.Form(h.Method("post"), h.Button(h.ID("continue"), h.Type("submit"), g.Text("Continue to Microsoft Entra"))),
		h.P(h.Class("note"), g.Text("If you did not expect this, close the page. Nothing happens then. The link is good until "+until+".")),
	}
}

// result tells how a sign-in ended.
func result(r *oauth.Result) g.Node {
	nodes := g.Group{h.P(h.ID("message"), g.Text(r.Text()))}
	if consent, ok := page.Elsewhere(r.AdminConsentURL); ok {
		nodes = append(nodes, h.P(h.A(h.ID("admin-consent"), h.Rel("noreferrer"), consent.Href(), g.Text("Consent as an administrator"))))
	}
	if r.OtherAccount {
		nodes = append(nodes, h.P(h.ID("other-account"),
			g.Text("Another account than before has signed in. The connection acts as that one from now on.")))
	}
	nodes = append(nodes, page.Facts(page.Say("Connection", r.Name).As("name"), page.Say("Tenant", r.TenantID).As("tenant"),
		page.Say("Id", r.ConnectionID).As("connection")))
	if r.Entra != "" {
		nodes = append(nodes, h.P(h.Class("note"), g.Text("Microsoft Entra said:")), h.P(h.Class("entra"), h.ID("entra"), g.Text(r.Entra)))
	}
	if r.ConnectionID != "" && (r.Kind == oauth.Connected || r.Kind == oauth.Reconnected) { // it may have begun there
		nodes = append(nodes, h.P(page.Link(page.Path(session.Base, "connections", r.ConnectionID), "Open it in the console")))
	}
	return nodes
}
