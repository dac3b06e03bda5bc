package localtls_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"rekey/shared/emulator/localtls"
)

// serve starts a server with a's certificate and returns its port.
func serve(t *testing.T, a *localtls.Authority) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
	}))
	srv.TLS = a.ServerConfig()
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// get asks the server at 127.0.0.1 for a page under the name host.
func get(t *testing.T, host, port string, roots *x509.CertPool, now time.Time) error {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs:    roots,
		ServerName: host,
		Time:       func() time.Time { return now },
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://127.0.0.1:" + port)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello" {
		t.Errorf("body = %q", body)
	}
	return nil
}

func TestRealClient(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a, err := localtls.New(now)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := localtls.New(now)
	if err != nil {
		t.Fatal(err)
	}
	fromPEM := x509.NewCertPool()
	if !fromPEM.AppendCertsFromPEM(a.PEM()) {
		t.Fatal("PEM holds no certificate")
	}
	if bytes.Contains(a.PEM(), []byte("PRIVATE KEY")) {
		t.Error("PEM holds a private key")
	}
	port := serve(t, a)
	tests := []struct {
		name  string
		host  string
		roots *x509.CertPool
		now   time.Time
		ok    bool
	}{
		{"IPv4 loopback", "127.0.0.1", a.CertPool(), now, true},
		{"IPv6 loopback", "::1", a.CertPool(), now, true},
		{"localhost", "localhost", a.CertPool(), now, true},
		{"CA read from PEM", "localhost", fromPEM, now, true},
		{"a client whose clock is behind", "localhost", a.CertPool(), now.Add(-59 * time.Minute), true},
		{"a clock too far behind", "localhost", a.CertPool(), now.Add(-61 * time.Minute), false},
		{"the last day", "localhost", a.CertPool(), now.Add(30*24*time.Hour - time.Minute), true},
		{"expired", "localhost", a.CertPool(), now.Add(30*24*time.Hour + time.Minute), false},
		{"another name", "example.com", a.CertPool(), now, false},
		{"another authority", "localhost", stranger.CertPool(), now, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := get(t, tt.host, port, tt.roots, tt.now); (err == nil) != tt.ok {
				t.Errorf("err = %v, want success %v", err, tt.ok)
			}
		})
	}
}
