// Package sts is an emulated AWS Security Token Service that knows one role and one
// operation, GetWebIdentityToken, so that Rekey's way of signing in to Entra from AWS
// Lambda can be run on one machine, with the real client of AWS.
//
// It accepts only what the real one would: a request signed for its region with the
// role's credentials, the session token included. Its tokens are signed by RS256, and
// the emulated directory accepts them through [Service.FederatedCredential].
//
// Not verified against the real service, and assumed here: the exact texts of errors,
// and that the real one refuses anything of the request that this one refuses.
package sts

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// OpGetWebIdentityToken is the operation that [Config.Hook] is asked about.
const OpGetWebIdentityToken = "sts.getWebIdentityToken"

// Config says how the service behaves.
type Config struct {
	Region  string // required
	RoleARN string // the one role that it knows, and the subject of its tokens
	// Disabled is an account in which outbound web identity federation is off.
	Disabled bool
	Hook     fault.Hook       // makes calls fail; nil never does
	Now      func() time.Time // nil: time.Now
}

// Service is the service. It has to be reached by https.
type Service struct {
	// The role's credentials, made anew for each Service.
	AccessKeyID, SecretAccessKey, SessionToken string
	// Issuer of the tokens, one of the account's own.
	Issuer string

	config Config
	key    *rsa.PrivateKey
	keyID  string
}

// New makes a Service.
func New(c Config) (*Service, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the key that signs tokens: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{
		AccessKeyID: "ASIA" + rand.Text()[:16], SecretAccessKey: rand.Text() + rand.Text(),
		SessionToken: "IQoJb3JpZ2luX2Vj/" + rand.Text() + "+==",
		Issuer:       "https://" + strings.ToLower(rand.Text()) + ".tokens.sts.global.api.aws",
		config:       c, key: key, keyID: rand.Text(),
	}, nil
}

// FederatedCredential is what an application needs to have so that the role may sign
// in as it.
func (s *Service) FederatedCredential() directory.FederatedCredential {
	return directory.FederatedCredential{
		Issuer: s.Issuer, Subject: s.config.RoleARN, Audience: "api://AzureADTokenExchange",
		Key: func(id string) *rsa.PublicKey {
			if id != s.keyID {
				return nil
			}
			return &s.key.PublicKey
		},
	}
}

// refusal is an error of the service.
type refusal struct {
	status        int
	code, message string
}

// ServeHTTP answers the Query protocol: a form in, XML out.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault.Serve(s.config.Hook, OpGetWebIdentityToken, w, r, s.serve, func(w http.ResponseWriter, status int, code, message string) {
		writeRefusal(w, &refusal{status, code, message})
	})
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		writeRefusal(w, &refusal{413, "RequestEntityTooLarge", "The request is too large."})
		return
	}
	if refused := s.authenticate(r, body); refused != nil {
		writeRefusal(w, refused)
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		writeRefusal(w, &refusal{400, "MalformedQueryString", "The request is not a form that is posted to /."})
		return
	}
	token, expires, refused := s.token(form)
	if refused != nil {
		writeRefusal(w, refused)
		return
	}
	writeXML(w, http.StatusOK, struct {
		XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetWebIdentityTokenResponse"`
		Token     string   `xml:"GetWebIdentityTokenResult>WebIdentityToken"`
		Expires   string   `xml:"GetWebIdentityTokenResult>Expiration"`
		RequestID string   `xml:"ResponseMetadata>RequestId"`
	}{Token: token, Expires: expires.UTC().Format(time.RFC3339), RequestID: requestID()})
}

