package directory

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"rekey/shared/emulator/fault"
)

// Graph serves the part of Microsoft Graph v1.0 that deals with the client secrets
// of applications, and /me, under /v1.0.
func (d *Directory) Graph() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("request-id", newGUID())
		w.Header().Set("client-request-id", clientRequestID(r))
		w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
		c, refused := d.route(r)
		if refused != nil {
			d.writeGraphError(w, refused)
			return
		}
		next := func(w http.ResponseWriter, r *http.Request) {
			if refused := d.graph(w, r, c); refused != nil {
				d.writeGraphError(w, refused)
			}
		}
		d.serve(c.op, w, fault.About(r, d.subject(c)), next, d.failGraph)
	})
}

// clientRequestID returns the caller's id for the request, and a new one if there
// is none or it is no GUID.
func clientRequestID(r *http.Request) string {
	if id := r.Header.Get("client-request-id"); guid.MatchString(id) {
		return id
	}
	return newGUID()
}

// call is one operation on what its path names.
type call struct {
	op       string
	objectID string // either this
	clientID string // or this, or neither for a list
	handle   func(*Directory, http.ResponseWriter, *http.Request, call, caller) *graphError
}

// caller is who a token was issued to, and who it acts for.
type caller struct {
	grant
	tenantID string
}

func (g grant) caller() caller {
	if g.user != nil {
		return caller{g, g.user.TenantID}
	}
	return caller{g, g.app.tenantID}
}

// A path is /v1.0/set, and after that either /id or (appId='id'), and possibly
// /action.
var (
	graphPath = regexp.MustCompile(`^/v1\.0/(applications|servicePrincipals)(?:/([^/()]+)|\(appId='([^'/]+)'\))?(?:/([A-Za-z]+))?$`)
	guid      = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
)

func (d *Directory) route(r *http.Request) (call, *graphError) {
	m := graphPath.FindStringSubmatch(r.URL.Path)
	if r.URL.Path == "/v1.0/me" {
		m = []string{"", "me", "", "", ""}
	}
	if m == nil {
		return call{}, badRequest("Resource not found for the segment.")
	}
	set, c, action := m[1], call{objectID: m[2], clientID: m[3]}, m[4]
	one := m[2] != "" || m[3] != ""
	method := http.MethodGet
	switch {
	case set == "me":
		c.op, c.handle = OpGetMe, (*Directory).getMe
	case set == "servicePrincipals" && m[3] != "" && action == "":
		c.op, c.handle = OpGetServicePrincipal, (*Directory).getServicePrincipal
	case set == "applications" && !one && action == "":
		c.op, c.handle = OpListApplications, (*Directory).listApplications
	case set == "applications" && one && action == "":
		c.op, c.handle = OpGetApplication, (*Directory).getApplication
	case set == "applications" && one && action == "owners":
		c.op, c.handle = OpListOwners, (*Directory).listOwners
	case set == "applications" && one && action == "addPassword":
		c.op, c.handle, method = OpAddPassword, (*Directory).addPassword, http.MethodPost
	case set == "applications" && one && action == "removePassword":
		c.op, c.handle, method = OpRemovePassword, (*Directory).removePassword, http.MethodPost
	default:
		return call{}, badRequest("Resource not found for the segment.")
	}
	if r.Method != method {
		return call{}, &graphError{http.StatusMethodNotAllowed, "Request_BadRequest",
			"Specified HTTP method is not allowed for the request target.", nil}
	}
	return c, nil
}

// graph authenticates the caller and carries c out, all under the lock, so that
// every answer shows one state of the directory.
func (d *Directory) graph(w http.ResponseWriter, r *http.Request, c call) *graphError {
	d.mu.Lock()
	defer d.mu.Unlock()
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return &graphError{http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty.", nil}
	}
	g, ok := d.grant(token, ResourceGraph)
	if !ok {
		return &graphError{http.StatusUnauthorized, "InvalidAuthenticationToken",
			"Lifetime validation failed, the token is expired, or it was not issued for this resource.", nil}
	}
	if d.applications[g.app.objectID] == nil || g.user != nil && d.users[g.user.objectID] == nil {
		return &graphError{http.StatusUnauthorized, "Authorization_IdentityNotFound",
			"The identity of the calling application could not be established.", nil}
	}
	if r.Method != http.MethodGet {
		if refused := d.spend(w, g.caller(), d.named(c)); refused != nil {
			return refused
		}
	}
	return c.handle(d, w, r, c, g.caller())
}

