package rotation

import "slices"

// Holds reports whether the record needs a reservation that bears its name: it is one of
// its own, or one of an application that something under way is about. An application
// whose credentials wait for their removal is held until they are gone, so that nobody is
// given one of them for good.
func (r *Record) Holds(res Reservation) bool {
	same := func(o Reservation) bool { return o.Kind == res.Kind && o.Value == res.Value }
	if slices.ContainsFunc(r.Reservations(), same) {
		return true
	}
	return slices.ContainsFunc(r.about(), func(app Application) bool {
		// Who authenticates for a delegated one is among its own.
		return same(ApplicationReservation(app, r.ID)) || !r.Delegated() && same(ActorNote(app, r.ID))
	})
}

// about lists the applications that something under way is about.
func (r *Record) about() (apps []Application) {
	if q := r.Request; q != nil {
		switch q.Kind {
		case AskRotate, AskEmergency: // also where it does not rotate by itself
			apps = append(apps, r.Target)
		case AskRebind:
			apps = append(apps, q.Target)
		}
	}
	if r.Run != nil {
		apps = append(apps, r.Run.Target)
	}
	for _, m := range r.Removals {
		apps = append(apps, m.Target)
	}
	return apps
}
