package directory_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// foreignToken signs claims as another issuer does.
func foreignToken(t *testing.T, key *rsa.PrivateKey, algorithm, id string, claims map[string]any) string {
	t.Helper()
	var signed string
	for _, part := range []map[string]any{{"alg": algorithm, "typ": "JWT", "kid": id}, claims} {
		data, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		signed += base64.RawURLEncoding.EncodeToString(data) + "."
	}
	digest := sha256.Sum256([]byte(signed[:len(signed)-1]))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + base64.RawURLEncoding.EncodeToString(signature)
}

func TestFederatedCredential(t *testing.T) {
	w := newWorld(t, directory.Config{})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Federate(w.app.ClientID, directory.FederatedCredential{
		Issuer: "https://issuer.example", Subject: "arn:role", Audience: "api://AzureADTokenExchange",
		Key: func(id string) *rsa.PublicKey {
			if id != "k1" {
				return nil
			}
			return &key.PublicKey
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Federate(w.tenant, directory.FederatedCredential{}); err == nil {
		t.Error("an application that does not exist got a federated credential")
	}
	now := w.now()
	good := map[string]any{"iss": "https://issuer.example", "sub": "arn:role", "aud": "api://AzureADTokenExchange",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	with := func(name string, value any) map[string]any {
		claims := maps.Clone(good)
		claims[name] = value
		return claims
	}
	form := func(token string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {w.app.ClientID}, "scope": {"https://graph.microsoft.com/.default"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {token}}
	}
	for name, claims := range map[string]map[string]any{"one audience": good,
		"a list of one": with("aud", []string{"api://AzureADTokenExchange"})} {
		for range 2 { // it may be used again until it expires
			if a := w.ask(w.tenant, form(foreignToken(t, key, "RS256", "k1", claims))); a.status != http.StatusOK {
				t.Errorf("%s: %d %v", name, a.status, a.body)
			}
		}
	}
	for name, c := range map[string]struct {
		token  string
		status int
		error  string
		code   float64
	}{
		"another issuer":   {foreignToken(t, key, "RS256", "k1", with("iss", "https://issuer.example/")), 400, "invalid_request", 70021},
		"another subject":  {foreignToken(t, key, "RS256", "k1", with("sub", "arn:Role")), 400, "invalid_request", 70021},
		"another audience": {foreignToken(t, key, "RS256", "k1", with("aud", "api://other")), 400, "invalid_request", 70021},
		"two audiences": {foreignToken(t, key, "RS256", "k1", with("aud", []string{"api://AzureADTokenExchange", "b"})), 400,
			"invalid_request", 70021},
		"no claims":    {foreignToken(t, key, "RS256", "k1", map[string]any{}), 400, "invalid_request", 70021},
		"another key":  {foreignToken(t, other, "RS256", "k1", good), 401, "invalid_client", 50013},
		"unknown key":  {foreignToken(t, key, "RS256", "k2", good), 401, "invalid_client", 50013},
		"algorithm":    {foreignToken(t, key, "ES384", "k1", good), 401, "invalid_client", 50013},
		"no signature": {foreignToken(t, key, "none", "k1", good), 401, "invalid_client", 50013},
		"expired":      {foreignToken(t, key, "RS256", "k1", with("exp", now.Unix())), 401, "invalid_client", 700024},
		"not yet":      {foreignToken(t, key, "RS256", "k1", with("iat", now.Add(time.Hour).Unix())), 401, "invalid_client", 700024},
		"its own":      {foreignToken(t, key, "RS256", "k1", with("iss", w.app.ClientID)), 401, "invalid_client", 50012},
		"garbage":      {"a.b.c", 401, "invalid_client", 50012},
	} {
		w.wantEntra(name, w.ask(w.tenant, form(c.token)), c.status, c.error, c.code)
	}
	noType := form(foreignToken(t, key, "RS256", "k1", good))
	noType.Del("client_assertion_type")
	w.wantEntra("no type", w.ask(w.tenant, noType), 401, "invalid_client", 7000218)

	another := w.register(directory.Registration{})
	f := form(foreignToken(t, key, "RS256", "k1", good))
	f.Set("client_id", another.ClientID)
	w.wantEntra("another application", w.ask(w.tenant, f), 400, "invalid_request", 70021)
}
