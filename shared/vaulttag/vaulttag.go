// Package vaulttag names the tags and the content type of what Rekey writes into a vault.
package vaulttag

// The tags of every version that Rekey writes. They are enough to rebuild the
// record, and they are how Rekey tells its own from what is not (rule R3).
const (
	Deployment = "rekey-deployment"
	Connection = "rekey-connection"
	Name       = "rekey-name"
	Method     = "rekey-method"
	Tenant     = "rekey-tenant-id"
	Client     = "rekey-client-id"
	Object     = "rekey-object-id"
	KeyID      = "rekey-key-id"
	Marker     = "rekey-marker"
	Origin     = "rekey-origin"
	Schedule   = "rekey-schedule"
	Via        = "rekey-via" // the connection that authenticates
	Project    = "rekey-project"
	Digest     = "rekey-digest" // the digest of the value
	Given      = "rekey-given"  // the digest of what the caller gave last
	Probe      = "rekey-probe"  // "true" on a version that holds no credential
)

// ContentType of the values: they are bare client secrets.
const ContentType = "text/plain"
