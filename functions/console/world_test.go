package console_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/functions/console"
	"rekey/shared/auth"
	"rekey/shared/secret"
	"rekey/shared/session"
)

type object = map[string]any

// now is the moment of all pages.
var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// world is the console over an API that answers what a test says, and a session that there is or is
// not.
type world struct {
	*testing.T
	role    auth.Role       // 0: no person is signed in
	problem session.Problem // why no request is let through
	kind    string          // how they have signed in
	handler *console.Handler

	mu      sync.Mutex
	asked   []call
	answers map[string]answer // by method and path
}

// call is a request to the API.
type call struct {
	method, path string
	query        url.Values
	body         object
	key          string
	caller       auth.Caller
}

type answer struct {
	status int
	body   any
}

func newWorld(t *testing.T, role auth.Role) *world {
	w := &world{T: t, role: role, kind: auth.KindKey, answers: map[string]answer{}}
	w.handler = &console.Handler{
		API: http.HandlerFunc(w.api), Sessions: w, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), OAuth: true,
		VaultURL: "https://vault-of-tests.vault.azure.net", AuthorityURL: "https://login.microsoftonline.com",
		Settings: []console.Setting{{Name: "REKEY_X", Says: "set"}},
	}
	return w
}

// answer says what the API answers; with ?attention behind the path to who asks for what needs it.
func (w *world) answer(method, path string, status int, body any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[method+" "+path] = answer{status, body}
}

func (w *world) api(out http.ResponseWriter, r *http.Request) {
	caller, err := console.Authenticate(r)
	if err != nil {
		w.Errorf("the console asks the API as no caller")
	}
	c := call{method: r.Method, path: r.URL.Path, query: r.URL.Query(), key: r.Header.Get("Idempotency-Key"), caller: caller}
	if data, _ := io.ReadAll(r.Body); len(data) > 0 {
		if err := json.Unmarshal(data, &c.body); err != nil {
			w.Errorf("the console sends %q", data)
		}
	}
	w.mu.Lock()
	w.asked = append(w.asked, c)
	a, ok := w.answers[r.Method+" "+r.URL.Path]
	if urgent, is := w.answers[r.Method+" "+r.URL.Path+"?attention"]; is && c.query.Get("attention") == "true" {
		a, ok = urgent, true
	}
	w.mu.Unlock()
	if file, isText := a.body.(string); isText {
		if r.URL.Query().Get("cursor") == "" {
			out.Header().Set("Link", "<"+r.URL.Path+`?cursor=second>; rel="next"`)
		}
		_, _ = io.WriteString(out, file)
		return
	}
	if !ok {
		a = answer{http.StatusNotFound, object{"message": "There is no such thing."}}
	}
	out.WriteHeader(a.status)
	if err := json.NewEncoder(out).Encode(a.body); err != nil {
		w.Error(err)
	}
}

// writes are the requests that change something.
func (w *world) writes() (found []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.asked {
		if c.method != http.MethodGet {
			found = append(found, c)
		}
	}
	return found
}

// The rest is [console.Sessions].

func (w *world) Authenticate(http.ResponseWriter, *http.Request) (*session.Visit, *session.Answer) {
	if w.role == 0 {
		return nil, &session.Answer{Status: http.StatusSeeOther, Location: "/console/sign-in"}
	}
	if w.problem != "" {
		return nil, &session.Answer{Status: http.StatusForbidden, Problem: w.problem}
	}
	v := &session.Visit{Caller: auth.Caller{Name: "ann", Kind: w.kind, Role: w.role}, Shown: "Ann"}
	if w.kind != auth.KindAppService { // which decides itself when a session ends
		v.Ends = now.Add(time.Hour)
	}
	return v, nil
}

func (w *world) Methods() []string {
	return []string{auth.KindAppService, auth.KindEntra, auth.KindKey}
}

func (w *world) SignInByKey(_ http.ResponseWriter, _ *http.Request, key secret.Value, back string) *session.Answer {
	return &session.Answer{Status: http.StatusSeeOther, Location: "/by-key?" + url.Values{"key": {key.Reveal()}, "back": {back}}.Encode()}
}

