package rebuild

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// recent is how old a version may be whose client secret the directory does not show
// and which is looked for all the same.
const recent = 24 * time.Hour

// Why credentials are left to a person.
const (
	notTheTag   = "a tag in the vault says that it is Rekey's, and the directory shows it under another name; Rekey leaves it alone"
	notTheValue = "it is said to be the original, and does not fit the value that was published; Rekey leaves it alone"
	noTag       = "it bears this connection's marker, and no version in the vault says that Rekey issued it; remove it if nothing uses it"
	noKeyID     = "a client secret that was given without its key id was published before and still works"
	unreadable  = "it was the original, and the application can't be read; remove it if nothing uses it"
)

// leftovers puts down what has to go besides what is current: what was published
// before, what was issued and never published, and staged versions that are enabled.
func (s *scan) leftovers(ctx context.Context, d *draft) error {
	if d.name == "" {
		return nil
	}
	l := &leftovers{
		scan: s, draft: d, known: map[string]bool{}, markers: map[string]bool{}, markerOf: map[string]string{},
		states: map[string]*rotation.ApplicationState{strings.ToLower(d.rec.Target.ClientID): d.state},
	}
	for _, v := range slices.Concat(d.staged, d.published) {
		if m := v.Tags[vaulttag.Marker]; l.marked(m) && v.Tags[vaulttag.KeyID] != "" {
			l.markerOf[v.Tags[vaulttag.KeyID]] = m
		}
	}
	l.trust()
	if err := l.replaced(ctx); err != nil {
		return err
	}
	l.attempts()
	l.strangers()
	return nil
}

// leftovers collects what is not current.
type leftovers struct {
	*scan
	*draft
	known   map[string]bool // key ids, lower case, that are accounted for
	markers map[string]bool // likewise

	markerOf map[string]string                     // by key id: one that was given back has none in its newest version
	states   map[string]*rotation.ApplicationState // what could be read, by client id
}

func (l *leftovers) know(keyID, marker string) (before bool) {
	keyID = strings.ToLower(keyID)
	before = keyID != "" && l.known[keyID] || keyID == "" && marker != "" && l.markers[marker]
	l.known[keyID], l.markers[marker] = true, true
	return before
}

// marked reports whether a marker is one that Rekey gives credentials of this
// connection.
func (l *leftovers) marked(marker string) bool {
	return strings.HasPrefix(marker, rotation.MarkerPrefix(l.Deployment, l.ID))
}

// shown is the credential with that key id in the directory.
func shown(state *rotation.ApplicationState, keyID string) *rotation.Password {
	if state == nil {
		return nil
	}
	i := slices.IndexFunc(state.Passwords, func(w rotation.Password) bool { return strings.EqualFold(w.KeyID, keyID) })
	if i < 0 {
		return nil
	}
	return &state.Passwords[i]
}

func (l *leftovers) byHand(target rotation.Application, keyID, reason string) {
	l.rec.ByHand = append(l.rec.ByHand, rotation.ByHand{Target: target, KeyID: keyID, Since: l.now(), Reason: reason,
		Unlisted: keyID == ""})
	what := "a client secret"
	if keyID != "" {
		what = "the client secret " + keyID
	}
	l.ByPerson = append(l.ByPerson, fmt.Sprintf("Look at %s of the application %s: %s.", what, target.ClientID, reason))
}

// trust makes sure that the current credential may be removed one day on the word of
// its tags: the next rotation does so by key id, without looking again.
func (l *leftovers) trust() {
	c := l.rec.Current
	if c == nil {
		return
	}
	c.Marker = cmp.Or(l.markerOf[c.KeyID], c.Marker)
	l.know(c.KeyID, c.Marker)
	reason := l.doubt(c.KeyID, c.Marker, c.Origin, l.state, l.value)
	if reason == "" {
		if w := shown(l.state, c.KeyID); w != nil {
			c.Hint, c.ExpiresAt = cmp.Or(w.Hint, c.Hint), w.ExpiresAt
		}
		return
	}
	l.byHand(c.Target, c.KeyID, reason)
	c.Origin, c.KeyID, c.Marker = rotation.OriginGiven, "", ""
}

