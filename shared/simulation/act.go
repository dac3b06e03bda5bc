package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// act does one action of the history.
func (w *scene) act(i int, a Action) {
	w.mu.Lock()
	w.trace("act %s", a)
	w.mu.Unlock()
	s := w.slot(a.On)
	switch a.Do {
	case "fault":
		w.mu.Lock()
		w.armed, w.passed = append(w.armed, a), append(w.passed, 0)
		w.mu.Unlock()
	case "weather":
		w.mu.Lock()
		d := min(a.For, w.h.Horizon-a.At)
		w.weathers = append(w.weathers, weather{a.What, s.app.ClientID, time.Now().Add(d)})
		w.disturb(d)
		w.mu.Unlock()
	case "policy":
		w.policy(s, a)
	case "operator":
		w.operate(s, a)
	case "sabotage":
		w.sabotage(s, a)
	default:
		w.request(i, s, a)
	}
}

// policy changes what the tenant allows for an application, and takes that back.
func (w *scene) policy(s *slot, a Action) {
	d := min(a.For, w.h.Horizon-a.At)
	w.mu.Lock()
	for _, o := range w.slots {
		o.lifetime = o.lifetime || o.app.Same(s.app)
	}
	if a.What == "forbidden" {
		w.disturb(d)
	}
	w.mu.Unlock()
	w.world.Change(s.app.ClientID, func(is *rotationtest.AppSettings) {
		if a.What == "forbidden" {
			is.Forbidden = true
		} else {
			is.Longest = time.Duration(a.N) * day
		}
	})
	if d == 0 {
		return // for good
	}
	w.pause(d)
	w.world.Change(s.app.ClientID, func(is *rotationtest.AppSettings) {
		if a.What == "forbidden" {
			is.Forbidden = false
		} else {
			is.Longest = 0
		}
	})
}

// pause sleeps, and a little differently for each instant, so that no two wake at one.
func (w *scene) pause(d time.Duration) {
	time.Sleep(d + time.Duration(w.draw("pause", d)%uint64(time.Millisecond)))
}

// operate is what a person does in the portal.
func (w *scene) operate(s *slot, a Action) {
	if a.What == "crash" {
		w.mu.Lock()
		p := w.running[w.draw("crash")%uint64(len(w.running))]
		w.mu.Unlock()
		if p != nil {
			w.crash(p)
		}
		return
	}
	w.mu.Lock()
	v, ok := view{}, false
	for _, id := range s.ids {
		if got, there := w.view(id); there && !got.deleting {
			v, ok = got, true
		}
	}
	w.disturb(30 * minute)
	w.mu.Unlock()
	switch {
	case a.What == "add" || a.What == "add-unhinted":
		w.world.AddByHand(s.app.ClientID, 100*day, a.What == "add-unhinted")
	case !ok || v.clientID == "":
	case a.What == "remove-current" && v.current != nil:
		w.breakOutside(s.app)
		w.world.RemoveByHand(v.current.keyID)
	case a.What == "remove-old" && len(v.leaving) > 0:
		w.world.RemoveByHand(v.leaving[0].keyID)
	case a.What == "disable-published":
		w.breakOutside(s.app)
		w.touch(v.vaultName)
		w.world.DisableByHand(v.vaultName)
	case a.What == "disable-staged":
		w.world.DisableByHand(v.vaultName + "-staged")
	case a.What == "soft-delete":
		d := min(a.For, w.h.Horizon-a.At)
		w.mu.Lock()
		w.disturb(d + hour)
		w.mu.Unlock()
		w.touch(v.vaultName)
		w.world.DeleteByHand(v.vaultName)
		w.pause(d)
		w.world.RecoverByHand(v.vaultName)
	case a.What == "publish":
		secret, _ := w.world.AddByHand(s.app.ClientID, 0, false)
		w.touch(v.vaultName)
		w.world.PublishByHand(v.vaultName, secret)
	}
}

// sabotage does what only a Rekey does that breaks its promises, so that the checks can be
// tested. No seed draws it.
func (w *scene) sabotage(s *slot, a Action) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range s.ids {
		v, ok := w.view(id)
		if !ok || v.current == nil {
			continue
		}
		switch a.What {
		case "remove-published":
			w.world.RemoveByHand(v.current.keyID)
			w.removed[v.current.keyID] = time.Now()
			w.checkPublished(v, a.What)
		case "disable-published":
			w.world.DisableByHand(v.vaultName)
			w.checkPublished(v, a.What)
		case "publish-removed":
			for keyID := range w.removed {
				for _, t := range w.world.Truths(v.clientID) {
					if t.KeyID == keyID {
						w.publishing(w.running[0], call{op: "vault.publish", id: id, value: t.Value})
					}
				}
			}
		case "forget":
			w.forgot(id)
		case "retire":
			for _, t := range w.world.Truths(v.clientID) {
				w.checkRetired(id, t.KeyID)
			}
		case "retire-more":
			for _, t := range w.world.Truths(v.clientID) {
				w.retirements[id].keyIDs = append(w.retirements[id].keyIDs, t.KeyID)
			}
		}
	}
}

