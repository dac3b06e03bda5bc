package functionshost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/functionshost"
	"rekey/shared/host"
)

// The handler of these tests is the test binary itself: with this variable set
// it plays the handler, as told by the variable's value.
const roleVariable = "FUNCTIONSHOST_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if play, ok := otherRoles[role]; ok {
		play()
		return
	}
	playHandler(role)
}

// otherRoles are those of tests for one system only.
var otherRoles = map[string]func(){}

// echo is what the handler answers to HTTP requests: what it was asked.
type echo struct {
	Method, URI, Host, Body string
	Header                  http.Header
	Chunked                 bool
	Attempt                 int
}

// playHandler is the child process.
func playHandler(role string) {
	fmt.Printf("handler %s, pid %d, port %s\n", role, os.Getpid(), os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	switch role {
	case "exit 0":
		os.Exit(0)
	case "exit 3":
		fmt.Fprintln(os.Stderr, "no configuration")
		os.Exit(3)
	case "deaf":
		select {}
	}
	ctx := context.Background()
	port, err := host.Port(os.LookupEnv)
	if err != nil {
		panic(err)
	}
	l, err := host.Listen(ctx, port)
	if err != nil {
		panic(err)
	}
	if role == "no http" {
		for {
			c, err := l.Accept()
			if err != nil {
				panic(err)
			}
			if _, err := c.Read(make([]byte, 1024)); err != nil {
				panic(err)
			}
			fmt.Fprint(c, "220 mail.example.com ESMTP\r\n")
			c.Close()
		}
	}
	mux := http.NewServeMux()
	mux.Handle("POST /good", host.TimerHandler("good", func(_ context.Context, t host.Timer) (any, error) { return t, nil }))
	mux.HandleFunc("POST /tick", func(w http.ResponseWriter, r *http.Request) { answerTick(w, r, role) })
	mux.HandleFunc("/", answerHTTP())
	if err := host.Serve(ctx, l, mux, slog.New(slog.NewTextHandler(os.Stdout, nil))); err != nil {
		panic(err)
	}
}

// answerTick answers an invocation in the way that role names: the answer's
// status, content type and body, or "hang".
func answerTick(w http.ResponseWriter, r *http.Request, role string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	if role == "hang" {
		<-r.Context().Done()
		return
	}
	if role == "" || role == "well" {
		record, err := json.Marshal(echo{Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header,
			Body: string(body), Chunked: len(r.TransferEncoding) > 0})
		if err != nil {
			panic(err)
		}
		fmt.Printf("tick %s\n", record)
		role = `200|application/json|{"Outputs":{},"Logs":["done"],"ReturnValue":null}`
	}
	var status int
	parts := strings.SplitN(role, "|", 3)
	if _, err := fmt.Sscan(parts[0], &status); err != nil {
		panic(err)
	}
	w.Header()["Content-Type"] = nil
	if parts[1] != "" {
		w.Header().Set("Content-Type", parts[1])
	}
	w.WriteHeader(status)
	io.WriteString(w, parts[2])
}

// answerHTTP echoes requests, after carrying out what the query asks for:
// "exit" ends the process, "drop" breaks the first connections of an invocation, "left"
// waits for the client's end or for "go".
func answerHTTP() http.HandlerFunc {
	var mu sync.Mutex
	attempts := make(map[string]int)
	told := make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		mu.Lock()
		id := strings.Join(r.Header.Values("X-Azure-Functions-InvocationId"), " ")
		attempts[id]++
		attempt := attempts[id]
		mu.Unlock()
		var code, drop int
		query := r.URL.Query()
		if _, err := fmt.Sscan(query.Get("exit"), &code); err == nil {
			fmt.Fprintln(os.Stderr, "warning: leaving")
			os.Exit(code)
		}
		if _, err := fmt.Sscan(query.Get("drop"), &drop); err == nil && attempt <= drop {
			panic(http.ErrAbortHandler)
		}
		if query.Has("left") {
			fmt.Println("waiting")
			select {
			case <-r.Context().Done():
				fmt.Println("left")
			case <-told:
				fmt.Println("stayed")
			}
			return
		}
		if query.Has("go") {
			close(told)
		}
		if query.Has("hang") {
			<-r.Context().Done()
			return
		}
		w.Header().Set("X-Handler", "yes")
		w.WriteHeader(http.StatusTeapot)
		json.NewEncoder(w).Encode(echo{Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header,
			Body: string(body), Chunked: len(r.TransferEncoding) > 0, Attempt: attempt})
	}
}

