package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rekey/shared/secret"

	"rekey/shared/auth"
)

const (
	tenantID = "3f2b8c1e-0a4d-4c59-9b7a-5d1e2f3a4b5c"
	personID = "0f8fad5b-d9cb-469f-a165-70867728950e"
	clientID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
)

// verified answers for one token.
type verified struct {
	claims auth.Claims
	err    error
}

func (v verified) AccessToken(_ context.Context, token secret.Value, audience, tenant string) (auth.Claims, error) {
	if token.Reveal() != "a.b.c" || audience != "api://rekey" || tenant != tenantID {
		return auth.Claims{}, fmt.Errorf("asked for %s of %s", audience, tenant)
	}
	return v.claims, v.err
}

func TestEntraTokens(t *testing.T) {
	claims := func(change func(*auth.Claims)) auth.Claims {
		c := auth.Claims{TenantID: tenantID, ObjectID: personID, AppID: clientID, Name: "Ada"}
		change(&c)
		return c
	}
	app := func(roles ...string) auth.Claims { return claims(func(c *auth.Claims) { c.Roles = roles }) }
	user := func(scopes []string, roles ...string) auth.Claims {
		return claims(func(c *auth.Claims) { c.Scopes, c.Roles = scopes, roles })
	}
	scopes := func(s ...string) []string { return s }
	tests := map[string]struct {
		claims auth.Claims
		name   string // "": refused
		role   auth.Role
	}{
		"application, one role": {app("Connections.Read"), "app:" + clientID, auth.Read},
		"application, the highest wins": {app("Connections.Write", "Connections.Rotate", "Connections.Read"),
			"app:" + clientID, auth.Rotate},
		"application, no role":              {app(), "app:" + clientID, 0},
		"application, other roles":          {app("Admin", "connections.admin", "Connections.Admin "), "app:" + clientID, 0},
		"person, scope only":                {user(scopes("Connections.Write")), "user:" + personID, auth.Write},
		"person, role only":                 {user(scopes("user_impersonation"), "Connections.Admin"), "user:" + personID, auth.Admin},
		"person, client granted less":       {user(scopes("Connections.Read"), "Connections.Admin"), "user:" + personID, auth.Read},
		"person, assigned less":             {user(scopes("Connections.Admin"), "Connections.Read"), "user:" + personID, auth.Read},
		"person, neither":                   {user(scopes("openid")), "user:" + personID, 0},
		"ids in capitals":                   {claims(func(c *auth.Claims) { c.AppID = strings.ToUpper(clientID) }), "app:" + clientID, 0},
		"another tenant, however it got in": {claims(func(c *auth.Claims) { c.TenantID = personID }), "", 0},
		"no application":                    {claims(func(c *auth.Claims) { c.AppID = "" }), "", 0},
		"an application that is no GUID":    {claims(func(c *auth.Claims) { c.AppID = clientID + "\nuser:root" }), "", 0},
		"a person without a GUID":           {claims(func(c *auth.Claims) { c.ObjectID, c.Scopes = "ada@example.com", scopes("x") }), "", 0},
		"a person's name is not looked at":  {claims(func(c *auth.Claims) { c.Name = "app:" + personID }), "app:" + clientID, 0},
		"roles of a person are not an app's": {claims(func(c *auth.Claims) { c.Scopes = scopes("Connections.Rotate") }),
			"user:" + personID, auth.Rotate},
		"a scope that contains one is no one": {user(scopes("Connections.Admin.Read")), "user:" + personID, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := &auth.Authenticator{Tokens: &auth.EntraTokens{Verifier: verified{claims: tt.claims}, Audience: "api://rekey", TenantID: tenantID}}
			want := auth.Caller{Name: tt.name, Role: tt.role, Kind: auth.KindEntra}
			if tt.name == "" {
				want = auth.Caller{}
			}
			got, err := a.Authenticate(request("Bearer a.b.c"))
			if got != want || errors.Is(err, auth.ErrUnauthenticated) != (tt.name == "") || (err != nil) != (tt.name == "") {
				t.Errorf("Authenticate = %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

// A caller without a role is known, and may do nothing.
func TestNoRoleAllowsNothing(t *testing.T) {
	v := verified{claims: auth.Claims{TenantID: tenantID, AppID: clientID}}
	caller, err := (&auth.EntraTokens{Verifier: v, Audience: "api://rekey", TenantID: tenantID}).Validate(t.Context(), "a.b.c")
	if err != nil || caller.Name == "" || caller.Role.Allows(auth.Read) || caller.Role.String() != "none" {
		t.Errorf("Validate = %+v, %v", caller, err)
	}
}

func TestEntraTokensErrors(t *testing.T) {
	outage := errors.New("the keys could not be read")
	refused := fmt.Errorf("expired: %w", auth.ErrUnauthenticated)
	for name, tt := range map[string]struct {
		tokens *auth.EntraTokens
		want   error
	}{
		"refused": {&auth.EntraTokens{Verifier: verified{err: refused}, Audience: "api://rekey", TenantID: tenantID},
			auth.ErrUnauthenticated},
		"cannot tell": {&auth.EntraTokens{Verifier: verified{err: outage}, Audience: "api://rekey", TenantID: tenantID}, outage},
		"nil":         {nil, auth.ErrUnconfigured},
		"no verifier": {&auth.EntraTokens{Audience: "api://rekey", TenantID: tenantID}, auth.ErrUnconfigured},
		"no audience": {&auth.EntraTokens{Verifier: verified{}, TenantID: tenantID}, auth.ErrUnconfigured},
		"no tenant":   {&auth.EntraTokens{Verifier: verified{}, Audience: "api://rekey"}, auth.ErrUnconfigured},
	} {
		caller, err := tt.tokens.Validate(t.Context(), "a.b.c")
		if !errors.Is(err, tt.want) || caller != (auth.Caller{}) {
			t.Errorf("%s: Validate = %+v, %v; want %v", name, caller, err, tt.want)
		}
		if tt.want == outage && errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%s: an outage counts as a verdict", name)
		}
	}
}

// A person who signed in has the highest role that is assigned to them, and the same name as
// when they call the API.
func TestPerson(t *testing.T) {
	for name, tt := range map[string]struct {
		objectID string
		roles    []string
		want     auth.Caller
	}{
		"two roles": {strings.ToUpper(personID), []string{"Connections.Write", "Connections.Read"},
			auth.Caller{Name: "user:" + personID, Role: auth.Write, Kind: auth.KindEntra}},
		"no role":      {personID, []string{"Admin"}, auth.Caller{Name: "user:" + personID, Kind: auth.KindEntra}},
		"no object id": {"ada@example.com", []string{"Connections.Admin"}, auth.Caller{}},
	} {
		got, err := auth.Person(tt.objectID, tt.roles)
		if got != tt.want || (err != nil) != (tt.want.Name == "") {
			t.Errorf("%s: Person = %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
}
