package vault

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Version is one version of a secret as the vault holds it, whatever a client may
// see of it.
type Version struct {
	ID          string
	Value       string
	ContentType string
	Enabled     bool
	Tags        map[string]string
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: none
}

// Versions returns all versions of the secret called name, the oldest first, also
// if it is deleted; nil if there never was one.
func (v *Vault) Versions(name string) []Version {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, _ := v.find(name)
	if s == nil {
		return nil
	}
	var out []Version
	for _, ver := range s.versions {
		out = append(out, Version{
			ID:          ver.id,
			Value:       ver.value,
			ContentType: ver.contentType,
			Enabled:     ver.enabled,
			Tags:        maps.Clone(ver.tags),
			CreatedAt:   ver.created,
			ExpiresAt:   ver.expires,
		})
	}
	return out
}

// Deleted reports whether the secret called name exists and is not live: deleted,
// or on the way there or back.
func (v *Vault) Deleted(name string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, phase := v.find(name)
	return phase != absent && phase != live
}

// Names returns the names of all secrets, live and deleted, sorted.
func (v *Vault) Names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var names []string
	for _, s := range v.secrets {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return names
}

// Calls returns how many calls of one operation ("vault.set", see [Config]) have
// arrived, failed ones included.
func (v *Vault) Calls(op string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[op]
}

// Challenges returns how many requests were answered with 401.
func (v *Vault) Challenges() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.challenges
}

// RequireExpiry makes the vault refuse versions without an expiry from now on, as the policy
// "Key Vault secrets should have an expiration date" does.
func (v *Vault) RequireExpiry(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.strict = on
}

// SoftDelete deletes a secret as an operator does in the portal.
func (v *Vault) SoftDelete(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, phase := v.find(name); phase == live {
		s.deleted = v.cfg.Now()
	}
}

// Undelete recovers a secret likewise.
func (v *Vault) Undelete(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, phase := v.find(name); phase == deleted {
		s.deleted, s.back = time.Time{}, time.Time{}
	}
}

// SetEnabled enables or disables one version of a secret, or the latest if id is empty.
func (v *Vault) SetEnabled(name, id string, on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, _ := v.find(name)
	if s == nil {
		return
	}
	for i, ver := range s.versions {
		if ver.id == id || id == "" && i == len(s.versions)-1 {
			ver.enabled = on
		}
	}
}

// Seed writes a version that another writer put there, past every check and hook,
// and returns its id. A deleted secret of that name comes back to life.
func (v *Vault) Seed(name, value string, tags map[string]string) (version string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.secrets[strings.ToLower(name)]
	if s != nil {
		s.deleted, s.back = time.Time{}, time.Time{}
	}
	tags = maps.Clone(tags)
	_, ver := v.add(s, name, parameters{Value: &value, Tags: &tags})
	return ver.id
}
