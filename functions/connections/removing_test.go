package connections_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/auth"
)

// Rotation off is no way around the role: on the record that has a client secret of Rekey's own,
// new credentials need the role rotate, and so does a deletion while an older one is waiting.
func TestWhatRemovesNeedsTheRoleRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeployment(t)
		as := func(role auth.Role) {
			d.api.Authenticate = handler(service{}, role).Authenticate
		}
		const path = "/azure-client-secrets/" + id
		turn := func(body string, want int, says string) {
			t.Helper()
			if status, text, _ := d.post(t.Context(), http.MethodPatch, path, body); status != want || !strings.Contains(text, says) {
				t.Errorf("%s: status %d, want %d: %s", body, status, want, text)
			}
		}
		turn(`{"isAutoRotationEnabled":true,"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0}}}`, http.StatusOK, "")
		d.sweep(t, time.Hour)
		as(auth.Write)
		turn(`{"isAutoRotationEnabled":false}`, http.StatusOK, "")
		fresh := "{" + credentialsOf(d.lonely, d.secret.Reveal(), d.keyID) + "}"
		turn(fresh, http.StatusForbidden, `needs the role \"rotate\"`)
		as(auth.Rotate)
		turn(fresh, http.StatusOK, "")
		d.sweep(t, time.Hour)
		as(auth.Write)
		for query, want := range map[string]int{"": http.StatusForbidden, "?revoke=true": http.StatusForbidden} {
			if status, says, _ := d.post(t.Context(), http.MethodDelete, path+query, ""); status != want {
				t.Errorf("deleted%s: status %d: %s", query, status, says)
			}
		}
	})
}
