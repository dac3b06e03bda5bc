package rotation

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// remove records what came of removing a credential, behind the gate (rule R6). That the
// directory knows none only starts the reads (rule R7).
func (t *transition) remove(id string) {
	rec, err, m := t.rec, t.out.Err, t.rec.Removal(id)
	if m == nil {
		return
	}
	if t.out.GateOpen && rec.Current != nil { // the published credential has just worked
		rec.Current.Refusals, rec.Current.RefusedSince = 0, time.Time{}
	}
	switch {
	case t.out.NotCurrent:
		rec.RepublishAt = t.now
	case errors.Is(err, ErrNotRemovable):
		rec.Removals = slices.DeleteFunc(rec.Removals, func(o Removal) bool { return o.ID() == id })
	case err != nil:
		t.countRefusal(err)
		t.postponed(m, err)
	default:
		event := Event{Kind: history.Revoked, KeyID: m.KeyID}
		if m.Kind == RemoveOrphan {
			event.Message = "issued by an attempt that was given up"
		}
		t.tell(event)
		t.remember(m)
		m.begin(Removal{RemovedAt: t.now, NextAt: t.now.Add(t.SettleSpacing)})
	}
}

// begin puts how far a removal has come to that of progress, and forgets what failed.
func (m *Removal) begin(progress Removal) {
	m.RemovedAt, m.GoneReads, m.NextAt = progress.RemovedAt, progress.GoneReads, progress.NextAt
	m.Tries, m.RefusedSince, m.Problem = 0, time.Time{}, ""
}

// ErrNotRemovable is the outcome of a removal of what must stay; see [Record.MustStay].
var ErrNotRemovable = errors.New("the credential is in use")

// countRefusal counts that the published credential itself is refused: often and long
// enough, it is lost.
func (t *transition) countRefusal(err error) {
	c := t.rec.Current
	if c == nil || t.out.GateOpen {
		return
	}
	if class := serviceerror.ClassOf(err); class == serviceerror.CredentialRefused || class == serviceerror.CredentialExpired {
		if c.Refusals++; c.Refusals == 1 {
			c.RefusedSince = t.now
		}
	}
	if t.rec.Phase == Deleting && t.Lost(c, t.now) {
		t.tell(Event{Kind: history.Lost, KeyID: c.KeyID, Class: serviceerror.CredentialLost,
			Message: "what was published does not work any more; the deletion goes on without it"})
		t.rec.Current = nil // no removal waits for it
	}
}

// postponed records that a removal could not be made or confirmed now.
func (t *transition) postponed(m *Removal, err error) {
	t.postpone(m, err)
	if t.out.OtherWorks {
		m.RefusedSince = time.Time{}
	}
	if t.hopeless(m) {
		t.leaveAll(m.Target, err)
	}
}

// postpone says when a removal is tried again after err, and since when nothing that
// Rekey knows is of use for it.
func (t *transition) postpone(r *Removal, err error) {
	rec := t.rec
	r.Tries++
	r.Problem = serviceerror.ClassOf(err)
	r.NextAt = t.now.Add(t.backoff(err, r.Tries))
	// What refuses a credential is tried again in a minute: replicas lag. An application that is gone will not be back
	// in one, and others can look for it.
	gone := rec.Delegated() && r.Problem == serviceerror.ApplicationMissing
	if serviceerror.Unreadable(err) || serviceerror.RefusesCredential(err) && !gone {
		pause := time.Minute
		if r.Tries > soonTries {
			pause = 10 * time.Minute
		}
		r.NextAt = t.now.Add(max(pause, serviceerror.RetryAfterOf(err)))
	}
	switch {
	case !useless(rec, err):
		r.RefusedSince = time.Time{}
	case r.RefusedSince.IsZero():
		r.RefusedSince = t.now
	}
}

// soonTries is how often a removal that is refused is tried a minute apart: often enough to
// tell that the published credential is lost.
const soonTries = 20

// useless reports whether err says that there is no credential left to remove others
// with: Entra refuses it, or its value is gone from the vault. While a connection is
// being deleted, so does a lack of permission, because then no person may be left who
// would grant it, and the deletion has to end.
func useless(rec *Record, err error) bool {
	class := serviceerror.ClassOf(err)
	if rec.Delegated() { // what authenticates for it can be repaired, but a deletion has to end
		return rec.Phase == Deleting && class.Refusal()
	}
	return serviceerror.RefusesCredential(err) || serviceerror.Unreadable(err) ||
		rec.Phase == Deleting && class == serviceerror.Permission
}

