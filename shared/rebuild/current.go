package rebuild

import (
	"context"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// current finds what is current: the newest published value that gets a token.
func (s *scan) current(ctx context.Context, d *draft) error {
	tried := map[string]bool{}
	var refusal error
	for i, v := range d.published {
		key := v.Tags[vaulttag.KeyID]
		if !v.Enabled || key != "" && tried[key] {
			continue
		}
		tried[key] = true
		tries := 1
		if i == 0 { // replicas that have not heard of it yet refuse it, too
			tries = s.Rules.Successes
		}
		value, token, err := s.prove(ctx, d, v, tries)
		if err == nil {
			d.rec.Current, d.value = credential(v, s.now(), value), value
			d.rec.Target = application(v)
			if !d.rec.Delegated() {
				d.rec.Actor, d.token = d.rec.Target, token
			}
			d.latest = d.latest && i == 0
			return nil
		}
		if !useless(err) {
			return err
		}
		if refusal == nil {
			refusal = err
		}
	}
	if len(d.published) == 0 {
		d.latest = true // nothing is, and nothing is to be
		return nil
	}
	s.lost(d, refusal)
	return nil
}

// lost drafts a connection of which no published value works.
func (s *scan) lost(d *draft, refusal error) {
	d.rec.Current = credential(d.published[0], s.now(), secret.Value{})
	d.latest = false
	if d.rec.Delegated() {
		return // the connection that acts can issue a new one
	}
	now := s.now()
	why := serviceerror.CredentialLost.Advice()
	if refusal != nil {
		why += " " + serviceerror.Explain(refusal)
	}
	d.rec.Error = &rotation.Failure{Class: serviceerror.CredentialLost,
		Message: serviceerror.CredentialLost.Advice(), Count: 1, At: now, RetryAt: now}
	d.ByPerson = append(d.ByPerson, "No client secret that was published for it works. Reconnect it with a new one. "+why)
}

// prove reads a published value and spends it for a token, more than once if it is
// refused.
func (s *scan) prove(ctx context.Context, d *draft, v rotation.VaultSecret,
	tries int) (value secret.Value, token rotation.Token, err error) {
	got, err := s.Vault.Get(ctx, d.name, v.Version)
	if err != nil {
		return value, token, err
	}
	for try := 1; ; try++ {
		token, err = s.Directory.Token(ctx, application(v), got.Value)
		if err == nil || !serviceerror.RefusesCredential(err) || try >= tries {
			return got.Value, token, err
		}
		if err := sleep(ctx, s.Rules.Spacing); err != nil {
			return value, token, err
		}
	}
}

// useless reports whether there is nothing to be had from a version: its value does not
// work, or can't be read.
func useless(err error) bool {
	return serviceerror.RefusesCredential(err) || serviceerror.Unreadable(err)
}

// directory reads the application that is rotated, as far as a credential that works allows.
func (s *scan) directory(ctx context.Context, d *draft) error {
	if d.rec.Target.ClientID == "" || d.token.Value.IsZero() {
		return nil
	}
	state, err := s.Directory.Application(ctx, d.token, d.rec.Target)
	if err != nil && serviceerror.ClassOf(err).Refusal() {
		if d.rec.Rotates() {
			d.Notes = append(d.Notes, "Its application could not be read. "+serviceerror.Explain(err))
		}
		return nil
	}
	if err != nil {
		return err
	}
	d.state = &state
	d.rec.LearnName(&state)
	for _, app := range []*rotation.Application{&d.rec.Target, &d.rec.Actor} {
		if app.Same(d.rec.Target) {
			app.ObjectID = state.ObjectID
		}
	}
	if c := d.rec.Current; c != nil && c.Target.Same(d.rec.Target) {
		c.Target.ObjectID = state.ObjectID
	}
	return nil
}
