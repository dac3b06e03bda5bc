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
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rekey/functions"
	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/host"
)

var (
	generate = flag.Bool("generate", false, "generate clients, which takes npm and modules that are no part of this one (make openapi-check)")
	codegen  = flag.String("oapi-codegen", "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2", "the generator of Go clients")
)

// The module that what it generates imports.
const codegenRuntime = "github.com/oapi-codegen/runtime v1.9.0"

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
	a, lonely, operator := w.sample(), w.sample(), w.sample()
	owned := w.owned(operator)
	one, target := []string{"{connection}"}, []string{"{operator}", "{target}"}
	return []step{
		{operation: "options"}, {operation: "openapi"},
		{operation: "create", body: creation(a, "description", "of the billing service", "vaultSecretName", "billing-secret",
			"rotation.gracePeriodHours", 0.5), header: object{"Idempotency-Key": "once"}, take: "{connection}=appConnection"},
		{operation: "create", body: creation(operator, append([]any{"name", "operator"}, off...)...), take: "{operator}=appConnection"},
		{operation: "create", body: object{"name": "No Slug", "method": "client-secret", "credentials": object{"tenantId": "none"}}, status: 400},
		{operation: "inspect", body: object{"credentials": object{"tenantId": lonely.TenantID, "clientId": lonely.ClientID, "clientSecret": lonely.Secret}}},
		{operation: "authorize", body: object{"name": "people", "tenantId": a.TenantID}},
		{operation: "listAll", query: object{"limit": 1}},
		{operation: "list", query: object{"attention": false, "name": "billing"}},
		{operation: "available"}, {operation: "available", query: object{"attention": true}},
		{operation: "getByName", path: []string{"billing"}}, {operation: "get", path: one},
		{operation: "get", path: []string{unknownID}, status: 404},
		{operation: "update", path: one, body: object{"description": "changed", "rotation": object{"rotationInterval": 7}}},
		{operation: "test", path: one}, {operation: "clients", path: one, query: object{"search": "app", "limit": 2}},
		{operation: "rotate", path: one, body: object{"dryRun": true}},
		{operation: "rotate", path: one, body: object{"gracePeriodHours": 0}, header: object{"Idempotency-Key": "twice"}},
		{operation: "rotations", path: one, query: object{"limit": 5}}, {operation: "audit", path: one, query: object{"limit": 5}},
		{operation: "abandon", path: one, status: 409},
		{operation: "createTarget", path: []string{"{operator}"}, take: "{target}=target", body: object{"clientId": owned.ClientID,
			"isAutoRotationEnabled": true, "rotation": object{"rotationInterval": 30, "rotateAtUtc": object{"hours": 3, "minutes": 0}}}},
		{operation: "listTargets", path: []string{"{operator}"}}, {operation: "getTarget", path: target},
		{operation: "updateTarget", path: target, body: object{"isAutoRotationEnabled": false}},
		{operation: "testTarget", path: target}, {operation: "rotateTarget", path: target, body: object{"dryRun": true}},
		{operation: "rotateTarget", path: target, body: object{"gracePeriodHours": 0}},
		{operation: "rotationsTarget", path: target}, {operation: "auditTarget", path: target}, {operation: "abandonTarget", path: target, status: 409},
		{operation: "deleteTarget", path: target, query: object{"revoke": true}}, {operation: "delete", path: one, query: object{"revoke": false}},
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
					t.Errorf("%s: status %d, and the client has\n%v\nof %d\n%v", s.operation, sent.status, results[i].Answer, results[i].Status, sent.answer)
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

// program runs a program in dir and returns its output.
func (w *world) program(dir string, input []byte, env []string, name string, args ...string) []byte {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), name, args...)
	var out, problems bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(input), &out, &problems
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		w.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, problems.Bytes(), out.Bytes())
	}
	return out.Bytes()
}

// files writes files into a folder of its own.
func (w *world) files(files map[string]string) string {
	w.Helper()
	dir := w.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	return dir
}

// reach is the environment of a client.
func (w *world) reach(server string) []string {
	return []string{"REKEY_URL=" + server, "REKEY_API_KEY=" + w.keys[auth.Admin].Reveal()}
}

