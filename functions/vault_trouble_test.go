package functions_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
)

// ailment is what an operator may do to a secret in the vault, and what puts it right.
type ailment struct {
	class      string
	make, cure func(w *world, name string)
	says       func(w *world, name string) []string
}

var ailments = map[string]ailment{
	"soft-deleted": {
		"vault-missing",
		func(w *world, name string) { w.stack.Vault.SoftDelete(name) },
		func(w *world, name string) { w.stack.Vault.Undelete(name) },
		func(w *world, name string) []string {
			return []string{"soft-deleted", `"` + name + `"`, "az keyvault secret recover --vault-name " + w.vault() + " --name " + name}
		},
	},
	"disabled": {
		"vault-disabled",
		func(w *world, name string) { w.stack.Vault.SetEnabled(name, "", false) },
		func(w *world, name string) { w.stack.Vault.SetEnabled(name, "", true) },
		func(w *world, name string) []string {
			versions := w.stack.Vault.Versions(name)
			return []string{"is disabled", `"` + name + `"`, "az keyvault secret set-attributes --vault-name " + w.vault() + " --name " + name +
				" --version " + versions[len(versions)-1].ID + " --enabled true"}
		},
	},
}

// vault is the vault's name, which in an emulator is its host.
func (w *world) vault() string {
	u, err := url.Parse(w.stack.VaultURL)
	if err != nil {
		w.Fatal(err)
	}
	return u.Host
}

// blamesTheVault requires that a text names the trouble in the vault, and neither Entra nor
// a role.
func blamesTheVault(t *testing.T, what, text string, words []string) {
	t.Helper()
	says(t, what, text, words)
	for _, other := range []string{"Entra refuses", "Secrets Officer", "tenant id", "did not answer properly", "no such connection"} {
		if strings.Contains(text, other) {
			t.Errorf("%s blames something else (%q): %s", what, other, text)
		}
	}
}

// What is published was soft-deleted, or its latest version disabled: test and rotate say
// so, with the vault, the secret, the version and the command, and all goes on once the
// operator has run that.
func TestPublishedSecretCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, a := range ailments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			app, made := w.connected()
			a.make(w, made.VaultSecretName)
			want := a.says(w, made.VaultSecretName)
			got := w.test("/" + made.ID)
			if got.Problem == nil || got.Problem.Class != a.class || got.CanRotate {
				t.Fatalf("the test: %+v", got)
			}
			blamesTheVault(t, "the test", got.Problem.Message, want)
			blamesTheVault(t, "why", strings.Join(got.Why, " "), want)
			before := w.live(app)
			w.rotateNow(made.ID)
			e := w.record(made.ID).Error
			if e == nil || string(e.Class) != a.class {
				t.Fatalf("the rotation: %+v", e)
			}
			blamesTheVault(t, "the rotation", e.Message, want)
			shown := w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil))
			if strings.Join(shown.Attention, " ") != "failing" {
				t.Errorf("attention %v", shown.Attention)
			}
			if after := w.live(app); strings.Join(after, " ") != strings.Join(before, " ") {
				t.Errorf("client secrets before %v, after %v", before, after)
			}
			a.cure(w, made.VaultSecretName)
			w.rotateNow(made.ID).ok(t)
			w.settle()
			w.managed(app, made.VaultSecretName, w.record(made.ID).Current.KeyID)
			if got := w.test("/" + made.ID); !got.CanRotate {
				t.Errorf("afterwards: %+v", got)
			}
		})
	}
}

