package connection

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"rekey/shared/rotation"
)

// Method is how a connection authenticates.
const ClientSecret = "client-secret"

// Input is what a caller says of a new connection with a client secret. Clean
// brings it into shape.
type Input struct {
	Name, Description, Project string
	TenantID, ClientID         string
	ClientSecret               rotation.Secret
	ClientSecretKeyID          string // may be empty: it is found by the secret's hint
	VaultSecretName            string // empty: "rekey-<id>"

	Rotate        bool
	Schedule      rotation.Schedule
	Grace         *time.Duration // nil: 48 hours
	OriginalGrace *time.Duration // nil: none

	By string // who asks, for the history
}

// The grace periods that hold if nobody says otherwise. Consumers that read Key
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

// Clean trims and validates everything that can be judged without asking anybody.
// It reports every mistake at once.
func (in *Input) Clean() error {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	uuid := func(field, label string, required bool, v *string) {
		*v = strings.ToLower(strings.TrimSpace(*v))
		if (*v != "" || required) && !uuidForm.MatchString(*v) {
			complain("%s must be a UUID; find it in the portal as %q", field, label)
		}
	}
	in.Name = strings.TrimSpace(in.Name)
	if len(in.Name) > 64 || !slugForm.MatchString(in.Name) {
		complain("name must be 1 to 64 lower-case letters, digits and single hyphens between them")
	}
	if utf8.RuneCountInString(in.Description) > 256 {
		complain("description must be at most 256 characters")
	}
	uuid("projectId", "project id", false, &in.Project)
	uuid("credentials.tenantId", "Directory (tenant) ID", true, &in.TenantID)
	uuid("credentials.clientId", "Application (client) ID", true, &in.ClientID)
	uuid("credentials.clientSecretKeyId", "Secret ID", false, &in.ClientSecretKeyID)
	in.cleanSecret(complain)
	in.VaultSecretName = strings.TrimSpace(in.VaultSecretName)
	if in.VaultSecretName != "" && !vaultForm.MatchString(in.VaultSecretName) {
		complain("vaultSecretName must be 1 to 120 letters, digits and hyphens")
	}
	if in.Rotate {
		if err := in.Schedule.Validate(); err != nil {
			complain("rotation: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	for _, g := range []struct {
		name string
		d    *time.Duration
	}{{"gracePeriodHours", in.Grace}, {"originalGracePeriodHours", in.OriginalGrace}} {
		if g.d != nil && (*g.d < 0 || *g.d > maxGrace) {
			complain("rotation.%s must be 0 to %d", g.name, int(maxGrace.Hours()))
		}
	}
	if len(wrong) > 0 {
		return invalid("%s.", strings.Join(wrong, "; "))
	}
	return nil
}

// cleanSecret trims what is pasted around a secret.
func (in *Input) cleanSecret(complain func(string, ...any)) {
	value := strings.TrimSpace(in.ClientSecret.Reveal())
	in.ClientSecret = rotation.NewSecret(value)
	switch {
	case value == "":
		complain("credentials.clientSecret is missing")
	case len(value) > 256 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		complain("credentials.clientSecret must be at most 256 printable characters without spaces")
	case uuidForm.MatchString(strings.ToLower(value)):
		complain("credentials.clientSecret looks like the secret's id; give its value, which Entra shows only once")
	}
}

// hint is how Graph shows a secret: its first three characters.
func hint(s rotation.Secret) string {
	v := s.Reveal()
	return v[:min(3, len(v))]
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
