package rotation

import (
	"slices"
	"time"

	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// Stale says which versions in Key Vault are done with and not disabled yet: of the
// staged secret, and of what the connection authenticates with. A few are known. What may
// have been written without anything saying so, and whatever is more than a few, is found
// by listing both secrets: what is enabled, not in use and old enough is stale.
type Stale struct {
	Versions []string  `json:"versions,omitempty"` // of the staged secret
	LookAt   time.Time `json:"lookAt,omitzero"`    // when both secrets are listed; zero: no need to

	NextAt       time.Time          `json:"nextAt,omitzero"`       // after a failure: when to try again
	Tries        int                `json:"tries,omitempty"`       // in a row that failed
	FailingSince time.Time          `json:"failingSince,omitzero"` // the first of these
	Problem      serviceerror.Class `json:"problem,omitempty"`     // of the last one, once they have failed for an hour
}

const (
	// StaleAge is how old a version has to be to be disabled without being known. A younger
	// one may be about to be used, or the request that will use it has not written that down yet.
	StaleAge = 20 * time.Minute
	// maxStale is how many versions are known.
	maxStale = 8
	// staleFor is for how long disabling has to fail to be a person's business.
	staleFor = time.Hour
)

// Add notes that a version of the staged secret is done with.
func (s *Stale) Add(now time.Time, version string) {
	if len(s.Versions) < maxStale {
		s.Versions = append(s.Versions, version)
		return
	}
	s.Look(now)
}

// Look has both secrets listed once what is written now is old enough. It has to be committed
// before such a write. A look that is due may be under way and miss the write, so that
// there has to be another one.
func (s *Stale) Look(now time.Time) {
	if !s.LookAt.After(now) {
		s.LookAt = now.Add(StaleAge)
	}
}

// Pending reports whether something may have to be disabled yet.
func (s Stale) Pending() bool { return len(s.Versions) > 0 || !s.LookAt.IsZero() }

// plan plans the disabling of what is stale.
func (s *Stale) plan(p *sidePlan) {
	if len(s.Versions) > 0 {
		p.add(s.NextAt, DisableStale{})
	}
	if !s.LookAt.IsZero() {
		p.add(later(s.LookAt, s.NextAt), DisableStale{})
	}
}

// disableStale drops what was disabled. That it fails is a person's business after an hour.
func (t *transition) disableStale() {
	s := &t.rec.Stale
	s.Versions = slices.DeleteFunc(s.Versions, func(v string) bool { return slices.Contains(t.out.Disabled, v) })
	if err := t.out.Err; err != nil {
		s.Tries++
		s.NextAt = t.now.Add(t.backoff(err, s.Tries))
		if s.FailingSince.IsZero() {
			s.FailingSince = t.now
		}
		if hour := s.FailingSince.Add(staleFor); hour.After(t.now) {
			s.NextAt = earlier(s.NextAt, hour) // to know by then
		} else {
			s.Problem = serviceerror.ClassOf(err)
		}
		return
	}
	s.NextAt, s.Tries, s.FailingSince, s.Problem = time.Time{}, 0, time.Time{}, ""
	if !t.out.Looked.IsZero() && s.LookAt.Equal(t.out.Looked) {
		s.LookAt = t.out.LookAgainAt
	}
}

// StaleNames are the secrets that stale versions are in.
func (r *Record) StaleNames() (names []string) {
	if r.Target.ClientID != "" {
		names = append(names, r.StagedName())
	}
	if r.Auth != nil {
		names = append(names, r.AuthName())
	}
	return names
}

// InUse reports whether a version of the staged secret, or of what the connection
// authenticates with, is what the record goes on with. While the run has not adopted a version, it may
// adopt any that bears its marker.
func (r *Record) InUse(v VaultSecret) bool {
	return r.Run != nil && r.Run.StagedVersion == v.Version ||
		r.Run != nil && r.Run.StagedVersion == "" && r.Run.Marker != "" && r.Run.Marker == v.Tags[vaulttag.Marker] ||
		r.Auth != nil && r.Auth.VaultVersion == v.Version ||
		r.Request != nil && r.Request.Next != nil && r.Request.Next.VaultVersion == v.Version
}
