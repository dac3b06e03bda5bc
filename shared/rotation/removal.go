package rotation

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/serviceerror"
)

// planRemovals plans Retiring and Abandoned.
func (r Rules) planRemovals(p *sidePlan, rec *Record) {
	var relied time.Time // from when on current is old enough to rely on
	if rec.Current != nil {
		relied = rec.Current.Since.Add(r.RevokeMinAge)
	}
	for i, o := range rec.Retiring {
		at := o.NextAt
		var step Step = ConfirmRemoved{i}
		switch {
		case o.RemovedAt.IsZero():
			step = RemoveReplaced{i}
			at = later(later(at, o.RevokeAfter), relied)
		case o.Last:
			step = ConfirmRefused{i}
		}
		if o.Last && othersOf(rec, i) {
			continue // they need its token
		}
		p.add(at, step)
	}
	for i, o := range rec.Abandoned {
		at := o.NextAt
		var step Step = ConfirmRemoved{len(rec.Retiring) + i}
		if o.KeyID != "" && o.RemovedAt.IsZero() {
			step = RemoveOrphan{i}
			at = later(at, relied)
		}
		p.add(at, step)
	}
}

// othersOf reports whether anything else of the application of Retiring[i] is left to do.
func othersOf(rec *Record, i int) bool {
	target := rec.Retiring[i].Target
	for j, o := range rec.Retiring {
		if j != i && o.Target.Same(target) && !o.Last {
			return true
		}
	}
	return slices.ContainsFunc(rec.Abandoned, func(o Abandoned) bool { return o.Target.Same(target) })
}

// entry is one of a record's removals.
type entry struct {
	target  Application
	keyID   string
	removal *Removal
}

// removalAt returns the i-th of Retiring and Abandoned together. The place stays what it
// is for as long as the pass holds the lease, since only the pass writes these lists.
func removalAt(rec *Record, i int) entry {
	if i < len(rec.Retiring) {
		o := &rec.Retiring[i]
		return entry{o.Target, o.KeyID, &o.Removal}
	}
	o := &rec.Abandoned[i-len(rec.Retiring)]
	return entry{o.Target, o.KeyID, &o.Removal}
}

// Removes returns the application and the key id that a removal step is about.
func (r *Record) Removes(step Step) (target Application, keyID string) {
	i := 0
	switch step := step.(type) {
	case RemoveReplaced:
		i = step.Index
	case RemoveOrphan:
		i = len(r.Retiring) + step.Index
	case ConfirmRemoved:
		i = step.Index
	case ConfirmRefused:
		i = step.Index
	}
	e := removalAt(r, i)
	return e.target, e.keyID
}

// NotRemovable reports whether Retiring[i] must stay: it is what is published or about to
// be, or its key id is not known.
func (r *Record) NotRemovable(i int) bool {
	o := r.Retiring[i]
	return o.KeyID == "" || r.Current != nil && r.Current.KeyID == o.KeyID || r.Run != nil && r.Run.KeyID == o.KeyID
}

// remove records what came of removing a credential, behind the gate (rule R6). That the
// directory knows none only starts the reads (rule R7).
func (t *transition) remove(e entry, event Event) {
	rec, err := t.rec, t.out.Err
	if t.out.GateOpen && rec.Current != nil { // the published credential has just worked
		rec.Current.Refusals, rec.Current.RefusedSince = 0, time.Time{}
	}
	switch {
	case t.out.PublishedVersion != "":
		rec.Current.VaultVersion, rec.Current.Since = t.out.PublishedVersion, t.now
		t.tell(Event{Kind: EventRepublished, KeyID: rec.Current.KeyID, Message: "what was published was not the current credential"})
	case errors.Is(err, ErrNotRemovable):
		rec.Retiring = slices.DeleteFunc(rec.Retiring, func(o Retiring) bool { return o.Target.Same(e.target) && o.KeyID == e.keyID && o.RemovedAt.IsZero() })
	case err != nil:
		t.countRefusal(err)
		t.postponed(e, err)
	default:
		*e.removal = Removal{RemovedAt: t.now, NextAt: t.now.Add(t.SettleSpacing)}
		event.KeyID = e.keyID
		t.tell(event)
	}
}

// ErrNotRemovable is the outcome of a removal of what must stay; see [Record.NotRemovable].
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
}

// postponed records that a removal could not be made or confirmed now.
func (t *transition) postponed(e entry, err error) {
	t.postpone(e.removal, err)
	if t.out.OtherWorks {
		e.removal.RefusedSince = time.Time{}
	}
	if t.hopeless(e.removal) {
		t.leaveAll(e.target)
	}
}

