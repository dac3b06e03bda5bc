// Package reservation has the rows that keep names unique.
package reservation

import "time"

// Kind says what a reservation keeps unique.
type Kind string

// The kinds of reservations. Value is what must be unique: for a name the project
// and the name, for a vault secret its lower-case name.
const (
	Name  Kind = "name"
	Vault Kind = "vault"
	// ConsoleKey is who may follow the key of the console's sessions by another one: the value is
	// its name, the owner no connection.
	ConsoleKey Kind = "console-key"

	// This one keeps nothing unique: any number of owners has the same value, the id of
	// the connection that authenticates for them. It is there to find them by it.
	Target Kind = "via"
)

// Shared reports whether a value of that kind may have many owners.
func (k Kind) Shared() bool { return k == Target }

// Row is the claim of a connection (Owner, its id) on a unique value.
type Row struct {
	Kind  Kind
	Value string
	Owner string
	At    time.Time // when it was made; set by the caller that reserves
}
