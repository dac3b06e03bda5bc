package connection

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"rekey/shared/rotation"
)

// Create takes a client secret over: it validates, reserves, writes the record, puts
// the secret into the vault and, with rotation on, issues a new one, proves and
// publishes it, as far as the request's time goes; the timer does the rest. It
// returns the connection in the state that it is in.
//
// Until it returns without an error the connection was promised to nobody: a
// refusal of Entra undoes everything.
func (s *Service) Create(ctx context.Context, in Input) (rotation.Record, error) {
	ctx, until, cancel := s.bounded(ctx)
	defer cancel()
	if err := in.Clean(); err != nil {
		return rotation.Record{}, err
	}
	if what, ok := s.Refused[in.ClientID]; ok {
		return rotation.Record{}, invalid("This application is %s. Rekey does not rotate what it depends on itself; give it an application of its own.", what)
	}
	rec := s.newRecord(&in)
	if err := s.free(ctx, &rec); err != nil {
		return rec, err
	}
	left, err := s.vaultNames(ctx, &rec)
	if err != nil {
		return rec, err
	}
	v, err := s.verify(ctx, &in)
	if err != nil {
		return rec, err
	}
	rec.Actor, rec.Target = v.app, v.app
	rec.Current = &rotation.Credential{Target: v.app, KeyID: v.keyID, Hint: v.hint, ExpiresAt: v.ends, Origin: v.origin}
	if left.Exists {
		rec.Takeover = left.Version
	}
	if err := s.reserve(ctx, &rec); err != nil {
		return rec, err
	}
	rec, err = s.insert(ctx, rec, in.By)
	if err != nil {
		return rec, err
	}
	handed := s.handOver(ctx, &rec, left, in.ClientSecret)
	got, err := s.Rotator.Pass(ctx, rec.ID, rotation.PassOptions{Until: until, Acknowledge: true, Brief: true, Lease: rec.Lease})
	return s.created(ctx, got, handed, err)
}

// created tells the caller how it went.
func (s *Service) created(ctx context.Context, rec rotation.Record, handed, err error) (rotation.Record, error) {
	switch {
	case rec.Phase == rotation.Deleting && handed != nil:
		return rec, s.explain(ctx, "storing the client secret in Key Vault; the creation is being undone", handed)
	case rec.Phase == rotation.Deleting && rec.LastRun != nil:
		return rec, invalid("%s Nothing was changed.", rec.LastRun.Message)
	case rec.Phase == rotation.Deleting:
		return rec, &Error{Kind: Unavailable, Message: "The connection could not be created, and what was begun is being undone. Try again in two minutes.", RetryAfter: 2 * time.Minute}
	case err != nil:
		// The row is there and the timer will finish or undo it.
		s.log().WarnContext(ctx, "creation was interrupted", "connection", rec.ID, "reason", err.Error())
		return rec, &Error{Kind: Unavailable, Message: "The creation was interrupted; Rekey will finish or undo it by itself. Look for the connection by its name in a few minutes.", RetryAfter: 5 * time.Minute}
	}
	return rec, nil
}

