package console

import (
	"cmp"
	"errors"
	"net/url"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/attention"
	"rekey/shared/auth"
	"rekey/shared/page"
	"rekey/shared/serviceerror"
)

// reason is what the API's word for a reason to look at something is on a page.
type reason struct {
	short string // in a table
	says  string // what is so, and what to do
	help  help
}

// help is which buttons help.
type help int

const (
	look     help = iota // its page says more
	rotating             // a rotation
	trying               // another try of the one that has failed
	testing              // a test, which says what is missing
	signing              // new credentials
)

// signIns are reasons where what a connection signs in with is meant.
var signIns = map[string]reason{
	attention.Expiring: {"what it signs in with ends soon",
		"What it signs in with ends soon: nothing is rotated through it after that. Replace it before.", signing},
	attention.Expired: {"what it signs in with has ended",
		"What it signs in with has ended, so that nothing is rotated through it. Replace it now.", signing},
}

var reasons = map[string]reason{
	attention.Expiring: {"what is published ends soon",
		"What is published ends soon, and no rotation comes before that. Rotate now, or turn rotation on.", rotating},
	attention.Expired: {"what is published has ended",
		"What is published has ended: its consumers can't sign in. Replace it now.", signing},
	attention.Lost: {"does not work", "The client secret that is published does not work any more: it was removed in Entra, or has " +
		"ended. Replace it now.",
		signing},
	attention.Failing: {"rotation fails", "A rotation has not succeeded. What is published stays as it is.",
		trying},
	attention.SignInLost: {"can't sign in", "It can't sign in to Entra, so that nothing is rotated through it.",
		signing},
	attention.Overdue: {"overdue", "It was due more than an hour ago, and nothing has begun: look whether the timer of the function " +
		"app runs. A rotation can be begun here meanwhile.", rotating},
	attention.Deletion: {"deletion not finished", "It is being deleted, and that has not come to its end. Rekey goes on by " +
		"itself as soon as it can.", look},
	attention.NotRemoved: {"old one not removed",
		"Rekey could not remove an old client secret so far, and goes on trying.",
		look},
	attention.NotDisabled: {"old values enabled",
		"Values that are done with can't be disabled in Key Vault. Let Rekey's identity set secrets there.", look},
	attention.RemoveByHand: {"remove by hand",
		"There is a client secret that only a person can remove: remove it in Entra. The next rotation sees whether it is gone.",
		look},
}

// short is a reason in a few words.
func (s *subject) short(word string) string {
	return cmp.Or(s.reasonOf(word).short, "needs attention")
}

// signInEndsFirst reports whether what s signs in with ends before what is published.
func (s *subject) signInEndsFirst() bool {
	a, r := s.Authentication, s.state()
	return a != nil && a.ExpiresAt != nil &&
		(r == nil || r.Current == nil || r.Current.ExpiresAt == nil || a.ExpiresAt.Before(*r.Current.ExpiresAt))
}

// reasonOf is what holds of s. What Key Vault stands in the way of is no matter of credentials.
func (s *subject) reasonOf(word string) reason {
	a, state := s.Authentication, s.state()
	r, ok := reasons[word]
	if other, too := signIns[word]; too && s.signInEndsFirst() {
		r = other
	}
	switch {
	case !ok: // of a newer API
		return reason{says: sentence(word)}
	case word == attention.Failing && state != nil && isVault(state.LastRotationClass):
		r.says = "Key Vault stands in the way of a rotation: put that right there first. " + state.stays()
		return r
	case word == attention.Failing && s.rotatesItself() && state != nil && state.LastRotationClass == serviceerror.CredentialRefused:
		return reason{r.short, "A rotation has not succeeded: Entra refuses what is published, so that its consumers fail.", signing}
	case word == attention.Failing && state != nil && state.Current == nil:
		r.says = "The first rotation has not succeeded. " + state.stays()
		return r
	case word == attention.SignInLost && a != nil && a.Problem != nil && isVault(a.Problem.Class):
		return reason{r.short, "Key Vault does not give what it signs in with, so that nothing is rotated through it. Put that right there.",
			testing}
	case word == attention.SignInLost && a != nil && a.Problem != nil && a.Problem.Class == serviceerror.CredentialInvalid &&
		s.Method != "oauth":
		r.help = testing // what is disabled or blocked is so with other credentials, too
		return r
	default:
		return r
	}
}

// stays says what becomes of what is published while a rotation fails.
func (r *rotation) stays() string {
	if r.Current == nil {
		return "Nothing is published yet, so that consumers find no client secret."
	}
	return "What is published stays as it is."
}

