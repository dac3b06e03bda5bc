package connections_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/secret"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// canary stands for a secret in the wrong place.
const canary = "Canary8Q~in-the-wrong-place"

// quotes reports whether text has the canary, or enough of it, in whatever case.
func quotes(text string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(canary[:9]))
}

// bodies are the requests that have one.
var bodies = []struct{ method, path string }{
	{http.MethodPost, "/azure-client-secrets"},
	{http.MethodPatch, "/azure-client-secrets/" + id},
	{http.MethodPost, "/azure-client-secrets/" + id + "/targets"},
	{http.MethodPost, "/azure-client-secrets/inspect"},
	{http.MethodPost, "/azure-client-secrets/" + id + "/rotate-credentials"},
	{http.MethodPost, "/azure-client-secrets/oauth/authorize"},
	{http.MethodPost, rotationsPath},
	{http.MethodPost, loginPath},
	{http.MethodPost, "/azure-client-secrets/inventory/scans"},
	{http.MethodPost, "/azure-client-secrets/inventory/TENANT/OWNED/adopt"},
	{http.MethodPost, "/azure-client-secrets/inventory/TENANT/OWNED/accept"},
}

// deployment is the real service on outside services of memory, with one connection at
// id that does not rotate, an application that may be rotated through it, and one that
// no caller has connected yet.
type deployment struct {
	w             *rotationtest.World
	api           *connections.Handler
	log           bytes.Buffer
	owned, lonely rotation.Application
	secret        secret.Value // of lonely
	keyID         string
	retired       string // the key id of a client secret of owned
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{w: rotationtest.NewWorld(t)}
	log := slog.New(slog.NewTextHandler(&d.log, nil))
	actors := &connection.Actors{
		Records: d.w.StorePort(), Vault: d.w.VaultPort(), Authority: d.w.DirectoryPort(), SignIns: d.w.DirectoryPort(),
		Deployment: rotationtest.Deployment, Log: log,
	}
	rotator := d.w.Rotator()
	rotator.Actors, rotator.Log = actors, log
	s := &connection.Service{
		Rotator: rotator, Actors: actors, Records: d.w.StorePort(), Reservations: d.w.StorePort(), Claims: d.w.StorePort(),
		Vault: d.w.VaultPort(), Directory: d.w.DirectoryPort(),
		Notes: &rotationtest.MemoryPending{}, Log: log,
	}
	d.api, _ = withPeople(service{}, auth.Admin)
	d.api.Service, d.api.Now, d.api.Log = s, time.Now, log
	d.api.Login = (&auth.Authenticator{Keys: []auth.Key{{Name: "ci", Role: auth.Read}}}).Login

	connected, secret, keyID := d.w.AddApplication()
	d.w.Name(keyID)
	if _, err := s.Create(t.Context(), connection.Input{ID: id, Name: "connected", Credentials: connection.Credentials{
		TenantID: connected.TenantID, ClientID: connected.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
	}}); err != nil {
		t.Fatal(err)
	}
	d.owned, _, d.retired = d.w.AddApplication()
	d.w.Own(d.owned.ClientID, connected.ClientID, true)
	d.lonely, d.secret, d.keyID = d.w.AddApplication()
	d.w.Name(d.keyID)
	d.api.Inventory = d.inventory(t)
	return d
}

// real puts the ids of this deployment where a body has placeholders, so that requests
// that are good get beyond the validation. Secrets go where they belong and nowhere else.
func (d *deployment) real(body string) string {
	return strings.NewReplacer("TENANT", d.lonely.TenantID, "CLIENT", d.lonely.ClientID, "OWNED", d.owned.ClientID, "OBJECT", d.owned.ObjectID,
		"KEY", d.keyID, "RETIRED", d.retired,
		`"clientSecret":"SECRET"`, `"clientSecret":"`+d.secret.Reveal()+`"`).Replace(body)
}

// leaves is how many strings of a JSON document, names of members aside, are replaced
// one by one.
const leaves = 24

// planted returns body with the canary in every string, and then in each one alone.
func planted(body string) (all []string) {
	for only := -1; only < leaves; only++ {
		var v any
		if json.Unmarshal([]byte(body), &v) != nil {
			break
		}
		seen := 0
		v = plant(v, only, &seen)
		if out, err := json.Marshal(v); err == nil && only < seen {
			all = append(all, string(out))
		}
	}
	return all
}

