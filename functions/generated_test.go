package functions_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/functions"
	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/host"
	"rekey/shared/inventory"
)

var (
	generate = flag.Bool("generate", false, "generate clients, which takes npm and modules that are no part of this one (make openapi-check)")
	codegen  = flag.String("oapi-codegen", "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2", "the generator of Go clients")
)

// Redocly's linter has nothing to say about the document.
func TestLinted(t *testing.T) {
	if !*generate {
		t.Skip("make openapi-check runs it")
	}
	cmd := exec.CommandContext(t.Context(), "node", "../infra/openapi/node_modules/@redocly/cli/bin/cli.js", "lint",
		"--config", "../infra/openapi/redocly.yaml", "--format", "json", "connections/openapi.json")
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	out, err := cmd.Output()
	var found struct {
		Totals   *struct{ Errors, Warnings, Ignored int }
		Problems []struct{ RuleID, Message string }
	}
	if json.Unmarshal(out, &found) != nil || found.Totals == nil {
		t.Fatalf("%v: %s", err, out)
	}
	if *found.Totals != (struct{ Errors, Warnings, Ignored int }{}) {
		t.Errorf("%+v", found.Problems)
	}
}

// step is a call that a generated client makes. A path parameter in braces stands for an id
// that an earlier answer had.
type step struct {
	operation string
	path      []string // values of the path's parameters, in order
	query     object
	header    object
	body      object
	take      string // "{name}=member": the answer's member is remembered by that name
	status    int    // 0: 200
}

