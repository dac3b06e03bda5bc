package entra

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// classes says what the AADSTS codes that we tell apart mean. The codes are
// documented at learn.microsoft.com/entra/identity-platform/reference-error-codes,
// with the advice not to depend on them; but OAuth's own errors cannot tell a wrong
// secret from an expired one. A code that is not here is [serviceerror.CredentialInvalid].
var classes = map[int]serviceerror.Class{
	7000215: serviceerror.CredentialRefused,
	7000222: serviceerror.CredentialExpired,
	700016:  serviceerror.ApplicationMissing,
	90002:   serviceerror.TenantMissing,
	900023:  serviceerror.TenantMissing,      // no valid tenant identifier
	700027:  serviceerror.CertificateRefused, // not registered, or not its signature
	50012:   serviceerror.CertificateRefused,
	700024:  serviceerror.CertificateRefused, // not within its valid time range
	50076:   serviceerror.CredentialInvalid,  // this and the next ones by their causes; see package serviceerror
	50078:   serviceerror.CredentialInvalid,
	50079:   serviceerror.CredentialInvalid,
	70043:   serviceerror.CredentialInvalid,
	53003:   serviceerror.CredentialInvalid,
	53000:   serviceerror.CredentialInvalid,
	53001:   serviceerror.CredentialInvalid,
	50105:   serviceerror.CredentialInvalid,
	7000112: serviceerror.CredentialInvalid,
	50196:   serviceerror.Throttled, // a loop of requests: no verdict on the credential
	50033:   serviceerror.Transient,
	90024:   serviceerror.Transient,
	90033:   serviceerror.Transient,
	90055:   serviceerror.Throttled,
}

// maxBody bounds what is read of an error's body.
const maxBody = 64 << 10

// failure makes the error of a token that was not issued. A request for a token
// changes nothing, so its outcome is never of importance.
func (a *Authority) failure(err error) *serviceerror.Error {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		// No answer, or one that MSAL could not make sense of.
		return &serviceerror.Error{Op: op, Class: serviceerror.Transient}
	}
	e, _ := a.refusal(op, failed.RawResponse)
	return e
}

// refusalBody is what is read of an error's body.
type refusalBody struct {
	Error    string `json:"error"`
	SubError string `json:"suberror"`
	Codes    []int  `json:"error_codes"`
	TraceID  string `json:"trace_id"`
}

// refusal describes an answer that is no token.
func (a *Authority) refusal(op string, reply *http.Response) (*serviceerror.Error, refusalBody) {
	e := &serviceerror.Error{
		Op:         op,
		Status:     reply.StatusCode,
		RequestID:  serviceerror.Printable(reply.Header.Get("x-ms-request-id")),
		RetryAfter: serviceerror.RetryAfter(reply.Header, a.now()),
	}
	var body refusalBody
	if data, err := io.ReadAll(io.LimitReader(reply.Body, maxBody)); err != nil || json.Unmarshal(data, &body) != nil {
		body = refusalBody{}
	}
	if e.RequestID == "" {
		e.RequestID = serviceerror.Printable(body.TraceID)
	}
	e.Class, e.Code = classify(reply.StatusCode, body.Error, body.Codes)
	if e.Class == serviceerror.Transient && reply.StatusCode == http.StatusServiceUnavailable && e.RetryAfter > 0 {
		e.Class = serviceerror.Throttled
	}
	if e.Code == serviceerror.LoopDetected {
		e.RetryAfter = max(e.RetryAfter, serviceerror.LoopPause)
	}
	return e, body
}

// classify fails closed: a refusal is believed only if it has the form of Entra's,
// since a proxy's 403 says nothing about a secret.
func classify(status int, name string, codes []int) (serviceerror.Class, string) {
	code := serviceerror.Printable(name)
	class, known := serviceerror.CredentialInvalid, false
	for _, n := range codes {
		if c, ok := classes[n]; ok {
			class, code, known = c, "AADSTS"+strconv.Itoa(n), true
			break
		}
	}
	if !known && len(codes) > 0 {
		code = "AADSTS" + strconv.Itoa(codes[0])
	}
	switch {
	case status == http.StatusTooManyRequests:
		return serviceerror.Throttled, code
	case status < 400 || status >= 500 || status == http.StatusRequestTimeout || code == "":
		return serviceerror.Transient, code
	case !known && (name == "temporarily_unavailable" || name == "server_error"):
		return serviceerror.Transient, code
	}
	return class, code
}
