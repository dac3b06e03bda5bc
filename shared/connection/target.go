package connection

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// The directory roles with which a person may change applications that they don't
// own, by their template ids.
// Source: learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference.
var administrators = []string{
	"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", // Application Administrator
	"158c047a-c907-4556-b7ef-446551a6b5f7", // Cloud Application Administrator
	"62e90394-69f5-4237-9190-012177145e10", // Global Administrator
}

// TargetInput is what a caller says of an application that is to be rotated through
// a connection.
type TargetInput struct {
	Target
	Name            string // empty: "target-<id>"
	Description     string
	Project         string // empty: the connection's
	VaultSecretName string // empty: "rekey-<id>"
	Rotate          bool
	Schedule        schedule.Schedule
	Grace           *time.Duration   // nil: 48 hours
	OriginalGrace   *time.Duration   // of what Retire names; nil: as Grace
	Labels          *rotation.Labels // nil: none

	// Retire are key ids of client secrets that the application has already. What the first
	// rotation publishes takes their place: they are removed after OriginalGrace.
	Retire []string

	By string
	ID string // as in [Input]
}

func (in *TargetInput) clean() error {
	var m mistakes
	in.Target.clean(&m, "target")
	if in.Target == (Target{}) {
		m.complain("give clientId or objectId of the application whose client secret is to be rotated")
	}
	if in.Name != "" {
		m.name(&in.Name)
	}
	m.description(in.Description)
	m.vaultName(&in.VaultSecretName)
	if in.Rotate {
		m.schedule(in.Schedule)
	}
	m.grace("gracePeriodHours", in.Grace)
	m.grace("originalGracePeriodHours", in.OriginalGrace)
	m.project(in.Project)
	m.labels(in.Labels)
	m.retire(&in.Retire)
	return m.err()
}

// CreateTarget lets a connection rotate another application: Rekey issues a client
// secret for it, publishes that under a name of its own, and with rotation on issues a
// new one at each slot. Of other client secrets of the application it removes those that
// in.Retire names, and leaves the rest alone. As with Create, a refusal undoes everything.
func (s *Service) CreateTarget(ctx context.Context, via string, in TargetInput) (rotation.Record, error) {
	asking, ctx, until, cancel := s.bounded(ctx)
	defer cancel()
	if err := in.clean(); err != nil {
		return rotation.Record{}, err
	}
	if in.Rotate && !mayRemove(ctx) {
		return rotation.Record{}, errMayNotTurnOn
	}
	if len(in.Retire) > 0 && !mayRemove(ctx) {
		return rotation.Record{}, errMayNotRemove("With retireKeyIds Rekey removes client secrets")
	}
	parent, err := s.parent(asking, via)
	if err != nil {
		return parent, err
	}
	if in.Project != "" && parent.Project != "" && !strings.EqualFold(in.Project, parent.Project) {
		return rotation.Record{}, invalid("The connection belongs to another project. Use one of this project, or one that belongs to none.")
	}
	token, err := s.Actors.Token(asking, via)
	if err != nil {
		return rotation.Record{}, s.explain(ctx, "signing in as the connection", err)
	}
	app, state, err := s.target(asking, token, parent.Actor.TenantID, in.Target)
	if err != nil {
		return rotation.Record{}, err
	}
	d := draft{rec: s.newRecord(&Input{
		Name: in.Name, Description: in.Description, Project: cmp.Or(in.Project, parent.Project), Credentials: Credentials{Method: parent.Method},
		VaultSecretName: in.VaultSecretName, Rotate: in.Rotate, Schedule: in.Schedule, Grace: in.Grace, By: in.By, ID: in.ID,
	})}
	rec := &d.rec
	rec.Phase, rec.Via, rec.Actor = rotation.Idle, via, parent.Actor
	rec.Target, rec.TargetName = app, rotation.VisibleName(state.DisplayName)
	rec.Name, rec.Labels, rec.Retire = cmp.Or(rec.Name, "target-"+rec.ID), in.Labels, in.Retire
	if in.OriginalGrace != nil {
		rec.SetOriginalGrace(*in.OriginalGrace)
	}
	if err := s.free(asking, rec); err != nil {
		return *rec, err
	}
	if err := retirable(in.Retire, state); err != nil { // of a target that there is already they are gone
		return *rec, err
	}
	if d.left, err = s.vaultNames(asking, rec); err != nil {
		return *rec, err
	}
	return s.create(ctx, d, in.By, until)
}