// steps calls every operation of the document, in a world of their own.
func (w *world) steps() []step {
	a, lonely, operator, rotator := w.sample(), w.sample(), w.sample(), w.sample()
	owned := w.owned(operator)
	via := w.create(rotator, append([]any{"name", "rotator"}, off...)...).ID
	declared, adopted := w.resource(via, w.owned(rotator)), w.owned(rotator)
	w.stocked(inventory.Application{Key: inventory.Key{TenantID: adopted.TenantID, ClientID: adopted.ClientID}, Name: "adopted"})
	app := []string{adopted.TenantID, adopted.ClientID}
	one, target := []string{"{connection}"}, []string{"{operator}", "{target}"}
	return []step{
		{operation: "options"}, {operation: "openapi"},
		{operation: "create", body: creation(a, "description", "of the billing service", "vaultSecretName", "billing-secret",
			"rotation.gracePeriodHours", 0.5), header: object{"Idempotency-Key": "once"}, take: "{connection}=appConnection"},
		{operation: "create", body: creation(operator, append([]any{"name", "operator"}, off...)...), take: "{operator}=appConnection"},
		{operation: "create", body: object{"name": "No Slug", "method": "client-secret", "credentials": object{"tenantId": "none"}}, status: 400},
		{operation: "inspect", body: object{"credentials": object{
			"tenantId": lonely.TenantID, "clientId": lonely.ClientID, "clientSecret": lonely.Secret}}},
		{operation: "authorize", body: object{"name": "people", "tenantId": a.TenantID}},
		{operation: "listAll", query: object{"limit": 1}},
		{operation: "list", query: object{"attention": false, "name": "billing"}},
		{operation: "list", query: object{"text": "ILL", "state": "active", "limit": 5}}, {operation: "ahead"},
		{operation: "available"}, {operation: "available", query: object{"attention": true}},
		{operation: "upcoming", query: object{"limit": 3}}, {operation: "activity", query: object{"weeks": 2}},
		{operation: "getByName", path: []string{"billing"}}, {operation: "get", path: one},
		{operation: "get", path: []string{unknownID}, status: 404},
		{operation: "update", path: one, body: object{"description": "changed", "rotation": object{"rotationInterval": 7}}},
		{operation: "test", path: one}, {operation: "clients", path: one, query: object{"search": "app", "limit": 2}},
		{operation: "rotate", path: one, body: object{"dryRun": true}},
		{operation: "rotate", path: one, body: object{"gracePeriodHours": 0}, header: object{"Idempotency-Key": "twice"}},
		{operation: "rotations", path: one, query: object{"limit": 5}}, {operation: "audit", path: one, query: object{"limit": 5}},
		{operation: "abandon", path: one, status: 409},
		{operation: "createTarget", path: []string{"{operator}"}, take: "{target}=target", body: object{"clientId": owned.ClientID, "name": "payroll",
			"isAutoRotationEnabled": true, "rotation": object{"rotationInterval": 30, "rotateAtUtc": object{"hours": 3, "minutes": 0}}}},
		{operation: "listTargets", path: []string{"{operator}"}}, {operation: "getTarget", path: target},
		{operation: "updateTarget", path: target, body: object{"isAutoRotationEnabled": false, "name": "wages"}},
		{operation: "testTarget", path: target}, {operation: "rotateTarget", path: target, body: object{"dryRun": true}},
		{operation: "rotateTarget", path: target, body: object{"gracePeriodHours": 0}},
		{operation: "rotationsTarget", path: target}, {operation: "auditTarget", path: target},
		{operation: "abandonTarget", path: target, status: 409},
		{operation: "deleteTarget", path: target, query: object{"revoke": true}},
		{operation: "inventory", query: object{"finding": "ownerless", "tenantId": adopted.TenantID, "text": "adopt", "limit": 5}},
		{operation: "inventory", query: object{"cursor": "none"}, status: 400},
		{operation: "inventorySummary", query: object{"tenantId": adopted.TenantID}}, {operation: "inventoryApplication", path: app},
		{operation: "acceptFinding", path: app, body: object{"finding": "ownerless", "reason": "it is to be deleted",
			"until": w.clock.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339)}},
		{operation: "takeBackAcceptance", path: app, query: object{"finding": "ownerless"}},
		{operation: "requestScan", body: object{"connectionId": via, "daily": true}, header: object{"Idempotency-Key": "scan"},
			take: "{scan}=scan"},
		{operation: "scans", query: object{"tenantId": adopted.TenantID, "limit": 5}}, {operation: "scan", path: []string{"{scan}"}},
		{operation: "adopt", path: app, body: object{"connectionId": via, "vaultSecretName": "adopted-secret"},
			header: object{"Idempotency-Key": "adopted"}},
		{operation: "delete", path: one, query: object{"revoke": false}},
		{operation: "auditAll", query: object{"limit": 5, "from": "2026-01-01T00:00:00Z"}},
		{operation: "login", body: object{"clientId": "admin", "clientSecret": w.keys[auth.Admin].Reveal(), "organizationSlug": "acme"}},
		{operation: "login", body: object{"clientId": "admin", "clientSecret": "rk_"}, status: 401},
		{operation: "createSecretRotation", body: declared.known(), header: object{"Idempotency-Key": "declared"},
			take: "{rotation}=secretRotation"},
		{operation: "createSecretRotation", body: declared.known(), status: 409},
		{operation: "listSecretRotations", query: object{"limit": 1, "projectId": ""}},
		{operation: "listSecretRotations", query: object{"state": "paused", "text": "none", "attention": true}},
		{operation: "getSecretRotation", path: []string{"{rotation}"}},
		{operation: "updateSecretRotation", path: []string{"{rotation}"}, body: object{"environment": "staging", "rotationInterval": 7}},
		{operation: "deleteSecretRotation", path: []string{"{rotation}"}, query: object{"revoke": true}},
	}
}

// address is where an operation of the document is.
type address struct{ method, path string }

// addresses reads the document's operations by their ids.
func addresses(t *testing.T) map[string]address {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(connections.Document, &doc); err != nil {
		t.Fatal(err)
	}
	all := map[string]address{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			all[op.OperationID] = address{strings.ToUpper(method), path}
		}
	}
	return all
}

// exchanged is a call as it went over the wire, and its answer as HTTP gives it.
type exchanged struct {
	method, path string
	query        url.Values
	header       http.Header
	body         any
	status       int
	answer       any
}

