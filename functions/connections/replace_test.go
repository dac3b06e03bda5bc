package connections_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// sweep plays the timer for d.
func (d *deployment) sweep(t *testing.T, how time.Duration) {
	t.Helper()
	for end := time.Now().Add(how); time.Now().Before(end); time.Sleep(time.Minute) {
		if _, err := d.api.Service.(*connection.Service).Rotator.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// With the gates of production: a connection that rotates is deleted and created again at once with
// what it has published. While an older client secret is still being removed the answer says when
// to come again, and that ends within a quarter of an hour.
func TestDeletedAndCreatedAgain(t *testing.T) {
	for name, older := range map[string]bool{"nothing is waiting": false, "an older one is waiting": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDeployment(t)
				create := func(secret string) (status int, says string, rec rotation.Record) {
					status, says, _ = d.post(t.Context(), http.MethodPost, "/azure-client-secrets",
						`{"name":"again","method":"client-secret",`+credentialsOf(d.lonely, secret, "")+monthlyOn+"}")
					var made struct{ AppConnection struct{ ID string } }
					if json.Unmarshal([]byte(says), &made) == nil {
						rec, _ = d.w.Record(made.AppConnection.ID)
					}
					return status, says, rec
				}
				status, says, rec := create(d.secret.Reveal())
				if status != http.StatusOK {
					t.Fatalf("status %d: %s", status, says)
				}
				d.sweep(t, time.Hour)
				if older {
					d.post(t.Context(), http.MethodPost, "/azure-client-secrets/"+rec.ID+"/rotate-credentials", "")
					d.sweep(t, time.Hour)
				}
				published, _ := d.w.Published(rec.VaultName)
				if status, says, _ := d.post(t.Context(), http.MethodDelete, "/azure-client-secrets/"+rec.ID, ""); status != http.StatusOK {
					t.Fatalf("deleted: status %d: %s", status, says)
				}
				begin := time.Now()
				status, says, rec = create(published.Value.Reveal())
				if (status == http.StatusConflict) != older || older && !strings.Contains(says, "is being deleted") {
					t.Errorf("created again at once: status %d: %s", status, says)
				}
				for ; status == http.StatusConflict; status, says, rec = create(published.Value.Reveal()) {
					d.sweep(t, time.Minute)
				}
				if took := time.Since(begin); status != http.StatusOK || took > 15*time.Minute {
					t.Errorf("after %s: status %d: %s", took, status, says)
				}
				d.sweep(t, time.Hour)
				if rec, _ = d.w.Record(rec.ID); rec.Phase != rotation.Idle || len(rec.Removals) != 0 || d.w.Live(d.lonely.ClientID) != 1 {
					t.Errorf("in the end: %s, %+v, %d live", rec.Phase, rec.Removals, d.w.Live(d.lonely.ClientID))
				}
			})
		})
	}
}

// New credentials that are accepted and then never prove themselves are given up: the connection
// has those from before, and the hash tells the client that gave the new ones.
func TestTheHashTellsOfCredentialsThatWereGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeployment(t)
		d.w.Directory.Propagation = 0
		hash := func(method, body string) string {
			t.Helper()
			var v struct {
				AppConnection struct{ CredentialsHash string }
			}
			status, says, _ := d.post(t.Context(), method, "/azure-client-secrets/"+id, body)
			if err := json.Unmarshal([]byte(says), &v); err != nil || status != http.StatusOK {
				t.Fatalf("status %d: %s", status, says)
			}
			return v.AppConnection.CredentialsHash
		}
		before := hash(http.MethodGet, "")
		secret, keyID := d.w.AddByHand(d.lonely.ClientID, time.Hour, false)
		time.AfterFunc(time.Second, func() { d.w.RemoveByHand(keyID) })
		given := hash(http.MethodPatch, "{"+credentialsOf(d.lonely, secret.Reveal(), keyID)+"}")
		d.sweep(t, 2*time.Hour)
		after := hash(http.MethodGet, "")
		if rec, _ := d.w.Record(id); rec.Phase != rotation.Idle || rec.Target.Same(d.lonely) {
			t.Errorf("phase %s, target %s", rec.Phase, rec.Target.ClientID)
		}
		if given == before || after == given {
			t.Errorf("the hash before is %s, when given %s, and once they were given up %s", before, given, after)
		}
	})
}
