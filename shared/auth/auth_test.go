package auth_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/secret"
)

// newKey makes a key and its entry.
func newKey(t *testing.T, name string, role auth.Role) (string, auth.Key) {
	t.Helper()
	key, hash, err := auth.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := auth.ParseKey(fmt.Sprintf("%s:%s:%s", name, role, hash))
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal(), entry
}

// request carries the given Authorization headers.
func request(headers ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	r.Header["Authorization"] = headers
	return r
}

// tokens knows one token.
type tokens struct {
	good string
	err  error
}

func (v tokens) Validate(_ context.Context, token string) (auth.Caller, error) {
	if token == v.good {
		return auth.Caller{Name: "somebody", Role: auth.Write, Kind: auth.KindEntra}, nil
	}
	return auth.Caller{Name: "nobody", Role: auth.Admin}, v.err
}

func TestUnconfigured(t *testing.T) {
	key, _ := newKey(t, "ci", auth.Admin)
	for _, a := range []*auth.Authenticator{nil, {}, {Keys: []auth.Key{}}} {
		for _, r := range []*http.Request{request(), request("Bearer " + key), request("Bearer ")} {
			if caller, err := a.Authenticate(r); !errors.Is(err, auth.ErrUnconfigured) || caller != (auth.Caller{}) {
				t.Errorf("Authenticate = %+v, %v; want ErrUnconfigured", caller, err)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	oldKey, old := newKey(t, "ci", auth.Rotate)
	newerKey, newer := newKey(t, "ci", auth.Rotate)
	readKey, read := newKey(t, "dashboard", auth.Read)
	stranger, _ := newKey(t, "stranger", auth.Admin)

	during := &auth.Authenticator{Keys: []auth.Key{old, read, newer}} // roll-over: both work
	after := &auth.Authenticator{Keys: []auth.Key{read, newer}}
	ci := auth.Caller{Name: "ci", Role: auth.Rotate, Kind: auth.KindKey}
	dashboard := auth.Caller{Name: "dashboard", Role: auth.Read, Kind: auth.KindKey}
	tests := []struct {
		name string
		a    *auth.Authenticator
		key  string
		want auth.Caller // zero: refused
	}{
		{"old key during roll-over", during, oldKey, ci},
		{"new key during roll-over", during, newerKey, ci},
		{"old key after roll-over", after, oldKey, auth.Caller{}},
		{"new key after roll-over", after, newerKey, ci},
		{"another caller", during, readKey, dashboard},
		{"unknown key", during, stranger, auth.Caller{}},
		{"last character changed", during, oldKey[:len(oldKey)-1] + "_", auth.Caller{}},
		{"the hash instead of the key", during, "rk_" + hex.EncodeToString(old.Hash[:])[:43], auth.Caller{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.a.Authenticate(request("Bearer " + tt.key))
			if got != tt.want {
				t.Errorf("caller = %+v, want %+v", got, tt.want)
			}
			if refused := tt.want == (auth.Caller{}); errors.Is(err, auth.ErrUnauthenticated) != refused || (err != nil) != refused {
				t.Errorf("err = %v, want refused %v", err, refused)
			}
		})
	}
}

// Whatever is wrong, it is one kind of error, and its reason has nothing of what was sent.
func TestMalformedHeaders(t *testing.T) {
	key, entry := newKey(t, "ci", auth.Admin)
	a := &auth.Authenticator{Keys: []auth.Key{entry}, Tokens: tokens{good: "aaa.bbb.ccc", err: auth.ErrUnauthenticated}}
	tests := map[string][]string{
		"none":                    nil,
		"empty":                   {""},
		"two headers":             {"Bearer " + key, "Bearer " + key},
		"two headers, one empty":  {"Bearer " + key, ""},
		"two headers in one":      {"Bearer " + key + ", Bearer " + key},
		"another scheme":          {"Basic " + key},
		"no scheme":               {key},
		"no space":                {"Bearer" + key},
		"no token":                {"Bearer "},
		"scheme only":             {"Bearer"},
		"spaces only":             {"Bearer   "},
		"tab":                     {"Bearer\t" + key},
		"space before":            {" Bearer " + key},
		"space after":             {"Bearer " + key + " "},
		"line break after":        {"Bearer " + key + "\n"},
		"something after":         {"Bearer " + key + " x"},
		"quoted":                  {`Bearer "` + key + `"`},
		"padding only":            {"Bearer ==="},
		"padding inside":          {"Bearer a=b"},
		"padded key":              {"Bearer " + key + "="},
		"short key":               {"Bearer " + key[:len(key)-1]},
		"long key":                {"Bearer " + key + "A"},
		"prefix only":             {"Bearer rk_"},
		"other case of the key":   {"Bearer " + strings.ToUpper(key)},
		"oversize":                {"Bearer aaa.bbb." + strings.Repeat("c", 16<<10)},
		"oversize key":            {"Bearer " + key + strings.Repeat("A", 1<<20)},
		"not ASCII":               {"Bearer " + key[:10] + "é"},
		"NUL":                     {"Bearer " + key + "\x00"},
		"token that is not known": {"Bearer aaa.bbb.ccd"},
		"hash as token":           {"Bearer " + hex.EncodeToString(entry.Hash[:])},
	}
	for name, headers := range tests {
		t.Run(name, func(t *testing.T) {
			caller, err := a.Authenticate(request(headers...))
			if !errors.Is(err, auth.ErrUnauthenticated) || caller != (auth.Caller{}) {
				t.Fatalf("Authenticate = %+v, %v; want ErrUnauthenticated", caller, err)
			}
			if strings.Contains(err.Error(), key[3:10]) { // it goes into the log
				t.Errorf("the reason has what was sent: %v", err)
			}
		})
	}
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "Bearer   "} { // RFC 9110, sections 11.1 and 11.4
		if _, err := a.Authenticate(request(scheme + " " + key)); err != nil {
			t.Errorf("scheme %q: %v", scheme, err)
		}
	}
}

func TestTokens(t *testing.T) {
	key, entry := newKey(t, "ci", auth.Admin)
	outage := errors.New("the keys could not be read")
	tests := []struct {
		name  string
		a     *auth.Authenticator
		token string
		want  auth.Caller
		err   error
	}{
		{"good", &auth.Authenticator{Tokens: tokens{good: "a.b.c"}}, "a.b.c",
			auth.Caller{Name: "somebody", Role: auth.Write, Kind: auth.KindEntra}, nil},
		{"bad", &auth.Authenticator{Tokens: tokens{err: auth.ErrUnauthenticated}}, "a.b.c", auth.Caller{}, auth.ErrUnauthenticated},
		{"cannot tell", &auth.Authenticator{Tokens: tokens{err: outage}}, "a.b.c", auth.Caller{}, outage},
		{"no validator", &auth.Authenticator{Keys: []auth.Key{entry}}, "a.b.c", auth.Caller{}, auth.ErrUnauthenticated},
		{"a key is no token", &auth.Authenticator{Tokens: tokens{good: key}}, key, auth.Caller{}, auth.ErrUnauthenticated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.a.Authenticate(request("Bearer " + tt.token))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Authenticate = %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	all := []auth.Role{auth.Read, auth.Write, auth.Rotate, auth.Admin}
	for i, has := range all {
		for j, need := range all {
			if has.Allows(need) != (i >= j) {
				t.Errorf("%s.Allows(%s) = %v", has, need, has.Allows(need))
			}
		}
		if parsed, err := auth.ParseRole(has.String()); err != nil || parsed != has {
			t.Errorf("ParseRole(%q) = %v, %v", has, parsed, err)
		}
		if has.Allows(0) || has.Allows(-1) || auth.Role(0).Allows(has) {
			t.Errorf("a role that is none counts as one, with %s", has)
		}
	}
	if auth.Role(99).Allows(auth.Read) || auth.Role(0).Allows(0) || auth.Role(99).String() != "none" {
		t.Error("an unknown role allows something")
	}
	for _, s := range []string{"", "none", "Read", "owner"} {
		if r, err := auth.ParseRole(s); err == nil {
			t.Errorf("ParseRole(%q) = %v", s, r)
		}
	}
}

func TestNewKey(t *testing.T) {
	key, hash, err := auth.NewKey(bytes.NewReader(bytes.Repeat([]byte{0xfb}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "rk_-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s"; key.Reveal() != want {
		t.Errorf("key = %q, want %q", key.Reveal(), want)
	}
	if sum := sha256.Sum256([]byte(key.Reveal())); hash != hex.EncodeToString(sum[:]) {
		t.Errorf("hash = %q", hash)
	}
	if s := fmt.Sprintf("%v %+v %s", key, key, key); strings.Contains(s, "rk_") {
		t.Errorf("the key prints as %q", s)
	}
	if _, _, err := auth.NewKey(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a key was made of 31 bytes")
	}
}

func TestParseKey(t *testing.T) {
	hash := strings.Repeat("0123456789abcdef", 4)
	k, err := auth.ParseKey("ci@example.com:write:" + strings.ToUpper(hash))
	if err != nil || k.Name != "ci@example.com" || k.Role != auth.Write || k.String() != "ci@example.com:write:"+hash {
		t.Errorf("ParseKey = %v, %v", k, err)
	}
	key, _ := newKey(t, "ci", auth.Admin)
	for _, entry := range []string{"", key, key + ":admin:" + hash, "ci:admin:" + key,
		"ci:" + key + ":" + hash, "ci:admin", "ci:owner:" + hash,
		"ci:admin:" + hash[1:], "ci:admin:" + hash + "00", "ci:admin:" + hash + ":", ":admin:" + hash, "a b:admin:" + hash} {
		_, err := auth.ParseKey(entry)
		if err == nil {
			t.Errorf("ParseKey(%q) was accepted", entry)
		} else if strings.Contains(err.Error(), "rk_") {
			t.Errorf("the key shows in %q", err)
		}
	}
}

// A key signs in by the name that it was given, and by no other. What is no key does not
// sign in that way, whatever else it opens.
func TestLogin(t *testing.T) {
	one, first := newKey(t, "ci", auth.Rotate)
	two, second := newKey(t, "ci", auth.Read) // which is going to replace the first
	other, third := newKey(t, "ops", auth.Admin)
	a := &auth.Authenticator{Keys: []auth.Key{first, second, third}, Tokens: tokens{good: "token"}}
	for _, tt := range []struct {
		name, key string
		role      auth.Role
	}{
		{"ci", one, auth.Rotate}, {"ci", two, auth.Read}, {"ops", other, auth.Admin},
		{"ci", other, 0}, {"ops", one, 0}, {"CI", one, 0}, {"", one, 0}, {"ci", "", 0}, {"ci", one + "\n", 0}, {"ci", one[3:], 0},
		{"ci", one[:len(one)-1], 0}, {"entra", "token", 0}, {"ci", "token", 0}, {one, "ci", 0}, {"", "", 0},
	} {
		caller, err := a.Login(tt.name, secret.New(tt.key))
		if tt.role == 0 {
			if !errors.Is(err, auth.ErrUnauthenticated) || caller != (auth.Caller{}) {
				t.Errorf("%q with a wrong key: %+v, %v", tt.name, caller, err)
			}
			continue
		}
		if err != nil || caller != (auth.Caller{Name: tt.name, Role: tt.role, Kind: auth.KindKey}) {
			t.Errorf("%q: %+v, %v", tt.name, caller, err)
		}
	}
	for _, a := range []*auth.Authenticator{nil, {}} {
		if _, err := a.Login("ci", secret.New(one)); !errors.Is(err, auth.ErrUnconfigured) {
			t.Errorf("unconfigured: %v", err)
		}
	}
}

// A key is known by its hash for as long as that is configured, by what is configured then.
func TestByHash(t *testing.T) {
	key, entry := newKey(t, "ci", auth.Admin)
	hash, err := auth.HashKey(secret.New(key))
	if err != nil || hash != entry.Hash {
		t.Fatalf("HashKey: %v", err)
	}
	now := &auth.Authenticator{Keys: []auth.Key{{Name: "ci-2", Role: auth.Read, Hash: hash}}}
	if got, err := now.ByHash(hash); err != nil || got != (auth.Caller{Name: "ci-2", Role: auth.Read, Kind: auth.KindKey}) {
		t.Errorf("ByHash = %+v, %v", got, err)
	}
	_, other := newKey(t, "ci", auth.Admin)
	if got, err := (&auth.Authenticator{Keys: []auth.Key{other}}).ByHash(hash); err != auth.UnknownKey || got != (auth.Caller{}) {
		t.Errorf("removed: ByHash = %+v, %v", got, err)
	}
	for _, a := range []*auth.Authenticator{nil, {}} {
		if got, err := a.ByHash(hash); err != auth.ErrUnconfigured || got != (auth.Caller{}) {
			t.Errorf("unconfigured: ByHash = %+v, %v", got, err)
		}
	}
	for _, s := range []string{"", "rk_", key + "x", key[1:]} {
		if _, err := auth.HashKey(secret.New(s)); err != auth.UnknownKey {
			t.Errorf("HashKey of %d characters: %v", len(s), err)
		}
	}
}
