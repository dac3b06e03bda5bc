package lifecycle_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"rekey/shared/emulator/functionshost"
	"rekey/shared/emulator/lambdaruntime"
	"rekey/shared/emulator/lambdaruntime/sts"
	"rekey/shared/emulator/localtls"
)

// publicURL is where callers and browsers reach Rekey, as its settings say. A platform's
// front end ends TLS; here the [platform] plays it.
const publicURL = "https://rekey.example"

// platform runs the deployed program. As a RoundTripper it takes requests to publicURL.
type platform interface {
	http.RoundTripper
	// tick runs the timer function. It may return before that has ended.
	tick(ctx context.Context) error
	// rests reports whether the timer function does not run any more.
	rests() bool
	stop()
}

// The platforms, by the names that the tests have.
const (
	builtIn    = "built-in host"
	forwarding = "Azure package, forwarding"
	proxying   = "Azure package, proxying"
	onLambda   = "Lambda package"
)

// start starts Rekey with these settings.
func start(w *world, on string, env []string) (platform, error) {
	switch on {
	case builtIn:
		return startFunctions(w, staged, "", functionshost.FromHostJSON, env)
	case forwarding:
		return startFunctions(w, unpacked, "azure", functionshost.Forwarding, env)
	case proxying:
		return startFunctions(w, unpacked, "azure", functionshost.Proxying, env)
	case onLambda:
		return startLambda(w, env)
	}
	return nil, fmt.Errorf("there is no platform %q", on)
}

// functionsHost is the built-in Functions host.
type functionsHost struct {
	*functionshost.Host
	transport    *http.Transport
	begun, ended atomic.Int64 // invocations of the timer function
}

// Write looks at a line of the host's log for the end of an invocation.
func (h *functionsHost) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(`"function":"rotatedue"`)) &&
		(bytes.Contains(line, []byte("invocation succeeded")) || bytes.Contains(line, []byte("invocation failed"))) {
		h.ended.Add(1)
	}
	return len(line), nil
}

func (h *functionsHost) rests() bool { return h.ended.Load() >= h.begun.Load() }

func startFunctions(w *world, root func() (string, error), below string, mode functionshost.Mode, env []string) (platform, error) {
	if runtime.GOOS != "linux" && below != "" {
		w.Skip("skipped: the packages hold programs for Linux, which this system cannot run")
	}
	dir, err := root()
	if err != nil {
		return nil, err
	}
	h := &functionsHost{transport: &http.Transport{DialContext: dial}}
	h.Host, err = functionshost.New(functionshost.Config{
		Root: filepath.Join(dir, below), Addr: "127.0.0.1:0", Mode: mode, Stdout: w.watch,
		Log: slog.New(slog.NewJSONHandler(io.MultiWriter(w.watch, h), nil)),
		// Stories run the timer by hand, so that none waits for the schedule's own tick.
		Env: append(env, "REKEY_ROTATION_SCHEDULE=0 0 3 1 1 *"),
	})
	if err != nil {
		return nil, err
	}
	if err := h.Start(context.WithoutCancel(w.Context())); err != nil { // stop ends it
		return nil, err
	}
	return h, nil
}

// dial tries again where a busy machine resets a connection before it is made: nothing was
// sent by then.
func dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	var dialer net.Dialer
	for range 5 {
		if c, err = dialer.DialContext(ctx, network, address); !errors.Is(err, syscall.ECONNRESET) {
			return c, err
		}
	}
	return c, err
}

func (h *functionsHost) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.URL.Scheme, r.URL.Host = "http", h.Addr()
	return h.transport.RoundTrip(r)
}

