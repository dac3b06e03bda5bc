package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
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
	return v.removing(s, nil)
}

// removing is the page; refused is why a deletion was not begun.
func (v *visit) removing(s *subject, refused *refusal) error {
	f := &sheet{visit: v, refused: refused}
	back := h.P(page.Link(own(s), "Back"))
	if blocked := v.inTheWay(s); blocked != nil {
		return f.show(v.document("delete", "Delete "+s.title(), f.mistaken(), blocked, v.scansThrough(s), back))
	}
	stays, title := s.unmanaged(v.scanOf(s)), "Stop managing it, and keep what is published"
	if !s.publishes() {
		title = "Stop managing it"
	}
	main := []g.Node{f.mistaken(), v.scansThrough(s),
		h.H2(g.Text(title)), h.Ul(g.Map(keeping(s, stays), listed)),
		v.form(own(s, "delete"), h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("danger"), h.Name("revoke"), h.Value("false"),
			g.Text(deletes(s))), patience())),
		f.revoking(s, stays), back}
	return f.show(v.document("delete", "Delete "+s.title(), main...))
}

// deletes says on the button what it does.
func deletes(s *subject) string {
	if !s.publishes() {
		return "Delete"
	}
	if n := len(s.state().waiting()); n > 0 {
		return "Delete, keep what is published, and remove " + count(n, "older client secret")
	}
	return "Delete, and keep what is published"
}

// publishes reports whether it has a client secret of its own that consumers use.
func (s *subject) publishes() bool { r := s.state(); return r != nil && r.Current != nil }

func listed(text string) g.Node { return h.Li(g.Text(text)) }

// inTheWay says that a connection with targets can't be deleted.
func (v *visit) inTheWay(s *subject) g.Node {
	if s.ConnectionID != "" {
		return nil
	}
	var list struct{ Targets []subject }
	if err := v.api.get(at(s.ID, "", "targets"), nil, &list); err != nil || len(list.Targets) == 0 {
		return nil // the API looks again
	}
	said := "A target is rotated through it. Delete that first: the connection can't go before."
	if n := len(list.Targets); n > 1 {
		said = count(n, "target") + " are rotated through it. Delete them first: the connection can't go before."
	}
	return page.Notice(page.Warn, h.P(g.Text(said)), h.P(page.Link(to("targets").With(url.Values{"text": {s.ID}}), "Its targets")))
}

// scansThrough says that the scans of a tenant go through a connection, and what comes of them without it.
func (v *visit) scansThrough(s *subject) g.Node {
	if s.ConnectionID != "" {
		return nil
	}
	var list struct{ Tenants []tenant }
	if err := v.api.get(inventories, url.Values{"limit": {"1"}}, &list); err != nil {
		return nil // the deletion does not depend on it
	}
	for i := range list.Tenants {
		t := &list.Tenants[i]
		if t.ConnectionID != s.ID {
			continue
		}
		all, more, err := v.connections()
		if err != nil {
			return nil
		}
		others := slices.DeleteFunc(v.ofTenant(t, all), func(o subject) bool { return o.ID == s.ID })
		then := "After that scans go on through another connection of the tenant. If that may read less, what it can't read stays as it was. " +
			"To choose the connection yourself, scan through it first."
		switch {
		case len(others) == 0 && more:
			then = "If the tenant has another one, scans go on through that; otherwise the inventory stays as it is now. To choose the " +
				"connection yourself, scan through it first."
		case len(others) == 0:
			then = "There is no other connection of the tenant: until there is one, the inventory stays as it is now."
		}
		return page.Notice(page.Warn, h.P(g.Text("Tenant "+t.TenantID+" is scanned through this connection. "+then)),
			h.P(page.Link(to("inventory"), "Inventory")))
	}
	return nil
}

// keeping says what a deletion does that keeps what is published.
func keeping(s *subject, stays []credential) []string {
	says := []string{}
	switch r := s.state(); {
	case r == nil:
		says = append(says, "Nothing of it is published, so that no consumer notices.")
	case r.Current == nil:
		says = append(says, "Nothing of it is published, so that no consumer notices.")
		if s.rotating() {
			says = append(says, "The run under way ends, and what it has issued is removed from Entra.")
		}
		says = append(append(says, r.ending()...), s.untouched(stays)...)
	default:
		says = append(says, fmt.Sprintf("The client secret%s stays: in Entra until its end, and in the Key Vault secret %q. "+
			"Consumers go on with it. Rekey does not rotate it any more.", r.named(), s.VaultSecretName))
		if r.Current.IssuedByRekey {
			says = append(says, "The next scan of the tenant shows it as left behind by Rekey, which it is on purpose then: accept that "+
				"finding, or adopt the application again.")
		}
		says = append(append(says, r.ending()...), s.untouched(stays)...)
	}
	return append(says, s.leaving()...)
}

// named is the key id of what is published, after a space.
func (r *rotation) named() string {
	if r.Current == nil || r.Current.KeyID == "" {
		return ""
	}
	return " with the key id " + r.Current.KeyID
}

