package rotation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// Identify tells which of the client secrets of an application (own) and of its service
// principal has a value that begins with hint (rule R14): it is the only live one whose
// hint equals that, and it is one of the application. One of which the directory shows no
// hint is never it. unread: the service principal could not be read. If there is any doubt,
// doubt says so, with the candidates.
func Identify(now time.Time, hint string, own, principal []Password, unread bool) (found *Password, doubt string) {
	equal := func(w Password) bool { return w.Hint == hint }
	own, principal = Fitting(now, hint, own), Fitting(now, hint, principal)
	i := slices.IndexFunc(own, equal)
	switch {
	case i >= 0 && !slices.ContainsFunc(own[i+1:], equal) && !slices.ContainsFunc(principal, equal) && !unread:
		return &own[i], ""
	case len(own) == 0 && len(principal) == 1 && equal(principal[0]):
		return nil, principal[0].OnPrincipal()
	}
	return nil, "Which client secret is it? Say credentials.clientSecretKeyId (in the portal, App registrations > Certificates & secrets, " +
		"column Secret ID). " + candidates(own, principal, unread)
}

// Fitting returns the live ones of list that could have a value which begins like that: those
// whose hint is equal, and those of which the directory shows none.
func Fitting(now time.Time, hint string, list []Password) []Password {
	return slices.DeleteFunc(slices.Clone(list), func(w Password) bool { return !w.ExpiresAt.After(now) || w.Hint != "" && w.Hint != hint })
}

// OnPrincipal says of a client secret of a service principal that Rekey does not rotate it.
func (w Password) OnPrincipal() string {
	return "The key id " + w.KeyID + " is a client secret of the service principal (enterprise application). Rekey rotates the client " +
		"secrets of the app registration: create one there and give that."
}

// candidates lists what the secret could be.
func candidates(own, principal []Password, unread bool) string {
	var lines []string
	for _, w := range own {
		lines = append(lines, fmt.Sprintf("%s (%q, ends %s)", w.KeyID, w.DisplayName, w.ExpiresAt.Format(time.DateOnly)))
	}
	for _, w := range principal {
		lines = append(lines, fmt.Sprintf("%s (%q, on the service principal)", w.KeyID, w.DisplayName))
	}
	text := "No live client secret of the application begins with these three characters; if it was made just now, wait a minute."
	if len(lines) > 0 {
		text = "It could be: " + strings.Join(lines, ", ") + "."
	}
	if unread {
		text += " The service principal's own secrets could not be read."
	}
	return text
}

// Unidentified reports whether current was given and it is not known which credential it is.
func (r *Record) Unidentified() bool { return r.Current != nil && r.Current.Origin == OriginGiven }

// identify records which credential current is, or serves the request without knowing that:
// an emergency goes on, and the old credential is listed under manual removals; anything
// else is refused.
func (t *transition) identify() {
	rec, asked := t.rec, t.rec.Request
	switch {
	case t.out.Identified != nil && rec.Unidentified():
		c := rec.Current
		c.KeyID, c.ExpiresAt, c.Origin = t.out.Identified.KeyID, t.out.Identified.ExpiresAt, OriginNamed
		c.Target.ObjectID = cmp.Or(t.out.Application.ObjectID, c.Target.ObjectID)
		rec.learn(c.Target)
		rec.Error = nil
		t.tell(Event{Kind: history.Identified, KeyID: c.KeyID})
		if asked != nil && asked.Kind == AskIdentify {
			t.clearRequest()
		}
	case t.out.Err != nil && !serviceerror.ClassOf(t.out.Err).Refusal():
		t.fail(t.out.Err)
	case asked != nil && asked.Kind == AskEmergency:
		asked.Unidentified = true
	case asked != nil && (asked.Kind == AskRotate || asked.Kind == AskIdentify):
		why := t.out.Doubt
		if t.out.Err != nil {
			why = serviceerror.Explain(t.out.Err)
		}
		t.refuse(why)
	}
}