func plant(v any, only int, seen *int) any {
	switch v := v.(type) {
	case string:
		*seen++
		if only < 0 || only == *seen-1 {
			return canary + v
		}
	case []any:
		for i := range v {
			v[i] = plant(v[i], only, seen)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			v[name] = plant(v[name], only, seen)
		}
	}
	return v
}

// Whatever body is sent to whichever address: an answer in the API's form, a refusal
// that is the caller's to mend and never ours, that quotes nothing, in the log neither;
// no secret is shown or stored where it should not be, and all promises are kept.
func FuzzBody(f *testing.F) {
	const soon = "2000-02-01T00:00:00Z" // by the clock of the bubble
	const credentials = `"credentials":{"tenantId":"TENANT","clientId":"CLIENT","clientSecret":"SECRET","clientSecretKeyId":"KEY"}`
	for which, seeds := range map[byte][]string{
		0: {
			`{"name":"billing","description":"d","projectId":null,"method":"client-secret",` + credentials +
				`,"vaultSecretName":"v","isAutoRotationEnabled":true,"rotation":{"rotationInterval":30,"rotateAt":{"hours":3,"minutes":15},` +
				`"timeZone":"Europe/Berlin","gracePeriodHours":0,"originalGracePeriodHours":1.5}}`,
			`{"name":"billing","method":"client-secret",` + credentials +
				`,"rotation":{"rotationInterval":365,"rotateAtUtc":{"hours":23,"minutes":59}}}`,
			`{"name":"connected","method":"client-secret",` + credentials + `}`,
			`{"name":"b","method":"client-secret",` + credentials +
				`,"isAutoRotationEnabled":true,"rotation":{"rotationInterval":1,"rotateAtUtc":{"hours":0,"minutes":0},` +
				`"target":{"clientId":"OWNED","objectId":"OBJECT"}}}`,
			`{"name":"b","method":"certificate","credentials":{"tenantId":"TENANT","clientId":"CLIENT",` +
				`"certificateBody":"-----BEGIN CERTIFICATE-----","privateKey":"x","pfx":"MIIB","password":"p","sendCertificateChain":true}}`,
			`{"name":"b","method":"oauth","credentials":{"tenantId":"TENANT","code":"0.AAA"},"gatewayId":"g","isPlatformManagedCredentials":false}`,
		},
		1: {
			`{"version":1,"name":"renamed","description":null}`,
			`{"isAutoRotationEnabled":true,"rotation":{"rotationInterval":7,"rotateAt":{"hours":2,"minutes":30},"timeZone":"America/St_Johns"}}`,
			`{` + credentials + `}`, `{"method":"client-secret","projectId":"","vaultSecretName":"rekey-` + id +
				`","rotation":{"target":{"clientId":"CLIENT"}}}`,
		},
		2: {
			`{"clientId":"OWNED","description":"d","vaultSecretName":"t","isAutoRotationEnabled":true,` +
				`"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0}}}`,
			`{"objectId":"OBJECT"}`, `{"clientId":"CLIENT"}`, `{"clientId":"OWNED","objectId":"00000000-0000-4000-8000-000000000000"}`,
		},
		3: {`{"method":"client-secret",` + credentials + `}`, `{"credentials":{"tenantId":"TENANT","clientId":"CLIENT","clientSecret":"wrong"}}`,
			`{"credentials":{"clientSecret":"two words","clientSecretKeyId":"KEY"}}`},
		4: {``, `{}`, `{"gracePeriodHours":24}`, `{"emergency":true}`, `{"emergency":true,"gracePeriodHours":1e-9}`, `{"dryRun":true}`},
		5: {`{"name":"people","tenantId":"TENANT","connectionId":"` + id + `"}`},
		6: {
			`{"name":"payroll","description":"d","projectId":"p","connectionId":"` + id + `","environment":"prod","secretPath":"/a",` +
				`"isAutoRotationEnabled":true,"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0},` +
				`"parameters":{"clientId":"OWNED","objectId":"OBJECT"},"secretsMapping":{"clientId":"A_B","clientSecret":"A_B.C"}}`,
			`{"name":"n","connectionId":"` + id + `","parameters":{"clientId":"OWNED"},"secretsMapping":{"clientSecret":"x"}}`,
			`{"name":"n","connectionId":"` + id + `","parameters":{"clientId":"CLIENT"},"secretsMapping":{"clientSecret":"x"}}`,
		},
		7: {`{"clientId":"ci","clientSecret":"SECRET","organizationSlug":"o"}`, `{"clientId":"SECRET"}`},
		8: {`{"connectionId":"` + id + `","daily":true}`, `{"connectionId":"` + id + `"}`},
		9: {
			`{"connectionId":"` + id + `","vaultSecretName":"v","name":"n","description":"d","retireKeyIds":["RETIRED"],` +
				`"isAutoRotationEnabled":true,"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0}}}`,
			`{"connectionId":"` + id + `","vaultSecretName":"v","retireKeyIds":["KEY","KEY"]}`,
		},
		10: {`{"finding":"ownerless","reason":"r","until":"` + soon + `"}`,
			`{"finding":"never-ends","keyId":"KEY","reason":"r","until":"` + soon + `"}`,
			`{"finding":"ownerless","reason":"r","until":"2000-01-01T00:00:00Z"}`},
	} {
		for _, seed := range seeds {
			f.Add(which, "", seed)
		}
		f.Add(which, canary, `{"name":{"`+canary+`":[]},"version":1e999,"rotation":[],"credentials":"`+canary+`"}`)
		f.Add(which, "\x00",
			`{"rotation":{"rotationInterval":9223372036854775807,"rotateAt":{"hours":-1,"minutes":1e3},"gracePeriodHours":-0.0}}`)
		f.Add(which, "a", canary)
	}
	f.Fuzz(func(t *testing.T, which byte, key, body string) {
		to := bodies[int(which)%len(bodies)]
		synctest.Test(t, func(t *testing.T) {
			d := newDeployment(t)
			var header []string
			if key != "" {
				header = []string{"Idempotency-Key", key}
			}
			d.send(t, to.method, d.real(to.path), d.real(body), header...)
			d.send(t, to.method, d.real(to.path), d.real(body), header...) // once more
			d.check(t)
		})
		if !json.Valid([]byte(body)) {
			return // there is nothing to plant
		}
		synctest.Test(t, func(t *testing.T) {
			d := newDeployment(t)
			for _, b := range planted(d.real(body)) {
				d.send(t, to.method, d.real(to.path), b)
			}
			d.check(t)
		})
	})
}

