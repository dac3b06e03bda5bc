package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/host"
)

const invocationID = "7b1c1b3c-2f4e-4d0a-9a51-0d6f5f2f9a10"

// What the Functions host sends for a timer.
const tick = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},` +
	`"ScheduleStatus":{"Last":"2026-11-22T17:00:00.0012345+00:00","Next":"2026-11-22T18:00:00+00:00",` +
	`"LastUpdated":"2026-11-22T17:00:00.0012345+00:00"},` +
	`"IsPastDue":true}},"Metadata":{"sys":{"MethodName":"rotatedue","UtcNow":"2026-11-22T18:00:00.0123456Z","RandGuid":"x"}}}`

// serve starts a server around a TimerHandler for rotatedue and returns it with
// its error log.
func serve(t *testing.T, run func(context.Context, host.Timer) (any, error)) (*httptest.Server, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	server := httptest.NewUnstartedServer(host.TimerHandler("rotatedue", run))
	server.Config.ErrorLog = log.New(&logged, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server, &logged
}

func invocation(t *testing.T, server *httptest.Server, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, server.URL+"/rotatedue", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "Azure-Functions-Host/4.1037.0.0")
	r.Header.Set("X-Azure-Functions-HostVersion", "4.1037.0.0")
	r.Header.Set("X-Azure-Functions-InvocationId", invocationID)
	return r
}

// send checks what every answer to an invocation must be, and returns its
// status and its log lines.
func send(t *testing.T, r *http.Request) (int, []string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	var result map[string]json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&result); err != nil || result == nil {
		t.Fatalf("the answer is no JSON object: %v", err)
	}
	if string(result["Outputs"]) != "{}" || string(result["ReturnValue"]) != "null" {
		t.Errorf("answer = %s", result)
	}
	var logs []string
	if err := json.Unmarshal(result["Logs"], &logs); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, logs
}

func TestTimerHandlerRuns(t *testing.T) {
	at := time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)
	full := host.Timer{InvocationID: invocationID, IsPastDue: true,
		Last: at.Add(1234500), Next: at.Add(time.Hour), LastUpdated: at.Add(1234500)}
	nothing := host.Timer{InvocationID: invocationID}
	quoted, err := json.Marshal(`{"IsPastDue":true}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, body string
		want       host.Timer
	}{
		{"as sent by the host", tick, full},
		{"any case of names", strings.NewReplacer("Data", "data", "IsPastDue", "isPastDue", "Last\"", "last\"").Replace(tick), full},
		{"not monitored", `{"Data":{"t":{"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{}}`, nothing},
		{"never ran, date without offset", `{"Data":{"t":{"ScheduleStatus":{"Last":"0001-01-01T00:00:00"}}}}`, nothing},
		{"a string that holds the object", `{"Data":{"t":` + string(quoted) + `}}`, host.Timer{InvocationID: invocationID, IsPastDue: true}},
		{"unreadable details", `{"Data":{"t":{"ScheduleStatus":"?","IsPastDue":1}}}`, nothing},
		{"another shape", `{"Data":{"t":[1]}}`, nothing},
		{"no binding", `{"Data":{}}`, nothing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got host.Timer
			server, logged := serve(t, func(_ context.Context, tm host.Timer) (any, error) {
				got = tm
				return map[string]int{"passes": 2}, nil
			})
			for _, framing := range []string{"Content-Length", "chunked"} {
				var body io.Reader = strings.NewReader(tc.body)
				if framing == "chunked" {
					body = io.MultiReader(body) // hides the length
				}
				status, logs := send(t, invocation(t, server, body))
				if status != http.StatusOK || len(logs) != 1 || logs[0] != `{"passes":2}` {
					t.Errorf("%s: answer = %d, %q", framing, status, logs)
				}
				if got != tc.want {
					t.Errorf("%s: Timer = %+v, want %+v", framing, got, tc.want)
				}
			}
			if logged.Len() > 0 {
				t.Errorf("logged: %s", logged)
			}
		})
	}
}

