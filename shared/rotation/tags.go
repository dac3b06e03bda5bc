package rotation

import (
	"fmt"
	"strings"
	"time"

	"rekey/shared/vaulttag"
)

// Tags describes a credential of rec in the vault.
func Tags(deployment string, rec *Record, c Credential) map[string]string {
	tags := map[string]string{
		vaulttag.Deployment: deployment,
		vaulttag.Connection: rec.ID,
		vaulttag.Name:       rec.Name,
		vaulttag.Method:     rec.Method,
		vaulttag.Tenant:     c.Target.TenantID,
		vaulttag.Client:     c.Target.ClientID,
		vaulttag.Object:     c.Target.ObjectID,
		vaulttag.KeyID:      c.KeyID,
		vaulttag.Marker:     c.Marker,
		vaulttag.Origin:     string(c.Origin),
		vaulttag.Schedule:   scheduleTag(rec.Policy),
		vaulttag.Via:        rec.Via,
		vaulttag.Project:    rec.Project,
		vaulttag.Given:      rec.Given,
		vaulttag.Digest:     c.Digest,
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

// ParseSchedule reads the tag [vaulttag.Schedule]; not ok if it is none that this version
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
	return tags[vaulttag.Deployment] == deployment && tags[vaulttag.Connection] == r.ID
}

// MarkerPrefix is what every marker of a connection begins with. A marker is the display
// name of an attempt's credential, and has at most 64 characters for a deployment of at
// most 10 and an id of 36.
func MarkerPrefix(deployment, id string) string {
	return "rekey/" + deployment + "/" + id + "/"
}

// ParseMarker returns the id of the connection or target in a marker of that deployment; not ok:
// name is none.
func ParseMarker(name, deployment string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(name, "rekey/"+deployment+"/")
	if !ok || deployment == "" {
		return "", false
	}
	id, random, ok := strings.Cut(rest, "/")
	return id, ok && id != "" && random != ""
}