// newRecord is the row as it begins: with a lease already, so that nobody else
// works on it while the given secret is in this process only.
func (s *Service) newRecord(in *Input) rotation.Record {
	now := s.Rotator.Clock()
	id := newUUID()
	rec := rotation.Record{
		Schema: rotation.Schema, ID: id, Name: in.Name, Description: in.Description, Project: in.Project,
		Method: ClientSecret, VaultName: in.VaultSecretName, CreatedAt: now, CreatedBy: in.By, UpdatedAt: now,
		Policy: in.policy(), Target: rotation.Application{TenantID: in.TenantID, ClientID: in.ClientID},
		Phase: rotation.Creating, Version: 1, Revision: 1, CredentialChanges: 1,
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

// free looks whether what has to be unique is free, before anybody else is asked.
// Only reserving decides.
func (s *Service) free(ctx context.Context, rec *rotation.Record) error {
	for _, res := range rec.Reservations() {
		holder, err := s.Reservations.Find(ctx, res.Kind, res.Value)
		if errors.Is(err, rotation.ErrNotFound) {
			continue
		}
		if err != nil {
			return s.explainStore(ctx, "looking for other connections", err)
		}
		void, err := s.void(ctx, holder)
		if err != nil {
			return s.explainStore(ctx, "looking for other connections", err)
		}
		if !void {
			return s.taken(ctx, rec, holder)
		}
	}
	return nil
}

// reserve claims everything, or nothing.
func (s *Service) reserve(ctx context.Context, rec *rotation.Record) error {
	all := rec.Reservations()
	for i, res := range all {
		err := s.Reservations.Reserve(ctx, res, s.void)
		if err == nil {
			continue
		}
		// The one that failed may have been made all the same.
		for _, made := range all[:i+1] {
			if rerr := s.Reservations.Release(ctx, made); rerr != nil { // it becomes void by itself
				s.log().WarnContext(ctx, "releasing a reservation", "kind", string(made.Kind), "reason", rerr.Error())
			}
		}
		if errors.Is(err, rotation.ErrExists) {
			return s.taken(ctx, rec, res)
		}
		return s.explainStore(ctx, "reserving the connection's names", err)
	}
	return nil
}

// void reports whether nobody needs a reservation any more: its connection is
// gone, or holds another value by now.
func (s *Service) void(ctx context.Context, held rotation.Reservation) (bool, error) {
	rec, err := s.Records.Load(ctx, held.Owner)
	if errors.Is(err, rotation.ErrNotFound) {
		// Perhaps its creator has reserved and not written the row yet.
		return s.Rotator.Clock().Sub(held.At) > 10*time.Minute, nil
	}
	if err != nil {
		return false, err
	}
	if held.Kind == rotation.ReserveApplication {
		return held.Value != rotation.ApplicationReservation(rec.Target, "").Value &&
			(rec.Request == nil || held.Value != rotation.ApplicationReservation(rec.Request.Target, "").Value), nil
	}
	for _, res := range rec.Reservations() {
		if res.Kind == held.Kind && res.Value == held.Value {
			return rec.Phase == rotation.Deleting && held.Kind == rotation.ReserveName, nil
		}
	}
	return true, nil
}

// taken says what is in the way, and who has it if the caller can know that.
func (s *Service) taken(ctx context.Context, rec *rotation.Record, res rotation.Reservation) error {
	switch res.Kind {
	case rotation.ReserveName:
		return invalid("An App Connection with the name %q already exists. Choose another name.", rec.Name)
	case rotation.ReserveVault:
		return invalid("The Key Vault secret %q is used by another connection. Choose another vaultSecretName.", rec.VaultName)
	}
	e := &Error{Kind: Conflict, Message: "Another connection rotates this application already. An application is rotated by one connection only: use that one, or delete it first."}
	if other, err := s.Records.Load(ctx, res.Owner); err == nil && other.Phase == rotation.Deleting {
		e.Message = "A connection of this application is being deleted, and what it has issued is being removed. Try again later."
		e.RetryAfter = 15 * time.Minute
	}
	return e
}

// insert writes the row, with the lease taken. If nobody knows whether that worked,
// it reads back.
func (s *Service) insert(ctx context.Context, rec rotation.Record, by string) (rotation.Record, error) {
	now := s.Rotator.Clock()
	rec.Lease = rotation.Lease{Token: s.Rotator.NewID(), Until: now.Add(s.Rotator.Rules.Lease)}
	rec.WakeAt = rec.Lease.Until
	event := rotation.Event{At: now, Kind: rotation.EventCreated, By: by}
	got, err := s.Records.Create(ctx, rec, event)
	for try := 1; err != nil && try <= 3; try++ {
		back, lerr := s.Records.Load(ctx, rec.ID)
		if lerr == nil {
			return back, nil
		}
		if !errors.Is(lerr, rotation.ErrNotFound) {
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

// handOver puts the given secret into the vault, which is from then on the only
// place that has it. What fails here is found by the pass that follows, which looks
// into the vault.
func (s *Service) handOver(ctx context.Context, rec *rotation.Record, left rotation.VaultState, secret rotation.Secret) error {
	for _, name := range []string{rec.VaultName, rec.StagedName()} {
		st, err := s.Vault.State(ctx, name)
		if err == nil && st.Deleted {
			err = s.recoverSecret(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	version := rotation.VaultSecret{
		Name: rec.VaultName, Value: secret, ContentType: rotation.ContentType, Enabled: true, ExpiresAt: rec.Current.ExpiresAt,
		Tags: rotation.Tags(s.Rotator.Deployment, rec, *rec.Current),
	}
	var err error
	for range 2 { // a second version of the same value does no harm
		cctx, cancel := context.WithTimeout(ctx, s.Rotator.Rules.CallTimeout)
		_, err = s.Vault.Put(cctx, version)
		cancel()
		if err == nil || !rotation.UnknownOutcome(err) {
			return err
		}
	}
	return err
}

func (s *Service) recoverSecret(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, s.Rotator.Rules.CallTimeout)
	defer cancel()
	return s.Vault.Recover(ctx, name)
}