func TestTimerHandlerFails(t *testing.T) {
	type run = func(context.Context, host.Timer) (any, error)
	never := func(context.Context, host.Timer) (any, error) { panic("must not run") }
	for _, tc := range []struct {
		name, body string
		run        run
		log        string
	}{
		{"error", tick, func(context.Context, host.Timer) (any, error) { return nil, errors.New("no table") }, "no table"},
		{"panic", tick, func(context.Context, host.Timer) (any, error) { panic(errors.New("s3cret")) }, "panic: *errors.errorString"},
		{"runtime panic", tick, func(context.Context, host.Timer) (any, error) { return any(1).(string), nil }, "interface conversion"},
		{"result that is no JSON", tick, func(context.Context, host.Timer) (any, error) { return make(chan int), nil }, "encoding the result"},
		{"empty body", "", never, "decoding the invocation"},
		{"no JSON", "tick", never, "decoding the invocation"},
		{"JSON null", "null", never, "no Data"},
		{"no Data", "{}", never, "no Data"},
		{"endless body", `{"Data":"` + strings.Repeat("x", 2<<20) + `"}`, never, "too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, logged := serve(t, tc.run)
			status, _ := send(t, invocation(t, server, strings.NewReader(tc.body)))
			if status != http.StatusInternalServerError {
				t.Errorf("status = %d, want 500", status)
			}
			if !strings.Contains(logged.String(), "rotatedue: ") || !strings.Contains(logged.String(), tc.log) {
				t.Errorf("log = %q, want it to name the function and %q", logged, tc.log)
			}
			if strings.Contains(logged.String(), "s3cret") {
				t.Errorf("the log has the panic's value: %s", logged)
			}
		})
	}
}

func TestTimerHandlerRefusesTheOutside(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	for _, tc := range []struct {
		name   string
		change func(*http.Request)
	}{
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }},
		{"longer path", func(r *http.Request) { r.URL.Path = "/rotatedue/" }},
		{"escaped path", func(r *http.Request) { r.URL.RawPath = "/%72otatedue" }},
		{"other case", func(r *http.Request) { r.URL.Path = "/RotateDue" }},
		{"query", func(r *http.Request) { r.URL.RawQuery = "code=1" }},
		{"proxying mode", header("X-Forwarded-For", "203.0.113.1")},
		{"proxying mode, host only", header("X-Forwarded-Host", "app.example.com")},
		{"proxying mode, id", header("x-ms-invocation-id", invocationID)},
		{"front end", header("X-ARR-LOG-ID", "1")},
		{"forwarding mode, Host", func(r *http.Request) { r.Host = "app.azurewebsites.net" }},
		{"forwarding mode, local Host", func(r *http.Request) { r.Host = "127.0.0.1:7071" }},
		{"forwarding mode, two ids", func(r *http.Request) {
			r.Header.Set("X-Azure-Functions-InvocationId", invocationID+", "+invocationID)
		}},
		{"two ids in two lines", header("X-Azure-Functions-InvocationId", invocationID)},
		{"no id", func(r *http.Request) { r.Header.Del("X-Azure-Functions-InvocationId") }},
		{"id that is no GUID", func(r *http.Request) { r.Header.Set("X-Azure-Functions-InvocationId", "1") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, _ := serve(t, func(context.Context, host.Timer) (any, error) {
				t.Error("it ran")
				return nil, nil
			})
			r := invocation(t, server, strings.NewReader(tick))
			tc.change(r)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("status = %d, want 404", resp.StatusCode)
			}
		})
	}

	t.Run("another machine", func(t *testing.T) {
		handler := host.TimerHandler("rotatedue", func(context.Context, host.Timer) (any, error) {
			t.Error("it ran")
			return nil, nil
		})
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:80/rotatedue", strings.NewReader(tick))
		r.Header.Set("X-Azure-Functions-InvocationId", invocationID)
		r.RemoteAddr = "203.0.113.1:4711"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("status = %d, want 404", w.Code)
		}
	})
}
