package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// identity marks the failures of a credential, so that a call that never reached
// the vault, for want of a token, is not taken for a write of unknown outcome.
type identity struct {
	inner azcore.TokenCredential
	now   func() time.Time
}

// GetToken asks the credential.
func (i identity) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := i.inner.GetToken(ctx, options)
	if err != nil {
		return azcore.AccessToken{}, i.failure(err)
	}
	return token, nil
}

// identityError says that Rekey itself got no token for the vault. Its class is
// never one of those about a connection's credential, which would be blamed.
type identityError struct{ failure serviceerror.Error }

func (e *identityError) Error() string { return "getting a token for the vault: " + e.failure.Error() }

// NonRetriable tells azcore that the credential has done its own repetitions.
func (e *identityError) NonRetriable() {}

func (i identity) failure(err error) *identityError {
	out := serviceerror.Error{Class: serviceerror.Transient, Detail: "no token for the vault"}
	refused, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || refused.RawResponse == nil {
		return &identityError{out}
	}
	resp := refused.RawResponse
	out.Status = resp.StatusCode
	out.RetryAfter = serviceerror.RetryAfter(resp.Header, i.now())
	out.RequestID = serviceerror.Printable(resp.Header.Get("x-ms-request-id"))
	switch {
	case out.Status == http.StatusTooManyRequests:
		out.Class = serviceerror.Throttled
	case out.Status >= 400 && out.Status < 500:
		out.Class = serviceerror.VaultRefused
	}
	var body struct {
		Codes []int `json:"error_codes"`
	}
	if err := json.Unmarshal(readBody(resp), &body); err == nil && len(body.Codes) > 0 {
		out.Code = fmt.Sprintf("AADSTS%d", body.Codes[0])
	}
	if out.Code == serviceerror.LoopDetected {
		out.Class, out.RetryAfter = serviceerror.Throttled, max(out.RetryAfter, serviceerror.LoopPause)
	}
	return &identityError{out}
}
