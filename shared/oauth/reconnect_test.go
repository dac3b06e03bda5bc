package oauth_test

import (
	"testing"

	"rekey/shared/connection"
	"rekey/shared/oauth"
	"rekey/shared/rotation"
)

func existing(generation int) *rotation.Record {
	return &rotation.Record{
		ID: connID, Name: "billing", Method: connection.OAuth, Revision: 7, Actor: rotation.Application{TenantID: tenant, ClientID: client},
		Auth: &rotation.Auth{Generation: generation, Account: person},
	}
}

func TestReconnect(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(w *world)
		kind      oauth.Kind
		other     bool
	}{
		"as it was":              {func(*world) {}, oauth.Reconnected, false},
		"changed otherwise":      {func(w *world) { w.conns.rec.Revision++ }, oauth.Reconnected, false},
		"another person":         {func(w *world) { w.entra.claims = func(c *claims) { c.Account = other } }, oauth.Reconnected, true},
		"reconnected meanwhile":  {func(w *world) { w.conns.rec.Auth.Generation++ }, oauth.Refused, false},
		"deleted":                {func(w *world) { w.conns.rec = nil }, oauth.Refused, false},
		"person of other tenant": {func(w *world) { w.entra.claims = func(c *claims) { c.Tenant = other } }, oauth.Identity, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, b := newWorld(t), browser{}
			w.conns.rec = existing(3)
			state := w.begin(oauth.Request{ConnectionID: connID, By: "alice"})
			if in, problem := w.Open(t.Context(), state); problem != "" || !in.Again || in.Name != "billing" || in.TenantID != tenant {
				t.Errorf("the start page says %+v, %q", in, problem)
			}
			q := w.entra.approve(t, w.depart(b, state))
			test.meanwhile(w)
			got, problem := w.ended(b, w.Callback(t.Context(), q.Encode(), b.jar))
			if got.Kind != test.kind || got.OtherAccount != test.other {
				t.Errorf("ended with %+v, %q", got, problem)
			}
			if !got.Done() {
				w.nothing()
			} else if len(w.conns.changed) != 1 || w.conns.changed[0].Credentials.SignIn.RefreshToken.Reveal() != refresh ||
				w.conns.changed[0].By != "alice" {
				t.Errorf("changed %+v", w.conns.changed)
			}
		})
	}
}
