package vault

import (
	"net/http"
	"strings"
	"time"
)

// secret is everything kept under one name.
type secret struct {
	name     string     // as it was first written
	versions []*version // the oldest first, never empty
	deleted  time.Time  // when it was deleted; zero if it was not
	back     time.Time  // when its recovery is finished; zero if none began
}

// version is one version of a secret.
type version struct {
	id, value, contentType               string
	tags                                 map[string]string
	enabled                              bool
	notBefore, expires, created, updated time.Time
}

// phase is where a name is between set, delete and recover.
type phase int

const (
	absent phase = iota
	live
	deleting
	deleted
	recovering
)

func (s *secret) latest() *version { return s.versions[len(s.versions)-1] }

// find returns the secret called name and its phase; nil if it never existed.
// Needs v.mu.
func (v *Vault) find(name string) (*secret, phase) {
	s := v.secrets[strings.ToLower(name)]
	if s == nil {
		return nil, absent
	}
	now := v.cfg.Now()
	switch {
	case s.deleted.IsZero():
		return s, live
	case !s.back.IsZero() && now.Before(s.back):
		return s, recovering
	case !s.back.IsZero():
		s.deleted, s.back = time.Time{}, time.Time{}
		return s, live
	case now.Before(s.deleted.Add(v.cfg.DeleteDelay)):
		return s, deleting
	}
	return s, deleted
}

// findVersion returns one version of a live secret, or the latest if id is empty.
// If there is none it has answered. Needs v.mu.
func (v *Vault) findVersion(w http.ResponseWriter, name, id string) (*secret, *version) {
	s, phase := v.find(name)
	if phase == live {
		if id == "" {
			return s, s.latest()
		}
		for _, ver := range s.versions {
			if ver.id == id {
				return s, ver
			}
		}
	}
	notFound(w)
	return nil, nil
}

func notFound(w http.ResponseWriter) {
	writeError(w, http.StatusNotFound, "SecretNotFound", "A secret with this name or version was not found in this key vault.")
}

// conflict answers for a name that is blocked by its deletion or recovery.
func conflict(w http.ResponseWriter, p phase) {
	switch p {
	case deleting:
		writeError(w, http.StatusConflict, "ObjectIsBeingDeleted", "The secret is currently being deleted; retry later.")
	case recovering:
		writeError(w, http.StatusConflict, "ObjectIsBeingRecovered",
			"The secret is currently being recovered and cannot be re-created; retry later.")
	default:
		writeError(w, http.StatusConflict, "ObjectIsDeletedButRecoverable", "The secret is currently in a deleted but recoverable state, and "+
			"its name cannot be reused; in this state, the secret can only be recovered or purged.")
	}
}

func (v *Vault) set(w http.ResponseWriter, r *http.Request, name string) {
	p, err := decode(w, r)
	switch {
	case err != nil:
		writeError(w, http.StatusBadRequest, "BadParameter", err.Error())
		return
	case p.Value == nil || *p.Value == "":
		writeError(w, http.StatusBadRequest, "BadParameter", "value is required")
		return
	case len(*p.Value) > maxValue:
		writeError(w, http.StatusBadRequest, "BadParameter", "value is longer than 25 KB")
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.strict && p.Attributes.Expires == nil {
		writeError(w, http.StatusForbidden, "ForbiddenByPolicy", "The operation is disallowed by policy: secrets have an expiration date.")
		return
	}
	s, phase := v.find(name)
	if phase != live && phase != absent {
		conflict(w, phase)
		return
	}
	s, ver := v.add(s, name, p)
	b := ver.bundle(r, s.name, true)
	b.Value = &ver.value
	writeJSON(w, http.StatusOK, b)
}

// add makes a new version of s, or of a new secret if s is nil. Needs v.mu.
func (v *Vault) add(s *secret, name string, p parameters) (*secret, *version) {
	now := v.cfg.Now()
	ver := &version{id: newID(), value: *p.Value, enabled: true, created: now, updated: now}
	p.apply(ver)
	if s == nil {
		s = &secret{name: name}
		v.secrets[strings.ToLower(name)] = s
	}
	s.versions = append(s.versions, ver)
	return s, ver
}

// get reads a value. Only enabled decides: nbf and exp are information for
// callers. Source: Key Vault's "About secrets", date-time controlled operations.
func (v *Vault) get(w http.ResponseWriter, r *http.Request, name, id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ver := v.findVersion(w, name, id)
	if ver == nil {
		return
	}
	if !ver.enabled {
		writeError(w, http.StatusForbidden, "SecretDisabled", "Operation get is not allowed on a disabled secret.")
		return
	}
	b := ver.bundle(r, s.name, true)
	b.Value = &ver.value
	writeJSON(w, http.StatusOK, b)
}

func (v *Vault) update(w http.ResponseWriter, r *http.Request, name, id string) {
	p, err := decode(w, r)
	if err == nil && p.Value != nil {
		writeError(w, http.StatusBadRequest, "BadParameter", "the value of a version cannot be changed")
		return
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, "BadParameter", err.Error())
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ver := v.findVersion(w, name, id)
	if ver == nil {
		return
	}
	p.apply(ver)
	ver.updated = v.cfg.Now()
	writeJSON(w, http.StatusOK, ver.bundle(r, s.name, true))
}

func (v *Vault) delete(w http.ResponseWriter, r *http.Request, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, phase := v.find(name)
	switch phase {
	case live:
		s.deleted = v.cfg.Now()
		writeJSON(w, http.StatusOK, s.deletedBundle(r))
	case deleting, recovering:
		conflict(w, phase)
	default:
		notFound(w)
	}
}

func (v *Vault) getDeleted(w http.ResponseWriter, r *http.Request, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, phase := v.find(name)
	if phase != deleted && phase != recovering {
		notFound(w)
		return
	}
	writeJSON(w, http.StatusOK, s.deletedBundle(r))
}

func (v *Vault) recover(w http.ResponseWriter, r *http.Request, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, phase := v.find(name)
	switch phase {
	case deleted:
		s.back = v.cfg.Now().Add(v.cfg.RecoverDelay)
		writeJSON(w, http.StatusOK, s.latest().bundle(r, s.name, true))
	case deleting, recovering:
		conflict(w, phase)
	default:
		notFound(w)
	}
}

func (s *secret) deletedBundle(r *http.Request) deletedBundle {
	return deletedBundle{
		bundle:             s.latest().bundle(r, s.name, true),
		RecoveryID:         "https://" + r.Host + "/deletedsecrets/" + s.name,
		DeletedDate:        s.deleted.Unix(),
		ScheduledPurgeDate: s.deleted.AddDate(0, 0, retentionDays).Unix(),
	}
}
