// Package history names the kinds of lines that a connection's history has, as the API and
// webhooks show them.
package history

// The kinds of events: first what happened to the connection, the rotation or the
// credential, then what it was.
const (
	Created         = "connection.created"
	Undone          = "connection.undone"
	Deleting        = "connection.deleting"
	Deleted         = "connection.deleted"
	Requested       = "rotation.requested"
	Started         = "rotation.started"
	Issued          = "rotation.issued"
	Published       = "rotation.published" // the run succeeded
	Failed          = "rotation.failed"
	AttemptDropped  = "rotation.attempt-abandoned"
	Republished     = "credential.republished"
	Revoked         = "credential.revoked"     // Graph accepted the removal
	Gone            = "credential.gone"        // and it has stopped showing
	GraceEnded      = "credential.grace-ended" // early, for want of room
	ByHand          = "credential.remove-by-hand"
	RemovedByHand   = "credential.removed-by-hand" // by a person, to whom it was left
	Expiring        = "credential.expiring"
	Lost            = "credential.lost"
	Rebound         = "connection.rebound"
	RebindRefused   = "connection.rebind-refused"
	CredentialGiven = "credential.given"
	Identified      = "credential.identified"   // which one was given is known by now
	Changed         = "connection.changed"      // by the API
	Attention       = "connection.attention"    // something is wrong that was not before
	Recovered       = "connection.recovered"    // and nothing is any more
	Reconnected     = "connection.reconnected"  // with new credentials of its own
	SignInLost      = "connection.sign-in-lost" // it can't authenticate any more
	SignInBack      = "connection.sign-in-back"

	// Unreadable stands in a list for a line that this version can't read. None is written.
	Unreadable = "unreadable"

	// Of a tenant's inventory, in notices only.
	InventoryFindings = "inventory.findings" // a scan found what was not there before
	InventoryFailed   = "inventory.failed"   // no scan has come to its end for two days
)
