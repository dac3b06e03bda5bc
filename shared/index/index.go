// Package index says what is kept beside each record, so that lists, searches and counts need not
// read the records. It is derived from the record alone and changes with it, in one transaction.
package index

import (
	"slices"
	"strings"
	"time"

	"rekey/shared/attention"
	"rekey/shared/rotation"
)

// Due says when the timer has to look at a record. Wake is in UTC and whole seconds.
type Due struct {
	ID   string
	Wake time.Time
}

// The words for states that lists are filtered by. A record may have several.
const (
	Active  = "active"  // rotation is on
	Paused  = "paused"  // rotation is off
	Running = "running" // something is under way
	Failing = "failing" // the last rotation has failed
)

// States are all of them.
var States = []string{Active, Paused, Running, Failing}

// Entry is what is kept of a record.
type Entry struct {
	ID, Name, Project string
	Target            bool      // it is a target, and no connection
	Text              string    // what a search looks through, see [Fold]
	States            string    // words, with a space between them
	Attention         time.Time // from when on a person should look; zero: never
	Due               time.Time // when it rotates next; zero: never
	Ends              time.Time // when the client secret ends that it rotates; zero: not known, or never
	Credential        string    // which one that is, see [Credential]
}

// maxText bounds what is searched: all that the API takes, and the key ids of a record whose lists are full, are shorter.
const maxText = 8192

// Of returns the entry of a record. What the API shows no more is not due, and does not end.
func Of(rec *rotation.Record) Entry {
	e := Entry{ID: rec.ID, Name: rec.Name, Project: rec.Project, Target: rec.Via != "", Text: text(rec), States: states(rec)}
	e.Attention = attention.From(rec)
	if rec.Gone() {
		return e
	}
	if rec.Policy.Enabled {
		// A rotation that failed is tried again at a time of its own. That of the very first one is not known.
		if due := rec.Due(); !due.IsZero() || rec.Error != nil {
			e.Due = rec.NextRotation(due)
		}
	}
	if c := rec.Current; c != nil {
		e.Ends, e.Credential = c.ExpiresAt, Credential(rec.Target.TenantID, rec.Target.ClientID, c.KeyID)
	}
	return e
}

// Credential names a client secret of an application among those of all tenants.
func Credential(tenantID, clientID, keyID string) string {
	return strings.ToLower(tenantID + " " + clientID + " " + keyID)
}

// text has a line for each name that a record is known by.
func text(rec *rotation.Record) string {
	names := []string{rec.Name, rec.VaultName, rec.TargetName, rec.Target.ClientID, rec.ID}
	if rec.Via == "" {
		names = append(names, rec.Actor.ClientID)
	} else {
		names = append(names, rec.Via)
	}
	names = append(names, keyIDs(rec)...)
	for i, name := range names {
		names[i] = Fold(name)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
	all := strings.Join(names, "\n")
	return strings.ToValidUTF8(all[:min(len(all), maxText)], "")
}

// keyIDs are those of the client secrets that a record publishes, issues, removes, has removed lately, or leaves to a person.
func keyIDs(rec *rotation.Record) []string {
	keys := rec.KeyIDsRemoved()
	if c := rec.Current; c != nil { // of an application whose id is not known yet, too
		keys = append(keys, c.KeyID)
	}
	for _, known := range rec.Known() {
		keys = append(keys, known.KeyIDs...)
	}
	return keys
}

// Fold takes the case from a text.
func Fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

func states(rec *rotation.Record) string {
	words := []string{Paused}
	if rec.Policy.Enabled {
		words[0] = Active
	}
	if rec.Phase != rotation.Idle {
		words = append(words, Running)
	}
	if Failed(rec) {
		words = append(words, Failing)
	}
	return strings.Join(words, " ")
}

// Failed reports whether the last rotation has failed, or fails.
func Failed(rec *rotation.Record) bool {
	return rec.Error != nil || rec.LastRun != nil && rec.LastRun.Outcome != "success"
}