// byGo makes the calls with a client of oapi-codegen's.
func (w *world) byGo(server string, steps []step) []byte {
	w.Helper()
	driver, err := os.ReadFile("testdata/client/main.go")
	if err != nil {
		w.Fatal(err)
	}
	dir := w.files(map[string]string{
		"openapi.json": string(connections.Document), "main.go": string(driver),
		"go.mod": "module client\n\ngo 1.26\n\nrequire " + codegenRuntime + "\n",
	})
	w.program(dir, nil, nil, "go", "run", *codegen, "-generate", "types,client", "-package", "main", "-o", "client.go", "openapi.json")
	w.program(dir, nil, nil, "go", "mod", "tidy")
	w.program(dir, nil, nil, "go", "build", "-o", "client", ".")
	calls := []object{}
	for _, s := range steps {
		params := object{}
		maps.Copy(params, s.query)
		maps.Copy(params, s.header)
		call := object{"operation": strings.ToUpper(s.operation[:1]) + s.operation[1:], "path": s.path, "params": params, "take": s.take}
		if s.body != nil {
			call["body"] = s.body
		}
		calls = append(calls, call)
	}
	return w.program(dir, encoded(w.T, calls), w.reach(server), filepath.Join(dir, "client"))
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// prelude is what every TypeScript client begins with. It has no more types of Node's than
// it needs.
const prelude = `import createClient from "openapi-fetch";
import type { paths } from "./schema.js";
declare const process: { env: { REKEY_URL: string; REKEY_API_KEY: string }; stdout: { write(text: string): void } };
const client = createClient<paths>({ baseUrl: process.env.REKEY_URL, headers: { Authorization: "Bearer " + process.env.REKEY_API_KEY } });
const ids: Record<string, string> = {};
const results: unknown[] = [];
`

// byTypeScript makes the calls with the types of openapi-typescript. The compiler holds each
// call, and each member of an answer that is read, against them.
func (w *world) byTypeScript(server string, steps []step) []byte {
	w.Helper()
	modules, err := filepath.Abs("../infra/openapi/node_modules")
	if err != nil {
		w.Fatal(err)
	}
	var script strings.Builder
	script.WriteString(prelude)
	at := addresses(w.T)
	for _, s := range steps {
		a := at[s.operation]
		names, params := pathParameter.FindAllString(a.path, -1), object{}
		for i, name := range names {
			path, _ := params["path"].(object)
			if path == nil {
				path = object{}
			}
			path[strings.Trim(name, "{}")] = s.path[i]
			params["path"] = path
		}
		if s.query != nil {
			params["query"] = s.query
		}
		if s.header != nil {
			params["header"] = s.header
		}
		options := object{"params": params}
		if s.body != nil {
			options["body"] = s.body
		}
		// An id is known when the program runs.
		text := regexp.MustCompile(`"\{\w+\}"`).ReplaceAllString(string(encoded(w.T, options)), "ids[$0]!")
		fmt.Fprintf(&script, "{\n  const { data, error, response } = await client.%s(%q, %s);\n", a.method, a.path, text)
		fmt.Fprintf(&script, "  results.push({ operation: %q, status: response.status, answer: data ?? error });\n", s.operation)
		if name, member, ok := strings.Cut(s.take, "="); ok {
			fmt.Fprintf(&script, "  ids[%q] = data!.%s.id;\n", name, member)
		}
		script.WriteString("}\n")
	}
	script.WriteString("process.stdout.write(JSON.stringify(results));\n")
	dir := w.files(map[string]string{
		"openapi.json": string(connections.Document), "client.ts": script.String(), "package.json": `{"type": "module"}`,
	})
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		w.Fatal(err)
	}
	w.program(dir, nil, nil, "node", "node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "schema.ts")
	w.program(dir, nil, nil, "node", "node_modules/typescript/bin/tsc", "--strict", "--skipLibCheck", "--target", "es2022",
		"--module", "nodenext", "--lib", "es2022,dom,dom.iterable", "client.ts")
	return w.program(dir, nil, w.reach(server), "node", "client.js")
}