// tick asks the host's own API for an invocation.
func (h *functionsHost) tick(ctx context.Context) error {
	address := "http://" + h.Addr() + "/admin/functions/rotatedue"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"input":""}`))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := h.transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("invoking the timer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("invoking the timer: %s", resp.Status)
	}
	h.begun.Add(1)
	return nil
}

func (h *functionsHost) stop() {
	h.Stop()
	h.transport.CloseIdleConnections()
}

// lambda is the local Lambda behind a function URL.
type lambda struct {
	*lambdaruntime.Runtime
	sts *httptest.Server
}

const region = "eu-central-1"

// startLambda starts the package with an AWS role as Rekey's identity, and without a
// secret of Azure's among its settings.
func startLambda(w *world, env []string) (platform, error) {
	if runtime.GOOS != "linux" {
		w.Skip("skipped: the packages hold programs for Linux, which this system cannot run")
	}
	dir, err := unpacked()
	if err != nil {
		return nil, err
	}
	service, err := sts.New(sts.Config{Region: region, RoleARN: "arn:aws:iam::123456789012:role/rekey"})
	if err != nil {
		return nil, err
	}
	ca, err := localtls.New(time.Now())
	if err != nil {
		return nil, err
	}
	server := httptest.NewUnstartedServer(service)
	server.TLS = ca.ServerConfig()
	server.StartTLS()
	file, err := os.OpenFile(w.services.CAFile, os.O_APPEND|os.O_WRONLY, 0) // Rekey trusts one file
	if err == nil {
		_, err = file.Write(ca.PEM())
		err = errors.Join(err, file.Close())
	}
	if err := errors.Join(err, w.services.Directory.Federate(w.services.OwnClientID(), service.FederatedCredential())); err != nil {
		return nil, err
	}
	w.watch.Issued(service.SecretAccessKey)
	w.watch.Issued(service.SessionToken)
	env = slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(e, "AZURE_CLIENT_SECRET=") })
	r, err := lambdaruntime.Start(context.WithoutCancel(w.Context()), lambdaruntime.Config{
		Root: filepath.Join(dir, "lambda"), Env: append(env, "REKEY_STS_URL="+server.URL), Region: region,
		Timeout: time.Minute, InitTimeout: time.Minute,
		AccessKeyID: service.AccessKeyID, SecretAccessKey: service.SecretAccessKey, SessionToken: service.SessionToken, Output: w.watch,
	})
	if err != nil {
		server.Close()
		return nil, err
	}
	return &lambda{r, server}, nil
}

// RoundTrip makes an event of a request, and an answer of the result.
func (l *lambda) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		r.Body.Close()
	}
	headers := map[string]string{"host": r.URL.Host}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	cookies := []string{}
	for _, c := range r.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	event := object{
		"version": "2.0", "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery, "headers": headers, "cookies": cookies,
		"body": base64.StdEncoding.EncodeToString(body), "isBase64Encoded": true,
		"requestContext": object{"domainName": r.URL.Host, "requestId": "1",
			"http": object{"method": r.Method, "path": r.URL.EscapedPath(), "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9"}},
	}
	result, err := l.invoke(r.Context(), event)
	if err != nil {
		return nil, err
	}
	return answerOf(r, result)
}

// answerOf reads what a function answers to its URL.
func answerOf(r *http.Request, result []byte) (*http.Response, error) {
	var got struct {
		StatusCode      int
		Headers         map[string]string
		Cookies         []string
		Body            string
		IsBase64Encoded bool
	}
	if err := json.Unmarshal(result, &got); err != nil {
		return nil, fmt.Errorf("reading the result: %w", err)
	}
	data := []byte(got.Body)
	if got.IsBase64Encoded {
		var err error
		if data, err = base64.StdEncoding.DecodeString(got.Body); err != nil {
			return nil, fmt.Errorf("reading the result: %w", err)
		}
	}
	header := http.Header{}
	for name, value := range got.Headers {
		header.Set(name, value)
	}
	for _, c := range got.Cookies {
		header.Add("Set-Cookie", c)
	}
	return &http.Response{StatusCode: got.StatusCode, Status: http.StatusText(got.StatusCode), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(data)), ContentLength: int64(len(data)), Request: r}, nil
}

func (l *lambda) tick(ctx context.Context) error {
	_, err := l.invoke(ctx, object{"rekey": "rotate-due"})
	return err
}

func (l *lambda) rests() bool { return true } // what tick waits for

func (l *lambda) invoke(ctx context.Context, event object) ([]byte, error) {
	data, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("writing an event: %w", err)
	}
	result, err := l.Invoke(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("invoking the function: %w", err)
	}
	return result, nil
}

func (l *lambda) stop() {
	l.Stop()
	l.sts.Close()
}
