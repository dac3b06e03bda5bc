package openid_test

import (
	"crypto/rsa"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/secret"

	"rekey/shared/auth"
	"rekey/shared/openid"
)

var good = openid.Expect{ClientID: client, TenantID: tenant, Nonce: "the nonce"}

func TestIDToken(t *testing.T) {
	a := newAuthority(t)
	roles := []string{"Connections.Read", "Connections.Admin"}
	want := openid.Identity{TenantID: tenant, ObjectID: person, Subject: "pairwise", Name: "Ada", Username: "ada@example.com", Roles: roles}
	for name, expect := range map[string]openid.Expect{
		"tenant":         good,
		"in other case":  {ClientID: client, TenantID: strings.ToUpper(tenant), Nonce: "the nonce"},
		"any tenant":     {ClientID: client, Nonce: "the nonce"},
		"nonce of yours": {ClientID: client, TenantID: tenant, NoNonce: true},
	} {
		signed := sign(oldKey, "old", with(a.idClaims(), object{"roles": roles, "preferred_username": "ada@example.com"}))
		if got, err := a.IDToken(t.Context(), signed, expect); err != nil ||
			!reflect.DeepEqual(got, want) {
			t.Errorf("%s: IDToken = %+v, %v; want %+v", name, got, err, want)
		}
	}
	if want := []string{"/" + tenant + "/discovery/v2.0/keys"}; !slices.Equal(a.requests, want) {
		t.Errorf("requests = %q, want %q", a.requests, want)
	}
	for name, expect := range map[string]openid.Expect{
		"no client": {Nonce: "the nonce"}, "no nonce": {ClientID: client},
		"nonce and none": {ClientID: client, Nonce: "the nonce", NoNonce: true},
	} {
		if _, err := a.IDToken(t.Context(), sign(oldKey, "old", a.idClaims()), expect); err == nil || errors.Is(err, openid.ErrRefused) {
			t.Errorf("%s: %v; want an error that is no refusal", name, err)
		}
	}
}

