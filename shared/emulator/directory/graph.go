package directory

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"rekey/shared/emulator/fault"
)

// Graph serves the part of Microsoft Graph that deals with applications and service
// principals, their credentials and their owners; app management policies, the tenant's and theirs;
// and /me; under /v1.0. Under /beta it serves the sign-in activity of credentials.
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

var errNoSegment = badRequest("Resource not found for the segment.")

func (d *Directory) route(r *http.Request) (call, *graphError) {
	c, method, ok := single(r.URL.Path)
	if m := graphPath.FindStringSubmatch(r.URL.Path); m != nil {
		c, method, ok = operation(m[1], m[2], m[3], m[4])
	}
	if !ok {
		return call{}, errNoSegment
	}
	if r.Method != method {
		return call{}, &graphError{http.StatusMethodNotAllowed, "Request_BadRequest",
			"Specified HTTP method is not allowed for the request target.", nil}
	}
	if c.op == OpListApplications && strings.HasPrefix(r.URL.Query().Get("$expand"), federatedRelation) {
		c.op = OpListFederated
	}
	return c, nil
}

// single finds what there is one of.
func single(path string) (c call, method string, ok bool) {
	switch path {
	case "/v1.0/me":
		c.op, c.handle = OpGetMe, (*Directory).getMe
	case "/v1.0/policies/defaultAppManagementPolicy":
		c.op, c.handle = OpGetDefaultPolicy, (*Directory).getDefaultPolicy
	case "/beta/reports/appCredentialSignInActivities":
		c.op, c.handle = OpListSignInActivity, (*Directory).listSignInActivity
	}
	return c, http.MethodGet, c.op != ""
}

// operation finds what to do with an application or a service principal, or with all.
func operation(set, objectID, clientID, action string) (c call, method string, ok bool) {
	c, method = call{objectID: objectID, clientID: clientID}, http.MethodGet
	one := objectID != "" || clientID != ""
	switch {
	case set == "servicePrincipals" && !one && action == "":
		c.op, c.handle = OpListServicePrincipals, (*Directory).listServicePrincipals
	case set == "servicePrincipals" && clientID != "" && action == "":
		c.op, c.handle = OpGetServicePrincipal, (*Directory).getServicePrincipal
	case set == "servicePrincipals":
	case !one && action == "":
		c.op, c.handle = OpListApplications, (*Directory).listApplications
	case one && action == "":
		c.op, c.handle = OpGetApplication, (*Directory).getApplication
	case one && action == "owners":
		c.op, c.handle = OpListOwners, (*Directory).listOwners
	case one && action == "appManagementPolicies":
		c.op, c.handle = OpListPolicies, (*Directory).listPolicies
	case one && action == "addPassword":
		c.op, c.handle, method = OpAddPassword, (*Directory).addPassword, http.MethodPost
	case one && action == "removePassword":
		c.op, c.handle, method = OpRemovePassword, (*Directory).removePassword, http.MethodPost
	}
	return c, method, c.op != ""
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
		return nil, c.notFound()
	}
	return app, nil
}

func (c call) notFound() *graphError {
	id := c.objectID + c.clientID // one of them is empty
	return &graphError{http.StatusNotFound, "Request_ResourceNotFound",
		fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id), nil}
}
