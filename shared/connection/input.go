package connection

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rekey/shared/certificate"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/secret"
)

// The methods by which a connection authenticates.
const (
	ClientSecret = rotation.MethodSecret
	Certificate  = "certificate"
	OAuth        = "oauth"
)

// Input is what a caller says of a new connection. Clean brings it into shape.
type Input struct {
	Name, Description, Project string
	Credentials

	// Target is the application to rotate, if that is not the one that the
	// connection authenticates as.
	Target          Target
	VaultSecretName string // empty: "rekey-<id>"

	Rotate        bool
	Schedule      schedule.Schedule
	Grace         *time.Duration // nil: 48 hours
	OriginalGrace *time.Duration // nil: none

	By string // who asks, for the history
	ID string // of the connection to be; empty: a new one. See [Service.Once]
}

// Credentials are what a connection authenticates with, by one of three methods.
// They print without their secrets.
type Credentials struct {
	Method             string // empty: [ClientSecret]
	TenantID, ClientID string // for OAuth, the client id is Rekey's own to know

	ClientSecret      secret.Value
	ClientSecretKeyID string // may be empty: it is found by the secret's hint

	Certificate certificate.Input
	SendChain   bool // with the certificate: subject name and issuer authentication

	SignIn *SignIn // of OAuth
}

// SignIn is what a person's sign-in yielded.
type SignIn struct {
	RefreshToken secret.Value
	Token        rotation.Token // for Graph
	Account      string         // the person's object id
	Name         string         // what their directory calls them; may be empty
}

// Target names an application by one of its ids, or by both.
type Target struct{ ClientID, ObjectID string }

// The grace periods that hold if the caller gives none. Consumers that read Key
// Vault through references refresh within 24 hours.
const (
	defaultGrace = 48 * time.Hour
	maxGrace     = 30 * 24 * time.Hour
)

var (
	slugForm  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	uuidForm  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	vaultForm = regexp.MustCompile(`^[0-9A-Za-z-]{1,120}$`)
)

// ValidID reports whether id has the form of a connection's id.
func ValidID(id string) bool { return uuidForm.MatchString(id) }

// ValidVaultName reports whether a Key Vault secret may have that name, and the staged one its own.
func ValidVaultName(name string) bool { return vaultForm.MatchString(name) }

// mistakes collects what is wrong with an input, so that it is told at once.
type mistakes []string

func (m *mistakes) complain(format string, args ...any) {
	*m = append(*m, fmt.Sprintf(format, args...))
}

func (m mistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	return invalid("%s.", strings.Join(m, "; "))
}

// uuid trims and checks an id.
func (m *mistakes) uuid(field, label string, required bool, v *string) {
	*v = strings.ToLower(strings.TrimSpace(*v))
	if (*v != "" || required) && !uuidForm.MatchString(*v) {
		m.complain("%s must be a UUID; find it in the portal as %q", field, label)
	}
}

// Clean trims and validates everything that can be judged without a call to a service.
// It reports every mistake at once.
func (in *Input) Clean() error { return in.clean(true) }

// clean is Clean; not named: the name may come later.
func (in *Input) clean(named bool) error {
	var m mistakes
	if named {
		m.name(&in.Name)
	}
	m.description(in.Description)
	m.project(in.Project)
	in.Credentials.clean(&m)
	in.Target.clean(&m, "rotation.target")
	m.vaultName(&in.VaultSecretName)
	if in.Rotate {
		m.schedule(in.Schedule)
		if in.Method != ClientSecret && in.Target == (Target{}) {
			m.complain("automatic rotation of a connection with the method %q needs rotation.target {clientId or objectId}: "+
				"the application whose client secret is to be rotated", in.Method)
		}
	}
	m.grace("gracePeriodHours", in.Grace)
	m.grace("originalGracePeriodHours", in.OriginalGrace)
	return m.err()
}

func (m *mistakes) name(name *string) {
	*name = strings.TrimSpace(*name)
	if len(*name) > 64 || !slugForm.MatchString(*name) {
		m.complain("name must be 1 to 64 lower-case letters, digits and single hyphens between them")
	}
}

func (m *mistakes) description(text string) { m.text("description", text, 256) }

// project checks the id of a project, which is a name in another system and kept as it came.
func (m *mistakes) project(id string) { m.text("projectId", id, 64) }

// text checks what is stored and shown as it came. In a log, a table or a terminal it must look
// like what it is: so it has no line breaks and nothing that turns the direction of writing.
func (m *mistakes) text(field, text string, most int) {
	if utf8.RuneCountInString(text) > most {
		m.complain("%s must be at most %d characters", field, most)
	}
	if Unprintable(text) {
		m.complain("%s must be one line without control characters and without characters that change the direction of writing", field)
	}
}