func TestAccessToken(t *testing.T) {
	a := newAuthority(t)
	v1 := object{"iss": "https://sts.windows.net/" + tenant + "/", "aud": "api://rekey", "azp": nil,
		"appid": strings.ToUpper(caller), "ver": "1.0"}
	person := auth.Claims{TenantID: tenant, ObjectID: person, AppID: caller, Name: "Ada",
		Roles: []string{"Connections.Admin"}, Scopes: []string{"Connections.Read", "Connections.Write"}}
	app := person
	app.Scopes, app.Name = nil, ""
	tests := map[string]struct {
		changes  object
		audience string
		want     auth.Claims
	}{
		"v2.0 of a person":       {nil, client, person},
		"v1.0 of a person":       {v1, "api://rekey", person},
		"v2.0 of an application": {object{"scp": nil, "name": nil}, client, app},
		"list of one audience":   {object{"aud": []string{client}}, client, person},
	}
	for name, tt := range tests {
		got, err := a.AccessToken(t.Context(), sign(oldKey, "old", with(a.accessClaims(), tt.changes)), tt.audience, strings.ToUpper(tenant))
		if err != nil || got.Name != tt.want.Name || got.TenantID != tt.want.TenantID ||
			got.ObjectID != tt.want.ObjectID || got.AppID != tt.want.AppID ||
			!slices.Equal(got.Roles, tt.want.Roles) || !slices.Equal(got.Scopes, tt.want.Scopes) {
			t.Errorf("%s: AccessToken = %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
	token := sign(oldKey, "old", a.accessClaims())
	for _, args := range [][2]string{{"", tenant}, {client, ""}} {
		if _, err := a.AccessToken(t.Context(), token, args[0], args[1]); err == nil || errors.Is(err, openid.ErrRefused) {
			t.Errorf("AccessToken for %q: %v; want an error that is no refusal", args, err)
		}
	}
}

// attack is a token that is wrong in one way.
type attack struct {
	token    func(*authority, object) secret.Value
	want     openid.Refusal
	requests int // for keys, before it was refused
}

// attacks are those on both kinds of tokens.
func attacks() map[string]attack {
	claim := func(name string, value any) func(*authority, object) secret.Value {
		return func(_ *authority, c object) secret.Value { return sign(oldKey, "old", with(c, object{name: value})) }
	}
	text := func(s string) func(*authority, object) secret.Value {
		return func(*authority, object) secret.Value { return secret.New(s) }
	}
	header := func(h object, s func(string) []byte) func(*authority, object) secret.Value {
		return func(_ *authority, c object) secret.Value { return signAs(h, c, s) }
	}
	none := func(string) []byte { return nil }
	return map[string]attack{
		"forged":                      {func(_ *authority, c object) secret.Value { return sign(forger, "old", c) }, openid.Signature, 1},
		"forged under an unknown key": {func(_ *authority, c object) secret.Value { return sign(forger, "mine", c) }, openid.Signature, 1},
		"no key id":                   {func(_ *authority, c object) secret.Value { return sign(oldKey, "", c) }, openid.Signature, 1},
		"claims changed afterwards": {func(a *authority, c object) secret.Value {
			parts := strings.Split(sign(oldKey, "old", c).Reveal(), ".")
			parts[1] = strings.Split(sign(oldKey, "old", with(c, object{"name": "Eve"})).Reveal(), ".")[1]
			return secret.New(strings.Join(parts, "."))
		}, openid.Signature, 1},
		"no signature": {func(_ *authority, c object) secret.Value {
			token := sign(oldKey, "old", c).Reveal()
			return secret.New(token[:strings.LastIndex(token, ".")+1])
		}, openid.Signature, 1},
		"its own key in the header": {header(object{"alg": "RS256", "kid": "mine",
			"jwk": jwks(map[string]*rsa.PrivateKey{"mine": forger})["keys"].([]any)[2]}, rs256(forger)), openid.Signature, 1},
		"alg none":                  {header(object{"alg": "none", "kid": "old"}, none), openid.Algorithm, 0},
		"alg None":                  {header(object{"alg": "None", "kid": "old"}, none), openid.Algorithm, 0},
		"no alg":                    {header(object{"kid": "old"}, none), openid.Algorithm, 0},
		"HS256 with the public key": {header(object{"alg": "HS256", "kid": "old"}, hs256(&oldKey.PublicKey)), openid.Algorithm, 0},
		"RS384":                     {header(object{"alg": "RS384", "kid": "old"}, none), openid.Algorithm, 0},
		"wrong audience":            {claim("aud", other), openid.Audience, 0},
		"audience in other case":    {claim("aud", strings.ToUpper(client)), openid.Audience, 0},
		"two audiences":             {claim("aud", []string{client, other}), openid.Audience, 0},
		"no audience":               {claim("aud", nil), openid.Audience, 0},
		"another host":              {claim("iss", "https://login.example.com/"+tenant+"/v2.0"), openid.Issuer, 0},
		"issuer of another tenant": {func(a *authority, c object) secret.Value {
			return sign(oldKey, "old", with(c, object{"iss": a.URL + "/" + other + "/v2.0"}))
		}, openid.Issuer, 0},
		"issuer with something after": {func(a *authority, c object) secret.Value {
			return sign(oldKey, "old", with(c, object{"iss": a.URL + "/" + tenant + "/v2.0/"}))
		}, openid.Issuer, 0},
		"no issuer": {claim("iss", nil), openid.Issuer, 0},
		"other tenant": {func(a *authority, c object) secret.Value {
			return sign(oldKey, "old", with(c, object{"iss": a.URL + "/" + other + "/v2.0", "tid": other}))
		}, openid.Tenant, 0},
		"tenant that is a path":  {claim("tid", tenant+"/../"+other), openid.Malformed, 0},
		"no tenant":              {claim("tid", nil), openid.Malformed, 0},
		"no object id":           {claim("oid", nil), openid.Malformed, 0},
		"expired":                {claim("exp", start.Add(-5*time.Minute).Unix()), openid.Expired, 0},
		"no end":                 {claim("exp", nil), openid.Malformed, 0},
		"end that is text":       {claim("exp", "never"), openid.Malformed, 0},
		"end out of range":       {claim("exp", -1<<63), openid.Expired, 0},
		"not yet valid":          {claim("nbf", start.Add(5*time.Minute+time.Second).Unix()), openid.NotYetValid, 0},
		"start out of range":     {claim("nbf", int64(1<<63-1)), openid.NotYetValid, 0},
		"empty":                  {text(""), openid.Malformed, 0},
		"opaque":                 {text("opaque"), openid.Malformed, 0},
		"two parts":              {text("e30.e30"), openid.Malformed, 0},
		"four parts":             {text("e30.e30.e30.e30"), openid.Malformed, 0},
		"no JSON":                {text("aaa.bbb.ccc"), openid.Malformed, 0},
		"JSON that is no object": {text("W10.W10.W10"), openid.Malformed, 0},
		"oversized":              {claim("name", strings.Repeat("x", 16<<10)), openid.Malformed, 0},
	}
}

func TestRefused(t *testing.T) {
	kinds := map[string]struct {
		claims func(*authority) object
		verify func(*testing.T, *authority, secret.Value) error
		more   map[string]attack
	}{
		"ID token": {(*authority).idClaims, func(t *testing.T, a *authority, token secret.Value) error {
			_, err := a.IDToken(t.Context(), token, good)
			return err
		}, map[string]attack{
			"nonce of another sign-in": {func(_ *authority, c object) secret.Value {
				return sign(oldKey, "old", with(c, object{"nonce": "another"}))
			}, openid.Nonce, 0},
			"no nonce": {func(_ *authority, c object) secret.Value {
				return sign(oldKey, "old", with(c, object{"nonce": nil}))
			}, openid.Nonce, 0},
			"no subject": {func(_ *authority, c object) secret.Value { return sign(oldKey, "old", with(c, object{"sub": nil})) },
				openid.Malformed, 0},
			"issuer of v1.0": {func(_ *authority, c object) secret.Value {
				return sign(oldKey, "old", with(c, object{"iss": "https://sts.windows.net/" + tenant + "/"}))
			}, openid.Issuer, 0},
		}},
		"access token": {(*authority).accessClaims, func(t *testing.T, a *authority, token secret.Value) error {
			_, err := a.AccessToken(t.Context(), token, client, tenant)
			return err
		}, map[string]attack{
			"an ID token": {func(a *authority, _ object) secret.Value {
				return sign(oldKey, "old", with(a.idClaims(), object{"roles": []string{"Connections.Admin"}}))
			}, openid.Malformed, 0},
			"client that is no GUID": {func(_ *authority, c object) secret.Value { return sign(oldKey, "old", with(c, object{"azp": "me"})) },
				openid.Malformed, 0},
			"issuer of v1.0, other tenant": {func(_ *authority, c object) secret.Value {
				return sign(oldKey, "old", with(c, object{"iss": "https://sts.windows.net/" + other + "/"}))
			}, openid.Issuer, 0},
		}},
	}
	for kind, k := range kinds {
		all := attacks()
		for name, more := range k.more {
			all[name] = more
		}
		for name, tt := range all {
			t.Run(kind+"/"+name, func(t *testing.T) {
				a := newAuthority(t)
				err := k.verify(t, a, tt.token(a, k.claims(a)))
				if !errors.Is(err, openid.ErrRefused) || !errors.Is(err, auth.ErrUnauthenticated) || !errors.Is(err, tt.want) {
					t.Errorf("err = %v, want refused: %s", err, tt.want)
				}
				if n := a.asked(); n != tt.requests {
					t.Errorf("%d requests for keys, want %d", n, tt.requests)
				}
				if err := k.verify(t, a, sign(oldKey, "old", k.claims(a))); err != nil {
					t.Errorf("a good token afterwards: %v", err)
				}
			})
		}
	}
}

// The clocks may differ by five minutes, on either side.
func TestClockSkew(t *testing.T) {
	for d, want := range map[time.Duration]error{
		-5 * time.Minute:               nil,
		-5*time.Minute - 1*time.Second: openid.NotYetValid,
		0:                              nil,
		65*time.Minute - 1:             nil,
		65 * time.Minute:               openid.Expired,
	} {
		a := newAuthority(t)
		a.after(d)
		if _, err := a.IDToken(t.Context(), sign(oldKey, "old", a.idClaims()), good); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s from the start of an hour: %v, want %v", d, err, want)
		}
	}
}

func TestNew(t *testing.T) {
	for _, host := range []string{"http://login.example.com", "login.example.com", "https://",
		"https://user@login.example.com", "https://login.example.com?x", "https://login.example.com#x", ":"} {
		if _, err := openid.New(openid.Config{AuthorityHost: host}); err == nil {
			t.Errorf("New accepts the authority %q", host)
		}
	}
	if _, err := openid.New(openid.Config{}); err != nil {
		t.Errorf("New of the zero Config: %v", err)
	}
}

// China's v1.0 tokens have an issuer of their own. The token below is refused for
// what is checked after the issuer.
func TestNationalClouds(t *testing.T) {
	for host, issuer := range map[string]string{
		"https://login.partner.microsoftonline.cn": "https://sts.chinacloudapi.cn/",
		"https://login.microsoftonline.us":         "https://sts.windows.net/",
		"https://login.microsoftonline.com":        "https://sts.windows.net/",
	} {
		v, err := openid.New(openid.Config{AuthorityHost: host, Now: func() time.Time { return start }})
		if err != nil {
			t.Fatal(err)
		}
		for iss, want := range map[string]error{
			host + "/" + tenant + "/v2.0": openid.Audience, issuer + tenant + "/": openid.Audience,
			"https://sts.example.com/" + tenant + "/": openid.Issuer,
		} {
			token := sign(oldKey, "old", object{"iss": iss, "tid": tenant, "aud": other, "exp": start.Add(time.Hour).Unix()})
			if _, err := v.AccessToken(t.Context(), token, client, tenant); !errors.Is(err, want) {
				t.Errorf("%s, issuer %s: %v, want %v", host, iss, err, want)
			}
		}
	}
}