// parent loads a connection through which others are to rotate.
func (s *Service) parent(ctx context.Context, id string) (rotation.Record, error) {
	parent, err := s.Get(ctx, id)
	if err != nil {
		return parent, err
	}
	return parent, fitsAsParent(&parent)
}

// TenantOf returns the tenant that a connection signs in to, in lower case.
func (s *Service) TenantOf(ctx context.Context, id string) (tenantID string, err error) {
	rec, err := s.parent(ctx, id)
	if err != nil {
		return "", err
	}
	return strings.ToLower(rec.Actor.TenantID), nil
}

func fitsAsParent(rec *rotation.Record) error {
	switch {
	case rec.Gone() || rec.Via != "":
		return errNoConnection
	case rec.Phase == rotation.Creating:
		return &Error{Kind: Conflict, Message: "The connection is being created. Try again in a minute.", RetryAfter: time.Minute}
	}
	return nil
}

// attach writes the connection through which rec is to rotate, unchanged: another caller
// who deletes it at the same time has looked for its targets before, and one of the two
// writes fails.
func (s *Service) attach(ctx context.Context, rec *rotation.Record) error {
	if rec.Via == "" {
		return nil
	}
	_, err := amend(ctx, s.Records, rec.Via, func(parent *rotation.Record) ([]rotation.Event, error) {
		if err := fitsAsParent(parent); err != nil {
			return nil, err
		}
		return nil, keepsSignIn(parent, rec)
	})
	if err != nil {
		return s.explainStore(ctx, "writing the connection", err)
	}
	return nil
}

