package rotation

import (
	"fmt"
	"time"
)

// The tags of every version that Rekey writes. They are enough to rebuild the
// record, and they are how Rekey tells its own from what is not (rule R3).
const (
	TagDeployment = "rekey-deployment"
	TagConnection = "rekey-connection"
	TagName       = "rekey-name"
	TagMethod     = "rekey-method"
	TagTenant     = "rekey-tenant-id"
	TagClient     = "rekey-client-id"
	TagObject     = "rekey-object-id"
	TagKeyID      = "rekey-key-id"
	TagMarker     = "rekey-marker"
	TagOrigin     = "rekey-origin"
	TagSchedule   = "rekey-schedule"
	TagVia        = "rekey-via" // the connection that authenticates
	TagProject    = "rekey-project"
	TagDigest     = "rekey-digest" // the digest of the value
	TagGiven      = "rekey-given"  // the digest of what the caller gave last
	TagProbe      = "rekey-probe"  // "true" on a version that holds no credential
)

// ContentType of the values: they are bare client secrets.
const ContentType = "text/plain"

// Tags describes a credential of rec in the vault.
func Tags(deployment string, rec *Record, c Credential) map[string]string {
	tags := map[string]string{
		TagDeployment: deployment,
		TagConnection: rec.ID,
		TagName:       rec.Name,
		TagMethod:     rec.Method,
		TagTenant:     c.Target.TenantID,
		TagClient:     c.Target.ClientID,
		TagObject:     c.Target.ObjectID,
		TagKeyID:      c.KeyID,
		TagMarker:     c.Marker,
		TagOrigin:     string(c.Origin),
		TagSchedule:   scheduleTag(rec.Policy),
		TagVia:        rec.Via,
		TagProject:    rec.Project,
		TagGiven:      rec.Given,
		TagDigest:     c.Digest,
	}
	for k, v := range tags {
		if v == "" {
			delete(tags, k)
		}
	}
	return tags
}

// scheduleTag is "30d 03:15 Europe/Berlin 48h0m0s", the last being the grace period, or
// "off".
func scheduleTag(p Policy) string {
	if !p.Enabled {
		return "off"
	}
	s := p.Schedule
	return fmt.Sprintf("%dd %02d:%02d %s %s", s.Interval, s.Hours, s.Minutes, s.Zone, p.Grace)
}

// ParseSchedule reads the tag [TagSchedule]; not ok if it is none that this version
// writes. "off" is the zero Policy.
func ParseSchedule(tag string) (p Policy, ok bool) {
	if tag == "off" {
		return Policy{}, true
	}
	var grace string
	n, err := fmt.Sscanf(tag, "%dd %d:%d %s %s", &p.Schedule.Interval, &p.Schedule.Hours, &p.Schedule.Minutes, &p.Schedule.Zone, &grace)
	if err != nil || n != 5 || p.Schedule.Validate() != nil {
		return Policy{}, false
	}
	if p.Grace, err = time.ParseDuration(grace); err != nil || p.Grace < 0 {
		return Policy{}, false
	}
	p.Enabled = true
	return p, true
}

// Owns reports whether tags name this deployment and this connection.
func (r *Record) Owns(deployment string, tags map[string]string) bool {
	return tags[TagDeployment] == deployment && tags[TagConnection] == r.ID
}

// MarkerPrefix is what every marker of a connection begins with. A marker is the display
// name of an attempt's credential, and has at most 64 characters for a deployment of at
// most 10 and an id of 36.
func MarkerPrefix(deployment, id string) string {
	return "rekey/" + deployment + "/" + id + "/"
}
