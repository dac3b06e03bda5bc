package connection

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// SignIns sign in with what is no client secret. Their errors have the classes of
// [rotator.Authority], and besides these [serviceerror.CertificateRefused],
// [serviceerror.SignInExpired] and [serviceerror.ConsentMissing].
type SignIns interface {
	// Certificate signs in as app with a certificate and its key, PEM; chain says
	// to send the certificate's chain along.
	Certificate(ctx context.Context, app rotation.Application, pem secret.Value, chain bool) (rotation.Token, error)
	// Refresh signs in as the person of a refresh token, and returns the new one
	// that it was exchanged for. The old one stays good.
	Refresh(ctx context.Context, app rotation.Application, refresh secret.Value) (rotation.Token, secret.Value, error)
}

// ActorVault is what signing in needs of the vault.
type ActorVault interface {
	Put(ctx context.Context, secret rotation.VaultSecret) (version string, err error)
	Get(ctx context.Context, name, version string) (rotation.VaultSecret, error)
	List(ctx context.Context, name string) ([]rotation.VaultSecret, error)
	Disable(ctx context.Context, name, version string) error
}

// ActorRecords are the rows of connections that sign in.
type ActorRecords interface {
	Load(ctx context.Context, id string) (rotation.Record, error)
	Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
}

// Actors signs in as connections, each with what it has: a certificate, a person's
// refresh token, or a client secret. It implements [rotator.Actors].
//
// What signing in shows about a connection is kept on its record: that it can't any
// more, and that it can again. A refresh token that was exchanged is saved once a
// day, in a vault version of its own before the record names it; of two processes that save
// at once the later one's stays, and a reconnect beats both. This needs no lease, since a
// rotation depends on none of it.
type Actors struct {
	Records    ActorRecords
	Vault      ActorVault
	Authority  rotator.Authority
	SignIns    SignIns // nil: client secrets only
	Deployment string
	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil: slog.Default()
}

var _ rotator.Actors = (*Actors)(nil)

// How often a refresh token is saved, and how long one that nothing uses waits for
// its renewal. Entra ends one after 90 days without use.
const (
	saveEvery  = 24 * time.Hour
	renewAfter = 30 * 24 * time.Hour
)

// signingIn is the Op of errors that tell a target of a connection that the connection
// can't sign in.
const signingIn = "signing in as the connection that authenticates"

// Token implements [rotator.Actors].
func (a *Actors) Token(ctx context.Context, id string) (rotation.Token, error) {
	return a.use(ctx, id, "", false)
}

// TokenIn is Token for a tenant: a connection that has become one of another tenant meanwhile
// is refused, with class [serviceerror.ActorRefused].
func (a *Actors) TokenIn(ctx context.Context, id, tenantID string) (rotation.Token, error) {
	return a.use(ctx, id, tenantID, false)
}

// Renew implements [rotator.Actors].
func (a *Actors) Renew(ctx context.Context, id string) error {
	_, err := a.use(ctx, id, "", true)
	return err
}

// use signs in, and once more with what was given or renewed meanwhile if that is
// why the first try failed.
func (a *Actors) use(ctx context.Context, id, tenantID string, renew bool) (rotation.Token, error) {
	for try := 1; ; try++ {
		token, stale, err := a.once(ctx, id, tenantID, renew)
		if !stale || try == 3 {
			return token, err
		}
	}
}

// once signs in as the connection is, if it is one of that tenant; empty: of any. Stale says
// that it is another by now.
func (a *Actors) once(ctx context.Context, id, tenantID string, renew bool) (token rotation.Token, stale bool, err error) {
	rec, err := a.Records.Load(ctx, id)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return token, false, &serviceerror.Error{
			Op: signingIn, Class: serviceerror.ActorRefused, Detail: "that connection does not exist any more",
		}
	case err != nil:
		return token, false, err
	case rec.Phase == rotation.Creating:
		return token, false, &serviceerror.Error{Op: signingIn, Class: serviceerror.Transient, Detail: "that connection is being created"}
	case tenantID != "" && !strings.EqualFold(rec.Actor.TenantID, tenantID):
		return token, false, &serviceerror.Error{
			Op: signingIn, Class: serviceerror.ActorRefused, Detail: "that connection is one of another tenant by now",
		}
	}
	if rec.Auth == nil {
		token, err = a.published(ctx, &rec)
		return token, false, refusedActor(err)
	}
	value, err := a.Vault.Get(ctx, rec.AuthName(), rec.Auth.VaultVersion)
	if err != nil {
		stale = a.moved(ctx, &rec)
		if !stale && (serviceerror.Unreadable(err) || serviceerror.ClassOf(err) == serviceerror.VaultRefused) {
			stale = a.refused(ctx, &rec, err)
		}
		return token, stale, refusedActor(err)
	}
	token, renewed, err := a.signIn(ctx, rec.Method, rec.Actor, value.Value, rec.Auth.Chain)
	if err != nil {
		return token, a.refused(ctx, &rec, err), refusedActor(err)
	}
	a.accepted(ctx, &rec, renewed, renew)
	return token, false, nil
}