// reasons tells why to look at s, each with the buttons that help. A fault of Key Vault's comes first: nothing
// else can be put right before.
func (v *visit) reasons(s *subject) g.Node {
	words := slices.Clone(s.Attention)
	if s.vaultFault() {
		slices.SortStableFunc(words, func(a, b string) int {
			return cmp.Compare(map[bool]int{true: -1}[byVault[a]], map[bool]int{true: -1}[byVault[b]])
		})
	}
	return g.Map(words, func(word string) g.Node {
		r := s.reasonOf(word)
		return g.Group{h.P(g.Text(r.says)), v.cause(s, word), h.Div(h.Class("actions"), v.helping(s, r.help))}
	})
}

// byVault are the reasons that a fault of Key Vault's gives.
var byVault = map[string]bool{attention.Failing: true, attention.SignInLost: true}

// helping are the buttons that help. A target signs in with nothing of its own; a connection by
// client secret with what it rotates, as long as that works. Nothing asks for credentials while Key Vault, which
// would have to keep them, is what is wrong.
func (v *visit) helping(s *subject, help help) g.Node {
	rotate, again := v.button(auth.Rotate, own(s, "rotate"), "Rotate now", "plain small"),
		v.button(auth.Rotate, own(s, "rotate"), "Try again now", "plain small")
	if v.isOf(s) { // it is the first of the page's actions
		rotate, again = nil, nil
	}
	var renew g.Node
	switch {
	case s.ConnectionID != "":
		renew = rotate
	case s.vaultFault():
	case s.Method == "oauth":
		renew = v.button(auth.Write, own(s, "reconnect"), "Sign in again", "plain small")
	default:
		renew = v.plain(auth.Write, own(s, "edit"), "Give new credentials")
	}
	switch {
	case help == testing:
		return v.plain(auth.Write, own(s, "test"), "Test what is missing")
	case help == rotating && s.state() != nil:
		return rotate
	case help == trying && s.state() != nil:
		return g.Group{again, v.plain(auth.Write, own(s, "test"), "Test what is missing")}
	case help == signing:
		return renew
	}
	return nil
}

// gone reports whether s is being deleted, which lists show where that needs attention.
func (s *subject) gone() bool { return slices.Contains(s.Attention, attention.Deletion) }

// called is the name, which leads to the page; of what is being deleted only the audit is left.
func (v *visit) called(s *subject) g.Node {
	switch {
	case !s.gone():
		return page.Link(own(s), s.title())
	case v.caller.Role.Allows(auth.Admin):
		return page.Link(own(s, "audit"), s.title())
	}
	return g.Text(s.title())
}

// attention lists what a person should look at first; none: there is nothing.
func (v *visit) attention() (nodes []g.Node, none bool, err error) {
	ask := url.Values{"limit": {perOverview}, "attention": {"true"}}
	var urgent struct {
		AppConnections []subject
		NextCursor     string
	}
	if err := v.api.get(secrets, ask, &urgent); err != nil {
		return nil, false, err
	}
	var below struct {
		SecretRotations []secretRotation
		NextCursor      string
	}
	missing := v.api.get(allTargets, ask, &below)
	list := urgent.AppConnections
	for i := range below.SecretRotations {
		list = append(list, below.SecretRotations[i].subject())
	}
	if len(list) == 0 && missing == nil {
		return []g.Node{page.Notice(page.Good, h.P(g.Text("Nothing that Rekey manages needs attention.")))}, true, nil
	}
	nodes = []g.Node{h.H2(g.Text("Needs attention")), h.Div(h.Class("beside"), g.Map(list, func(s subject) g.Node {
		return page.Notice(page.Bad, h.P(v.called(&s), under(s.ApplicationName)), v.reasons(&s))
	}))}
	all := url.Values{"attention": {"true"}}
	if urgent.NextCursor != "" {
		nodes = append(nodes, h.P(page.Link(to("connections").With(all), "All connections that need attention")))
	}
	if below.NextCursor != "" {
		nodes = append(nodes, h.P(page.Link(to("targets").With(all), "All targets that need attention")))
	}
	if missing != nil {
		nodes = append(nodes, v.missing("Targets", missing))
	}
	return nodes, false, nil
}

// missing stands for a part of a page that can't be read, so that the rest is shown all the same.
func (v *visit) missing(part string, err error) g.Node {
	return page.Notice(page.Warn, h.P(h.Strong(g.Text(part+": ")), g.Text("this can't be shown right now. "+sentence(v.reasonOf(err)))))
}

// reasonOf is why the API has refused something. What is no refusal is for the log.
func (v *visit) reasonOf(err error) string {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return v.dated(refused.message)
	}
	v.console.log().ErrorContext(v.Context(), "part of a page failed", "reason", err.Error())
	return "Something went wrong inside Rekey. The log has more."
}
