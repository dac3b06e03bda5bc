package connection

import (
	"context"
	"strings"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// Inspection is what a connection would be, before it is made.
type Inspection struct {
	KeyID      string // the client secret that the given one is, beyond doubt; empty if there is a doubt
	Candidates []Candidate
	Complete   bool // the service principal's client secrets could be read, too
	Check      Check
}

// Candidate is a client secret that a value could be of.
type Candidate struct {
	rotation.Password
	OnPrincipal bool // it sits on the service principal, where Rekey does not rotate
}

// Inspect looks at what a connection would be made of, as [Service.Check] does at one that there is:
// it signs in with the credentials and reads what they may rotate. Of a client secret it says which key
// ids it could have: the live ones that begin with the same three characters, or that show none. What is
// refused after the sign-in is a finding. A name may be left out. Nothing is stored and nothing is changed.
func (s *Service) Inspect(ctx context.Context, in Input) (Inspection, error) {
	ctx, _, _, cancel := s.bounded(ctx)
	defer cancel()
	if err := in.clean(in.Name != ""); err != nil {
		return Inspection{}, err
	}
	value, _, err := in.material(ctx, s.Rotator.Clock())
	if err != nil {
		return Inspection{}, err
	}
	token, err := s.signInToInspect(ctx, &in, value)
	if err != nil {
		return Inspection{}, err
	}
	found := Inspection{Candidates: []Candidate{}, Check: Check{Authenticates: true, Permissions: permissions(token, in.Method == OAuth)}}
	rec := s.newRecord(&in)
	rec.Actor, rec.Target = in.app(), rotation.Application{TenantID: in.TenantID, ClientID: in.Target.ClientID, ObjectID: in.Target.ObjectID}
	if in.rotatesItself() {
		rec.Target = in.app()
	}
	if err := found.Check.find(s.free(ctx, &rec)); err != nil {
		return Inspection{}, err
	}
	if err := found.Check.find(s.allowed(rec.Target.ClientID)); err != nil {
		return Inspection{}, err
	}
	state, err := s.look(ctx, token, &rec, &found.Check)
	if err == nil && state != nil && rec.Target.ClientID == "" { // it was named by its object id alone
		rec.Target.ClientID = strings.ToLower(state.ClientID)
		if err = found.Check.find(s.allowed(state.ClientID)); err == nil {
			err = found.Check.find(s.unclaimed(ctx, &rec))
		}
	}
	if err != nil || state == nil || !in.rotatesItself() {
		return found, err
	}
	return found, s.candidates(ctx, token, &in, state, &found)
}

// signInToInspect signs in with what was given.
func (s *Service) signInToInspect(ctx context.Context, in *Input, value secret.Value) (rotation.Token, error) {
	if in.Method != ClientSecret {
		return s.authenticate(ctx, &in.Credentials, value)
	}
	token, err := s.Directory.Token(ctx, in.app(), value)
	if err != nil {
		return token, s.explain(ctx, "signing in with the given client secret", err)
	}
	return token, nil
}

// candidates finds which of the client secrets the given one could be.
func (s *Service) candidates(
	ctx context.Context, token rotation.Token, in *Input, state *rotation.ApplicationState, found *Inspection,
) error {
	principal, _, err := s.Directory.ServicePrincipal(ctx, token, in.app())
	if err != nil && !serviceerror.ClassOf(err).Refusal() {
		return s.explain(ctx, "reading the service principal", err)
	}
	found.Complete = err == nil
	now, hint := s.Rotator.Clock(), in.ClientSecret.Hint()
	for _, w := range rotation.Fitting(now, hint, state.Passwords) {
		found.Candidates = append(found.Candidates, Candidate{Password: w})
	}
	for _, w := range rotation.Fitting(now, hint, principal) {
		found.Candidates = append(found.Candidates, Candidate{Password: w, OnPrincipal: true})
	}
	if in.ClientSecretKeyID != "" {
		w, err := s.named(state.Passwords, principal, in.ClientSecret, in.ClientSecretKeyID)
		if err == nil {
			found.KeyID = w.KeyID
		}
		return found.Check.find(err)
	}
	is, doubt := rotation.Identify(now, hint, state.Passwords, principal, !found.Complete)
	if is != nil {
		found.KeyID = is.KeyID
		return nil
	}
	return found.Check.find(invalid("%s", doubt))
}
