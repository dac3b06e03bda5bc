// Package functionshost is a local Azure Functions host for custom handlers:
// what `make run` and the end-to-end tests run the deployed handler under, so
// that neither needs Core Tools.
//
// It takes a staged app root (host.json, the handler, <function>/function.json)
// and does with it what the real host does: it starts the handler as a child
// process, passes HTTP requests to it by the routes of the HTTP functions, and
// posts an invocation at every tick of a timer. What it promises is strictness:
// where the real host would hang, silently do something else, or refuse only
// after deployment, this one fails at once with an error that says what to do.
// Whatever it does not support it refuses at start: triggers other than HTTP and
// timer, authLevel other than anonymous, HTTP requests wrapped in JSON, retry
// policies, overriding host.json by the environment; and an AzureWebJobsStorage that is
// present and empty, with which the real host starts no timer.
//
// A request from outside may have the path of a timer function. The real host
// does not know of that: it looks at the routes of HTTP functions only, and a
// catch-all under an empty route prefix sends POST /<timer> to the handler, at
// the very path of an invocation. So does this one, since the handler has to
// stand it; without a matching route the answer is 404.
//
// The facts are from the sources of Azure/azure-functions-host (4.1037 and the
// later changes to custom handlers), azure-webjobs-sdk-extensions (timers) and
// microsoft/reverse-proxy.
package functionshost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// version is what the host says it is, in headers.
const version = "4.1037.0.0"

// Mode is how HTTP requests are passed to the handler.
type Mode int

// The modes. Both are switched on in host.json; where the host knows it, the
// newer one wins.
const (
	FromHostJSON Mode = iota
	Forwarding        // enableForwardingHttpRequest: the request is taken apart and rebuilt
	Proxying          // enableProxyingHttpRequest: a reverse proxy, which may send it again
)

// Config configures a [Host].
type Config struct {
	// Root is the staged app root.
	Root string
	// Addr is where to listen for requests from outside; "" means
	// 127.0.0.1:7071, port 0 any free one.
	Addr string
	// Env is the handler's environment as NAME=value, usually os.Environ();
	// %NAME% in a schedule is looked up here too.
	Env []string
	// Stdout gets the handler's output line by line, that of its stderr marked
	// as the host would log it: [error], or [warning] if it says "warn". Nil: nowhere.
	Stdout io.Writer
	// Log gets what the host itself has to say. Nil: nowhere.
	Log *slog.Logger
	// Now is the clock of the timers; nil: time.Now.
	Now func() time.Time
	// StatusFile keeps when each timer ran and will run, so that a restarted host
	// catches up on missed ticks with one. Empty: a restart knows of none.
	StatusFile string
	// Mode is how HTTP requests are passed on, if not as host.json says: a test
	// runs both, since both are in use.
	Mode Mode
	// ContentLength sends timer invocations with a Content-Length, as under Core
	// Tools; otherwise they are chunked, as in Azure.
	ContentLength bool
	// Invoked is called after each timer invocation, from that invocation's
	// goroutine. Nil: it is not called.
	Invoked func(Invocation)
}

// Invocation is a finished invocation of a timer function.
type Invocation struct {
	Function string
	ID       string // a GUID
	PastDue  bool
	Err      error // nil if the answer was one that the real host accepts
}

// Host is a local Functions host. Make it with [New].
type Host struct {
	config    Config
	settings  settings
	functions []*function
	statuses  *statusFile
	log       *slog.Logger
	transport *http.Transport

	worker   *worker
	listener net.Listener
	server   *http.Server
	lifetime context.Context // ends with the host; for what outlives the request that asked for it
	cancel   context.CancelCauseFunc
	mu       sync.Mutex
	ending   bool           // nothing may be added to running any more
	running  sync.WaitGroup // worker, server, timers, requests, invocations by hand
	done     chan struct{}
	err      error // why it ended; read after done is closed
}

// errStopped is the cause of an end that was asked for.
var errStopped = errors.New("stopped")

