package functionshost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/shared/emulator/functionshost"
)

func TestHandlersEnvironment(t *testing.T) {
	config, r := newConfig(t, app(nil), "well")
	h, err := functionshost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	var pid, port int
	if _, err := fmt.Sscanf(r.line(t, "handler well, "), "pid %d, port %d", &pid, &port); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Skip("this system shows no process's environment")
	}
	got := make(map[string]string)
	for entry := range strings.SplitSeq(strings.TrimRight(string(data), "\x00"), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		got[name] = value
	}
	if id := got["FUNCTIONS_HTTPWORKER_ID"]; !guid.MatchString(id) || id != got["FUNCTIONS_CUSTOMHANDLER_WORKER_ID"] {
		t.Errorf("worker ids = %v", got)
	}
	for name, want := range map[string]string{
		"FUNCTIONS_CUSTOMHANDLER_PORT": fmt.Sprint(port), "FUNCTIONS_HTTPWORKER_PORT": fmt.Sprint(port),
		"FUNCTIONS_APP_ROOT_PATH": config.Root, "SCHEDULE": never,
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	if len(got) != len(config.Env)+5 {
		t.Errorf("environment = %v, want ours and five more", got)
	}
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || dir != config.Root {
		t.Errorf("working directory = %s, %v, want %s", dir, err, config.Root)
	}
}

func TestStopLeavesNothingRunning(t *testing.T) {
	r := start(t, app(nil), "well", nil)
	var pid, port int
	if _, err := fmt.Sscanf(r.line(t, "handler well, "), "pid %d, port %d", &pid, &port); err != nil {
		t.Fatal(err)
	}
	r.Stop()
	r.Stop() // twice does no harm
	for _, addr := range []string{fmt.Sprintf("127.0.0.1:%d", port), r.Addr()} {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("%s still answers", addr)
		}
	}
	if err := r.Err(); err != nil {
		t.Errorf("Err = %v after Stop", err)
	}
}

func TestContextEndsTheHost(t *testing.T) {
	config, _ := newConfig(t, app(nil), "well")
	h, err := functionshost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("interrupt signal received")) // as signal.NotifyContext does
	next(t, h.Done())
	if err := h.Err(); err != nil {
		t.Errorf("Err = %v", err)
	}
}

func TestHandlerThatNeverGetsReady(t *testing.T) {
	impatient := strings.Replace(hostJSON, `"enableForwarding`, `"initializationTimeout":"00:00:00.2","enableForwarding`, 1)
	for role, want := range map[string]string{
		"exit 3":  "exit status 3\n\tno configuration",
		"exit 0":  "ended with exit code 0",
		"deaf":    "did not answer GET /",
		"no http": "probing with GET /",
	} {
		t.Run(role, func(t *testing.T) {
			changes := files{}
			if role == "deaf" {
				changes["host.json"] = impatient
			}
			config, r := newConfig(t, app(changes), role)
			h, err := functionshost.New(config)
			if err != nil {
				t.Fatal(err)
			}
			err = h.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "failed 3 times") {
				t.Errorf("Start = %v, want %q after three times", err, want)
			}
			next(t, h.Done())
			// All that it wrote has been read by now. One that is killed for its silence may
			// not have got as far as its first line.
			if n := starts(r, role); n > 3 || n < 3 && role != "deaf" {
				t.Errorf("it was started %d times", n)
			}
		})
	}
}

