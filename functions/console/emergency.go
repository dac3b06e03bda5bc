package console

import (
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
	core "rekey/shared/rotation"
)

// emergency asks for the name to be typed, since an emergency ends grace periods at once.
func emergency(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	return v.confirm(s, nil)
}

func (v *visit) confirm(s *subject, refused *refusal) error {
	f := &sheet{visit: v, refused: refused}
	goes, stays := s.endangered(), s.unmanaged(v.scanOf(s))
	about := h.P(g.Text("For a client secret that has leaked. A new one is issued and published at once, and those below " +
		"are removed without a grace period: consumers that still have one of them stop working until they read the new one from " +
		"Key Vault. Make sure first that they do so by themselves, or restart them afterwards."))
	if len(goes) == 0 {
		about = h.P(g.Text("Nothing of it is published, so that an emergency removes none: it issues and publishes a client secret at once."))
	}
	d := v.document("emergency", "Emergency rotation of "+s.title(),
		page.Notice(page.Bad, about), v.failsAgain(s), h.Ul(g.Map(slices.Concat(goes, s.spared(stays)), listed)), leaks(s, stays),
		v.form(own(s, "emergency"), f.mistaken(),
			h.Label(h.For("confirm"), g.Text("Type "+s.title()+" to confirm")),
			h.Input(h.ID("confirm"), h.Name("confirm"), h.Required(), h.AutoComplete("off"), f.about("confirm", "")),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("danger"), g.Text("Rotate at once")), page.Link(own(s), "Back"),
				patience())))
	return f.show(d)
}

// failsAgain says that the last rotation has failed: an emergency fails for the same reason.
func (v *visit) failsAgain(s *subject) g.Node {
	r := s.state()
	if !s.failed() || s.abandoned() || r.LastRotationMessage == nil {
		return nil
	}
	return page.Notice(page.Warn, h.P(g.Text("The last rotation has failed. Until that is put right an emergency fails as well, and removes "+
		"only what is in a grace period. "), advice(sentence(v.dated(*r.LastRotationMessage)))))
}

// stillLeaked says after an emergency that has failed what is useless by now and what is not: whatever has leaked is
// taken for what is published.
func (v *visit) stillLeaked(s *subject) g.Node {
	r := s.state()
	if !s.failed() || r.LastRun == nil || r.LastRun.Trigger != string(core.OnEmergency) || s.abandoned() {
		return nil
	}
	if r.Current == nil {
		return page.Notice(page.Bad, h.P(g.Text("The emergency rotation has failed: nothing new is published.")))
	}
	nodes := []g.Node{h.P(g.Text("The emergency rotation has failed: the client secret" + r.named() + " still works, for a thief as well. " +
		"No grace period is left to older ones."))}
	if r.RetryAt != nil {
		nodes = append(nodes, h.P(g.Text("It is tried again as an emergency "), v.when(*r.RetryAt),
			g.Text(", or at once by “Try again now”.")))
	}
	instead := ": “Delete”, and there “Delete, and revoke”."
	if !r.Current.IssuedByRekey || s.rotatesItself() {
		instead = ", remove it in Entra."
	}
	nodes = append(nodes, h.P(g.Text("To make it useless before that, at the price that its consumers stop working"+instead)))
	if r.Current.KeyID != "" && s.clientID() != "" {
		nodes = append(nodes, h.P(g.Text("Or in Entra: "), page.Copyable(removing(s.clientID(), r.Current.KeyID), "the command that removes it")))
	}
	return page.Notice(page.Bad, nodes...)
}

// endangered says which client secrets an emergency removes.
func (s *subject) endangered() (says []string) {
	r := s.state()
	if r == nil {
		return nil
	}
	switch {
	case r.Current != nil && r.Current.KeyID != "":
		says = append(says, "The one in use now"+r.named()+" is removed.")
	case r.Current != nil:
		says = append(says, "The one in use now is removed, if Rekey finds out its key id; otherwise a person has to remove it.")
	}
	if old := r.waiting(); len(old) > 0 {
		says = append(says, count(len(old), "older one")+" in a grace period, removed as well: "+strings.Join(old, ", ")+".")
	}
	if named := s.RetireKeyIDs; len(named) > 0 {
		says = append(says, "Those of which the first rotation takes the place, removed as well: "+strings.Join(named, ", ")+".")
	}
	return says
}

// spared says which client secrets an emergency does not remove. stays are those that are not managed.
func (s *subject) spared(stays []credential) []string {
	r := s.state()
	if r == nil {
		return nil
	}
	return append(append(r.gone(), r.staying()...), others(stays))
}

func beginEmergency(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	if strings.TrimSpace(v.PostFormValue("confirm")) != s.title() {
		return v.confirm(s, notTheName)
	}
	return v.rotate(s, object{"emergency": true}, "emergency", "ended")
}
