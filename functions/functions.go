// Package functions is what is deployed: the functions of the folders below, put
// together the same way for every host.
package functions

import (
	"net/http"

	"rekey/functions/connections"
	"rekey/functions/health"
	"rekey/shared/app"
	"rekey/shared/host"
)

// HTTP serves the HTTP functions. once, if not nil, answers requests that the host
// sends twice.
func HTTP(a *app.App, once *host.Once) http.Handler {
	api := &connections.Handler{
		Service: a.Connections, Authenticate: a.Callers.Authenticate, Deployment: a.Config.Deployment, Once: once, Log: a.Log,
	}
	probe := health.Handler(app.Version)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == health.Path {
			probe.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r) // it refuses what is not below its own path
	})
}
