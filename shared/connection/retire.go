package connection

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
)

// A target may take over an application that has client secrets already: its creator names those
// that are retired, and what the first rotation publishes takes their place.

// retire brings the key ids of what a target retires into shape.
func (m *mistakes) retire(keyIDs *[]string) {
	list := slices.Clone(*keyIDs)
	if len(list) > rotation.MaxReplaced {
		m.complain("retireKeyIds may name at most %d client secrets, since as many may wait for the end of a grace period", rotation.MaxReplaced)
	}
	malformed := false
	for i, id := range list {
		list[i] = strings.ToLower(strings.TrimSpace(id))
		switch {
		case !uuidForm.MatchString(list[i]): // which is not quoted: it may be a value
			malformed = true
		case slices.Contains(list[:i], list[i]):
			m.complain("retireKeyIds names %s more than once", list[i])
		}
	}
	if malformed {
		m.complain("retireKeyIds must be UUIDs; find them in the portal as %q", "Secret ID")
	}
	*keyIDs = list
}

// retirable refuses key ids of what the application does not have as client secrets, such as
// certificates.
func retirable(keyIDs []string, app rotation.ApplicationState) error {
	missing := slices.DeleteFunc(slices.Clone(keyIDs), func(id string) bool {
		return slices.ContainsFunc(app.Passwords, func(w rotation.Password) bool { return strings.EqualFold(w.KeyID, id) })
	})
	if len(missing) == 0 {
		return nil
	}
	var there []string
	for _, w := range app.Passwords {
		there = append(there, fmt.Sprintf("%s (%q, ends %s)", w.KeyID, w.DisplayName, w.ExpiresAt.Format(time.DateOnly)))
	}
	has := "It has none."
	if len(there) > 0 {
		has = "It has " + strings.Join(there, ", ") + "."
	}
	return invalid("The application has no client secret with the key id %s. Only client secrets of the app registration can be named "+
		"in retireKeyIds, no certificates and none of the service principal. %s", strings.Join(missing, ", "), has)
}

// keepsSignIn refuses a target that would retire what the connection signs in with, or is about
// to: that may be a client secret of the target's application.
func keepsSignIn(parent, target *rotation.Record) error {
	if len(target.Retire) == 0 || parent.Method != ClientSecret {
		return nil
	}
	used := &rotation.Credential{Target: parent.Actor}
	if parent.Auth == nil && parent.Current != nil {
		used = parent.Current
	}
	for _, c := range append(goingOver(parent), used) {
		switch {
		case !c.Target.Same(target.Target):
		case c.KeyID == "":
			return invalid("The connection signs in with a client secret of this application, and Rekey does not know which one it is, " +
				"so that it could be among those to retire. Leave retireKeyIds out, or add the target to another connection.")
		case slices.Contains(target.Retire, c.KeyID):
			return invalid("The connection signs in with the client secret %s of this application. Leave it out of retireKeyIds, "+
				"or add the target to another connection.", c.KeyID)
		}
	}
	return nil
}
