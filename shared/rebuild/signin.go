package rebuild

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// signIn drafts who authenticates. What a connection authenticates with is tried the
// way in which the connection is going to use it.
func (s *scan) signIn(ctx context.Context, d *draft) error {
	switch {
	case d.via != "":
		return s.through(ctx, d)
	case len(d.auth) > 0:
		return s.own(ctx, d)
	case d.rec.Method == connection.Certificate || d.rec.Method == connection.OAuth:
		return held("What it authenticates with is not in the vault. Delete what is left of it, and create it again.")
	case len(d.published) == 0:
		return held("Its published secret %q is not in the vault. Delete what is left of it, and create it again.", d.name)
	}
	d.rec.Actor = d.rec.Target
	return nil
}

// through drafts a target of another connection.
func (s *scan) through(ctx context.Context, d *draft) error {
	var parent rotation.Record
	p := s.drafts[d.via]
	switch {
	case p == nil:
		var err error
		if parent, err = s.Records.Load(ctx, d.via); errors.Is(err, serviceerror.ErrNotFound) {
			return held("The connection that it is rotated through (%s) is neither in the table nor in the vault. "+
				"Its client secret stays published, and nothing rotates it.", d.via)
		} else if err != nil {
			return err
		}
	case p.Outcome == Missing || p.Outcome == Present && p.rec.ID != "":
		parent = p.rec
	case p.Outcome == Unclear:
		return &stop{Unclear, "The connection that it is rotated through is unclear."}
	default:
		return held("The connection that it is rotated through (%s) is not rebuilt.", d.via)
	}
	d.rec.Actor = parent.Actor
	token, err := s.act(ctx, p, parent)
	if err == nil {
		d.token = token
		return nil
	}
	if !serviceerror.ClassOf(err).Refusal() {
		return err
	}
	d.Notes = append(d.Notes, "The connection that it is rotated through can't sign in; it goes on once that one is repaired.")
	return nil
}

// act gets a token of who acts for others, once for all of them if p is what is known of
// it.
func (s *scan) act(ctx context.Context, p *draft, rec rotation.Record) (rotation.Token, error) {
	if p == nil {
		token, _, err := s.try(ctx, rec)
		return token, err
	}
	p.once.Do(func() {
		if p.actToken = p.token; p.token.Value.IsZero() {
			p.actToken, _, p.actErr = s.try(ctx, rec)
		}
	})
	return p.actToken, p.actErr
}

// own drafts what the connection authenticates with: the newest of what is enabled
// that gets a token, or else the newest, with what is wrong about it.
func (s *scan) own(ctx context.Context, d *draft) error {
	rest := 0 // enabled ones that are not used
	var fallback *rotation.Record
	for _, v := range d.auth {
		if !v.Enabled {
			continue
		}
		rest++
		if d.rec.Auth != nil && d.rec.Auth.Problem == nil {
			continue
		}
		value, err := s.Vault.Get(ctx, d.rec.AuthName(), v.Version)
		if err != nil {
			return err
		}
		for _, auth := range s.material(d.rec.Method, v, value.Value) {
			rec := d.rec.Clone()
			rec.Actor, rec.Auth = application(v), &auth
			if rec.Target.ClientID == "" {
				rec.Target = rotation.Application{}
			}
			token, after, err := s.try(ctx, rec)
			if err != nil && !serviceerror.ClassOf(err).Refusal() {
				return err
			}
			rec.Auth.Problem = after.Auth.Problem
			if fallback == nil {
				fallback = new(rec)
			}
			if err == nil {
				d.rec, d.token = rec, token
				break
			}
		}
	}
	switch {
	case d.rec.Auth != nil:
	case fallback != nil:
		d.rec = *fallback
		d.ByPerson = append(d.ByPerson, "It can't sign in with what is in the vault; reconnect it. "+cantSignIn(fallback.Auth.Problem))
	default:
		return held("What it authenticates with is disabled in the vault. Enable the version of %q that is to be used, and run this again.",
			d.rec.AuthName())
	}
	if rest > 1 {
		d.rec.Replace(s.now())
	}
	return nil
}

func cantSignIn(f *rotation.Failure) string {
	if f == nil {
		return serviceerror.ActorRefused.Advice()
	}
	return f.Message
}

// material is what a record knows about a version of what a connection authenticates
// with, in the order in which it is worth trying. Whether a certificate is sent with its
// chain is in no tag, so that both ways are.
func (s *scan) material(method string, v rotation.VaultSecret, value secret.Value) []rotation.Auth {
	auth := rotation.Auth{VaultVersion: v.Version, Generation: 1, ExpiresAt: v.ExpiresAt, SavedAt: v.CreatedAt}
	switch method {
	case connection.Certificate:
		if c, err := certificate.Read(value); err == nil {
			auth.ExpiresAt, auth.Thumbprint = c.NotAfter.UTC(), c.ThumbprintSHA1
		}
		chained := auth
		chained.Chain = true
		return []rotation.Auth{auth, chained}
	case connection.OAuth:
		// The value is what package connection writes; the account is the person's
		// object id.
		var kept struct {
			Account string `json:"account"`
		}
		if json.Unmarshal([]byte(value.Reveal()), &kept) == nil {
			auth.Account = kept.Account
		}
		auth.RenewAt = s.now() // by the first pass, which may write
	}
	return []rotation.Auth{auth}
}

// try signs in as a connection, by the code that will do so from now on, without
// writing anything. It returns the record as that code would have left it.
func (s *scan) try(ctx context.Context, rec rotation.Record) (rotation.Token, rotation.Record, error) {
	kept := &memory{rec: rec.Clone()}
	kept.rec.Phase = rotation.Idle
	actors := connection.Actors{
		Records: kept, Vault: readOnly{s.Vault}, Authority: s.Directory, SignIns: s.SignIns,
		Deployment: s.Deployment, Now: s.now, Log: slog.New(slog.DiscardHandler),
	}
	token, err := actors.Token(ctx, rec.ID)
	return token, kept.rec, err
}

// memory is one record that is in no table.
type memory struct{ rec rotation.Record }

func (m *memory) Load(context.Context, string) (rotation.Record, error) { return m.rec.Clone(), nil }

func (m *memory) Commit(_ context.Context, rec rotation.Record, _ ...rotation.Event) (rotation.Record, error) {
	m.rec = rec.Clone()
	return rec, nil
}

// readOnly is a vault that refuses writes: a refresh token that was got by the way is
// not saved, and the old one stays good.
type readOnly struct{ Vault }

var errReadOnly = &serviceerror.Error{Op: "looking", Class: serviceerror.Invalid, Detail: "nothing is written"}

func (readOnly) Put(context.Context, rotation.VaultSecret) (string, error) { return "", errReadOnly }
func (readOnly) Disable(context.Context, string, string) error             { return errReadOnly }