// touch remembers that an operator has changed a vault secret.
func (w *scene) touch(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote[name] = true
}

// breakOutside says that what is published of an application does not work because of
// an operator: nothing is promised about it until a caller gives a new secret.
func (w *scene) breakOutside(app rotation.Application) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.slots {
		if s.app.Same(app) {
			s.broken = true
		}
	}
}

// repair takes policies and soft deletions back before the quiet days.
func (w *scene) repair() {
	for _, s := range w.slots {
		w.world.Change(s.app.ClientID, func(is *rotationtest.AppSettings) { is.Forbidden, is.Longest = false, 0 })
		w.mu.Lock()
		ids := slices.Clone(s.ids)
		w.mu.Unlock()
		for _, id := range ids {
			w.world.RecoverByHand("rekey-" + id)
		}
	}
}

// process returns a process that takes a request; nil if all are down for long.
func (w *scene) process(i int) *process {
	for range 60 {
		w.mu.Lock()
		for k := range w.running {
			if p := w.running[(i+k)%len(w.running)]; p != nil {
				w.mu.Unlock()
				return p
			}
		}
		w.mu.Unlock()
		w.pause(5 * time.Second)
	}
	return nil
}

// request sends a request of the API.
func (w *scene) request(i int, s *slot, a Action) {
	p := w.process(int(w.draw("instance", i) % 7))
	if p == nil {
		return
	}
	start := time.Now()
	err := w.send(onBehalf(p.ctx, fmt.Sprintf("request%d", i+1)), p, s, a)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace("%s %s %s", p.name, a.Do, word(err))
	w.answered(p, s, a, err, start)
}

func (w *scene) send(ctx context.Context, p *process, s *slot, a Action) error {
	id := s.id(w)
	if a.Do == "create" {
		return w.create(ctx, p, s, a)
	}
	if id == "" {
		return nil
	}
	w.hurry(id, a.Do)
	switch a.Do {
	case "schedule":
		return p.svc.reschedule(ctx, id, max(a.N, 1), s.minutes)
	case "grace":
		return p.svc.setGrace(ctx, id, a.For)
	case "rotation-on": // with a schedule of its own
		return p.svc.turn(ctx, id, true, s.minutes)
	case "rotation-off":
		return p.svc.turn(ctx, id, false, s.minutes)
	case "rename":
		return p.svc.rename(ctx, id, s.name+"-"+a.What)
	case "credentials":
		return w.credentials(ctx, p, s, id, a)
	case "rotate":
		return p.svc.rotate(ctx, id, a.For, false)
	case "emergency":
		return w.emergency(ctx, p, id)
	case "dry-run":
		return w.dryRun(ctx, p, id, a)
	case "abandon":
		return p.svc.abandon(ctx, id)
	case "delete":
		return p.svc.remove(ctx, id, a.What == "revoke")
	}
	return fmt.Errorf("no way to do %q", a.Do)
}

// create makes a connection or a target, once more if there was one before.
func (w *scene) create(ctx context.Context, p *process, s *slot, a Action) error {
	w.mu.Lock()
	n := len(s.ids)
	w.mu.Unlock()
	x := w.draw("id", s.name, n)
	wish := wish{
		id:   fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(x), uint16(x>>32), uint16(x>>48)&0xfff, n, x>>16),
		name: s.name + "-connection",
		days: a.N, minutes: s.minutes, grace: a.For,
	}
	if a.What == "original" || a.What == "key+original" {
		wish.original = 2 * day
	}
	w.mu.Lock()
	s.ids = append(s.ids, wish.id)
	w.mu.Unlock()
	switch {
	case s.name == "parent":
		wish.days = 0
		return p.svc.create(ctx, w.lastGiven(s), wish)
	case w.h.Shape != ShapeOwn:
		if a.What == "retire" {
			stay := wish.grace
			if w.draw("retire", wish.id, "grace")%2 == 0 {
				wish.original, stay = 5*day, 5*day
			}
			wish.retires = w.retire(s, wish.id, stay)
		}
		return p.svc.createTarget(ctx, w.slot("parent").id(w), s.app, wish)
	}
	g := w.usable(s)
	w.hold(s, g)
	if a.What != "key" && a.What != "key+original" {
		g.keyID = ""
	}
	return p.svc.create(ctx, g, wish)
}

