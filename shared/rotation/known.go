package rotation

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Known is what a record knows of the client secrets of an application.
type Known struct {
	KeyIDs []string // in lower case, in order
	// Markers are the display names of those whose key ids it does not know (yet): it may have
	// issued them.
	Markers []string
}

// Known returns what r knows of each application, by [Application.Key]: what is current, what is
// being issued or was given, what is to be removed or retired, and what is left to a person.
func (r *Record) Known() map[string]Known {
	keys, markers := map[string]map[string]bool{}, map[string]map[string]bool{}
	note := func(app Application, keyID, marker string) {
		if app.ClientID == "" {
			return
		}
		key := app.Key()
		if keys[key] == nil {
			keys[key], markers[key] = map[string]bool{}, map[string]bool{}
		}
		switch {
		case keyID != "":
			keys[key][strings.ToLower(keyID)] = true
		case marker != "":
			markers[key][marker] = true
		}
	}
	if c := r.Current; c != nil {
		note(c.Target, c.KeyID, c.Marker)
	}
	if run := r.Run; run != nil {
		note(run.Target, run.KeyID, run.Marker)
	}
	if q := r.Request; q != nil && q.Next != nil {
		note(q.Next.Target, q.Next.KeyID, "")
	}
	for _, keyID := range r.Retire {
		note(r.Target, keyID, "")
	}
	for _, m := range r.Removals {
		note(m.Target, m.KeyID, m.Marker)
	}
	for _, h := range r.ByHand {
		note(h.Target, h.KeyID, "")
	}
	known := make(map[string]Known, len(keys))
	for app := range keys {
		known[app] = Known{slices.Sorted(maps.Keys(keys[app])), slices.Sorted(maps.Keys(markers[app]))}
	}
	return known
}

// KeyIDsRemoved are those of the client secrets that Rekey has removed for r lately.
func (r *Record) KeyIDsRemoved() []string {
	keys := make([]string, len(r.RemovedKeys))
	for i, k := range r.RemovedKeys {
		keys[i] = k.KeyID
	}
	return keys
}

// LastRemovedAt is when Rekey last removed a client secret for r that it remembers; zero: never.
func (r *Record) LastRemovedAt() (last time.Time) {
	for _, o := range r.Removed {
		last = later(last, o.At)
	}
	return last
}
