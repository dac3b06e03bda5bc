package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/entra"
)

// Invitation is what the start page says.
type Invitation struct {
	RequestedBy, Name, Description, TenantID string
	// Rotates names the application that the connection is to rotate; empty for
	// none.
	Rotates   string
	Again     bool // the connection exists; this is another sign-in for it
	ExpiresAt time.Time
}

// Open returns what the start page of a state says. It changes nothing.
func (f *Flow) Open(ctx context.Context, state string) (Invitation, Problem) {
	if !stateForm.MatchString(state) {
		return Invitation{}, Unknown
	}
	p, _, problem := f.open(ctx, idOf(state))
	if problem != "" {
		return Invitation{}, problem
	}
	rotates := p.Target.ClientID
	if rotates == "" {
		rotates = p.Target.ObjectID
	}
	return Invitation{
		RequestedBy: p.By, Name: p.Name, Description: p.Description, TenantID: p.TenantID, Rotates: rotates,
		Again: p.ConnectionID != "", ExpiresAt: p.ExpiresAt,
	}, ""
}

// Departure is where the start page's button leads.
type Departure struct {
	URL    string       // Entra's
	Cookie *http.Cookie // to be set first
}

// Approve takes a flow up in this browser. A browser that has done so already, because
// a person pressed the button twice, keeps what it has and is led to the same address.
//
// The caller has to make sure that the request came from the button on the page of
// this state: not from another site, and not by a link.
func (f *Flow) Approve(ctx context.Context, state string, jar Jar) (Departure, Problem) {
	if !stateForm.MatchString(state) {
		return Departure{}, Unknown
	}
	id := idOf(state)
	for range contention {
		p, etag, problem := f.open(ctx, id)
		if problem != "" {
			return Departure{}, problem
		}
		b := f.held(id, jar)
		if p.bound(b, id) {
			return f.departure(&p, state, b), ""
		}
		b = secret.New(randomText())
		p.Bindings = append(p.Bindings, binding(b, id))
		p.Bindings = slices.Clone(p.Bindings[max(0, len(p.Bindings)-maxBindings):])
		_, err := f.put(ctx, id, p, etag)
		switch {
		case err == nil:
			return f.departure(&p, state, b), ""
		case errors.Is(err, serviceerror.ErrConflict), serviceerror.UnknownOutcome(err):
			continue // a binding whose b no browser has does no harm
		}
		f.log().WarnContext(ctx, "taking up a sign-in", "class", string(serviceerror.ClassOf(err)))
		break
	}
	return Departure{}, Unavailable
}

func (f *Flow) departure(p *pending, state string, b secret.Value) Departure {
	id := idOf(state)
	return Departure{
		URL: f.Authority.SignInURL(entra.SignInRequest{
			TenantID: p.TenantID, RedirectURI: f.redirectURI(), State: state,
			Nonce: nonce(b, id), Challenge: entra.Challenge(verifier(b, id)),
		}),
		Cookie: f.cookie(id, b),
	}
}
