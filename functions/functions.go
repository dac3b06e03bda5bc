// Package functions is what is deployed: the functions of the folders below, put
// together the same way for every host.
package functions

import (
	"io"
	"net/http"
	"strings"
	"time"

	"rekey/functions/connections"
	"rekey/functions/console"
	"rekey/functions/health"
	pages "rekey/functions/oauth"
	"rekey/shared/app"
	"rekey/shared/host"
	"rekey/shared/oauth"
	"rekey/shared/session"
	"rekey/shared/telemetry"
)

// HTTP serves the HTTP functions. once, if not nil, answers requests that the host
// sends twice.
func HTTP(a *app.App, once *host.Once) http.Handler {
	api := newAPI(a)
	api.Authenticate, api.Login, api.Limit, api.Once = a.Callers.Authenticate, a.Callers.Login, a.Limit, once
	// The console is a caller of the API like any other: the session says who it is, and each request
	// that a page makes counts, since one button may make many.
	within := newAPI(a)
	within.Authenticate, within.Limit = console.Authenticate, a.Limit
	people := &pages.Handler{PublicURL: a.Config.PublicURL, AuthorityURL: a.Config.AuthorityHost, Limit: a.Limit, Log: a.Log}
	if a.OAuth != nil { // else the interfaces would not be nil
		people.Flow = a.OAuth
	}
	pagesOfConsole := &console.Handler{API: within, Sessions: a.Sessions, Settings: console.SettingsOf(a.Config), OAuth: a.OAuth != nil,
		Trail: a.Trail, VaultURL: a.Config.KeyVaultURL, AuthorityURL: a.Config.AuthorityHost,
		PlainHTTP: strings.HasPrefix(a.Config.PublicURL, "http:"), Limit: a.Limit, Log: a.Log}
	probe := health.Handler(app.Version)
	measured := a.Telemetry.Handler(telemetry.HTTP, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.EscapedPath(), oauth.Base):
			people.ServeHTTP(w, r)
		case r.URL.Path == session.Base || strings.HasPrefix(r.URL.Path, session.Base+"/"):
			pagesOfConsole.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r) // it refuses what is not below its own path
		}
	}))
	return arriving(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimSuffix(r.URL.EscapedPath(), "/") == health.Path { // asked all the time, and does nothing that could be measured
			probe.ServeHTTP(w, r)
			return
		}
		measured.ServeHTTP(w, r)
	}))
}

// newAPI is the API without its callers.
func newAPI(a *app.App) *connections.Handler {
	h := &connections.Handler{Service: a.Connections, Inventory: a.Inventory, Trail: a.Trail, Deployment: a.Config.Deployment, Log: a.Log}
	if a.OAuth != nil { // else the interface would not be nil
		h.OAuth, h.OAuthClientID = a.OAuth, a.Config.OAuth.ClientID
	}
	return h
}

// arrival is how long the body of a request may take to arrive.
const arrival = 30 * time.Second

// arriving sees to it that no caller holds a connection by sending a body that never ends.
// It matters most for unknown callers: net/http reads what is left of a body
// before it answers, so that even a refusal would wait for as long as they like. The
// server has no ReadTimeout for this, since that would end a pass; see [host.Serve].
// Where the connection takes no deadline, on Lambda, the body is there already.
func arriving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		// A deadline is by the machine's clock, and by no other.
		if r.ContentLength == 0 || connection.SetReadDeadline(time.Now().Add(arrival)) != nil {
			h.ServeHTTP(w, r)
			return
		}
		bounded := *r
		bounded.Body = &body{r.Body, connection}
		h.ServeHTTP(w, &bounded)
	})
}

// body is one that has to arrive in time. Once it has, the deadline goes: what the
// server reads from then on is whether the client is still there.
type body struct {
	io.ReadCloser
	connection *http.ResponseController
}

func (b *body) Read(p []byte) (n int, err error) {
	if n, err = b.ReadCloser.Read(p); err == io.EOF {
		_ = b.connection.SetReadDeadline(time.Time{}) // the connection has gone, and the deadline with it
	}
	return n, err
}
