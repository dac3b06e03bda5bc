package connections_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// post sends a body as it is, and says how long the answer took.
func (d *deployment) post(ctx context.Context, method, path, body string) (status int, says string, took time.Duration) {
	r := httptest.NewRequestWithContext(ctx, method, "https://rekey.example.com/api/v1/app-connections"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w, begin := httptest.NewRecorder(), time.Now()
	d.api.ServeHTTP(w, r)
	return w.Code, w.Body.String(), time.Since(begin)
}

func credentialsOf(app rotation.Application, secret, keyID string) string {
	body := `"credentials":{"tenantId":"` + app.TenantID + `","clientId":"` + app.ClientID + `","clientSecret":"` + secret + `"`
	if keyID != "" {
		body += `,"clientSecretKeyId":"` + keyID + `"`
	}
	return body + "}"
}

const newOne = `{"name":"fresh","method":"client-secret",`

const monthlyOn = `,"isAutoRotationEnabled":true,"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0}}`

// A client secret may be made in the same go as the connection. Until replicas know it, the
// request waits, with and without the key id, whatever the secret is needed for.
func TestAClientSecretThatIsSecondsOld(t *testing.T) {
	for _, lag := range []time.Duration{0, 2 * time.Second, 9 * time.Second, 14 * time.Second} {
		for name, tt := range map[string]struct {
			method, path, before, after string
			named                       bool
		}{
			"creation":                         {http.MethodPost, "/azure-client-secrets", newOne, "", false},
			"creation with the key id":         {http.MethodPost, "/azure-client-secrets", newOne, "", true},
			"creation with rotation":           {http.MethodPost, "/azure-client-secrets", newOne, monthlyOn, false},
			"creation with rotation and an id": {http.MethodPost, "/azure-client-secrets", newOne, monthlyOn, true},
			"other credentials":                {http.MethodPatch, "/azure-client-secrets/" + id, "{", "", false},
			"other credentials with rotation":  {http.MethodPatch, "/azure-client-secrets/" + id, "{", monthlyOn, true},
		} {
			t.Run(lag.String()+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDeployment(t)
					d.w.Directory.Propagation = lag
					secret, keyID := d.w.AddByHand(d.lonely.ClientID, 0, false)
					d.w.Name(keyID)
					if !tt.named {
						keyID = ""
					}
					status, says, took := d.post(t.Context(), tt.method, tt.path, tt.before+credentialsOf(d.lonely, secret.Reveal(), keyID)+tt.after+"}")
					if status != http.StatusOK || took > 25*time.Second {
						t.Errorf("status %d after %s: %s", status, took, says)
					}
				})
			})
		}
	}
}

// A wrong client secret is refused all the same, with the words for that, after five tries that
// are spread over 15 seconds, while the request has time left; and so is one that Entra takes
// longer to know.
func TestAWrongClientSecretIsRefusedInTheEnd(t *testing.T) {
	for name, body := range map[string]func(d *deployment) string{
		"wrong": func(d *deployment) string {
			return credentialsOf(d.lonely, "abc8Q~wrong-wrong-wrong-wrong-wrong-wron", "")
		},
		"slow": func(d *deployment) string {
			d.w.Directory.Propagation = time.Minute
			secret, _ := d.w.AddByHand(d.lonely.ClientID, 0, false)
			return credentialsOf(d.lonely, secret.Reveal(), "")
		},
	} {
		for method, to := range map[string][2]string{
			http.MethodPost:  {"/azure-client-secrets", newOne},
			http.MethodPatch: {"/azure-client-secrets/" + id, "{"},
		} {
			t.Run(name+"/"+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDeployment(t)
					d.w.Calls()
					status, says, took := d.post(t.Context(), method, to[0], to[1]+body(d)+"}")
					if status != http.StatusBadRequest || !strings.Contains(says, "Entra refuses the client secret") ||
						!strings.Contains(says, "AADSTS7000215") {
						t.Errorf("status %d: %s", status, says)
					}
					calls := d.w.Calls()
					if n := calls["graph.token"]; n != 5 || took < 15*time.Second || took > 20*time.Second {
						t.Errorf("%d tries in %s", n, took)
					}
					if n := calls["store.former"]; n != 1 {
						t.Errorf("what was removed before was looked up %d times, at 16 queries each", n)
					}
				})
			})
		}
	}
}

// Guesses are counted when they come, not when they are answered: the waits give a caller
// neither more guesses nor more tries of one.
func TestGuessesAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeployment(t)
		d.api.Limit = auth.NewLimiter(auth.Limits{Writes: 6})
		d.w.Calls()
		body := newOne + credentialsOf(d.lonely, "abc8Q~wrong-wrong-wrong-wrong-wrong-wron", "") + "}"
		var all sync.WaitGroup
		var mu sync.Mutex
		count := map[int]int{}
		for range 40 {
			all.Go(func() {
				status, _, took := d.post(t.Context(), http.MethodPost, "/azure-client-secrets", body)
				mu.Lock()
				defer mu.Unlock()
				count[status]++
				if status == http.StatusTooManyRequests && took > 0 {
					t.Errorf("the refusal took %s", took)
				}
			})
		}
		all.Wait()
		if n := d.w.Calls()["graph.token"]; count[http.StatusBadRequest] != 6 || count[http.StatusTooManyRequests] != 34 || n != 6*5 {
			t.Errorf("answers %v, %d tokens asked for", count, n)
		}
	})
}

// A caller who hangs up ends the waiting, so that requests don't pile up. The answer is no verdict
// on the client secret: the host hangs up when it is about to send a request again, which gets it.
func TestACallerWhoHangsUpEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeployment(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		body := newOne + credentialsOf(d.lonely, "abc8Q~wrong-wrong-wrong-wrong-wrong-wron", "") + "}"
		status, says, took := d.post(ctx, http.MethodPost, "/azure-client-secrets", body)
		if took != 2*time.Second {
			t.Errorf("the request went on for %s", took)
		}
		if status != http.StatusServiceUnavailable || !strings.Contains(says, "Nothing was") {
			t.Errorf("status %d: %s", status, says)
		}
	})
}

// An operator who has spaced proofs further apart has no request that waits longer: its time is
// for what comes after, too.
func TestTheWaitingDoesNotGrowWithTheSpacingOfProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeployment(t)
		d.api.Service.(*connection.Service).Rotator.Rules.Spacing = 30 * time.Second
		body := `{"name":"fresh","method":"client-secret",` + credentialsOf(d.lonely, "abc8Q~wrong-wrong-wrong-wrong-wrong-wron", "") + "}"
		status, says, took := d.post(t.Context(), http.MethodPost, "/azure-client-secrets", body)
		if status != http.StatusBadRequest || took < 15*time.Second || took > 16*time.Second {
			t.Errorf("status %d after %s: %s", status, took, says)
		}
	})
}
