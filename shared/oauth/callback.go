package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/entra"
	"rekey/shared/openid"
	"rekey/shared/rotation"
)

// Landing is where a callback leads to: to the result of a flow, or to what is said
// about a flow that can't be shown to this browser. One of the two is set.
type Landing struct {
	Flow    string
	Problem Problem
}

// Path is the landing's address below the public URL. There is nothing secret in it:
// a result is shown to the browser that it is of, and to no other.
func (l Landing) Path() string {
	if l.Problem != "" {
		return ResultPath + "?problem=" + string(l.Problem)
	}
	return ResultPath + "?flow=" + l.Flow
}

// consentState is the state with which administrators are sent to consent. It proves
// nothing, and nothing follows from the answer that comes back with it.
const consentState = "admin-consent"

// parameters are those of a callback that are looked at.
// Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow and
// v2-admin-consent; RFC 9207 for iss.
var parameters = []string{"state", "code", "error", "error_description", "admin_consent", "iss"}

// maxQuery is longer than any callback of Entra, whose codes have about a kilobyte.
const maxQuery = 16 << 10

// Callback takes what Entra sent a browser back with: the query, as it stands in the
// address. All of it may be forged. It goes on with a flow only if the state is of
// one and this browser has taken that up; then the state is used up, whatever comes
// after.
func (f *Flow) Callback(ctx context.Context, query string, jar Jar) Landing {
	q, err := url.ParseQuery(query)
	if err != nil || len(query) > maxQuery || slices.ContainsFunc(parameters, func(name string) bool { return len(q[name]) > 1 }) {
		return Landing{Problem: Malformed}
	}
	if q.Has("admin_consent") || q.Get("state") == consentState {
		return Landing{Problem: consented(q)}
	}
	state := q.Get("state")
	if !stateForm.MatchString(state) {
		return Landing{Problem: Unknown}
	}
	if q.Get("code") == "" && q.Get("error") == "" {
		return Landing{Problem: Malformed}
	}
	ctx = context.WithoutCancel(ctx) // a browser that goes away cancels nothing
	id := idOf(state)
	b := f.held(id, jar)
	p, etag, problem := f.take(ctx, id, b)
	switch problem {
	case "":
	case Used:
		return Landing{Flow: id} // perhaps by this browser: it gets to see what came of it
	default:
		return Landing{Problem: problem}
	}
	out := f.conclude(ctx, &p, id, b, q)
	f.log().InfoContext(ctx, "a sign-in has ended", "outcome", string(out.Kind), "requester", p.By, "connection", out.ConnectionID)
	f.record(ctx, id, p, etag, out)
	return Landing{Flow: id}
}

// consented is what the answer to a request for an administrator's consent says.
// admin_consent=True comes along with errors too, and the tenant is whatever the
// address says.
func consented(q url.Values) Problem {
	if q.Has("error") || !strings.EqualFold(q.Get("admin_consent"), "true") {
		return ConsentRefused
	}
	return ConsentGiven
}

// take uses the state up, before the code is redeemed: if this process dies after
// that, no caller can play the callback again.
func (f *Flow) take(ctx context.Context, id string, b secret.Value) (p pending, etag string, problem Problem) {
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	name := randomText()
	for range contention {
		p, etag, problem = f.open(ctx, id)
		switch {
		case problem == Used && p.TakenBy == name: // the write has happened after all
			return p, etag, ""
		case problem != "":
			return p, etag, problem
		case !p.bound(b, id):
			return p, etag, OtherBrowser
		}
		p.TakenBy, p.TakenAt = name, f.now()
		etag, err := f.put(ctx, id, p, etag)
		switch {
		case err == nil:
			return p, etag, ""
		case errors.Is(err, serviceerror.ErrConflict), serviceerror.UnknownOutcome(err):
			continue
		}
		f.log().WarnContext(ctx, "using up a sign-in", "class", string(serviceerror.ClassOf(err)))
		break
	}
	return p, "", Unavailable
}

