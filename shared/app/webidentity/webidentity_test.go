package webidentity_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/app/webidentity"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/lambdaruntime/sts"
)

const role = "arn:aws:iam::123456789012:role/rekey"

// start serves an emulated service, and says how to reach it.
func start(t *testing.T, c sts.Config) (*sts.Service, webidentity.Config) {
	t.Helper()
	c.Region, c.RoleARN = "eu-central-1", role
	service, err := sts.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(service)
	t.Cleanup(server.Close)
	return service, webidentity.Config{
		Region: "eu-central-1", AccessKeyID: service.AccessKeyID,
		SecretAccessKey: secret.New(service.SecretAccessKey), SessionToken: secret.New(service.SessionToken),
		URL: server.URL, HTTPClient: server.Client(), MaxBackoff: time.Millisecond,
	}
}

func TestAssertion(t *testing.T) {
	service, c := start(t, sts.Config{})
	source := webidentity.New(c)
	first, err := source.Assertion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(first, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"sub":"` + role + `"`, `"aud":"api://AzureADTokenExchange"`, `"iss":"` + service.Issuer + `"`} {
		if !strings.Contains(string(claims), want) {
			t.Errorf("claims %s have no %s", claims, want)
		}
	}
	second, err := source.Assertion(t.Context())
	if err != nil || second == first {
		t.Errorf("the second token is the first one again (%v)", err)
	}
}

// What is wrong comes out as a class and codes, and as nothing of what was written.
func TestFailures(t *testing.T) {
	broken := func(e fault.Effect) sts.Config {
		return sts.Config{Hook: func(string, *http.Request) *fault.Effect { return &e }}
	}
	for name, tt := range map[string]struct {
		service sts.Config
		change  func(*webidentity.Config)
		class   serviceerror.Class
		status  int
		code    string
	}{
		"wrong key": {sts.Config{}, func(c *webidentity.Config) { c.SecretAccessKey = secret.New("hidden") }, serviceerror.Invalid, 403,
			"SignatureDoesNotMatch"},
		"wrong token": {sts.Config{}, func(c *webidentity.Config) { c.SessionToken = secret.New("hidden") }, serviceerror.Invalid, 403,
			"InvalidClientTokenId"},
		"no token": {sts.Config{}, func(c *webidentity.Config) { c.SessionToken = secret.Value{} }, serviceerror.Invalid, 403,
			"SignatureDoesNotMatch"},
		"another role": {sts.Config{}, func(c *webidentity.Config) { c.AccessKeyID = "ASIAHIDDENHIDDEN0000" }, serviceerror.Invalid, 403,
			"InvalidClientTokenId"},
		"another region": {sts.Config{}, func(c *webidentity.Config) { c.Region = "us-east-1" }, serviceerror.Invalid, 403,
			"SignatureDoesNotMatch"},
		"late": {sts.Config{Now: func() time.Time { return time.Now().Add(time.Hour) }}, nil, serviceerror.Invalid, 403,
			"SignatureDoesNotMatch"},
		"switched off": {sts.Config{Disabled: true}, nil, serviceerror.Invalid, 403, "OutboundWebIdentityFederationDisabledException"},
		"not allowed": {broken(fault.Effect{Status: 403, Code: "AccessDenied", Text: "hidden"}), nil, serviceerror.Invalid, 403,
			"AccessDenied"},
		"a strange code": {broken(fault.Effect{Status: 400, Code: "hidden hidden", Text: "hidden"}), nil, serviceerror.Invalid, 400, ""},
		"throttled": {broken(fault.Effect{Status: 400, Code: "Throttling", Text: "hidden"}), nil, serviceerror.Throttled, 400,
			"Throttling"},
		"unavailable": {broken(fault.Effect{Status: 503, Code: "ServiceUnavailable", Text: "hidden"}), nil, serviceerror.Transient, 503,
			"ServiceUnavailable"},
		"a redirect": {broken(fault.Effect{Status: 307, Code: "hidden page", Header: http.Header{"Location": {"https://hidden.example"}}}),
			nil, serviceerror.Invalid, 307, ""},
		"dropped":         {broken(fault.Effect{}), nil, serviceerror.Transient, 0, ""},
		"nothing listens": {sts.Config{}, func(c *webidentity.Config) { c.URL = "https://127.0.0.1:1" }, serviceerror.Transient, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := start(t, tt.service)
			if tt.change != nil {
				tt.change(&c)
			}
			token, err := webidentity.New(c).Assertion(t.Context())
			e, ok := errors.AsType[*serviceerror.Error](err)
			if !ok || token != "" {
				t.Fatalf("Assertion = %q, %v", token, err)
			}
			if e.Class != tt.class || e.Status != tt.status || e.Code != tt.code {
				t.Errorf("error %v, want %s, %d, %s", e, tt.class, tt.status, tt.code)
			}
			if text := strings.ToLower(err.Error()); strings.Contains(text, "hidden") || strings.Contains(text, "127.0.0.1") {
				t.Errorf("the error shows too much: %s", text)
			}
		})
	}
}

// A failure that passes is not seen.
func TestRepetition(t *testing.T) {
	calls := 0
	_, c := start(t, sts.Config{Hook: func(string, *http.Request) *fault.Effect {
		if calls++; calls < 3 {
			return &fault.Effect{Status: 503, Code: "ServiceUnavailable"}
		}
		return nil
	}})
	if _, err := webidentity.New(c).Assertion(t.Context()); err != nil || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestEmptyAnswer(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`<GetWebIdentityTokenResponse><GetWebIdentityTokenResult/></GetWebIdentityTokenResponse>`))
	}))
	defer server.Close()
	c := webidentity.Config{Region: "eu-central-1", AccessKeyID: "A", SecretAccessKey: secret.New("B"), URL: server.URL,
		HTTPClient: server.Client()}
	if token, err := webidentity.New(c).Assertion(t.Context()); serviceerror.ClassOf(err) != serviceerror.Invalid || token != "" {
		t.Errorf("Assertion = %q, %v", token, err)
	}
}

// Without another address the region's own service is asked, and nothing else.
func TestRegionalEndpoint(t *testing.T) {
	asked := ""
	c := webidentity.Config{Region: "eu-central-1", AccessKeyID: "A", SecretAccessKey: secret.New("B"), MaxBackoff: time.Millisecond,
		HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = r.Method + " " + r.URL.String()
			return nil, context.Canceled
		})}}
	if _, err := webidentity.New(c).Assertion(t.Context()); err == nil || asked != "POST https://sts.eu-central-1.amazonaws.com/" {
		t.Errorf("asked %q, %v", asked, err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }
