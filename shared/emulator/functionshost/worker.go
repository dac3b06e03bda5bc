package functionshost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"rekey/shared/emulator/freeport"
)

const (
	probeInterval   = 25 * time.Millisecond
	maxStrikes      = 3
	strikeMemory    = 30 * time.Minute // strikes are forgotten when the last is older
	restartExitCode = 200              // a handler that wants to be restarted
)

// worker is the handler's process: it is started, watched, and started again.
//
// The rules are the real host's (HttpWorkerProcess, WorkerProcess and
// HttpFunctionInvocationDispatcher): a failure is a strike, the third ends the
// host; exit code 200 and, on hosts since January 2026, 0 cause a restart
// without a strike. Before that a handler that ended with 0 was never started
// again, so it is reported as an error all the same; and since a handler that
// ends before it was ready would be started for ever, that is a strike too. One that the
// system can't start at all the real host does not try again, and lets every invocation
// wait four times as long as a start may take; here that ends the host at once.
type worker struct {
	settings settings
	root     string
	env      environment
	port     string // for all its processes: the real host chooses once
	now      func() time.Time
	log      *slog.Logger
	output   *output

	mu      sync.Mutex
	current *process      // nil unless one is ready
	ready   chan struct{} // closed while current is set
	done    chan struct{} // closed when there will be no more
	err     error         // why; read after done is closed
}

// process is one run of the handler. kill ends it for the given reason.
type process struct{ kill context.CancelCauseFunc }

var (
	errExited   = errors.New("exited")
	errOverdue  = errors.New("functionTimeout exceeded")
	errNotReady = errors.New("the handler failed before it was ready")
	errNoStart  = errors.New("the handler can't be started, and the real host would not try again")
)

func newWorker(s settings, config Config) (*worker, error) {
	port, err := freeport.Next()
	if err != nil {
		return nil, err
	}
	return &worker{
		settings: s, root: config.Root, env: config.Env, now: config.Now, log: config.Log,
		output: &output{w: config.Stdout}, port: port,
		ready: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// addr returns host and port of the handler. The real host connects to the
// literal 127.0.0.1 as well.
func (w *worker) addr() string { return net.JoinHostPort("127.0.0.1", w.port) }

// acquire waits until the handler is ready, at most four times as long as a
// start may take.
func (w *worker) acquire(ctx context.Context) (*process, error) {
	wait := time.NewTimer((maxStrikes + 1) * w.settings.initTimeout)
	defer wait.Stop()
	return w.await(ctx, wait.C)
}

// await waits until the handler is ready, there will be none any more, or late.
func (w *worker) await(ctx context.Context, late <-chan time.Time) (*process, error) {
	for {
		w.mu.Lock()
		ready := w.ready
		w.mu.Unlock()
		select {
		case <-ready:
		case <-w.done:
			return nil, w.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-late:
			return nil, errors.New("waiting for the handler: it did not get ready")
		}
		w.mu.Lock()
		p := w.current
		w.mu.Unlock()
		if p != nil {
			return p, nil
		}
	}
}

// run keeps the handler running until ctx ends or the last strike, and returns
// the reason. It holds on to its thread: Linux kills the child when the thread
// that started it ends, see processAttributes.
func (w *worker) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(w.done)
	strikes, last := 0, time.Time{}
	for {
		strike, err := w.live(ctx)
		if ctx.Err() != nil {
			w.err = context.Cause(ctx)
			return w.err
		}
		if errors.Is(err, errNoStart) {
			w.log.Error("the handler can't be started", "error", err)
			w.err = err
			return err
		}
		if !strike {
			w.log.Warn("the handler is started again", "reason", err)
			continue
		}
		now := w.now()
		if now.Sub(last) > strikeMemory {
			strikes = 0
		}
		strikes, last = strikes+1, now
		w.log.Error("the handler failed", "strike", strikes, "of", maxStrikes, "error", err)
		if strikes == maxStrikes {
			w.err = fmt.Errorf("the handler failed %d times, which ends the host; the last time: %w", maxStrikes, err)
			return w.err
		}
	}
}

// live starts the handler once and waits for its end. strike reports whether
// that counts as a failure.
func (w *worker) live(ctx context.Context) (strike bool, err error) {
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(errExited)
	stdout, stderr := &lines{output: w.output}, &lines{output: w.output, errors: true}
	cmd := exec.CommandContext(ctx, w.settings.executable)
	cmd.Dir = w.root
	cmd.Env = w.environment()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = processAttributes()
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = time.Second // as long as the real host waits
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("%w: %w", errNoStart, err)
	}
	p := &process{kill: kill}
	probed := make(chan bool, 1)
	go func() {
		err := w.probe(ctx)
		if err != nil {
			kill(fmt.Errorf("%w: %w", errNotReady, err))
		} else {
			w.setCurrent(p)
		}
		probed <- err == nil
	}()
	waitErr := cmd.Wait()
	kill(errExited)
	wasReady := <-probed
	w.setCurrent(nil)
	stdout.flush()
	stderr.flush()
	return verdict(context.Cause(ctx), cmd.ProcessState.ExitCode(), wasReady, waitErr, stderr.last())
}

// verdict decides what the end of a process counts as. cause says who ended it.
func verdict(cause error, code int, wasReady bool, waitErr error, stderr string) (strike bool, err error) {
	switch {
	case errors.Is(cause, errOverdue):
		return false, cause
	case errors.Is(cause, errNotReady):
		return true, fmt.Errorf("%w%s", cause, stderr)
	case wasReady && code == restartExitCode:
		return false, errors.New("it asked for it with exit code 200")
	case wasReady && code == 0:
		return false, errors.New("it ended with exit code 0; hosts before 2026 never start it again, so a handler must not end by itself")
	case code == 0:
		return true, fmt.Errorf("%w: it ended with exit code 0", errNotReady)
	default:
		return true, fmt.Errorf("%w%s", waitErr, stderr)
	}
}

// environment is the host's own plus exactly these five.
func (w *worker) environment() []string {
	port, id := w.port, newGUID()
	return append(append([]string(nil), w.env...),
		"FUNCTIONS_CUSTOMHANDLER_PORT="+port,
		"FUNCTIONS_HTTPWORKER_PORT="+port,
		"FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+id,
		"FUNCTIONS_HTTPWORKER_ID="+id,
		"FUNCTIONS_APP_ROOT_PATH="+w.root)
}

// probe asks GET / until there is an answer, which may have any status. A
// connection that fails means "not yet"; an answer that is no HTTP is a failure.
func (w *worker) probe(ctx context.Context) error {
	late := fmt.Errorf("it did not answer GET / on %s within %s", w.addr(), w.settings.initTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, w.settings.initTimeout, late)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.addr()+"/", nil)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(r)
		if err == nil {
			return resp.Body.Close()
		}
		var network *net.OpError
		if ctx.Err() == nil && !errors.As(err, &network) {
			return fmt.Errorf("probing with GET /: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (w *worker) setCurrent(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case p != nil:
		close(w.ready)
	case w.current != nil:
		w.ready = make(chan struct{})
	}
	w.current = p
}

// newGUID returns a random GUID.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := fmt.Sprintf("%x", b)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