func (t *transition) hopeless(r *Removal) bool {
	return !r.RefusedSince.IsZero() && !t.now.Before(r.RefusedSince.Add(t.ByHand))
}

// leaveAll leaves to a person all that is to be removed from an application that has
// refused every known credential for a day (rule R7), or whose credentials can't be read in
// Key Vault. Of many it leaves some: the others are as hopeless at their next try.
func (t *transition) leaveAll(target Application, err error) {
	rec, left := t.rec, 0
	why := "the application has refused every credential that Rekey knows for "
	if serviceerror.Unreadable(err) {
		why = "no credential of the application could be read in Key Vault for "
	}
	rec.Removals = slices.DeleteFunc(rec.Removals, func(m Removal) bool {
		if !m.Target.Same(target) || m.After.After(t.now) || left == maxAtOnce {
			return false
		}
		left++
		rec.leave(t.now, target, m.KeyID, why+t.ByHand.String()+m.named())
		return true
	})
}

// showsAgain is how long after its removal a credential may still show in reads before it
// is removed once more.
const showsAgain = 5 * time.Minute

// confirmRemoved judges by one read of an application everything of that application
// that is to go and whose next read is due (rules R3, R7), and drops what is finished.
func (t *transition) confirmRemoved(id string) {
	rec, m := t.rec, t.rec.Removal(id)
	if m == nil {
		return
	}
	target := m.Target
	if t.out.Application == nil {
		t.unread(target)
		return
	}
	app := *t.out.Application
	room := len(rec.ByHand) + maxAtOnce
	target.ObjectID = cmp.Or(app.ObjectID, target.ObjectID)
	rec.learn(target)
	for i := range rec.Removals {
		m := &rec.Removals[i]
		switch {
		case !m.Target.Same(target) || !m.readDue(t.now):
		case m.Kind == RemoveOrphan:
			t.judgeOrphan(m, app, room)
		default:
			t.judgeReplaced(m, app.shows(m.KeyID))
		}
	}
	rec.Removals = slices.DeleteFunc(rec.Removals, func(m Removal) bool {
		if m.Kind == RemoveLast || m.GoneReads < t.SettleReads || len(t.events) == maxAtOnce {
			return false
		}
		event := Event{Kind: history.Gone, KeyID: m.KeyID}
		if m.Kind == RemoveOrphan {
			event.Message = "nothing bears the marker of the attempt that was given up"
		}
		t.tell(event)
		return true
	})
}

// readDue reports whether m waits for a read at now: it was removed, or has to be found.
func (m *Removal) readDue(now time.Time) bool {
	return m.Kind != RemoveLast && (!m.RemovedAt.IsZero() || m.Kind == RemoveOrphan) && !m.NextAt.After(now)
}

// unread postpones every read of target that was due.
func (t *transition) unread(target Application) {
	hopeless := false
	for i := range t.rec.Removals {
		if m := &t.rec.Removals[i]; m.Target.Same(target) && m.readDue(t.now) {
			t.postpone(m, t.out.Err)
			hopeless = hopeless || t.hopeless(m)
		}
	}
	if hopeless {
		t.leaveAll(target, t.out.Err)
	}
}

// judgeReplaced counts one read of a credential that was removed.
func (t *transition) judgeReplaced(m *Removal, shows bool) {
	next := Removal{RemovedAt: m.RemovedAt, GoneReads: m.GoneReads + 1, NextAt: t.now.Add(t.SettleSpacing)}
	if shows {
		next.GoneReads = 0
		if t.now.After(m.RemovedAt.Add(showsAgain)) {
			next.RemovedAt = time.Time{} // remove it again
		}
	}
	m.begin(next)
}