// Targets returns what a connection rotates besides itself, the oldest first.
func (s *Service) Targets(ctx context.Context, via string) ([]rotation.Record, error) {
	if parent, err := s.Get(ctx, via); err != nil || parent.Via != "" {
		return nil, errors.Join(err, errNoConnection)
	}
	all, err := s.targets(ctx, via)
	if err != nil {
		return nil, err
	}
	if all.leftOut > 0 {
		s.log().WarnContext(ctx, "targets left out of a list: their rows can't be read, as after a rollback",
			"connection", via, "rows", all.leftOut)
	}
	list := slices.DeleteFunc(all.list, func(rec rotation.Record) bool { return rec.Gone() })
	slices.SortFunc(list, func(a, b rotation.Record) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// GetTarget returns one of them.
func (s *Service) GetTarget(ctx context.Context, via, id string) (rotation.Record, error) {
	rec, err := s.Get(ctx, id)
	if errors.Is(err, errNoConnection) || err == nil && rec.Via != via {
		return rotation.Record{}, errNoTarget
	}
	return rec, err
}

// targets are those of one connection.
type targets struct {
	list    []rotation.Record // those that are being deleted included
	leftOut int               // rows that can't be read
	more    bool              // there may be another one in a moment
}

// targets loads every target of a connection. One whose row can't be read hides no other.
func (s *Service) targets(ctx context.Context, via string) (found targets, err error) {
	notes, err := s.Reservations.Notes(ctx, reservation.Target, via)
	if err != nil {
		return found, s.explainStore(ctx, "looking for targets", err)
	}
	for _, note := range notes {
		rec, err := s.Records.Load(ctx, note.Owner)
		switch {
		case errors.Is(err, serviceerror.ErrNotFound):
			found.more = found.more || s.Rotator.Clock().Sub(note.At) <= coming
		case unreadableRow(err):
			found.leftOut++
		case err != nil:
			return found, s.explainStore(ctx, "reading a target", err)
		case rec.Via == via:
			found.list = append(found.list, rec)
		}
	}
	return found, nil
}

// unreadableRow reports whether err says that a row was read and not understood: a newer
// Rekey has written it, or it is damaged.
func unreadableRow(err error) bool {
	_, unread := errors.AsType[*serviceerror.Error](err)
	return err != nil && !unread
}

// coming is how long after a reservation the record of its owner may be about to be written:
// later than this its creator has died.
const coming = 10 * time.Minute

// target finds the application that is to be rotated, and makes sure that the holder of token may do that.
func (s *Service) target(
	ctx context.Context, token rotation.Token, tenant string, t Target,
) (app rotation.Application, state rotation.ApplicationState, err error) {
	app = rotation.Application{TenantID: tenant, ClientID: t.ClientID, ObjectID: t.ObjectID}
	if err := permitted(token); err != nil {
		return app, state, err
	}
	if state, err = s.Directory.Application(ctx, token, app); err != nil {
		return app, state, s.explain(ctx, "reading the application that is to be rotated", err)
	}
	if t.ClientID != "" && !strings.EqualFold(t.ClientID, state.ClientID) {
		return app, state, invalid("clientId and objectId are of two applications. Give one of them.")
	}
	app.ClientID, app.ObjectID = strings.ToLower(state.ClientID), strings.ToLower(state.ObjectID)
	if err := s.allowed(app.ClientID); err != nil {
		return app, state, err
	}
	if state.PersonalAccounts() && len(state.Passwords) >= 2 {
		return app, state, invalid("The application may have two client secrets at most, because personal Microsoft accounts "+
			"may sign in to it, and it has %d. Remove one that nothing uses.", len(state.Passwords))
	}
	if err := s.owned(ctx, token, app); err != nil {
		return app, state, err
	}
	enabled := false
	err = s.whileFresh(ctx, func(ctx context.Context) (err error) {
		_, enabled, err = s.Directory.ServicePrincipal(ctx, token, app)
		return err
	})
	if errors.Is(err, errHungUp) {
		return app, state, err
	}
	return app, state, signsInNever(enabled, err, app)
}

// signsInNever refuses an application that Entra would let sign in with no client secret at all; enabled and err are
// what reading its service principal has shown. Where that can't be read, the first proof will tell.
func signsInNever(enabled bool, err error, app rotation.Application) error {
	switch {
	case serviceerror.ClassOf(err) == serviceerror.ApplicationMissing:
		return invalid("The application has no service principal in this tenant, so that Entra accepts no client secret of it. Make one: "+
			"az ad sp create --id %s. Then try again in a minute.", app.ClientID)
	case err == nil && !enabled:
		return invalid("Sign-in to the application is disabled in this tenant, so that Entra accepts no client secret of it. Enable it: "+
			"az ad sp update --id %s --set accountEnabled=true. Then try again in a minute.", app.ClientID)
	}
	return nil
}

// owned refuses an application that the holder of token may not change, as far as
// that can be known. Where the owners can't be read, addPassword will tell.
func (s *Service) owned(ctx context.Context, token rotation.Token, app rotation.Application) error {
	person := len(token.Scopes) > 0
	if token.Opaque || token.ObjectID == "" || slices.Contains(token.Roles, readWriteAll) ||
		person && slices.ContainsFunc(token.DirectoryRoles, func(id string) bool { return slices.Contains(administrators, id) }) {
		return nil
	}
	owners, err := s.Directory.Owners(ctx, token, app)
	switch {
	case err != nil && serviceerror.ClassOf(err).Refusal():
		return nil
	case err != nil:
		return s.explain(ctx, "reading the application's owners", err)
	case slices.ContainsFunc(owners, func(id string) bool { return strings.EqualFold(id, token.ObjectID) }):
		return nil
	case person:
		return invalid("The person who signed in is neither an owner of this application nor an administrator of applications. "+
			"Add them (object id %s) to its owners, or let an Application Administrator sign in.", token.ObjectID)
	}
	return invalid("The application that authenticates has the permission %s, but is not an owner of "+
		"the application that is to be rotated. Add its service principal (object id %s) to the owners of that application.",
		readWriteOwned, token.ObjectID)
}

// authenticate signs in with new credentials; value is what the vault is to keep of
// them.
func (s *Service) authenticate(ctx context.Context, c *Credentials, value secret.Value) (rotation.Token, error) {
	if c.Method == OAuth && !c.SignIn.Token.Value.IsZero() {
		return c.SignIn.Token, nil
	}
	var token rotation.Token
	err := s.whileFresh(ctx, func(ctx context.Context) (err error) {
		token, _, err = s.Actors.signIn(ctx, c.Method, c.app(), value, c.SendChain)
		return err
	})
	if err != nil {
		return token, s.explain(ctx, "signing in with the given credentials", err)
	}
	return token, nil
}
