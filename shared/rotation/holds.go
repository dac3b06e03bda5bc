package rotation

import "slices"

// Holds reports whether the record needs a reservation that bears its name: it is one of
// its own, or one of the application that it is going over to.
func (r *Record) Holds(res Reservation) bool {
	same := func(o Reservation) bool { return o.Kind == res.Kind && o.Value == res.Value }
	if slices.ContainsFunc(r.Reservations(), same) {
		return true
	}
	// A connection that does not rotate holds its application while it is rotated by hand.
	apps := []Application{r.Target}
	if r.Request != nil && r.Request.Kind == AskRebind {
		apps = append(apps, r.Request.Target)
	}
	if r.Run != nil {
		apps = append(apps, r.Run.Target)
	}
	return slices.ContainsFunc(apps, func(app Application) bool {
		return app.ClientID != "" && (same(ApplicationReservation(app, r.ID)) || r.Via == "" && !r.Delegated() && same(ActorNote(app, r.ID)))
	})
}
