package simulation

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"rekey/shared/attention"
	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// This file is all of the simulation that knows the shape of records and requests.

// service is one process of Rekey.
type service struct {
	api     *connection.Service
	rotator *rotator.Rotator
}

func newService(p *process, log *slog.Logger) *service {
	now := func() time.Time { return time.Now().Add(p.skew) }
	store, vault, directory := storePort{p, p.w.world.StorePort()}, vaultPort{p, p.w.world.VaultPort()}, directoryPort{p,
		p.w.world.DirectoryPort()}
	actors := &connection.Actors{
		Records: store, Vault: vault, Authority: directory, SignIns: directory, Deployment: rotationtest.Deployment, Now: now, Log: log,
	}
	rotator := &rotator.Rotator{
		Store: store, History: store, Vault: vault, Authority: directory, Directory: directory, Actors: actors,
		Rules: rotation.DefaultRules(), Deployment: rotationtest.Deployment, Log: log, Now: now, ID: p.newID,
	}
	if p.w.spoil != nil {
		p.w.spoil(&rotator.Rules)
	}
	return &service{rotator: rotator, api: &connection.Service{
		Rotator: rotator, Actors: actors, Records: store, Reservations: store, Claims: store, Vault: vault, Directory: directory, Log: log,
	}}
}

func (s *service) sweep(ctx context.Context) { s.rotator.Sweep(ctx) } // its process may die

// given is a credential as a caller has it.
type given struct {
	app    rotation.Application
	secret secret.Value
	keyID  string // empty: the caller does not name it
	method string // empty: client secret
	person string
}

func (g given) credentials() connection.Credentials {
	c := connection.Credentials{Method: connection.ClientSecret, TenantID: g.app.TenantID, ClientID: g.app.ClientID,
		ClientSecret: g.secret, ClientSecretKeyID: g.keyID}
	switch g.method {
	case ShapeCertificate:
		c = connection.Credentials{Method: connection.Certificate, TenantID: g.app.TenantID, ClientID: g.app.ClientID,
			Certificate: certificates()[0]}
	case ShapeOAuth:
		c = connection.Credentials{Method: connection.OAuth, TenantID: g.app.TenantID, ClientID: g.app.ClientID,
			SignIn: &connection.SignIn{RefreshToken: g.secret, Account: g.person}}
	}
	return c
}

// every is every n days; minutes keep the slots of two connections apart.
func every(n, minutes int) schedule.Schedule {
	return schedule.Schedule{Interval: n, Hours: 3, Minutes: minutes, Zone: "UTC"}
}

// wish is what a creation asks for.
type wish struct {
	id, name        string
	days, minutes   int // 0 days: no rotation
	grace, original time.Duration
	retires         []string // key ids
}

func (s *service) create(ctx context.Context, g given, w wish) error {
	_, err := s.api.Create(ctx, connection.Input{
		Name: w.name, Credentials: g.credentials(), Rotate: w.days > 0, Schedule: scheduleIf(w), Grace: &w.grace, OriginalGrace: &w.original,
		By: "caller", ID: w.id,
	})
	return err
}

func (s *service) createTarget(ctx context.Context, via string, target rotation.Application, w wish) error {
	in := connection.TargetInput{
		Target: connection.Target{ClientID: target.ClientID}, Rotate: w.days > 0, Schedule: scheduleIf(w), Grace: &w.grace, By: "caller",
		ID: w.id, Retire: w.retires,
	}
	if w.original > 0 {
		in.OriginalGrace = &w.original
	}
	_, err := s.api.CreateTarget(ctx, via, in)
	return err
}

func scheduleIf(w wish) schedule.Schedule {
	if w.days == 0 {
		return schedule.Schedule{}
	}
	return every(w.days, w.minutes)
}

func (s *service) reschedule(ctx context.Context, id string, days, minutes int) error {
	return s.update(ctx, id, connection.Change{Schedule: new(every(days, minutes))})
}

func (s *service) setGrace(ctx context.Context, id string, grace time.Duration) error {
	return s.update(ctx, id, connection.Change{Grace: &grace})
}

func (s *service) turn(ctx context.Context, id string, on bool, minutes int) error {
	c := connection.Change{Rotate: &on}
	if on {
		c.Schedule = new(every(7, minutes))
	}
	return s.update(ctx, id, c)
}

func (s *service) rename(ctx context.Context, id, name string) error {
	return s.update(ctx, id, connection.Change{Name: &name})
}

func (s *service) give(ctx context.Context, id string, g given) error {
	return s.update(ctx, id, connection.Change{Credentials: new(g.credentials())})
}

func (s *service) update(ctx context.Context, id string, c connection.Change) error {
	c.By = "caller"
	_, err := s.api.Update(ctx, id, c)
	return err
}

// rotate asks for a rotation; a negative grace is the connection's.
func (s *service) rotate(ctx context.Context, id string, grace time.Duration, emergency bool) error {
	_, err := s.api.Rotate(ctx, id, options(grace, emergency))
	return err
}

