// Package telemetry sends metrics and traces of Rekey to a receiver of OpenTelemetry's
// protocol, so that a person who is not looking at the log notices what is late,
// refused or about to expire, and can see afterwards where the time of a rotation went.
//
// A trace is one invocation: the host's span, if it names one by traceparent, then the
// request or the timer's tick, the passes in it, their steps, and every request to Entra,
// Graph, Key Vault and the table in the step that made it.
//
// What it promises:
//
//   - Nothing of it exists unless it is configured: [New] returns nil, all methods work
//     on nil, and the transport and the handlers that are handed in come back as they are.
//   - No value leaves through it. There are ids, names of Rekey's own and numbers; of a
//     request the method, the status and those words of its path that Rekey itself put
//     there ([route]); nothing of queries, headers, bodies and error texts.
//   - A receiver that is slow, down or refuses costs no rotation anything: exports run
//     beside the work, what can't be sent is dropped, and a line a minute in the log
//     says so.
//
// OpenTelemetry's global providers are left alone, since libraries report to them what
// they please: the Graph SDK, for one, whole addresses.
package telemetry

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rekey/shared/secret"
)

// Config says where metrics and traces go, and as whose.
type Config struct {
	Traces, Metrics Export // the zero Export is off

	// Attributes describe who reports, by OpenTelemetry's names for resources; they
	// win over what Rekey says of itself: service.name "rekey", service.version
	// Version, service.instance.id, and deployment.environment.name Deployment.
	Attributes          map[string]string
	Version, Deployment string

	// Sampler is one of the values of OTEL_TRACES_SAMPLER, Ratio its argument. Empty
	// means always_on, unlike OpenTelemetry's own default parentbased_always_on: the
	// traceparent of Azure's front ends can say "not sampled" though no caller asked for
	// that, and Rekey would seem not to trace at all.
	// Source: github.com/open-telemetry/opentelemetry-js/issues/3057.
	Sampler string
	Ratio   float64

	// Services names the services by the host of their URL, in lower case and with the
	// port if it is written there. Any other host is "other".
	Services map[string]string

	Log *slog.Logger     // nil: slog.Default()
	Now func() time.Time // nil: time.Now
}

// Export is where one signal goes, by OTLP over HTTP with binary protobuf.
type Export struct {
	URL     string // complete: "https://collector:4318/v1/traces"
	Headers map[string]secret.Value
}

// Telemetry is switched on by being there: every method may be called on nil. It is
// safe for concurrent use.
type Telemetry struct {
	config Config
	sdk    func() *sdk // made at the first use, not at the start
	made   atomic.Bool
	due    atomic.Pointer[backlog]
	quiet  quiet

	scansMu sync.Mutex
	scans   map[string]scanned // by tenant
}

// New returns nil if c exports nothing. Otherwise nothing is made or connected before
// there is something to report.
func New(c Config) *Telemetry {
	if c.Traces.URL == "" && c.Metrics.URL == "" {
		return nil
	}
	t := &Telemetry{config: c}
	t.sdk = sync.OnceValue(func() *sdk {
		defer t.made.Store(true)
		return t.make()
	})
	return t
}

func (t *Telemetry) now() time.Time {
	if t.config.Now != nil {
		return t.config.Now()
	}
	return time.Now()
}

func (t *Telemetry) log() *slog.Logger { return cmp.Or(t.config.Log, slog.Default()) }

const (
	// flushTime is what [Telemetry.Flush] may add to an invocation.
	flushTime = 2 * time.Second
	// pause is how long after an export that failed Flush leaves the invocations
	// alone, and how often the log is told at most.
	pause = time.Minute
)

// Flush sends what has been gathered, for hosts that freeze the process between
// invocations. It takes 2 s at most, also if ctx has ended, and no time at all within a
// minute after an export that failed: what is there by then goes with a later one, or
// is dropped when its buffer is full.
func (t *Telemetry) Flush(ctx context.Context) {
	if t == nil || !t.made.Load() || t.quiet.broken(t.now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	t.both(ctx, provider.ForceFlush)
}

// Shutdown is the last Flush, whatever came of the others; nothing is exported after
// it.
func (t *Telemetry) Shutdown(ctx context.Context) {
	if t == nil || !t.made.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	t.both(ctx, provider.Shutdown)
}

// provider is what the SDK's two providers have in common.
type provider interface {
	ForceFlush(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

// both does it to both providers at once. The SDK returns when ctx ends.
func (t *Telemetry) both(ctx context.Context, do func(provider, context.Context) error) {
	var busy sync.WaitGroup
	for _, p := range t.sdk().providers {
		busy.Go(func() {
			if do(p, ctx) != nil && ctx.Err() != nil { // any other error was told already
				t.exported("all", ctx.Err())
			}
		})
	}
	busy.Wait()
}
