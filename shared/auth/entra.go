package auth

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"rekey/shared/secret"
)

// Claims are what a verified Entra access token says, as far as it matters who may
// do what. Name is what a directory calls the caller, who can change it; it
// is never used to know a caller.
type Claims struct {
	TenantID string   // tid, a GUID in lower case
	ObjectID string   // oid, a GUID in lower case: the person, or the application's service principal
	AppID    string   // azp or appid, a GUID in lower case: the application that sends the token; in every access token
	Name     string   // name; may be empty
	Roles    []string // roles: app roles assigned to the person or the application
	Scopes   []string // scp: what the application may do for the person; empty if it acts for itself
}

// AccessTokens verifies access tokens. AccessToken returns the claims of a token
// that the tenant signed for the audience and that is valid now; an error for which
// errors.Is reports [ErrUnauthenticated] for any other; and another error when it
// could not tell.
type AccessTokens interface {
	AccessToken(ctx context.Context, token secret.Value, audience, tenantID string) (Claims, error)
}

// EntraTokens knows callers by their Entra access tokens, by one application
// registration of one tenant.
//
// The registration defines the app roles Connections.Read, Connections.Write,
// Connections.Rotate and Connections.Admin, and scopes of the same names where
// people use clients. An application has the highest role assigned to it. A person
// has the highest role assigned to them, but through a client no more than the
// highest scope that the client was granted; where the registration uses only one
// of the two for people, that one decides. Scopes say what a client may do for
// a person and not who that is, so a registration that uses scopes alone should
// require assignment.
//
// A person or an application that the tenant knows, and that has none of these, is a
// Caller with the role none: known, named in the audit, and allowed nothing.
type EntraTokens struct {
	Verifier AccessTokens
	Audience string // the registration's client id, or identifier URI for v1.0 tokens
	TenantID string // a GUID
}

var _ TokenValidator = (*EntraTokens)(nil)

// Validate implements [TokenValidator]. The Name of a person is user:<object id>,
// that of an application app:<client id>: both for good, unlike any name that
// people read.
func (e *EntraTokens) Validate(ctx context.Context, token string) (Caller, error) {
	if e == nil || e.Verifier == nil || e.Audience == "" || e.TenantID == "" {
		return Caller{}, ErrUnconfigured
	}
	c, err := e.Verifier.AccessToken(ctx, secret.New(token), e.Audience, e.TenantID)
	if errors.Is(err, ErrUnauthenticated) {
		return Caller{}, err
	}
	if err != nil {
		return Caller{}, fmt.Errorf("verifying an access token: %w", err)
	}
	switch {
	case !strings.EqualFold(c.TenantID, e.TenantID):
		return Caller{}, OtherTenant
	case c.AppID == "":
		return Caller{}, NoCaller
	}
	return caller(c, KindEntra)
}

// Person returns the caller that a verified ID token names, by the app roles of the
// application that the person signed in to. That the token is of the right tenant is for
// its verification to see to.
func Person(objectID string, roles []string) (Caller, error) {
	return caller(Claims{ObjectID: objectID, Roles: roles}, KindEntra)
}

// caller gives a caller whose claims are true a name and a role. An application
// that has scopes acts for a person.
func caller(c Claims, kind string) (Caller, error) {
	name, id := "app:", c.AppID
	if len(c.Scopes) > 0 || c.AppID == "" {
		name, id = "user:", c.ObjectID
	}
	if !guidForm.MatchString(id) {
		return Caller{}, NoCaller
	}
	return Caller{Name: name + strings.ToLower(id), Role: roleOf(c), Kind: kind}, nil
}

// The name goes into logs and the audit, so it must be what it looks like.
var guidForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// entraRoles are the app roles and scopes, spelled as the registration must.
var entraRoles = map[string]Role{
	"Connections.Read": Read, "Connections.Write": Write, "Connections.Rotate": Rotate, "Connections.Admin": Admin,
}

func roleOf(c Claims) Role {
	assigned, granted := highest(c.Roles), highest(c.Scopes)
	if assigned == 0 || granted == 0 {
		return max(assigned, granted)
	}
	return min(assigned, granted)
}

func highest(names []string) (role Role) {
	for _, name := range names {
		role = max(role, entraRoles[name])
	}
	return role
}
