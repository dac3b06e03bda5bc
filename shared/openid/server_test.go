package openid_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/secret"

	"rekey/shared/openid"
)

const (
	tenant = "3f2b8c1e-0a4d-4c59-9b7a-5d1e2f3a4b5c"
	other  = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	client = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	person = "0f8fad5b-d9cb-469f-a165-70867728950e"
	caller = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
)

var start = time.Date(2031, time.May, 4, 12, 0, 0, 0, time.UTC)

// RSA keys take a while to make, so that all tests share them.
var oldKey, newKey, forger, weakKey *rsa.PrivateKey

func TestMain(m *testing.M) {
	for key, bits := range map[**rsa.PrivateKey]int{&oldKey: 2048, &newKey: 2048, &forger: 2048, &weakKey: 1024} {
		made, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		*key = made
	}
	os.Exit(m.Run())
}

// authority publishes keys as Entra does.
type authority struct {
	*httptest.Server
	*openid.Verifier

	mu       sync.Mutex
	now      time.Time
	keys     map[string]*rsa.PrivateKey // of every tenant
	requests []string                   // their paths
	answer   http.HandlerFunc           // instead of the keys
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{now: start, keys: map[string]*rsa.PrivateKey{"old": oldKey}}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	v, err := openid.New(openid.Config{AuthorityHost: a.URL + "/", HTTPClient: a.Client(), Now: a.clock})
	if err != nil {
		t.Fatal(err)
	}
	a.Verifier = v
	return a
}

func (a *authority) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *authority) after(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = a.now.Add(d)
}

func (a *authority) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.requests)
}

func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.URL.Path)
	if a.answer != nil {
		a.answer(w, r)
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/discovery/v2.0/keys") {
		http.NotFound(w, r)
		return
	}
	json.NewEncoder(w).Encode(jwks(a.keys))
}

func jwks(keys map[string]*rsa.PrivateKey) map[string]any {
	list := []any{
		map[string]any{"kty": "EC", "kid": "curve", "crv": "P-256", "x": "AA", "y": "AA"},
		map[string]any{"kty": "future", "kid": "future"},
	}
	for id, key := range keys {
		list = append(list, map[string]any{
			"kty": "RSA", "use": "sig", "kid": id, "x5t": "not looked at",
			"n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
		})
	}
	return map[string]any{"keys": list}
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

type object = map[string]any

// with returns a copy of base with changes; a nil value removes a member.
func with(base object, changes object) object {
	out := maps.Clone(base)
	for name, value := range changes {
		if out[name] = value; value == nil {
			delete(out, name)
		}
	}
	return out
}

// idClaims are those of a good ID token, accessClaims those of a good v2.0 access
// token of a person.
func (a *authority) idClaims() object {
	return object{
		"iss": a.URL + "/" + tenant + "/v2.0", "aud": client, "tid": tenant, "oid": person, "sub": "pairwise", "ver": "2.0",
		"name": "Ada", "preferred_username": "ada@example.com", "nonce": "the nonce",
		"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
}

func (a *authority) accessClaims() object {
	return with(a.idClaims(),
		object{"nonce": nil, "azp": caller, "azpacr": "1", "scp": "Connections.Read Connections.Write", "roles": []string{"Connections.Admin"}})
}

// sign makes a token with RS256.
func sign(key *rsa.PrivateKey, kid string, claims object) secret.Value {
	return signAs(object{"alg": "RS256", "typ": "JWT", "kid": kid}, claims, rs256(key))
}

func rs256(key *rsa.PrivateKey) func(string) []byte {
	return func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return signature
	}
}

func signAs(header, claims object, sign func(input string) []byte) secret.Value {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	input := b64(h) + "." + b64(c)
	return secret.New(input + "." + b64(sign(input)))
}

// hs256 signs with a secret that everybody knows: the public key.
func hs256(public *rsa.PublicKey) func(string) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return func(input string) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return mac.Sum(nil)
	}
}
