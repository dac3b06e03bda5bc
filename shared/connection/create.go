package connection

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// draft is a connection that is about to be created.
type draft struct {
	rec   rotation.Record
	given rotation.VaultSecret // what the vault is to keep; without a name nothing
	left  rotation.VaultState  // what is under the published name
}

// Create makes a connection: it validates, reserves, writes the record, puts what was
// given into the vault and, with rotation on, issues a new client secret, proves and
// publishes it, as far as the request's time goes; the timer does the rest. It
// returns the connection in the state that it is in.
//
// Until it returns without an error the connection is promised to no caller: a
// refusal of Entra undoes everything.
func (s *Service) Create(ctx context.Context, in Input) (rotation.Record, error) {
	asking, ctx, until, cancel := s.bounded(ctx)
	defer cancel()
	if err := in.Clean(); err != nil {
		return rotation.Record{}, err
	}
	if in.Rotate && !mayRemove(ctx) {
		return rotation.Record{}, errMayNotTurnOn
	}
	d := draft{rec: s.newRecord(&in)}
	var err error
	if in.rotatesItself() {
		err = s.draftOwn(asking, &d, &in)
	} else {
		err = s.draftDelegated(asking, &d, &in)
	}
	if err != nil {
		return d.rec, err
	}
	return s.create(ctx, d, in.By, until)
}

// rotatesItself reports whether what the connection authenticates with is what is to
// be rotated, if anything is.
func (in *Input) rotatesItself() bool {
	other := in.Target.ObjectID != "" || in.Target.ClientID != "" && in.Target.ClientID != in.ClientID
	return in.Method == ClientSecret && !other
}

// draftOwn drafts a connection that publishes, and may rotate, the client secret that
// it is given.
func (s *Service) draftOwn(ctx context.Context, d *draft, in *Input) error {
	if err := s.allowed(in.ClientID); err != nil {
		return err
	}
	rec := &d.rec
	rec.Actor, rec.Target = in.app(), in.app()
	if err := s.free(ctx, rec); err != nil {
		return err
	}
	var err error
	if d.left, err = s.vaultNames(ctx, rec); err != nil {
		return err
	}
	v, err := s.verify(ctx, in)
	if err != nil {
		return err
	}
	rec.Actor, rec.Target, rec.TargetName = v.app, v.app, v.name
	rec.Given = v.app.Digest(rec.ID, in.ClientSecret)
	rec.Current = &rotation.Credential{Target: v.app, KeyID: v.keyID, Hint: v.hint, ExpiresAt: v.ends, Origin: v.origin, Digest: rec.Given}
	d.given = rotation.VaultSecret{
		Name: rec.VaultName, Value: in.ClientSecret, ContentType: vaulttag.ContentType, Enabled: true,
		ExpiresAt: vaulttag.Expiry(s.Rotator.Clock(), v.ends),
		Tags:      rotation.Tags(s.Rotator.Deployment, rec, *rec.Current),
	}
	return nil
}

// draftDelegated drafts a connection that authenticates with something else than what
// it rotates, if it rotates anything.
func (s *Service) draftDelegated(ctx context.Context, d *draft, in *Input) error {
	rec := &d.rec
	value, auth, err := in.material(ctx, s.Rotator.Clock())
	if err != nil {
		return err
	}
	auth.Generation = 1
	rec.Actor, rec.Auth = in.app(), &auth
	if err := s.free(ctx, rec); err != nil {
		return err
	}
	token, err := s.authenticate(ctx, &in.Credentials, value)
	if err != nil {
		return err
	}
	// Before the row is written: a vault that refuses Rekey would refuse to tell whether the credentials reached it, too.
	if _, err := s.state(ctx, rec.AuthName()); err != nil {
		return s.explain(ctx, "looking at the Key Vault secret's name", err)
	}
	if in.Method == ClientSecret {
		auth.ExpiresAt, _ = s.endOf(ctx, token, in.app(), in.ClientSecret, in.ClientSecretKeyID)
	}
	if in.Target != (Target{}) {
		app, state, err := s.target(ctx, token, in.TenantID, in.Target)
		if err != nil {
			return err
		}
		rec.Target, rec.TargetName = app, rotation.VisibleName(state.DisplayName)
		if d.left, err = s.vaultNames(ctx, rec); err != nil {
			return err
		}
	}
	if in.Method != OAuth {
		rec.Given = digestOf(rec, rec.Actor, value)
	}
	d.given = authSecret(s.Rotator.Clock(), s.Rotator.Deployment, rec, value)
	return nil
}