// Unprintable reports whether a text has line breaks or other control characters, or some that
// change the direction of writing.
func Unprintable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
	})
}

func (m *mistakes) vaultName(name *string) {
	*name = strings.TrimSpace(*name)
	if *name != "" && !vaultForm.MatchString(*name) {
		m.complain("vaultSecretName must be 1 to 120 letters, digits and hyphens")
	}
}

func (m *mistakes) schedule(s schedule.Schedule) {
	if err := s.Validate(); err != nil {
		m.complain("rotation: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

func (m *mistakes) grace(name string, d *time.Duration) {
	if d != nil && (*d < 0 || *d > maxGrace) {
		m.complain("rotation.%s must be 0 to %d", name, int(maxGrace.Hours()))
	}
}

func (t *Target) clean(m *mistakes, field string) {
	m.uuid(field+".clientId", "Application (client) ID", false, &t.ClientID)
	m.uuid(field+".objectId", "Object ID", false, &t.ObjectID)
}

// clean brings the members of one method into shape.
func (c *Credentials) clean(m *mistakes) {
	m.uuid("credentials.tenantId", "Directory (tenant) ID", true, &c.TenantID)
	switch c.Method {
	case "", ClientSecret:
		c.Method = ClientSecret
		m.uuid("credentials.clientId", "Application (client) ID", true, &c.ClientID)
		m.uuid("credentials.clientSecretKeyId", "Secret ID", false, &c.ClientSecretKeyID)
		c.cleanSecret(m)
	case Certificate:
		m.uuid("credentials.clientId", "Application (client) ID", true, &c.ClientID)
	case OAuth:
		m.uuid("credentials.clientId", "Application (client) ID", true, &c.ClientID)
		if c.SignIn == nil || c.SignIn.RefreshToken.IsZero() {
			m.complain("credentials.code is missing")
		}
	default:
		m.complain("method must be %q, %q or %q", ClientSecret, Certificate, OAuth)
	}
}

// cleanSecret trims what is pasted around a secret.
func (c *Credentials) cleanSecret(m *mistakes) {
	value := strings.TrimSpace(c.ClientSecret.Reveal())
	c.ClientSecret = secret.New(value)
	switch {
	case value == "":
		m.complain("credentials.clientSecret is missing")
	case len(value) > 256 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		m.complain("credentials.clientSecret must be at most 256 printable characters without spaces")
	case uuidForm.MatchString(strings.ToLower(value)):
		m.complain("credentials.clientSecret looks like the secret's id; give its value, which Entra shows only once")
	}
}

// app is the application that the credentials are of.
func (c *Credentials) app() rotation.Application {
	return rotation.Application{TenantID: c.TenantID, ClientID: c.ClientID}
}

// material is what the vault is to keep of credentials, and what the record is to
// know about it.
func (c *Credentials) material(ctx context.Context, now time.Time) (secret.Value, rotation.Auth, error) {
	switch c.Method {
	case Certificate:
		ctx, cancel := whileAsked(ctx)
		defer cancel()
		cert, err := certificate.Parse(ctx, c.Certificate, now)
		if e, ok := errors.AsType[*certificate.Error](err); ok {
			return secret.Value{}, rotation.Auth{}, invalid("%s", e.Message)
		}
		if err != nil { // [certificate.ErrBusy]
			return secret.Value{}, rotation.Auth{}, &Error{
				Kind: Unavailable, RetryAfter: 10 * time.Second,
				Message: "Too many PFX files are being read at once. Nothing was stored. Retry after the time in Retry-After.",
			}
		}
		return cert.PEM, rotation.Auth{ExpiresAt: cert.NotAfter.UTC(), Thumbprint: cert.ThumbprintSHA1, Chain: c.SendChain}, nil
	case OAuth:
		value, err := keep(c.app(), c.SignIn.Account, c.SignIn.RefreshToken)
		return value, rotation.Auth{Account: c.SignIn.Account, AccountName: rotation.VisibleName(c.SignIn.Name), SavedAt: now,
			RenewAt: now.Add(renewAfter)}, err
	}
	return c.ClientSecret, rotation.Auth{}, nil
}

// policy returns the policy of a new connection.
func (in *Input) policy() rotation.Policy {
	p := rotation.Policy{Enabled: in.Rotate, Schedule: in.Schedule, Grace: defaultGrace}
	if in.Grace != nil {
		p.Grace = *in.Grace
	}
	if in.OriginalGrace != nil {
		p.OriginalGrace = *in.OriginalGrace
	}
	return p
}
