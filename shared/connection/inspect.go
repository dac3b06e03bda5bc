package connection

import (
	"context"

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
	now, hint := s.Rotator.Clock(), c.ClientSecret.Hint()
	in := Inspection{Complete: err == nil}
	for _, w := range rotation.Fitting(now, hint, state.Passwords) {
		in.Candidates = append(in.Candidates, Candidate{Password: w})
	}
	for _, w := range rotation.Fitting(now, hint, principal) {
		in.Candidates = append(in.Candidates, Candidate{Password: w, OnPrincipal: true})
	}
	if found, _ := rotation.Identify(now, hint, state.Passwords, principal, !in.Complete); found != nil {
		in.KeyID = found.KeyID
	}
	return in, nil
}
