package connections

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/host"
	"rekey/shared/rotation"
)

// maxBody is the most that a request may hold. A certificate with its chain is a
// few kilobytes.
const maxBody = 256 << 10

// route is a line of the API.
type route struct {
	method  string
	pattern string    // below the base; "{x}" matches one segment
	role    auth.Role // the least that may use it; some of what it does may need more
	serve   func(h *Handler, r *request) (any, error)
}

const (
	one     = app + "/{id}"
	targets = one + "/targets"
	target  = targets + "/{targetId}"
)

// open is the role of what a caller needs no credential for but what the body has.
const open = auth.Role(0)

// tables are the lines of the API, by where they are.
var tables = []struct {
	base   string
	routes []route
}{
	{Base, inventoryRoutes}, // before those with an {id}
	{Base, routes},
	{secretRotationsBase, secretRotationRoutes},
	{trailBase, []route{{"GET", "", auth.Admin, (*Handler).trail}}},
	{loginBase, []route{{"POST", "universal-auth/login", open, nil}}}, // see [Handler.login]
}

// routes are tried in order, so fixed words come before {id}.
var routes = []route{
	{"GET", "", auth.Read, (*Handler).list},
	{"GET", "options", auth.Read, (*Handler).options},
	{"GET", "openapi.json", auth.Read, (*Handler).openAPI},
	{"GET", app, auth.Read, (*Handler).list},
	{"POST", app, auth.Write, (*Handler).create},
	{"GET", app + "/available", auth.Read, (*Handler).available},
	{"GET", app + "/upcoming", auth.Read, (*Handler).upcoming},
	{"GET", app + "/activity", auth.Read, (*Handler).activity},
	{"GET", app + "/ahead", auth.Read, (*Handler).ahead},
	{"POST", app + "/inspect", auth.Write, (*Handler).inspect},
	{"POST", app + "/oauth/authorize", auth.Write, (*Handler).authorize},
	{"GET", app + "/connection-name/{name}", auth.Read, (*Handler).byName},
	{"GET", one, auth.Read, (*Handler).get},
	{"PATCH", one, auth.Write, (*Handler).update},
	{"DELETE", one, auth.Write, (*Handler).delete},
	{"POST", one + "/test", auth.Write, (*Handler).test},
	{"GET", one + "/clients", auth.Write, (*Handler).clients},
	{"POST", one + "/rotate-credentials", auth.Rotate, (*Handler).rotate},
	{"GET", one + "/rotations", auth.Read, (*Handler).rotations},
	{"POST", one + "/rotations/abandon", auth.Admin, (*Handler).abandon},
	{"GET", one + "/audit", auth.Admin, (*Handler).audit},
	{"GET", targets, auth.Read, (*Handler).listTargets},
	{"POST", targets, auth.Write, (*Handler).createTarget},
	{"GET", target, auth.Read, (*Handler).get},
	{"PATCH", target, auth.Write, (*Handler).update},
	{"DELETE", target, auth.Write, (*Handler).delete},
	{"POST", target + "/test", auth.Write, (*Handler).test},
	{"POST", target + "/rotate-credentials", auth.Rotate, (*Handler).rotate},
	{"GET", target + "/rotations", auth.Read, (*Handler).rotations},
	{"POST", target + "/rotations/abandon", auth.Admin, (*Handler).abandon},
	{"GET", target + "/audit", auth.Admin, (*Handler).audit},
}

