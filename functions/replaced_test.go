package functions_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
)

// A connection that is deleted and created again with a client secret that Rekey has removed
// can't work. The refusal says so, when it was removed, and what to use, whatever the new one is
// called; it comes at once. With what is published it is created.
func TestCreatedAgainWithARemovedClientSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected()
	var removed time.Time
	for _, e := range w.audit(made.ID, "") {
		if e.Kind == "credential.revoked" {
			removed = e.At
		}
	}
	says := []string{"Rekey removed this client secret from Entra at " + removed.UTC().Format(time.RFC3339), made.ID, "never work again"}
	value, _, _ := w.published(made.VaultSecretName)
	w.one(w.call(auth.Rotate, http.MethodDelete, secrets+"/"+made.ID, nil))
	w.settle()
	off := []any{"isAutoRotationEnabled", false, "rotation", absent, "credentials", given(a)}
	for name, edits := range map[string][]any{
		"the same": {}, "of another name": {"name", "renamed"}, "in another project": {"projectId", "team-a"}, "without rotation": off,
	} {
		before := w.truth()
		r := w.call(auth.Rotate, http.MethodPost, secrets, creation(a, edits...))
		r.refuses(t, http.StatusConflict, append(says, made.VaultSecretName)...)
		if list := changes(before, w.truth()); len(list) != 0 {
			t.Errorf("%s: changed %q", name, list)
		}
		if r.header.Get("Retry-After") != "" {
			t.Errorf("%s: a refusal that no wait can change says to wait", name)
		}
	}
	b := w.sample()
	another := w.one(w.call(auth.Rotate, http.MethodPost, secrets,
		creation(b, "name", "other", "isAutoRotationEnabled", false, "rotation", absent)))
	w.patch(auth.Rotate, another.ID, object{"credentials": given(a)}).refuses(t, http.StatusConflict, says...)

	wrong := given(a)
	wrong["clientSecret"] = "abc8Q~wrong-wrong-wrong-wrong-wrong-wron"
	w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "credentials", wrong)).refuses(t, http.StatusBadRequest,
		"Entra refuses the client secret")

	live := given(a)
	live["clientSecret"] = value
	again := w.one(w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "credentials", live)))
	w.settle()
	w.managed(a, again.VaultSecretName, w.record(again.ID).Current.KeyID)

	// With revoke nothing is left that could be used.
	value, _, _ = w.published(again.VaultSecretName)
	w.one(w.call(auth.Rotate, http.MethodDelete, secrets+"/"+again.ID+"?revoke=true", nil))
	w.settle()
	live["clientSecret"] = value
	r := w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "credentials", live))
	r.refuses(t, http.StatusConflict, "Rekey removed this client secret", again.ID, "Create a new client secret in Entra")
	if strings.Contains(string(r.body), "Key Vault secret") {
		t.Errorf("nothing is published, and the refusal sends the caller there: %s", r.body)
	}
}

// What a client reads back from Key Vault is what it keeps from then on: it may send that along
// also after Rekey has replaced and removed it.
func TestReadBackFromTheVault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected()
	for _, name := range []string{"first", "second"} {
		value, _, _ := w.published(made.VaultSecretName)
		kept := given(a)
		kept["clientSecret"] = value
		got := w.one(w.patch(auth.Write, made.ID, object{"credentials": kept, "description": name}))
		w.one(w.rotateNow(made.ID))
		w.settle()
		again := w.one(w.patch(auth.Write, made.ID, object{"credentials": kept, "description": name + " again"}))
		if got.CredentialsHash != made.CredentialsHash || again.CredentialsHash != made.CredentialsHash || again.Description != name+" again" {
			t.Errorf("%s: %+v", name, again)
		}
		w.settle()
		w.managed(a, made.VaultSecretName, w.record(made.ID).Current.KeyID)
	}
}
