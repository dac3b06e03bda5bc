package functions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/auth"
)

// The module that what it generates imports.
const codegenRuntime = "github.com/oapi-codegen/runtime v1.9.0"

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
