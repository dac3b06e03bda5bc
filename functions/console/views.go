package console

import "time"

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
	IsAutoRotationEnabled bool
	VaultSecretName       string
	CreatedAt, UpdatedAt  time.Time
	Rotation              *rotation
	RotationState         *rotation // where there is no schedule
	Authentication        *authentication
	Attention             []string
}

type application struct{ TenantID, ClientID, ObjectID string }

type rotation struct {
	RotationInterval         int
	NextRotationAt           *time.Time
	RotateAt                 timeOfDay
	TimeZone                 string
	RotationStatus           string
	LastRotationMessage      *string
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
	KeyID, Hint string
	ExpiresAt   *time.Time
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
	ExpiresAt  *time.Time
	Thumbprint *string
	Account    *string
	RenewedAt  *time.Time
	Problem    *struct {
		Class, Message string
		Since          time.Time
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
	switch {
	case s.Rotation != nil:
		return s.Rotation
	case s.RotationState == nil && s.Method == "client-secret":
		// The API has nothing to say of a rotation that there never was, and can begin one.
		return &rotation{State: "idle", Settled: true}
	}
	return s.RotationState
}

// scheduled reports whether the API says how it rotates: a grace period of 0 is none otherwise.
func (s *subject) scheduled() bool { return s.Rotation != nil || s.RotationState != nil }

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

// title is the name of a connection. A target without one, for which the API makes one of its id, is
// called as its vault secret, which it always has.
func (s *subject) title() string {
	if s.Name != "" && s.Name != "target-"+s.ID {
		return s.Name
	}
	return s.VaultSecretName
}
