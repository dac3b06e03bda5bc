package connection

import (
	"context"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// Inspection is what a client secret could be.
type Inspection struct {
	KeyID      string // the one that it is, beyond doubt; empty if there is a doubt
	Candidates []Candidate
	Complete   bool // the service principal's client secrets could be read, too
}

// Candidate is a client secret that a value could be of.
type Candidate struct {
	rotation.Password
	OnPrincipal bool // it sits on the service principal, where Rekey does not rotate
}

// Inspect signs in with a client secret and says which key ids it could have: the live
// ones that begin with the same three characters, or that show none. Nothing is stored
// and nothing is changed.
func (s *Service) Inspect(ctx context.Context, c Credentials) (Inspection, error) {
	ctx, _, _, cancel := s.bounded(ctx)
	defer cancel()
	var m mistakes
	c.clean(&m)
	if err := m.err(); err != nil {
		return Inspection{}, err
	}
	token, err := s.Directory.Token(ctx, c.app(), c.ClientSecret)
	if err != nil {
		return Inspection{}, s.explain(ctx, "signing in with the given client secret", err)
	}
	state, err := s.Directory.Application(ctx, token, c.app())
	if err != nil {
		return Inspection{}, s.explain(ctx, "reading the application", err)
	}
	principal, err := s.Directory.ServicePrincipalPasswords(ctx, token, c.app())
	if err != nil && !serviceerror.ClassOf(err).Refusal() {
		return Inspection{}, s.explain(ctx, "reading the service principal", err)
	}
	in := Inspection{Complete: err == nil}
	for _, w := range s.fitting(state.Passwords, c.ClientSecret) {
		in.Candidates = append(in.Candidates, Candidate{Password: w})
	}
	for _, w := range s.fitting(principal, c.ClientSecret) {
		in.Candidates = append(in.Candidates, Candidate{Password: w, OnPrincipal: true})
	}
	if in.Complete && len(in.Candidates) == 1 && !in.Candidates[0].OnPrincipal {
		in.KeyID = in.Candidates[0].KeyID
	}
	return in, nil
}

// fitting returns those of list that secret could be the value of.
func (s *Service) fitting(list []rotation.Password, secret secret.Value) (out []rotation.Password) {
	for _, w := range list {
		if w.ExpiresAt.After(s.Rotator.Clock()) && (w.Hint == "" || w.Hint == secret.Hint()) {
			out = append(out, w)
		}
	}
	return out
}
