package host_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/host"
)

func TestPort(t *testing.T) {
	for _, tc := range []struct {
		name, value string
		set         bool
		want        string
	}{
		{"given", "40123", true, "40123"},
		{"not set", "", false, ""},
		{"empty", "", true, ""},
		{"zero", "0", true, ""},
		{"too large", "65536", true, ""},
		{"no number", "80a", true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := host.Port(func(name string) (string, bool) {
				if name != "FUNCTIONS_CUSTOMHANDLER_PORT" {
					t.Errorf("looked up %s", name)
				}
				return tc.value, tc.set
			})
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("Port = %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestInvocationID(t *testing.T) {
	const id, other = "0F8FAD5B-d9cb-469f-a165-70867728950e", "11111111-2222-4333-8444-555555555555"
	for _, tc := range []struct {
		name   string
		values []string
		want   string
	}{
		{"one GUID", []string{id}, strings.ToLower(id)},
		{"none", nil, ""},
		{"a client's and the host's", []string{other + ", " + id}, strings.ToLower(id)},
		{"in two lines", []string{other, id}, strings.ToLower(id)},
		{"a client's own list", []string{"x,, " + other + "," + id}, strings.ToLower(id)},
		{"nothing behind the comma", []string{id + ", "}, ""},
		{"no GUID", []string{"0F8FAD5Bd9cb469fa16570867728950e"}, ""},
		{"wrong digit", []string{strings.Replace(id, "a", "g", 1)}, ""},
		{"wrong dash", []string{strings.Replace(id, "-", "0", 1)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{"X-Azure-Functions-Invocationid": tc.values}}
			got, ok := host.InvocationID(r)
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("InvocationID = %q, %v, want %q", got, ok, tc.want)
			}
		})
	}
}

func TestServe(t *testing.T) {
	l, err := host.Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	if ip := l.Addr().(*net.TCPAddr).IP.String(); ip != "127.0.0.1" {
		t.Errorf("listening on %s", ip)
	}
	var logged bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- host.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTeapot)
		}), slog.New(slog.NewTextHandler(&logged, nil)))
	}()

	for path, want := range map[string]int{"/": http.StatusOK, "/health": http.StatusTeapot} {
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want || resp.ContentLength != 0 {
			t.Errorf("GET %s = %d with %d bytes, want an empty %d", path, resp.StatusCode, resp.ContentLength, want)
		}
		resp.Body.Close()
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
	if logged.Len() > 0 {
		t.Errorf("logged: %s", logged.String())
	}
}

func TestServeReportsALostListener(t *testing.T) {
	l, err := host.Listen(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := host.Serve(t.Context(), l, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("Serve = nil although the listener is closed")
	}
}