// conclude does what the flow is for, unless Entra says no. An error wins over a code.
func (f *Flow) conclude(ctx context.Context, p *pending, id string, b secret.Value, q url.Values) Outcome {
	if q.Has("error") {
		return refusedByEntra(entra.ReadRefusal(q.Get("error"), q.Get("error_description")))
	}
	// Entra sends no iss as far as is documented. Where there is one, it says who
	// answers, and a code of any other issuer must not be sent to Entra.
	if q.Has("iss") && q.Get("iss") != f.Authority.Issuer(p.TenantID) {
		f.log().WarnContext(ctx, "a callback is of another issuer")
		return Outcome{Kind: Identity}
	}
	identity := openid.Expect{ClientID: f.ClientID, TenantID: p.TenantID, Nonce: nonce(b, id)}
	c, failed := f.signIn(ctx, secret.New(q.Get("code")), verifier(b, id), identity)
	if failed != nil {
		return *failed
	}
	if p.ConnectionID != "" {
		return f.reconnect(ctx, p, c)
	}
	return f.create(ctx, p, c)
}

// signIn redeems a code and verifies who signed in. What it returns is verified.
func (f *Flow) signIn(ctx context.Context, code, verifier secret.Value, want openid.Expect) (connection.Credentials, *Outcome) {
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	got, err := f.Authority.Redeem(ctx, want.TenantID, code, verifier, f.redirectURI())
	if err != nil {
		return connection.Credentials{}, new(f.unredeemed(ctx, err))
	}
	who, err := f.IDTokens.IDToken(ctx, got.IDToken, want)
	if err != nil {
		return connection.Credentials{}, new(f.unverified(ctx, err))
	}
	return f.credentials(want.TenantID, signedIn(got, who)), nil
}

func signedIn(got entra.Redeemed, who openid.Identity) *connection.SignIn {
	return &connection.SignIn{RefreshToken: got.RefreshToken, Token: got.Token, Account: who.ObjectID, Name: cmp.Or(who.Name, who.Username)}
}

func (f *Flow) create(ctx context.Context, p *pending, c connection.Credentials) Outcome {
	rec, err := f.Connections.Create(ctx, connection.Input{
		Name: p.Name, Description: p.Description, Project: p.Project, Credentials: c,
		Target: p.Target, VaultSecretName: p.VaultSecretName, Rotate: p.Rotate, Schedule: p.Schedule, Grace: p.Grace, By: p.By,
	})
	if err != nil {
		return f.unmade(ctx, err)
	}
	return Outcome{Kind: Connected, ConnectionID: rec.ID}
}

// reconnect gives a connection another sign-in, unless it was given one since the flow
// was begun: who comes last with an old link is not who should win.
func (f *Flow) reconnect(ctx context.Context, p *pending, c connection.Credentials) Outcome {
	for try := 1; ; try++ {
		rec, err := f.current(ctx, p.ConnectionID)
		switch {
		case err != nil:
			return f.unmade(ctx, err)
		case rec.Auth == nil || rec.Auth.Generation != p.Generation:
			return Outcome{Kind: Refused,
				Message: "The connection was given new credentials since this link was made. If it still can't sign in, ask for a new link."}
		}
		// With the version that was looked at, so that nothing comes in between.
		_, err = f.Connections.Update(ctx, rec.ID, connection.Change{Version: &rec.Revision, Credentials: &c, By: p.By})
		if e, ok := errors.AsType[*connection.Error](err); ok && e.Kind == connection.Conflict && try < contention {
			continue
		}
		if err != nil {
			return f.unmade(ctx, err)
		}
		return Outcome{Kind: Reconnected, ConnectionID: rec.ID, OtherAccount: p.Account != "" && p.Account != c.SignIn.Account}
	}
}

func (f *Flow) current(ctx context.Context, id string) (rotation.Record, error) {
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	return f.Connections.Get(ctx, id)
}

// record writes what came of a flow. If that fails, the result page says that it does
// not know; what was done stays done.
func (f *Flow) record(ctx context.Context, id string, p pending, etag string, out Outcome) {
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	p.Outcome = &out
	for range contention {
		_, err := f.put(ctx, id, p, etag)
		if err == nil {
			return
		}
		if !errors.Is(err, serviceerror.ErrConflict) && !serviceerror.UnknownOutcome(err) {
			break
		}
		fresh, next, problem := f.load(ctx, id)
		if problem != "" || fresh.TakenBy != p.TakenBy || fresh.Outcome != nil {
			break
		}
		etag = next
	}
	f.log().WarnContext(ctx, "the outcome of a sign-in could not be noted", "outcome", string(out.Kind))
}