// named returns the application that c names; nil if there is none. The caller holds
// d.mu.
func (d *Directory) named(c call) *application {
	if c.clientID != "" {
		return d.byClientID(c.clientID)
	}
	return d.applications[strings.ToLower(c.objectID)]
}

// subject says what c is about, for the hook.
func (d *Directory) subject(c call) fault.Subject {
	d.mu.Lock()
	defer d.mu.Unlock()
	if app := d.named(c); app != nil {
		return fault.Subject{Tenant: app.tenantID, Application: app.objectID}
	}
	return fault.Subject{}
}

// find returns the application that c names, as far as who may know of it.
func (d *Directory) find(c call, who caller) (*application, *graphError) {
	app := d.named(c)
	if app == nil || app.tenantID != who.tenantID {
		id := c.objectID + c.clientID // one of them is empty
		return nil, &graphError{http.StatusNotFound, "Request_ResourceNotFound",
			fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id), nil}
	}
	return app, nil
}

var denied = &graphError{http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", nil}

// mayRead: any permission on applications, OwnedBy included, opens all of the
// tenant's for reading. A user who is a member of the tenant may read them anyway, so
// that for it the delegated permission decides.
func (who caller) mayRead() bool {
	enough := []string{RoleReadAll, RoleReadWriteAll, RoleReadWriteOwnedBy, RoleDirectoryReadAll}
	have := who.roles
	if who.user != nil {
		enough = []string{RoleReadAll, RoleReadWriteAll, RoleDirectoryReadAll, ScopeDirectoryReadWriteAll}
		have = who.scopes
	}
	return slices.ContainsFunc(have, func(p string) bool { return slices.Contains(enough, p) })
}

// mayWrite: delegated, the permission opens no more than the user may, who has to own
// the application or to be one of those that administer all of them.
// Source: learn.microsoft.com/graph/api/application-addpassword, permissions.
func (who caller) mayWrite(app *application) bool {
	if who.user != nil {
		return slices.Contains(who.scopes, RoleReadWriteAll) &&
			(who.user.administrator() || slices.Contains(app.Owners, who.user.objectID))
	}
	return slices.Contains(who.roles, RoleReadWriteAll) ||
		slices.Contains(who.roles, RoleReadWriteOwnedBy) && slices.Contains(app.Owners, who.app.servicePrincipalID)
}

func (d *Directory) getApplication(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	if !who.mayRead() {
		return denied
	}
	q, refused := parseQuery(r, applicationProperties)
	if refused != nil {
		return refused
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	d.writeEntity(w, r, "applications/$entity", q.pick(app.show(d.viewFor(r))))
	return nil
}

func (d *Directory) listOwners(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	if !who.mayRead() {
		return denied
	}
	q, refused := parseQuery(r, ownerProperties)
	if refused != nil {
		return refused
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	owners := []any{}
	for _, id := range app.Owners {
		owner := q.pick(map[string]any{"id": id})
		owner["@odata.type"] = "#microsoft.graph.user"
		for _, a := range d.applications {
			if a.servicePrincipalID == id {
				owner["@odata.type"] = "#microsoft.graph.servicePrincipal"
			}
		}
		owners = append(owners, owner)
	}
	d.writeEntity(w, r, "directoryObjects", map[string]any{"value": owners})
	return nil
}

func (d *Directory) getServicePrincipal(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	if !who.mayRead() {
		return denied
	}
	q, refused := parseQuery(r, principalProperties)
	if refused != nil {
		return refused
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	d.writeEntity(w, r, "servicePrincipals/$entity", q.pick(map[string]any{
		"id": app.servicePrincipalID, "appId": app.clientID, "displayName": app.DisplayName,
		"accountEnabled": true, "passwordCredentials": showPasswords(app.principalPasswords, d.viewFor(r)),
	}))
	return nil
}

func (a *application) show(v view) map[string]any {
	return map[string]any{
		"id": a.objectID, "appId": a.clientID, "displayName": a.DisplayName,
		"signInAudience": a.SignInAudience, "passwordCredentials": showPasswords(a.passwords, v),
	}
}

func showPasswords(list []*password, v view) []any {
	shown := []any{}
	for _, p := range list {
		if v.shows(p) {
			shown = append(shown, p.show())
		}
	}
	return shown
}
