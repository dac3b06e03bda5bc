package functions_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"rekey/functions/rotatedue"
	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
	"rekey/shared/telemetry"
	"rekey/shared/telemetry/telemetrytest"
)

// The trace of a rotation has every request to another service, as a child of the step
// that made it, in the pass, in the invocation that the host names; and no secret. The
// emulators count the requests by themselves.
func TestTraceOfARotation(t *testing.T) {
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	receiver := telemetrytest.New(t)
	w := newWorld(t, options{settings: settings{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL,
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=key~of~the~receiver"}})
	w.watch.Issued("key~of~the~receiver")
	t.Cleanup(func() { w.app.Telemetry.Shutdown(t.Context()) })
	calls := counted(w)

	sample := w.sample()
	r := w.request(auth.Rotate, http.MethodPost, secrets, creation(sample))
	r.Header.Set("traceparent", "00-"+trace+"-"+parent+"-00")
	created := w.one(w.send(r))
	w.ticks()
	w.one(w.rotateNow(created.ID))
	w.ticks()
	w.app.Telemetry.Flush(t.Context())

	spans := receiver.Spans()
	byID := map[string]telemetrytest.Span{}
	for _, s := range spans {
		byID[s.ID] = s
	}
	got, steps := map[string]int{}, map[string]int{}
	for _, s := range spans {
		up, known := byID[s.Parent]
		switch {
		case s.Client:
			got[s.Attrs["rekey.service"]]++
			if s.Parent == "" && s.Name == "GET /rekey()" {
				continue // the test's own look at the records
			}
			if !known || up.Client {
				t.Errorf("%s is a child of %q", s.Name, up.Name)
			}
			if strings.HasSuffix(s.Name, "/addPassword") && up.Attrs["rekey.step"] != "issue" {
				t.Errorf("%s is a child of %q, not of the step that issues", s.Name, up.Name)
			}
			if s.Start.Before(up.Start) || !s.End.After(s.Start) {
				t.Errorf("%s takes from %s to %s, its parent began %s", s.Name, s.Start, s.End, up.Start)
			}
		case s.Attrs["rekey.step"] != "":
			steps[s.Attrs["rekey.step"]]++
			if up.Name != "pass" || up.Attrs["rekey.connection.id"] != created.ID {
				t.Errorf("step %s is a child of %q %v", s.Name, up.Name, up.Attrs)
			}
		case s.Name == "pass":
			if !up.Server {
				t.Errorf("a pass is a child of %q", up.Name)
			}
		case s.Attrs["faas.trigger"] == "http":
			if hosts := s.Trace == trace && s.Parent == parent; hosts != strings.HasSuffix(s.Name, secrets) {
				t.Errorf("%s in trace %s below %q; the creation and nothing else is the host's %s", s.Name, s.Trace, s.Parent, trace)
			}
		}
	}
	for service, n := range calls() {
		if got[service] < n || service != "keyvault" && got[service] != n { // the vault's challenges come before it counts
			t.Errorf("%d requests to %s have a span, the emulator had %d", got[service], service, n)
		}
	}
	if got["other"] != 0 || len(got) != 4 {
		t.Errorf("requests by service: %v", got)
	}
	for _, step := range []string{"begin run", "issue", "prove", "promote", "publish", "remove"} {
		if steps[step] == 0 {
			t.Errorf("no step %q among %v", step, slices.Sorted(maps.Keys(steps)))
		}
	}
	for _, trigger := range []string{"creation", "manual"} {
		if n := receiver.Point("rekey.rotations", "rekey.trigger", trigger, "rekey.outcome", "success").Value; n != 1 {
			t.Errorf("%v rotations by %s", n, trigger)
		}
	}
	if p := receiver.Points("rekey.due"); len(p) != 1 {
		t.Errorf("due %+v", p)
	}
	if p := receiver.Point("rekey.credential.days_to_expiry", "rekey.credential", "published"); p.Count < 2 {
		t.Errorf("expiry %+v", p)
	}
	w.watch.Saw("export", receiver.Text()) // searched for every secret at the end
	for what, value := range map[string]string{
		"tenant": sample.TenantID, "client id": sample.ClientID, "object id": sample.ObjectID, "name": created.Name + `"`,
		"vault secret": created.VaultSecretName,
	} {
		if strings.Contains(receiver.Text(), value) {
			t.Errorf("the %s was exported", what)
		}
	}
}

// ticks is settle with an invocation around each sweep, as on a host.
func (w *world) ticks() {
	w.Helper()
	for range 80 {
		ctx, end := w.app.Telemetry.Invocation(w.Context(), telemetry.Timer, rotatedue.Name, "tick")
		if _, err := w.app.Rotator.Sweep(ctx); err != nil {
			w.Fatal(err)
		}
		end(nil)
		next, busy := w.nextWake()
		if !busy {
			return
		}
		w.clock.forward(max(0, next.Sub(w.clock.Now())))
	}
	w.Fatal("not settled")
}

// counted counts the requests of w's services from now on, by the names that telemetry
// has for them.
func counted(w *world) func() map[string]int {
	var mu sync.Mutex
	calls := map[string]int{}
	names := map[string]string{"entra": "entra", "graph": "graph", "vault": "keyvault", "table": "table"}
	w.stack.Break(func(op string, _ *http.Request) *fault.Effect {
		mu.Lock()
		defer mu.Unlock()
		service, _, _ := strings.Cut(op, ".")
		calls[names[service]]++
		return nil
	})
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(calls)
	}
}

// Without a receiver nothing is measured.
func TestNotMeasured(t *testing.T) {
	w := newWorld(t, options{})
	if w.app.Telemetry != nil || w.app.Rotator.Observer != nil {
		t.Errorf("telemetry %v, observer %v, want none", w.app.Telemetry, w.app.Rotator.Observer)
	}
}
