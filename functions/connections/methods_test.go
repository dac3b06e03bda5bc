package connections_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/oauth"
	"rekey/shared/rotation"
)

const tenant, client = "0b1e7e57-0000-4000-8000-000000000001", "0b1e7e57-0000-4000-8000-000000000002"

// people redeems one code, once, and makes links.
type people struct {
	begun    oauth.Request
	redeemed int
}

func (p *people) Redeem(_ context.Context, code secret.Value, tenantID string) (connection.Credentials, error) {
	p.redeemed++
	if code.Reveal() != "good" || tenantID != tenant {
		return connection.Credentials{}, &connection.Error{Kind: connection.Invalid, Message: "Entra does not accept credentials.code."}
	}
	return connection.Credentials{Method: connection.OAuth, TenantID: tenant, ClientID: client,
		SignIn: &connection.SignIn{RefreshToken: secret.New("refresh"), Account: "ada"}}, nil
}

func (p *people) Begin(_ context.Context, r oauth.Request) (oauth.Begun, error) {
	p.begun = r
	return oauth.Begun{AuthorizationURL: "https://rekey.example.com/start?state=s", ExpiresAt: now}, nil
}

// withPeople is an API with OAuth.
func withPeople(s service, role auth.Role) (*connections.Handler, *people) {
	p := &people{}
	h := handler(s, role)
	h.OAuth, h.OAuthClientID = p, client
	return h, p
}

// Each method's members reach the service.
func TestCreateByMethod(t *testing.T) {
	var in connection.Input
	s := service{create: func(got connection.Input) (rotation.Record, error) {
		in = got
		return rotation.Record{ID: id, Method: got.Method, Actor: rotation.Application{TenantID: "t", ClientID: "c"}}, nil
	}}
	h, p := withPeople(s, auth.Admin)
	for body, check := range map[string]func() bool{
		`{"name":"n","method":"certificate","credentials":{"tenantId":"t","clientId":"c","certificateBody":"b","privateKey":"k",` +
			`"sendCertificateChain":true}}`: func() bool {
			c := in.Certificate
			return in.Method == connection.Certificate && in.ClientID == "c" && c.Body.Reveal() == "b" &&
				c.PrivateKey.Reveal() == "k" && in.SendChain
		},
		`{"name":"n","method":"certificate","credentials":{"tenantId":"t","clientId":"c","pfx":"f","password":"w"},` +
			`"rotation":{"target":{"objectId":"o"}}}`: func() bool {
			c := in.Certificate
			return c.PFX.Reveal() == "f" && c.Password.Reveal() == "w" && !in.SendChain && in.Target == connection.Target{ObjectID: "o"} &&
				in.Schedule == schedule.Schedule{}
		},
		`{"name":"n","method":"client-secret","credentials":{"tenantId":"t","clientId":"c","clientSecret":"s"},` +
			`"rotation":{"target":{"clientId":"d"}}}`: func() bool {
			return in.Method == connection.ClientSecret && in.ClientSecret.Reveal() == "s" && in.Target == connection.Target{ClientID: "d"}
		},
		`{"name":"n","method":"oauth","credentials":{"tenantId":"` + tenant + `","code":"good"}}`: func() bool {
			return in.Method == connection.OAuth && in.SignIn.Account == "ada" && in.SignIn.RefreshToken.Reveal() == "refresh" &&
				in.ClientID == client && p.redeemed == 1
		},
	} {
		w, _ := askOf(t, h, http.MethodPost, "/azure-client-secrets", body)
		if w.Code != http.StatusOK || !check() {
			t.Errorf("%s: status %d, input %+v: %s", body, w.Code, in, w.Body)
		}
		// Infisical's clients know a connection by OAuth without a client id.
		if hidden := !strings.Contains(w.Body.String(),
			`"credentials":{"tenantId":"t","clientId":"c"}`); hidden != (in.Method == connection.OAuth) {
			t.Errorf("%s: %s", body, w.Body)
		}
	}
}

// A code is good for one use: what can be judged without it is judged first.
func TestCodeIsNotWasted(t *testing.T) {
	h, p := withPeople(service{}, auth.Admin)
	for body, says := range map[string]string{
		`{"name":"No Slug","method":"oauth","credentials":{"tenantId":"` + tenant +
			`","code":"good"}}`: "name must be",
		`{"name":"n","method":"oauth","credentials":{"tenantId":"contoso.com","code":"good"}}`: "tenantId must be",
		`{"name":"n","method":"oauth","credentials":{"tenantId":"` + tenant +
			`","code":"good"},"gatewayId":"g"}`: "not supported",
		`{"name":"n","method":"oauth","credentials":{"tenantId":"` + tenant +
			`","code":"good"},"isAutoRotationEnabled":true}`: "rotation is required",
		`{"name":"n","method":"oauth","credentials":{"tenantId":"` + tenant +
			`"}}`: "credentials.code is missing",
		`{"name":"n","method":"oauth","credentials":{"tenantId":"` + tenant +
			`","code":"good"},"rotation":{"rotationInterval":1000}}`: "time of day",
	} {
		if w, _ := askOf(t, h, http.MethodPost, "/azure-client-secrets", body); w.Code != http.StatusBadRequest ||
			!strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: status %d: %s", body, w.Code, w.Body)
		}
	}
	if p.redeemed != 0 {
		t.Errorf("%d codes were spent", p.redeemed)
	}
	w, _ := askOf(t, h, http.MethodPost, "/azure-client-secrets",
		`{"name":"n","method":"oauth","credentials":{"tenantId":"`+tenant+`","code":"bad"}}`)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "does not accept") {
		t.Errorf("a bad code: status %d: %s", w.Code, w.Body)
	}
}

