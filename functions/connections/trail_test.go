package connections_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/serviceerror"
)

// ledger keeps the audit of a test.
type ledger struct {
	mu    sync.Mutex
	lines map[string]audit.Event
	page  func(q audit.Query) ([]audit.Event, string, error)
}

func (l *ledger) WriteAudit(_ context.Context, id string, e audit.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil {
		l.lines = map[string]audit.Event{}
	}
	l.lines[id] = e
	return nil
}

func (l *ledger) Audit(_ context.Context, q audit.Query) ([]audit.Event, string, error) {
	return l.page(q)
}

// trail asks for the audit of the deployment.
func trail(t *testing.T, l *ledger, role auth.Role, query string) *httptest.ResponseRecorder {
	t.Helper()
	h := handler(service{}, role)
	h.Trail, h.Log = &audit.Trail{Store: l}, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/audit"+query, nil))
	return w
}

// The audit of the deployment says who did what, what is not known is null, and only admins see it.
func TestTrailView(t *testing.T) {
	var asked audit.Query
	l := &ledger{page: func(q audit.Query) ([]audit.Event, string, error) {
		asked = q
		return []audit.Event{
			{At: now, Kind: audit.ConsoleRefused, From: "203.0.113.9", Reason: "<b>wrong</b>", Count: 512},
			{At: ago(1), Kind: audit.SignedIn, By: "ci", How: auth.KindKey, Role: "read", From: "203.0.113.8", Count: 1},
			{At: ago(2), Kind: "connection.deletion-requested", By: "ci", ConnectionID: id, TargetID: target, Name: "payroll"},
		}, "n", nil
	}}
	w := trail(t, l, auth.Admin, "?limit=3&cursor=c&from=2026-06-01T00:00:00Z&to=2026-07-01T12:00:00%2B02:00")
	sameJSON(t, w.Body.String(), `{"events":[
		{"at":"2026-07-01T12:00:00Z","kind":"console.refused","by":null,"callerKind":null,"role":null,"from":"203.0.113.9","connectionId":null,
			"targetId":null,"name":null,"reason":"<b>wrong</b>","count":512},
		{"at":"2026-07-01T11:59:00Z","kind":"console.signed-in","by":"ci","callerKind":"api-key","role":"read","from":"203.0.113.8",
			"connectionId":null,"targetId":null,"name":null,"reason":null,"count":1},
		{"at":"2026-07-01T11:58:00Z","kind":"connection.deletion-requested","by":"ci","callerKind":null,"role":null,"from":null,
			"connectionId":"`+id+`","targetId":"`+target+`","name":"payroll","reason":null,"count":1}],"nextCursor":"n"}`)
	if w.Code != http.StatusOK || asked.Limit != 3 || asked.Cursor != "c" || asked.From.Month() != 6 || asked.To.UTC().Hour() != 10 {
		t.Errorf("status %d; asked for %+v", w.Code, asked)
	}
	for query, says := range map[string]string{"?limit=0": "limit must be", "?limit=1001": "limit must be", "?from=yesterday": "from must be",
		"?to=1": "to must be"} {
		if w := trail(t, l, auth.Admin, query); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	l.page = func(q audit.Query) ([]audit.Event, string, error) {
		class := serviceerror.Transient
		if q.Cursor != "" {
			class = serviceerror.Invalid
		}
		return nil, "", &serviceerror.Error{Op: "reading the audit", Class: class}
	}
	if w := trail(t, l, auth.Admin, "?cursor=x"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "Begin again") {
		t.Errorf("a made-up cursor: %d %s", w.Code, w.Body)
	}
	if w := trail(t, l, auth.Admin, ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("the table is away: %d %s", w.Code, w.Body)
	}
	for _, role := range []auth.Role{auth.Read, auth.Write, auth.Rotate} {
		if w := trail(t, l, role, ""); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `\"admin\"`) {
			t.Errorf("as %s: %d %s", role, w.Code, w.Body)
		}
	}
}

// The API's refusals are in the audit: of callers who are not known, whose role is too low, and who
// sign in with a wrong key. What is wrong with a request itself is not.
func TestRefusalsAreAudited(t *testing.T) {
	l := &ledger{}
	h := handler(service{}, auth.Read)
	h.Trail, h.Log = &audit.Trail{Store: l}, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))
	h.Limit = auth.NewLimiter(auth.Limits{Unknown: 2})
	h.Now = now.UTC
	known := h.Authenticate
	send := func(method, path string, who func(*http.Request) (auth.Caller, error)) {
		h.Authenticate = who
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}"))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	stranger := func(*http.Request) (auth.Caller, error) { return auth.Caller{}, auth.UnknownKey }
	base := connections.Base + "/azure-client-secrets"
	send(http.MethodPost, base+"/"+id+"/rotate-credentials", known)
	send(http.MethodGet, base+"?limit=x", known)
	send(http.MethodGet, base+"/none/none", known)
	send(http.MethodPost, "/api/v1/auth/universal-auth/login", known)
	for range 40 {
		send(http.MethodGet, base, stranger)
	}
	var got []string
	for _, e := range l.lines {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %d", e.Kind, e.How, e.By, e.Role, e.From, e.Count)+" "+e.Reason)
	}
	slices.Sort(got)
	want := []string{
		`api.refused    192.0.2.1 1 ` + "not authenticated",
		`api.refused    192.0.2.1 1 ` + auth.UnknownKey.Error(),
		`api.refused    192.0.2.1 32 too many requests of unknown callers`,
		`api.refused api-key boss read 192.0.2.1 1 This needs the role "rotate"; "boss" has the role "read".`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the audit has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