// check looks at the promises, and for secrets where none may be.
func (d *deployment) check(t *testing.T) {
	t.Helper()
	d.w.CheckLeaks()
	if broken := d.w.Violations(); len(broken) > 0 {
		t.Errorf("broken promises: %v", broken)
	}
}

// send sends one request and checks its answer.
func (d *deployment) send(t *testing.T, method, path, body string, header ...string) {
	t.Helper()
	if !strings.HasPrefix(path, "/api/") {
		path = connections.Base + path
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	d.log.Reset()
	w := httptest.NewRecorder()
	d.api.ServeHTTP(w, r)

	got, log := w.Body.String(), d.log.String()
	var answer struct {
		ReqID, Error, Message string
		StatusCode            int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Fatalf("%s %s %s: %v: %s", method, path, body, err, got)
	}
	switch {
	case w.Code == http.StatusOK:
	case w.Code < 400 || w.Code >= 500:
		t.Errorf("%s %s %s: status %d: %s", method, path, body, w.Code, got)
	case answer.StatusCode != w.Code || answer.ReqID == "" || answer.Error == "" || answer.Message == "":
		t.Errorf("%s %s %s: status %d, and %s", method, path, body, w.Code, got)
	case quotes(got):
		t.Errorf("%s %s %s is quoted: %s", method, path, body, got)
	}
	if quotes(log) {
		t.Errorf("%s %s %s is logged: %s", method, path, body, log)
	}
	if strings.Contains(got+log, d.secret.Reveal()) || strings.Contains(got+log, "canary-token-") {
		t.Errorf("%s %s shows a secret: %s %s", method, path, got, log)
	}
}
