package lifecycle_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// What can't be connected is refused, before anything is changed anywhere.
func TestRefusedCreations(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a := w.sample()
		plain := w.sample(func(r *directory.Registration) { r.Roles = nil })
		_, ended := w.password(a, time.Now().Add(-time.Hour))
		tenant := w.services.Directory.AddTenant()
		given := func(app directory.Application, name string, value any) object {
			c := credentials(app)
			c[name] = value
			return creation(app, object{"credentials": c})
		}
		noCertificate := object{"tenantId": a.TenantID, "clientId": a.ClientID, "certificateBody": "x", "privateKey": "y"}
		before := w.outside(a, plain)
		for name, body := range map[string]any{
			"wrong secret":        given(a, "clientSecret", "abc8Q~wrong-wrong-wrong-wrong-wrong-wron"),
			"expired secret":      creation(a, object{"credentials": object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": ended}}),
			"unknown tenant":      given(a, "tenantId", unknownID),
			"another tenant":      given(a, "tenantId", tenant),
			"unknown application": given(a, "clientId", unknownID),
			"another key id":      given(a, "clientSecretKeyId", unknownID),
			"no permission":       creation(plain, nil),
			"no schedule":         creation(a, object{"rotation": nil}),
			"no interval":         creation(a, object{"rotation": object{"rotationInterval": 0, "rotateAtUtc": object{"hours": 3, "minutes": 0}}}),
			"no name":             creation(a, object{"name": ""}),
			"no method":           creation(a, object{"method": nil}),
			"no credentials":      creation(a, object{"credentials": nil}),
			"bad JSON":            `{"name":"billing","credentials":{"clientSecret":"` + a.Secret + `"`,
			"no JSON":             a.Secret,
			"another type":        `{"name":{"clientSecret":"` + a.Secret + `"}}`,
			"a bad certificate":   creation(a, object{"method": "certificate", "credentials": noCertificate}),
			"OAuth is off":        creation(a, object{"method": "oauth", "credentials": object{"tenantId": a.TenantID, "code": "x"}}),
		} {
			w.refusal(w.call("rotate", http.MethodPost, secrets, body), name, http.StatusBadRequest)
			w.untouched(name, before, a, plain)
		}
		w.connect(plain, object{"isAutoRotationEnabled": false, "rotation": nil, "credentials": without(credentials(plain), "clientSecretKeyId")})
		w.refused(http.StatusBadRequest, "rotate", http.MethodPost, secrets, creation(a, nil), "already exists")
		w.exactly(plain, plain.KeyID)
		if !w.signsIn(a, a.Secret) || !w.signsIn(plain, plain.Secret) {
			t.Error("a refusal has cost a client secret")
		}
	})
}

// Each address needs a key, and a role that is high enough; what has no such id is not there.
func TestRoles(t *testing.T) {
	each(t, everywhere, options{}, func(w *world) {
		a := w.sample()
		path, made := w.connect(a, object{"rotation": daily()})
		before := w.outside(a)
		lesser := map[string][]string{"write": {"read"}, "rotate": {"read", "write"}, "admin": {"read", "write", "rotate"}}
		for _, c := range []struct {
			method, below string
			body          any
			needs         string
		}{
			{"GET", "", nil, "read"}, {"GET", "/rotations", nil, "read"}, {"GET", "/targets", nil, "read"}, {"GET", "/audit", nil, "admin"},
			{"PATCH", "", object{"name": "x"}, "write"}, {"DELETE", "", nil, "write"}, {"DELETE", "?revoke=true", nil, "write"},
			{"POST", "/test", nil, "write"}, {"GET", "/clients", nil, "write"}, {"POST", "/targets", object{"clientId": a.ClientID}, "write"},
			{"POST", "/rotate-credentials", object{"emergency": true}, "rotate"}, {"POST", "/rotations/abandon", nil, "admin"},
		} {
			for _, role := range lesser[c.needs] {
				w.refused(http.StatusForbidden, role, c.method, path+c.below, c.body)
			}
			w.refused(http.StatusUnauthorized, "", c.method, path+c.below, c.body)
			if c.below != "/audit" {
				w.refused(http.StatusNotFound, "admin", c.method, secrets+"/"+unknownID+c.below, c.body)
			}
		}
		w.refused(http.StatusForbidden, "read", "POST", secrets, creation(w.sample(), object{"name": "x"}))
		w.refused(http.StatusForbidden, "write", "POST", secrets, creation(w.sample(), object{"name": "x"}))
		w.refused(http.StatusForbidden, "read", "POST", secrets+"/inspect", object{"credentials": credentials(a)})
		w.refused(http.StatusNotFound, "admin", "GET", secrets+"/no-id", nil)
		stranger := w.request("", "GET", path, nil)
		stranger.Header.Set("Authorization", "Bearer rk_"+strings.Repeat("A", 43))
		if got, err := w.try(w.client, stranger); err != nil || got.status != http.StatusUnauthorized {
			t.Errorf("with an unknown key: %d %v", got.status, err)
		}
		w.untouched("refused requests", before, a)
		w.exactly(a, made.key())
	})
}

