// Package functions is what is deployed: the functions of the folders below, put
// together the same way for every host.
package functions

import (
	"net/http"
	"strings"

	"rekey/functions/connections"
	"rekey/functions/health"
	pages "rekey/functions/oauth"
	"rekey/shared/app"
	"rekey/shared/host"
	"rekey/shared/oauth"
	"rekey/shared/telemetry"
)

// HTTP serves the HTTP functions. once, if not nil, answers requests that the host
// sends twice.
func HTTP(a *app.App, once *host.Once) http.Handler {
	api := &connections.Handler{
		Service: a.Connections, Authenticate: a.Callers.Authenticate, Deployment: a.Config.Deployment, Once: once, Log: a.Log,
	}
	people := &pages.Handler{PublicURL: a.Config.PublicURL, AuthorityURL: a.Config.AuthorityHost, Log: a.Log}
	if a.OAuth != nil { // else the interfaces would not be nil
		api.OAuth, api.OAuthClientID, people.Flow = a.OAuth, a.Config.OAuth.ClientID, a.OAuth
	}
	probe := health.Handler(app.Version)
	measured := a.Telemetry.Handler(telemetry.HTTP, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.EscapedPath(), oauth.Base):
			people.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r) // it refuses what is not below its own path
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == health.Path { // asked all the time, and does nothing that could be measured
			probe.ServeHTTP(w, r)
			return
		}
		measured.ServeHTTP(w, r)
	})
}
