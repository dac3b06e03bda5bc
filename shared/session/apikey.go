package session

import (
	"net/http"
	"strings"

	"rekey/shared/auth"
	"rekey/shared/host"
	"rekey/shared/secret"
)

// SignInByKey signs in who has an API key, and leads them back. The request has to come from
// the sign-in page. A wrong key counts as a request of an unknown caller.
func (m *Manager) SignInByKey(w http.ResponseWriter, r *http.Request, key secret.Value, back string) *Answer {
	if !host.OwnPage(r, m.PublicURL) {
		return m.otherPage(r)
	}
	hash, err := auth.HashKey(secret.New(strings.TrimSpace(key.Reveal()))) // what is pasted has a line break
	var caller auth.Caller
	if err == nil {
		caller, err = m.Callers.ByHash(hash)
	}
	if err != nil {
		return m.unknown(r, err.Error(), redirect(signInAt(back, WrongKey, ""), WrongKey))
	}
	return m.signIn(w, r, caller, content{Kind: caller.Kind, Name: caller.Name, Key: hash[:]}, back)
}

// signIn begins the session of a caller who is known, whatever session there was before.
func (m *Manager) signIn(w http.ResponseWriter, r *http.Request, caller auth.Caller, c content, back string) *Answer {
	if m.Limit != nil {
		if after, ok := m.Limit.Allow(caller.Name, true, m.now()); !ok {
			return busy(after)
		}
	}
	if err := m.keep(r.Context(), w, begin(c, m.now())); err != nil {
		return unavailable()
	}
	caller.Shown = c.Shown
	m.signedIn(r, caller)
	return redirect(Back(back), "")
}
