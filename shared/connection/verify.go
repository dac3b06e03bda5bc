package connection

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// The Graph application permissions that let an application change its client
// secrets. Source: learn.microsoft.com/graph/api/application-addpassword.
const (
	readWriteAll   = "Application.ReadWrite.All"
	readWriteOwned = "Application.ReadWrite.OwnedBy"
)

// verified is what reading has shown about the given credential.
type verified struct {
	app    rotation.Application
	name   string // of the application; empty: not known
	keyID  string
	hint   string
	ends   time.Time
	origin rotation.Origin
}

// verify signs in with the given secret and reads the application: does it work,
// may it rotate, which credential is it? Nothing is changed.
func (s *Service) verify(ctx context.Context, in *Input) (v verified, err error) {
	looked := false
	err = s.whileFresh(ctx, func(ctx context.Context) error {
		v, err = s.tryGiven(ctx, in)
		if !looked && serviceerror.ClassOf(err) == serviceerror.CredentialRefused {
			looked = true // once, since that costs 16 queries
			if gone := s.removedBefore(ctx, in.app(), in.ClientSecret); gone != nil {
				err = gone
			}
		}
		return err
	})
	return v, s.told(ctx, err)
}

func (s *Service) tryGiven(ctx context.Context, in *Input) (verified, error) {
	app := in.app()
	v := verified{app: app, hint: in.ClientSecret.Hint(), origin: rotation.OriginGiven}
	token, err := s.Directory.Token(ctx, app, in.ClientSecret)
	if err != nil {
		return v, &failure{"signing in with the given client secret", err}
	}
	if !in.Rotate && in.ClientSecretKeyID == "" {
		v.ends, v.name = s.endOf(ctx, token, app, in.ClientSecret, "")
		return v, nil // nothing will be changed in Entra, so no permission is needed
	}
	if err := permitted(token); err != nil {
		return v, err
	}
	state, err := s.Directory.Application(ctx, token, app)
	if err != nil {
		return v, &failure{"reading the application", err}
	}
	v.app.ObjectID, v.name = state.ObjectID, rotation.VisibleName(state.DisplayName)
	w, err := s.identify(ctx, token, v.app, state, in.ClientSecret, in.ClientSecretKeyID)
	if err != nil {
		return v, err
	}
	v.keyID, v.ends, v.origin = w.KeyID, w.ExpiresAt, rotation.OriginNamed
	if !in.Rotate {
		return v, nil
	}
	if state.PersonalAccounts() && len(state.Passwords) >= 2 {
		return v, invalid("The application may have two client secrets at most, because personal Microsoft accounts "+
			"may sign in to it, and it has %d. "+
			"Remove one that nothing uses, so that there is room for a new one next to the given one.", len(state.Passwords))
	}
	return v, s.owned(ctx, token, v.app)
}

// permitted refuses a token that certainly lacks the permission. Of an opaque one
// nothing is known until addPassword answers.
func permitted(token rotation.Token) error {
	if token.Opaque || slices.Contains(token.Roles, readWriteAll) || slices.Contains(token.Roles, readWriteOwned) ||
		slices.Contains(token.Scopes, readWriteAll) {
		return nil
	}
	return invalid("%s", serviceerror.Permission.Advice())
}

// identify finds the credential whose value was given, beyond doubt, among those of
// the application and of its service principal. keyID, if not empty, is what the caller
// says it is.
func (s *Service) identify(
	ctx context.Context, token rotation.Token, app rotation.Application, state rotation.ApplicationState, secret secret.Value, keyID string,
) (rotation.Password, error) {
	principal, _, err := s.Directory.ServicePrincipal(ctx, token, app)
	if err != nil && !serviceerror.ClassOf(err).Refusal() {
		return rotation.Password{}, &failure{"reading the service principal", err}
	}
	unread := err != nil
	if keyID != "" {
		return s.named(state.Passwords, principal, secret, keyID)
	}
	found, doubt := rotation.Identify(s.Rotator.Clock(), secret.Hint(), state.Passwords, principal, unread)
	if found == nil {
		err := invalid("%s", doubt)
		if len(rotation.Fitting(s.Rotator.Clock(), secret.Hint(), slices.Concat(state.Passwords, principal))) == 0 {
			return rotation.Password{}, errors.Join(err, errNotListed) // it works, so it is there
		}
		return rotation.Password{}, err
	}
	return *found, nil
}