// postpone says when a removal is tried again after err, and since when nothing that
// Rekey knows is of use for it.
func (t *transition) postpone(r *Removal, err error) {
	rec := t.rec
	r.Tries++
	r.Problem = serviceerror.ClassOf(err)
	r.NextAt = t.now.Add(t.backoff(err, r.Tries))
	// Rule R6: postponed by a minute. An application that is gone will not be back
	// in one, and others can look for it.
	if serviceerror.RefusesCredential(err) && !(rec.Delegated() && r.Problem == serviceerror.ApplicationMissing) {
		r.NextAt = t.now.Add(max(time.Minute, serviceerror.RetryAfterOf(err)))
	}
	switch {
	case !useless(rec, err):
		r.RefusedSince = time.Time{}
	case r.RefusedSince.IsZero():
		r.RefusedSince = t.now
	}
}

// useless reports whether err says that there is no credential left to remove others
// with: Entra refuses it, or its value is gone from the vault. While a connection is
// being deleted, so does a lack of permission, because then no person may be left who
// would grant it, and the deletion has to end.
func useless(rec *Record, err error) bool {
	class := serviceerror.ClassOf(err)
	if rec.Delegated() { // what authenticates for it can be repaired, but a deletion has to end
		return rec.Phase == Deleting && class.Refusal()
	}
	return serviceerror.RefusesCredential(err) || errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err) ||
		rec.Phase == Deleting && class == serviceerror.Permission
}

func (t *transition) hopeless(r *Removal) bool {
	return !r.RefusedSince.IsZero() && !t.now.Before(r.RefusedSince.Add(t.ByHand))
}

// leaveAll leaves to a person all that is to be removed from an application that has
// refused every known credential for a day (rule R7). Of many it leaves some: the others
// are as hopeless at their next try.
func (t *transition) leaveAll(target Application) {
	rec, left := t.rec, 0
	leave := func(keyID, marker string) {
		left++
		reason := "the application has refused every credential that Rekey knows for " + t.ByHand.String()
		if keyID == "" {
			reason += "; look for a client secret named " + marker
		}
		rec.leave(t.now, target, keyID, reason)
	}
	rec.Retiring = slices.DeleteFunc(rec.Retiring, func(o Retiring) bool {
		if !o.Target.Same(target) || o.RevokeAfter.After(t.now) || left == maxAtOnce {
			return false
		}
		leave(o.KeyID, "")
		return true
	})
	rec.Abandoned = slices.DeleteFunc(rec.Abandoned, func(o Abandoned) bool {
		if !o.Target.Same(target) || left == maxAtOnce {
			return false
		}
		leave(o.KeyID, o.Marker)
		return true
	})
}

// showsAgain is how long after its removal a credential may still show in reads before it
// is removed once more.
const showsAgain = 5 * time.Minute

// confirmRemoved judges by one read of an application everything of that application
// that is to go and whose next read is due (rules R3, R7), and drops what is finished.
func (t *transition) confirmRemoved(i int) {
	rec := t.rec
	target := removalAt(rec, i).target
	if t.out.Application == nil {
		t.unread(target)
		return
	}
	app := *t.out.Application
	room := len(rec.ByHand) + maxAtOnce
	target.ObjectID = cmp.Or(app.ObjectID, target.ObjectID)
	rec.learn(target)
	for i := range rec.Retiring {
		if o := &rec.Retiring[i]; o.Target.Same(target) && o.readDue(t.now) {
			t.judgeReplaced(o, app.shows(o.KeyID))
		}
	}
	for i := range rec.Abandoned {
		if o := &rec.Abandoned[i]; o.Target.Same(target) && !o.NextAt.After(t.now) {
			t.judgeOrphan(o, app, room)
		}
	}
	rec.Retiring = slices.DeleteFunc(rec.Retiring, func(o Retiring) bool {
		return !o.Last && t.gone(&o.Removal, o.KeyID, "")
	})
	rec.Abandoned = slices.DeleteFunc(rec.Abandoned, func(o Abandoned) bool {
		return t.gone(&o.Removal, o.KeyID, "nothing bears the marker of the attempt that was given up")
	})
}

// gone reports, once in the history, that a removal is confirmed.
func (t *transition) gone(r *Removal, keyID, message string) bool {
	if r.GoneReads < t.SettleReads || len(t.events) == maxAtOnce {
		return false
	}
	t.tell(Event{Kind: EventGone, KeyID: keyID, Message: message})
	return true
}

// readDue reports whether o waits for a read at now: it was removed, and not so that
// only refusals can prove it.
func (o *Retiring) readDue(now time.Time) bool {
	return !o.RemovedAt.IsZero() && !o.Last && !o.NextAt.After(now)
}

