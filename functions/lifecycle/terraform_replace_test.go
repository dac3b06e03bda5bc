package lifecycle_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rekey/shared/emulator/directory"
)

// create sends what the provider sends for a new resource, and takes the answer into the state.
func (c *terraform) create(project any) reply {
	c.Helper()
	body := c.body()
	body["projectId"] = project
	got := c.call("rotate", http.MethodPost, secrets, body)
	if got.status == http.StatusOK {
		made := c.one(got)
		c.path, c.hash = secrets+"/"+made.ID, made.CredentialsHash
	}
	return got
}

// replace deletes the connection and creates it again at once. What of a deletion takes time is
// answered with when to come again, so that the next apply ends it.
func (c *terraform) replace(project any) {
	c.Helper()
	c.one(c.call("rotate", http.MethodDelete, c.path, object{"ID": c.path}))
	c.until("created again", func() bool {
		got := c.create(project)
		if got.status != http.StatusOK && (got.status != http.StatusConflict || got.header.Get("Retry-After") == "") {
			c.Fatalf("created again: status %d: %s", got.status, got.body)
		}
		return got.status == http.StatusOK
	})
	c.settled(c.path)
	c.unchanged("after the replacement")
}

// Deleted and created again with a client secret that works, as -replace and another project do:
// with and without rotation meanwhile, the next plan is empty.
func TestTerraformReplaces(t *testing.T) {
	each(t, []string{builtIn, onLambda}, options{}, func(w *world) {
		c := newTerraform(w)
		c.settled(c.path)
		for _, project := range []any{nil, "team-a", "Team B", nil} {
			c.replace(project)
			if c.works(c.a, c.get(c.path).VaultSecretName) != c.a.Secret {
				t.Error("another client secret is published")
			}
		}
		c.exactly(c.a, c.a.KeyID)

		// An operator turns rotation on. The configuration reads the secret from the vault.
		c.patch("rotate", c.path, object{"isAutoRotationEnabled": true, "rotation": daily()})
		c.readBack()
		c.apply(w, "tf-read-back", "read from the vault")
		c.replace(nil)
		c.exactly(c.a, c.a.KeyID)
		if c.works(c.a, c.get(c.path).VaultSecretName) != c.a.Secret {
			t.Error("another client secret is published")
		}
	})
}

// readBack takes what is published into the configuration, as a data source of the vault does.
func (c *terraform) readBack() {
	c.Helper()
	now := c.settled(c.path)
	c.a.Secret, c.a.KeyID = c.works(c.a, now.VaultSecretName), now.key()
}

// With a client secret that Rekey has revoked it can't be created again. The refusal says why, and
// when that was; a new client secret ends it.
func TestTerraformReplacesWithARevokedClientSecret(t *testing.T) {
	each(t, []string{builtIn, onLambda}, options{}, func(w *world) {
		c := newTerraform(w)
		c.patch("rotate", c.path, object{"isAutoRotationEnabled": true, "rotation": daily()})
		c.settled(c.path)
		c.dead(c.a, c.a.Secret)
		old := strings.TrimPrefix(c.path, secrets+"/")
		c.deleted(c.path, "")
		var got reply
		c.until("the deletion over", func() bool {
			got = c.create(nil)
			return got.header.Get("Retry-After") == ""
		})
		c.refusal(got, "created again", http.StatusConflict, "Rekey removed this client secret from Entra at 20", old, "Key Vault secret")
		c.a.KeyID, c.a.Secret = c.password(c.a, inAYear())
		if got := c.create(nil); got.status != http.StatusOK {
			t.Errorf("with a new client secret: status %d: %s", got.status, got.body)
		}
		c.settled(c.path)
		c.unchanged("with a new client secret")
	})
}

// A secret that is read back from the vault with every apply, while rotations go on: each apply
// changes nothing about the credentials, and one that comes late, from a plan that was saved before
// the rotation, neither.
func TestTerraformReadsTheVault(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		c := newTerraform(w)
		c.patch("rotate", c.path, object{"isAutoRotationEnabled": true, "rotation": daily()})
		for _, name := range []string{"tf-one", "tf-two", "tf-three"} {
			c.readBack()
			c.apply(w, name, "read back")
			c.rotate(c.path, nil)
			c.settled(c.path)
			c.apply(w, name+"-late", "planned before the rotation")
			c.unchanged("after " + name)
		}
	})
}

// Thirty connections of one apply: created, read, changed and deleted at the same time.
func TestTerraformInParallel(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		all := make([]*terraform, 30)
		for i := range all {
			all[i] = &terraform{world: w, a: w.sample(), name: "tf-" + strconv.Itoa(i), description: "one of thirty"}
		}
		shared := w.sample()
		for i := 20; i < len(all); i++ { // ten of one application, which nothing rotates
			all[i].a = shared
		}
		together := func(do func(c *terraform) reply) {
			var calls sync.WaitGroup
			for _, c := range all {
				calls.Go(func() {
					if got := do(c); got.status != http.StatusOK {
						w.Errorf("%s: status %d: %s", c.name, got.status, got.body)
					}
				})
			}
			calls.Wait()
			if w.Failed() {
				w.FailNow()
			}
		}
		together(func(c *terraform) reply { return c.create(nil) })
		together(func(c *terraform) reply { return c.call("read", http.MethodGet, c.path, nil) })
		together(func(c *terraform) reply {
			c.description = "changed"
			return c.call("rotate", http.MethodPatch, c.path, without(c.body(), "projectId"))
		})
		for _, c := range all {
			c.settled(c.path)
			c.unchanged("after thirty changes at once")
			if c.works(c.a, c.get(c.path).VaultSecretName) != c.a.Secret {
				w.Errorf("%s publishes another client secret", c.name)
			}
		}
		together(func(c *terraform) reply { return c.call("rotate", http.MethodDelete, c.path, nil) })
		if names := w.names(); len(names) != 0 {
			w.Errorf("left: %q", names)
		}
		for _, a := range []directory.Application{all[0].a, shared} {
			w.exactly(a, a.KeyID)
		}
	})
}
