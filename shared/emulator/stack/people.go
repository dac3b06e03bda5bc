package stack

import (
	"fmt"
	"net/http"

	"rekey/shared/emulator/directory"
)

// OAuthApplication is what Rekey's OAuth method needs: an application that people of
// any tenant sign in to, and two of them in the stack's own. The application's roles of the
// console are Connections.Admin for the one and Connections.Read for the other.
type OAuthApplication struct {
	directory.Application
	Administrator string // object id of a user who may consent to everything
	Ordinary      string // object id of a user who may not
}

// AddOAuthApplication registers an application for signing in, with these redirect URIs
// and a client secret. No person has consented to anything yet.
func (s *Stack) AddOAuthApplication(redirectURIs ...string) (OAuthApplication, error) {
	app, err := s.Directory.AddApplication(directory.Registration{TenantID: s.TenantID, Settings: directory.Settings{
		DisplayName: "Rekey sign-in", SignInAudience: "AzureADMultipleOrgs",
		RedirectURIs: redirectURIs, Delegated: []string{directory.ScopeUserRead, directory.RoleReadWriteAll},
	}})
	if err != nil {
		return OAuthApplication{}, fmt.Errorf("registering the OAuth application: %w", err)
	}
	added := OAuthApplication{Application: app}
	for _, one := range []struct {
		id   *string
		user directory.User
	}{
		{&added.Administrator, directory.User{TenantID: s.TenantID, Name: "Ada Administrator",
			Roles: []string{directory.ApplicationAdministrator}}},
		{&added.Ordinary, directory.User{TenantID: s.TenantID, Name: "Otto Ordinary"}},
	} {
		if *one.id, err = s.Directory.AddUser(one.user); err != nil {
			return OAuthApplication{}, fmt.Errorf("adding people: %w", err)
		}
	}
	err = s.Directory.Change(app.ObjectID, func(c *directory.Settings) {
		c.AppRoles = map[string][]string{added.Administrator: {"Connections.Admin"}, added.Ordinary: {"Connections.Read"}}
	})
	if err != nil {
		return OAuthApplication{}, fmt.Errorf("giving people app roles: %w", err)
	}
	return added, nil
}

// CallerToken is an Entra access token of the stack's tenant for a caller of Rekey's
// own API; see [directory.Directory.AccessToken] for the claims.
func (s *Stack) CallerToken(claims map[string]any) string {
	return s.Directory.AccessToken(s.AuthorityURL, s.TenantID, claims)
}

// Person is a user who signs in to the stack's directory without a browser.
func (s *Stack) Person(userID string) directory.Person {
	return directory.Person{UserID: userID, Client: &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS, DisableKeepAlives: true}}}
}
