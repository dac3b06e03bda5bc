// Package vaulttag has the attributes of what Rekey writes into a vault: tags, content type
// and expiry.
package vaulttag

import "time"

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

// endless is for how long a version is marked as good where the end of its credential is not
// known: a client secret that is made in the portal lives for two years at most.
const endless = 2 * 365 * 24 * time.Hour

// Expiry is the expiry of a version in the vault that holds a credential which ends then;
// zero: that is not known. Every version has one, since a policy of the vault may refuse
// others. For readers it is information only: the vault hands out what has expired.
func Expiry(now, ends time.Time) time.Time {
	if ends.IsZero() {
		return now.Add(endless).Truncate(time.Second)
	}
	return ends
}
