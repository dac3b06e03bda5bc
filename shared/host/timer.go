package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Timer is one tick of a timer function, as the host describes it. All of it is
// information: the code that does the work decides by its own state what is due, so a
// tick that is late, repeated or started by hand needs no special care. Times
// are in UTC, and zero where the host said nothing.
type Timer struct {
	InvocationID string    // the host's id of this invocation
	IsPastDue    bool      // the host was down when it was due; one tick stands for all missed
	Last         time.Time // previous tick; zero if there was none, or the host does not monitor the schedule
	Next         time.Time // the tick after that one, as it was planned
	LastUpdated  time.Time // when the host wrote the two down
}

// maxTimerBody is far above the few hundred bytes of a real invocation.
const maxTimerBody = 1 << 20

// TimerHandler answers the invocations of the timer function called name, the
// name of the folder that holds its function.json. Its answer is always a JSON
// object with content type application/json: 200 when run succeeded, with what
// it returned as one line of JSON in the invocation's log; 500 when it failed,
// panicked, or when the body is no invocation. The host neither retries a failed
// tick nor shows the body of a 500, so failures also go to the server's ErrorLog.
//
// Any other request is answered 404. The host posts to /<name>, and a request
// from outside could have that path too, if a route of an HTTP function matches
// it (a catch-all under an empty route prefix). So a request must look in every
// respect like one that the host made itself:
//
//   - POST to exactly that path, without a query;
//   - from a loopback address, to the literal 127.0.0.1 and our own port: the
//     forwarding mode passes the client's Host on, and Azure's front end finds
//     the app by that name, so it cannot be 127.0.0.1;
//   - without X-Forwarded-* and X-ms-invocation-id, which the proxying mode
//     always adds, and without what the front ends add to all requests;
//   - with one invocation id (the forwarding mode joins a second to a client's).
//
// What remains is a process on this machine that talks to the port directly. It
// could start a pass early, which is harmless: a pass does only what is due.
func TimerHandler(name string, run func(ctx context.Context, t Timer) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := fromHost(name, r)
		if !ok {
			http.NotFound(w, r)
			return
		}
		defer func() {
			if p := recover(); p != nil {
				errorLog(r).Printf("%s: panic: %s\n%s", name, panicText(p), debug.Stack())
				answer(w, http.StatusInternalServerError, "the function panicked; its log has the stack")
			}
		}()
		line, err := invoke(w, r, id, run)
		if err != nil {
			errorLog(r).Printf("%s: %v", name, err)
			answer(w, http.StatusInternalServerError, err.Error())
			return
		}
		answer(w, http.StatusOK, line)
	})
}

func invoke(w http.ResponseWriter, r *http.Request, id string, run func(context.Context, Timer) (any, error)) (string, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTimerBody))
	if err != nil {
		return "", fmt.Errorf("reading the invocation: %w", err)
	}
	t, err := parseTimer(body)
	if err != nil {
		return "", err
	}
	t.InvocationID = id
	result, err := run(r.Context(), t)
	if err != nil {
		return "", err
	}
	line, err := json.Marshal(result)
	if err != nil {
		return "", fmt.Errorf("encoding the result: %w", err)
	}
	return string(line), nil
}

// outsideHeaders are added to requests from outside on their way: by the host's
// proxy, and by the front ends of App Service. The host's own invocations have
// none of them.
var outsideHeaders = []string{
	"Forwarded", "X-Ms-Invocation-Id", "X-Original-Url", "X-Arr-Log-Id", "X-Arr-Ssl",
	"Client-Ip", "Disguised-Host", "Was-Default-Hostname", "X-Site-Deployment-Id",
}

// fromHost returns the invocation id of r if r is an invocation of the function
// name that the host on this machine sent; see [TimerHandler].
func fromHost(name string, r *http.Request) (string, bool) {
	if r.Method != http.MethodPost || r.URL.EscapedPath() != "/"+name || r.URL.RawQuery != "" {
		return "", false
	}
	for header := range r.Header {
		if strings.HasPrefix(header, "X-Forwarded-") {
			return "", false
		}
	}
	for _, header := range outsideHeaders {
		if len(r.Header.Values(header)) > 0 {
			return "", false
		}
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil || host != "127.0.0.1" {
		return "", false
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && port != fmt.Sprint(local.Port) {
		return "", false
	}
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !net.ParseIP(peer).IsLoopback() {
		return "", false
	}
	if ids := r.Header.Values(invocationHeader); len(ids) != 1 || !isGUID(ids[0]) {
		return "", false
	}
	return InvocationID(r)
}

// parseTimer reads the body of an invocation,
//
//	{"Data":{"<binding>":{"IsPastDue":false,"ScheduleStatus":{"Last":...}}},"Metadata":{...}}
//
// It insists on the outer shape only, since the tick itself is the message.
// Names match in any case, the binding's value may be an object or a string that
// holds one (hosts have changed their minds about that for other triggers), and
// what cannot be read is left zero.
func parseTimer(body []byte) (Timer, error) {
	var invocation struct {
		Data map[string]json.RawMessage
	}
	if err := json.Unmarshal(body, &invocation); err != nil {
		return Timer{}, fmt.Errorf("decoding the invocation: %w", err)
	}
	if invocation.Data == nil {
		return Timer{}, errors.New("decoding the invocation: it has no Data")
	}
	for _, value := range invocation.Data {
		if t, ok := parseTimerInfo(value); ok {
			return t, nil
		}
	}
	return Timer{}, nil
}

func parseTimerInfo(value json.RawMessage) (Timer, bool) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		value = json.RawMessage(text)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(value), []byte("{")) {
		return Timer{}, false
	}
	var info struct {
		IsPastDue      lenient[bool]
		ScheduleStatus lenient[struct {
			Last, Next, LastUpdated lenient[string]
		}]
	}
	if json.Unmarshal(value, &info) != nil {
		return Timer{}, false
	}
	status := info.ScheduleStatus.value
	return Timer{
		IsPastDue:   info.IsPastDue.value,
		Last:        parseTime(status.Last.value),
		Next:        parseTime(status.Next.value),
		LastUpdated: parseTime(status.LastUpdated.value),
	}, true
}

// lenient decodes a T, and stays zero where the JSON holds something else.
type lenient[T any] struct{ value T }

func (l *lenient[T]) UnmarshalJSON(data []byte) error {
	var value T
	if json.Unmarshal(data, &value) == nil {
		l.value = value
	}
	return nil
}

// parseTime reads a .NET date: up to seven digits of fraction, and an offset
// that is missing where the kind of the date was not specified.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// answer writes what the host expects of an invocation. ReturnValue stays null:
// the host would take an object's members for output bindings, and decode a
// string that happens to be base64.
func answer(w http.ResponseWriter, status int, logs ...string) {
	body, err := json.Marshal(struct {
		Outputs     map[string]any
		Logs        []string
		ReturnValue any
	}{Outputs: map[string]any{}, Logs: logs})
	if err != nil { // not possible: strings only
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the host has gone
}

// panicText describes p without printing a value that might hold a secret.
func panicText(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// errorLog returns the log of the server that r arrived at.
func errorLog(r *http.Request) *log.Logger {
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && s.ErrorLog != nil {
		return s.ErrorLog
	}
	return log.Default()
}
