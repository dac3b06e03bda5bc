package graph

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"rekey/shared/serviceerror"

	khttp "github.com/microsoft/kiota-http-go"
)

// call is one operation on its way through the SDK, and what became of it.
type call struct {
	op        string
	write     bool
	sent      bool
	status    int
	requestID string
}

type callKey struct{}

// into attaches c to the context under which the SDK sends the request.
func (c *call) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// failure makes the error of a call out of what the SDK returned. What the gate
// made is passed on. Everything else is something that went wrong on the way, or an
// answer that the SDK could not read; nothing of such an error is passed on.
func (c *call) failure(err error) error {
	if e, ok := errors.AsType[*serviceerror.Error](err); ok {
		return e
	}
	class := serviceerror.Transient
	if errors.Is(err, errForeignHost) {
		class = serviceerror.Invalid
	}
	return &serviceerror.Error{
		Op: c.op, Class: class, Status: c.status, RequestID: c.requestID,
		UnknownOutcome: c.write && c.sent,
	}
}

// incomplete is the error of a success whose answer lacks what matters.
func (c *call) incomplete() error { return c.failure(errors.New("incomplete answer")) }

// gate is the innermost middleware: it sees each request as it is sent, and each
// answer before the SDK does.
type gate struct{ clock func() time.Time }

// maxBody bounds what is read of an error's body.
const maxBody = 64 << 10

// Intercept implements the SDK's Middleware.
func (g *gate) Intercept(pipeline khttp.Pipeline, index int, r *http.Request) (*http.Response, error) {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("a request outside of any call")
	}
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		return nil, &serviceerror.Error{Op: c.op, Class: serviceerror.Invalid, Detail: "request without a token, not sent"}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if err := measure(r); err != nil {
		return nil, err
	}
	c.sent = true
	reply, err := pipeline.Next(r, index)
	if err != nil {
		return nil, err
	}
	c.status, c.requestID = reply.StatusCode, serviceerror.Printable(reply.Header.Get("request-id"))
	if reply.StatusCode >= 200 && reply.StatusCode < 300 {
		return reply, nil
	}
	defer reply.Body.Close()
	return nil, g.refusal(c, reply)
}

// measure sets the length of the body, which the SDK leaves to chunked encoding.
func measure(r *http.Request) error {
	body, ok := r.Body.(io.Seeker)
	if !ok {
		return nil
	}
	n, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	_, err = body.Seek(0, io.SeekStart)
	r.ContentLength = n
	return err
}

// refusal makes the error of an answer that is no success.
func (g *gate) refusal(c *call, reply *http.Response) *serviceerror.Error {
	var body struct {
		Error struct {
			Code       string `json:"code"`
			Message    string `json:"message"`
			InnerError struct {
				RequestID string `json:"request-id"`
			} `json:"innerError"`
		} `json:"error"`
	}
	if data, err := io.ReadAll(io.LimitReader(reply.Body, maxBody)); err != nil || json.Unmarshal(data, &body) != nil {
		body.Error.Code, body.Error.Message = "", ""
	}
	e := &serviceerror.Error{
		Op: c.op, Status: reply.StatusCode, Code: serviceerror.Printable(body.Error.Code), RequestID: c.requestID,
		RetryAfter: serviceerror.RetryAfter(reply.Header, g.clock()),
	}
	if e.RequestID == "" {
		e.RequestID = serviceerror.Printable(body.Error.InnerError.RequestID)
	}
	e.Class = classify(e.Status, e.Code, body.Error.Message)
	if e.Class == serviceerror.Transient && e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0 {
		e.Class = serviceerror.Throttled
	}
	if e.Class == serviceerror.PolicyLifetime || e.Class == serviceerror.PolicyForbidden {
		e.Detail = policyOf(body.Error.Message)
	}
	e.UnknownOutcome = c.write && !definite(e.Status, e.Code)
	return e
}

// definite reports whether Graph itself refused, so that nothing was changed. A 5xx
// comes after a committed write, too; a 4xx without Graph's code may come from a
// proxy on the way (rule R1).
func definite(status int, code string) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && code != ""
}

// classify says what a refusal means. Codes are from learn.microsoft.com/graph/errors
// and from field reports that the tests name; messages are looked at in
// [saysCredentialMissing] and [saysConcurrent] only.
func classify(status int, code, message string) serviceerror.Class {
	switch {
	case status == http.StatusTooManyRequests:
		return serviceerror.Throttled
	case !definite(status, code):
		return serviceerror.Transient
	case code == "CredentialInvalidLifetimeAsPerAppPolicy":
		return serviceerror.PolicyLifetime
	case code == "CredentialTypeNotAllowedAsPerAppPolicy":
		return serviceerror.PolicyForbidden
	case code == "Directory_ResourceSizeExceeded", code == "TooManyAppPasswords":
		return serviceerror.Full
	case code == "Directory_ConcurrencyViolation", (status == 400 || status == 409) && saysConcurrent(message):
		return serviceerror.Concurrency
	case status == http.StatusBadRequest && saysCredentialMissing(message):
		return serviceerror.CredentialMissing
	case status == http.StatusUnauthorized:
		return serviceerror.CredentialInvalid
	case status == http.StatusForbidden:
		return serviceerror.Permission
	case status == http.StatusNotFound:
		return serviceerror.ApplicationMissing
	}
	return serviceerror.Invalid
}

// saysCredentialMissing and saysConcurrent recognise two answers by their message:
// the first has the code of every malformed request (Request_BadRequest), and the
// second comes with several codes and as 400, too.
func saysCredentialMissing(message string) bool {
	return strings.Contains(strings.ToLower(message), "no password credential found with keyid")
}

func saysConcurrent(message string) bool {
	return strings.Contains(strings.ToLower(message), "concurrent requests being made to the tenant")
}

var policyID = regexp.MustCompile(`policy '([0-9a-fA-F-]{36})'`)

// policyOf finds the id of the policy that refused; empty if it is not named.
func policyOf(message string) string {
	if m := policyID.FindStringSubmatch(message); m != nil {
		return "policy " + m[1]
	}
	return ""
}
