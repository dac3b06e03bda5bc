package connections

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// newID is the id of a request that the host gave none.
func newID() string { return strings.ToLower(rand.Text()) }

// createBody is the body of POST. Source: reference, section 1.1; what is ours is
// marked.
type createBody struct {
	Name        string  `json:"name"`
	Description *string `json:"description"`
	ProjectID   *string `json:"projectId"`
	Method      string  `json:"method"`
	Credentials struct {
		TenantID          string          `json:"tenantId"`
		ClientID          string          `json:"clientId"`
		ClientSecret      rotation.Secret `json:"clientSecret"`
		ClientSecretKeyID *string         `json:"clientSecretKeyId"`
	} `json:"credentials"`
	IsAutoRotationEnabled bool          `json:"isAutoRotationEnabled"`
	Rotation              *rotationBody `json:"rotation"`
	VaultSecretName       string        `json:"vaultSecretName"` // ours

	GatewayID       *string `json:"gatewayId"`
	GatewayPoolID   *string `json:"gatewayPoolId"`
	PlatformManaged bool    `json:"isPlatformManagedCredentials"`
}

type rotationBody struct {
	RotationInterval         int        `json:"rotationInterval"`
	RotateAtUTC              *timeOfDay `json:"rotateAtUtc"`
	RotateAt                 *timeOfDay `json:"rotateAt"`                 // ours
	TimeZone                 string     `json:"timeZone"`                 // ours
	GracePeriodHours         *float64   `json:"gracePeriodHours"`         // ours
	OriginalGracePeriodHours *float64   `json:"originalGracePeriodHours"` // ours
}

type timeOfDay struct {
	Hours   int `json:"hours"`
	Minutes int `json:"minutes"`
}

// input turns the body into what the service takes.
func (b *createBody) input(by string, now time.Time) (connection.Input, error) {
	in := connection.Input{
		Name: b.Name, TenantID: b.Credentials.TenantID, ClientID: b.Credentials.ClientID, ClientSecret: b.Credentials.ClientSecret,
		VaultSecretName: b.VaultSecretName, Rotate: b.IsAutoRotationEnabled, By: by,
	}
	for to, from := range map[*string]*string{&in.Description: b.Description, &in.Project: b.ProjectID, &in.ClientSecretKeyID: b.Credentials.ClientSecretKeyID} {
		if from != nil {
			*to = *from
		}
	}
	switch b.Method {
	case connection.ClientSecret:
	case "":
		return in, badRequest("method is missing: give %q.", connection.ClientSecret)
	default:
		return in, badRequest("method must be %q; this version of Rekey connects by no other.", connection.ClientSecret)
	}
	if b.GatewayID != nil || b.GatewayPoolID != nil || b.PlatformManaged {
		return in, badRequest("gatewayId, gatewayPoolId and isPlatformManagedCredentials are not supported for Azure Client Secrets Connections.")
	}
	if b.IsAutoRotationEnabled && b.Rotation == nil {
		return in, badRequest("rotation is required when isAutoRotationEnabled is true: give rotationInterval (days) and rotateAt {hours, minutes} with timeZone, or rotateAtUtc.")
	}
	if b.Rotation == nil {
		return in, nil
	}
	return in, b.Rotation.apply(&in, now)
}