// create makes what was drafted.
func (s *Service) create(ctx context.Context, d draft, by string, until time.Time) (rotation.Record, error) {
	rec := d.rec
	if d.left.Exists {
		rec.Takeover = d.left.Version
	}
	rec, err := s.record(ctx, rec, by)
	if err != nil {
		return rec, err
	}
	settled, handed := s.handOver(ctx, &rec, d.given)
	if handed != nil && rec.Via != "" {
		return s.undoTarget(ctx, rec, handed, until)
	}
	got, err := s.Rotator.Pass(ctx, rec.ID, rotator.PassOptions{
		Until: until, Acknowledge: handed == nil, Brief: true, Lease: rec.Lease, Settled: settled,
	})
	return s.created(ctx, got, handed, err)
}

// record reserves everything and writes the row.
func (s *Service) record(ctx context.Context, rec rotation.Record, by string) (rotation.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, amending)
	defer cancel()
	if err := s.reserve(ctx, &rec); err != nil {
		return rec, err
	}
	// Claims come last: a create that loses a name must not look like one in progress.
	rows, err := s.claim(ctx, &rec, rec.Uses()...)
	if err == nil {
		rec.AddClaims(rows)
		if err = s.attach(ctx, &rec); err != nil {
			s.unclaim(ctx, rows)
		}
	}
	if err != nil {
		s.release(ctx, rec.Reservations())
		return rec, err
	}
	return s.insert(ctx, rec, by)
}

// allowed refuses applications that Rekey itself depends on: a rotation could lock Rekey out.
func (s *Service) allowed(clientID string) error {
	if what, ok := s.Refused[strings.ToLower(clientID)]; ok {
		return invalid("This application is %s. Rekey does not rotate what it depends on itself; give it an application of its own.", what)
	}
	return nil
}

// created tells the caller how it went.
func (s *Service) created(ctx context.Context, rec rotation.Record, handed, err error) (rotation.Record, error) {
	switch {
	case rec.Phase == rotation.Deleting && handed != nil:
		return rec, s.explain(ctx, "storing the client secret in Key Vault; the creation is being undone", handed)
	case rec.Phase == rotation.Deleting && rec.LastRun != nil:
		return rec, invalid("%s Nothing was changed.", rec.LastRun.Message)
	case rec.Phase == rotation.Deleting:
		return rec, &Error{
			Kind: Unavailable, RetryAfter: 2 * time.Minute,
			Message: "The connection could not be created, and what was begun is being undone. Try again in two minutes.",
		}
	case err != nil || handed != nil:
		// The row is there and the timer will finish or undo it: what was given may
		// have reached the vault although the answer was lost.
		s.log().WarnContext(ctx, "creation was interrupted", "connection", rec.ID, "reason", cmp.Or(err, handed).Error())
		return rec, &Error{
			Kind: Unavailable, RetryAfter: 5 * time.Minute,
			Message: "The creation was interrupted; Rekey will finish or undo it by itself. " +
				"Look for the connection by its name in a few minutes.",
		}
	}
	return rec, nil
}

// undoTarget takes back a target under whose name nothing can be published. It has no
// client secret yet, so that nothing else of it remains.
func (s *Service) undoTarget(ctx context.Context, rec rotation.Record, cause error, until time.Time) (rotation.Record, error) {
	mine := rec.Lease.Token
	told := s.explain(ctx, "recovering the Key Vault secret that a deleted target has left", cause)
	_, err := amend(ctx, s.Records, rec.ID, func(rec *rotation.Record) ([]rotation.Event, error) {
		now := s.Rotator.Clock()
		if rec.Lease.Token != mine || rec.Gone() {
			return nil, rotator.ErrUnchanged // it is taken back already, or a pass has its lease by now
		}
		rec.Lease, rec.WakeAt, rec.Undo = rotation.Lease{}, now, true
		rec.Request = &rotation.Request{Kind: rotation.AskDelete, ID: s.Rotator.NewID(), At: now, Revoke: true}
		return nil, nil
	})
	if err == nil {
		_, err = s.drive(ctx, rec, until)
	}
	if err != nil && !errors.Is(err, errNoConnection) {
		s.log().WarnContext(ctx, "a target was not withdrawn", "connection", rec.ID, "reason", err.Error())
	}
	return rec, told
}

