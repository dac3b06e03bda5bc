package rotation

import (
	"fmt"
	"time"

	"rekey/shared/history"
)

// Auth is what a connection authenticates with, where that is not the credential
// that it rotates: a certificate, a person's sign-in, or a client secret that
// Rekey does not rotate. The material itself is in Key Vault, in the secret
// [Record.AuthName]; this is what may be known about it.
//
// Requests and sign-ins write it by compare-and-swap and without the lease, since no
// rotation depends on it. A pass writes Warned and RenewAt, and VaultVersion and SavedAt in
// phase creating.
type Auth struct {
	VaultVersion string `json:"vaultVersion"` // the version in use
	// Generation counts what was given: +1 with each reconnect. What was renewed
	// from an older one must not replace a newer one.
	Generation int       `json:"generation"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero"`   // of a certificate, or of a client secret if that is known
	Thumbprint string    `json:"thumbprint,omitempty"` // SHA-1 of a certificate, as the portal shows it
	Chain      bool      `json:"chain,omitempty"`      // send the chain along: subject name and issuer authentication
	Account    string    `json:"account,omitempty"`    // object id of the person who signed in
	// AccountName is what their directory calls them, by [VisibleName]. It identifies no person.
	AccountName string    `json:"accountName,omitempty"`
	SavedAt     time.Time `json:"savedAt,omitzero"` // when VaultVersion was written
	RenewAt     time.Time `json:"renewAt,omitzero"` // when a refresh token has to be renewed at the latest; zero: never
	Warned      int       `json:"warned,omitempty"` // days before ExpiresAt for which a warning was given

	// Problem is why the connection can't sign in any more, nil if it can.
	Problem *Failure `json:"problem,omitempty"`
}

// MethodSecret is the [Record.Method] of connections that authenticate with a client secret.
const MethodSecret = "client-secret"

// Delegated reports whether something else than the credential that is rotated authenticates.
func (r *Record) Delegated() bool { return r.Via != "" || r.Auth != nil }

// AuthName is the Key Vault secret with what a connection authenticates with.
func (r *Record) AuthName() string { return "rekey-" + r.ID + "-auth" }

// ActorID is the connection that authenticates for r.
func (r *Record) ActorID() string {
	if r.Via != "" {
		return r.Via
	}
	return r.ID
}

// Replace notes that what r authenticates with is being replaced, so that the old
// versions are disabled. They stay enabled for a while, for requests that still use them.
func (r *Record) Replace(now time.Time) {
	r.Stale.Look(now)
	r.WakeAt = earlier(r.WakeAt, r.Stale.LookAt)
}

// authWarnDays are the days before the expiry of what a connection authenticates
// with at which a warning is given. No rotation ever prevents it.
var authWarnDays = []int{30, 14, 7, 3, 1}

// planAuth plans what has to be done about what rec authenticates with.
func planAuth(p *sidePlan, now time.Time, rec *Record) {
	if !rec.WakeTargets.IsZero() {
		p.add(rec.WakeTargets, WakeTargets{rec.generation()})
	}
	a := rec.Auth
	if a == nil {
		return
	}
	if days, next := threshold(now, a.ExpiresAt, a.Warned, authWarnDays); days != 0 {
		p.add(now, WarnOfSignInEnd{})
	} else if !next.IsZero() {
		p.add(next, WarnOfSignInEnd{})
	}
	if !a.RenewAt.IsZero() {
		p.add(a.RenewAt, RenewSignIn{})
	}
}

// wakeTargets is done with it, or says when it is tried again: not all of them could be
// told, because there are many or the table did not answer. If the connection was given
// others meanwhile, it begins again.
func (t *transition) wakeTargets(generation int) {
	switch {
	case t.rec.generation() != generation:
	case t.out.Err != nil:
		t.rec.WakeTargets = t.now.Add(time.Minute)
	default:
		t.rec.WakeTargets = time.Time{}
	}
}

// generation counts what the connection was given to authenticate with; 0 for one that
// does so with what it rotates.
func (r *Record) generation() int {
	if r.Auth == nil {
		return 0
	}
	return r.Auth.Generation
}

// Reconnect puts what a connection authenticates with in the place of what it had. What
// waited for that goes on at once: its own steps, and those of its targets.
func (r *Record) Reconnect(now time.Time, actor Application, auth Auth) {
	auth.Generation, r.WakeTargets = r.Auth.Generation+1, now
	r.Auth, r.Actor = &auth, actor
	r.Replace(now)
	r.RetryNow(now)
}

// GoOn lets a target that waits because of the connection that authenticates for it go on
// at once, and tells it which application that is by now. Not ok: it knows, and does not
// wait.
func (r *Record) GoOn(now time.Time, actor Application) (ok bool) {
	waited, told := r.RetryNow(now), r.Actor.Same(actor)
	if !waited && told {
		return false
	}
	if !told {
		r.Actor = actor
	}
	r.WakeAt = now
	return true
}

// renewPause is how long a renewal that failed waits, at most and at first. A
// refresh token lasts 90 idle days and is renewed long before.
const renewPause = 24 * time.Hour

// warnOfSignInEnd says that what the connection authenticates with is about to expire.
func (t *transition) warnOfSignInEnd() {
	rec := t.rec
	if rec.Auth == nil {
		return
	}
	days, _ := threshold(t.now, rec.Auth.ExpiresAt, rec.Auth.Warned, authWarnDays)
	if days == 0 {
		return
	}
	left := rec.Auth.ExpiresAt.Sub(t.now).Round(time.Hour)
	message := fmt.Sprintf("what the connection authenticates with (%s) expires in %s; reconnect with a new one before", rec.Method, left)
	if left <= 0 {
		message = fmt.Sprintf("what the connection authenticates with (%s) has expired; reconnect with a new one", rec.Method)
	}
	rec.Auth.Warned = days
	t.tell(Event{Kind: history.Expiring, Message: message, Notice: true})
}

// renewSignIn says when the sign-in is renewed next. Whether the renewal worked, and until
// when the new one is good, is written by whatever renewed it.
func (t *transition) renewSignIn() {
	if a := t.rec.Auth; a != nil && !a.RenewAt.IsZero() && !a.RenewAt.After(t.now) {
		a.RenewAt = t.now.Add(renewPause)
	}
}
