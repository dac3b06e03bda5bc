package rotationtest

import (
	"time"

	"rekey/shared/secret"
)

// ClientSecret is one of an application's, by ground truth.
type ClientSecret struct {
	KeyID, Name string
	Value       secret.Value
	Issued      bool // by Rekey
	AddedAt     time.Time
	ExpiresAt   time.Time
	RemovedAt   time.Time // zero: it is there
}

// Works reports whether it authenticates at a time, once everything has replicated.
func (c ClientSecret) Works(at time.Time) bool { return c.RemovedAt.IsZero() && c.ExpiresAt.After(at) }

func (p *password) truth() ClientSecret {
	c := ClientSecret{
		KeyID: p.KeyID, Name: p.DisplayName, Value: secret.New(p.value),
		Issued: p.issued, AddedAt: p.addedAt, ExpiresAt: p.ExpiresAt,
	}
	if p.removedAt != nil {
		c.RemovedAt = *p.removedAt
	}
	return c
}

// Secrets returns the client secrets that an application has ever had, the oldest
// first.
func (w *World) Secrets(clientID string) (all []ClientSecret) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.Directory.byClient(clientID).passwords {
		all = append(all, p.truth())
	}
	return all
}

// PublishedSecret returns the client secret whose value consumers read from a vault
// secret now, and whether there is one.
func (w *World) PublishedSecret(name string) (ClientSecret, bool) {
	v, ok := w.Published(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !ok || !v.Enabled {
		return ClientSecret{}, false
	}
	for _, a := range w.Directory.apps {
		for _, p := range a.passwords {
			if p.value == v.Value.Reveal() {
				return p.truth(), true
			}
		}
	}
	return ClientSecret{}, false
}

// SecretOptions say what is special about a client secret.
type SecretOptions struct {
	Fresh  bool          // made now rather than long ago
	NoHint bool          // the directory does not say how it begins, as of very old ones
	Hidden time.Duration // how long reads do not show it, although tokens are issued
}

// AddSecret gives an application a client secret that was made by hand.
func (w *World) AddSecret(clientID string, o SecretOptions) (given secret.Value, keyID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	start := time.Now()
	if !o.Fresh {
		start = start.AddDate(0, -6, 0)
	}
	p := w.Directory.add(w.Directory.byClient(clientID), "made by hand", start, start.AddDate(2, 0, 0))
	if o.NoHint {
		p.Hint = ""
	}
	p.hiddenUntil = time.Now().Add(o.Hidden)
	return secret.New(p.value), p.KeyID
}
