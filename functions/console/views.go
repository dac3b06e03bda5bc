package console

import (
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/serviceerror"
)

// These are the API's answers, as far as pages show them.

// subject is a connection, or a target of one.
type subject struct {
	ID                    string
	ConnectionID          string // of a target
	Name                  string
	Description           *string
	Version               int64
	ProjectID             *string
	Method                string
	Credentials           struct{ TenantID, ClientID string }
	Application           *application // of a target
	ApplicationName       *string
	IsAutoRotationEnabled bool
	VaultSecretName       string
	CreatedAt, UpdatedAt  time.Time
	Rotation              *rotation
	RotationState         *rotation // where there is no schedule
	Authentication        *authentication
	Attention             []string
	RetireKeyIDs          []string // of a target: what its first rotation is to take the place of
}

type application struct{ TenantID, ClientID, ObjectID string }

type rotation struct {
	RotationInterval         int
	NextRotationAt           *time.Time
	RotateAt                 timeOfDay
	TimeZone                 string
	RotationStatus           string
	LastRotationMessage      *string
	LastRotationClass        serviceerror.Class // of a failure; empty: there is none
	State                    string
	Settled                  bool
	GracePeriodHours         float64
	OriginalGracePeriodHours float64
	LastRotatedAt            *time.Time
	Current                  *current
	Retiring                 []retiring
	ByHand                   []byHand
	LastRun                  *run
	RetryAt                  *time.Time
	Target                   *struct{ ClientID, ObjectID string }
}

type timeOfDay struct {
	Hours   int `json:"hours"`
	Minutes int `json:"minutes"`
}

type current struct {
	KeyID, Hint   string
	ExpiresAt     *time.Time
	IssuedByRekey bool
}

type retiring struct {
	KeyID       string
	RevokeAfter time.Time
	RevokedAt   *time.Time
	Problem     string
}

type byHand struct {
	KeyID  string
	Since  time.Time
	Reason string
}

type run struct {
	ID, Trigger    string
	StartedAt      time.Time
	FinishedAt     *time.Time
	Outcome        string
	KeyID, Message string
	RequestedBy    string
}

type authentication struct {
	ExpiresAt   *time.Time
	Thumbprint  *string
	Account     *string
	AccountName *string
	RenewedAt   *time.Time
	Problem     *struct {
		Class   serviceerror.Class
		Message string
		Since   time.Time
	}
}

type event struct {
	At                                              time.Time
	Kind                                            string
	By, From, RunID, Trigger, KeyID, Class, Message *string
}

// plan is what a rotation would do.
type plan struct {
	Running bool
	Steps   []struct {
		At    time.Time
		What  string
		Calls []string
		KeyID *string
	}
}

// check is what a test of a connection has shown.
type check struct {
	Authenticates  bool
	Problem        *struct{ Class, Message string }
	Permissions    []permission
	OwnsItself     *bool
	TwoSecretLimit *bool
	ClientSecrets  *int
	Policy         *struct {
		ClientSecretsForbidden bool
		MaxLifetimeDays        *float64
	}
	CanRotate bool
	Why       []string
}

// permission is one of Microsoft Graph that matters, or that is there and does not.
type permission struct {
	Name, Type string
	Has        *bool // nil: not known
	NeededFor  string
}

// candidate is a client secret that a value could be.
type candidate struct {
	KeyID, DisplayName, Hint string
	StartsAt, ExpiresAt      *time.Time
	Of                       string
}

// state is where the rotation stands; nil where there is nothing to rotate.
func (s *subject) state() *rotation {
	if s.Rotation != nil {
		return s.Rotation
	}
	return s.RotationState
}

// tenantID and clientID name the application whose client secret is rotated.
func (s *subject) tenantID() string {
	if s.Application != nil {
		return s.Application.TenantID
	}
	return s.Credentials.TenantID
}

func (s *subject) clientID() string {
	switch r := s.state(); {
	case s.Application != nil:
		return s.Application.ClientID
	case r != nil && r.Target != nil:
		return r.Target.ClientID
	}
	return s.Credentials.ClientID
}

// shown is the application whose client secret is rotated: by its name where that is known, with its client id.
func shown(name *string, clientID string) g.Node {
	id := h.Code(g.Text(clientID))
	if called := orNone(text(name, ""), ""); called != "" {
		return g.Group{g.Text(called), h.Span(h.Class("hint"), id)}
	}
	return id
}

// under is the application's name below that of a connection or a target, where it is known.
func under(name *string) g.Node {
	called := orNone(text(name, ""), "")
	return g.If(called != "", h.Span(h.Class("hint"), g.Text("Application "+called)))
}

// rotatesItself reports whether s signs in with the client secret that it rotates.
func (s *subject) rotatesItself() bool { return s.Method == "client-secret" && s.ConnectionID == "" }

// vaultFault reports whether Key Vault is why the last step failed, or why it can't sign in.
func (s *subject) vaultFault() bool {
	a, r := s.Authentication, s.state()
	return a != nil && a.Problem != nil && isVault(a.Problem.Class) || r != nil && isVault(r.LastRotationClass)
}

func isVault(class serviceerror.Class) bool { return strings.HasPrefix(string(class), "vault-") }

// title is the name of a connection. A target without one, for which the API makes one of its id, is
// called as its vault secret, which it always has.
func (s *subject) title() string {
	if s.Name != "" && s.Name != "target-"+s.ID {
		return s.Name
	}
	return s.VaultSecretName
}