func (w *world) SignInByEntra(_ http.ResponseWriter, _ *http.Request, back string) *session.Answer {
	return &session.Answer{Status: http.StatusSeeOther, Location: "https://entra.example/?" + url.Values{"back": {back}}.Encode()}
}

func (w *world) Callback(http.ResponseWriter, *http.Request) *session.Answer {
	return &session.Answer{Status: http.StatusSeeOther, Location: "/called-back"}
}

func (w *world) SignOut(http.ResponseWriter, *http.Request, *session.Visit) *session.Answer {
	return &session.Answer{Status: http.StatusSeeOther, Location: "/console/sign-in?problem=signed-out"}
}

func (w *world) AppServiceURL(back string) string {
	return "/.auth/login/aad?back=" + url.QueryEscape(back)
}

// page is an answer of the console.
type page struct {
	*httptest.ResponseRecorder
	text string
}

func (w *world) get(path string, cookies ...*http.Cookie) page {
	w.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return w.do(r)
}

func (w *world) post(path string, form url.Values) page {
	w.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(r)
}

func (w *world) do(r *http.Request) page {
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return page{out, out.Body.String()}
}

// shows fails unless the page has all of the texts.
func (w *world) shows(p page, texts ...string) {
	w.Helper()
	if p.Code != http.StatusOK {
		w.Fatalf("status %d: %s", p.Code, p.text)
	}
	for _, text := range texts {
		if !strings.Contains(p.text, text) {
			w.Errorf("the page has no %q: %s", text, p.text)
		}
	}
}

const (
	secrets     = "/api/v1/app-connections/azure-client-secrets"
	inventories = secrets + "/inventory"
	rotations   = "/api/v2/secret-rotations/azure-client-secret"
	id          = "0b1e7e57-0000-4000-8000-000000000001"
	targetID    = "0b1e7e57-0000-4000-8000-000000000002"
	tenantID    = "0b1e7e57-0000-4000-8000-00000000000a"
	clientID    = "0b1e7e57-0000-4000-8000-00000000000b"
)

// connection is one as the API shows it.
func connection(name string) object {
	return object{"id": id, "name": name, "description": name, "version": 3, "method": "client-secret", "isAutoRotationEnabled": true,
		"credentials": object{"tenantId": tenantID, "clientId": clientID}, "vaultSecretName": "billing-secret", "createdAt": now,
		"updatedAt": now,
		"attention": []string{}, "rotation": object{
			"rotationInterval": 30, "nextRotationAt": now.AddDate(0, 0, 12), "rotateAt": object{"hours": 3, "minutes": 15},
			"timeZone": "Europe/Berlin",
			"state":    "idle", "settled": true, "gracePeriodHours": 48, "lastRotatedAt": now.AddDate(0, 0, -3),
			"current":  object{"keyId": "key-new", "hint": "abc", "expiresAt": now.AddDate(0, 2, 0)},
			"retiring": []object{{"keyId": "key-old", "revokeAfter": now.AddDate(0, 0, 1)}}, "byHand": []object{},
		}}
}