// A request that comes twice with one Idempotency-Key is carried out once.
func TestIdempotencyKey(t *testing.T) {
	each(t, []string{builtIn, onLambda}, options{}, func(w *world) {
		a := w.sample()
		send := func(path, key string, body any) reply {
			r := w.request("rotate", http.MethodPost, path, body)
			r.Header.Set("Idempotency-Key", key)
			got, err := w.try(w.client, r)
			if err != nil {
				w.Error(err)
			}
			return got
		}
		var both sync.WaitGroup
		replies := make([]reply, 2)
		for i := range replies {
			both.Go(func() { replies[i] = send(secrets, "one", creation(a, nil)) })
		}
		both.Wait()
		w.until("the creation", func() bool { return len(w.names()) == 1 })
		path := secrets + "/" + w.get(secrets+"/connection-name/billing").ID
		first := w.settled(path)
		again := w.one(send(secrets, "one", creation(a, nil)))
		if again.ID != first.ID || len(w.names()) != 1 {
			t.Errorf("sent again it made %v, and was answered with %s", w.names(), again.ID)
		}
		for i, got := range replies {
			if got.status == http.StatusOK && w.one(got).ID != first.ID || got.status != http.StatusOK && got.status != http.StatusConflict {
				t.Errorf("answer %d: %d %s", i, got.status, got.body)
			}
		}
		w.refusal(send(secrets, "one", creation(a, object{"name": "other"})), "another body with the same key", http.StatusConflict)
		w.exactly(a, first.key())

		rotate := path + "/rotate-credentials"
		w.one(send(rotate, "two", object{"gracePeriodHours": 0}))
		second := w.settled(path)
		w.one(send(rotate, "two", object{"gracePeriodHours": 0}))
		if now := w.settled(path); now.key() != second.key() || second.key() == first.key() {
			t.Errorf("the key ids were %s, %s and %s", first.key(), second.key(), now.key())
		}
		w.one(send(rotate, "three", object{"gracePeriodHours": 0}))
		if now := w.settled(path); now.key() == second.key() {
			t.Error("another key is another request, and rotated nothing")
		}
		w.works(a, first.VaultSecretName)
	})
}

// Of two connections that are made at once with one name, or for one application, one comes to
// be; the other leaves nothing behind.
func TestTwoAtOnce(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a, b := w.sample(), w.sample()
		race := func(bodies ...object) (made []view) {
			replies := make([]reply, len(bodies))
			var all sync.WaitGroup
			for i, body := range bodies {
				all.Go(func() { replies[i] = w.call("rotate", http.MethodPost, secrets, body) })
			}
			all.Wait()
			for _, got := range replies {
				switch got.status {
				case http.StatusOK:
					made = append(made, w.one(got))
				case http.StatusBadRequest, http.StatusConflict:
				default:
					t.Errorf("%d %s", got.status, got.body)
				}
			}
			if len(made) != 1 {
				t.Fatalf("%d of two at once were made", len(made))
			}
			return made
		}
		made := race(creation(a, nil), creation(b, nil))[0]
		now, winner, loser := w.settled(secrets+"/"+made.ID), a, b
		if made.Credentials["clientId"] == b.ClientID {
			winner, loser = b, a
		}
		w.exactly(winner, now.key())
		w.works(winner, now.VaultSecretName)
		w.exactly(loser, loser.KeyID)
		if !w.signsIn(loser, loser.Secret) || len(w.names()) != 1 {
			t.Errorf("the one that lost has cost a client secret, or is there: %v", w.names())
		}
		made = race(creation(loser, object{"name": "first"}), creation(loser, object{"name": "second"}))[0]
		now = w.settled(secrets + "/" + made.ID)
		w.exactly(loser, now.key())
		w.works(loser, now.VaultSecretName)
		if len(w.names()) != 2 {
			t.Errorf("there are %v", w.names())
		}
	})
}
