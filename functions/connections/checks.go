package connections

import (
	"cmp"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/connection"
)

// checkView is what a test of a connection has shown.
type checkView struct {
	Authenticates  bool             `json:"authenticates"`
	Problem        *problemView     `json:"problem"`
	Permissions    []permissionView `json:"permissions"`
	OwnsItself     *bool            `json:"ownsItself"` // or owns what it rotates; null: not known
	TwoSecretLimit *bool            `json:"twoSecretLimit"`
	ClientSecrets  *int             `json:"clientSecrets"` // how many there are
	Policy         *policyView      `json:"policy"`        // null: it can't be read
	CanRotate      bool             `json:"canRotate"`
	Why            []string         `json:"why"`
}

// policyView is what the tenant's app management policies say of the application.
type policyView struct {
	ClientSecretsForbidden bool     `json:"clientSecretsForbidden"`
	MaxLifetimeDays        *float64 `json:"maxLifetimeDays"` // null: there is no limit
}

type problemView struct {
	Class   serviceerror.Class `json:"class"`
	Message string             `json:"message"`
}

type permissionView struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Has       *bool  `json:"has"` // null: the token can't be read
	NeededFor string `json:"neededFor"`
}

func (h *Handler) test(r *request) (any, error) {
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	c, err := h.Service.Check(r.Context(), rec.ID)
	if err != nil {
		return nil, err
	}
	return map[string]any{"test": viewOfCheck(&c)}, nil
}

func viewOfCheck(c *connection.Check) checkView {
	v := checkView{
		Authenticates: c.Authenticates, OwnsItself: c.Owns, TwoSecretLimit: c.TwoSecretLimit, ClientSecrets: c.ClientSecrets,
		CanRotate: len(c.Why) == 0, Why: append([]string{}, c.Why...), Permissions: []permissionView{},
	}
	if c.Problem != "" {
		v.Problem = &problemView{c.Problem, c.Message}
	}
	if p := c.Policy; p != nil {
		v.Policy = &policyView{ClientSecretsForbidden: p.Forbidden}
		if p.Longest > 0 {
			v.Policy.MaxLifetimeDays = new(p.Longest.Hours() / 24)
		}
	}
	for _, p := range c.Permissions {
		v.Permissions = append(v.Permissions, permissionView{p.Name, p.Type, p.Has, p.NeededFor})
	}
	return v
}

// inspectionView is which client secret a value could be.
type inspectionView struct {
	ClientSecretKeyID *string         `json:"clientSecretKeyId"` // the one that it is beyond doubt
	Candidates        []candidateView `json:"candidates"`
	Complete          bool            `json:"complete"` // false: the service principal's could not be read
}

type candidateView struct {
	KeyID       string     `json:"keyId"`
	DisplayName string     `json:"displayName"`
	Hint        string     `json:"hint"`
	StartsAt    *time.Time `json:"startsAt"`
	ExpiresAt   *time.Time `json:"expiresAt"`
	Of          string     `json:"of"` // "application", or "servicePrincipal", where it can't be rotated
}

func (h *Handler) inspect(r *request) (any, error) {
	var b createBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	if b.Method = cmp.Or(b.Method, connection.ClientSecret); b.Method == connection.OAuth {
		return nil, badRequest("What a person may do is known after the sign-in only: give %q or %q as method.",
			connection.ClientSecret, connection.Certificate)
	}
	in, err := h.input(&b, r.caller)
	if err != nil {
		return nil, err
	}
	found, err := h.Service.Inspect(r.Context(), in)
	if err != nil {
		return nil, err
	}
	v := inspectionView{ClientSecretKeyID: some(found.KeyID), Complete: found.Complete, Candidates: []candidateView{}}
	for _, c := range found.Candidates {
		of := "application"
		if c.OnPrincipal {
			of = "servicePrincipal"
		}
		v.Candidates = append(v.Candidates, candidateView{c.KeyID, c.DisplayName, c.Hint, when(c.StartsAt), when(c.ExpiresAt), of})
	}
	return map[string]any{"inspection": v, "test": viewOfCheck(&found.Check)}, nil
}

// clientView is an application as Infisical's clients know it.
type clientView struct {
	ID    string `json:"id"` // the object id
	Name  string `json:"name"`
	AppID string `json:"appId"`
}

// clients lists the tenant's applications. Without limit it lists as many as there are,
// up to [connection.MaxClients].
func (h *Handler) clients(r *request) (any, error) {
	limit, err := r.whole("limit", connection.MaxClients, connection.MaxClients)
	if err != nil {
		return nil, err
	}
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	found, err := h.Service.Clients(r.Context(), rec.ID,
		connection.ClientQuery{Search: q.Get("search"), Cursor: q.Get("cursor"), Limit: limit})
	if err != nil {
		return nil, err
	}
	views := make([]clientView, 0, len(found.Clients))
	for _, c := range found.Clients {
		views = append(views, clientView{c.ObjectID, c.DisplayName, c.ClientID})
	}
	return listing{"clients": views}.next(found.Next), nil
}
