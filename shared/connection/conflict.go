package connection

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

var (
	errUsed    = &Error{Kind: Conflict, Message: "Another connection authenticates with this application, so that rotating it here would cut that one off. Rotate it through that connection, or delete that one first."}
	errRemoved = &Error{Kind: Conflict, Message: "Another connection rotates this client secret, and will remove it. Use what that one publishes, or give this connection a client secret of its own."}
	// errOvertaken says that a change does not fit what somebody else has made of its connection.
	errOvertaken = &Error{Kind: Conflict, Message: "Somebody else has changed the connection meanwhile. Read it again, and repeat the change.", RetryAfter: 10 * time.Second}
	// errComing says that somebody else is at the same application right now. Of two
	// who are, at least one is refused.
	errComing = &Error{Kind: Conflict, Message: "Another connection of this application is being created, or given new credentials. Try again in a minute.", RetryAfter: time.Minute}
)

// inTheWay refuses what two connections must not do to each other: that one removes
// what the other authenticates with, or publishes (lesson L10). secret is the client
// secret that rec brings along, if it does. It is to be asked after rec's reservations
// are made: of two that are in each other's way, at least one sees the other.
func (s *Service) inTheWay(ctx context.Context, rec *rotation.Record, secret *rotation.Credential) error {
	if rec.Rotates() {
		if err := s.usedByAnother(ctx, rec); err != nil {
			return err
		}
	}
	if rec.Via == "" && secret != nil {
		if err := s.removedByAnother(ctx, rec, secret); err != nil {
			return err
		}
	}
	if rec.Via != "" || rec.Target.Same(rec.Actor) && rec.Rotates() {
		return nil // it has the application for itself
	}
	app := rotation.ApplicationReservation(rec.Actor, "")
	holder, err := s.Reservations.Find(ctx, app.Kind, app.Value)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound) || err == nil && holder.Owner == rec.ID:
		return nil
	case err != nil:
		return s.explainStore(ctx, "looking for other connections", err)
	}
	other, err := s.Records.Load(ctx, holder.Owner)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound) && s.coming(holder):
		return errComing
	case errors.Is(err, serviceerror.ErrNotFound):
		return nil
	case err != nil:
		return s.explainStore(ctx, "looking for other connections", err)
	case other.Delegated() && other.Target.Same(rec.Actor) && other.Via != rec.ID:
		return &Error{Kind: Conflict, Message: "Another connection rotates the client secrets of this application, so that nothing may authenticate with it that has to last. Use another application, or end that rotation first."}
	}
	if removes, err := s.removes(ctx, &other, rec.Actor, secret); err != nil {
		return err
	} else if removes {
		return errRemoved
	}
	return nil
}

// removedByAnother refuses a client secret that another connection of the application is
// going to remove, or may, although it need not rotate.
func (s *Service) removedByAnother(ctx context.Context, rec *rotation.Record, secret *rotation.Credential) error {
	note := rotation.ActorNote(rec.Actor, "")
	notes, err := s.Reservations.Notes(ctx, note.Kind, note.Value)
	if err != nil {
		return s.explainStore(ctx, "looking for other connections", err)
	}
	for _, note := range notes {
		if note.Owner == rec.ID {
			continue
		}
		other, err := s.Records.Load(ctx, note.Owner)
		switch {
		case errors.Is(err, serviceerror.ErrNotFound):
			continue // it has nothing to remove yet; one that rotates has the application
		case err != nil:
			return s.explainStore(ctx, "looking for other connections", err)
		case s.changing(&other):
			return errComing
		}
		c := other.Current
		if c != nil && c.Origin == rotation.OriginIssued && c.Target.Same(rec.Actor) && sameSecret(secret, c) && (!gone(&other) || revoking(&other)) {
			return errRemoved
		}
		if retires, err := s.retires(ctx, &other, rec.Actor, secret); err != nil {
			return err
		} else if retires {
			return errRemoved
		}
	}
	return nil
}

// changing reports whether somebody may be about to give rec new credentials.
func (s *Service) changing(rec *rotation.Record) bool {
	return slices.ContainsFunc(rec.Announced, func(o rotation.Announced) bool {
		return o.ID != rec.ChangeID && !serves(rec, o.ID) && o.Until.After(s.Rotator.Clock())
	})
}

// removes reports whether a connection that rotates an application is going to remove
// that client secret of it, or may be.
func (s *Service) removes(ctx context.Context, rec *rotation.Record, app rotation.Application, secret *rotation.Credential) (bool, error) {
	if secret == nil {
		return false, nil
	}
	for _, c := range going(rec) {
		if c.Target.Same(app) && sameSecret(secret, c) && (!gone(rec) || revoking(rec)) {
			return true, nil
		}
	}
	return s.retires(ctx, rec, app, secret)
}

