package simulation

import (
	"slices"
	"strings"
	"time"

	"rekey/shared/serviceerror"
)

// weather is a service that refuses for a while.
type weather struct {
	kind  string
	app   string // client id; empty: all
	until time.Time
}

// raining reports whether weather of a kind is on, for an application or for all.
func (w *scene) raining(kind, app string) bool {
	return slices.ContainsFunc(w.weathers, func(e weather) bool {
		return e.kind == kind && (e.app == "" || app == "" || e.app == app) && time.Now().Before(e.until)
	})
}

// refusal is what the weather answers a call; nil if it lets it pass.
func (w *scene) refusal(c call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	service, _, _ := strings.Cut(c.op, ".")
	down := &serviceerror.Error{Op: "calling", Class: serviceerror.Transient, Status: 503, UnknownOutcome: !c.read}
	refused := func(class serviceerror.Class, status int, code string) error {
		return &serviceerror.Error{Op: "calling", Class: class, Status: status, Code: code}
	}
	switch service {
	case "graph":
		switch {
		case w.raining("entra-missing", c.on):
			return refused(serviceerror.ApplicationMissing, 404, "Request_ResourceNotFound")
		case w.raining("graph-down", ""):
			return down
		case w.raining("graph-throttled", ""):
			return &serviceerror.Error{Op: "calling", Class: serviceerror.Throttled, Status: 429,
				Code: "TooManyRequests", RetryAfter: 20 * time.Second}
		case c.op == "graph.add" && w.raining("graph-no-add", c.on), c.op == "graph.remove" && w.raining("graph-no-remove", c.on):
			return refused(serviceerror.Permission, 403, "Authorization_RequestDenied")
		}
	case "entra":
		switch {
		case w.raining("entra-down", ""):
			return down
		case w.raining("entra-disabled", c.on):
			return refused(serviceerror.CredentialInvalid, 401, "AADSTS7000112")
		case w.raining("entra-missing", c.on):
			return refused(serviceerror.ApplicationMissing, 400, "AADSTS700016")
		case w.raining("entra-conditional", c.on):
			return refused(serviceerror.CredentialInvalid, 400, "AADSTS53003")
		}
	case "vault":
		switch {
		case w.raining("vault-down", ""):
			return down
		case !c.read && w.raining("vault-read-only", ""), c.op == "vault.disable" && w.raining("vault-no-disable", ""):
			return refused(serviceerror.VaultRefused, 403, "Forbidden")
		}
	case "store":
		if w.raining("table-down", "") {
			return down
		}
	}
	if c.read && w.raining("flap", "") && w.draw("flap", c.by, c.op, c.on)%4 == 0 {
		return down
	}
	return nil
}
