package rotation

import (
	"time"
)

// Origin says where a credential came from, and with it whether Rekey may ever
// remove it (promise P2).
type Origin string

// The origins. Issued and named credentials are Rekey's to retire; a given one,
// whose key id no caller named, is only reported.
const (
	OriginIssued Origin = "issued" // by Rekey
	OriginNamed  Origin = "named"  // by the caller, with its key id
	OriginGiven  Origin = "given"  // by the caller, key id unknown
)

// Credential is a client secret as a record knows it.
type Credential struct {
	Target       Application `json:"target"`
	KeyID        string      `json:"keyId"` // empty for a given credential
	VaultVersion string      `json:"vaultVersion"`
	Hint         string      `json:"hint"`
	ExpiresAt    time.Time   `json:"expiresAt"` // zero: unknown
	Origin       Origin      `json:"origin"`
	Since        time.Time   `json:"since"` // when it became current
	Marker       string      `json:"marker,omitempty"`
	Digest       string      `json:"digest,omitempty"`
	Listed       bool        `json:"listed,omitempty"` // of a given one: a read of its application has shown one that it could be

	// Refusals of the published value in a row, for the alarm of rule R6.
	Refusals     int       `json:"refusals,omitempty"`
	RefusedSince time.Time `json:"refusedSince,omitzero"`
}