// retires reports whether that client secret waits for its removal by rec.
func (s *Service) retires(ctx context.Context, rec *rotation.Record, app rotation.Application, secret *rotation.Credential) (bool, error) {
	for _, r := range rec.Replaced() {
		switch {
		case !r.Target.Same(app):
			continue
		case secret.KeyID != "":
			if strings.EqualFold(secret.KeyID, r.KeyID) {
				return true, nil
			}
			continue
		case r.VaultVersion == "":
			continue
		}
		kept, err := s.Vault.Get(ctx, rec.VaultName, r.VaultVersion)
		switch {
		case lacking(err): // whoever has the value has it from somewhere else
		case err != nil:
			return false, s.explain(ctx, "comparing the client secret with those of another connection", err)
		case sameSecret(secret, &rotation.Credential{Hint: kept.Value.Hint()}):
			return true, nil
		}
	}
	return false, nil
}

// going lists what rec publishes, and what it is going over to.
func going(rec *rotation.Record) (list []*rotation.Credential) {
	if rec.Current != nil {
		list = append(list, rec.Current)
	}
	return append(list, goingOver(rec)...)
}

// goingOver lists what rec is going over to: what is being proven, and what comes after
// that. Empty: no new credentials are under way.
func goingOver(rec *rotation.Record) (list []*rotation.Credential) {
	if r := rec.Run; rec.Phase == rotation.Rebinding {
		list = append(list, &rotation.Credential{Target: r.Target, KeyID: r.KeyID, Hint: r.Hint})
	}
	if q := rec.Request; q != nil && q.Kind == rotation.AskRebind {
		list = append(list, q.Next)
	}
	return list
}

// revoking reports whether what rec publishes is going to be removed with it.
func revoking(rec *rotation.Record) bool {
	return rec.Revoke || rec.Request != nil && rec.Request.Kind == rotation.AskDelete && rec.Request.Revoke
}

// lacking reports whether a version is not there any more, or nobody may read it.
func lacking(err error) bool {
	return errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err)
}

// usedByAnother refuses to rotate an application that another connection authenticates
// as. Where rec rotates itself, only one that has the same client secret is in the way.
func (s *Service) usedByAnother(ctx context.Context, rec *rotation.Record) error {
	note := rotation.ActorNote(rec.Target, "")
	notes, err := s.Reservations.Notes(ctx, note.Kind, note.Value)
	if err != nil {
		return s.explainStore(ctx, "looking for other connections", err)
	}
	for _, note := range notes {
		if note.Owner == rec.ID || note.Owner == rec.Via {
			continue
		}
		other, err := s.Records.Load(ctx, note.Owner)
		switch {
		case errors.Is(err, serviceerror.ErrNotFound) && s.coming(note):
			return errComing
		case errors.Is(err, serviceerror.ErrNotFound):
			continue
		case err != nil:
			return s.explainStore(ctx, "looking for other connections", err)
		case gone(&other):
			continue
		case s.changing(&other):
			return errComing
		}
		for _, c := range going(&other) {
			if !other.Delegated() && c.Target.Same(rec.Target) && sameSecret(rec.Current, c) {
				return errUsed
			}
		}
		if !other.Actor.Same(rec.Target) {
			if s.coming(note) {
				return errComing // it is going over to the application, perhaps
			}
			continue
		}
		secret, err := s.secretOf(ctx, &other)
		if err != nil {
			return err
		}
		if rec.Delegated() || sameSecret(rec.Current, secret) {
			return errUsed
		}
	}
	return nil
}

// secretOf is the client secret that a connection authenticates with, as far as it has
// to be told from others; nil if it has none.
func (s *Service) secretOf(ctx context.Context, rec *rotation.Record) (*rotation.Credential, error) {
	switch {
	case rec.Auth == nil:
		return rec.Current, nil
	case rec.Method != ClientSecret:
		return nil, nil
	}
	kept, err := s.Vault.Get(ctx, rec.AuthName(), rec.Auth.VaultVersion)
	if lacking(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain(ctx, "reading another connection's client secret", err)
	}
	return &rotation.Credential{Hint: kept.Value.Hint()}, nil
}

// sameSecret reports whether two credentials of one application may be the same.
func sameSecret(a, b *rotation.Credential) bool {
	switch {
	case a == nil || b == nil:
		return false
	case a.KeyID != "" && b.KeyID != "":
		return strings.EqualFold(a.KeyID, b.KeyID)
	}
	return a.Hint == "" || b.Hint == "" || a.Hint == b.Hint
}

// serves reports whether rec has taken up a request, whatever has become of it since.
func serves(rec *rotation.Record, requestID string) bool {
	return rec.Request != nil && rec.Request.ID == requestID || rec.Run != nil && rec.Run.ID == requestID ||
		rec.LastRun != nil && rec.LastRun.ID == requestID
}