// published signs in with the client secret that the connection rotates itself.
func (a *Actors) published(ctx context.Context, rec *rotation.Record) (rotation.Token, error) {
	if rec.Current == nil {
		return rotation.Token{}, &serviceerror.Error{
			Op: signingIn, Class: serviceerror.ActorRefused, Detail: "that connection has no credential any more",
		}
	}
	value, err := a.Vault.Get(ctx, rec.VaultName, rec.Current.VaultVersion)
	if err != nil {
		return rotation.Token{}, err
	}
	return a.Authority.Token(ctx, rec.Actor, value.Value)
}

// signIn signs in with a value as it is in the vault; renewed is set for a refresh
// token.
func (a *Actors) signIn(
	ctx context.Context, method string, app rotation.Application, value secret.Value, chain bool,
) (token rotation.Token, renewed secret.Value, err error) {
	switch {
	case method == ClientSecret:
		token, err = a.Authority.Token(ctx, app, value)
	case a.SignIns == nil:
		err = &serviceerror.Error{Op: "signing in", Class: serviceerror.Invalid, Detail: "this deployment signs in with client secrets only"}
	case method == Certificate:
		token, err = a.SignIns.Certificate(ctx, app, value, chain)
	case method == OAuth:
		var kept kept
		if kept, err = readKept(value); err == nil {
			token, renewed, err = a.SignIns.Refresh(ctx, app, secret.New(kept.RefreshToken))
		}
	default:
		err = &serviceerror.Error{Op: "signing in", Class: serviceerror.Invalid, Detail: "a method that this version of Rekey does not know"}
	}
	return token, renewed, err
}

// kept is what the vault has of a person's sign-in.
type kept struct {
	RefreshToken string `json:"refreshToken"`
	TenantID     string `json:"tenantId"`
	ClientID     string `json:"clientId"`
	Account      string `json:"account"`
}

// keep makes the value for the vault.
func keep(app rotation.Application, account string, refresh secret.Value) (secret.Value, error) {
	text, err := json.Marshal(kept{refresh.Reveal(), app.TenantID, app.ClientID, account})
	if err != nil {
		return secret.Value{}, errors.New("encoding a refresh token")
	}
	return secret.New(string(text)), nil
}

func readKept(value secret.Value) (k kept, err error) {
	if json.Unmarshal([]byte(value.Reveal()), &k) != nil || k.RefreshToken == "" {
		return k, &serviceerror.Error{Op: "reading a refresh token", Class: serviceerror.SignInExpired, Detail: "what is in the vault is none"}
	}
	return k, nil
}

// refusedActor makes of a refusal one that does not look like the target's.
func refusedActor(err error) error {
	if err == nil || !serviceerror.ClassOf(err).Refusal() && !errors.Is(err, serviceerror.ErrNotFound) {
		return err
	}
	if from, ok := errors.AsType[*serviceerror.Error](err); ok {
		return serviceerror.ActorFailure(signingIn, from)
	}
	return &serviceerror.Error{Op: signingIn, Class: serviceerror.ActorRefused, Detail: "its credential is not in the vault"}
}

// moved reports whether the connection has other credentials by now than rec says.
func (a *Actors) moved(ctx context.Context, rec *rotation.Record) bool {
	fresh, err := a.Records.Load(ctx, rec.ID)
	return err == nil && fresh.Auth != nil && fresh.Auth.VaultVersion != rec.Auth.VaultVersion
}

// refused notes that the connection can't sign in. It reports whether that is only
// because it has other credentials by now.
func (a *Actors) refused(ctx context.Context, used *rotation.Record, cause error) (stale bool) {
	class := serviceerror.ClassOf(cause)
	if !class.Refusal() {
		return false
	}
	now := a.now()
	event := rotation.Event{At: now, Kind: history.SignInLost, Class: class, Message: serviceerror.Explain(cause)}
	err := a.change(ctx, used.ID, event, func(rec *rotation.Record) bool {
		if rec.Auth == nil || rec.Auth.VaultVersion != used.Auth.VaultVersion {
			stale = true
			return false
		}
		if was := rec.Auth.Problem; was != nil && was.Class == class {
			return false // it is known
		}
		rec.Auth.Problem = &rotation.Failure{Class: class, Message: serviceerror.Explain(cause), Count: 1, At: now}
		return true
	})
	if err != nil {
		a.log().WarnContext(ctx, "noting a lost sign-in", "connection", used.ID, "class", string(serviceerror.ClassOf(err)))
	} else if !stale {
		a.log().ErrorContext(ctx, "sign-in lost", "connection", used.ID, "method", used.Method,
			"class", string(class), "reason", serviceerror.Explain(cause))
	}
	return stale
}

// accepted notes that the connection could sign in, and saves a refresh token whose
// turn has come. What fails here costs nothing yet: the old one is good for long.
func (a *Actors) accepted(ctx context.Context, used *rotation.Record, renewed secret.Value, force bool) {
	now := a.now()
	due := !renewed.IsZero() && (force || now.Sub(used.Auth.SavedAt) >= saveEvery)
	if !due && used.Auth.Problem == nil {
		return
	}
	version := ""
	if due {
		var err error
		if version, err = a.put(ctx, used, renewed); err != nil {
			a.log().WarnContext(ctx, "saving a refresh token", "connection", used.ID, "class", string(serviceerror.ClassOf(err)))
			return
		}
	}
	kept := false
	event := rotation.Event{}
	if used.Auth.Problem != nil {
		event = rotation.Event{At: now, Kind: history.SignInBack}
	}
	err := a.change(ctx, used.ID, event, func(rec *rotation.Record) bool {
		kept = false
		if rec.Auth == nil || rec.Auth.Generation != used.Auth.Generation || rec.Auth.SavedAt.After(now) {
			return false // given anew, or renewed by another process later than by this one
		}
		rec.Auth.Problem = nil
		if version != "" {
			kept = true
			rec.Replace(now)
			rec.Auth.VaultVersion, rec.Auth.SavedAt, rec.Auth.RenewAt = version, now, now.Add(renewAfter)
		}
		return true
	})
	if err != nil {
		a.log().WarnContext(ctx, "noting a sign-in", "connection", used.ID, "class", string(serviceerror.ClassOf(err)))
		return // whether it is in use is unknown: the next one tidies up
	}
	if version != "" && !kept {
		a.disable(ctx, used, version)
	}
}

// put writes a refresh token as a new version.
func (a *Actors) put(ctx context.Context, rec *rotation.Record, refresh secret.Value) (version string, err error) {
	value, err := keep(rec.Actor, rec.Auth.Account, refresh)
	if err != nil {
		return "", err
	}
	return a.Vault.Put(ctx, authSecret(a.now(), a.Deployment, rec, value))
}

// idle is how long Entra keeps a refresh token that nothing uses.
// Source: learn.microsoft.com/entra/identity-platform/refresh-tokens.
const idle = 90 * 24 * time.Hour

// authSecret is a version of what rec authenticates with. A refresh token ends when it has
// been idle for too long, which it is not: another one takes its place before.
func authSecret(now time.Time, deployment string, rec *rotation.Record, value secret.Value) rotation.VaultSecret {
	ends := rec.Auth.ExpiresAt
	if rec.Method == OAuth {
		ends = now.Add(idle).Truncate(time.Second)
	}
	kind := map[string]string{ClientSecret: vaulttag.ContentType, Certificate: "application/x-pem-file", OAuth: "application/json"}[rec.Method]
	tags := rotation.Tags(deployment, rec, rotation.Credential{Target: rec.Actor})
	return rotation.VaultSecret{
		Name: rec.AuthName(), Value: value, ContentType: kind, Enabled: true, ExpiresAt: vaulttag.Expiry(now, ends), Tags: tags,
	}
}

func (a *Actors) disable(ctx context.Context, rec *rotation.Record, version string) {
	if err := a.Vault.Disable(ctx, rec.AuthName(), version); err != nil && !errors.Is(err, serviceerror.ErrNotFound) {
		a.log().WarnContext(ctx, "disabling an old credential", "connection", rec.ID, "class", string(serviceerror.ClassOf(err)))
	}
}

// change writes what is known about a connection's own credentials, beside whatever
// pass has its lease. Not ok: there is nothing to write. An event without a kind is
// none.
func (a *Actors) change(ctx context.Context, id string, event rotation.Event, change func(*rotation.Record) (ok bool)) error {
	_, err := amend(ctx, a.Records, id, func(rec *rotation.Record) (events []rotation.Event, err error) {
		if !change(rec) {
			return nil, rotator.ErrUnchanged
		}
		if event.Kind != "" {
			events = append(events, event)
		}
		return append(events, rotation.Tell(rec, a.now())...), nil
	})
	return err
}

func (a *Actors) now() time.Time {
	if a.Now != nil {
		return a.Now().UTC()
	}
	return time.Now().UTC()
}

func (a *Actors) log() *slog.Logger {
	if a.Log != nil {
		return a.Log
	}
	return slog.Default()
}
