package rotationtest

import (
	"fmt"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// AddApplication registers an application with one client secret, which was made
// long ago.
func (w *World) AddApplication() (a rotation.Application, given secret.Value, keyID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.Directory
	d.made++
	n := d.made
	x := &app{
		Application: rotation.Application{TenantID: TenantID, ClientID: fmt.Sprintf("22222222-2222-4222-8222-%012d", n),
			ObjectID: fmt.Sprintf("33333333-3333-4333-8333-%012d", n)},
		roles: []string{"Application.ReadWrite.OwnedBy"}, owner: true,
	}
	x.owners = make(map[string]bool)
	d.apps[x.ObjectID], d.clients[x.ClientID] = x, x
	ago := time.Now().AddDate(0, -6, 0)
	orig := d.add(x, "made by hand", ago, ago.AddDate(2, 0, 0))
	return x.Application, secret.New(orig.value), orig.KeyID
}

// AddForeign gives an application a client secret that is none of Rekey's business.
func (w *World) AddForeign(clientID string) (given secret.Value, keyID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ago := time.Now().AddDate(0, -6, 0)
	p := w.Directory.add(w.Directory.byClient(clientID), "another owner's", ago, ago.AddDate(2, 0, 0))
	return secret.New(p.value), p.KeyID
}

// Own makes who, a client id or a person's object id, an owner of an application, or
// takes that back.
func (w *World) Own(clientID, who string, owns bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Directory.byClient(clientID).owners[who] = owns
}

// AddCertificate lets an application sign in with a certificate, given as the PEM that
// Rekey stores, until that is withdrawn.
func (w *World) AddCertificate(clientID string, pem secret.Value) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Directory.signIns[pem.Reveal()] = &signIn{holder: clientID}
}

// AddPerson makes up a person with a refresh token.
func (w *World) AddPerson() (account string, refresh secret.Value) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Directory.made++
	account = fmt.Sprintf("55555555-5555-4555-8555-%012d", w.Directory.made)
	return account, secret.New(w.Directory.refreshToken(account))
}

// Newest returns the refresh token that the account got last.
func (w *World) Newest(account string) (value secret.Value) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for v, s := range w.Directory.signIns {
		if s.holder == account && v > value.Reveal() {
			value = secret.New(v)
		}
	}
	return value
}

// Withdraw ends everything that who signs in with besides client secrets.
func (w *World) Withdraw(who string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.Directory.signIns {
		if s.holder == who {
			s.gone = true
		}
	}
}

// Name says that the caller has named a credential, so that Rekey may remove it.
func (w *World) Name(keyID string) {
	w.changePassword(keyID, func(p *password) { p.named = true })
}

// RemoveByHand removes a credential as a person does, at once and everywhere.
func (w *World) RemoveByHand(keyID string) {
	w.changePassword(keyID, func(p *password) {
		gone := time.Now().Add(-24 * time.Hour)
		p.removedAt, p.named = &gone, true
	})
}

func (w *World) changePassword(keyID string, change func(*password)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.Directory.apps {
		for _, p := range a.passwords {
			if p.KeyID == keyID {
				change(p)
			}
		}
	}
}

// Change changes an application's settings.
func (w *World) Change(clientID string, change func(*AppSettings)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.Directory.byClient(clientID)
	s := AppSettings{Audience: a.audience, Deleted: a.deleted, Denied: a.denied, Longest: a.longest,
		Forbidden: a.forbidden, Roles: a.roles, NotOwner: !a.owner, Principal: a.principal, Refused: a.refused}
	change(&s)
	a.audience, a.deleted, a.denied, a.longest, a.forbidden, a.roles, a.owner, a.principal, a.refused =
		s.Audience, s.Deleted, s.Denied, s.Longest, s.Forbidden, s.Roles, !s.NotOwner, s.Principal, s.Refused
}

// AppSettings are what a test may change about an application.
type AppSettings struct {
	Audience  string
	Deleted   bool
	Denied    bool          // writes are refused for want of permission
	Longest   time.Duration // lifetime policy; 0: none
	Forbidden bool          // policy against new client secrets
	Roles     []string      // of its tokens
	NotOwner  bool          // its service principal does not own it
	Principal []rotation.Password
	Refused   *serviceerror.Error // what its right credentials are answered with, as when it is disabled
}

// Expire lets a credential end now.
func (w *World) Expire(keyID string) {
	w.changePassword(keyID, func(p *password) { p.ExpiresAt = time.Now() })
}