// judgeOrphan counts one read that looked for what was issued under a marker. What is
// found is removed at once, if it was not just removed. That there is nothing counts only
// once what was issued must have replicated (rule R3); until then reads come more often
// than that, because an orphan is alive.
func (t *transition) judgeOrphan(m *Removal, app ApplicationState, room int) {
	keyID := orphan(t.rec, m, app, t.now, room)
	next := Removal{RemovedAt: m.RemovedAt, GoneReads: m.GoneReads + 1, NextAt: t.now.Add(t.SettleSpacing)}
	if counts := m.Since.Add(t.SettleMinAge); t.now.Before(counts) {
		next.GoneReads = 0
		next.NextAt = later(earlier(next.NextAt, counts), t.now.Add(t.SettleSpacing/4))
	}
	if keyID != "" {
		next.GoneReads = 0
		if m.KeyID == "" || t.now.After(m.RemovedAt.Add(showsAgain)) {
			m.KeyID, next.RemovedAt, next.NextAt = keyID, time.Time{}, t.now
		}
	}
	m.begin(next)
}

// orphan returns the key id of what was issued under o's marker, if app shows it.
//
// One credential is issued under a marker at most (rule R1). So where the key id is known,
// from the directory's own answer, from a tag or because nothing else bore the marker,
// only that one is Rekey's, and where it is not and several bear the marker, nothing says
// which. Whatever else bears it is reported and left alone (promise P2), as far as there is
// room for it on the list.
func orphan(rec *Record, o *Removal, app ApplicationState, now time.Time, room int) (keyID string) {
	bearing := app.bearing(o.Marker)
	if o.KeyID == "" && len(bearing) == 1 && !rec.leftToAPerson(o.Target, bearing[0]) {
		return bearing[0]
	}
	for _, id := range bearing {
		if !strings.EqualFold(id, o.KeyID) && !rec.leftToAPerson(o.Target, id) && len(rec.ByHand) < room {
			rec.leave(now, o.Target, id,
				"it is named "+o.Marker+", like a client secret that Rekey issued and gave up, but nothing says that it is that one")
		}
	}
	if o.KeyID != "" && app.shows(o.KeyID) {
		return o.KeyID
	}
	return ""
}

// confirmRefused counts whether the value of an application's last credential is refused
// (rule R7): there is nothing left to read the application with.
func (t *transition) confirmRefused(id string) {
	rec, err, m := t.rec, t.out.Err, t.rec.Removal(id)
	if m == nil {
		return
	}
	if err != nil && !serviceerror.RefusesCredential(err) {
		t.postponed(m, err)
		return
	}
	if err != nil && m.GoneReads+1 >= t.SettleReads && !t.now.Before(m.RemovedAt.Add(t.LossPeriod)) {
		t.tell(Event{Kind: history.Gone, KeyID: m.KeyID, Message: "refused by Entra"})
		rec.Removals = slices.DeleteFunc(rec.Removals, func(o Removal) bool { return o.ID() == id })
		return
	}
	next := Removal{RemovedAt: m.RemovedAt, GoneReads: m.GoneReads + 1, NextAt: t.now.Add(t.LossPeriod / time.Duration(t.SettleReads))}
	if err == nil {
		next.GoneReads = 0
		if t.now.After(m.RemovedAt.Add(showsAgain)) {
			next.RemovedAt = time.Time{} // remove it again
		}
	}
	m.begin(next)
}

func (a ApplicationState) shows(keyID string) bool {
	return slices.ContainsFunc(a.Passwords, func(w Password) bool { return strings.EqualFold(w.KeyID, keyID) })
}

// bearing returns the key ids of the credentials with that display name.
func (a ApplicationState) bearing(marker string) (keyIDs []string) {
	for _, w := range a.Passwords {
		if w.DisplayName == marker {
			keyIDs = append(keyIDs, w.KeyID)
		}
	}
	return keyIDs
}

// Strangers lists the credentials that bear the prefix of the connection's markers but are
// not in the record. They are left alone (promise P2).
func (r *Record) Strangers(deployment string, app ApplicationState) (keyIDs []string) {
	known := func(w Password) bool {
		if r.Current != nil && strings.EqualFold(r.Current.KeyID, w.KeyID) || r.Run != nil && r.Run.Marker == w.DisplayName {
			return true
		}
		return slices.ContainsFunc(r.Removals, func(m Removal) bool {
			return strings.EqualFold(m.KeyID, w.KeyID) || m.Kind == RemoveOrphan && m.Marker == w.DisplayName
		})
	}
	for _, w := range app.Passwords {
		if strings.HasPrefix(w.DisplayName, MarkerPrefix(deployment, r.ID)) && !known(w) {
			keyIDs = append(keyIDs, w.KeyID)
		}
	}
	return keyIDs
}
