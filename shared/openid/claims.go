package openid

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

const (
	// maxToken is more than Entra issues: its largest tokens have 200 groups.
	maxToken = 16 << 10
	// skew is how far Entra's clock and ours may differ, on either side.
	skew = 5 * time.Minute
)

// header is the part of a JWT's header that is looked at before go-jose does.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// claims are those of both kinds of tokens, by the names that Microsoft's
// references of ID token claims and of access token claims give.
type claims struct {
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	TenantID  string   `json:"tid"`
	Expires   *int64   `json:"exp"` // seconds since 1970
	NotBefore *int64   `json:"nbf"`
	Nonce     string   `json:"nonce"`

	ObjectID string   `json:"oid"`
	Subject  string   `json:"sub"`
	Name     string   `json:"name"`
	Username string   `json:"preferred_username"`
	Roles    []string `json:"roles"`
	Scopes   string   `json:"scp"`   // separated by spaces
	ClientV1 string   `json:"appid"` // who asked for an access token, in v1.0
	ClientV2 string   `json:"azp"`   // in v2.0
}

func (c claims) client() string {
	if c.ClientV2 != "" {
		return c.ClientV2
	}
	return c.ClientV1
}

// check looks at what all tokens have in common, and asks more in between.
func (c claims) check(now time.Time, more func(claims) error) error {
	// The tenant becomes part of an address.
	if !isGUID(c.TenantID) || c.Expires == nil {
		return Malformed
	}
	if err := more(c); err != nil {
		return err
	}
	if now.Add(-skew).Unix() >= *c.Expires {
		return Expired
	}
	if c.NotBefore != nil && now.Add(skew).Unix() < *c.NotBefore {
		return NotYetValid
	}
	return nil
}

// audience is a JSON string or a list of them. Entra sends one string.
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// is reports whether the token is for want and for no other audience. A registration has
// one name in tokens of v2.0, its client id, and may have another one in those of v1.0,
// which is api:// and the client id unless its owner has chosen one. Where want is
// the latter, both are meant: the client id names nothing else.
func (a audience) is(want string) bool {
	if len(a) != 1 {
		return false
	}
	id, ok := strings.CutPrefix(want, "api://")
	return a[0] == want || ok && isGUID(id) && a[0] == id
}

func (a audience) first() string { return a[0] } // after is

var guidForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func isGUID(s string) bool { return guidForm.MatchString(s) }

// decode reads what a token says about itself. Nothing of it is true yet.
func decode(raw string) (header, claims, error) {
	parts := strings.Split(raw, ".")
	if len(raw) > maxToken || len(parts) != 3 {
		return header{}, claims{}, Malformed
	}
	var h header
	var c claims
	if !decodePart(parts[0], &h) || !decodePart(parts[1], &c) {
		return header{}, claims{}, Malformed
	}
	return h, c, nil
}

func decodePart(part string, v any) bool {
	data, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(data, v) == nil
}