// unread postpones every read of target that was due.
func (t *transition) unread(target Application) {
	rec, hopeless := t.rec, false
	for i := range rec.Retiring {
		if o := &rec.Retiring[i]; o.Target.Same(target) && o.readDue(t.now) {
			t.postpone(&o.Removal, t.out.Err)
			hopeless = hopeless || t.hopeless(&o.Removal)
		}
	}
	for i := range rec.Abandoned {
		if o := &rec.Abandoned[i]; o.Target.Same(target) && !o.NextAt.After(t.now) {
			t.postpone(&o.Removal, t.out.Err)
			hopeless = hopeless || t.hopeless(&o.Removal)
		}
	}
	if hopeless {
		t.leaveAll(target)
	}
}

// judgeReplaced counts one read of a credential that was removed.
func (t *transition) judgeReplaced(o *Retiring, shows bool) {
	next := Removal{RemovedAt: o.RemovedAt, GoneReads: o.GoneReads + 1, NextAt: t.now.Add(t.SettleSpacing)}
	if shows {
		next.GoneReads = 0
		if t.now.After(o.RemovedAt.Add(showsAgain)) {
			next.RemovedAt = time.Time{} // remove it again
		}
	}
	o.Removal = next
}

// judgeOrphan counts one read that looked for what was issued under a marker. What is
// found is removed at once, if it was not just removed. That there is nothing counts only
// once what was issued must have replicated (rule R3); until then reads come more often
// than that, because an orphan is alive.
func (t *transition) judgeOrphan(o *Abandoned, app ApplicationState, room int) {
	keyID := orphan(t.rec, o, app, t.now, room)
	next := Removal{RemovedAt: o.RemovedAt, GoneReads: o.GoneReads + 1, NextAt: t.now.Add(t.SettleSpacing)}
	if counts := o.Since.Add(t.SettleMinAge); t.now.Before(counts) {
		next.GoneReads = 0
		next.NextAt = later(earlier(next.NextAt, counts), t.now.Add(t.SettleSpacing/4))
	}
	if keyID != "" {
		next.GoneReads = 0
		if o.KeyID == "" || t.now.After(o.RemovedAt.Add(showsAgain)) {
			o.KeyID, next.RemovedAt, next.NextAt = keyID, time.Time{}, t.now
		}
	}
	o.Removal = next
}

// orphan returns the key id of what was issued under o's marker, if app shows it.
//
// One credential is issued under a marker at most (rule R1). So where the key id is known,
// from the directory's own answer, from a tag or because nothing else bore the marker,
// only that one is Rekey's, and where it is not and several bear the marker, nothing says
// which. Whatever else bears it is reported and left alone (promise P2), as far as there is
// room for it on the list.
func orphan(rec *Record, o *Abandoned, app ApplicationState, now time.Time, room int) (keyID string) {
	bearing := app.bearing(o.Marker)
	if o.KeyID == "" && len(bearing) == 1 && !rec.leftToAPerson(o.Target, bearing[0]) {
		return bearing[0]
	}
	for _, id := range bearing {
		if !strings.EqualFold(id, o.KeyID) && !rec.leftToAPerson(o.Target, id) && len(rec.ByHand) < room {
			rec.leave(now, o.Target, id, "it is named "+o.Marker+", like a client secret that Rekey issued and gave up, but nothing says that it is that one")
		}
	}
	if o.KeyID != "" && app.shows(o.KeyID) {
		return o.KeyID
	}
	return ""
}

// confirmRefused counts whether the value of an application's last credential is refused
// (rule R7): there is nothing left to read the application with.
func (t *transition) confirmRefused(i int) {
	rec, err := t.rec, t.out.Err
	o := &rec.Retiring[i]
	if err != nil && !serviceerror.RefusesCredential(err) {
		t.postponed(removalAt(rec, i), err)
		return
	}
	if err != nil && o.GoneReads+1 >= t.SettleReads && !t.now.Before(o.RemovedAt.Add(t.LossPeriod)) {
		t.tell(Event{Kind: EventGone, KeyID: o.KeyID, Message: "refused by Entra"})
		rec.Retiring = slices.Delete(rec.Retiring, i, i+1)
		return
	}
	next := Removal{RemovedAt: o.RemovedAt, GoneReads: o.GoneReads + 1, NextAt: t.now.Add(t.LossPeriod / time.Duration(t.SettleReads))}
	if err == nil {
		next.GoneReads = 0
		if t.now.After(o.RemovedAt.Add(showsAgain)) {
			next.RemovedAt = time.Time{} // remove it again
		}
	}
	o.Removal = next
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
		return slices.ContainsFunc(r.Retiring, func(o Retiring) bool { return strings.EqualFold(o.KeyID, w.KeyID) }) ||
			slices.ContainsFunc(r.Abandoned, func(o Abandoned) bool { return o.Marker == w.DisplayName })
	}
	for _, w := range app.Passwords {
		if strings.HasPrefix(w.DisplayName, MarkerPrefix(deployment, r.ID)) && !known(w) {
			keyIDs = append(keyIDs, w.KeyID)
		}
	}
	return keyIDs
}
