// Package host is Rekey's side of the contract with the serverless host that
// runs it, so that the rest of the code deals with plain HTTP only.
//
// One half speaks to the Azure Functions host, which starts the handler as a
// child process and talks to it over http://127.0.0.1:port. That host has three
// habits that a handler has to be built around, and this package is where that
// happens:
//
//   - A timer invocation answered with an empty body, JSON null or no JSON
//     content type stays open until functionTimeout, and then the whole process
//     is killed. [TimerHandler] always answers a JSON object.
//   - Timer invocations and requests from outside arrive at the same port.
//     [TimerHandler] tells them apart and refuses what came from outside.
//   - It sends a request again when its connection to the handler breaks, also a
//     POST: the proxying mode whatever it had not begun to send, the forwarding mode
//     what has no body. [Once] gives the second one the first one's answer.
//
// The other half speaks to AWS Lambda, where an event comes in and a result goes
// out: [LambdaHandler] turns events of HTTP front ends into requests for the same
// handlers, and those of a schedule into a pass. It depends on nothing of AWS.
// Nothing outside the mains may depend on which host it is.
//
// Sources: Azure/azure-functions-host, src/WebJobs.Script/Workers/Http and
// src/WebJobs.Script/Http; learn.microsoft.com/azure/azure-functions/functions-custom-handlers;
// docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html and
// docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
package host

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// portVariable is set by the host for the handler it starts.
const portVariable = "FUNCTIONS_CUSTOMHANDLER_PORT"

// invocationHeader carries the id of an invocation, a GUID.
const invocationHeader = "X-Azure-Functions-InvocationId"

// Port returns the TCP port that the host wants its handler to listen on, from
// FUNCTIONS_CUSTOMHANDLER_PORT. lookup is os.LookupEnv or stands for it.
func Port(lookup func(string) (string, bool)) (string, error) {
	value, ok := lookup(portVariable)
	if !ok {
		return "", fmt.Errorf("reading %s: it is not set; this program is started by the Azure Functions host (try: make run)", portVariable)
	}
	if n, err := strconv.ParseUint(value, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("reading %s: %q is not a port number", portVariable, value)
	}
	return value, nil
}

// Listen listens where the host connects to: 127.0.0.1 and nothing else, so
// that no other machine reaches the handler past the host.
func Listen(ctx context.Context, port string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, fmt.Errorf("listening for the Functions host: %w", err)
	}
	return l, nil
}

// drain is how long Serve lets running requests finish once its context ends.
// The real host gives no notice at all (it sends SIGKILL), so this only serves
// a person who runs the handler by hand.
const drain = 3 * time.Second

// Serve answers requests on l until ctx ends, and closes l. It answers the
// host's readiness probe, GET /, itself: the host takes any answer for "ready"
// and repeats the probe as a ping, so that must be cheap and ask for no
// identity. Everything else goes to handler.
//
// It returns nil if it ended because ctx did.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		// This is no ServeMux, which answers a path in another form by a redirect to
		// the plain one, before the handler has asked who calls.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.EscapedPath() == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
				w.WriteHeader(http.StatusOK)
				return
			}
			handler.ServeHTTP(w, r)
		}),
		DisableGeneralOptionsHandler: true, // likewise OPTIONS *
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelError),
		// There is no ReadTimeout and no WriteTimeout: both would end a pass,
		// which may take functionTimeout. The peer is the host on this machine,
		// which limits both the size of a body and the length of an invocation.
		ReadHeaderTimeout: 10 * time.Second,
		// Longer than the host keeps idle connections (one minute, the default of
		// .NET's SocketsHttpHandler): if we closed first, a request could meet the
		// closing connection and be sent again.
		IdleTimeout: 5 * time.Minute,
		// Twice what the host's own server lets in (32 KiB).
		MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving the Functions host: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		log.Warn("requests were still running at the end", "error", err)
		if err := server.Close(); err != nil {
			return fmt.Errorf("closing the server: %w", err)
		}
	}
	<-ended
	return nil
}

// InvocationID returns the id that the host gave to the invocation r, in lower
// case, if it is a GUID.
//
// In the proxying mode the host overwrites what a client sent. In the forwarding mode
// it joins its own, behind a comma, to whatever a client sent: so the last one is the
// host's in both. A client can't make up an id, nor, by sending one, lose what hangs on
// it (see [Once]).
func InvocationID(r *http.Request) (string, bool) {
	values := r.Header.Values(invocationHeader)
	if len(values) == 0 {
		return "", false
	}
	last := values[len(values)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if !isGUID(last) {
		return "", false
	}
	return strings.ToLower(last), true
}

// isGUID reports whether s is a GUID in the form 8-4-4-4-12, .NET's "D".
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// Verb is a method as it may be logged: one that HTTP does not know is what a caller
// made up, and may be anything.
func Verb(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// StatusName is a status as the errors of the API spell it: "NotFound".
func StatusName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }
