// Package auth decides who is calling.
//
// It is one piece of code for every host, and it promises that no caller gets in
// without being known: an Authenticator that is not configured refuses everything,
// and so does the nil one. It says who a caller is and what role that is; which
// role an operation needs is for the operation to say, with [Role.Allows].
//
// A caller who is refused does not learn why. What is wrong with a key is a detail
// that helps only those who guess. It is in the error, a [Refusal], for the log.
package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"rekey/shared/secret"
)

var (
	// ErrUnauthenticated says that the request carries no credential, one that
	// is malformed, or one that is not known; which of these is not told.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrUnconfigured says that no caller can be known, because neither API keys
	// nor Entra tokens are configured. It is the same for every request.
	ErrUnconfigured = errors.New("no way of authenticating is configured")
)

// Role is what a caller may do. Each role includes those before it; the zero Role
// may do nothing.
type Role int

// The roles, with what each adds.
const (
	Read   Role = iota + 1 // look at connections, their history and the inventory
	Write                  // create, change and delete connections, scan tenants
	Rotate                 // rotate, and turn rotation on
	Admin                  // read the audit, abandon a run, accept findings
)

var roleNames = [...]string{Read: "read", Write: "write", Rotate: "rotate", Admin: "admin"}

// ParseRole reads "read", "write", "rotate" or "admin".
func ParseRole(s string) (Role, error) {
	for role, name := range roleNames {
		if name != "" && name == s {
			return Role(role), nil
		}
	}
	return 0, errors.New("the role must be read, write, rotate or admin")
}

// String returns the name that [ParseRole] reads, "none" for the zero Role.
func (r Role) String() string {
	if r < Read || r > Admin {
		return "none"
	}
	return roleNames[r]
}

// Allows reports whether a caller with role r may do what needs the role need.
func (r Role) Allows(need Role) bool { return r >= need && need >= Read && r <= Admin }

// The kinds of callers.
const (
	KindKey        = "api-key"     // an API key of Rekey's
	KindEntra      = "entra"       // an Entra access token
	KindAppService = "app-service" // App Service's own authentication
)

// Caller is a person or an application that is known. Name is what the audit shows.
type Caller struct {
	Name string
	Role Role
	Kind string // [KindKey], [KindEntra] or [KindAppService]
	// Shown is what the directory calls a person who has signed in to the console; empty: not known. It proves
	// nothing and has at most 101 characters, all of which can be seen.
	Shown string
}

// Label is the name for the audit: with what the directory calls the person, where that is known.
func (c Caller) Label() string {
	if c.Shown == "" {
		return c.Name
	}
	return c.Name + " (" + c.Shown + ")"
}

// TokenValidator knows callers by an Entra access token. The error of Validate is
// an [ErrUnauthenticated], by errors.Is, for a token that is not good; any other
// means that it could not tell, which keeps the caller out just as well.
// [EntraTokens] is one.
type TokenValidator interface {
	Validate(ctx context.Context, token string) (Caller, error)
}

// Authenticator knows callers by what they carry in the Authorization header or,
// where that is missing and AppService is set, by what App Service says. It is safe
// for concurrent use, as long as nothing changes it.
type Authenticator struct {
	Keys   []Key          // the API keys that are known
	Tokens TokenValidator // nil: Entra tokens are refused

	// AppService says that App Service's own authentication stands in front of
	// this process, so that X-MS-CLIENT-PRINCIPAL is its word. Without it
	// any client can send that header. It may be set only where
	// WEBSITE_AUTH_ENABLED is true, and never on AWS Lambda.
	AppService bool
	// TenantID is the GUID of the tenant whose people and applications App
	// Service may vouch for. Without it AppService is as good as not set: the
	// administrators of any tenant can assign themselves roles there.
	TenantID string
}

// Authenticate returns who sent r, or an error: by errors.Is [ErrUnauthenticated]
// or [ErrUnconfigured], or that of a TokenValidator that could not tell. After any
// error the request must not be carried out. A request that has both an
// Authorization header and App Service's is judged by the former alone.
func (a *Authenticator) Authenticate(r *http.Request) (Caller, error) {
	if !a.configured() {
		return Caller{}, ErrUnconfigured
	}
	if len(r.Header.Values("Authorization")) == 0 && a.appService() {
		return a.byPrincipal(r)
	}
	token, ok := bearer(r.Header)
	switch {
	case !ok:
		return Caller{}, noBearer(r.Header)
	case strings.HasPrefix(token, keyPrefix):
		return a.byKey(secret.New(token))
	case a.Tokens == nil:
		return Caller{}, NoTokens
	}
	caller, err := a.Tokens.Validate(r.Context(), token)
	if err != nil {
		return Caller{}, err
	}
	return caller, nil
}

func (a *Authenticator) configured() bool {
	return a != nil && (len(a.Keys) > 0 || a.Tokens != nil || a.appService())
}

// noBearer says why there is no token in the header.
func noBearer(h http.Header) Refusal {
	switch len(h.Values("Authorization")) {
	case 0:
		return NoHeader
	case 1:
		return NotBearer
	}
	return SeveralHeaders
}

// maxToken is more than any Entra token takes; what is longer is not looked at.
const maxToken = 16 << 10

// bearer returns the token of the only Authorization header. There are spaces between
// scheme and token (RFC 9110, section 11.4: one or more) and nothing around: a header
// that two readers may read differently is no good for authentication. Hosts join repeated headers with a comma, which is
// no part of a token (RFC 6750, section 2.1), so these are refused as well.
func bearer(h http.Header) (token string, ok bool) {
	values := h.Values("Authorization")
	if len(values) != 1 || len(values[0]) > maxToken {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false
	}
	padding := false
	for _, c := range []byte(token) {
		switch {
		case c == '=':
			padding = true
		case padding, !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/", c) >= 0):
			return "", false
		}
	}
	return token, token[0] != '='
}