// authenticate checks who signed the request, and all of it.
func (s *Service) authenticate(r *http.Request, body []byte) *refusal {
	if len(r.Header.Values("Authorization")) != 1 {
		return &refusal{403, "MissingAuthenticationToken", "Request is missing Authentication Token"}
	}
	a, ok := parseAuthorization(r.Header.Get("Authorization"))
	at, err := time.Parse(dateTime, r.Header.Get("X-Amz-Date"))
	if !ok || err != nil || a.date != at.Format("20060102") {
		return &refusal{400, "IncompleteSignature", "The request signature does not conform to AWS standards."}
	}
	for _, name := range []string{"host", "content-type", "x-amz-date", "x-amz-security-token"} {
		if !slices.Contains(a.signedHeaders, name) || !slices.IsSorted(a.signedHeaders) {
			return &refusal{403, "SignatureDoesNotMatch", "The header " + name + " has to be signed, and the names have to be in order."}
		}
	}
	switch skew := s.config.Now().Sub(at).Abs(); {
	case a.accessKeyID != s.AccessKeyID, r.Header.Get("X-Amz-Security-Token") != s.SessionToken:
		return &refusal{403, "InvalidClientTokenId", "The security token included in the request is invalid."}
	case a.region != s.config.Region, a.service != "sts":
		return &refusal{403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region and to the service sts."}
	case skew > 5*time.Minute:
		return &refusal{403, "SignatureDoesNotMatch", "Signature expired or not yet current."}
	case !hmac.Equal([]byte(a.sign(r, body, s.SecretAccessKey)), []byte(a.signature)):
		return &refusal{403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."}
	}
	return nil
}

// token carries the operation out.
func (s *Service) token(form url.Values) (token string, expires time.Time, refused *refusal) {
	invalid := func(name string) (string, time.Time, *refusal) {
		return "", time.Time{}, &refusal{400, "ValidationError", "1 validation error detected: " + name}
	}
	known := []string{"Action", "Version", "Audience.member.1", "SigningAlgorithm", "DurationSeconds"}
	for name, values := range form {
		if !slices.Contains(known, name) || len(values) != 1 {
			return invalid(name)
		}
	}
	seconds := 300
	if text := form.Get("DurationSeconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 60 || seconds > 3600 {
			return invalid("DurationSeconds")
		}
	}
	switch {
	case form.Get("Action") != "GetWebIdentityToken", form.Get("Version") != "2011-06-15":
		return "", time.Time{}, &refusal{400, "InvalidAction", "Could not find operation for this version."}
	case form.Get("Audience.member.1") == "":
		return invalid("Audience")
	case form.Get("SigningAlgorithm") != "RS256": // ES384 exists, but is of no use to Entra
		return invalid("SigningAlgorithm")
	case s.config.Disabled:
		return "", time.Time{}, &refusal{403, "OutboundWebIdentityFederationDisabledException",
			"The outbound web identity federation feature is not enabled for this account."}
	}
	now := s.config.Now()
	expires = now.Add(time.Duration(seconds) * time.Second)
	return s.issue(form.Get("Audience.member.1"), now, expires), expires, nil
}

// issue signs a token as AWS describes them.
// Source: docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html.
func (s *Service) issue(audience string, now, expires time.Time) string {
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": s.keyID}
	claims := map[string]any{
		"iss": s.Issuer, "sub": s.config.RoleARN, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": expires.Unix(),
		"https://sts.amazonaws.com/": map[string]any{"source_region": s.config.Region, "principal_id": s.config.RoleARN},
	}
	signed := encode(header) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // the key is long enough for every digest
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(part map[string]any) string {
	data, err := json.Marshal(part)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func writeRefusal(w http.ResponseWriter, r *refusal) {
	type detail struct {
		Type    string
		Code    string
		Message string
	}
	writeXML(w, r.status, struct {
		XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Error     detail
		RequestID string `xml:"RequestId"`
	}{Error: detail{"Sender", r.code, r.message}, RequestID: requestID()})
}

func writeXML(w http.ResponseWriter, status int, body any) {
	data, err := xml.Marshal(body)
	if err != nil {
		panic(err) // structs of strings always encode
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	w.Write(data)
}

func requestID() string { return strings.ToLower(rand.Text()) }
