package directory_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/emulator/directory"
)

func (w *world) wantEntra(doing string, a answer, status int, name string, code float64) {
	w.t.Helper()
	codes, _ := a.body["error_codes"].([]any)
	if a.status != status || a.body["error"] != name || len(codes) != 1 || codes[0] != code {
		w.t.Errorf("%s: got %d %v, want %d %s AADSTS%.0f", doing, a.status, a.body, status, name, code)
	}
	if text, _ := a.body["error_description"].(string); !strings.HasPrefix(text, "AADSTS") ||
		!strings.Contains(text, "\r\nTrace ID: "+a.body["trace_id"].(string)+"\r\nCorrelation ID: ") {
		w.t.Errorf("%s: description %q", doing, text)
	}
}

func TestTokenRefusals(t *testing.T) {
	w := newWorld(t, directory.Config{})
	expired := w.register(directory.Registration{SecretExpiresAt: w.now().Add(-time.Second)})
	other := w.AddTenant()
	good := secretForm(w.app.ClientID, w.app.Secret)
	with := func(name string, values ...string) url.Values {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form[name] = values
		return form
	}
	for name, c := range map[string]struct {
		tenant string
		form   url.Values
		status int
		error  string
		code   float64
	}{
		"wrong secret":        {w.tenant, with("client_secret", "abc8Q~wrong"), 401, "invalid_client", 7000215},
		"no secret":           {w.tenant, with("client_secret"), 401, "invalid_client", 7000218},
		"expired secret":      {w.tenant, secretForm(expired.ClientID, expired.Secret), 401, "invalid_client", 7000222},
		"unknown application": {w.tenant, with("client_id", w.tenant), 400, "unauthorized_client", 700016},
		"another tenant":      {other, good, 400, "unauthorized_client", 700016},
		"unknown tenant":      {w.app.ClientID, good, 400, "invalid_request", 90002},
		"unknown scope":       {w.tenant, with("scope", "https://example.com/.default"), 400, "invalid_scope", 70011},
		"no default scope":    {w.tenant, with("scope", "https://graph.microsoft.com/Application.Read.All"), 400, "invalid_scope", 70011},
		"no scope":            {w.tenant, with("scope", "openid"), 400, "invalid_scope", 70011},
		"not its resource":    {w.tenant, with("scope", "https://vault.azure.net/.default"), 400, "invalid_scope", 70011},
		"another grant":       {w.tenant, with("grant_type", "password"), 400, "unsupported_grant_type", 70003},
		"no grant":            {w.tenant, with("grant_type"), 400, "invalid_request", 900144},
		"secret twice":        {w.tenant, with("client_secret", w.app.Secret, "x"), 400, "invalid_request", 9000411},
	} {
		w.wantEntra(name, w.ask(c.tenant, c.form), c.status, c.error, c.code)
	}
	address := w.login.URL + "/" + w.tenant + "/oauth2/v2.0/token"
	w.wantEntra("in the address", w.post(w.login.Client(), address+"?"+good.Encode(), "application/x-www-form-urlencoded", "", nil), 400,
		"invalid_request", 900144)
	w.wantEntra("as JSON", w.post(w.login.Client(), address, "application/json", `{}`, nil), 400, "invalid_request", 900144)
	if a := w.ask(strings.ToUpper(w.tenant), good); a.status != http.StatusOK {
		t.Errorf("tenant in upper case: %d %v", a.status, a.body)
	}
}

func TestDiscovery(t *testing.T) {
	w := newWorld(t, directory.Config{})
	read := func(tenant string) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.login.URL+"/"+tenant+"/v2.0/.well-known/openid-configuration?", nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.do(w.login.Client(), r)
	}
	a := read(w.tenant)
	if a.body["issuer"] != w.login.URL+"/"+w.tenant+"/v2.0" || a.body["token_endpoint"] != w.login.URL+"/"+w.tenant+"/oauth2/v2.0/token" {
		t.Errorf("got %d %v", a.status, a.body)
	}
	w.wantEntra("unknown tenant", read(w.app.ClientID), 400, "invalid_tenant", 90002)
}

// TestOtherResources: what Rekey's own identity asks for.
func TestOtherResources(t *testing.T) {
	w := newWorld(t, directory.Config{})
	own := w.register(directory.Registration{Settings: directory.Settings{
		Roles:     []string{directory.RoleReadAll},
		Resources: []string{directory.ResourceKeyVault, directory.ResourceStorage},
	}})
	for _, resource := range []string{directory.ResourceKeyVault, directory.ResourceStorage} {
		form := secretForm(own.ClientID, own.Secret)
		form.Set("scope", resource+"/.default")
		token, _ := w.ask(w.tenant, form).body["access_token"].(string)
		if id, ok := w.Holder(token, resource); !ok || id != own.ClientID {
			t.Errorf("%s: held by %q, %v", resource, id, ok)
		}
		w.wantGraph("Graph with a token for "+resource, w.get(token, "/applications/"+w.app.ObjectID), 401, "InvalidAuthenticationToken")
	}
}

