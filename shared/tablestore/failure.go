package tablestore

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Whether a call that fails may have changed something.
const (
	read  = false
	write = true
)

// outcome turns an error of the SDK into one that is safe to print. Nothing of the
// SDK's text is kept, because it renders addresses and bodies.
func outcome(op string, write bool, err error) *serviceerror.Error {
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answered(op, write, r.StatusCode, r.ErrorCode, header(r.RawResponse))
	}
	if a, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		return unauthenticated(op, a)
	}
	return &serviceerror.Error{Op: op, Class: serviceerror.Transient, UnknownOutcome: write}
}

// answered describes an answer with a status of 400 or more; for a transaction
// that is the inner one.
func answered(op string, write bool, status int, code string, h http.Header) *serviceerror.Error {
	e := &serviceerror.Error{Op: op, Class: serviceerror.Invalid, Status: status, Code: serviceerror.Printable(code)}
	e.RequestID, e.RetryAfter = serviceerror.Printable(h.Get("x-ms-request-id")), pause(h)
	switch {
	case e.Code == "" && status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		// The table names a code with every refusal. This is something in front of
		// it, and a 404 of a proxy must not be read as "no such connection".
		e.Class, e.Status, e.Detail = serviceerror.Transient, 0, "status "+strconv.Itoa(status)+" without a code"
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		e.Class = serviceerror.Throttled
	case status == http.StatusRequestTimeout, status >= 500, status < 400:
		e.Class = serviceerror.Transient
	}
	// A 429 was turned away at the door. Anything else that is not a definite
	// answer may have come after the write.
	e.UnknownOutcome = write && e.Class != serviceerror.Invalid && status != http.StatusTooManyRequests
	return e
}

// unauthenticated is when Rekey's own identity got no token; nothing was sent.
func unauthenticated(op string, a *azidentity.AuthenticationFailedError) *serviceerror.Error {
	e := &serviceerror.Error{Op: op, Class: serviceerror.Transient, Detail: "no token for Rekey's own identity"}
	if a.RawResponse == nil {
		return e
	}
	e.Status, e.RetryAfter = a.RawResponse.StatusCode, pause(a.RawResponse.Header)
	switch {
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0:
		e.Class = serviceerror.Throttled
	case e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout:
		e.Class = serviceerror.Invalid
	}
	return e
}

// pause is how long the service asks to wait, in seconds or milliseconds; it sends no
// dates.
func pause(h http.Header) time.Duration { return serviceerror.RetryAfter(h, time.Time{}) }

// header returns resp's header; empty if there is no answer.
func header(resp *http.Response) http.Header {
	if resp == nil {
		return nil
	}
	return resp.Header
}

// plain returns e as an error, nil if there is none: a nil *serviceerror.Error must
// not become an error that is not nil.
func plain(e *serviceerror.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// refused is a failure of our own making: what was to be written breaks a limit.
func refused(op, code, detail string) *serviceerror.Error {
	return &serviceerror.Error{Op: op, Class: serviceerror.Invalid, Code: code, Detail: detail}
}
