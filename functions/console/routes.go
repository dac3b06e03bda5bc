package console

import (
	"net/http"

	"rekey/shared/auth"
	"rekey/shared/host"
)

// routes are the pages and the buttons. The roles are the least that the API asks for too, so that
// a reader sees no button that would be refused.
var routes = append([]route{
	{http.MethodGet, "", auth.Read, overview},
	{http.MethodGet, "connections", auth.Read, connections},
	{http.MethodGet, "targets", auth.Read, targets},
	{http.MethodPost, "several", auth.Write, several},
	{http.MethodGet, "connect", auth.Write, connectForm},
	{http.MethodPost, "connect", auth.Write, connect},
	{http.MethodGet, "connect/check", auth.Write, connectForm}, // it is loaded again
	{http.MethodPost, "connect/check", auth.Write, checkConnection},
	{http.MethodGet, "connections/{id}/add-target", auth.Write, targetForm},
	{http.MethodPost, "connections/{id}/add-target", auth.Write, addTarget},
	{http.MethodPost, "connections/{id}/reconnect", auth.Write, reconnect},
	{http.MethodGet, "inventory", auth.Read, inventoryList},
	{http.MethodGet, "inventory/csv", auth.Read, inventoryCSV},
	{http.MethodPost, "inventory/scans", auth.Write, scan},
	{http.MethodGet, "inventory/scans/{scanId}", auth.Read, scanPage},
	{http.MethodGet, "inventory/{tenantId}/{clientId}", auth.Read, inventoryOne},
	{http.MethodGet, "inventory/{tenantId}/{clientId}/adopt", auth.Write, adoptForm},
	{http.MethodPost, "inventory/{tenantId}/{clientId}/adopt", auth.Write, adopt},
	{http.MethodPost, "inventory/{tenantId}/{clientId}/accept", auth.Admin, accept},
	{http.MethodPost, "inventory/{tenantId}/{clientId}/reject", auth.Admin, reject},
	{http.MethodGet, "audit", auth.Admin, trail},
	{http.MethodGet, "settings", auth.Read, settings},
	{http.MethodPost, "zone", auth.Read, zone},
	{http.MethodPost, "sign-out", auth.Read, signOut},
}, append(ofEach("connections/{id}"), ofEach("targets/{id}/{targetId}")...)...)

// ofEach are the routes of a connection, and of a target.
func ofEach(base string) []route {
	return []route{
		{http.MethodGet, base, auth.Read, one},
		{http.MethodGet, base + "/history", auth.Read, runsPage},
		{http.MethodGet, base + "/audit", auth.Admin, ownAudit},
		{http.MethodGet, base + "/plan", auth.Rotate, dryRun},
		{http.MethodPost, base + "/rotate", auth.Rotate, rotate},
		{http.MethodGet, base + "/emergency", auth.Rotate, emergency},
		{http.MethodPost, base + "/emergency", auth.Rotate, beginEmergency},
		{http.MethodPost, base + "/pause", auth.Write, pause},
		{http.MethodPost, base + "/resume", auth.Rotate, resume},
		{http.MethodGet, base + "/abandon", auth.Admin, abandonForm},
		{http.MethodPost, base + "/abandon", auth.Admin, abandon},
		{http.MethodGet, base + "/test", auth.Write, test},
		{http.MethodGet, base + "/edit", auth.Write, editForm},
		{http.MethodPost, base + "/edit", auth.Write, edit},
		{http.MethodGet, base + "/delete", auth.Write, remove},
		{http.MethodPost, base + "/delete", auth.Write, beginRemoval},
	}
}

// route is a page, or a button.
type route struct {
	method, pattern string
	role            auth.Role // the least that may see it
	serve           func(v *visit) error
}

// match finds the route; or else the methods that the address takes.
func match(method, path string) (found *route, params map[string]string, allowed []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range routes {
		rt := &routes[i]
		params, ok := host.MatchPath(rt.pattern, path)
		switch {
		case ok && rt.method == method:
			return rt, params, nil
		case ok:
			if allowed = append(allowed, rt.method); rt.method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	return nil, nil, allowed
}
