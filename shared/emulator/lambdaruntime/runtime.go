// Package lambdaruntime is a local AWS Lambda for functions on the runtimes
// provided.al*: what the end-to-end tests run the deployed `bootstrap` under.
//
// It starts the program as a child process with Lambda's environment, serves it the
// Runtime API, and hands it events. What it promises is strictness: one event at a
// time, a program that must not speak out of turn, a deadline that is kept by killing,
// and a process that stands still between events, as Lambda's does, so that work left
// for "afterwards" shows as not done.
//
// Sources: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html with its OpenAPI
// description, and lambda-runtime-environment.html. Assumed: that a request out of turn
// is answered 403 InvalidStateTransition also where the description leaves it open.
package lambdaruntime

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config describes a function.
type Config struct {
	// Root is the folder of the unpacked zip file. The program is its bootstrap.
	Root string
	// Env is the function's settings, as NAME=value. Names that Lambda reserves
	// are refused, as by Lambda.
	Env []string
	// Region and the credentials of the function's role. Region is required.
	Region, AccessKeyID, SecretAccessKey, SessionToken string
	// Timeout ends an invocation; 0: 3 seconds, Lambda's default. Lambda allows 1 to
	// 900 seconds; so that tests need not wait, less is allowed here.
	Timeout time.Duration
	// InitTimeout is how long the program may take to ask for its first event; 0: 10
	// seconds, which is Lambda's.
	InitTimeout time.Duration
	// Output gets stdout and stderr of the program; nil drops them.
	Output io.Writer
	Now    func() time.Time // nil: time.Now
}

// FunctionError is what a function reported of an event, or what Lambda reports of a
// function that ended or took too long.
type FunctionError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// Error gives type and message.
func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// The types of errors that are Lambda's own.
const (
	ErrorTimeout = "Sandbox.Timedout"
	ErrorExit    = "Runtime.ExitError"
)

// Lambda's limit of a request and of a response, in bytes.
const maxPayload = 6 << 20

// Runtime is a function with one execution environment. Make it with [Start].
type Runtime struct {
	config   Config
	listener net.Listener
	server   *http.Server
	invoking sync.Mutex // one event at a time

	mu      sync.Mutex
	process *process // nil: none is running
}

// reserved are the names that functions may not set.
// Source: docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
var reserved = []string{"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"}

// Start starts the program and returns when it has asked for its first event. The
// error of a program that does not is its own, if it reported one. Stop ends it.
func Start(ctx context.Context, c Config) (*Runtime, error) {
	c.Timeout = cmp.Or(c.Timeout, 3*time.Second)
	c.InitTimeout = cmp.Or(c.InitTimeout, 10*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the runtime: %w", err)
	}
	r := &Runtime{config: c, listener: l}
	r.server = &http.Server{Handler: r.api(), ReadHeaderTimeout: time.Minute}
	go r.server.Serve(l)
	if _, err := r.running(ctx); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// check finds what Lambda refuses when the function is made.
func (c *Config) check() error {
	var errs []error
	if c.Region == "" {
		errs = append(errs, errors.New("the region is missing"))
	}
	for _, e := range c.Env {
		if name, _, _ := strings.Cut(e, "="); slices.Contains(reserved, name) {
			errs = append(errs, fmt.Errorf("the variable %s is reserved by Lambda", name))
		}
	}
	info, err := os.Stat(filepath.Join(c.Root, "bootstrap"))
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("Runtime.InvalidEntrypoint: %w", err))
	case runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		errs = append(errs, errors.New("Runtime.InvalidEntrypoint: bootstrap is not executable"))
	}
	return errors.Join(errs...)
}

// Invoke hands the program an event and returns its result, both JSON. A
// [*FunctionError] is what the function, or Lambda, says of it; after one of Lambda's
// the next event finds a new process.
func (r *Runtime) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	r.invoking.Lock()
	defer r.invoking.Unlock()
	if len(event) > maxPayload {
		return nil, fmt.Errorf("the event has %d bytes, Lambda takes %d", len(event), maxPayload)
	}
	p, err := r.running(ctx)
	if err != nil {
		return nil, err
	}
	deadline := r.config.Now().Add(r.config.Timeout)
	i := newInvocation(newRequestID(), event, deadline)
	if err := p.give(i); err != nil {
		return nil, err
	}
	timer := time.NewTimer(r.config.Timeout)
	defer timer.Stop()
	select {
	case <-i.done:
	case <-p.exited:
		r.forget(p)
		return nil, &FunctionError{ErrorExit, fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %v", i.id, p.exit)}
	case <-timer.C:
		return nil, r.overdue(p, i)
	case <-ctx.Done():
		r.kill(p)
		return nil, context.Cause(ctx)
	}
	if !p.settle(timer.C) {
		return nil, r.overdue(p, i)
	}
	if i.failure != nil {
		return nil, i.failure
	}
	return i.result, nil
}

// overdue ends a process that took too long.
func (r *Runtime) overdue(p *process, i *invocation) error {
	r.kill(p)
	return &FunctionError{ErrorTimeout, fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", i.id,
		r.config.Timeout.Seconds())}
}

// running returns the process, a new one if there is none.
func (r *Runtime) running(ctx context.Context) (*process, error) {
	r.mu.Lock()
	p := r.process
	r.mu.Unlock()
	if p != nil && p.alive() {
		return p, nil
	}
	p, err := r.begin()
	if err != nil {
		return nil, fmt.Errorf("starting bootstrap: %w", err)
	}
	timer := time.NewTimer(r.config.InitTimeout)
	defer timer.Stop()
	select {
	case <-p.ready:
		return p, nil
	case <-p.exited:
		err = p.initError()
	case <-timer.C:
		err = fmt.Errorf("bootstrap did not ask for an event within %s", r.config.InitTimeout)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	r.kill(p)
	return nil, err
}

// begin starts a process. It holds the lock until the process is known here, because on a
// busy machine the program asks for its first event before that.
func (r *Runtime) begin() (*process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := startProcess(r.config, r.listener.Addr().String())
	if err == nil {
		r.process = p
	}
	return p, err
}

// kill ends the process and waits for that.
func (r *Runtime) kill(p *process) {
	p.kill()
	<-p.exited
	r.forget(p)
}

func (r *Runtime) forget(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == p {
		r.process = nil
	}
}

// Stop ends the process, by SIGKILL as Lambda does, and the API.
func (r *Runtime) Stop() error {
	r.mu.Lock()
	p := r.process
	r.mu.Unlock()
	if p != nil {
		r.kill(p)
	}
	return r.server.Close()
}

// newRequestID returns a random GUID.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
