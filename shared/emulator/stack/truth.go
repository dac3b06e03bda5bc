package stack

import (
	"net/http"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// sample is a new application. Its secret is the one value that the fault API shows:
// a person or a test has to hand it to Rekey.
type sample struct {
	TenantID     string `json:"tenantId"`
	ClientID     string `json:"clientId"`
	ObjectID     string `json:"objectId"`
	ClientSecret string `json:"clientSecret"`
	KeyID        string `json:"keyId"`
}

func (s *Stack) postApplications(r *http.Request) (any, error) {
	var p struct {
		Name string `json:"name"`
	}
	if err := read(r, &p); err != nil {
		return nil, err
	}
	app, err := s.AddSample(p.Name)
	if err != nil {
		return nil, err
	}
	return sample{app.TenantID, app.ClientID, app.ObjectID, app.Secret, app.KeyID}, nil
}

// settings is what can be changed about an application; what is nil stays.
type settings struct {
	Audience *string `json:"audience"`
	Policy   *struct {
		Forbidden   bool           `json:"forbidden"`
		MaxLifetime fault.Duration `json:"maxLifetime"`
	} `json:"policy"`
	Roles        *[]string `json:"roles"`
	Owners       *[]string `json:"owners"`
	MaxPasswords *int      `json:"maxPasswords"`
	Disabled     *bool     `json:"disabled"` // of its service principal: it gets no token
}

// policyID is the id of every policy that comes from here.
const policyID = "00000000-0000-4000-8000-00000000f002"

func (s *Stack) patchApplication(r *http.Request) (any, error) {
	var p settings
	if err := read(r, &p); err != nil {
		return nil, err
	}
	err := s.Directory.Change(r.PathValue("id"), func(now *directory.Settings) {
		if p.Audience != nil {
			now.SignInAudience = *p.Audience
		}
		if p.Policy != nil {
			now.Policy = directory.Policy{ID: policyID, ForbidPasswords: p.Policy.Forbidden, MaxLifetime: time.Duration(p.Policy.MaxLifetime)}
		}
		if p.Roles != nil {
			now.Roles = *p.Roles
		}
		if p.Owners != nil {
			now.Owners = *p.Owners
		}
		if p.MaxPasswords != nil {
			now.MaxPasswords = *p.MaxPasswords
		}
	})
	if err == nil && p.Disabled != nil {
		err = s.Directory.ChangePrincipal(s.Directory.PrincipalOf(r.PathValue("id")), func(now *directory.PrincipalSettings) {
			now.Disabled = *p.Disabled
		})
	}
	if err != nil {
		return nil, errUnknown
	}
	return p, nil
}

// password is a client secret without its value.
type password struct {
	KeyID       string    `json:"keyId"`
	DisplayName string    `json:"displayName"`
	StartsAt    time.Time `json:"startsAt"`
	ExpiresAt   time.Time `json:"expiresAt"`
}

func (s *Stack) getPasswords(r *http.Request) (any, error) {
	id := r.PathValue("id")
	// Changing nothing tells an application without client secrets from none.
	if s.Directory.Change(id, func(*directory.Settings) {}) != nil {
		return nil, errUnknown
	}
	list := []password{}
	for _, p := range s.Directory.Passwords(id) {
		list = append(list, password{p.KeyID, p.DisplayName, p.StartsAt, p.ExpiresAt})
	}
	return map[string]any{"passwords": list}, nil
}

// version is a version of a vault secret without its value.
type version struct {
	Version     string            `json:"version"`
	ContentType string            `json:"contentType,omitempty"`
	Enabled     bool              `json:"enabled"`
	Tags        map[string]string `json:"tags"`
	CreatedAt   time.Time         `json:"createdAt"`
	ExpiresAt   *time.Time        `json:"expiresAt,omitempty"`
	// Authenticates says that the value is a client secret of the application
	// ClientID, once every replica knows all that has happened.
	Authenticates bool   `json:"authenticates"`
	ClientID      string `json:"clientId,omitempty"`
}

func (s *Stack) getVault(r *http.Request) (any, error) {
	name := r.PathValue("name")
	versions := s.Vault.Versions(name)
	if versions == nil {
		return nil, errUnknown
	}
	list := []version{}
	for _, v := range versions {
		one := version{Version: v.ID, ContentType: v.ContentType, Enabled: v.Enabled, Tags: v.Tags, CreatedAt: v.CreatedAt}
		one.ClientID, one.Authenticates = s.Directory.SecretOf(v.Value)
		if !v.ExpiresAt.IsZero() {
			one.ExpiresAt = &v.ExpiresAt
		}
		list = append(list, one)
	}
	return map[string]any{"deleted": s.Vault.Deleted(name), "versions": list}, nil
}