// waiting are the key ids of those that wait for the end of their grace period.
func (r *rotation) waiting() (keyIDs []string) {
	for _, o := range r.Retiring {
		if o.RevokedAt == nil {
			keyIDs = append(keyIDs, o.KeyID)
		}
	}
	return keyIDs
}

// ending says which grace periods end with a deletion.
func (r *rotation) ending() []string {
	old := r.waiting()
	if len(old) == 0 {
		return r.gone()
	}
	return append(r.gone(), "Grace periods end: "+count(len(old), "older client secret")+" will be removed from Entra at once: "+
		strings.Join(old, ", ")+". Consumers that still have one of them stop working.")
}

// untouched are those that the first rotation was to take the place of, and every other one.
func (s *subject) untouched(stays []credential) (says []string) {
	for _, keyID := range s.RetireKeyIDs {
		says = append(says, "The client secret with the key id "+keyID+", which the first rotation was to take the place of, stays.")
	}
	return append(says, others(stays))
}

// gone are those that are removed already, as far as Entra shows by now.
func (r *rotation) gone() (says []string) {
	for _, o := range r.Retiring {
		if o.RevokedAt != nil {
			says = append(says, "The older client secret with the key id "+o.KeyID+" is removed already.")
		}
	}
	return says
}

// staying are those that only a person can remove.
func (r *rotation) staying() (says []string) {
	for _, o := range r.ByHand {
		says = append(says, "The client secret with the key id "+orNone(o.KeyID, "that is not known")+
			" stays in Entra until a person removes it.")
	}
	return says
}

// leaving is what goes and stays in any case.
func (s *subject) leaving() (says []string) {
	if s.Authentication != nil {
		says = append(says, "What it signs in with is deleted from Key Vault. "+
			"Its entry in Entra stays; remove it there if nothing else uses it.")
	}
	if r := s.state(); r != nil {
		says = append(says, r.staying()...)
	}
	return says
}

// revoking offers the deletion that removes what is published, which the API lets the role rotate do.
func (f *sheet) revoking(s *subject, stays []credential) g.Node {
	if !s.publishes() {
		return nil
	}
	r, title := s.state(), h.H2(g.Text("Remove the client secret as well"))
	if !r.Current.IssuedByRekey {
		title = h.H2(g.Text("Delete it in Key Vault as well"))
	}
	if !f.caller.Role.Allows(auth.Rotate) {
		return g.Group{title, h.P(g.Text("This needs the role rotate."))}
	}
	says := []string{fmt.Sprintf("The client secret%s stays in Entra, since it was given to Rekey and not issued by it: remove it there.",
		r.named())}
	if r.Current.IssuedByRekey {
		says = []string{fmt.Sprintf("The client secret%s is removed from Entra, without a grace period.", r.named())}
	}
	says = append(says, r.ending()...)
	says = append(says, fmt.Sprintf("The Key Vault secret %q is deleted. Consumers stop working.", s.VaultSecretName))
	says = append(says, s.untouched(stays)...)
	says = append(says, s.leaving()...)
	return g.Group{title, h.Ul(g.Map(says, listed)),
		f.form(own(s, "delete"), h.Label(h.For("confirm"), g.Text("Type "+s.title()+" to confirm")),
			h.Input(h.ID("confirm"), h.Name("confirm"), h.Required(), h.AutoComplete("off"), f.about("confirm", "")),
			h.Div(h.Class("actions"),
				h.Button(h.Type("submit"), h.Class("danger"), h.Name("revoke"), h.Value("true"), g.Text("Delete, and revoke")), patience())),
	}
}

func beginRemoval(v *visit) error {
	revoke := v.PostFormValue("revoke")
	switch revoke {
	case "true":
		s, err := v.load()
		if isGone(err) {
			v.done(to(v.listing()), "deleted")
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(v.PostFormValue("confirm")) != s.title() {
			return v.removing(s, notTheName)
		}
	case "false":
	default:
		return &refusal{status: http.StatusBadRequest,
			message: "Choose on the page for deleting what becomes of the client secret. Nothing was done."}
	}
	var answer struct{ Message string }
	switch err := v.api.send(http.MethodDelete, v.at()+"?revoke="+revoke, nil, "", &answer); {
	case isGone(err):
		v.done(to(v.listing()), "deleted")
	case err != nil:
		return err
	default:
		v.doneSaying(to(v.listing()), "deleted", said(answer.Message))
	}
	return nil
}

// listing is where what the path names is listed.
func (v *visit) listing() string {
	if v.connection() != "" {
		return "targets"
	}
	return "connections"
}

// isGone reports whether the API knows what was to go no more: the button was pressed twice.
func isGone(err error) bool {
	r := refusedBy(err)
	return r != nil && r.status == http.StatusNotFound
}

// notTheName refuses what was typed to confirm.
var notTheName = &refusal{status: http.StatusBadRequest, message: "What was typed is not the name. Nothing was done.",
	about: []string{"confirm"}}
