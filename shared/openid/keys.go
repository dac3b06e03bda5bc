package openid

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"rekey/shared/serviceerror"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// Microsoft asks to look for new keys once a day and at once for an unknown key id
// ("Signing key rollover in the Microsoft identity platform").
const (
	// A key that was withdrawn is accepted for keyLife at most, and for keyGrace
	// while the keys cannot be read: an outage of theirs should not be one of ours.
	keyLife  = time.Hour
	keyGrace = 24 * time.Hour
	// An unknown key id makes us ask again, but not more often than this: any caller
	// can make up key ids.
	pause       = time.Minute
	pauseFailed = 10 * time.Second

	fetchTimeout = 10 * time.Second
	maxAnswer    = 512 << 10 // Entra's has about 20 KB
	minBits      = 2048
	maxTenants   = 1024

	// Over all tenants; only ID tokens of any tenant can come near it.
	budgetRate  = rate.Limit(1) // a second
	budgetBurst = 60
)

// keySet is the keys of one tenant.
type keySet struct {
	v      *Verifier
	url    string
	flight singleflight.Group

	mu     sync.Mutex
	byID   map[string]*rsa.PublicKey
	read   time.Time // when byID was
	asked  time.Time // when a call last tried to read
	failed error     // what came of that
}

// keys returns the key set of a tenant, which is a GUID.
func (v *Verifier) keys(tenantID string) *keySet {
	tenantID = strings.ToLower(tenantID)
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.tenants[tenantID]; ok {
		return s
	}
	if len(v.tenants) >= maxTenants {
		clear(v.tenants) // rare, and costs one request for each tenant; the budget holds
	}
	// Where the discovery document of every cloud says they are; asking it would
	// be one more request, and one more answer to mistrust.
	s := &keySet{v: v, url: v.authority + "/" + tenantID + "/discovery/v2.0/keys"}
	v.tenants[tenantID] = s
	return s
}

// key returns the key with that id: from memory while it is fresh, else after
// asking, and if that fails from memory for longer. There is no key where the
// error is [Signature].
func (s *keySet) key(ctx context.Context, id string) (*rsa.PublicKey, error) {
	if key, _ := s.known(id, keyLife); key != nil {
		return key, nil
	}
	// The flight is not one caller's own: who hangs up must not make it fail for
	// the others.
	detached := context.WithoutCancel(ctx)
	done := s.flight.DoChan("", func() (any, error) { s.refresh(detached); return nil, nil })
	select {
	case <-done:
	case <-ctx.Done():
		return nil, failure(serviceerror.Transient, 0)
	}
	key, err := s.known(id, keyGrace)
	switch {
	case key != nil:
		return key, nil
	case err != nil:
		return nil, err
	}
	return nil, Signature
}

// known looks for a key among those that were read at most age ago. The error is
// that of the last attempt to read them.
func (s *keySet) known(id string, age time.Duration) (*rsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.v.now().Sub(s.read) >= age {
		return nil, s.failed
	}
	return s.byID[id], s.failed
}

// refresh reads the keys, unless that was done a moment ago.
func (s *keySet) refresh(ctx context.Context) {
	now := s.v.now()
	s.mu.Lock()
	wait := pause
	if s.failed != nil {
		wait = pauseFailed
	}
	since := now.Sub(s.asked)
	tooSoon := !s.asked.IsZero() && since >= 0 && since < wait
	if !tooSoon {
		s.asked = now
	}
	s.mu.Unlock()
	if tooSoon {
		return
	}
	var byID map[string]*rsa.PublicKey
	var err error = failure(serviceerror.Throttled, 0)
	if s.v.budget.AllowN(now, 1) {
		byID, err = s.fetch(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed = err; err == nil {
		s.byID, s.read = byID, now
	}
}

func (s *keySet) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, failure(serviceerror.Invalid, 0)
	}
	answer, err := s.v.client.Do(r)
	if err != nil {
		return nil, failure(serviceerror.Transient, 0)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusTooManyRequests:
		return nil, failure(serviceerror.Throttled, answer.StatusCode)
	case answer.StatusCode >= 500:
		return nil, failure(serviceerror.Transient, answer.StatusCode)
	case answer.StatusCode != http.StatusOK:
		return nil, failure(serviceerror.Invalid, answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, failure(serviceerror.Transient, answer.StatusCode)
	}
	keys := parseKeys(body)
	if len(body) > maxAnswer || len(keys) == 0 {
		return nil, failure(serviceerror.Invalid, answer.StatusCode)
	}
	return keys, nil
}

// parseKeys takes the RSA signing keys of a JWK Set (RFC 7517; RFC 7518, section
// 6.3.1). Keys that are not understood are passed over, as section 5 of the former
// says. The certificates beside the keys are not looked at: they add nothing to
// what the connection to Entra proves already.
func parseKeys(body []byte) map[string]*rsa.PublicKey {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil {
		return nil
	}
	keys := make(map[string]*rsa.PublicKey)
	for _, raw := range set.Keys {
		var key struct {
			Type     string `json:"kty"`
			Use      string `json:"use"`
			ID       string `json:"kid"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		}
		if json.Unmarshal(raw, &key) != nil || key.Type != "RSA" || key.ID == "" || key.Use != "" && key.Use != "sig" {
			continue
		}
		n, e := number(key.Modulus), number(key.Exponent)
		if n.BitLen() >= minBits && e.BitLen() >= 2 && e.BitLen() <= 31 {
			keys[key.ID] = &rsa.PublicKey{N: n, E: int(e.Int64())}
		}
	}
	return keys
}

// number reads a Base64urlUInt; what is none is 0.
func number(s string) *big.Int {
	data, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(data)
}

func failure(class serviceerror.Class, status int) *serviceerror.Error {
	return &serviceerror.Error{Op: "reading Entra's signing keys", Class: class, Status: status}
}
