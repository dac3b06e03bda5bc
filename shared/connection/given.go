package connection

import (
	"context"
	"fmt"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// digest is what the record remembers of the credentials by; empty for a sign-in, which has
// another value each time.
func (c *Credentials) digest(ctx context.Context, rec *rotation.Record, now time.Time) (string, error) {
	switch {
	case c.Method == OAuth:
		return "", nil
	case rec.Auth == nil:
		return c.app().Digest(rec.ID, c.ClientSecret), nil
	}
	value, _, err := c.material(ctx, now)
	if err != nil {
		return "", err
	}
	return digestOf(rec, c.app(), value), nil
}

func digestOf(rec *rotation.Record, app rotation.Application, value secret.Value) string {
	if value.IsZero() {
		return ""
	}
	return app.Digest(rec.ID, value)
}

// recognise deals with credentials that the record remembers (rule R13). Clients that keep
// their own state send the same ones with every change: those that were given last, and
// those that are current, are no change. Those that Rekey removes, or has removed, are
// refused, since they would be published and die.
func (s *Service) recognise(ctx context.Context, rec *rotation.Record, e *edit) error {
	c := e.Credentials
	if c == nil || rec.Via != "" {
		return nil
	}
	now := s.Rotator.Clock()
	var err error
	if e.given, err = c.digest(ctx, rec, now); err != nil || e.given == "" {
		return err
	}
	what, at := rec.Recognise(e.given)
	switch what {
	case rotation.New:
		return nil
	case rotation.BeingRemoved:
		return &Error{Kind: Conflict, RetryAfter: time.Hour, Message: "Rekey has replaced this client secret and removes it at " + stamp(at) +
			". Use what is published in Key Vault, or create a new client secret in Entra and give that."}
	case rotation.WasRemoved:
		return &Error{Kind: Conflict, Message: "Rekey has removed this client secret at " + stamp(at) +
			", so that it does not work any more. Use what is published in Key Vault, or create a new client secret in Entra and give that."}
	case rotation.GivenLast:
		if s.refused(rec) && at.IsZero() {
			return nil // given once more, because what is published does not work
		}
	case rotation.Published:
		if s.refused(rec) {
			return nil
		}
		if err := s.takeKeyID(ctx, rec, e); err != nil {
			return err
		}
		if len(goingOver(rec)) > 0 { // what was about to replace it is not wanted any more
			e.request = &rotation.Request{Kind: rotation.AskKeep, ID: e.id, By: e.By, At: now}
		}
	}
	e.Credentials, e.again = nil, true
	return nil
}

// removedBefore says that a client secret which Entra refuses was removed by Rekey, for a
// connection that is gone by now; nil if that is not known. A client that deletes a connection and
// creates it again sends what it keeps, and would not learn otherwise that it can never work.
func (s *Service) removedBefore(ctx context.Context, app rotation.Application, value secret.Value) error {
	all, err := s.Records.Former(ctx, app)
	if err != nil {
		s.log().WarnContext(ctx, "looking for former connections", "class", string(serviceerror.ClassOf(err)))
	}
	for _, f := range all {
		at, ok := f.RemovedAt(app, value)
		if !ok {
			continue
		}
		use := "Create a new client secret in Entra and give that."
		if f.VaultName != "" {
			use = fmt.Sprintf("Use what took its place, which is in the Key Vault secret %q, or create a new client secret in Entra "+
				"and give that.", f.VaultName)
		}
		return &Error{Kind: Conflict, Message: fmt.Sprintf("Rekey removed this client secret from Entra at %s, for the connection %s, "+
			"which is deleted by now. So it will never work again, however often it is given. %s", stamp(at), f.ID, use)}
	}
	return nil
}

// refused reports whether what rec has does not work as far as is known. A vault that refuses Rekey says nothing of it.
func (s *Service) refused(rec *rotation.Record) bool {
	return s.Rotator.Rules.Lost(rec.Current, s.Rotator.Clock()) ||
		rec.Auth != nil && rec.Auth.Problem != nil && rec.Auth.Problem.Class != serviceerror.VaultRefused
}

// takeKeyID takes the key id that comes with what is current, if that was not known. It is
// checked as that of new credentials is.
func (s *Service) takeKeyID(ctx context.Context, rec *rotation.Record, e *edit) error {
	if !rec.Unidentified() || e.Credentials.ClientSecretKeyID == "" {
		return nil
	}
	v, err := s.verify(ctx, &Input{Credentials: *e.Credentials})
	e.keyID, e.ends = v.keyID, v.ends
	return err
}

// takeAgain takes over what came with credentials that are no change: the key id, and that
// what waits after a failure is tried at once.
func (e *edit) takeAgain(rec *rotation.Record, now time.Time) {
	if c := rec.Current; e.keyID != "" && c != nil && c.Origin == rotation.OriginGiven && c.Digest == e.given {
		c.KeyID, c.ExpiresAt, c.Origin = e.keyID, e.ends, rotation.OriginNamed
	}
	if c := rec.Current; c != nil && c.Digest == e.given { // as it is read back from Key Vault: from now on it is what the caller keeps
		given := &rec.Given
		if rec.Phase == rotation.Rebinding {
			given = &rec.GivenBefore
		}
		*given = e.given
	}
	rec.RetryNow(now)
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }
