// Package oauth connects a tenant by sending a person to Microsoft Entra: the
// authorization code flow with PKCE, from the link that a caller of the API asks for
// to the connection.
//
//	Begin     a caller of the API names the connection. A row remembers that for ten
//	          minutes, under a hash of a random state; the caller gets a link to our
//	          own start page, with the state in it.
//	Open      the start page says who asks for what. It changes nothing.
//	Approve   the button on it. The browser gets a cookie with 256 random bits, b, and
//	          goes to Entra.
//	Callback  Entra sends the browser back with a code. State and cookie have to
//	          belong together; the row is used up; only then is the code redeemed.
//	Result    what came of it, for that browser only.
//
// What it promises:
//
//   - The row has no secret in it. The code verifier and the nonce derive from b, and
//     the row knows b by what derives from it with another label. A reader of the
//     table, or of the link, can neither finish another person's sign-in nor have their
//     own taken for it: the verifier would not fit the code, nor the nonce the ID token.
//   - A state is used once. Of several callbacks that carry it one redeems its code;
//     to the others it is as if they had come for the result.
//   - Nothing is stored before the ID token is verified (signature, issuer, audience,
//     tenant, nonce), and then only what the caller asked for in Begin. The refresh
//     token goes to Key Vault by way of package connection, and nowhere else.
//   - Neither state nor code, token, verifier or b is logged, quoted in an error or
//     shown on a page. The callback leads away from its address in every case
//     (functions/oauth refuses one before it comes here only for the number of requests).
//
// There is one link between a person and the request of a caller, and that is the
// start page: it names who asks, and only its own button goes on (functions/oauth
// sees to that), so that no person connects a tenant by following a link.
package oauth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/entra"
	"rekey/shared/openid"
	"rekey/shared/rotation"
)

// The addresses below the public URL. CallbackPath is the redirect URI's, and the same
// as Infisical's, whose registrations have it.
const (
	Base         = "/organization/app-connections/azure/oauth/"
	StartPath    = Base + "start"
	CallbackPath = Base + "callback"
	ResultPath   = Base + "result"
)

// Lifetime is how long a link is good, from Begin to the callback.
const Lifetime = 10 * time.Minute

// Store keeps rows under conditions; see rotationtest.TestPending.
type Store interface {
	// Pending returns what is under key; [serviceerror.ErrNotFound] if nothing is.
	Pending(ctx context.Context, key string) (value []byte, etag string, err error)
	// PutPending replaces what has that ETag, [serviceerror.ErrConflict] if nothing
	// has; with an empty one it adds, [serviceerror.ErrExists] if there is something.
	// What has expired may be deleted.
	PutPending(ctx context.Context, key string, value []byte, expires time.Time, etag string) (newETag string, err error)
}

// Authority is where people sign in; see package entra.
type Authority interface {
	SignInURL(r entra.SignInRequest) string
	AdminConsentURL(tenantID, redirectURI, state string) string
	Issuer(tenantID string) string
	Redeem(ctx context.Context, tenantID string, code, verifier secret.Value, redirectURI string) (entra.Redeemed, error)
}

// IDTokens verifies what Entra says about a person; see package openid.
type IDTokens interface {
	IDToken(ctx context.Context, raw secret.Value, want openid.Expect) (openid.Identity, error)
}

// Connections is what a sign-in is for; see package connection.
type Connections interface {
	Get(ctx context.Context, id string) (rotation.Record, error)
	ByName(ctx context.Context, project, name string) (rotation.Record, error)
	Create(ctx context.Context, in connection.Input) (rotation.Record, error)
	Update(ctx context.Context, id string, c connection.Change) (rotation.Record, error)
}

// Flow is connecting by OAuth. Its fields are set once; all but Budget, Now and Log
// are required.
type Flow struct {
	Store       Store
	Authority   Authority
	IDTokens    IDTokens
	Connections Connections

	ClientID  string // of the OAuth application
	PublicURL string // https, or http on loopback; without a slash at its end

	// Budget is how long each part of a callback may take: using the state up,
	// signing in, noting the outcome. 0: 30 s. Making the connection has the budget
	// of [connection.Service].
	Budget time.Duration
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: slog.Default()
}

// Request is what a caller wants: a new connection, or with ConnectionID another
// sign-in for one that exists.
type Request struct {
	// ConnectionID is of the connection to reconnect. The members from Name to
	// Grace are then its own and not looked at; TenantID may be empty.
	ConnectionID string
	TenantID     string // GUID

	Name, Description, Project string
	Target                     connection.Target // what to rotate through the connection; may be empty
	VaultSecretName            string
	Rotate                     bool
	Schedule                   schedule.Schedule
	Grace                      *time.Duration

	By string // who asks; the person gets to see it
}