// What the system can't start is not tried again: the real host would leave invocations
// waiting for two minutes.
func TestHandlerThatCantBeStarted(t *testing.T) {
	config, _ := newConfig(t, app(files{"handler.bin": "no program"}), "well")
	if err := os.Chmod(filepath.Join(config.Root, "handler.bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(config.Root, "host.json")
	if err := os.WriteFile(file, []byte(strings.Replace(hostJSON, `"handler"`, `"handler.bin"`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	config.Log = slog.New(slog.NewTextHandler(&logged, nil))
	h, err := functionshost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "would not try again") {
		t.Errorf("Start = %v", err)
	}
	next(t, h.Done())
	// The line has it twice: itself, and in its error.
	if n := strings.Count(logged.String(), "can't be started"); n != 2 || strings.Contains(logged.String(), "strike") {
		t.Errorf("it was not tried once: %s", &logged)
	}
}

// A setting that is there and empty is a connection string to the real host; one that is
// not there, or that says something, is none of this host's business.
func TestHostStorage(t *testing.T) {
	identity := "AzureWebJobsStorage__accountName=rekeyst"
	for _, tc := range []struct {
		env    []string
		refuse bool
	}{
		{[]string{identity}, false},
		{[]string{identity, "AzureWebJobsStorage="}, true},
		{[]string{"AzureWebJobsStorage="}, true},
		{[]string{"AzureWebJobsStorage=UseDevelopmentStorage=true"}, false},
		{[]string{"AzureWebJobsStorage=", "AzureWebJobsStorage=UseDevelopmentStorage=true"}, false}, // the last one counts
	} {
		config, _ := newConfig(t, app(nil), "well")
		config.Env = append(config.Env, tc.env...)
		_, err := functionshost.New(config)
		if refused := err != nil; refused != tc.refuse || refused && !strings.Contains(err.Error(), "AzureWebJobsStorage is set, and empty") {
			t.Errorf("%q: New = %v, want refused %v", tc.env, err, tc.refuse)
		}
	}
}

// starts counts how often a handler said that it began, among the lines of a host that
// is done.
func starts(r running, role string) (n int) {
	for len(r.lines) > 0 {
		if strings.HasPrefix(<-r.lines, "handler "+role) {
			n++
		}
	}
	return n
}

func TestCrashes(t *testing.T) {
	exit := func(t *testing.T, r running, code int) {
		t.Helper()
		// A stream that was read is not sent again, so the handler ends once.
		resp, _ := r.do(t, http.MethodPost, fmt.Sprintf("/api/x?exit=%d", code), struct{ io.Reader }{strings.NewReader("x")}, nil)
		if resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("exit %d: the running invocation got %d, want 500", code, resp.StatusCode)
		}
		if warning := r.line(t, "[warning] "); warning != "warning: leaving" {
			t.Errorf("stderr = %q", warning)
		}
	}
	r := start(t, app(nil), "well", nil)
	for _, code := range []int{0, 200, 0, 200, 1, 2} { // two strikes
		exit(t, r, code)
		if resp, _ := r.do(t, http.MethodGet, "/health", nil, nil); resp.StatusCode != http.StatusTeapot {
			t.Fatalf("after exit %d: %d", code, resp.StatusCode)
		}
	}
	req, err := http.NewRequest(http.MethodPost, r.url+"/api/x?exit=3", struct{ io.Reader }{strings.NewReader("x")})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil { // or the host is gone before it can answer
		resp.Body.Close()
	}
	next(t, r.Done())
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3\n\twarning: leaving") {
		t.Errorf("Err = %v", err)
	}
}

func TestFunctionTimeout(t *testing.T) {
	t.Parallel() // it waits for the shortest functionTimeout there is, twice
	short := strings.Replace(hostJSON, `"version"`, `"functionTimeout":"00:00:01","version"`, 1)
	r := start(t, app(files{"host.json": short, "tick/function.json": timerFunction(never, `,"runOnStartup":true`)}), "hang", nil)
	r.line(t, "handler hang")
	if i := next(t, r.invocations); i.Err == nil || !strings.Contains(i.Err.Error(), "functionTimeout exceeded (1s)") {
		t.Errorf("invocation = %+v", i)
	}
	r.line(t, "handler hang") // killed and started again
	if resp, _ := r.do(t, http.MethodGet, "/api/x?hang", nil, nil); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", resp.StatusCode)
	}
	r.line(t, "handler hang")
	// On a busy machine a second may be too short for this answer too; then it is killed once more.
	for {
		resp, _ := r.do(t, http.MethodGet, "/health", nil, nil)
		if resp.StatusCode == http.StatusTeapot {
			break
		}
		if resp.StatusCode != http.StatusInternalServerError {
			t.Fatalf("status = %d: it does not answer again", resp.StatusCode)
		}
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config, _ := newConfig(t, app(nil), "well")
	config.Addr = l.Addr().String()
	h, err := functionshost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(config.Addr)
	if err := h.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "port "+port) || !strings.Contains(err.Error(), "PORT=") {
		t.Errorf("Start = %v, want the port and the way out", err)
	}
	h.Stop()
}

func TestAdmin(t *testing.T) {
	r := start(t, app(nil), "well", nil)
	post := func(path, body string) int {
		t.Helper()
		resp, _ := r.do(t, http.MethodPost, path, strings.NewReader(body), http.Header{"Content-Type": {"application/json"}})
		return resp.StatusCode
	}
	if got := post("/admin/host/ping", ""); got != http.StatusOK {
		t.Errorf("ping = %d", got)
	}
	for _, tc := range []struct {
		path, body string
		want       int
	}{
		{"/admin/functions/tick", `{"input":""}`, http.StatusAccepted},
		{"/admin/functions/tick", `null`, http.StatusBadRequest},
		{"/admin/functions/tick", ``, http.StatusBadRequest},
		{"/admin/functions/none", `{"input":""}`, http.StatusNotFound},
		{"/admin/functions/health", `{"input":""}`, http.StatusBadRequest},
	} {
		if got := post(tc.path, tc.body); got != tc.want {
			t.Errorf("POST %s %s = %d, want %d", tc.path, tc.body, got, tc.want)
		}
	}
	if resp, _ := r.do(t, http.MethodPost, "/admin/functions/tick", strings.NewReader("{}"), nil); resp.StatusCode !=
		http.StatusUnsupportedMediaType {
		t.Errorf("without a content type: %d", resp.StatusCode)
	}
	if i := next(t, r.invocations); i.Function != "tick" || i.PastDue || i.Err != nil || !guid.MatchString(i.ID) {
		t.Errorf("invocation = %+v", i)
	}
	r.line(t, "tick ")

	resp, err := http.Get(r.url + "/admin/functions")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []struct {
		Name string
		URL  string `json:"invoke_url_template"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	want := []string{"api " + r.url + "/api/{*path}", "health " + r.url + "/health", "tick "}
	for i, f := range all {
		if i >= len(want) || f.Name+" "+f.URL != want[i] {
			t.Errorf("function %d = %+v, want %v", i, f, want)
		}
	}
	if len(all) != len(want) {
		t.Errorf("%d functions, want %d", len(all), len(want))
	}
}

func TestNewRefuses(t *testing.T) {
	handler := func(more string) string {
		return `{"version":"2.0","customHandler":{"enableProxyingHttpRequest":true,"description":{"defaultExecutablePath":"handler"}` +
			more + `}}`
	}
	executable := func(path string) files {
		return files{"host.json": strings.Replace(hostJSON, `"handler"`, fmt.Sprintf("%q", path), 1), "data": "x"}
	}
	function := func(content string) files { return files{"f/function.json": content} }
	for _, tc := range []struct {
		name    string
		changes files
		want    string
	}{
		{"no host.json", files{"host.json": ""}, "make stage"},
		{"version as a number", files{"host.json": strings.Replace(hostJSON, `"2.0"`, `2.0`, 1)}, `version must be the string "2.0"`},
		{"old version", files{"host.json": strings.Replace(hostJSON, `2.0`, `1.0`, 1)}, "version"},
		{"no JSON", files{"host.json": "{"}, "decoding host.json"},
		{"no customHandler", files{"host.json": `{"version":"2.0"}`}, "customHandler is missing"},
		{"no pass-through", files{"host.json": strings.ReplaceAll(hostJSON, "true", "false")}, "enableProxyingHttpRequest"},
		{"no executable", executable(""), "it is missing"},
		{"executable not built", executable("nothing"), "not in the app root"},
		{"executable is no entry", executable("./handler"), "no ./"},
		{"executable outside", executable("../handler"), "no ./"},
		{"executable bit missing", executable("data"), "no executable file"},
		{"executable from a missing setting", executable("%HANDLER%"), "%HANDLER% is not set"},
		{"routes in host.json", files{"host.json": handler(`,"http":{"routes":[{"route":"{*route}"}]}`)}, "customHandler.http"},
		{"pinned port", files{"host.json": handler(`,"port":1`)}, "customHandler.port"},
		{"functionTimeout", files{"host.json": strings.Replace(hostJSON, `"version"`, `"functionTimeout":"10 minutes","version"`, 1)},
			"functionTimeout"},
		{"functionTimeout too short", files{"host.json": strings.Replace(hostJSON, `"version"`, `"functionTimeout":"00:00:00.5","version"`, 1)},
			"less than a second"},
		{"no function", files{"api/function.json": "", "tick/function.json": "", "health/function.json": ""}, "one level below host.json"},
		{"function one level too deep", files{"api/function.json": "", "tick/function.json": "", "health/function.json": "",
			"functions/f/function.json": httpFunction("x", "")}, "one level below host.json"},
		{"folder name", files{"1st/function.json": httpFunction("x", "")}, "function 1st"},
		{"folder called host", files{"Host/function.json": httpFunction("x", "")}, "not host"},
		{"script beside it", files{"api/index.js": "x"}, "index.js"},
		{"function.json no JSON", function("["), "decoding function.json"},
		{"no binding", function(`{"bindings":[]}`), "no trigger"},
		{"two triggers",
			function(`{"bindings":[{"type":"timerTrigger","direction":"in","name":"a","schedule":"0 * * * * *"},` +
				`{"type":"httpTrigger","direction":"in","name":"b"}]}`), "more than one trigger"},
		{"trigger out", function(`{"bindings":[{"type":"timerTrigger","direction":"out","name":"a","schedule":"0 * * * * *"}]}`), "direction"},
		{"binding name", function(`{"bindings":[{"type":"timerTrigger","direction":"in","name":"my-timer","schedule":"0 * * * * *"}]}`),
			`"my-timer"`},
		{"queue", function(`{"bindings":[{"type":"queueTrigger","direction":"in","name":"m","queueName":"q"}]}`), `not "queueTrigger"`},
		{"http without output", function(`{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous"}]}`),
			"one http output"},
		{"default authLevel", function(strings.Replace(httpFunction("x", ""), `"authLevel":"anonymous",`, "", 1)), "anonymous"},
		{"function keys", function(strings.Replace(httpFunction("x", ""), `anonymous`, `function`, 1)), "keeps no keys"},
		{"retry",
			function(`{"retry":{"strategy":"fixedDelay"},` +
				`"bindings":[{"type":"timerTrigger","direction":"in","name":"a","schedule":"0 * * * * *"}]}`), "retry"},
		{"admin route", function(httpFunction("administration", "")), "belongs to the host"},
		{"runtime route", function(httpFunction("Runtime/x", "")), "belongs to the host"},
		{"unknown constraint", function(httpFunction("x/{id:alpha}", "")), "alpha"},
		{"optional parameter", function(httpFunction("x/{id?}", "")), "{id?}"},
		{"parameter twice", function(httpFunction("x/{id}/{ID}", "")), "twice"},
		{"after a catch-all", function(httpFunction("{*a}/x", "")), "goes on"},
		{"same route", function(httpFunction("HEALTH", "")), "same route"},
		{"shadowed", files{"z/function.json": httpFunction("api/v2/status", `"get"`)}, "never reached"},
		{"schedule", files{"tick/function.json": timerFunction("0 * * *", "")}, "4 fields"},
		{"schedule from a missing setting", files{"tick/function.json": timerFunction("%REKEY_ROTATION_SCHEDULE%", "")},
			"%REKEY_ROTATION_SCHEDULE% is not set"},
		{"timer with an output",
			files{"tick/function.json": strings.Replace(timerFunction(never, ""), "}]", `},{"type":"queue","direction":"out","name":"q"}]`, 1)},
			"no bindings beside"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config, _ := newConfig(t, app(tc.changes), "well")
			_, err := functionshost.New(config)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New = %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for name, changes := range map[string]files{
		"schedule from a setting":           {"tick/function.json": timerFunction("%SCHEDULE%", "")},
		"same route, other methods":         {"f/function.json": httpFunction("health", `"post"`)},
		"catch-all that sorts last":         {"z/function.json": httpFunction("{*any}", "")},
		"files and folders without meaning": {"readme.txt": "x", "docs/index.js": "x"},
		"endless functionTimeout":           {"host.json": strings.Replace(hostJSON, `"version"`, `"functionTimeout":"-1","version"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			config, _ := newConfig(t, app(changes), "well")
			if _, err := functionshost.New(config); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewNamesEveryMistake(t *testing.T) {
	config, _ := newConfig(t, app(files{
		"host.json":          strings.ReplaceAll(strings.Replace(hostJSON, "2.0", "3.0", 1), "true", "false"),
		"tick/function.json": timerFunction("x", ""),
	}), "well")
	config.Env = append(config.Env, "AzureFunctionsJobHost__logging__x=1")
	config.StatusFile = filepath.Join(config.Root, "status")
	if err := os.WriteFile(config.StatusFile, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := functionshost.New(config)
	for _, want := range []string{"version", "enableProxyingHttpRequest", "1 fields", "AzureFunctionsJobHost__logging__x", "timers' status"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want %q in it too", err, want)
		}
	}
}

func TestDisabledFunctions(t *testing.T) {
	disabled := strings.Replace(httpFunction("off", ""), "{", `{"disabled":true,`, 1)
	config, _ := newConfig(t, app(files{"off/function.json": disabled}), "well")
	config.Env = append(config.Env, "AzureWebJobs.tick.Disabled=True")
	h, err := functionshost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(h.Functions(), "; "); got != "api: [any method] /api/{*path}; health: [GET] /health" {
		t.Errorf("Functions = %s", got)
	}
}

func TestBeforeStart(t *testing.T) {
	config, _ := newConfig(t, app(nil), "well")
	h, err := functionshost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	h.Stop() // has no effect
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/health", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status = %d, want 503", w.Code)
	}
}
