package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"rekey/shared/emulator/functionshost"
)

// functionsHost is the package under the built-in Functions host.
type functionsHost struct{ url string }

func (h functionsHost) call(t *testing.T, method, path string, header http.Header, body []byte) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// tick asks the host's own API for an invocation.
func (h functionsHost) tick(t *testing.T) {
	t.Helper()
	status, answer := h.call(t, "POST", "/admin/functions/rotatedue", http.Header{"Content-Type": {"application/json"}},
		[]byte(`{"input":""}`))
	if status != http.StatusAccepted {
		t.Fatalf("invoking the timer: %d %s", status, answer)
	}
}

// The scenario on the built-in host: with what was staged, as make run does, and with
// what comes out of the package.
func TestAzurePackage(t *testing.T) {
	unpacked := unpack(t, filepath.Join(packed(t), "rekey-azure.zip"))
	for name, at := range map[string]struct {
		root string
		mode functionshost.Mode
	}{
		"staged": {built.azure, functionshost.Proxying}, "forwarding": {unpacked, functionshost.Forwarding},
		"proxying": {unpacked, functionshost.Proxying},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			host, err := functionshost.New(functionshost.Config{
				Root: at.root, Addr: "127.0.0.1:0", Mode: at.mode, Stdout: w, Log: slog.New(slog.NewJSONHandler(w, nil)),
				// The schedule's own tick is not waited for.
				Env: append(w.env(), "REKEY_ROTATION_SCHEDULE=0 0 3 1 1 *"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Start(t.Context()); err != nil {
				t.Fatalf("%v\n%s", err, w.output())
			}
			defer host.Stop()
			w.scenario(t, functionsHost{"http://" + host.Addr()})
		})
	}
}