// endOf is when a client secret that was given ends, for warnings and for the vault, and what its
// application is called; zero if
// that can't be known: the application may not be read, or several could be meant. keyID is
// what the caller says it is; it may be empty. That it is not known is no failure.
func (s *Service) endOf(
	ctx context.Context, token rotation.Token, app rotation.Application, value secret.Value, keyID string,
) (ends time.Time, name string) {
	state, err := s.Directory.Application(ctx, token, app)
	if err != nil {
		return time.Time{}, ""
	}
	name = rotation.VisibleName(state.DisplayName)
	if i := slices.IndexFunc(state.Passwords, func(w rotation.Password) bool { return strings.EqualFold(w.KeyID, keyID) }); i >= 0 {
		return state.Passwords[i].ExpiresAt, name
	}
	app.ObjectID = state.ObjectID
	principal, _, err := s.Directory.ServicePrincipal(ctx, token, app)
	if found, _ := rotation.Identify(s.Rotator.Clock(), value.Hint(), state.Passwords, principal, err != nil); found != nil {
		return found.ExpiresAt, name
	}
	return time.Time{}, name
}

// named checks the key id that the caller named: with a wrong one Rekey would cut another
// consumer off.
func (s *Service) named(own, principal []rotation.Password, secret secret.Value, keyID string) (rotation.Password, error) {
	is := func(w rotation.Password) bool { return strings.EqualFold(w.KeyID, keyID) }
	i := slices.IndexFunc(own, is)
	if i < 0 {
		if i := slices.IndexFunc(principal, is); i >= 0 {
			return rotation.Password{}, invalid("%s", principal[i].OnPrincipal())
		}
		return rotation.Password{}, errors.Join(errNotListed, invalid("The application has no client secret with the key id %s. "+
			"Check credentials.clientSecretKeyId: it is the Secret ID, not the value and not the client id. "+
			"If the secret was made just now, wait a minute.", keyID))
	}
	w := own[i]
	switch {
	case !w.ExpiresAt.After(s.Rotator.Clock()):
		return w, invalid("The client secret with the key id %s ended on %s, so it can't be the one that was given.",
			keyID, w.ExpiresAt.Format(time.DateOnly))
	case w.Hint != "" && w.Hint != secret.Hint():
		return w, invalid("The key id %s belongs to another client secret (%q): its first three characters "+
			"are not those of the secret that was given.", keyID, w.DisplayName)
	}
	return w, nil
}

// vaultNames checks that the two names in the vault are free or may be taken over,
// and returns what is there under the published one.
func (s *Service) vaultNames(ctx context.Context, rec *rotation.Record) (rotation.VaultState, error) {
	published, err := s.Vault.State(ctx, rec.VaultName)
	if err != nil {
		return published, s.explain(ctx, "looking at the Key Vault secret's name", err)
	}
	staged, err := s.Vault.State(ctx, rec.StagedName())
	if err != nil {
		return published, s.explain(ctx, "looking at the Key Vault secret's name", err)
	}
	for name, st := range map[string]rotation.VaultState{rec.VaultName: published, rec.StagedName(): staged} {
		if !st.Exists && !st.Deleted {
			continue
		}
		if free, err := s.inherited(ctx, st.Tags, rec); err != nil {
			return published, err
		} else if !free {
			where := "exists already and is not this connection's"
			if st.Deleted {
				where = "is soft-deleted and was not this application's"
			}
			return published, nameTaken(
				"The Key Vault secret %q %s. Choose another vaultSecretName, or remove (and purge) that secret.", name, where)
		}
	}
	return published, nil
}

// inherited reports whether a secret with these tags was left by a connection that
// is gone, for the same application.
func (s *Service) inherited(ctx context.Context, tags map[string]string, rec *rotation.Record) (bool, error) {
	before := rotation.Application{TenantID: tags[vaulttag.Tenant], ClientID: tags[vaulttag.Client]}
	if tags[vaulttag.Deployment] != s.Rotator.Deployment || !before.Same(rec.Target) {
		return false, nil
	}
	_, err := s.Records.Load(ctx, tags[vaulttag.Connection])
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return true, nil
	case err != nil:
		return false, s.explainStore(ctx, "looking for the connection that the Key Vault secret was of", err)
	}
	return false, nil
}
