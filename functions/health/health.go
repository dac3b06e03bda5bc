// Package health answers the HTTP function health: is the process up?
//
// It is open to everybody, so it says nothing that is worth knowing, and asks none
// of the services that Rekey depends on: a probe must not cost anything, and a vault
// that is down is no reason to restart Rekey.
package health

import (
	"encoding/json"
	"net/http"
)

// Path is where the function is.
const Path = "/health"

// Handler answers with the version that is running.
func Handler(version string) http.Handler {
	body, _ := json.Marshal(map[string]string{"status": "ok", "version": version}) // strings always encode
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "health takes GET and HEAD only", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(append(body, '\n'))
	})
}