// newRecord is the row as it begins. insert adds the lease, so that no pass works on it while
// the given secret is in this process only.
func (s *Service) newRecord(in *Input) rotation.Record {
	now := s.Rotator.Clock()
	id := cmp.Or(in.ID, newUUID())
	rec := rotation.Record{
		Schema: rotation.Schema, ID: id, Name: in.Name, Description: in.Description, Project: in.Project,
		Method: in.Method, VaultName: in.VaultSecretName, CreatedAt: now, CreatedBy: in.By, UpdatedAt: now,
		Policy: in.policy(), Phase: rotation.Creating, Version: 1, Revision: 1, CredentialChanges: 1,
	}
	if rec.VaultName == "" {
		rec.VaultName = "rekey-" + id
	}
	return rec
}

// newUUID returns a random UUID (RFC 9562, version 4): the ids of the API that we
// speak are UUIDs.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// insert writes the row, with the lease taken. If it is unknown whether that worked,
// it reads back.
func (s *Service) insert(ctx context.Context, rec rotation.Record, by string) (rotation.Record, error) {
	now := s.Rotator.Clock()
	rec.Lease = rotation.Lease{Token: s.Rotator.NewID(), Until: now.Add(s.Rotator.Rules.Lease)}
	rec.WakeAt = rec.Lease.Until
	if rec.Current != nil { // what was given is about to be written under the published name
		rec.Unsettled.Until = rec.Lease.Until.Add(s.Rotator.Rules.Late)
	}
	event := rotation.Event{At: now, Kind: history.Created, By: by, From: origin(ctx)}
	if len(rec.Retire) > 0 {
		event.Message = "client secrets of which the first rotation takes the place: " + strings.Join(rec.Retire, ", ")
	}
	got, err := s.Records.Create(ctx, rec, event)
	for try := 1; err != nil && try <= 3; try++ {
		back, lerr := s.Records.Load(ctx, rec.ID)
		if lerr == nil {
			return back, nil
		}
		if !errors.Is(lerr, serviceerror.ErrNotFound) {
			err = lerr
			continue
		}
		got, err = s.Records.Create(ctx, rec, event)
	}
	if err != nil {
		// Whether the row is there is not known. If it is, a pass undoes it; the
		// reservations become void by themselves.
		return rec, s.explainStore(ctx, "writing the connection", err)
	}
	return got, nil
}

// handOver puts what was given into the vault, which is from then on the only place
// that has it. What fails here is found by the pass that follows, which looks into
// the vault.
//
// settled says that no write of it can land any more.
func (s *Service) handOver(ctx context.Context, rec *rotation.Record, given rotation.VaultSecret) (settled bool, err error) {
	for _, name := range []string{rec.VaultName, rec.StagedName()} {
		if rec.Target.ClientID == "" {
			break // nothing will be published
		}
		st, err := s.state(ctx, name)
		if err == nil && st.Deleted {
			err = s.recoverSecret(ctx, name)
		}
		if err != nil {
			return true, err
		}
	}
	if given.Name == "" {
		return true, nil
	}
	_, settled, err = s.store(ctx, given)
	return settled, err
}

// store writes a new version, twice if the outcome of the first is unknown: a second
// version of the same value does no harm. settled says that every try had a definite answer.
func (s *Service) store(ctx context.Context, given rotation.VaultSecret) (version string, settled bool, err error) {
	settled = true
	for range 2 {
		cctx, cancel := context.WithTimeout(ctx, s.Rotator.Rules.CallTimeout)
		version, err = s.Vault.Put(cctx, given)
		cancel()
		if err == nil || !serviceerror.UnknownOutcome(err) {
			break
		}
		settled = false
	}
	return version, settled, err
}

func (s *Service) state(ctx context.Context, name string) (rotation.VaultState, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Rotator.Rules.CallTimeout)
	defer cancel()
	return s.Vault.State(ctx, name)
}

func (s *Service) recoverSecret(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, s.Rotator.Rules.CallTimeout)
	defer cancel()
	return s.Vault.Recover(ctx, name)
}