func options(grace time.Duration, emergency bool) connection.RotateOptions {
	o := connection.RotateOptions{Emergency: emergency, By: "caller"}
	if grace >= 0 && !emergency {
		o.Grace = &grace
	}
	return o
}

// dryRun returns the key ids that it says would be removed.
func (s *service) dryRun(ctx context.Context, id string, emergency bool) (removes []string, err error) {
	plan, err := s.api.DryRun(ctx, id, options(-1, emergency))
	for _, step := range plan.Steps {
		if step.KeyID != "" && strings.HasPrefix(step.What, "Remove") {
			removes = append(removes, step.KeyID)
		}
	}
	return removes, err
}

func (s *service) abandon(ctx context.Context, id string) error {
	_, err := s.api.Abandon(ctx, id, "caller")
	return err
}

func (s *service) remove(ctx context.Context, id string, revoke bool) error {
	_, err := s.api.Delete(ctx, id, connection.DeleteOptions{Revoke: revoke, By: "caller"})
	return err
}

// isConflict reports whether the API refused because something else is under way or holds
// what was asked for.
func isConflict(err error) bool {
	e, ok := errors.AsType[*connection.Error](err)
	return ok && e.Kind == connection.Conflict
}

// word is err in the trace.
func word(err error) string {
	var e *connection.Error
	var r *serviceerror.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return string(e.Kind)
	case errors.As(err, &r):
		if r.UnknownOutcome {
			return "unknown"
		}
		return string(r.Class)
	}
	return err.Error()
}

// view is what the checks need to know of a record.
type view struct {
	id, vaultName, authName, clientID string

	phase    string
	version  int64 // of the record
	current  *heldSecret
	leaving  []leavingSecret
	orphans  []orphan
	byHand   []string // key ids, or markers
	retires  []string // key ids, until something is published
	stale    int      // staged versions that are known to wait for being disabled
	stubborn bool     // disabling one of these has failed

	lease       string // token; empty: free
	marker      string // of the attempt under way
	runSince    time.Time
	pending     string // the request that waits
	enabled     bool
	interval    time.Duration
	grace       time.Duration
	slot        time.Time // of the schedule; zero: none
	authVersion string
	attention   []string

	creating, idle, deleting, revoke, publishing bool
}

type heldSecret struct {
	keyID, version string
	issued         bool
	since          time.Time
}

type leavingSecret struct {
	keyID   string
	until   time.Time
	removed bool
}

type orphan struct {
	keyID, marker string
	since         time.Time
}

func look(rec *rotation.Record, now time.Time) view {
	v := view{
		id: rec.ID, vaultName: rec.VaultName, authName: rec.AuthName(), clientID: rec.Target.ClientID, phase: string(rec.Phase),
		version: rec.Version,
		lease:   rec.Lease.Token, enabled: rec.Policy.Enabled, stale: len(rec.Stale.Versions), attention: attention.Of(rec, now),
		revoke:   rec.Revoke || rec.Undo,
		creating: rec.Phase == rotation.Creating, idle: rec.Phase == rotation.Idle, deleting: rec.Phase == rotation.Deleting,
		publishing: rec.Phase == rotation.Publishing || rec.Phase == rotation.Rebinding,
		interval:   time.Duration(rec.Policy.Schedule.Interval) * day, grace: rec.Policy.Grace, slot: rec.NextSlot,
	}
	if c := rec.Current; c != nil {
		v.current = &heldSecret{c.KeyID, c.VaultVersion, c.Origin == rotation.OriginIssued, c.Since}
	}
	for _, m := range rec.Replaced() {
		v.leaving = append(v.leaving, leavingSecret{m.KeyID, m.After, !m.RemovedAt.IsZero()})
	}
	for _, m := range rec.Orphans() {
		v.orphans = append(v.orphans, orphan{m.KeyID, m.Marker, m.Since})
	}
	for _, o := range rec.ByHand {
		v.byHand = append(v.byHand, cmp.Or(o.KeyID, o.Reason[strings.LastIndex(o.Reason, " ")+1:])) // which ends in a marker
	}
	v.retires, v.stubborn = rec.Retire, rec.Stale.Tries > 0
	if rec.Run != nil {
		v.marker, v.runSince = rec.Run.Marker, rec.Run.StartedAt
	}
	if rec.Request != nil {
		v.pending = string(rec.Request.Kind)
	}
	if rec.Auth != nil {
		v.authVersion = rec.Auth.VaultVersion
	}
	return v
}

// certificates are of the years in which bubbles live. Making a key takes a while.
var certificates = sync.OnceValue(func() (list []certificate.Input) {
	for serial := range int64(2) {
		list = append(list, rotationtest.NewCertificate(serial+1, time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)))
	}
	return list
})

// storedCertificate is how Rekey stores the certificate that callers give.
var storedCertificate = sync.OnceValue(func() secret.Value {
	c, err := certificate.Parse(context.Background(), certificates()[0], time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	return c.PEM
})