// recorded serves w and remembers what comes and what is answered.
func (w *world) recorded() (address string, calls *[]exchanged) {
	calls = &[]exchanged{}
	api := functions.HTTP(w.app, &host.Once{})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			w.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
		kept := httptest.NewRecorder()
		api.ServeHTTP(kept, r)
		one := exchanged{method: r.Method, path: r.URL.Path, query: r.URL.Query(), header: r.Header, status: kept.Code}
		if len(sent) > 0 {
			err = json.Unmarshal(sent, &one.body)
		}
		if err := errors.Join(err, json.Unmarshal(kept.Body.Bytes(), &one.answer)); err != nil {
			w.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		*calls = append(*calls, one)
		maps.Copy(out.Header(), kept.Header())
		out.WriteHeader(kept.Code)
		out.Write(kept.Body.Bytes())
	}))
	w.Cleanup(server.Close)
	return server.URL, calls
}

// Clients that are generated from the document call every operation. What they send is
// what was meant, and what they make of an answer is all that the answer has.
func TestGeneratedClients(t *testing.T) {
	if !*generate {
		t.Skip("make openapi-check runs it")
	}
	unixOnly(t)
	for name, run := range map[string]func(*world, string, []step) []byte{"go": (*world).byGo, "typescript": (*world).byTypeScript} {
		t.Run(name, func(t *testing.T) {
			w, _ := newOAuthWorld(t)
			steps := w.steps()
			server, calls := w.recorded()
			var results []struct {
				Operation string
				Status    int
				Answer    any
				Error     string
			}
			if out := run(w, server, steps); json.Unmarshal(out, &results) != nil {
				t.Fatalf("the client's results: %s", out)
			}
			for _, r := range results {
				if r.Error != "" {
					t.Errorf("%s: %s", r.Operation, r.Error)
				}
			}
			if len(*calls) != len(steps) || len(results) != len(steps) {
				t.Fatalf("%d calls, %d results, of %d", len(*calls), len(results), len(steps))
			}
			missing, ids := addresses(t), map[string]string{}
			for i, s := range steps {
				sent, at := (*calls)[i], addresses(t)[s.operation]
				delete(missing, s.operation)
				s.check(t, at, ids, sent)
				if results[i].Status != sent.status || !reflect.DeepEqual(results[i].Answer, sent.answer) {
					t.Errorf("%s: the client has status %d and\n%v\nof %d and\n%v", s.operation, results[i].Status, results[i].Answer,
						sent.status, sent.answer)
				}
				s.remember(ids, sent.answer)
			}
			for _, operation := range slices.Sorted(maps.Keys(missing)) {
				t.Errorf("%s is not called", operation)
			}
		})
	}
}

var pathParameter = regexp.MustCompile(`\{\w+\}`)

// check holds what a client sent against what it was to send.
func (s step) check(t *testing.T, at address, ids map[string]string, sent exchanged) {
	t.Helper()
	i := 0
	path := pathParameter.ReplaceAllStringFunc(at.path, func(string) string {
		i++
		return cmp.Or(ids[s.path[i-1]], s.path[i-1])
	})
	query := url.Values{}
	for name, value := range s.query {
		query.Set(name, fmt.Sprint(value))
	}
	var body any
	if s.body != nil {
		data, err := json.Marshal(s.body)
		if err != nil || json.Unmarshal(data, &body) != nil {
			t.Fatal(err)
		}
	}
	status := s.status
	if status == 0 {
		status = http.StatusOK
	}
	if sent.method != at.method || sent.path != path || !reflect.DeepEqual(sent.query, query) || !reflect.DeepEqual(sent.body, body) ||
		sent.status != status {
		t.Errorf("%s: the client sent %s %s %v %v, want %s %s %v %v; status %d, want %d: %v", s.operation,
			sent.method, sent.path, sent.query, sent.body, at.method, path, query, body, sent.status, status, sent.answer)
	}
	for name, value := range s.header {
		if got := sent.header.Get(name); got != value {
			t.Errorf("%s: %s %q, want %q", s.operation, name, got, value)
		}
	}
}

// remember adds the id of an answer, if the step takes one.
func (s step) remember(ids map[string]string, answer any) {
	if name, member, ok := strings.Cut(s.take, "="); ok {
		all, _ := answer.(object)
		one, _ := all[member].(object)
		ids[name], _ = one["id"].(string)
	}
}
