package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"rekey/shared/emulator/lambdaruntime"
	"rekey/shared/emulator/lambdaruntime/sts"
	"rekey/shared/emulator/localtls"
)

const (
	region = "eu-central-1"
	role   = "arn:aws:iam::123456789012:role/rekey"
)

// lambdaHost is the package under the local Lambda. Requests come by turns as events of
// a Function URL and of an HTTP API, with a plain body and one in base64; ticks by
// turns from a rule and from a schedule.
type lambdaHost struct {
	*lambdaruntime.Runtime
	calls, ticks int
}

func (h *lambdaHost) call(t *testing.T, method, path string, header http.Header, body []byte) (int, []byte) {
	t.Helper()
	headers := map[string]string{"host": "abc.example.com"}
	for name, values := range header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	path, query, _ := strings.Cut(path, "?")
	h.calls++
	var event any = events.LambdaFunctionURLRequest{
		Version: "2.0", RawPath: path, RawQueryString: query, Headers: headers, Body: string(body),
		RequestContext: events.LambdaFunctionURLRequestContext{DomainName: "abc.example.com", RequestID: "1",
			HTTP: events.LambdaFunctionURLRequestContextHTTPDescription{Method: method, Path: path, Protocol: "HTTP/1.1", SourceIP: "203.0.113.9"}},
	}
	if h.calls%2 == 0 {
		event = events.APIGatewayV2HTTPRequest{
			Version: "2.0", RouteKey: "$default", RawPath: path, RawQueryString: query, Headers: headers, Cookies: []string{"a=b"},
			Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
			RequestContext: events.APIGatewayV2HTTPRequestContext{RouteKey: "$default", Stage: "$default", DomainName: "abc.example.com",
				HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: path, Protocol: "HTTP/1.1", SourceIP: "203.0.113.9"}},
		}
	}
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(h.invoke(t, event), &response); err != nil {
		t.Fatal(err)
	}
	if response.IsBase64Encoded {
		answer, err := base64.StdEncoding.DecodeString(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, answer
	}
	return response.StatusCode, []byte(response.Body)
}

func (h *lambdaHost) tick(t *testing.T) {
	t.Helper()
	h.ticks++
	var event any = map[string]string{"rekey": "rotate-due"}
	if h.ticks%2 == 0 {
		event = events.CloudWatchEvent{
			Version: "0", ID: "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", DetailType: "Scheduled Event", Source: "aws.events",
			AccountID: "123456789012", Time: time.Now().UTC(), Region: region,
			Resources: []string{"arn:aws:events:eu-central-1:123456789012:rule/rekey"}, Detail: json.RawMessage(`{}`),
		}
	}
	if result := h.invoke(t, event); !strings.Contains(string(result), `"passes":`) {
		t.Fatalf("tick: %s", result)
	}
}

func (h *lambdaHost) invoke(t *testing.T, event any) []byte {
	t.Helper()
	data, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	result, err := h.Invoke(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// account is the world with an AWS account beside it, whose role Rekey's identity is.
type account struct {
	*world
	sts *sts.Service
	url string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	w := newWorld(t)
	service, err := sts.New(sts.Config{Region: region, RoleARN: role})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := localtls.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := startTLS(t, ca, service)
	// Rekey trusts one file.
	file, err := os.OpenFile(w.CAFile, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Write(ca.PEM())
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.hide(service.SecretAccessKey)
	w.hide(service.SessionToken)
	return &account{w, service, server}
}

// start runs the package, with no secret of Azure's among its settings.
func (a *account) start(t *testing.T) *lambdaHost {
	t.Helper()
	env := slices.DeleteFunc(a.env(), func(e string) bool { return strings.HasPrefix(e, "AZURE_CLIENT_SECRET=") })
	r, err := lambdaruntime.Start(t.Context(), lambdaruntime.Config{
		Root: unpack(t, filepath.Join(packed(t), "rekey-lambda-"+runtime.GOARCH+".zip")), Env: append(env, "REKEY_STS_URL="+a.url),
		Region: region, AccessKeyID: a.sts.AccessKeyID, SecretAccessKey: a.sts.SecretAccessKey, SessionToken: a.sts.SessionToken,
		Timeout: 5 * time.Minute, InitTimeout: time.Minute, Output: a.world,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, a.output())
	}
	t.Cleanup(func() { r.Stop() })
	return &lambdaHost{Runtime: r}
}

func TestLambdaPackage(t *testing.T) {
	a := newAccount(t)
	if err := a.Directory.Federate(a.OwnClientID(), a.sts.FederatedCredential()); err != nil {
		t.Fatal(err)
	}
	h := a.start(t)
	a.scenario(t, h)
	if h.calls < 4 || h.ticks < 1 {
		t.Errorf("%d requests and %d ticks: not every kind of event was used", h.calls, h.ticks)
	}

	_, err := h.Invoke(t.Context(), []byte(`{"Records":[{"eventSource":"aws:sqs","body":"hidden"}]}`))
	if e, ok := errors.AsType[*lambdaruntime.FunctionError](err); !ok || !strings.Contains(e.Message, "unknown event") ||
		strings.Contains(e.Message, "hidden") {
		t.Errorf("an unknown event: %v", err)
	}
	if status, _ := h.call(t, "GET", "/health", nil, nil); status != http.StatusOK {
		t.Errorf("after an unknown event: %d", status)
	}
	// The timer's path is no path for requests.
	header := http.Header{"X-Azure-Functions-Invocationid": {"0f8fad5b-d9cb-469f-a165-70867728950e"}}
	status, _ := h.call(t, "POST", "/rotatedue", header, []byte(`{"Data":{}}`))
	if status != http.StatusUnauthorized && status != http.StatusNotFound {
		t.Errorf("a request that pretends to be a tick: %d", status)
	}
}

// Without its federated credential Rekey has no identity, says why, and starts to work
// once it has one.
func TestLambdaIdentity(t *testing.T) {
	a := newAccount(t)
	h := a.start(t)
	app, err := a.AddSample("billing")
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := a.try(t, h, "POST", "/azure-client-secrets", creation(app)); status < 500 {
		t.Fatalf("without an identity: %d %s", status, answer)
	}
	if !strings.Contains(a.output(), "no token for Rekey's own identity") {
		t.Errorf("the log does not say why:\n%s", a.output())
	}
	if live := a.Directory.Passwords(app.ObjectID); len(live) != 1 || live[0].KeyID != app.KeyID {
		t.Errorf("live are %+v", live)
	}
	if err := a.Directory.Federate(a.OwnClientID(), a.sts.FederatedCredential()); err != nil {
		t.Fatal(err)
	}
	a.ask(t, h, "POST", "/azure-client-secrets", creation(app))
	a.checkLog(t)
}