// everything makes the API answer every question of the pages, with names that a stranger chose.
func (w *world) everything(name string) {
	w.answer("GET", secrets, 200, object{"appConnections": []object{connection(name)}, "nextCursor": "more"})
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": connection(name)})
	target := connection("")
	target["id"], target["connectionId"], target["application"] = targetID, id, object{"tenantId": tenantID, "clientId": clientID}
	target["attention"], target["description"] = []string{name}, name
	w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": []object{target}})
	w.answer("GET", secrets+"/"+id+"/targets/"+targetID, 200, object{"target": target})
	run := object{"id": "run", "trigger": "manual", "startedAt": now.AddDate(0, 0, -3), "outcome": "failed", "message": name,
		"requestedBy": name}
	for _, at := range []string{secrets + "/" + id, secrets + "/" + id + "/targets/" + targetID} {
		w.answer("GET", at+"/rotations", 200, object{"rotations": []object{run}})
		w.answer("GET", at+"/audit", 200, object{"events": []object{{"at": now, "kind": "connection.changed", "by": name, "from": name,
			"message": name}}})
		w.answer("POST", at+"/test", 200, object{"test": object{"authenticates": true, "canRotate": false, "why": []string{name},
			"permissions": []object{{"name": "Application.ReadWrite.OwnedBy", "type": "application", "has": false, "neededFor": name}}}})
		w.answer("POST", at+"/rotate-credentials", 200, object{"plan": object{"steps": []object{{"at": now, "what": name,
			"calls": []string{name}}}}})
	}
	w.answer("GET", "/api/v1/audit", 200, object{"nextCursor": "more", "events": []object{
		{"at": now, "kind": "console.refused", "from": name, "reason": name, "count": 512},
		{"at": now, "kind": "console.signed-in", "by": name, "callerKind": "api-key", "role": "read", "from": name, "count": 1},
		{"at": now, "kind": "connection.deleted", "connectionId": id, "name": name, "count": 1},
		{"at": now, "kind": "connection.deletion-requested", "by": name, "connectionId": id, "targetId": targetID, "count": 1}}})
	w.answer("GET", rotations, 200, object{"secretRotations": []object{{"id": targetID, "name": name, "connectionId": id,
		"vaultSecretName": "x",
		"parameters":      object{"clientId": clientID}, "attention": []string{name}}}, "nextCursor": "more"})
	item := object{"tenantId": tenantID, "clientId": clientID, "objectId": "o", "name": name, "endsAt": now.AddDate(0, 0, 5), "audience": name,
		"findings": []object{{"finding": "ends-in-7-days", "keyId": "k", "advice": name}, {"finding": name, "advice": name}},
		"owners":   []object{{"id": "o", "name": name}},
		"credentials": []object{{"keyId": "k", "kind": "client-secret", "of": "application", "name": name, "hint": name,
			"endsAt": now.AddDate(0, 0, 5)}},
		"federatedCredentials": []object{{"name": name, "issuer": name, "subject": name}}}
	tenant := object{"tenantId": tenantID, "connectionId": id, "asOf": now, "complete": false,
		"unread": []object{{"list": "activity", "message": name}}}
	w.answer("GET", inventories, 200, object{"applications": []object{item}, "tenants": []object{tenant}, "nextCursor": "more"})
	w.answer("GET", secrets+"/upcoming", 200, object{"upcoming": []object{{"at": now.AddDate(0, 0, 12), "connectionId": id,
		"targetId": targetID, "name": name}}})
	w.answer("GET", secrets+"/activity", 200, object{"weeks": []object{{"start": now.AddDate(0, 0, -7), "succeeded": 5, "failed": 1}}})
	w.answer("GET", secrets+"/ahead", 200, object{"due": object{"7-days": 0, "30-days": 4}, "managedEnds": object{"7-days": 1},
		"ends": object{"7-days": 3}, "dueByWeek": []int{0, 1, 3}, "endsByWeek": []int{3, 0, 2}, "complete": true})
	w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"application": item, "tenant": tenant})
	w.answer("GET", inventories+"/scans/scan-1", 200, object{"scan": object{"id": "scan-1", "tenantId": tenantID, "phase": "reading",
		"startedAt": now,
		"problem":   object{"message": name}, "result": object{"changes": []object{{"clientId": clientID, "name": name,
			"change": name}}}}})
}

// pages are all that can be looked at.
var pages = []string{
	"/console", "/console/", "/console/connections", "/console/targets", "/console/connect", "/console/connect?method=certificate",
	"/console/connect?method=oauth", "/console/connections/" + id, "/console/connections/" + id + "/audit",
	"/console/connections/" + id + "/plan", "/console/connections/" + id + "/history",
	"/console/connections/" + id + "/emergency", "/console/connections/" + id + "/edit", "/console/connections/" + id + "/delete",
	"/console/connections/" + id + "/test", "/console/connections/" + id + "/add-target", "/console/targets/" + id + "/" + targetID,
	"/console/targets/" + id + "/" + targetID + "/edit", "/console/inventory", "/console/inventory?finding=orphan&text=x",
	"/console/inventory/" + tenantID + "/" + clientID, "/console/inventory/" + tenantID + "/" + clientID + "/adopt",
	"/console/inventory/scans/scan-1", "/console/audit", "/console/settings", "/console/sign-in",
}

func jsonOf(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
