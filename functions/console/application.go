package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/inventory"
	"rekey/shared/page"
)

// inventoryOne shows one application, and what to do about it.
func inventoryOne(v *visit) error { return v.application(&sheet{visit: v}) }

// application is its page; f is the acceptance that was refused, if one was.
func (v *visit) application(f *sheet) error {
	var found struct {
		Application item
		Tenant      tenant
	}
	if err := v.api.get(v.inventoryAt(), nil, &found); err != nil {
		return err
	}
	a := &found.Application
	ends := "Ends next"
	if a.EndsAt != nil && !a.EndsAt.After(v.now) { // all of them have
		ends = "Ended last"
	}
	facts := []page.Fact{page.Say("Client id", a.ClientID), page.Say("Owners", owners(a, 20)),
		{Name: ends, Value: v.maybe(a.EndsAt, "never")}}
	if a.Audience != nil {
		facts = append(facts, page.Say("Who may sign in to it", wordOf(audienceWords, *a.Audience)))
	}
	if a.Disabled {
		facts = append(facts, page.Say("Enabled", "no"))
	}
	rotated := false
	for _, m := range a.ManagedBy {
		rotated = rotated || m.Rotates
		via, id := "", m.ConnectionID
		if m.TargetID != nil {
			via, id = m.ConnectionID, *m.TargetID
		}
		facts = append(facts, page.Fact{Name: "Managed by", Value: page.Link(ownAt(via, id), orNone(m.Name, id))})
	}
	main := []g.Node{f.mistaken(), v.asOf([]tenant{found.Tenant}), page.Facts(facts...)}
	switch {
	case a.ObjectID == nil:
		main = append(main, h.P(g.Text("It is registered in another tenant, which alone can change its client secrets: connect that one.")))
	case a.Disabled:
		main = append(main, h.P(g.Text("Sign-in to it is disabled: to let Rekey rotate it, enable it first.")))
	case !rotated: // a connection may sign in as it, which keeps no other one from rotating its client secret
		main = append(main, h.P(v.link(auth.Write, to("inventory", a.TenantID, a.ClientID, "adopt"), "Adopt: let Rekey rotate it")))
	}
	main = append(main, f.findings(a))
	return f.show(v.document("application", orNone(a.Name, a.ClientID), append(main, v.inventoryCredentials(a, &found.Tenant))...))
}

func (v *visit) inventoryAt(below ...string) string {
	return strings.Join(append([]string{inventories, url.PathEscape(v.params["tenantId"]), url.PathEscape(v.params["clientId"])},
		below...), "/")
}

func (f *sheet) findings(a *item) g.Node {
	if len(a.Findings) == 0 {
		return h.P(g.Text("Nothing is wrong with it."))
	}
	nodes := []g.Node{h.H2(g.Text("Findings"))}
	for rest := a.Findings; len(rest) > 0; {
		n := 1 // those alike stand one behind the other
		for n < len(rest) && rest[n].Finding == rest[0].Finding && (rest[n].Accepted == nil) == (rest[0].Accepted == nil) {
			n++
		}
		nodes = append(nodes, f.alike(a, rest[:n]))
		rest = rest[n:]
	}
	return g.Group(nodes)
}

// alike shows findings of one kind. Several are folded: they say nearly the same.
func (f *sheet) alike(a *item, list []finding) g.Node {
	if len(list) == 1 {
		return h.Div(h.Class("notice"), f.finding(a, list[0]))
	}
	badge, open := findingBadges(list[0].Finding, len(list)), false
	if list[0].Accepted != nil {
		badge = page.Badge(page.Calm, "accepted: "+wordsOfFinding(list[0].Finding).text+"\u00a0×"+strconv.Itoa(len(list)))
	}
	nodes := make([]g.Node, len(list))
	for i, is := range list {
		nodes[i] = f.finding(a, is)
		open = open || f.refuses(is)
	}
	return h.Div(h.Class("notice"), h.Details(g.If(open, g.Attr("open")), h.Summary(badge), g.Group(nodes)))
}

func (f *sheet) finding(a *item, is finding) g.Node {
	about := ""
	if is.KeyID != nil {
		about = " (credential " + *is.KeyID + ")"
	}
	one := []g.Node{h.P(findingBadge(is.Finding), g.Text(about)), h.Div(advice(f.adviceFor(is)))}
	if is.Accepted != nil {
		one = append(one, h.P(h.Class("note"), g.Text("Accepted by "+is.Accepted.By+": "+sentence(is.Accepted.Reason)+" Until "),
			f.when(is.Accepted.Until)),
			f.button(auth.Admin, to("inventory", a.TenantID, a.ClientID, "reject"), "Let it count again", "plain small",
				h.Input(h.Type("hidden"), h.Name("finding"), h.Value(is.Finding)), h.Input(h.Type("hidden"), h.Name("keyId"),
					h.Value(text(is.KeyID, "")))))
	} else if is.Finding != string(inventory.Managed) {
		one = append(one, f.acceptForm(a, is))
	}
	return g.Group(one)
}

