package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/inventory"
	"rekey/shared/page"
)

// scanOf is the application of s as its last scan has shown it; nil: there may be no inventory.
func (v *visit) scanOf(s *subject) *item {
	if s.state() == nil || s.tenantID() == "" || s.clientID() == "" {
		return nil
	}
	var found struct{ Application item }
	path := inventories + "/" + url.PathEscape(strings.ToLower(s.tenantID())) + "/" + url.PathEscape(strings.ToLower(s.clientID()))
	if err := v.api.get(path, nil, &found); err != nil {
		return nil
	}
	return &found.Application
}

// ends are the ends, by key id in lower case, of its client secrets: one that Rekey has not issued may end sooner than
// its grace period.
func (a *item) ends() map[string]time.Time {
	ends := map[string]time.Time{}
	if a == nil {
		return ends
	}
	for _, c := range a.Credentials {
		if c.EndsAt != nil {
			ends[strings.ToLower(c.KeyID)] = *c.EndsAt
		}
	}
	return ends
}

// unmanaged are the client secrets of the application, as its last scan has shown it, that s neither publishes nor
// removes: they stay whatever s does.
func (s *subject) unmanaged(a *item) (list []credential) {
	r := s.state()
	if a == nil || r == nil {
		return nil
	}
	knows := slices.Clone(s.RetireKeyIDs)
	if r.LastRun != nil {
		knows = append(knows, r.LastRun.KeyID)
	}
	for _, o := range r.Retiring {
		knows = append(knows, o.KeyID)
	}
	for _, o := range r.ByHand {
		knows = append(knows, o.KeyID)
	}
	for _, c := range a.Credentials {
		published := r.Current != nil && (strings.EqualFold(c.KeyID, r.Current.KeyID) ||
			r.Current.KeyID == "" && r.Current.Hint != "" && text(c.Hint, "") == r.Current.Hint)
		if c.Kind != string(inventory.ClientSecret) || c.Of != string(inventory.Registration) || published ||
			slices.ContainsFunc(knows, func(id string) bool { return strings.EqualFold(id, c.KeyID) }) {
			continue
		}
		list = append(list, c)
	}
	return list
}

// called is a credential by its key id and its name, where it has one.
func (c *credential) called() string {
	if name := orNone(text(c.Name, ""), ""); name != "" {
		return c.KeyID + " (" + name + ")"
	}
	return c.KeyID
}

// others says what becomes of the client secrets that s does not manage.
func others(list []credential) string {
	const stay = "Every other client secret of the application stays"
	if len(list) == 0 {
		return stay + "."
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].called()
	}
	return stay + ". As far as the last scan has seen: " + strings.Join(names, ", ") + "."
}

// leaks is how a person makes the client secrets useless that an emergency does not remove.
func leaks(s *subject, list []credential) g.Node {
	if len(list) == 0 || s.clientID() == "" {
		return nil
	}
	return page.Notice(page.Warn, h.P(g.Text("Is one of these the one that has leaked? The application has them as well, as far as the last "+
		"scan has seen, and they stay. This removes one of them at once:")),
		h.Ul(g.Map(list, func(c credential) g.Node {
			return h.Li(h.Code(g.Text(c.called())), g.Text(": "), page.Copyable(removing(s.clientID(), c.KeyID), "the command that removes it"))
		})))
}

// makingRoom are the commands that make room for another client secret.
func makingRoom(clientID string) g.Node {
	return g.Group{g.Text("These are there: "), page.Copyable("az ad app credential list --id "+clientID, "the command that lists them"),
		g.Text(" This removes one: "), page.Copyable("KEY_ID=        # of the one that nothing uses\n"+removing(clientID, `"$KEY_ID"`),
			"the commands that remove one"), g.Text(" ")}
}

// removing is the command that removes a client secret in Entra.
func removing(clientID, keyID string) string {
	return "az ad app credential delete --id " + clientID + " --key-id " + keyID
}