// A connection by OAuth takes another code.
func TestReconnectByCode(t *testing.T) {
	var change connection.Change
	rec := rotation.Record{ID: id, Method: connection.OAuth, Auth: &rotation.Auth{},
		Actor: rotation.Application{TenantID: tenant, ClientID: client}}
	h, _ := withPeople(service{
		get:    func(string) (rotation.Record, error) { return rec, nil },
		update: func(c connection.Change) (rotation.Record, error) { change = c; return rec, nil },
	}, auth.Write)
	w, _ := askOf(t, h, http.MethodPatch, "/azure-client-secrets/"+id, `{"credentials":{"code":"good"}}`)
	if w.Code != http.StatusOK || change.Credentials == nil || change.Credentials.SignIn.Account != "ada" {
		t.Errorf("status %d, change %+v: %s", w.Code, change, w.Body)
	}
}

func TestAuthorize(t *testing.T) {
	h, p := withPeople(service{}, auth.Rotate)
	path := "/azure-client-secrets/oauth/authorize"
	w, _ := askOf(t, h, http.MethodPost, path,
		`{"name":"n","description":"d","projectId":"p","tenantId":"t","vaultSecretName":"v","isAutoRotationEnabled":true,
		"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0},"gracePeriodHours":1,"target":{"clientId":"c"}}}`)
	var got struct {
		AuthorizationURL string
		ExpiresAt        time.Time
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.AuthorizationURL != "https://rekey.example.com/start?state=s" ||
		!got.ExpiresAt.Equal(now) {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if p.begun.Grace == nil || *p.begun.Grace != time.Hour {
		t.Errorf("grace %v", p.begun.Grace)
	}
	p.begun.Grace = nil
	want := oauth.Request{
		TenantID: "t", Name: "n", Description: "d", Project: "p", VaultSecretName: "v", Target: connection.Target{ClientID: "c"}, Rotate: true,
		Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "boss",
	}
	if p.begun != want {
		t.Errorf("begun %+v, want %+v", p.begun, want)
	}
	if w, _ := askOf(t, h, http.MethodPost, path, `{"connectionId":"`+strings.ToUpper(id)+`"}`); w.Code != http.StatusOK ||
		p.begun != (oauth.Request{ConnectionID: id, By: "boss"}) {
		t.Errorf("again: %+v: %s", p.begun, w.Body)
	}
	const turnOn = `{"name":"n","tenantId":"t","isAutoRotationEnabled":true,` +
		`"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0}}}`
	h, _ = withPeople(service{}, auth.Write)
	if w, _ := askOf(t, h, http.MethodPost, path, turnOn); w.Code != http.StatusForbidden {
		t.Errorf("rotation on with the role write: status %d", w.Code)
	}
	if w, _ := ask(t, service{}, http.MethodPost, path, `{"name":"n"}`); w.Code != http.StatusBadRequest ||
		!strings.Contains(w.Body.String(), "OAuth is not configured") {
		t.Errorf("not configured: status %d: %s", w.Code, w.Body)
	}
}

func TestOptions(t *testing.T) {
	h, _ := withPeople(service{}, auth.Read)
	const want = `{"appConnectionOptions":[{"name":"Azure Client Secrets","app":"azure-client-secrets",` +
		`"methods":["oauth","client-secret","certificate"],"oauthClientId":"` + client + `"}]}`
	if w, _ := askOf(t, h, http.MethodGet, "/options", ""); strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("options %s", w.Body)
	}
}

// What a connection authenticates with is shown as far as it may be known.
func TestAuthenticationView(t *testing.T) {
	rec := rotation.Record{ID: id, Method: connection.OAuth, Auth: &rotation.Auth{
		Account: "ada", AccountName: "Ada", SavedAt: ago(5), VaultVersion: "v1",
		Problem: &rotation.Failure{Class: serviceerror.SignInExpired, Message: "sign in again", At: ago(1)},
	}}
	s := service{get: func(string) (rotation.Record, error) { return rec, nil }}
	w, _ := ask(t, s, http.MethodGet, "/azure-client-secrets/"+id, "")
	for _, member := range []string{
		`"authentication":{"expiresAt":null,"thumbprint":null,"account":"ada","accountName":"Ada","renewedAt":"2026-07-01T11:55:00Z",` +
			`"problem":{"class":"sign-in-expired","message":"sign in again","since":"2026-07-01T11:59:00Z"}}`,
		`"attention":["sign-in"]`,
	} {
		if !strings.Contains(w.Body.String(), member) {
			t.Errorf("no %s in %s", member, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), `"rotation"`) || strings.Contains(w.Body.String(), "v1") {
		t.Errorf("too much: %s", w.Body)
	}
}

// A target shows what its first rotation is going to retire, until that has been done.
func TestATargetShowsWhatItRetires(t *testing.T) {
	for want, retire := range map[string][]string{
		`"retireKeyIds":[]`:          nil,
		`"retireKeyIds":["k1","k2"]`: {"k1", "k2"},
	} {
		rec := rotation.Record{ID: target, Via: id, Phase: rotation.Idle, Retire: retire}
		s := service{getTarget: func(string, string) (rotation.Record, error) { return rec, nil }}
		if w, _ := ask(t, s, http.MethodGet, "/azure-client-secrets/"+id+"/targets/"+target, ""); !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
}