// apply reads the schedule and the grace periods. A schedule that is sent while
// rotation is off is kept for later, so it is validated too.
func (b *rotationBody) apply(in *connection.Input, now time.Time) error {
	var err error
	if in.Schedule, err = b.schedule(now); err != nil {
		return err
	}
	if err := in.Schedule.Validate(); err != nil {
		return badRequest("rotation: %s.", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if in.Grace, err = hours("rotation.gracePeriodHours", b.GracePeriodHours); err != nil {
		return err
	}
	in.OriginalGrace, err = hours("rotation.originalGracePeriodHours", b.OriginalGracePeriodHours)
	return err
}

// schedule takes rotateAt in timeZone, or rotateAtUtc. Both at once must say the
// same, as of today: a zone's offset changes with daylight saving.
func (b *rotationBody) schedule(now time.Time) (rotation.Schedule, error) {
	s := rotation.Schedule{Interval: b.RotationInterval, Zone: strings.TrimSpace(b.TimeZone)}
	if s.Zone == "" {
		s.Zone = "UTC"
	}
	switch {
	case b.RotateAt == nil && b.RotateAtUTC == nil:
		return s, badRequest("rotation needs the time of day: rotateAt {hours, minutes} with timeZone, or rotateAtUtc {hours, minutes}.")
	case b.RotateAt == nil && s.Zone != "UTC":
		return s, badRequest("rotation.timeZone goes with rotateAt; rotateAtUtc alone is in UTC.")
	case b.RotateAt == nil:
		s.Hours, s.Minutes = b.RotateAtUTC.Hours, b.RotateAtUTC.Minutes
		return s, nil
	}
	s.Hours, s.Minutes = b.RotateAt.Hours, b.RotateAt.Minutes
	if b.RotateAtUTC == nil || s.Validate() != nil {
		return s, nil // mistakes are reported by whoever validates
	}
	if utc := atUTC(s, now); utc != *b.RotateAtUTC {
		return s, badRequest("rotation.rotateAt %02d:%02d in %s is %02d:%02d UTC today, but rotateAtUtc says %02d:%02d. Give one of the two.",
			s.Hours, s.Minutes, s.Zone, utc.Hours, utc.Minutes, b.RotateAtUTC.Hours, b.RotateAtUTC.Minutes)
	}
	return s, nil
}

// atUTC is the schedule's time of day in UTC on the day of t.
func atUTC(s rotation.Schedule, t time.Time) timeOfDay {
	loc, err := s.Location()
	if err != nil {
		loc = time.UTC
	}
	local := t.In(loc)
	utc := time.Date(local.Year(), local.Month(), local.Day(), s.Hours, s.Minutes, 0, 0, loc).UTC()
	return timeOfDay{utc.Hour(), utc.Minute()}
}

// hours reads a number of hours.
func hours(field string, h *float64) (*time.Duration, error) {
	if h == nil {
		return nil, nil
	}
	if math.IsNaN(*h) || *h < 0 || *h > 10_000 {
		return nil, badRequest("%s must be a number of hours from 0 on.", field)
	}
	d := time.Duration(*h * float64(time.Hour))
	return &d, nil
}

// view is a connection as the API shows it. Source: reference, section 1.2.
type view struct {
	ID                    string        `json:"id"`
	Name                  string        `json:"name"`
	Description           *string       `json:"description"`
	Version               int64         `json:"version"`
	OrgID                 string        `json:"orgId"`
	ProjectID             *string       `json:"projectId"`
	App                   string        `json:"app"`
	Method                string        `json:"method"`
	Credentials           credentials   `json:"credentials"`
	CredentialsHash       string        `json:"credentialsHash"`
	PlatformManaged       bool          `json:"isPlatformManagedCredentials"`
	IsAutoRotationEnabled bool          `json:"isAutoRotationEnabled"`
	GatewayID             *string       `json:"gatewayId"`
	VaultSecretName       string        `json:"vaultSecretName"`
	CreatedAt             time.Time     `json:"createdAt"`
	UpdatedAt             time.Time     `json:"updatedAt"`
	Rotation              *rotationView `json:"rotation,omitempty"`
}

type credentials struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`
}

type rotationView struct {
	RotationInterval    int        `json:"rotationInterval"`
	RotateAtUTC         timeOfDay  `json:"rotateAtUtc"`
	RotationStatus      *string    `json:"rotationStatus"`
	NextRotationAt      *time.Time `json:"nextRotationAt"`
	LastRotationMessage *string    `json:"lastRotationMessage"`

	State                    rotation.Phase `json:"state"`
	Settled                  bool           `json:"settled"`
	RotateAt                 timeOfDay      `json:"rotateAt"`
	TimeZone                 string         `json:"timeZone"`
	GracePeriodHours         float64        `json:"gracePeriodHours"`
	OriginalGracePeriodHours float64        `json:"originalGracePeriodHours"`
	LastRotatedAt            *time.Time     `json:"lastRotatedAt"`
	Current                  *currentView   `json:"current"`
	Retiring                 []retiringView `json:"retiring"`
	ByHand                   []byHandView   `json:"byHand"`
	LastRun                  *runView       `json:"lastRun"`
}

type currentView struct {
	KeyID     string     `json:"keyId"`
	Hint      string     `json:"hint"`
	ExpiresAt *time.Time `json:"expiresAt"`
}

type retiringView struct {
	KeyID       string     `json:"keyId"`
	RevokeAfter time.Time  `json:"revokeAfter"`
	RevokedAt   *time.Time `json:"revokedAt"`         // the directory accepted; until it is gone from reads it stays here
	Problem     string     `json:"problem,omitempty"` // why the last try to remove it failed
}

type byHandView struct {
	KeyID  string    `json:"keyId"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

type runView struct {
	ID         string     `json:"id"`
	Trigger    string     `json:"trigger"`
	StartedAt  time.Time  `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt"`
	Outcome    string     `json:"outcome"`
	KeyID      string     `json:"keyId,omitempty"`
	Message    string     `json:"message,omitempty"`
}

// view shows rec.
func (h *Handler) view(rec *rotation.Record) view {
	v := view{
		ID: rec.ID, Name: rec.Name, Description: some(rec.Description), Version: rec.Revision, OrgID: h.Deployment, ProjectID: some(rec.Project),
		App: app, Method: rec.Method, Credentials: credentials{rec.Target.TenantID, rec.Target.ClientID}, CredentialsHash: credentialsHash(rec),
		IsAutoRotationEnabled: rec.Policy.Enabled, VaultSecretName: rec.VaultName, CreatedAt: rec.CreatedAt, UpdatedAt: rec.UpdatedAt,
	}
	if rec.Policy.Enabled || rec.Policy.Schedule.Interval > 0 || rec.Run != nil || rec.LastRun != nil {
		v.Rotation = h.rotationView(rec)
	}
	return v
}

// credentialsHash changes when the caller changes the credentials, and at no other
// time: a managed rotation is no drift.
func credentialsHash(rec *rotation.Record) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", rec.ID, rec.CredentialChanges))
	return hex.EncodeToString(sum[:])
}

func (h *Handler) rotationView(rec *rotation.Record) *rotationView {
	now := h.now()
	p := rec.Policy
	at := now
	if !rec.NextSlot.IsZero() {
		at = rec.NextSlot
	}
	v := &rotationView{
		RotationInterval: p.Schedule.Interval, RotateAtUTC: atUTC(p.Schedule, at), NextRotationAt: next(rec),
		State: rec.Phase, Settled: rec.Settled(now), RotateAt: timeOfDay{p.Schedule.Hours, p.Schedule.Minutes}, TimeZone: p.Schedule.Zone,
		GracePeriodHours: p.Grace.Hours(), OriginalGracePeriodHours: p.OriginalGrace.Hours(), LastRotatedAt: when(rec.LastRotatedAt),
		Retiring: []retiringView{}, ByHand: []byHandView{}, LastRun: lastRun(rec),
	}
	if rec.Error != nil {
		v.RotationStatus, v.LastRotationMessage = new("failed"), some(rec.Error.Message)
	} else if rec.LastRun != nil {
		v.RotationStatus, v.LastRotationMessage = new(rec.LastRun.Outcome), some(rec.LastRun.Message)
		if rec.LastRun.Outcome != "success" {
			v.RotationStatus = new("failed")
		}
	}
	if c := rec.Current; c != nil {
		v.Current = &currentView{c.KeyID, c.Hint, when(c.ExpiresAt)}
	}
	for _, o := range rec.Retiring {
		v.Retiring = append(v.Retiring, retiringView{o.KeyID, o.RevokeAfter, when(o.RemovedAt), o.Problem.Advice()})
	}
	for _, o := range rec.ByHand {
		v.ByHand = append(v.ByHand, byHandView{o.KeyID, o.Since, o.Reason})
	}
	return v
}

// next is when the next rotation is tried.
func next(rec *rotation.Record) *time.Time {
	if !rec.Policy.Enabled {
		return nil
	}
	if rec.Error != nil && rec.Error.RetryAt.After(rec.NextSlot) {
		return when(rec.Error.RetryAt)
	}
	return when(rec.NextSlot)
}

// lastRun is the run under way, or else the last one.
func lastRun(rec *rotation.Record) *runView {
	if r := rec.Run; r != nil {
		return &runView{ID: r.ID, Trigger: string(r.Trigger), StartedAt: r.StartedAt, Outcome: "running", KeyID: r.KeyID}
	}
	r := rec.LastRun
	if r == nil {
		return nil
	}
	return &runView{ID: r.ID, Trigger: string(r.Trigger), StartedAt: r.StartedAt, FinishedAt: when(r.FinishedAt), Outcome: r.Outcome, KeyID: r.KeyID, Message: r.Message}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
