package lifecycle_test

import (
	"net/http"
	"testing"

	"rekey/shared/emulator/directory"
)

// terraform is Infisical's Terraform provider, version 0.19.24, as far as it speaks of a
// connection. Its state has the credentials that a person wrote into the configuration, and
// every change sends them again, without a key id. It knows nothing of rotation.
type terraform struct {
	*world
	a                 directory.Application
	name, description string
	path, hash        string
}

// body is what POST and PATCH have in common. App and ID are members without a tag in the
// provider's source.
func (c *terraform) body() object {
	return object{
		"name": c.name, "description": c.description, "method": "client-secret", "projectId": nil, "App": "azure-client-secrets", "ID": "",
		"credentials": object{"tenantId": c.a.TenantID, "clientId": c.a.ClientID, "clientSecret": c.a.Secret},
	}
}

// apply sends a change of name and description and requires that it is what the connection
// has then, and that it has done nothing to the credentials.
func (c *terraform) apply(w *world, name, description string) {
	w.Helper()
	before := w.get(c.path)
	value, live := w.works(c.a, before.VaultSecretName), w.live(c.a)
	c.name, c.description = name, description
	body := without(c.body(), "projectId")
	body["ID"] = before.ID
	got := w.one(w.call("rotate", http.MethodPatch, c.path, body))
	after := w.settled(c.path)
	if got.Name != name || after.Name != name || after.description() != description {
		w.Errorf("after the change: %q, %q", after.Name, after.description())
	}
	if after.CredentialsHash != c.hash || got.CredentialsHash != c.hash {
		w.Error("credentialsHash has changed, though the credentials are those from before")
	}
	if after.key() != before.key() || w.published(before.VaultSecretName) != value {
		w.Error("a change of the name has changed what is published")
	}
	w.exactly(c.a, live...)
	w.works(c.a, before.VaultSecretName)
}

// unchanged reads the connection as a refresh does.
func (c *terraform) unchanged(when string) {
	c.Helper()
	got := c.get(c.path)
	if got.CredentialsHash != c.hash || got.Name != c.name || got.description() != c.description || got.Method != "client-secret" {
		c.Errorf("drift %s: %+v, want the hash %s", when, got, c.hash)
	}
}

func newTerraform(w *world) *terraform {
	w.Helper()
	c := &terraform{world: w, a: w.sample(), name: "tf-billing", description: "by Terraform"}
	made := w.one(w.call("rotate", http.MethodPost, secrets, c.body()))
	c.path, c.hash = secrets+"/"+made.ID, made.CredentialsHash
	if c.hash == "" {
		w.Error("no credentialsHash")
	}
	c.unchanged("after the creation")
	return c
}

// The provider makes a connection and changes it, while nothing rotates.
func TestTerraform(t *testing.T) {
	each(t, []string{builtIn, onLambda}, options{}, func(w *world) {
		c := newTerraform(w)
		c.settled(c.path)
		c.exactly(c.a, c.a.KeyID)
		c.apply(w, "tf-accounts", "still by Terraform")
		c.hash = c.get(c.path).CredentialsHash
		c.exactly(c.a, c.a.KeyID)
		c.fresh()
		name := c.get(c.path).VaultSecretName
		c.deleted(c.path, "")
		c.tick()
		if c.works(c.a, name) != c.a.Secret {
			t.Error("after the deletion something else is published")
		}
	})
}

// The same after an operator has turned rotation on: what the provider sends is revoked.
func TestTerraformWithRotation(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		c := newTerraform(w)
		c.patch("rotate", c.path, object{"isAutoRotationEnabled": true, "rotation": daily()})
		now := c.settled(c.path)
		c.exactly(c.a, now.key())
		c.dead(c.a, c.a.Secret)
		c.unchanged("after the original was rotated")
		c.apply(w, "tf-on", "rotation is on")
		c.works(c.a, now.VaultSecretName)
		c.rotate(c.path, nil)
		c.settled(c.path)
		c.apply(w, "tf-on-2", "after a rotation by hand")
		now = c.settled(c.path)
		c.works(c.a, now.VaultSecretName)
		c.exactly(c.a, now.key())
	})
}

// The same after a rotation by hand, while the original has its grace period: it works, and
// must not be published once more.
func TestTerraformInTheGracePeriod(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]bool{"rotation off": false, "rotation on": true} {
		t.Run(name, func(t *testing.T) {
			each(t, []string{builtIn}, options{}, func(w *world) {
				c := newTerraform(w)
				if on {
					schedule := daily()
					schedule["originalGracePeriodHours"] = 2
					c.patch("rotate", c.path, object{"isAutoRotationEnabled": true, "rotation": schedule})
				} else {
					c.rotate(c.path, object{"gracePeriodHours": 2})
				}
				now := c.settled(c.path)
				c.exactly(c.a, now.key(), c.a.KeyID)
				c.unchanged("in the grace period")
				c.apply(w, "tf-grace", "the original still works")
			})
		})
	}
}

// fresh sends credentials that are others: the hash tells, once.
func (c *terraform) fresh() {
	c.Helper()
	_, c.a.Secret = c.password(c.a, inAYear())
	got := c.one(c.call("rotate", http.MethodPatch, c.path, without(c.body(), "projectId")))
	now := c.settled(c.path)
	c.until("the new one published", func() bool { now = c.get(c.path); return c.published(now.VaultSecretName) == c.a.Secret })
	if now.CredentialsHash == c.hash || got.CredentialsHash != now.CredentialsHash {
		c.Error("credentialsHash does not tell of other credentials, or changes twice")
	}
	c.hash = now.CredentialsHash
	c.unchanged("after other credentials")
}