// lastGiven is what the caller has given last.
func (w *scene) lastGiven(s *slot) given {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.given
}

// usable is what a caller gives who creates a connection: what was given last if it still
// works, else what is published, else a new one.
func (w *scene) usable(s *slot) given {
	last := w.lastGiven(s)
	if truth, ok := w.world.TruthOf(s.app.ClientID, last.secret); ok && truth.Live(time.Now()) {
		return last
	}
	w.mu.Lock()
	ids := slices.Clone(s.ids)
	w.mu.Unlock()
	for _, id := range slices.Backward(ids) {
		if v, ok := w.world.Published("rekey-" + id); ok {
			if truth, ok := w.world.TruthOf(s.app.ClientID, v.Value); ok && truth.Live(time.Now()) {
				return given{app: s.app, secret: v.Value, keyID: truth.KeyID}
			}
		}
	}
	secret, keyID := w.world.AddByHand(s.app.ClientID, 0, false)
	return given{app: s.app, secret: secret, keyID: keyID}
}

// hold remembers what the caller gives. Rekey may remove it from now on.
func (w *scene) hold(s *slot, g given) {
	w.mu.Lock()
	s.given = g
	w.mu.Unlock()
	if g.method == "" {
		if truth, ok := w.world.TruthOf(g.app.ClientID, g.secret); ok {
			w.world.Name(truth.KeyID)
		}
	}
}

// credentials gives credentials in a PATCH.
func (w *scene) credentials(ctx context.Context, p *process, s *slot, id string, a Action) error {
	g := w.lastGiven(s)
	switch {
	case w.h.Shape == ShapeCertificate || a.What == "same":
	case w.h.Shape == ShapeOAuth:
		g.secret = w.world.Newest(s.person)
	case a.What == "new" || a.What == "new+key" || a.What == "unhinted":
		if a.What == "unhinted" { // an old one of which the directory shows no hint
			w.world.AddByHand(s.app.ClientID, 200*day, true)
		}
		g.secret, g.keyID = w.world.AddByHand(s.app.ClientID, 0, false)
		w.pause(time.Duration(w.draw("hurry") % uint64(20*time.Second))) // the person goes from one page to another
	case a.What == "published":
		v, ok := w.world.Published("rekey-" + id)
		truth, known := w.world.TruthOf(s.app.ClientID, v.Value)
		if !ok || !known {
			return nil
		}
		g.secret, g.keyID = v.Value, truth.KeyID
	case a.What == "removed":
		for _, truth := range w.world.Truths(s.app.ClientID) {
			if !truth.RemovedAt.IsZero() {
				g.secret, g.keyID = truth.Value, truth.KeyID
			}
		}
	}
	before := w.lastGiven(s)
	w.hold(s, g)
	if a.What != "new+key" { // the Terraform provider does not send it
		g.keyID = ""
	}
	err := p.svc.give(ctx, id, g)
	if err != nil {
		w.mu.Lock()
		s.given = before
		w.mu.Unlock()
	}
	return err
}

// emergency asks for one; what is current then has to be gone soon.
func (w *scene) emergency(ctx context.Context, p *process, id string) error {
	w.mu.Lock()
	v, ok := w.view(id)
	calm := w.calm(0)
	w.mu.Unlock()
	err := p.svc.rotate(ctx, id, 0, true)
	if err == nil && ok && calm && v.current != nil && v.current.keyID != "" && v.pending != "delete" {
		w.mu.Lock()
		w.expects = append(w.expects, expectation{kind: "emergency-slow", id: id, keyID: v.current.keyID, from: time.Now()})
		for _, o := range v.leaving {
			w.expects = append(w.expects, expectation{kind: "emergency-leaves", id: id, keyID: o.keyID, from: time.Now()})
		}
		w.mu.Unlock()
	}
	return err
}

func (w *scene) dryRun(ctx context.Context, p *process, id string, a Action) error {
	removes, err := p.svc.dryRun(ctx, id, a.What == "emergency")
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, keyID := range removes {
		if at, gone := w.removed[keyID]; gone && time.Since(at) > minute {
			w.violate("dry-run-stale", "a dry run lists the removal of %s, which was removed %s ago", keyID, time.Since(at))
		}
	}
	return err
}

// deleteAtEnd deletes a connection after the quiet days, through a process that is up. To
// remove what it has issued is refused while another one signs in with the application.
func (w *scene) deleteAtEnd(id string, revoke bool) {
	w.hurry(id, "delete")
	for try := range 20 {
		if p := w.process(0); p != nil && p.svc.remove(p.ctx, id, revoke && try < 10) == nil {
			return
		}
		w.pause(30 * minute)
	}
}
