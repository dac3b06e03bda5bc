package directory_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
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

// issuer is a certificate authority with its key.
type issuer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// issue makes a certificate for key; a nil issuer signs it with itself.
func (i *issuer) issue(t *testing.T, key crypto.Signer, name string, authority bool, from, to time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		IsCA: authority, BasicConstraintsValid: true,
	}
	by := issuer{template, key}
	if i != nil {
		by = *i
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// assertionForm authenticates by an assertion of key; chain is x5c if there is any.
func (w *world) assertionForm(app directory.Application, key *rsa.PrivateKey, chain ...*x509.Certificate) url.Values {
	w.t.Helper()
	header := map[string]any{"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint(chain[0])}
	var x5c []string
	for _, c := range chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
	}
	header["x5c"] = x5c
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "scope": {graphScope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {signAssertion(w.t, key, header, w.assertionClaims(app))},
	}
}

func (w *world) wantReason(doing string, a answer, reason string) {
	w.t.Helper()
	w.wantEntra(doing, a, 401, "invalid_client", 700027)
	if text := a.text("error_description"); !strings.Contains(text, "[Reason - "+reason) {
		w.t.Errorf("%s: %s", doing, text)
	}
}

// TestCertificatesByHand: added and removed at run time, expired, not yet valid, and of
// a kind that Entra does not take.
func TestCertificatesByHand(t *testing.T) {
	w := newWorld(t, directory.Config{})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var none *issuer
	now := w.now().Truncate(time.Second)
	good := none.issue(t, key, "good", false, now, now.Add(time.Hour))
	early := none.issue(t, key, "early", false, now.Add(30*time.Minute), now.Add(time.Hour))
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	elliptical := none.issue(t, curve, "elliptical", false, now, now.Add(time.Hour))
	ask := func(c *x509.Certificate) answer { return w.ask(w.tenant, w.assertionForm(w.app, key, c)) }

	w.wantReason("before it was added", ask(good), "The key was not found.")
	for _, c := range []*x509.Certificate{good, early, elliptical} {
		if err := w.AddCertificate(w.app.ObjectID, c); err != nil {
			t.Fatal(err)
		}
	}
	if a := ask(good); a.status != 200 {
		t.Errorf("added: %d %v", a.status, a.body)
	}
	w.wantReason("not yet valid", ask(early), "The key used is expired.")
	w.wantReason("an elliptic curve", ask(elliptical), "The key was not found.")
	w.pass(time.Hour - time.Second)
	if a := ask(good); a.status != 200 {
		t.Errorf("in its last second: %d %v", a.status, a.body)
	}
	w.pass(2 * time.Second)
	expired := ask(good)
	w.wantReason("expired", expired, "The key used is expired., Thumbprint of key used by client: '")
	if want := "Found key 'Start=" + now.UTC().Format("01/02/2006 15:04:05"); !strings.Contains(expired.text("error_description"), want) {
		t.Errorf("no %q in %s", want, expired.text("error_description"))
	}
	if err := w.RemoveCertificate(w.app.ObjectID, good); err != nil {
		t.Fatal(err)
	}
	w.wantReason("removed", ask(good), "The key was not found.")
	if w.RemoveCertificate(w.app.ObjectID, good) == nil || w.AddCertificate(w.tenant, good) == nil {
		t.Error("what is not there can be changed")
	}
}

// TestTrustedIssuer: any certificate of a trusted issuer that names the subject, as
// long as its chain comes along.
func TestTrustedIssuer(t *testing.T) {
	w := newWorld(t, directory.Config{})
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	var none *issuer
	now := w.now().Truncate(time.Second)
	year := now.AddDate(1, 0, 0)
	root := none.issue(t, keys[0], "root", true, now, year)
	between := (&issuer{root, keys[0]}).issue(t, keys[1], "between", true, now, year)
	by := &issuer{between, keys[1]}
	leaf := by.issue(t, keys[2], "rekey.example", false, now, now.Add(time.Hour))
	renewed := by.issue(t, keys[2], "rekey.example", false, now.Add(time.Second), year)
	stranger := by.issue(t, keys[2], "other.example", false, now, year)
	pretender := none.issue(t, keys[2], "rekey.example", false, now, year)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	err := w.Change(w.app.ObjectID, func(s *directory.Settings) {
		s.TrustedIssuers = []directory.TrustedIssuer{{Roots: roots, Subject: "rekey.example"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(key *rsa.PrivateKey, chain ...*x509.Certificate) answer {
		return w.ask(w.tenant, w.assertionForm(w.app, key, chain...))
	}
	w.pass(2 * time.Second)
	for name, c := range map[string]*x509.Certificate{"the first": leaf, "its successor": renewed} {
		if a := ask(keys[2], c, between); a.status != 200 {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	w.authenticate("with a chain", keys[2], true, renewed, between)
	w.authenticate("without", keys[2], false, renewed, between)
	w.wantReason("another subject", ask(keys[2], stranger, between), "The key was not found.")
	w.wantReason("self-signed", ask(keys[2], pretender), "The key was not found.")
	w.wantReason("no way to the root", ask(keys[2], leaf), "The key was not found.")
	swapped := w.assertionForm(w.app, keys[2], leaf, between)
	header := map[string]any{"alg": "PS256", "x5t#S256": thumbprint(stranger),
		"x5c": []string{base64.StdEncoding.EncodeToString(leaf.Raw), base64.StdEncoding.EncodeToString(between.Raw)}}
	swapped.Set("client_assertion", signAssertion(t, keys[2], header, w.assertionClaims(w.app)))
	w.wantReason("another thumbprint than the chain's", w.ask(w.tenant, swapped), "The key was not found.")
	w.wantReason("signed by another key", ask(keys[1], leaf, between), "The key used is invalid.")
	w.pass(time.Hour)
	w.wantReason("expired", ask(keys[2], leaf, between), "The key used is expired.")

	other := w.register(directory.Registration{})
	w.wantReason("another application", w.ask(w.tenant, w.assertionForm(other, keys[2], renewed, between)), "The key was not found.")
}

// authenticate has azidentity sign an assertion; it should be accepted if the chain is
// sent.
func (w *world) authenticate(doing string, key *rsa.PrivateKey, sendChain bool, chain ...*x509.Certificate) {
	w.t.Helper()
	credential, err := azidentity.NewClientCertificateCredential(w.tenant, w.app.ClientID, chain, key,
		&azidentity.ClientCertificateCredentialOptions{
			ClientOptions: azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.login.URL},
				Transport: w.login.Client()},
			DisableInstanceDiscovery: true, SendCertificateChain: sendChain,
		})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = credential.GetToken(w.t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
	if (err == nil) != sendChain {
		w.t.Errorf("azidentity %s: %v", doing, err)
	}
}