// newCertificate is self-signed, as the ones that people upload to Entra.
func newCertificate(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rekey"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// recorder keeps the last form that was posted.
type recorder struct {
	next *http.Client
	form url.Values
}

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		r.form, request.Body = form, io.NopCloser(bytes.NewReader(body))
	}
	return r.next.Do(request)
}

// TestCertificate has the real client sign an assertion, which works once.
func TestCertificate(t *testing.T) {
	certificate, key := newCertificate(t)
	w := newWorld(t, directory.Config{})
	app := w.register(directory.Registration{Settings: directory.Settings{Certificates: []*x509.Certificate{certificate}}})
	wire := &recorder{next: w.login.Client()}
	credential, err := azidentity.NewClientCertificateCredential(w.tenant, app.ClientID, []*x509.Certificate{certificate}, key,
		&azidentity.ClientCertificateCredentialOptions{
			ClientOptions:            azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.login.URL}, Transport: wire},
			DisableInstanceDiscovery: true,
		})
	if err != nil {
		t.Fatal(err)
	}
	token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := w.Holder(token.Token, directory.ResourceGraph); !ok || id != app.ClientID {
		t.Errorf("held by %q, %v", id, ok)
	}
	if wire.form.Get("client_assertion") == "" {
		t.Fatal("no assertion was recorded")
	}
	w.wantEntra("the same assertion again", w.ask(w.tenant, wire.form), 401, "invalid_client", 50012)
}

// assertion is signed by key.
func assertion(t *testing.T, key *rsa.PrivateKey, thumbprint string, claims map[string]any) string {
	t.Helper()
	return signAssertion(t, key, map[string]any{"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}, claims)
}

// signAssertion is assertion with any header.
func signAssertion(t *testing.T, key *rsa.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	var parts []string
	for _, part := range []any{header, claims} {
		data, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
	}
	signed := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// assertionClaims are good ones.
func (w *world) assertionClaims(app directory.Application) map[string]any {
	return map[string]any{
		"aud": w.login.URL + "/" + w.tenant + "/oauth2/v2.0/token", "iss": app.ClientID, "sub": app.ClientID,
		"jti": rand.Text(), "nbf": w.now().Unix(), "exp": w.now().Add(10 * time.Minute).Unix(),
	}
}

// thumbprint is x5t#S256 as the documentation has it.
func thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestAssertions(t *testing.T) {
	certificate, key := newCertificate(t)
	_, otherKey := newCertificate(t)
	w := newWorld(t, directory.Config{})
	app := w.register(directory.Registration{Settings: directory.Settings{Certificates: []*x509.Certificate{certificate}}})
	sum := sha256.Sum256(certificate.Raw)
	thumbprint := thumbprint(certificate)
	claims := func(change string, value any) map[string]any {
		all := w.assertionClaims(app)
		if change != "" {
			all[change] = value
		}
		return all
	}
	form := func(assertion string) url.Values {
		return url.Values{
			"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "scope": {graphScope},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		}
	}
	for _, encoded := range []string{thumbprint, base64.StdEncoding.EncodeToString(sum[:])} {
		if a := w.ask(w.tenant, form(assertion(t, key, encoded, claims("", nil)))); a.status != http.StatusOK {
			t.Errorf("thumbprint %s: %d %v", encoded, a.status, a.body)
		}
	}
	for name, c := range map[string]struct {
		assertion string
		code      float64
	}{
		"wrong audience": {assertion(t, key, thumbprint, claims("aud", w.login.URL)), 50012},
		"wrong issuer":   {assertion(t, key, thumbprint, claims("iss", w.tenant)), 50012},
		"wrong subject":  {assertion(t, key, thumbprint, claims("sub", w.tenant)), 50012},
		"no id":          {assertion(t, key, thumbprint, claims("jti", "")), 50012},
		"over":           {assertion(t, key, thumbprint, claims("exp", w.now().Unix())), 50012},
		"not yet":        {assertion(t, key, thumbprint, claims("nbf", w.now().Add(time.Hour).Unix())), 50012},
		"no JWT":         {"x", 50012},
		"another key":    {assertion(t, otherKey, thumbprint, claims("", nil)), 700027},
		"unknown key":    {assertion(t, otherKey, "AAAA", claims("", nil)), 700027},
	} {
		w.wantEntra(name, w.ask(w.tenant, form(c.assertion)), 401, "invalid_client", c.code)
	}
	untyped := form(assertion(t, key, thumbprint, claims("", nil)))
	untyped.Del("client_assertion_type")
	w.wantEntra("no type", w.ask(w.tenant, untyped), 401, "invalid_client", 7000218)
}