// doubt says why the tags of a version are not to be believed; empty: nothing speaks
// against them. Only what the directory shows can.
func (l *leftovers) doubt(keyID, marker string, origin rotation.Origin, state *rotation.ApplicationState, value secret.Value) string {
	w := shown(state, keyID)
	switch {
	case origin == rotation.OriginIssued && !l.marked(marker):
		return notTheTag
	case w == nil || origin == rotation.OriginGiven:
		return ""
	case origin == rotation.OriginIssued && w.DisplayName != marker:
		return notTheTag
	case origin == rotation.OriginNamed && w.Hint != "" && !value.IsZero() && w.Hint != value.Hint():
		return notTheValue
	}
	return ""
}

// replaced puts down what was published before.
func (l *leftovers) replaced(ctx context.Context) error {
	last := map[string]bool{} // applications that have been left, by client id
	for _, v := range l.published {
		c := credential(v, v.CreatedAt, secret.Value{})
		c.Marker = cmp.Or(l.markerOf[c.KeyID], c.Marker)
		if l.rec.Current != nil && v.Version == l.rec.Current.VaultVersion || c.KeyID != "" && l.know(c.KeyID, c.Marker) {
			continue
		}
		var err error
		switch {
		case c.KeyID == "":
			err = l.given(ctx, v, c)
		case !c.Target.Same(l.rec.Target):
			err = l.elsewhere(ctx, v, c, last)
		case c.Origin == rotation.OriginNamed:
			err = l.original(ctx, v, c)
		case c.Origin == rotation.OriginIssued:
			l.issued(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// retire has a credential removed after a grace period, which may have begun long ago:
// nothing tells when any more.
func (l *leftovers) retire(c *rotation.Credential, final bool) {
	m := rotation.Removal{
		Kind: rotation.RemoveReplaced, Published: true,
		Target: c.Target, KeyID: c.KeyID, VaultVersion: c.VaultVersion, After: l.now().Add(l.rec.Policy.Grace),
	}
	if final {
		m.Kind = rotation.RemoveLast
	}
	l.rec.Removals = append(l.rec.Removals, m)
}

// issued judges a client secret that Rekey issued and has replaced.
func (l *leftovers) issued(c *rotation.Credential) {
	switch w := shown(l.state, c.KeyID); {
	case !l.marked(c.Marker) && (w != nil || l.state == nil):
		l.byHand(c.Target, c.KeyID, notTheTag)
	case l.state == nil:
		l.lookFor(c.Target, c.Marker, c.Since, l.now().Add(l.rec.Policy.Grace))
	case w == nil: // gone
	case l.doubt(c.KeyID, c.Marker, c.Origin, l.state, secret.Value{}) != "":
		l.byHand(c.Target, c.KeyID, notTheTag)
	default:
		c.Target.ObjectID = l.rec.Target.ObjectID
		l.retire(c, false)
	}
}

// original judges the one that the caller named and that was replaced.
func (l *leftovers) original(ctx context.Context, v rotation.VaultSecret, c *rotation.Credential) error {
	w := shown(l.state, c.KeyID)
	if l.state != nil && w == nil {
		return nil // gone
	}
	value, _, err := l.prove(ctx, l.draft, v, 1)
	switch {
	case err != nil && !useless(err):
		return err
	case l.state == nil && err == nil:
		l.byHand(c.Target, c.KeyID, unreadable)
	case l.state == nil:
	case err != nil, l.doubt(c.KeyID, c.Marker, c.Origin, l.state, value) != "":
		l.byHand(c.Target, c.KeyID, notTheValue)
	default:
		c.Target.ObjectID = l.rec.Target.ObjectID
		l.retire(c, false)
	}
	return nil
}

// given judges a client secret of which only the value was ever known.
func (l *leftovers) given(ctx context.Context, v rotation.VaultSecret, c *rotation.Credential) error {
	if !v.Enabled {
		return nil
	}
	got, _, err := l.prove(ctx, l.draft, v, 1)
	switch {
	case err != nil && !useless(err):
		return err
	case err == nil && got != l.value: // else it is current
		l.byHand(c.Target, "", noKeyID)
	}
	return nil
}

// elsewhere judges a credential of an application that the connection has left. There
// its own value is all that there is to look with, and the last one goes last.
func (l *leftovers) elsewhere(ctx context.Context, v rotation.VaultSecret, c *rotation.Credential, last map[string]bool) error {
	if c.Origin == rotation.OriginGiven || l.rec.Delegated() {
		return nil
	}
	value, token, err := l.prove(ctx, l.draft, v, 1)
	if err == nil {
		var state rotation.ApplicationState
		if state, err = l.Directory.Application(ctx, token, c.Target); err == nil {
			app := strings.ToLower(c.Target.ClientID)
			l.states[app] = &state
			if shown(&state, c.KeyID) == nil {
				return nil
			}
			if reason := l.doubt(c.KeyID, c.Marker, c.Origin, &state, value); reason != "" {
				l.byHand(c.Target, c.KeyID, reason)
				return nil
			}
			c.Target.ObjectID = state.ObjectID
			l.retire(c, !last[app])
			last[app] = true
			return nil
		}
		if serviceerror.ClassOf(err).Refusal() {
			l.byHand(c.Target, c.KeyID, "it was published before, and its application can't be read; remove it if nothing uses it")
			return nil
		}
	}
	if useless(err) {
		return nil // it does not work any more
	}
	return err
}

// attempts puts down what was issued and never published, and staged versions that are
// enabled. A probe is written before anything is issued and bears the marker of what is
// about to be: of a credential whose value was lost it is what is left of the record.
func (l *leftovers) attempts() {
	for _, v := range l.staged {
		if v.Enabled {
			l.rec.Stale.Add(l.now(), v.Version)
		}
		switch marker := v.Tags[vaulttag.Marker]; {
		case l.marked(marker) && !l.markers[marker]:
			l.attempt(v, marker)
		case v.Enabled && !l.marked(marker):
			l.Notes = append(l.Notes, "A client secret that a caller gave it was not taken over yet. Give it again.")
		}
	}
}

// attempt judges the attempt that a staged version, or its probe, is of.
func (l *leftovers) attempt(v rotation.VaultSecret, marker string) {
	app, keyID := application(v), v.Tags[vaulttag.KeyID]
	state, young := l.states[strings.ToLower(app.ClientID)], v.CreatedAt.After(l.now().Add(-recent))
	if w := shown(state, keyID); w != nil && w.DisplayName != marker {
		if !l.know(keyID, marker) {
			l.byHand(app, keyID, notTheTag)
		}
		return
	}
	l.markers[marker] = true
	switch {
	case state != nil:
		app.ObjectID = state.ObjectID
		for _, w := range state.Passwords {
			if w.DisplayName == marker && !l.know(w.KeyID, marker) {
				l.rec.Removals = append(l.rec.Removals, rotation.Removal{Kind: rotation.RemoveOrphan, Published: true,
					Target: app, Marker: marker, KeyID: w.KeyID, Since: v.CreatedAt, NextAt: l.now(),
				})
				return
			}
		}
		if young {
			l.lookFor(app, marker, v.CreatedAt, l.now())
		}
	case app.Same(l.rec.Target):
		l.lookFor(app, marker, v.CreatedAt, l.now())
	case young:
		l.byHand(app, keyID, "an attempt that was given up may have issued it with the name "+marker+", and its application can't be read")
	}
}

// lookFor has normal passes look for a marker, and remove what bears it. No pass can look
// where no credential of an application that rotates itself works.
func (l *leftovers) lookFor(app rotation.Application, marker string, since, at time.Time) {
	if l.rec.Delegated() || !l.token.Value.IsZero() {
		l.rec.Removals = append(l.rec.Removals,
			rotation.Removal{Kind: rotation.RemoveOrphan, Published: true, Target: app, Marker: marker, Since: since, NextAt: at})
	}
}

// strangers reports what bears this connection's marker and stands in no tag.
func (l *leftovers) strangers() {
	if l.state == nil {
		if !l.rec.Delegated() && l.token.Value.IsZero() {
			l.ByPerson = append(l.ByPerson, fmt.Sprintf("Rekey can't read the application %s now. "+
				"Look there for client secrets whose names begin with %s and remove those that nothing uses.",
				l.rec.Target.ClientID, rotation.MarkerPrefix(l.Deployment, l.ID)))
		}
		return
	}
	for _, w := range l.state.Passwords {
		if l.marked(w.DisplayName) && !l.known[strings.ToLower(w.KeyID)] && !l.markers[w.DisplayName] {
			l.byHand(l.rec.Target, w.KeyID, noTag)
		}
	}
}
