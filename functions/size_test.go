package functions_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/functions"
	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/host"
)

// served starts the server that is deployed, on a port of its own, in front of w.
func (w *world) served() {
	w.Helper()
	listener, err := host.Listen(w.Context(), "0")
	if err != nil {
		w.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- host.Serve(ctx, listener, functions.HTTP(w.app, &host.Once{}), slog.New(slog.NewJSONHandler(w.watch, nil)))
	}()
	w.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	w.url = "http://" + listener.Addr().String()
}

// What is too large is refused before it is kept, and for unknown callers before
// it is read.
func TestOversize(t *testing.T) {
	w := newCallersWorld(t, nil, nil)
	w.served()
	made := w.create(w.sample(), off...)
	before := w.truth()
	key := "Authorization: Bearer " + w.keys[auth.Rotate].Reveal() + "\r\n"
	one := connections.Base + secrets
	long := func(n int) string { return strings.Repeat("A", n) }
	for name, c := range map[string]struct {
		wire
		want int
	}{
		"body":             {wire{"POST", one, key, `{"name":"` + long(300<<10) + `"}`}, 413},
		"unknown's body":   {wire{"POST", one, "", `{"name":"` + long(300<<10) + `"}`}, 401},
		"body of a read":   {wire{"GET", one + "/" + made.ID, key, long(300 << 10)}, 413},
		"header":           {wire{"GET", one, key + "X-Long: " + long(80<<10) + "\r\n", ""}, 431},
		"many headers":     {wire{"GET", one, key + strings.Repeat("X-Many: "+long(64)+"\r\n", 1200), ""}, 431},
		"unknown's header": {wire{"GET", one, "X-Long: " + long(80<<10) + "\r\n", ""}, 431},
		"credential":       {wire{"GET", one, "Authorization: Bearer " + long(40<<10) + "\r\n", ""}, 401},
		"scheme":           {wire{"GET", one, "Authorization: " + long(40<<10) + "\r\n", ""}, 401},
		"principal":        {wire{"GET", one, "X-MS-CLIENT-PRINCIPAL: " + long(60<<10) + "\r\n", ""}, 401},
		"address":          {wire{"GET", one + "/" + long(80<<10), key, ""}, 431},
		"id":               {wire{"GET", one + "/" + long(40<<10), key, ""}, 404},
		"name":             {wire{"GET", one + "/connection-name/" + long(40<<10), key, ""}, 404},
		"segments":         {wire{"GET", one + strings.Repeat("/x", 15<<10), key, ""}, 404},
		"query":            {wire{"GET", one + "/" + made.ID + "/rotations?limit=" + long(40<<10), key, ""}, 400},
		"cursor":           {wire{"GET", one + "/" + made.ID + "/rotations?cursor=" + long(40<<10), key, ""}, 400},
		"idempotency key":  {wire{"POST", one, key + "Idempotency-Key: " + long(40<<10) + "\r\n", `{"name":"x"}`}, 400},
		"callback":         {wire{"GET", "/organization/app-connections/azure/oauth/callback?state=" + long(40<<10), "", ""}, 404},
		"depth":            {wire{"POST", one, key, strings.Repeat("[", 100<<10)}, 400},
		"state's cookie": {wire{"GET", "/organization/app-connections/azure/oauth/result?flow=x", "Cookie: a=" + long(40<<10) + "\r\n", ""},
			404},
		"health":            {wire{"GET", "/health", "", long(300 << 10)}, 200},
		"readiness":         {wire{"GET", "/", "", long(300 << 10)}, 200},
		"declared, nothing": {wire{"POST", one, "Expect: 100-continue\r\n", ""}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.exchange(c.wire)
			if got.status != c.want {
				t.Errorf("status %d, want %d: %.300s", got.status, c.want, got.body)
			}
			if strings.Contains(string(got.body), "AAAA") || len(got.body) > 64<<10 {
				t.Errorf("the answer has what was sent: %.300s", got.body)
			}
		})
	}
	if log := w.watch.Log(); strings.Contains(log, "AAAA") {
		t.Error("the log has what was sent")
	}
	w.untouched("oversize", before)
}

// pipes is a listener whose connections are pipes, for a server in a bubble.
type pipes struct {
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.incoming:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// Who sends a body that never ends is answered after half a minute, known or not, and
// holds up no other caller.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, nil, nil)
	key := "Authorization: Bearer " + w.keys[auth.Rotate].Reveal() + "\r\n"
	handler := functions.HTTP(w.app, &host.Once{})
	before := w.truth()
	const sized, chunked = "Content-Length: 100000\r\n", "Transfer-Encoding: chunked\r\n"
	for name, c := range map[string]struct {
		head, headers string
		drip          time.Duration // a byte that often; 0: nothing more comes
		want          int
		says          string
	}{
		"unknown":               {"POST " + connections.Base + secrets, sized, 0, 401, "API key"},
		"unknown, in chunks":    {"POST " + connections.Base + secrets, chunked, 0, 401, "API key"},
		"unknown, drop by drop": {"POST " + connections.Base + secrets, sized, 9 * time.Second, 401, "API key"},
		"a known caller":        {"POST " + connections.Base + secrets, key + sized, 0, 400, "did not arrive completely"},
		"drop by drop":          {"POST " + connections.Base + secrets, key + sized, 9 * time.Second, 400, "did not arrive completely"},
		"in chunks":             {"POST " + connections.Base + secrets, key + chunked, 0, 400, "did not arrive completely"},
		"of one too large":      {"POST " + connections.Base + secrets, key + "Content-Length: 300000\r\n", 0, 413, "larger than 256 KiB"},
		"with a read":           {"GET " + connections.Base + "/options", key + sized, 0, 400, "did not arrive completely"},
		"of a page":             {"POST /organization/app-connections/azure/oauth/start?state=x", sized, 0, 404, "off"},
		"of a probe":            {"GET /health", sized, 0, 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &pipes{incoming: make(chan net.Conn), closed: make(chan struct{})}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- host.Serve(ctx, l, handler, slog.New(slog.NewJSONHandler(w.watch, nil))) }()
				here, there := net.Pipe()
				defer here.Close()
				l.incoming <- there
				begun := time.Now()
				fmt.Fprintf(here, "%s HTTP/1.1\r\nHost: rekey.example\r\nContent-Type: application/json\r\n%s\r\n", c.head, c.headers)
				var drops sync.WaitGroup
				drops.Go(func() {
					for err := error(nil); c.drip > 0 && err == nil; time.Sleep(c.drip) {
						_, err = here.Write([]byte(" "))
					}
				})
				resp, err := http.ReadResponse(bufio.NewReader(here), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != c.want || !strings.Contains(string(body), c.says) {
					t.Errorf("status %d, want %d; %v: %s", resp.StatusCode, c.want, err, body)
				}
				if d := time.Since(begun); d < 30*time.Second || d > 31*time.Second {
					t.Errorf("answered after %s", d)
				}
				here.Close()
				drops.Wait()
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
	w.untouched("stalled bodies", before)
}
