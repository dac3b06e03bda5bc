package console

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/attention"
	"rekey/shared/auth"
	"rekey/shared/page"
	"rekey/shared/serviceerror"
)

// cause tells why a reason holds, as far as is known here.
func (v *visit) cause(s *subject, word string) g.Node {
	why, r := "", s.state()
	switch {
	case word == attention.SignInLost && s.Authentication != nil && s.Authentication.Problem != nil:
		why = s.Authentication.Problem.Message
	case r == nil:
	case (word == attention.Failing || word == attention.Deletion) && r.RotationStatus == "failed":
		why = text(r.LastRotationMessage, "")
	case word == attention.NotRemoved:
		for _, o := range r.Retiring {
			if o.Problem != "" {
				why = "The one with the key id " + o.KeyID + ": " + o.Problem
			}
		}
	case word == attention.RemoveByHand && len(r.ByHand) > 0:
		why = r.ByHand[0].Reason
		if id := r.ByHand[0].KeyID; id != "" {
			why = "The one with the key id " + id + ": " + why
		}
	}
	var nodes []g.Node
	if why != "" {
		why, command := v.narrowed(s, word, why)
		nodes = append(nodes, h.Strong(g.Text("Why: ")), advice(sentence(v.dated(why))), g.Text(" "), command)
	}
	if word == attention.Failing && r != nil {
		if r.RetryAt != nil && !(v.isOf(s) && s.failed()) { // there its status says so
			nodes = append(nodes, g.Text("The next try is "), v.when(*r.RetryAt),
				g.If(v.caller.Role.Allows(auth.Rotate), g.Text("; “Try again now” does it at once")), g.Text(". "))
		}
		if !v.isOf(s) { // there it stands below
			nodes = append(nodes, page.Link(own(s).Fragment("runs"), "What was tried"))
		}
	}
	return g.If(len(nodes) > 0, h.Div(nodes...))
}

// isOf reports whether this is the page of s, which has the buttons of s anyway.
func (v *visit) isOf(s *subject) bool { return v.id() == s.ID }

// The parts of advices that are about more than one kind of connection, or leave a value out.
const (
	onPurpose   = " If it was disabled on purpose, give new credentials"
	withItsID   = "az ad sp create --id, with its client id"
	createsOne  = "az ad sp create --id "
	mayNot      = "Rekey may not change the client secrets of this application. "
	permitsOwns = "Application.ReadWrite.OwnedBy"
)

// narrowed is why something failed, without what is true of other kinds of connections, with the values of this
// one, and with the commands that put it right where the advice has none: a rotation without the permission for it.
func (v *visit) narrowed(s *subject, word, why string) (string, g.Node) {
	signsIn := s.clientID()
	if word == attention.SignInLost {
		signsIn = s.Credentials.ClientID
	}
	if signsIn != "" {
		why = strings.Replace(why, withItsID, createsOne+signsIn, 1)
	}
	if before, after, found := strings.Cut(why, onPurpose); found { // the page leads to Key Vault; “Edit” takes others
		_, after, _ = strings.Cut(after, ".")
		why = before + after
	}
	if rest, ok := strings.CutPrefix(why, serviceerror.CredentialRefused.Advice()); ok && s.rotatesItself() { // a person has typed nothing
		return "Entra refuses every client secret that Rekey has of this application: they were removed. Make a new one in " +
				"Entra, and give it by “Give new credentials”." + rest,
			page.Copyable("az ad app credential reset --id "+signsIn+" --append --query password -o tsv", "the command that makes one")
	}
	if word == attention.Failing && s.state().LastRotationClass == serviceerror.Full && signsIn != "" {
		return why, makingRoom(signsIn)
	}
	rest, ok := strings.CutPrefix(why, serviceerror.Permission.Advice())
	switch {
	case !ok || s.gone(): // which has no page
		return why, nil
	case !v.isOf(s): // in a list, which asks nothing more
		return mayNot + "Its page says what to grant." + rest, nil
	}
	actor := *s
	if s.ConnectionID != "" {
		var via struct{ AppConnection subject }
		if err := v.api.get(at(s.ConnectionID, ""), nil, &via); err != nil {
			return why, nil // it says more than is needed
		}
		actor = via.AppConnection
	}
	if actor.Method == "oauth" {
		return v.personMayNot(s, &actor, rest)
	}
	grantee := "the application that the connection signs in as"
	if actor.Credentials.ClientID == s.clientID() {
		grantee = "this application"
	}
	commands := grant(actor.Credentials.ClientID, permitsOwns, "application") + "\n" + owner(actor.Credentials.ClientID, s.clientID())
	return mayNot + "Grant " + grantee + " the Microsoft Graph permission " + permitsOwns +
		", with admin consent, and make its service principal an owner of this application." + rest, page.Copyable(commands, "the commands")
}

// personMayNot is the same of a person who has signed in.
func (v *visit) personMayNot(s, actor *subject, rest string) (string, g.Node) {
	says := "The person who signed in may not change the client secrets of this application. They must own it, or be an Application " +
		"Administrator." + rest
	if a := actor.Authentication; a != nil && a.Account != nil && s.clientID() != "" {
		return says, page.Copyable("az ad app owner add --id "+s.clientID()+" --owner-object-id "+*a.Account,
			"the command that makes them an owner")
	}
	return says, nil
}