// New reads and checks the app in config.Root. It starts nothing. The error
// names every mistake in the app's files.
func New(config Config) (*Host, error) {
	root, err := filepath.Abs(config.Root)
	if err != nil {
		return nil, fmt.Errorf("finding the app root: %w", err)
	}
	config.Root = root
	config.Addr = cmp.Or(config.Addr, "127.0.0.1:7071")
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Stdout == nil {
		config.Stdout = io.Discard
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s, settingsErr := readSettings(root, config.Env)
	functions, functionsErr := readFunctions(root, s)
	statuses, statusErr := openStatusFile(config.StatusFile)
	if err := errors.Join(settingsErr, functionsErr, statusErr); err != nil {
		return nil, err
	}
	if config.Mode != FromHostJSON {
		s.mode = config.Mode
	}
	return &Host{
		config: config, settings: s, functions: functions, statuses: statuses, log: config.Log,
		transport: newTransport(), done: make(chan struct{}),
	}, nil
}

// Start listens, starts the handler and returns when that is ready and the
// timers run. The host lives until ctx ends, [Host.Stop] is called, or the
// handler fails three times. A Host is started once.
func (h *Host) Start(ctx context.Context) error {
	listener, err := h.listen(ctx)
	if err != nil {
		return err
	}
	h.listener = listener
	h.worker, err = newWorker(h.settings, h.config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	parent := ctx
	ctx, h.cancel = context.WithCancelCause(parent)
	h.lifetime = ctx
	h.server = &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
	h.spawn(func() { h.cancel(h.worker.run(ctx)) })
	h.spawn(func() { h.cancel(h.server.Serve(listener)) })
	go h.end(parent, ctx)

	if _, err := h.worker.await(ctx, nil); err != nil { // after its last strike there is none
		h.cancel(err)
		<-h.done
		return err
	}
	for _, f := range h.functions {
		if f.timer != nil {
			h.spawn(func() { h.ticker(f).run(ctx) })
		}
	}
	return nil
}

func (h *Host) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", h.config.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(h.config.Addr)
		return nil, fmt.Errorf("port %s is in use by another program: end that, or choose another port with PORT=..., such as PORT=17071: %w",
			port, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", h.config.Addr, err)
	}
	return l, nil
}

// spawn runs do beside everything else, unless the host is ending.
func (h *Host) spawn(do func()) {
	if h.enter() {
		go func() {
			defer h.running.Done()
			do()
		}()
	}
}

// enter makes the host's end wait for the caller, who has to call running.Done;
// false if the host is ending.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ending {
		h.running.Add(1)
	}
	return !h.ending
}

// end cleans up once ctx has ended, whatever the reason. It is the host's own
// fault unless a caller has called Stop or ended parent.
func (h *Host) end(parent, ctx context.Context) {
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, errStopped) && !errors.Is(cause, context.Cause(parent)) {
		h.err = cause
	}
	if err := h.server.Close(); err != nil {
		h.log.Warn("closing the server", "error", err)
	}
	h.mu.Lock()
	h.ending = true
	h.mu.Unlock()
	h.running.Wait()
	close(h.done)
}

// Addr returns the address that the host listens on, after Start.
func (h *Host) Addr() string { return h.listener.Addr().String() }

// Stop ends a host that was started, and returns when nothing of it is running
// any more. The handler gets what it gets from the real host: SIGKILL, without a warning.
func (h *Host) Stop() {
	if h.cancel == nil { // never started
		return
	}
	h.cancel(errStopped)
	<-h.done
}

// Done is closed when the host has ended, for whatever reason.
func (h *Host) Done() <-chan struct{} { return h.done }

// Err says, after Done, why the host ended by itself; nil if it was stopped.
func (h *Host) Err() error {
	select {
	case <-h.done:
		return h.err
	default:
		return nil
	}
}

// Functions lists what the app consists of, in the order in which routes are
// tried: "health: [GET] /health", "rotatedue: 0 * * * * *".
func (h *Host) Functions() []string {
	var lines []string
	for _, f := range h.functions {
		if f.timer != nil {
			lines = append(lines, fmt.Sprintf("%s: %s", f.name, f.timer.schedule))
			continue
		}
		methods := any(f.http.methods)
		if len(f.http.methods) == 0 {
			methods = "[any method]"
		}
		lines = append(lines, fmt.Sprintf("%s: %v /%s", f.name, methods, f.http.route.text))
	}
	return lines
}
