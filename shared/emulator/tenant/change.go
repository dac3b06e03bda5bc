package tenant

import (
	"fmt"
	"slices"
	"time"

	"rekey/shared/inventory"
)

// Create registers another application, of no particular kind, and returns its client id. A
// scan shows it.
func (t *Truth) Create() (clientID string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.draw()
	return r.clientID, t.add(r)
}

// Delete deletes an application with its service principal, which owns nothing from then
// on.
func (t *Truth) Delete(clientID string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, err := t.row(clientID)
	if err != nil {
		return err
	}
	if r.registration != nil {
		err = t.config.Directory.RemoveApplication(r.registration.objectID)
	} else {
		err = t.config.Directory.RemovePrincipal(r.principal.objectID)
	}
	if err != nil {
		return err
	}
	if r.principal != nil {
		delete(t.owners, r.principal.objectID)
	}
	delete(t.rows, clientID)
	return nil
}

// AddSecret adds a client secret to an application that is registered in the tenant, or else
// to the service principal. A zero end is never.
func (t *Truth) AddSecret(clientID, name string, starts, ends time.Time) (keyID string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, err := t.row(clientID)
	if err != nil {
		return "", err
	}
	h := r.registration
	if h == nil {
		h = r.principal
	}
	c := credential{Credential: inventory.Credential{
		KeyID: t.guid(), Kind: inventory.ClientSecret, Name: name, Hint: t.hint(), StartsAt: starts.UTC(), EndsAt: ends.UTC(),
	}}
	if err := t.config.Directory.AddCredentials(h.objectID, c.listed()); err != nil {
		return "", err
	}
	h.credentials = append(h.credentials, c)
	return c.KeyID, nil
}

// RemoveCredential removes a credential of any kind. A service principal of another tenant's
// application without any is not shown any more.
func (t *Truth) RemoveCredential(clientID, keyID string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, err := t.row(clientID)
	if err != nil {
		return err
	}
	for _, h := range []*holder{r.registration, r.principal} {
		if h == nil {
			continue
		}
		i := slices.IndexFunc(h.credentials, func(c credential) bool { return c.KeyID == keyID })
		if i < 0 {
			continue
		}
		for _, id := range []string{keyID, h.credentials[i].verifyKeyID} {
			if id == "" {
				continue
			}
			if err := t.config.Directory.RemoveCredential(h.objectID, id); err != nil {
				return err
			}
		}
		h.credentials = slices.Delete(h.credentials, i, i+1)
		return nil
	}
	return fmt.Errorf("no credential %q of %q", keyID, clientID)
}

func (t *Truth) row(clientID string) (*row, error) {
	if r := t.rows[clientID]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("no application %q", clientID)
}