// match finds the route. HEAD is a GET whose answer has no body, and one slash may be at
// the end. A path that is not written in its plain form otherwise, with double or encoded
// slashes or dot segments, is no path of ours.
func match(r *http.Request) (route, map[string]string, error) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allow []string
	for _, table := range tables {
		path, ok := strings.CutPrefix(r.URL.EscapedPath(), table.base)
		path = strings.TrimSuffix(path, "/")
		below, slash := strings.CutPrefix(path, "/")
		if !ok || path != "" && (!slash || below == "") {
			continue
		}
		for _, rt := range table.routes {
			params, ok := host.MatchPath(rt.pattern, below)
			switch {
			case ok && rt.method == method:
				return rt, params, nil
			case ok && !slices.Contains(allow, rt.method):
				allow = append(allow, rt.method)
				if rt.method == http.MethodGet {
					allow = append(allow, http.MethodHead)
				}
			}
		}
	}
	if len(allow) > 0 {
		return route{}, nil, &problem{
			status: http.StatusMethodNotAllowed, message: "This address does not take that method; Allow says which it takes.", allow: allow,
		}
	}
	return route{}, nil, notFound("There is nothing at this address. See " + Base + "/openapi.json for what there is.")
}

// read reads what was sent, if it is not too large. What is too large is read to its end all
// the same: a server that answers and closes while a client still sends takes the answer
// from it. How long that may last, the caller of this package says.
func read(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if len(data) > maxBody || r.ContentLength > maxBody {
		_, _ = io.Copy(io.Discard, r.Body) // it is refused whether it arrives or not
		return nil, &problem{status: http.StatusRequestEntityTooLarge, message: fmt.Sprintf("The request is larger than %d KiB.", maxBody>>10)}
	}
	if err != nil {
		return nil, badRequest("The request did not arrive completely; send it again.")
	}
	return data, nil
}

// body is what was sent, if it may be JSON. That of a GET has no meaning.
func body(r *http.Request, sent []byte) ([]byte, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil, nil
	}
	if kind := r.Header.Get("Content-Type"); len(sent) > 0 && kind != "" {
		if t, _, err := mime.ParseMediaType(kind); err != nil || t != "application/json" {
			return nil, &problem{status: http.StatusUnsupportedMediaType, message: "The body must be JSON, with Content-Type: application/json."}
		}
	}
	return bytes.TrimPrefix(sent, byteOrderMark), nil
}

// byteOrderMark is what editors and shells of Windows put before a text in UTF-8. JSON has
// no place for it, and RFC 8259, section 8.1, lets who reads ignore it.
var byteOrderMark = []byte("\xef\xbb\xbf")

// id is one that the path names. What can't be an id is answered as what is not
// there.
func (r *request) id(name string) (string, error) {
	id := strings.ToLower(r.params[name])
	if !connection.ValidID(id) {
		return "", missing[name]
	}
	return id, nil
}

// missing is what an address is answered with that names by this parameter what can't be there.
var missing = map[string]error{"id": errNoConnection, "targetId": errNoTarget}

var (
	errNoConnection = &connection.Error{Kind: connection.NotFound, Message: "There is no such connection."}
	errNoTarget     = &connection.Error{Kind: connection.NotFound, Message: "There is no such target."}
)

// subject is the connection that the path names, or the target of it. Each has its
// own addresses: under the other's it is not there.
func (h *Handler) subject(r *request) (rotation.Record, error) {
	id, err := r.id("id")
	if err != nil {
		return rotation.Record{}, err
	}
	if _, ok := r.params["targetId"]; ok {
		targetID, err := r.id("targetId")
		if err != nil {
			return rotation.Record{}, err
		}
		return h.Service.GetTarget(r.Context(), id, targetID)
	}
	rec, err := h.Service.Get(r.Context(), id)
	if err == nil && rec.Via != "" {
		return rotation.Record{}, errNoConnection
	}
	return rec, err
}

// whole reads a query parameter that is a number between 1 and most.
func (r *request) whole(name string, otherwise, most int) (int, error) {
	q := r.URL.Query().Get(name)
	if q == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(q)
	if err != nil || n < 1 || n > most {
		return 0, badRequest("%s must be 1 to %d.", name, most)
	}
	return n, nil
}

// flag reads a query parameter that is true or false.
func (r *request) flag(name string) (bool, error) {
	switch r.URL.Query().Get(name) {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	}
	return false, badRequest("%s must be true or false.", name)
}