// Begun is a link for a person.
type Begun struct {
	AuthorizationURL string
	ExpiresAt        time.Time
	Flow             string // the id of the flow; it is no secret
}

// Begin notes what is asked for and makes a link to the start page. What can be seen
// now to be in the way is refused now, so that no person signs in for nothing; its
// errors are of type [*connection.Error]. Nothing is reserved: whether the name is
// still free is decided at the end.
func (f *Flow) Begin(ctx context.Context, r Request) (Begun, error) {
	p := pending{By: r.By, ClientID: f.ClientID, BegunAt: f.now().Truncate(time.Second)}
	p.ExpiresAt = p.BegunAt.Add(Lifetime)
	var err error
	if r.ConnectionID != "" {
		err = f.beginAgain(ctx, &p, r)
	} else {
		err = f.beginNew(ctx, &p, r)
	}
	if err != nil {
		return Begun{}, err
	}
	state := randomText()
	if _, err := f.put(ctx, idOf(state), p, ""); err != nil {
		f.log().WarnContext(ctx, "noting a sign-in", "class", string(serviceerror.ClassOf(err)))
		return Begun{}, &connection.Error{Kind: connection.Unavailable,
			Message: "The sign-in could not be noted down. Try again.", RetryAfter: 10 * time.Second}
	}
	return Begun{f.PublicURL + StartPath + "?state=" + state, p.ExpiresAt, idOf(state)}, nil
}

// beginNew checks the request for a new connection as [connection.Service.Create] will.
func (f *Flow) beginNew(ctx context.Context, p *pending, r Request) error {
	in := connection.Input{
		Name: r.Name, Description: r.Description, Project: r.Project,
		Target: r.Target, VaultSecretName: r.VaultSecretName, Rotate: r.Rotate, Schedule: r.Schedule, Grace: r.Grace, By: r.By,
		// There is no sign-in yet, and Clean is to check the rest.
		Credentials: f.credentials(r.TenantID, &connection.SignIn{RefreshToken: secret.New("not yet")}),
	}
	if err := in.Clean(); err != nil {
		return err
	}
	_, err := f.Connections.ByName(ctx, in.Project, in.Name)
	if e, ok := errors.AsType[*connection.Error](err); err == nil {
		return &connection.Error{Kind: connection.Invalid,
			Message: "An App Connection with this name already exists. Choose another name, or give its id as connectionId to sign in for it again."}
	} else if !ok || e.Kind != connection.NotFound {
		return err
	}
	p.TenantID, p.Name, p.Description, p.Project = in.TenantID, in.Name, in.Description, in.Project
	p.Target, p.VaultSecretName, p.Rotate, p.Schedule, p.Grace = in.Target, in.VaultSecretName, in.Rotate, in.Schedule, in.Grace
	return nil
}

// beginAgain checks that a connection can be reconnected by signing in.
func (f *Flow) beginAgain(ctx context.Context, p *pending, r Request) error {
	refuse := func(message string) error {
		return &connection.Error{Kind: connection.Invalid, Message: message}
	}
	if !connection.ValidID(r.ConnectionID) {
		return refuse("connectionId must be the id of a connection.")
	}
	rec, err := f.Connections.Get(ctx, r.ConnectionID)
	switch {
	case err != nil:
		return err
	case rec.Method != connection.OAuth || rec.Auth == nil:
		return refuse("This connection does not authenticate by OAuth. Its credentials are changed by PATCH.")
	case r.TenantID != "" && !sameID(r.TenantID, rec.Actor.TenantID):
		return refuse("The connection is of another tenant. Leave tenantId out, or create another connection for that tenant.")
	}
	p.ConnectionID, p.Generation, p.Account = rec.ID, rec.Auth.Generation, rec.Auth.Account
	p.TenantID, p.Name, p.Description, p.Project = rec.Actor.TenantID, rec.Name, rec.Description, rec.Project
	return nil
}

func (f *Flow) credentials(tenantID string, signIn *connection.SignIn) connection.Credentials {
	return connection.Credentials{Method: connection.OAuth, TenantID: tenantID, ClientID: f.ClientID, SignIn: signIn}
}

func (f *Flow) redirectURI() string { return f.PublicURL + CallbackPath }

func (f *Flow) now() time.Time {
	if f.Now != nil {
		return f.Now().UTC()
	}
	return time.Now().UTC()
}

func (f *Flow) log() *slog.Logger { return cmp.Or(f.Log, slog.Default()) }

func (f *Flow) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(f.Budget, 30*time.Second))
}