// adviceFor is an advice for the visitor: readers have no button to adopt.
func (f *sheet) adviceFor(is finding) string {
	text := said(f.dated(is.Advice))
	if f.caller.Role.Allows(auth.Write) {
		return text
	}
	return strings.ReplaceAll(text, adopting, adoptedByOthers)
}

// refuses reports whether an acceptance of that finding was refused.
func (f *sheet) refuses(is finding) bool {
	return f.refused != nil && f.entered("finding") == is.Finding && f.entered("keyId") == text(is.KeyID, "")
}

// acceptForm lets an administrator say that a finding is as it should be. What was refused stands there
// again.
func (f *sheet) acceptForm(a *item, is finding) g.Node {
	if !f.caller.Role.Allows(auth.Admin) {
		return nil
	}
	id, key, reason, until := "accept-"+is.Finding+text(is.KeyID, ""), text(is.KeyID, ""), "", ""
	again := f.refuses(is)
	if again {
		reason, until = f.entered("reason"), f.entered("until")
	}
	return h.Details(g.If(again, g.Attr("open")), h.Summary(g.Text("Accept it")),
		f.form(to("inventory", a.TenantID, a.ClientID, "accept"),
			h.Input(h.Type("hidden"), h.Name("finding"), h.Value(is.Finding)), h.Input(h.Type("hidden"), h.Name("keyId"), h.Value(key)),
			h.Label(h.For(id+"-reason"), g.Text(labelOf("reason"))),
			h.Input(h.ID(id+"-reason"), h.Name("reason"), h.Value(reason), h.Required(), h.AutoComplete("off"), g.If(again, f.about("reason", ""))),
			h.Label(h.For(id+"-until"), g.Text(labelOf("until"))),
			h.Input(h.ID(id+"-until"), h.Name("until"), h.Type("date"), h.Value(until), h.Required(), g.If(again, f.about("until", ""))),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("plain"), g.Text("Accept")))))
}

func accept(v *visit) error {
	until, err := time.ParseInLocation("2006-01-02", v.PostFormValue("until"), v.zone)
	if err != nil {
		return v.application(&sheet{visit: v, refused: wrong("until", "must be the last day on which it is accepted.")})
	}
	// The day that was chosen is the last one.
	body := object{"finding": v.PostFormValue("finding"), "reason": v.PostFormValue("reason"),
		"until": until.AddDate(0, 0, 1).UTC().Format(time.RFC3339)}
	put(v, body, map[string]string{"keyId": "keyId"})
	err = v.api.send(http.MethodPost, v.inventoryAt("accept"), body, "", nil)
	if refused := refusedBy(err); refused != nil {
		return v.application(&sheet{visit: v, refused: refused})
	}
	if err != nil {
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
	if err := v.api.send(http.MethodDelete, v.inventoryAt("accept")+"?"+q.Encode(), nil, "", nil); err != nil && !isGone(err) {
		return err
	}
	v.done(to("inventory", v.params["tenantId"], v.params["clientId"]), "rejected")
	return nil
}

// inOrder are credentials in the order of their ends, behind them what never ends, and then what has ended, the
// last one first.
func (v *visit) inOrder(list []credential) []credential {
	place := func(c credential) (group int, at int64) {
		switch {
		case c.EndsAt == nil:
			return 1, 0
		case c.EndsAt.After(v.now):
			return 0, c.EndsAt.Unix()
		}
		return 2, -c.EndsAt.Unix()
	}
	ordered := slices.Clone(list)
	slices.SortStableFunc(ordered, func(x, y credential) int {
		xGroup, xAt := place(x)
		yGroup, yAt := place(y)
		return cmp.Or(cmp.Compare(xGroup, yGroup), cmp.Compare(xAt, yAt))
	})
	return ordered
}

// usedLast is when a credential was last used. Where sign-ins could not be read, that none is known says nothing.
func (v *visit) usedLast(c *credential, a *item, t *tenant) g.Node {
	unread := slices.Contains(a.Unread, string(inventory.Activity))
	for _, u := range t.Unread {
		unread = unread || u.List == string(inventory.Activity)
	}
	if unread {
		return v.maybe(c.LastUsedAt, "not known")
	}
	return v.maybe(c.LastUsedAt, "never, as far as Entra knows")
}

func (v *visit) inventoryCredentials(a *item, t *tenant) g.Node {
	ordered := v.inOrder(a.Credentials)
	rows := make([][]g.Node, len(ordered))
	for i, c := range ordered {
		rows[i] = []g.Node{g.Text(orNone(text(c.Name, ""), "without a name")), g.Text(strings.ReplaceAll(c.Kind, "-", " ")),
			v.maybe(c.EndsAt, "never"), v.usedLast(&c, a, t), h.Code(g.Text(c.KeyID))}
	}
	nodes := []g.Node{h.H2(g.Text("Credentials"))}
	if len(rows) == 0 {
		nodes = append(nodes, h.P(g.Text("It has none.")))
	} else {
		nodes = append(nodes, page.Table("credentials", "The next end first, and last what has ended",
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
