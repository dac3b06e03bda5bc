package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/answer"
	"rekey/shared/rotation"
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
type identityError struct{ failure rotation.Error }

func (e *identityError) Error() string { return "getting a token for the vault: " + e.failure.Error() }

// NonRetriable tells azcore that the credential has done its own repetitions.
func (e *identityError) NonRetriable() {}

func (i identity) failure(err error) *identityError {
	out := rotation.Error{Class: rotation.Transient, Detail: "no token for the vault"}
	refused, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || refused.RawResponse == nil {
		return &identityError{out}
	}
	resp := refused.RawResponse
	out.Status = resp.StatusCode
	out.RetryAfter = answer.RetryAfter(resp.Header, i.now())
	out.RequestID = answer.Printable(resp.Header.Get("x-ms-request-id"))
	switch {
	case out.Status == http.StatusTooManyRequests:
		out.Class = rotation.Throttled
	case out.Status >= 400 && out.Status < 500:
		out.Class = rotation.VaultRefused
	}
	var body struct {
		Codes []int `json:"error_codes"`
	}
	if err := json.Unmarshal(readBody(resp), &body); err == nil && len(body.Codes) > 0 {
		out.Code = fmt.Sprintf("AADSTS%d", body.Codes[0])
	}
	return &identityError{out}
}
