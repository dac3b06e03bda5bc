// Package webidentity gets from AWS the token with which a function's role signs in
// to Entra, so that Rekey needs no stored Azure secret on AWS Lambda.
//
// AWS signs the token, and Entra accepts it in the place of a client secret if the
// application has a federated credential that names its issuer, its subject (the
// role) and its audience. It is asked for anew each time, lives for five minutes,
// and is never kept or logged. An error holds nothing of what AWS wrote but codes.
package webidentity

import (
	"context"
	"errors"
	"net/http"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// Audience is the one that Entra wants in the assertions of other issuers. Source:
// learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations.
const Audience = "api://AzureADTokenExchange"

// Entra accepts RS256 only, of the two algorithms that AWS offers.
const algorithm = "RS256"

// lifetime is in seconds. Entra sees the token within moments; this is AWS's default.
const lifetime = 300

// Config says who asks, and where.
type Config struct {
	// Region is the AWS region whose Security Token Service is asked, at
	// sts.<region>.amazonaws.com: the global one has no such tokens.
	Region string
	// AccessKeyID, SecretAccessKey and SessionToken are the role's credentials,
	// which Lambda gives to an environment for its whole life.
	AccessKeyID     string
	SecretAccessKey secret.Value
	SessionToken    secret.Value
	// URL is the service's address if it is not the region's own. Optional.
	URL string
	// HTTPClient makes the requests; nil: http.DefaultClient. Redirects are not
	// followed, since the request is signed for one host.
	HTTPClient *http.Client
	// MaxBackoff bounds the pauses before the two repetitions that a throttled or
	// failed request gets; 0: the library's 20 seconds.
	MaxBackoff time.Duration
}

// Source gets tokens. It is safe for concurrent use.
type Source struct{ client *sts.Client }

// New returns a Source. It sends no request.
func New(c Config) *Source {
	client := http.Client{}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	options := sts.Options{
		Region:     c.Region,
		HTTPClient: &client,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			if c.MaxBackoff > 0 {
				o.MaxBackoff = c.MaxBackoff
			}
		}),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(),
				SessionToken: c.SessionToken.Reveal()}, nil
		}),
	}
	if c.URL != "" {
		options.BaseEndpoint = aws.String(c.URL)
	}
	return &Source{sts.New(options)}
}

// Assertion returns a fresh token for Entra. The error is a [*serviceerror.Error].
func (s *Source) Assertion(ctx context.Context) (string, error) {
	out, err := s.client.GetWebIdentityToken(ctx, &sts.GetWebIdentityTokenInput{
		Audience: []string{Audience}, SigningAlgorithm: aws.String(algorithm), DurationSeconds: aws.Int32(lifetime),
	})
	if err != nil {
		return "", failure(err)
	}
	if aws.ToString(out.WebIdentityToken) == "" {
		return "", &serviceerror.Error{Op: op, Class: serviceerror.Invalid, Detail: "an answer without a token"}
	}
	return *out.WebIdentityToken, nil
}

const op = "getting the role's token from AWS STS"

// failure keeps of an error of the library what has the form of a code. Its text
// names hosts, and quotes what AWS wrote.
func failure(err error) *serviceerror.Error {
	e := &serviceerror.Error{Op: op, Class: serviceerror.Transient}
	if coded, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code = serviceerror.Printable(coded.ErrorCode())
	}
	resp, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok {
		return e
	}
	e.Status, e.RequestID = resp.HTTPStatusCode(), serviceerror.Printable(resp.ServiceRequestID())
	_, throttled := retry.DefaultThrottleErrorCodes[e.Code]
	switch {
	case throttled, e.Status == http.StatusTooManyRequests:
		e.Class = serviceerror.Throttled
	case e.Status >= 300 && e.Status < 500:
		e.Class = serviceerror.Invalid
	}
	return e
}
