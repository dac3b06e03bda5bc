package lifecycle_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"rekey/shared/emulator/directory"
)

const (
	login           = "/api/v1/auth/universal-auth/login"
	secretRotations = "/api/v2/secret-rotations/azure-client-secret"
)

// logIn signs in as Infisical's Terraform provider does, and makes the token what the role
// calls with. The answer is not searched for secrets: the token is one.
func (w *world) logIn(role string) {
	w.Helper()
	resp, err := w.client.Do(w.request("", http.MethodPost, login, object{"clientId": role, "clientSecret": w.keys[role]}))
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		AccessToken, TokenType       string
		ExpiresIn, AccessTokenMaxTTL int
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != http.StatusOK || got.TokenType != "Bearer" ||
		got.ExpiresIn != 86400 || got.AccessTokenMaxTTL != 86400 {
		w.Fatalf("sign-in: status %d, %v", resp.StatusCode, err)
	}
	w.keys[role] = got.AccessToken
}

// declared is what a configuration says of a rotation through a connection.
func declared(via string, a directory.Application) object {
	return object{
		"Provider": "azure-client-secret", "name": "payroll", "description": "", "isAutoRotationEnabled": true, "connectionId": via,
		"environment": "prod", "secretPath": "/apps", "rotationInterval": 30, "rotateAtUtc": object{"hours": 0, "minutes": 0},
		"parameters":     object{"objectId": a.ObjectID, "clientId": a.ClientID},
		"secretsMapping": object{"clientId": "PAYROLL_ID", "clientSecret": "PAYROLL_SECRET"},
	}
}

// unchangedRotation reads a rotation as a refresh does, and requires that it is as declared.
func (w *world) unchangedRotation(id string, is object) {
	w.Helper()
	got := decode[struct{ SecretRotation object }](w, w.call("read", http.MethodGet, secretRotations+"/"+id, nil)).SecretRotation
	shown := object{
		"name": got["name"], "isAutoRotationEnabled": got["isAutoRotationEnabled"], "connectionId": got["connection"].(object)["id"],
		"environment": got["environment"].(object)["slug"], "secretPath": got["folder"].(object)["path"],
		"rotationInterval": got["rotationInterval"], "rotateAtUtc": got["rotateAtUtc"], "parameters": got["parameters"],
		"secretsMapping": got["secretsMapping"],
	}
	for name, value := range shown {
		have, err := json.Marshal(value)
		if err != nil {
			w.Fatal(err)
		}
		if want, err := json.Marshal(is[name]); err != nil || string(have) != string(want) {
			w.Errorf("%s is %s, declared is %s (%v)", name, have, want, err)
		}
	}
}

// madeRotation requires that a rotation was created, and returns its id.
func (w *world) madeRotation(got reply) string {
	w.Helper()
	return decode[struct{ SecretRotation struct{ ID string } }](w, got).SecretRotation.ID
}

// Infisical's Terraform provider signs in and manages a rotation, on every platform: the
// requests come through the routes of each.
func TestSecretRotation(t *testing.T) {
	each(t, everywhere, options{}, func(w *world) {
		w.logIn("rotate")
		a := w.sample()
		_, via, _ := w.caretaker(a)
		b := w.owned(a)
		is := declared(via.ID, b)
		id := w.madeRotation(w.call("rotate", http.MethodPost, secretRotations, is))
		now := w.settled(secrets + "/" + via.ID + "/targets/" + id)
		w.unchangedRotation(id, is)
		w.works(b, "PAYROLL-SECRET")
		w.exactly(b, b.KeyID, now.key())

		is["environment"], is["rotationInterval"] = "staging", 7
		decode[object](w, w.call("rotate", http.MethodPatch, secretRotations+"/"+id, is))
		w.unchangedRotation(id, is)
		w.refused(http.StatusConflict, "rotate", http.MethodPost, secretRotations, is)
		w.refused(http.StatusUnauthorized, "", http.MethodGet, secretRotations+"/"+id, nil)
		w.refused(http.StatusUnauthorized, "", http.MethodPost, login, object{"clientId": "rotate", "clientSecret": w.keys["read"]})

		body := object{"Provider": "azure-client-secret", "ID": id}
		decode[object](w, w.call("rotate", http.MethodDelete, secretRotations+"/"+id, body))
		w.refused(http.StatusNotFound, "rotate", http.MethodGet, secretRotations+"/"+id, nil)
		w.works(b, "PAYROLL-SECRET")
		again := ""
		w.until("the same created again", func() bool {
			got := w.call("rotate", http.MethodPost, secretRotations, is)
			if got.status == http.StatusOK {
				again = w.madeRotation(got)
			}
			return got.status != http.StatusConflict
		})
		w.settled(secrets + "/" + via.ID + "/targets/" + again)
		w.unchangedRotation(again, is)
		w.works(b, "PAYROLL-SECRET")
	})
}
