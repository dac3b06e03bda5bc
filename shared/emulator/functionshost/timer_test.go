package functionshost_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/functionshost"
)

// atStart makes a timer tick when the host starts.
func atStart(schedule string) files {
	return files{"tick/function.json": timerFunction(schedule, `,"runOnStartup":true`)}
}

func fixed(at time.Time) func() time.Time { return func() time.Time { return at } }

var noon = time.Date(2026, 11, 22, 18, 0, 0, 12345678, time.UTC)

func TestInvocationOnTheWire(t *testing.T) {
	for name, contentLength := range map[string]bool{"as in Azure": false, "as under Core Tools": true} {
		t.Run(name, func(t *testing.T) {
			r := start(t, app(atStart("0 0 * * * *")), "well", func(c *functionshost.Config) {
				c.Now, c.ContentLength = fixed(noon), contentLength
			})
			var got echo
			if err := json.Unmarshal([]byte(r.line(t, "tick ")), &got); err != nil {
				t.Fatal(err)
			}
			i := next(t, r.invocations)
			if i.Err != nil {
				t.Error(i.Err)
			}
			if got.Method != "POST" || got.URI != "/tick" || !strings.HasPrefix(got.Host, "127.0.0.1:") || got.Chunked == contentLength {
				t.Errorf("the handler got %+v", got)
			}
			for header, want := range map[string]string{
				"Content-Type": "application/json; charset=utf-8", "User-Agent": "Azure-Functions-Host/4.1037.0.0",
				"X-Azure-Functions-Hostversion": "4.1037.0.0", "X-Azure-Functions-Invocationid": i.ID,
			} {
				if v := got.Header[header]; len(v) != 1 || v[0] != want {
					t.Errorf("%s = %q, want %q", header, v, want)
				}
			}
			for header, form := range map[string]string{"Traceparent": `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, "Tracestate": `^host=1$`,
				"Request-Id": `^\|[0-9a-f]{32}\.[0-9a-f]{16}\.$`} {
				if v := got.Header[header]; len(v) != 1 || !regexp.MustCompile(form).MatchString(v[0]) {
					t.Errorf("%s = %q", header, v)
				}
			}
			const want = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},` +
				`"ScheduleStatus":{"Last":"0001-01-01T00:00:00+00:00","Next":"2026-11-22T19:00:00+00:00",` +
				`"LastUpdated":"2026-11-22T18:00:00.0123456+00:00"},` +
				`"IsPastDue":false}},"Metadata":{"sys":{"MethodName":"tick","UtcNow":"2026-11-22T18:00:00.0123456Z","RandGuid":"GUID"}}}`
			if body := regexp.MustCompile(`"RandGuid":"[0-9a-f-]{36}"`).ReplaceAllString(got.Body, `"RandGuid":"GUID"`); body != want {
				t.Errorf("body = %s\nwant   %s", body, want)
			}
		})
	}
}

func TestScheduleStatusIsNull(t *testing.T) {
	for name, changes := range map[string]files{
		"several times a minute": atStart("*/30 * * * * *"),
		"not monitored":          {"tick/function.json": timerFunction(never, `,"runOnStartup":true,"useMonitor":false`)},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, app(changes), "well", func(c *functionshost.Config) { c.Now = fixed(noon) })
			if line := r.line(t, "tick "); !strings.Contains(line, `\"ScheduleStatus\":null`) {
				t.Errorf("tick = %s", line)
			}
		})
	}
}

// The handler that is shipped understands what the host sends.
func TestTimerHandlerUnderTheHost(t *testing.T) {
	r := start(t, app(files{
		"tick/function.json": "",
		"good/function.json": timerFunction("0 0 * * * *", `,"runOnStartup":true`),
	}), "well", nil)
	if i := next(t, r.invocations); i.Function != "good" || i.Err != nil {
		t.Errorf("invocation = %+v", i)
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	for _, tc := range []struct{ name, answer, want string }{
		{"no content", "204||", "answer {}"},
		{"empty body", "200|application/json|", "leave this invocation open until functionTimeout"},
		{"null", "200|application/json|null", "leave this invocation open until functionTimeout"},
		{"null with spaces", "200|application/json| null ", "leave this invocation open"},
		{"text", "200|text/plain; charset=utf-8|done", `content type "text/plain; charset=utf-8"`},
		{"JSON as text", "200|text/plain|{}", "application/json only"},
		{"no content type", "200||{}", `content type ""`},
		{"no JSON", "200|application/json|done", "no JSON object: done"},
		{"two objects", "200|application/json|{}{}", "no JSON object"},
		{"array", "200|application/json|[]", "no JSON object"},
		{"string", `200|application/json|"done"`, "no JSON object"},
		{"logs", `200|application/json|{"Logs":[1]}`, "no list of strings"},
		{"failure", `500|application/json|{"Logs":["no table"]}`, "status 500"},
		{"not found", "404|text/plain|404 page not found", "status 404: 404 page not found"},
		{"redirect", "307||", "status 307"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := start(t, app(atStart(never)), tc.answer, nil)
			i := next(t, r.invocations)
			if i.Err == nil || !strings.Contains(i.Err.Error(), tc.want) {
				t.Errorf("error = %v, want %q", i.Err, tc.want)
			}
		})
	}
	for name, answer := range map[string]string{
		"least":           "200|application/json|{}",
		"another success": "202|application/json; charset=utf-8|{}",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, app(atStart(never)), answer, nil)
			if i := next(t, r.invocations); i.Err != nil {
				t.Errorf("error = %v", i.Err)
			}
		})
	}
}

func TestCatchUpAcrossRestarts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status.json")
	hourly := app(files{"tick/function.json": timerFunction("0 0 * * * *", "")})
	run := func(app files, at time.Time, wantTick bool) {
		t.Helper()
		r := start(t, app, "well", func(c *functionshost.Config) { c.Now, c.StatusFile = fixed(at), file })
		if wantTick {
			if i := next(t, r.invocations); !i.PastDue || i.Err != nil {
				t.Errorf("invocation = %+v, want a past-due one", i)
			}
			if line := r.line(t, "tick "); !strings.Contains(line, `\"IsPastDue\":true`) {
				t.Errorf("tick = %s", line)
			}
		}
		r.Stop()
		if len(r.invocations) > 0 {
			t.Errorf("unexpected %+v", <-r.invocations)
		}
	}
	first := noon
	run(hourly, first, false)                    // notes 19:00
	run(hourly, first.Add(time.Hour/2), false)   // nothing missed
	run(hourly, first.Add(90*time.Minute), true) // 19:00 was missed, once
	run(hourly, first.Add(100*time.Minute), false)
	run(hourly, first.Add(50*time.Hour), true) // one for all of them
	changed := app(files{"tick/function.json": timerFunction("0 30 * * * *", "")})
	run(changed, first.Add(60*time.Hour), false) // another schedule counts from now on

	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"Next": "2026-11-25T06:30:00+00:00"`) {
		t.Errorf("status = %s", data)
	}
}
