package connection

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
)

// errComing says that somebody else is at the same application right now. Of two who
// are, at least one is refused.
func errComing() error {
	return &Error{Kind: Conflict, Message: "Another connection of this application is being created. Try again in a minute.", RetryAfter: time.Minute}
}

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
	if rec.Via != "" || rec.Target.Same(rec.Actor) && rec.Rotates() {
		return nil // it has the application for itself
	}
	app := rotation.ApplicationReservation(rec.Actor, "")
	holder, err := s.Reservations.Find(ctx, app.Kind, app.Value)
	switch {
	case errors.Is(err, rotation.ErrNotFound) || err == nil && holder.Owner == rec.ID:
		return nil
	case err != nil:
		return s.explainStore(ctx, "looking for other connections", err)
	}
	other, err := s.Records.Load(ctx, holder.Owner)
	switch {
	case errors.Is(err, rotation.ErrNotFound) && s.coming(holder):
		return errComing()
	case errors.Is(err, rotation.ErrNotFound):
		return nil
	case err != nil:
		return s.explainStore(ctx, "looking for other connections", err)
	case other.Delegated() && other.Target.Same(rec.Actor):
		return &Error{Kind: Conflict, Message: "Another connection rotates the client secrets of this application, so that nothing may authenticate with it that has to last. Use another application, or end that rotation first."}
	case s.removes(ctx, &other, secret):
		return &Error{Kind: Conflict, Message: "Another connection rotates this client secret, and will remove it. Use what that one publishes, or give this connection a client secret of its own."}
	}
	return nil
}

// removes reports whether a connection that rotates an application is going to remove
// that client secret of it, or may be.
func (s *Service) removes(ctx context.Context, rec *rotation.Record, secret *rotation.Credential) bool {
	if secret == nil {
		return false
	}
	if !gone(rec) && sameSecret(secret, rec.Current) {
		return true
	}
	return slices.ContainsFunc(rec.Retiring, func(r rotation.Retiring) bool {
		if secret.KeyID != "" {
			return strings.EqualFold(secret.KeyID, r.KeyID)
		}
		kept, err := s.Vault.Get(ctx, rec.VaultName, r.VaultVersion)
		return r.VaultVersion != "" && err == nil && sameSecret(secret, &rotation.Credential{Hint: hint(kept.Value)})
	})
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
		case errors.Is(err, rotation.ErrNotFound) && s.coming(note):
			return errComing()
		case errors.Is(err, rotation.ErrNotFound):
			continue
		case err != nil:
			return s.explainStore(ctx, "looking for other connections", err)
		case gone(&other) || !other.Actor.Same(rec.Target):
			continue
		}
		secret, err := s.secretOf(ctx, &other)
		if err != nil {
			return err
		}
		if rec.Delegated() || sameSecret(rec.Current, secret) {
			return &Error{Kind: Conflict, Message: "Another connection authenticates with this application, so that rotating it here would cut that one off. Rotate it through that connection, or delete that one first."}
		}
	}
	return nil
}

// secretOf is the client secret that a connection authenticates with, as far as it has
// to be told from others; nil if it has none.
func (s *Service) secretOf(ctx context.Context, rec *rotation.Record) (*rotation.Credential, error) {
	if rec.Auth == nil || rec.Method != ClientSecret {
		return rec.Current, nil
	}
	kept, err := s.Vault.Get(ctx, rec.AuthName(), rec.Auth.VaultVersion)
	if err != nil {
		return nil, s.explain(ctx, "reading another connection's client secret", err)
	}
	return &rotation.Credential{Hint: hint(kept.Value)}, nil
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
