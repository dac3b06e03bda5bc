package lambdaruntime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"rekey/shared/emulator/lambdaruntime"
)

// The function of these tests is the test binary itself: with this variable set it
// plays the function, as told by the variable's value.
const roleVariable = "LAMBDARUNTIME_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	play(role)
}

const base = "/2018-06-01/runtime/"

// call speaks to the Runtime API without the library.
func call(method, path, body string) (*http.Response, string) {
	r, err := http.NewRequest(method, "http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+base+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	return resp, string(data)
}

// play is the child process.
func play(role string) {
	switch role {
	case "library":
		lambda.Start(answer)
	case "exits at once":
		os.Exit(3)
	case "cannot start":
		call("POST", "init/error", `{"errorType":"Config","errorMessage":"no settings"}`)
		os.Exit(1)
	case "asks nothing":
		select {}
	case "speaks out of turn":
		outOfTurn()
	}
	panic("unknown role")
}

// answer is a function on the library; the event says what it does.
func answer(ctx context.Context, event map[string]string) (any, error) {
	switch event["do"] {
	case "fail":
		return nil, errors.New("it failed")
	case "panic":
		panic("it panicked")
	case "exit":
		os.Exit(4)
	case "hang":
		<-context.Background().Done()
	case "work on":
		f, err := os.OpenFile(event["file"], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		go func() {
			for {
				f.WriteString(".")
			}
		}()
	}
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return map[string]any{"pid": os.Getpid(), "do": event["do"], "id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn,
		"left": time.Until(deadline).Seconds(), "region": os.Getenv("AWS_REGION"), "key": os.Getenv("AWS_ACCESS_KEY_ID"),
		"name": os.Getenv("AWS_LAMBDA_FUNCTION_NAME"), "setting": os.Getenv("SETTING"), "home": os.Getenv("HOME")}, nil
}

// outOfTurn does what a function must not, and answers with what it was told.
func outOfTurn() {
	var told []string
	tell := func(what string, resp *http.Response, body string) {
		var e struct{ ErrorType string }
		_ = json.Unmarshal([]byte(body), &e) // not every answer is an error
		told = append(told, fmt.Sprintf("%s: %d %s", what, resp.StatusCode, e.ErrorType))
	}
	report := func(what, method, path, body string) {
		resp, answer := call(method, path, body)
		tell(what, resp, answer)
	}
	report("answer before any event", "POST", "invocation/x/response", "{}")
	first, _ := call("GET", "invocation/next", "")
	id := first.Header.Get("Lambda-Runtime-Aws-Request-Id")
	report("answer to another event", "POST", "invocation/x/response", "{}")
	report("error of another event", "POST", "invocation/x/error", `{"errorType":"a"}`)
	report("next before the answer", "GET", "invocation/next", "")
	report("init error after the start", "POST", "init/error", `{"errorType":"a"}`)
	report("another version", "GET", "../2018-01-01/runtime/invocation/next", "")
	report("answer", "POST", "invocation/"+id+"/response", `"first"`)
	report("second answer", "POST", "invocation/"+id+"/response", `"second"`)
	report("error after the answer", "POST", "invocation/"+id+"/error", `{"errorType":"a"}`)
	second, _ := call("GET", "invocation/next", "")
	id = second.Header.Get("Lambda-Runtime-Aws-Request-Id")
	data, err := json.Marshal(told)
	if err != nil {
		panic(err)
	}
	call("POST", "invocation/"+id+"/response", string(data))
	third, _ := call("GET", "invocation/next", "")
	resp, body := call("POST", "invocation/"+third.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "not JSON")
	tell("no JSON", resp, body)
	fourth, _ := call("GET", "invocation/next", "")
	data, err = json.Marshal(told[len(told)-1:])
	if err != nil {
		panic(err)
	}
	call("POST", "invocation/"+fourth.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", string(data))
	call("GET", "invocation/next", "")
}

// patience ends a wait for what never comes. How long something takes is no matter here.
const patience = 5 * time.Minute

// config is a function that plays role.
func config(t *testing.T, role string) lambdaruntime.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.Symlink(self, filepath.Join(root, "bootstrap")); err != nil {
		t.Fatal(err)
	}
	return lambdaruntime.Config{
		Root: root, Region: "eu-central-1", AccessKeyID: "ASIAROLE", Env: []string{roleVariable + "=" + role, "SETTING=x"},
		Timeout: patience, InitTimeout: patience,
	}
}

func start(t *testing.T, c lambdaruntime.Config) *lambdaruntime.Runtime {
	t.Helper()
	r, err := lambdaruntime.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Stop() })
	return r
}

type result struct {
	PID                                           int
	Do, ID, Arn, Region, Key, Name, Setting, Home string
	Left                                          float64
}