// The same for what a connection authenticates with, for the connection itself and for what
// is rotated through it.
func TestCredentialInTheVaultCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, a := range ailments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			operator := w.sample()
			made := w.withCertificate(operator, "name", "certified", "isAutoRotationEnabled", false, "rotation", absent)
			target := w.target(w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/targets",
				object{"clientId": w.owned(operator).ClientID}))
			w.rotateNow(made.ID + "/targets/" + target.ID).ok(t)
			authName := authSecretOf(made)
			a.make(w, authName)
			want := a.says(w, authName)
			for _, path := range []string{"/" + made.ID, "/" + made.ID + "/targets/" + target.ID} {
				got := w.test(path)
				if got.Problem == nil || got.Problem.Class != a.class {
					t.Fatalf("the test of %s: %+v", path, got)
				}
				blamesTheVault(t, "the test", got.Problem.Message, want)
			}
			w.rotateNow(made.ID + "/targets/" + target.ID)
			if e := w.record(target.ID).Error; e == nil || e.Class != "actor-refused" {
				t.Errorf("the rotation: %+v", e)
			} else {
				blamesTheVault(t, "the rotation", e.Message, want)
			}
			if p := w.record(made.ID).Auth.Problem; p == nil || string(p.Class) != a.class {
				t.Errorf("the connection does not show it: %+v", p)
			} else {
				blamesTheVault(t, "the connection", p.Message, want)
			}
			a.cure(w, authName)
			w.rotateNow(made.ID + "/targets/" + target.ID).ok(t)
			if rec := w.record(target.ID); rec.Error != nil {
				t.Errorf("afterwards: %+v", rec.Error)
			}
			if p := w.record(made.ID).Auth.Problem; p != nil {
				t.Errorf("afterwards the connection still shows %+v", p)
			}
		})
	}
}

// A name under which Rekey has to write is blocked, because it was soft-deleted: the test
// finds that before a rotation has to, and the rotation says it and loses nothing.
func TestNameInTheVaultIsBlocked(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", "-staged"} {
		t.Run("published"+suffix, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			operator, made := w.authenticator()
			app := w.owned(operator)
			path := "/" + made.ID + "/targets"
			target := w.target(w.call(auth.Rotate, http.MethodPost, secrets+path, object{"clientId": app.ClientID}))
			w.rotateNow(made.ID + "/targets/" + target.ID).ok(t)
			w.settle()
			name := target.VaultSecretName + suffix
			w.stack.Vault.SoftDelete(name)
			want := ailments["soft-deleted"].says(w, name)
			got := w.test(path + "/" + target.ID)
			if got.CanRotate || !got.Authenticates {
				t.Fatalf("the test: %+v", got)
			}
			blamesTheVault(t, "the test", strings.Join(got.Why, " "), want)
			w.rotateNow(made.ID + "/targets/" + target.ID)
			for range 3 { // it may have been proven first
				if w.record(target.ID).Error != nil {
					break
				}
				if _, err := w.app.Rotator.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			e := w.record(target.ID).Error
			if e == nil || e.Class != "vault-conflict" {
				t.Fatalf("the rotation: %+v", e)
			}
			blamesTheVault(t, "the rotation", e.Message, want)
			w.stack.Vault.Undelete(name)
			w.rotateNow(made.ID + "/targets/" + target.ID).ok(t)
			w.settle()
			w.managed(app, target.VaultSecretName, w.record(target.ID).Current.KeyID, app.KeyID)
		})
	}
}

// A vault that refuses a name is a finding of the test, too; one that does not answer is not.
func TestVaultRefusesAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.connected()
	staged := func(effect fault.Effect) fault.Hook {
		return func(op string, r *http.Request) *fault.Effect {
			if strings.HasPrefix(op, "vault.") && strings.Contains(r.URL.Path, "-staged") {
				return &effect
			}
			return nil
		}
	}
	w.stack.Break(staged(fault.Effect{Status: http.StatusForbidden, Code: "Forbidden", Text: "no"}))
	if got := w.test("/" + made.ID); got.CanRotate || !strings.Contains(strings.Join(got.Why, " "), "Key Vault refuses Rekey") {
		t.Errorf("the test: %+v", got)
	}
	w.stack.Break(staged(down))
	w.call(auth.Write, http.MethodPost, secrets+"/"+made.ID+"/test", nil).refuses(t, http.StatusServiceUnavailable, "try again")
}
