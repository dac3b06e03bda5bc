package rotationtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/secret"
)

// Truth is a client secret as it is, whatever replicas show.
type Truth struct {
	rotation.Password
	Value     secret.Value
	Issued    bool      // by Rekey
	RemovedAt time.Time // zero: it is there
}

// Live reports whether it authenticates at now.
func (t Truth) Live(now time.Time) bool { return t.RemovedAt.IsZero() && t.ExpiresAt.After(now) }

func truthOf(p *password) Truth {
	t := Truth{Password: p.Password, Value: p.secret, Issued: p.issued}
	if p.removedAt != nil {
		t.RemovedAt = *p.removedAt
	}
	return t
}

// Truths returns the client secrets that an application ever had, the oldest first.
func (w *World) Truths(clientID string) (all []Truth) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.Directory.byClient(clientID); a != nil {
		all = make([]Truth, 0, len(a.passwords))
		for _, p := range a.passwords {
			all = append(all, truthOf(p))
		}
	}
	return all
}

// TruthOf returns the client secret of an application that has that value.
func (w *World) TruthOf(clientID string, value secret.Value) (Truth, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.Directory.byClient(clientID); a != nil {
		for _, p := range a.passwords {
			if p.secret == value {
				return truthOf(p), true
			}
		}
	}
	return Truth{}, false
}

// AddByHand adds a client secret now, as a person does in the portal. Unhinted: the
// directory shows no hint for it.
func (w *World) AddByHand(clientID string, age time.Duration, unhinted bool) (value secret.Value, keyID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	start := time.Now().Add(-age)
	p := w.Directory.add(w.Directory.byClient(clientID), "made by hand", start, start.AddDate(2, 0, 0))
	if unhinted {
		p.Hint = ""
	}
	return secret.New(p.value), p.KeyID
}

// Versions returns every version of a vault secret with its value, the oldest first,
// and whether it is soft-deleted.
func (w *World) Versions(name string) (versions []rotation.VaultSecret, deleted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.Vault.secrets[strings.ToLower(name)]
	if s == nil {
		return nil, false
	}
	return slices.Clone(s.versions), s.deletedAt != nil
}

// DisableByHand disables the latest version of a vault secret, as an operator does.
func (w *World) DisableByHand(name string) {
	w.changeSecret(name, func(s *heldSecret) {
		if n := len(s.versions); n > 0 {
			s.versions[n-1].Enabled = false
		}
	})
}

// DeleteByHand soft-deletes a vault secret, as an operator does.
func (w *World) DeleteByHand(name string) {
	w.changeSecret(name, func(s *heldSecret) {
		if s.deletedAt == nil {
			now := time.Now()
			s.deletedAt = &now
		}
	})
}

// RecoverByHand takes that back.
func (w *World) RecoverByHand(name string) {
	w.changeSecret(name, func(s *heldSecret) { s.deletedAt = nil })
}

// PublishByHand writes a new version without tags, as an operator does.
func (w *World) PublishByHand(name string, value secret.Value) {
	w.changeSecret(name, func(s *heldSecret) {
		w.Vault.made++
		s.versions = append(s.versions, rotation.VaultSecret{
			Name: name, Version: fmt.Sprintf("%032x", w.Vault.made), Value: value, Enabled: true, CreatedAt: time.Now().UTC().Truncate(time.Second),
		})
	})
}

func (w *World) changeSecret(name string, change func(*heldSecret)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.Vault.secrets[strings.ToLower(name)]; s != nil {
		change(s)
	}
}

// DueAt is when a connection has to be woken; false for never.
func (w *World) DueAt(id string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.Store.due[id]
	return at, ok
}

// OldestHistory is the time of the oldest event that is kept of a connection.
func (w *World) OldestHistory(id string) (oldest time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.Store.history[id] {
		for _, e := range r.Events {
			if !ok || e.At.Before(oldest) {
				oldest, ok = e.At, true
			}
		}
	}
	return oldest, ok
}