func invoke(t *testing.T, r *lambdaruntime.Runtime, event string) result {
	t.Helper()
	data, err := r.Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	var got result
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestInvoke(t *testing.T) {
	t.Setenv("HOME", "not for the function")
	c := config(t, "library")
	c.Timeout = time.Hour
	r := start(t, c)
	first, second := invoke(t, r, `{"do":"a"}`), invoke(t, r, `{"do":"b"}`)
	if first.Do != "a" || second.Do != "b" || first.ID == second.ID || first.PID != second.PID {
		t.Errorf("got %+v and %+v", first, second)
	}
	if first.Left < 3000 || first.Left > 3600 || first.Region != "eu-central-1" || first.Key != "ASIAROLE" || first.Name != "rekey" ||
		first.Setting != "x" || first.Home != "" || first.Arn != "arn:aws:lambda:eu-central-1:123456789012:function:rekey" {
		t.Errorf("got %+v", first)
	}
}

// failure invokes r and returns what is said of a function that failed.
func failure(t *testing.T, r *lambdaruntime.Runtime, event string) *lambdaruntime.FunctionError {
	t.Helper()
	data, err := r.Invoke(t.Context(), []byte(event))
	e, ok := errors.AsType[*lambdaruntime.FunctionError](err)
	if !ok {
		t.Fatalf("Invoke(%s) = %s, %v", event, data, err)
	}
	return e
}

func TestFailures(t *testing.T) {
	r := start(t, config(t, "library"))
	before := invoke(t, r, `{}`)
	if e := failure(t, r, `{"do":"fail"}`); e.Type != "errorString" || e.Message != "it failed" {
		t.Errorf("error: %v", e)
	}
	if after := invoke(t, r, `{}`); after.PID != before.PID {
		t.Error("an error ended the process")
	}
	if e := failure(t, r, `{"do":"panic"}`); e.Message != "it panicked" {
		t.Errorf("panic: %v", e)
	}
	if after := invoke(t, r, `{}`); after.PID == before.PID {
		t.Error("a panic did not end the process")
	}
	if e := failure(t, r, `{"do":"exit"}`); e.Type != lambdaruntime.ErrorExit || !strings.Contains(e.Message, "exit status 4") {
		t.Errorf("exit: %v", e)
	}
	invoke(t, r, `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Invoke(ctx, []byte(`{"do":"hang"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	invoke(t, r, `{}`)
}

func TestTimeout(t *testing.T) {
	c := config(t, "library")
	c.Timeout = 300 * time.Millisecond
	r := start(t, c)
	if e := failure(t, r, `{"do":"hang"}`); e.Type != lambdaruntime.ErrorTimeout {
		t.Errorf("timeout: %v", e)
	}
}

// What a function leaves for later does not happen.
func TestStandsStill(t *testing.T) {
	r := start(t, config(t, "library"))
	file := filepath.Join(t.TempDir(), "dots")
	event, err := json.Marshal(map[string]string{"do": "work on", "file": file})
	if err != nil {
		t.Fatal(err)
	}
	invoke(t, r, string(event))
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	const long = 25 // ticks, so that it is not only waiting for a processor
	deadline := time.Now().Add(patience)
	for last, same := int64(-1), 0; same < long; <-tick.C {
		now := size()
		if same++; now != last {
			last, same = now, 0
		}
		if time.Now().After(deadline) {
			t.Fatal("the function goes on after its answer")
		}
	}
	invoke(t, r, `{}`) // it wakes up again
}

func TestOutOfTurn(t *testing.T) {
	r := start(t, config(t, "speaks out of turn"))
	if data, err := r.Invoke(t.Context(), []byte(`{}`)); err != nil || string(data) != `"first"` {
		t.Fatalf("first event: %s, %v", data, err)
	}
	data, err := r.Invoke(t.Context(), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	if err := json.Unmarshal(data, &told); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"answer before any event: 400 InvalidRequestID",
		"answer to another event: 400 InvalidRequestID",
		"error of another event: 400 InvalidRequestID",
		"next before the answer: 403 InvalidStateTransition",
		"init error after the start: 403 InvalidStateTransition",
		"another version: 404 ",
		"answer: 202 ",
		"second answer: 403 InvalidStateTransition",
		"error after the answer: 403 InvalidStateTransition",
	}
	if !slices.Equal(told, want) {
		t.Errorf("the function was told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	if e := failure(t, r, `{}`); e.Type != "Runtime.InvalidResponse" {
		t.Errorf("no JSON: %v", e)
	}
	if data, err := r.Invoke(t.Context(), []byte(`{}`)); err != nil || !bytes.Contains(data, []byte("no JSON: 400")) {
		t.Errorf("fourth event: %s, %v", data, err)
	}
}

func TestStart(t *testing.T) {
	for role, want := range map[string]string{
		"exits at once": "Runtime.ExitError: Error: Runtime exited with error: exit status 3",
		"cannot start":  "Config: no settings",
		"asks nothing":  "bootstrap did not ask for an event within 200ms",
	} {
		c := config(t, role)
		if role == "asks nothing" {
			c.InitTimeout = 200 * time.Millisecond
		}
		if r, err := lambdaruntime.Start(t.Context(), c); err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v", role, r, err)
		}
	}
	c := config(t, "library")
	c.Region, c.Env = "", append(c.Env, "AWS_REGION=x", "AWS_LAMBDA_RUNTIME_API=y")
	_, err := lambdaruntime.Start(t.Context(), c)
	for _, want := range []string{"region is missing", "AWS_REGION is reserved", "AWS_LAMBDA_RUNTIME_API is reserved"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	c = config(t, "library")
	c.Root = t.TempDir()
	if _, err := lambdaruntime.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "InvalidEntrypoint") {
		t.Errorf("no bootstrap: %v", err)
	}
	if err := os.WriteFile(filepath.Join(c.Root, "bootstrap"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := lambdaruntime.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "not executable") {
		t.Errorf("not executable: %v", err)
	}
}