// files describes an app root: path to content. "handler" is put there by stage.
type files map[string]string

const hostJSON = `{"version":"2.0","extensions":{"http":{"routePrefix":""}},
	"customHandler":{"description":{"defaultExecutablePath":"handler"},"enableForwardingHttpRequest":true,"enableProxyingHttpRequest":true}}`

func httpFunction(route, methods string) string {
	return fmt.Sprintf(`{"bindings":[
		{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","route":%q,"methods":[%s]},
		{"type":"http","direction":"out","name":"res"}]}`, route, methods)
}

func timerFunction(schedule, more string) string {
	return fmt.Sprintf(`{"bindings":[{"type":"timerTrigger","direction":"in","name":"timer","schedule":%q%s}]}`, schedule, more)
}

// never is a schedule without an occurrence during a test.
const never = "0 0 0 29 2 1"

// app is a sound app root with changes; an empty content removes a file.
func app(changes files) files {
	all := files{
		"host.json":            hostJSON,
		"api/function.json":    httpFunction("api/{*path}", ""),
		"tick/function.json":   timerFunction(never, ""),
		"health/function.json": httpFunction("health", `"get"`),
	}
	for name, content := range changes {
		all[name] = content
		if content == "" {
			delete(all, name)
		}
	}
	return all
}

func stage(t *testing.T, app files) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range app {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(root, "handler")); err != nil {
		t.Fatal(err)
	}
	return root
}

// running is a started host with what it says.
type running struct {
	*functionshost.Host
	url         string
	lines       <-chan string // of the handler
	invocations <-chan functionshost.Invocation
}

// newConfig returns a configuration for a handler with that role, and the
// channels that it feeds.
func newConfig(t *testing.T, app files, role string) (functionshost.Config, running) {
	t.Helper()
	lines, invocations := make(chan string, 1000), make(chan functionshost.Invocation, 100)
	return functionshost.Config{
		Root: stage(t, app),
		Addr: "127.0.0.1:0",
		Env: []string{
			roleVariable + "=" + role, "SCHEDULE=" + never,
			// A handler built for coverage or with the race detector must neither
			// complain on stderr nor linger when it ends.
			"GOCOVERDIR=" + t.TempDir(), "GORACE=atexit_sleep_ms=0",
		},
		Stdout:  lineChannel(lines),
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		Invoked: func(i functionshost.Invocation) { invocations <- i },
	}, running{lines: lines, invocations: invocations}
}

func start(t *testing.T, app files, role string, change func(*functionshost.Config)) running {
	t.Helper()
	config, r := newConfig(t, app, role)
	if change != nil {
		change(&config)
	}
	h, err := functionshost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	r.Host, r.url = h, "http://"+h.Addr()
	return r
}

type lineChannel chan<- string

func (c lineChannel) Write(p []byte) (int, error) {
	c <- strings.TrimSuffix(string(p), "\n")
	return len(p), nil
}

// patience ends a wait for what never comes. How long something takes is no matter here.
const patience = 5 * time.Minute

// next waits for the next value of c.
func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}

// line waits for a line of the handler that begins with prefix, and returns the rest.
func (r running) line(t *testing.T, prefix string) string {
	t.Helper()
	for {
		if rest, ok := strings.CutPrefix(next(t, r.lines), prefix); ok {
			return rest
		}
	}
}

// do sends a request and decodes the handler's echo, if it was reached.
func (r running) do(t *testing.T, method, path string, body io.Reader, header http.Header) (*http.Response, echo) {
	t.Helper()
	req, err := http.NewRequest(method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	if header == nil {
		req.Header = make(http.Header)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e echo
	if resp.Header.Get("X-Handler") != "" {
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
	}
	return resp, e
}
