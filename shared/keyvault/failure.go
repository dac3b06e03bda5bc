package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// access says whether a failed call may have changed something.
type access bool

const (
	read  access = false
	write access = true
)

// The codes in innererror that stand for a state which ends by itself.
const (
	beingDeleted   = "ObjectIsBeingDeleted"
	beingRecovered = "ObjectIsBeingRecovered"
)

// failure makes an error that is safe to print from an SDK error. It takes a
// status, codes, a request id and a pause out of err, each only if it has the
// expected form, and lets the rest go; what it does not know is a transient
// failure that may have been applied.
func (v *Vault) failure(op string, a access, err error) error {
	if refused, ok := errors.AsType[*identityError](err); ok {
		out := refused.failure
		out.Op = op
		return &out
	}
	resp, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return &serviceerror.Error{Op: op, Class: serviceerror.Transient, UnknownOutcome: bool(a)}
	}
	out := &serviceerror.Error{
		Op:     op,
		Status: resp.StatusCode,
		Code:   serviceerror.Printable(resp.ErrorCode),
		Detail: innerCode(resp.RawResponse),
	}
	if resp.RawResponse != nil {
		out.RequestID = serviceerror.Printable(resp.RawResponse.Header.Get("x-ms-request-id"))
		out.RetryAfter = serviceerror.RetryAfter(resp.RawResponse.Header, v.now())
	}
	// Key Vault names what it did not find; a bare 404 comes from elsewhere, such as a
	// proxy, and is no reason to believe that a secret is gone.
	if out.Status == http.StatusNotFound && out.Code != "" {
		return fmt.Errorf("%s: %w", op, serviceerror.ErrNotFound)
	}
	out.Class = classOf(out)
	// Without a final answer the vault may have done it: see package comment.
	out.UnknownOutcome = bool(a) && (out.Status >= 500 || out.Status == http.StatusRequestTimeout || out.Status < 400)
	return out
}

// at adds to an error of the vault which secret it is about.
func (v *Vault) at(err error, name, version string) error {
	if e, ok := errors.AsType[*serviceerror.Error](err); ok {
		e.Place = v.place(name, version)
	}
	return err
}

// place is a secret of this vault. A vault of Azure's goes by its name, like
// name.vault.azure.net.
func (v *Vault) place(name, version string) serviceerror.Place {
	vault, rest, _ := strings.Cut(v.host, ".")
	if !strings.HasPrefix(rest, "vault.") {
		vault = v.host
	}
	return serviceerror.Place{Vault: vault, Name: name, Version: version}
}

// missing says why a version that was written is not there. It asks once more, which costs
// nothing where all is well.
func (v *Vault) missing(ctx context.Context, op, name, version string) error {
	e := &serviceerror.Error{Op: op, Class: serviceerror.VaultMissing, Status: http.StatusNotFound, Place: v.place(name, version)}
	state, err := v.deletedState(ctx, name)
	if err != nil {
		return err
	}
	if state.Deleted {
		e.Detail = serviceerror.DetailSoftDeleted
	}
	return e
}

// classOf decides by status, and by code only where a 409 will pass by itself:
// a name stays blocked for some seconds after a recovery that reads already show
// (Azure/azure-sdk-for-net#31581).
func classOf(e *serviceerror.Error) serviceerror.Class {
	switch {
	case e.Status == http.StatusForbidden && e.Detail == serviceerror.DetailDisabled:
		return serviceerror.VaultDisabled
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return serviceerror.VaultRefused
	case e.Status == http.StatusConflict && (e.Detail == beingDeleted || e.Detail == beingRecovered):
		return serviceerror.Transient
	case e.Status == http.StatusConflict:
		return serviceerror.VaultConflict
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0:
		return serviceerror.Throttled
	case e.Status >= 500 || e.Status == http.StatusRequestTimeout || e.Status < 400:
		return serviceerror.Transient
	}
	return serviceerror.Invalid
}

// innerCode reads the specific code of Key Vault's error envelope,
// {"error":{"code","message","innererror":{"code"}}}; empty if there is none. The
// SDK keeps the body so that it can be read again.
func innerCode(resp *http.Response) string {
	if resp == nil || resp.Body == nil {
		return ""
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return ""
	}
	var envelope struct {
		Error struct {
			Inner struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return ""
	}
	return serviceerror.Printable(envelope.Error.Inner.Code)
}

// maxBody is how much of an error's body is looked at.
const maxBody = 64 << 10

// readBody returns up to maxBody bytes of resp's body.
func readBody(resp *http.Response) []byte {
	if resp == nil || resp.Body == nil {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil
	}
	return body
}
