package main_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/fault"
)

// moment is when, relative to a write, the process dies.
type moment string

const (
	beforeWrite moment = "before it is applied"
	afterWrite  moment = "after it is applied, before the answer"
)

// watch sees every external write of the processes, and kills at one of them.
type watch struct {
	mu    sync.Mutex
	seen  []string
	at    int // the write to kill at, counted from 1; 0: none
	when  moment
	kill  func()
	calls map[string]int // kills by write
}

// arm makes the n-th write from now on a deadly one.
func (w *watch) arm(n int, when moment, kill func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.at, w.when, w.kill = nil, n, when, kill
}

// since returns the writes since arm.
func (w *watch) since() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.seen...)
}

// kills returns how often the process was killed at each write.
func (w *watch) kills() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// write notes a write and reports whether it is the deadly one.
func (w *watch) write(name string) (deadly bool, when moment, kill func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, name)
	if len(w.seen) != w.at {
		return false, "", nil
	}
	if w.calls == nil {
		w.calls = make(map[string]int)
	}
	w.calls[name]++
	return true, w.when, w.kill
}

// hook is asked by the emulators.
func (w *watch) hook(op string, r *http.Request) *fault.Effect {
	switch op {
	case "vault.set":
		op += " published"
		if strings.Contains(r.URL.Path, "-staged") {
			op = "vault.set staged"
		}
	case "vault.update", "vault.delete", "graph.addPassword", "graph.removePassword":
	default:
		return nil
	}
	deadly, when, kill := w.write(op)
	if !deadly {
		return nil
	}
	if when == beforeWrite {
		kill()
	} else {
		go kill() // the connection breaks while the write is being applied
	}
	return &fault.Effect{Apply: when == afterWrite}
}

// newTableProxy stands between the handler and Azurite, and returns the connection
// string to use. Signatures hold: they do not cover the host.
func newTableProxy(t *testing.T, service *azurite.Service, w *watch) string {
	before, rest, _ := strings.Cut(service.ConnectionString, "TableEndpoint=")
	target, err := url.Parse(strings.TrimSuffix(rest, ";"))
	if err != nil {
		t.Fatal(err)
	}
	back := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", target.Host },
		ErrorLog: log.New(io.Discard, "", 0), // processes that die break connections
	}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		name := tableWrite(r)
		if name == "" {
			back.ServeHTTP(out, r)
			return
		}
		deadly, when, kill := w.write(name)
		switch {
		case !deadly:
			back.ServeHTTP(out, r)
		case when == beforeWrite:
			kill()
			panic(http.ErrAbortHandler)
		default:
			back.ServeHTTP(httptest.NewRecorder(), r)
			kill()
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	return before + "TableEndpoint=" + server.URL + target.Path + ";"
}

// tableWrite names the write that r is; empty for a read and for making the table.
func tableWrite(r *http.Request) string {
	switch {
	case r.Method == http.MethodGet, strings.HasSuffix(r.URL.Path, "/Tables"):
		return ""
	case strings.HasSuffix(r.URL.Path, "/$batch"):
		return "table.batch"
	case r.Method == http.MethodPost:
		return "table.insert"
	case r.Method == http.MethodDelete:
		return "table.delete"
	}
	return "table.merge"
}
