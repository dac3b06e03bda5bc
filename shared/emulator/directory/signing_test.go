package directory_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

func (o *office) fetch(path string) answer {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.login.URL+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.do(o.login.Client(), r)
}

// verified reports whether a published key fits the token, going by its kid.
func (o *office) verified(token string) bool {
	o.t.Helper()
	parts := strings.Split(token, ".")
	var header struct{ Alg, Kid string }
	decode := func(text string) []byte {
		data, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			o.t.Fatal(err)
		}
		return data
	}
	if err := json.Unmarshal(decode(parts[0]), &header); err != nil {
		o.t.Fatal(err)
	}
	for _, k := range o.fetch("/" + o.tenant + "/discovery/v2.0/keys").body["keys"].([]any) {
		k := k.(map[string]any)
		if k["kid"] != header.Kid || header.Alg != "RS256" || k["kty"] != "RSA" || k["use"] != "sig" {
			continue
		}
		key := rsa.PublicKey{N: new(big.Int).SetBytes(decode(k["n"].(string))), E: int(new(big.Int).SetBytes(decode(k["e"].(string))).Int64())}
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		return rsa.VerifyPKCS1v15(&key, crypto.SHA256, digest[:], decode(parts[2])) == nil
	}
	return false
}

func TestIDToken(t *testing.T) {
	o := newOffice(t, directory.Config{})
	token := o.tokens(o.ada).text("id_token")
	c := claims(t, token)
	now := float64(o.now().Unix())
	for name, want := range map[string]any{
		"iss": o.login.URL + "/" + o.tenant + "/v2.0", "aud": o.web.ClientID, "iat": now, "nbf": now, "exp": now + 3600, "nonce": "n-1",
		"tid": o.tenant, "oid": o.ada, "ver": "2.0", "name": "Ada Administrator", "preferred_username": o.PrincipalName(o.ada),
	} {
		if c[name] != want {
			t.Errorf("%s is %v, want %v", name, c[name], want)
		}
	}
	if roles, has := c["roles"]; has {
		t.Errorf("roles %v of a person who has none", roles)
	}
	err := o.Change(o.web.ObjectID, func(s *directory.Settings) { s.AppRoles = map[string][]string{o.ada: {"Connections.Admin"}} })
	if err != nil {
		t.Fatal(err)
	}
	if roles, _ := claims(t, o.tokens(o.ada).text("id_token"))["roles"].([]any); len(roles) != 1 || roles[0] != "Connections.Admin" {
		t.Errorf("roles %v", roles)
	}
	if sub, _ := c["sub"].(string); sub == "" || sub == o.ada {
		t.Errorf("sub %q", sub)
	}
	if !o.verified(token) {
		t.Error("the signature is not that of a published key")
	}
	changed := strings.Split(token, ".")
	changed[1] = base64.RawURLEncoding.EncodeToString([]byte(`{}`))
	if o.verified(strings.Join(changed, ".")) {
		t.Error("other claims have the same signature")
	}
}

// TestKeys: a new key signs, the old ones stay published until they are dropped.
func TestKeys(t *testing.T) {
	o := newOffice(t, directory.Config{})
	before := o.tokens(o.ada).text("id_token")
	o.RollKeys()
	after := o.tokens(o.ada).text("id_token")
	if !o.verified(before) || !o.verified(after) {
		t.Error("one of the keys is not published")
	}
	o.DropOldKeys()
	if o.verified(before) || !o.verified(after) {
		t.Error("not just the new key is published")
	}
	if n := o.Calls(directory.OpKeys); n != 4 {
		t.Errorf("%d calls", n)
	}
	o.wantEntra("keys of an unknown tenant", o.fetch("/"+o.ada+"/discovery/v2.0/keys"), 400, "invalid_tenant", 90002)
}

// TestDiscoveryForAnyTenant: the issuer is a template.
func TestDiscoveryForAnyTenant(t *testing.T) {
	o := newOffice(t, directory.Config{})
	for _, tenant := range []string{"organizations", "common"} {
		a := o.fetch("/" + tenant + "/v2.0/.well-known/openid-configuration")
		if a.text("issuer") != o.login.URL+"/{tenantid}/v2.0" || a.text("jwks_uri") != o.login.URL+"/"+tenant+"/discovery/v2.0/keys" ||
			a.text("token_endpoint") != o.login.URL+"/"+tenant+"/oauth2/v2.0/token" {
			t.Errorf("%s: %v", tenant, a.body)
		}
		if keys := o.fetch("/" + tenant + "/discovery/v2.0/keys"); keys.status != http.StatusOK {
			t.Errorf("%s: keys %d", tenant, keys.status)
		}
	}
}

// TestTokensOfOurMaking: what tests of a service that verifies tokens need.
func TestTokensOfOurMaking(t *testing.T) {
	o := newOffice(t, directory.Config{})
	token := o.AccessToken(o.login.URL, o.tenant,
		map[string]any{"aud": "api://rekey", "oid": o.ada, "roles": []string{"Connections.Read"}, "uti": nil})
	c := claims(t, token)
	if !o.verified(token) || c["iss"] != o.login.URL+"/"+o.tenant+"/v2.0" || c["aud"] != "api://rekey" || c["tid"] != o.tenant ||
		c["ver"] != "2.0" || c["exp"] != float64(o.now().Add(time.Hour).Unix()) {
		t.Errorf("claims %v", c)
	}
	if _, ok := c["uti"]; ok {
		t.Error("a claim that was taken away is there")
	}
	if !o.verified(o.Sign(nil, map[string]any{"a": 1})) {
		t.Error("what is signed does not verify")
	}
	forged := o.Sign(map[string]any{"alg": "none", "kid": nil}, map[string]any{"a": 1})
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(forged, ".")[0])
	if err != nil || string(header) != `{"alg":"none","typ":"JWT"}` {
		t.Errorf("header %s", header)
	}
	w := o.world
	w.wantGraph("Graph with a token for another API", w.get(token, "/me"), 401, "InvalidAuthenticationToken")
}
