package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/inventory"
	"rekey/shared/page"
)

// inventoryOne shows one application, and what to do about it.
func inventoryOne(v *visit) error {
	var found struct {
		Application item
		Tenant      tenant
	}
	if err := v.api.get(v.inventoryAt(), nil, &found); err != nil {
		return err
	}
	a := &found.Application
	facts := []page.Fact{page.Say("Tenant", a.TenantID), page.Say("Client id", a.ClientID), page.Say("Owners", owners(a)),
		{Name: "Ends next", Value: v.maybe(a.EndsAt, "never")}}
	if a.Audience != nil {
		facts = append(facts, page.Say("Who may sign in to it", *a.Audience))
	}
	if a.Disabled {
		facts = append(facts, page.Say("Enabled", "no"))
	}
	for _, m := range a.ManagedBy {
		via, id := "", m.ConnectionID
		if m.TargetID != nil {
			via, id = m.ConnectionID, *m.TargetID
		}
		facts = append(facts, page.Fact{Name: "Managed by", Value: page.Link(ownAt(via, id), orNone(m.Name, id))})
	}
	main := []g.Node{v.asOf([]tenant{found.Tenant}), page.Facts(facts...)}
	if len(a.ManagedBy) == 0 {
		main = append(main, h.P(v.link(auth.Write, to("inventory", a.TenantID, a.ClientID, "adopt"), "Adopt: let Rekey rotate it")))
	}
	main = append(main, v.inventoryFindings(a))
	return v.show(v.document("application", orNone(a.Name, a.ClientID), append(main, v.inventoryCredentials(a))...))
}

func (v *visit) inventoryAt(below ...string) string {
	return strings.Join(append([]string{inventories, url.PathEscape(v.params["tenantId"]), url.PathEscape(v.params["clientId"])},
		below...), "/")
}

func (v *visit) inventoryFindings(a *item) g.Node {
	if len(a.Findings) == 0 {
		return h.P(g.Text("Nothing is wrong with it."))
	}
	nodes := []g.Node{h.H2(g.Text("Findings"))}
	for _, f := range a.Findings {
		about := ""
		if f.KeyID != nil {
			about = " (credential " + *f.KeyID + ")"
		}
		one := []g.Node{h.P(findingBadge(f.Finding), g.Text(about)), h.P(g.Text(f.Advice))}
		if f.Accepted != nil {
			one = append(one, h.P(h.Class("note"), g.Text("Accepted by "+f.Accepted.By+": "+sentence(f.Accepted.Reason)+" Until "),
				v.when(f.Accepted.Until)),
				v.button(auth.Admin, to("inventory", a.TenantID, a.ClientID, "reject"), "Let it count again", "plain small",
					h.Input(h.Type("hidden"), h.Name("finding"), h.Value(f.Finding)), h.Input(h.Type("hidden"), h.Name("keyId"),
						h.Value(text(f.KeyID, "")))))
		} else if f.Finding != string(inventory.Managed) {
			one = append(one, v.acceptForm(a, f))
		}
		nodes = append(nodes, h.Div(h.Class("notice"), g.Group(one)))
	}
	return g.Group(nodes)
}

// acceptForm lets an administrator say that a finding is as it should be.
func (v *visit) acceptForm(a *item, f finding) g.Node {
	if !v.caller.Role.Allows(auth.Admin) {
		return nil
	}
	id := "accept-" + f.Finding + text(f.KeyID, "")
	return h.Details(h.Summary(g.Text("Accept it")), v.form(to("inventory", a.TenantID, a.ClientID, "accept"),
		h.Input(h.Type("hidden"), h.Name("finding"), h.Value(f.Finding)), h.Input(h.Type("hidden"), h.Name("keyId"), h.Value(text(f.KeyID, ""))),
		h.Label(h.For(id+"-reason"), g.Text("Reason")), h.Input(h.ID(id+"-reason"), h.Name("reason"), h.Required(), h.AutoComplete("off")),
		h.Label(h.For(id+"-until"), g.Text("Until")), h.Input(h.ID(id+"-until"), h.Name("until"), h.Type("date"), h.Required()),
		h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("plain"), g.Text("Accept")))))
}

func accept(v *visit) error {
	until, err := time.ParseInLocation("2006-01-02", v.PostFormValue("until"), v.zone)
	if err != nil {
		return &refusal{status: http.StatusBadRequest, message: "Give the day until which it is accepted."}
	}
	body := object{"finding": v.PostFormValue("finding"), "reason": v.PostFormValue("reason"), "until": until.UTC().Format(time.RFC3339)}
	put(v, body, map[string]string{"keyId": "keyId"})
	if err := v.api.send(http.MethodPost, v.inventoryAt("accept"), body, "", nil); err != nil {
		return err
	}
	v.done(to("inventory", v.params["tenantId"], v.params["clientId"]), "accepted")
	return nil
}

// reject takes an acceptance back.
func reject(v *visit) error {
	q := url.Values{"finding": {v.PostFormValue("finding")}}
	if key := v.PostFormValue("keyId"); key != "" {
		q.Set("keyId", key)
	}
	if err := v.api.send(http.MethodDelete, v.inventoryAt("accept")+"?"+q.Encode(), nil, "", nil); err != nil {
		return err
	}
	v.done(to("inventory", v.params["tenantId"], v.params["clientId"]), "rejected")
	return nil
}

func (v *visit) inventoryCredentials(a *item) g.Node {
	rows := make([][]g.Node, len(a.Credentials))
	for i, c := range a.Credentials {
		rows[i] = []g.Node{g.Text(orNone(text(c.Name, ""), "without a name")), g.Text(strings.ReplaceAll(c.Kind, "-", " ")),
			v.maybe(c.EndsAt, "never"),
			v.maybe(c.LastUsedAt, "not known"), h.Code(g.Text(c.KeyID))}
	}
	nodes := []g.Node{h.H2(g.Text("Credentials"))}
	if len(rows) == 0 {
		nodes = append(nodes, h.P(g.Text("It has none.")))
	} else {
		nodes = append(nodes, page.Table("credentials", "The next end first",
			[]page.Column{{Name: "Name"}, {Name: "Kind"}, {Name: "Ends"}, {Name: "Used last"}, {Name: "Key id"}}, rows))
	}
	if a.MoreCredentials > 0 {
		nodes = append(nodes, h.P(g.Text("And "+count(a.MoreCredentials, "more credential")+" that are not kept.")))
	}
	for _, f := range a.FederatedCredentials {
		nodes = append(nodes, h.P(g.Text("Federated: "+text(f.Name, "without a name")+", issuer "+text(f.Issuer,
			"-")+", subject "+text(f.Subject, "-"))))
	}
	return g.Group(nodes)
}
