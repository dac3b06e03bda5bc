package directory

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// entraError is a refusal by Entra, as JSON, in a redirect or on a page. All of its codes and texts are
// seen in the wild or documented at
// learn.microsoft.com/entra/identity-platform/reference-error-codes.
type entraError struct {
	code   int // AADSTS number
	status int
	name   string // OAuth error
	text   string
	sub    string // suberror
}

var entraErrors = map[int]entraError{
	7000215: {status: 401, name: "invalid_client", text: "Invalid client secret provided. " +
		"Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'."},
	7000222: {status: 401, name: "invalid_client", text: "The provided client secret keys for app '%s' are expired. Visit the Azure portal " +
		"to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: " +
		"https://aka.ms/certCreds."},
	7000218: {status: 401, name: "invalid_client",
		text: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
	700016: {status: 400, name: "unauthorized_client", text: "Application with identifier '%s' was not found in the directory '%s'. This " +
		"can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. " +
		"You may have sent your authentication request to the wrong tenant."},
	7000229: {status: 401, name: "invalid_client",
		text: "The client application %s is missing service principal in the tenant %s. See instructions here: " +
			"https://go.microsoft.com/fwlink/?linkid=2225119"},
	90002: {status: 400, name: "invalid_request", text: "Tenant '%s' not found. Check to make sure you have the correct tenant ID and " +
		"are signing into the correct cloud. Check with your subscription administrator, " +
		"this may happen if there are no active subscriptions for the tenant."},
	700027: {status: 401, name: "invalid_client", text: "The certificate with identifier used to sign the client assertion is %s on " +
		"application. [Reason - %s, Thumbprint of key used by client: '%s'%s, Please visit the Azure Portal, Graph Explorer or directly use " +
		"MS Graph to see configured keys for app Id '%s'.]"},
	50012: {status: 401, name: "invalid_client", text: "Authentication failed. [Reason - %s]"},
	70021: {status: 400, name: "invalid_request", text: "No matching federated identity record found for presented assertion. Assertion " +
		"Issuer: '%s'. Assertion Subject: '%s'. Assertion Audience: '%s'. " +
		"https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation"},
	50013:  {status: 401, name: "invalid_client", text: "Assertion failed signature validation. [Reason - %s]"},
	700024: {status: 401, name: "invalid_client", text: "Client assertion is not within its valid time range."},
	70011: {status: 400, name: "invalid_scope", text: "The provided request must include a 'scope' input parameter. " +
		"The provided value for the input parameter 'scope' is not valid. The scope %s is not valid."},
	70003:   {status: 400, name: "unsupported_grant_type", text: "The app requested an unsupported grant type '%s'."},
	900144:  {status: 400, name: "invalid_request", text: "The request body must contain the following parameter: '%s'."},
	9000411: {status: 400, name: "invalid_request", text: "The request is not properly formatted. The parameter '%s' is duplicated."},
	90023: {status: 400, name: "invalid_request",
		text: "The request is not valid: the parameter '%s' is unknown or has a value that is not supported."},
	70005:  {status: 400, name: "unsupported_response_type", text: "The response type '%s' is not supported for this application."},
	70007:  {status: 400, name: "invalid_request", text: "'%s' is not a supported value of 'response_mode' when requesting a token."},
	50149:  {status: 400, name: "invalid_request", text: "Invalid Code_Challenge_method parameter."},
	501491: {status: 400, name: "invalid_request", text: "Invalid size of Code_Challenge parameter."},
	50011: {status: 400, name: "invalid_request", text: "The redirect URI '%s' specified in the request does not match the redirect URIs " +
		"configured for the application '%s'. Make sure the redirect URI sent in the request matches one added to your application in the " +
		"Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to troubleshoot this error."},
	900971: {status: 400, name: "invalid_request", text: "No reply address provided."},
	50194: {status: 400, name: "invalid_request", text: "Application '%s'(%s) is not configured as a multi-tenant application. Usage of " +
		"the /common endpoint is not supported for such apps created after '10/15/2018'. " +
		"Use a tenant-specific endpoint or configure the application to be multi-tenant."},
	50034: {status: 400, name: "invalid_grant", text: "The user account %s does not exist in the %s directory. " +
		"To sign into this application, the account must be added to the directory."},
	50057: {status: 400, name: "invalid_grant", text: "The user account is disabled."},
	50058: {status: 400, name: "login_required", text: "A silent sign-in request was sent but no user is signed in."},
	650053: {status: 400, name: "invalid_client", text: "The application '%s' asked for scope '%s' that doesn't exist on the resource " +
		"'00000003-0000-0000-c000-000000000000'. Contact the app vendor."},
	65001: {status: 400, name: "invalid_grant", sub: "consent_required", text: "The user or administrator has not consented to use the " +
		"application with ID '%s' named '%s'. Send an interactive authorization request for this user and resource."},
	65004: {status: 400, name: "access_denied", text: "The resource owner or authorization server denied the request."},
	90094: {status: 400, name: "access_denied", text: "AdminConsentRequired - Administrator consent is required."},
	54005: {status: 400, name: "invalid_grant",
		text: "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."},
	70000: {status: 400, name: "invalid_grant", text: "The provided value for the '%s' parameter isn't valid."},
	700005: {status: 400, name: "invalid_grant", text: "The provided authorization code is intended to use against other tenant, thus was " +
		"rejected. OAuth2 Authorization Code must be redeemed against same tenant it was acquired for (/common or /{tenant-ID} as appropriate)."},
	70008: {status: 400, name: "invalid_grant", text: "The provided authorization code or refresh token has expired due to inactivity. " +
		"Send a new interactive authorization request for this user and resource."},
	700082: {status: 400, name: "invalid_grant", sub: "bad_token",
		text: "The refresh token has expired due to inactivity. The token was issued on %s and was inactive for 90.00:00:00."},
	50173: {status: 400, name: "invalid_grant", text: "The provided grant has expired due to it being revoked, a fresh auth token is " +
		"needed. The user might have changed or reset their password."},
	500112: {status: 401, name: "invalid_client",
		text: "The reply address '%s' does not match the reply address '%s' provided when requesting Authorization code."},
	50148: {status: 400, name: "invalid_grant",
		text: "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE."},
	501481: {status: 400, name: "invalid_grant",
		text: "The Code_Verifier does not match the code_challenge supplied in the authorization request."},
	50076: {status: 400, name: "invalid_grant", sub: "basic_action", text: "Due to a configuration change made by your administrator, or " +
		"because you moved to a new location, you must use multi-factor authentication to access '%s'."},
	50078: {status: 400, name: "invalid_grant", sub: "basic_action",
		text: "Presented multi-factor authentication has expired due to policies configured by your administrator, you must refresh your " +
			"multi-factor authentication to access '%s'."},
	70043: {status: 400, name: "invalid_grant", sub: "token_expired",
		text: "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access."},
	53003: {status: 400, name: "invalid_grant", sub: "message_only",
		text: "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
	53000: {status: 400, name: "invalid_grant", sub: "message_only",
		text: "Device is not in required device state: {state}. Conditional Access policy " +
			"requires a compliant device, and the device is not compliant."},
	50105: {status: 400, name: "invalid_grant",
		text: "Your administrator has configured the application '%s' to block users unless they are " +
			"specifically granted ('assigned') access to the application."},
	50196: {status: 400, name: "invalid_grant", text: "The server terminated an operation because it encountered a client request loop. " +
		"Please contact your app vendor."},
	7000112: {status: 401, name: "unauthorized_client", text: "Application '%s'(%s) is disabled."},
	90055: {status: 429, name: "temporarily_unavailable",
		text: "There are too many incoming requests. This exception is thrown for blocked tenants."},
	90033: {status: 503, name: "temporarily_unavailable", text: "A transient error has occurred. Please try again."},
}

// refuse makes the error with that AADSTS number, which is in the table.
func refuse(code int, args ...any) *entraError {
	e := entraErrors[code]
	e.code = code
	e.text = fmt.Sprintf(e.text, args...)
	return &e
}

// failEntra writes an error that the hook asked for.
func (d *Directory) failEntra(w http.ResponseWriter, status int, code, message string) {
	d.writeEntraError(w, injected(status, code, message))
}

// injected is an error that the hook asked for.
func injected(status int, code, message string) *entraError {
	e := entraError{code: 90033, status: status, name: "server_error", text: message}
	if status == http.StatusTooManyRequests {
		e.code, e.name = 90055, "temporarily_unavailable"
	}
	if n := 0; code != "" {
		if _, err := fmt.Sscanf(strings.TrimPrefix(code, "AADSTS"), "%d", &n); err == nil {
			e.code, e.name = n, "invalid_client"
			if known, ok := entraErrors[n]; ok {
				e.name, e.sub = known.name, known.sub
			}
		} else {
			e.name = code
		}
	}
	return &e
}

// describe is the error_description.
func (e *entraError) describe(at time.Time, trace, correlation string) string {
	return fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
		e.code, e.text, trace, correlation, at.Format(errorTime))
}

// uri is the page about the error.
func (e *entraError) uri() string {
	return fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", e.code)
}

// errorTime is how Entra writes the time of an error.
const errorTime = "2006-01-02 15:04:05Z"

func (d *Directory) writeEntraError(w http.ResponseWriter, e *entraError) {
	trace, correlation, at := newGUID(), newGUID(), d.config.now()
	body := map[string]any{
		"error": e.name, "error_description": e.describe(at, trace, correlation), "error_codes": []int{e.code},
		"timestamp": at.Format(errorTime), "trace_id": trace, "correlation_id": correlation, "error_uri": e.uri(),
	}
	if e.sub != "" {
		body["suberror"] = e.sub
	}
	w.Header().Set("x-ms-request-id", trace)
	w.Header().Set("Cache-Control", "no-store, no-cache")
	writeJSON(w, e.status, body)
}
