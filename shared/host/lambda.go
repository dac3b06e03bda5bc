package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// RotateDue is the input that an EventBridge Scheduler schedule has to be
// configured with, as {"rekey":"rotate-due"}. The scheduler sends whatever it is
// told to, so there is no shape of its own to recognise.
const RotateDue = "rotate-due"

// tickReserve is what a tick leaves of the time that Lambda gives: enough to say
// what happened before the process is stopped.
const tickReserve = 3 * time.Second

// errUnknownEvent quotes nothing of the event, which may hold anything.
var errUnknownEvent = errors.New("unknown event: expected a request of a Function URL or of an HTTP API (payload format 2.0), " +
	`a "Scheduled Event" of an EventBridge rule, or {"rekey":"rotate-due"} from EventBridge Scheduler`)

// LambdaHandler answers the events of an AWS Lambda function, for lambda.Start. What
// an event is, is decided by its shape:
//
//   - a request of a Function URL, or of an API Gateway HTTP API in payload format
//     2.0, goes to h, and comes back as the response in the same format;
//   - the "Scheduled Event" of an EventBridge rule, and {"rekey":"rotate-due"} from
//     EventBridge Scheduler, run tick, whose result is the function's;
//   - anything else is an error that says what was expected.
//
// tick gets a context that ends a little before Lambda's deadline. An error of it
// fails the invocation, so that it shows in the function's metrics; by default
// Lambda repeats it twice, which does no harm, and infra/aws turns that off. A panic in h is answered with status 500, one in tick is an
// error: the process lives on, as it would not if a panic reached the runtime.
func LambdaHandler(
	h http.Handler, tick func(ctx context.Context) (any, error), log *slog.Logger,
) func(ctx context.Context, event json.RawMessage) (any, error) {
	return func(ctx context.Context, event json.RawMessage) (any, error) {
		var e lambdaEvent
		if json.Unmarshal(event, &e) != nil {
			return nil, errUnknownEvent
		}
		switch {
		case e.isHTTP():
			r, err := e.request(ctx)
			if err != nil {
				return nil, err
			}
			return serveLambda(h, r, log), nil
		case e.isTick():
			return runTick(ctx, tick, log)
		}
		return nil, errUnknownEvent
	}
}

// lambdaEvent has the members of all events that are understood. Source: AWS Lambda
// developer guide, "Invoking Lambda function URLs"; API Gateway developer guide,
// "Payload format version 2.0"; EventBridge user guide, "Events from AWS services".
type lambdaEvent struct {
	// Of a request. Header names are in lower case, and repeated headers are
	// joined by commas.
	Version         string            `json:"version"` // "2.0"; of EventBridge "0"
	RawPath         string            `json:"rawPath"`
	RawQueryString  string            `json:"rawQueryString"`
	Cookies         []string          `json:"cookies"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	RequestContext  struct {
		DomainName string      `json:"domainName"`
		HTTP       *lambdaHTTP `json:"http"`
	} `json:"requestContext"`

	// Of a rule's event.
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`

	// Of a schedule: our own.
	Rekey string `json:"rekey"`
}

type lambdaHTTP struct {
	Method   string `json:"method"`
	SourceIP string `json:"sourceIp"`
}

func (e *lambdaEvent) isHTTP() bool {
	return e.Version == "2.0" && e.RequestContext.HTTP != nil && e.RequestContext.HTTP.Method != ""
}

func (e *lambdaEvent) isTick() bool {
	return e.Source == "aws.events" && e.DetailType == "Scheduled Event" || e.Source == "" && e.Rekey == RotateDue
}

// runTick runs tick within the time that there is.
func runTick(ctx context.Context, tick func(context.Context) (any, error), log *slog.Logger) (result any, err error) {
	if d, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, d.Add(-tickReserve))
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "panic in the timer function", "panic", panicText(p), "stack", string(debug.Stack()))
			result, err = nil, fmt.Errorf("the timer function panicked: %s; its log has the stack", panicText(p))
		}
	}()
	return tick(ctx)
}
