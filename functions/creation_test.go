package functions_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
)

// principalKeys reads the key ids of the client secrets of a's service principal, as
// an administrator would: through Graph.
func (c *client) principalKeys(a directory.Application) (keys []string) {
	c.t.Helper()
	transport := &http.Transport{TLSClientConfig: c.stack.TLS}
	defer transport.CloseIdleConnections()
	call := func(r *http.Request, into any) {
		resp, err := transport.RoundTrip(r)
		if err != nil {
			c.t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
			c.t.Fatalf("%s: %s, %v", r.URL, resp.Status, err)
		}
	}
	ask := func(ctx context.Context, method, url, body string) *http.Request {
		r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			c.t.Fatal(err)
		}
		return r
	}
	r := ask(c.t.Context(), http.MethodPost, c.stack.AuthorityURL+"/"+a.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {a.ClientID}, "client_secret": {a.Secret},
		"scope": {directory.ResourceGraph + "/.default"},
	}.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var token struct {
		Value string `json:"access_token"`
	}
	call(r, &token)
	r = ask(c.t.Context(), http.MethodGet, c.stack.GraphURL+"/v1.0/servicePrincipals(appId='"+a.ClientID+"')", "")
	r.Header.Set("Authorization", "Bearer "+token.Value)
	var principal struct{ PasswordCredentials []struct{ KeyID string } }
	call(r, &principal)
	for _, p := range principal.PasswordCredentials {
		keys = append(keys, p.KeyID)
	}
	return keys
}

// twin adds a client secret to a that has the hint of the first.
func (c *client) twin(a directory.Application) (keyID string) {
	c.t.Helper()
	keyID, _, err := c.stack.Directory.AddTwin(a.ObjectID, a.KeyID, "its twin", time.Now().AddDate(1, 0, 0))
	if err != nil {
		c.t.Fatal(err)
	}
	return keyID
}

// A key id that is left out is found by the secret's first three characters, and
// nothing but the one that was given is removed.
func TestKeyIDFoundByHint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	foreign, _ := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
	made := w.create(a, "credentials.clientSecretKeyId", absent)
	w.settle()
	w.managed(a, made.VaultSecretName, w.record(made.ID).Current.KeyID, foreign)
}

// Where the hint fits several, the answer lists them, so that the next request can
// name one; an expired one that fits is none.
func TestCandidatesAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	twin := w.twin(a)
	other, _ := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
	got := w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "credentials.clientSecretKeyId", absent))
	got.refuses(t, http.StatusBadRequest, a.KeyID, twin, "its twin")
	if strings.Contains(string(got.body), other) {
		t.Errorf("a client secret that does not fit is listed: %s", got.body)
	}
	made := w.create(a)
	w.settle()
	w.managed(a, made.VaultSecretName, w.record(made.ID).Current.KeyID, twin, other)
}

// A client secret of the service principal signs in like one of the application, but
// is not what Rekey rotates: it is recognised without a key id too.
func TestSecretOfThePrincipalIsRecognised(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.add(directory.Registration{OwnsItself: true, Settings: owned, ServicePrincipalPasswords: 1})
	i := slices.IndexFunc(w.watch.Secrets(), func(s string) bool {
		return s != a.Secret && w.stack.Directory.Authenticates(a.ClientID, s)
	})
	if i < 0 {
		t.Fatal("the service principal has no client secret")
	}
	before := w.truth()
	got := w.call(auth.Rotate, http.MethodPost, secrets,
		creation(a, "credentials.clientSecret", w.watch.Secrets()[i], "credentials.clientSecretKeyId", absent))
	got.refuses(t, http.StatusBadRequest, "service principal", w.principalKeys(a)[0])
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("changed: %q", list)
	}
}

// What a form or a terminal adds around values does no harm.
func TestSpacesAroundValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.create(a, "name", " billing ", "credentials.clientSecret", "\t "+a.Secret+" \r\n", "credentials.clientSecretKeyId",
		" "+strings.ToUpper(a.KeyID)+"\n",
		"credentials.tenantId", " "+a.TenantID, "credentials.clientId", strings.ToUpper(a.ClientID)+" ")
	if made.Name != "billing" {
		t.Errorf("name %q", made.Name)
	}
	w.settle()
	w.managed(a, made.VaultSecretName, w.record(made.ID).Current.KeyID)
}

// Of creations for one name and one application at the same time exactly one wins,
// and the others leave nothing behind.
func TestOneOfTwoCreationsWins(t *testing.T) {
	t.Parallel()
	for name, rename := range map[string]bool{"same name": false, "same application": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			a := w.sample()
			b := a
			if !rename {
				b = w.sample()
			}
			second := "billing"
			if rename {
				second = "invoices"
			}
			requests := []*http.Request{
				w.request(auth.Rotate, http.MethodPost, secrets, creation(a)),
				w.request(auth.Rotate, http.MethodPost, secrets, creation(b, "name", second)),
			}
			replies := make([]reply, len(requests))
			var all sync.WaitGroup
			for i, r := range requests {
				all.Go(func() { replies[i], _ = w.try(r) })
			}
			all.Wait()
			w.settle()
			won := slices.IndexFunc(replies, func(r reply) bool { return r.status == http.StatusOK })
			if won < 0 {
				t.Fatalf("neither request won: %s %s", replies[0].body, replies[1].body)
			}
			lost := replies[1-won]
			if lost.status != http.StatusBadRequest && lost.status != http.StatusConflict {
				t.Errorf("the other was answered with %d: %s", lost.status, lost.body)
			}
			records := w.records()
			if len(records) != 1 {
				t.Fatalf("%d connections", len(records))
			}
			winner := a
			if won == 1 {
				winner = b
			}
			w.managed(winner, records[0].VaultName, records[0].Current.KeyID)
			if b.ObjectID != a.ObjectID {
				for _, other := range w.apps {
					if live := w.live(other); other.ObjectID != winner.ObjectID && !slices.Equal(live, []string{other.KeyID}) {
						t.Errorf("the application of the one that lost has %v", live)
					}
				}
			}
			if names, claims := len(w.stack.Table.Rows("name-")), len(w.stack.Table.Rows("claim-")); names != 1 || claims != 2 {
				t.Errorf("%d reservations of names and %d claims, want the winner's 1 and 2", names, claims)
			}
		})
	}
}
