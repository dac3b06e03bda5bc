package certificate_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"software.sslmate.com/src/go-pkcs12"

	"rekey/shared/certificate"
	"rekey/shared/secret"
)

// parse gives body, key, pfx and password, as many as there are.
func parse(given ...string) (certificate.Certificate, error) {
	given = append(given, "", "", "", "")
	return certificate.Parse(context.Background(), certificate.Input{
		Body: secret.New(given[0]), PrivateKey: secret.New(given[1]),
		PFX: secret.New(given[2]), Password: secret.New(given[3]),
	}, now)
}

func TestAccepted(t *testing.T) {
	chain := []*x509.Certificate{middle, root}
	bag := "Bag Attributes\n    localKeyID: 01 02\n    friendlyName: CN=rekey: test\nsubject=CN = rekey\n\n"
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	tests := map[string]struct {
		given []string
		leaf  *x509.Certificate
		chain []*x509.Certificate
	}{
		"certificate and PKCS#8 key":     {[]string{text(single), text(key)}, single, nil},
		"certificate and PKCS#1 key":     {[]string{text(single), pkcs1(key)}, single, nil},
		"PKCS#1 key labelled as PKCS#8":  {[]string{text(single), strings.ReplaceAll(pkcs1(key), "RSA PRIVATE", "PRIVATE")}, single, nil},
		"bare base64 of PKCS#8":          {[]string{text(single), b64(pkcs8(key))}, single, nil},
		"bare base64 of PKCS#1":          {[]string{text(single), b64(x509.MarshalPKCS1PrivateKey(key))}, single, nil},
		"bare base64 of both, in lines":  {[]string{b64(single.Raw), b64(pkcs8(key))[:500] + "\r\n" + b64(pkcs8(key))[500:]}, single, nil},
		"bare base64url without padding": {[]string{text(single), base64.RawURLEncoding.EncodeToString(pkcs8(key))}, single, nil},
		"everything in the body":         {[]string{text(leaf, middle, root, key)}, leaf, chain},
		"key first":                      {[]string{text(key, leaf)}, leaf, nil},
		"everything as private key":      {[]string{"", text(key, single)}, single, nil},
		"chain upside down":              {[]string{text(root, middle, leaf), text(key)}, leaf, chain},
		"chain with a gap":               {[]string{text(root, leaf), text(key)}, leaf, nil},
		"unrelated certificates":         {[]string{text(stranger, leaf, impostor, ecLeaf, middle), text(key)}, leaf, chain[:1]},
		"the same twice":                 {[]string{text(leaf, middle, middle, leaf, key), text(key)}, leaf, chain[:1]},
		"line breaks of Windows":         {[]string{crlf(text(leaf, middle)), crlf(text(key))}, leaf, chain[:1]},
		"bag attributes and text": {[]string{bag + text(leaf) + bag + text(middle), bag + text(key) + "\ntrailing text"}, leaf,
			chain[:1]},
		"byte order mark, spaces": {[]string{"\ufeff" + text(single), "  \n" + text(key) + "  "}, single, nil},
		"indented": {[]string{strings.ReplaceAll(text(single), "\n", "\n    "),
			"\t" + strings.ReplaceAll(text(key), "\n", "\n\t")}, single, nil},
		`written with \n`: {[]string{strings.ReplaceAll(text(single), "\n", `\n`),
			strings.ReplaceAll(text(key), "\n", `\r\n`)}, single, nil},
		"EC PARAMETERS beside it": {[]string{"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" +
			text(single, key)}, single, nil},
		"signed with SHA-1":    {[]string{text(sha1Leaf, key)}, sha1Leaf, nil},
		"sixteen certificates": {[]string{text(single, key) + many(15)}, single, nil},
		"PFX, SHA-1 and 3DES": {[]string{"", "", pfx(pkcs12.LegacyDES, key, leaf, "pässword", root, middle), "pässword"},
			leaf, chain},
		"PFX, SHA-1 and RC2":     {[]string{"", "", pfx(pkcs12.LegacyRC2, key, single, "x"), "x"}, single, nil},
		"PFX, SHA-256 and AES":   {[]string{"", "", pfx(pkcs12.Modern2023, key, leaf, "x", middle), "x"}, leaf, chain[:1]},
		"PFX, PBMAC1 and AES":    {[]string{"", "", pfx(pkcs12.Modern2026, key, single, "x"), "x"}, single, nil},
		"PFX, no password":       {[]string{"", "", pfx(pkcs12.Modern2023, key, single, "")}, single, nil},
		"PFX, nothing encrypted": {[]string{"", "", pfx(pkcs12.Passwordless, key, leaf, "", middle)}, leaf, chain[:1]},
		"PFX as a data URL": {[]string{"", "", "data:application/x-pkcs12;base64," + pfx(pkcs12.Modern2023, key, single, "x"),
			"x"}, single, nil},
		"PFX whose first certificate is a CA": {[]string{"", "", pfx(pkcs12.Modern2023, key, root, "x", leaf, middle), "x"}, leaf, chain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := parse(tt.given...)
			if err != nil {
				t.Fatal(err)
			}
			same := slices.EqualFunc(c.Chain, tt.chain, (*x509.Certificate).Equal)
			if !c.Leaf.Equal(tt.leaf) || !same || !c.Key.Equal(key) {
				t.Errorf("leaf %s with %d certificates, want %s with %d", c.Leaf.Subject, len(c.Chain), tt.leaf.Subject, len(tt.chain))
			}
			if want := text(tt.leaf) + text(anys(tt.chain)...) + text(key); c.PEM.Reveal() != want {
				t.Errorf("PEM is\n%s, want\n%s", c.PEM.Reveal(), want)
			}
		})
	}
}

func anys(list []*x509.Certificate) (out []any) {
	for _, c := range list {
		out = append(out, c)
	}
	return out
}

func TestRefused(t *testing.T) {
	legacy := string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte("secret"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
	}))
	block := func(kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("secret")}))
	}
	sec1 := must(x509.MarshalECPrivateKey(ecKey))
	long := single.Subject.CommonName + strings.Repeat("x", 64<<10)
	store := b64(must(pkcs12.Modern2023.EncodeTrustStore([]*x509.Certificate{single}, "x")))
	tests := map[string]struct {
		given []string
		want  string // in the message
	}{
		"nothing":                     {nil, "neither a certificate nor a private key"},
		"blank":                       {[]string{" \r\n", "\t"}, "neither a certificate nor a private key"},
		"no key":                      {[]string{text(single)}, "private key is missing"},
		"no certificate":              {[]string{"", text(key)}, "certificate is missing"},
		"key of another certificate":  {[]string{text(single), text(otherKey)}, "does not belong to the certificate"},
		"two keys":                    {[]string{text(single, key), text(otherKey)}, "several private keys"},
		"renewed with the same key":   {[]string{text(single, renewed), text(key)}, "Several certificates belong"},
		"expired":                     {[]string{text(expired, key)}, "expired on 2031-05-04T11:59:59Z"},
		"not yet valid":               {[]string{text(future, key)}, "only from 2031-05-04T12:00:01Z"},
		"1024 bits":                   {[]string{text(shortLeaf, shortKey)}, "has 1024 bits"},
		"seventeen certificates":      {[]string{text(single, key) + many(16)}, "more than 16 certificates"},
		"encrypted PKCS#8":            {[]string{text(single), block("ENCRYPTED PRIVATE KEY")}, "encrypted. Remove"},
		"encrypted in the old way":    {[]string{text(single), legacy}, "encrypted. Remove"},
		"EC key, PKCS#8":              {[]string{text(ecLeaf, ecKey)}, "not an RSA key"},
		"EC key, SEC 1":               {[]string{text(ecLeaf), block("EC PRIVATE KEY")}, "not an RSA key"},
		"EC key, bare":                {[]string{text(ecLeaf), b64(sec1)}, "not an RSA key"},
		"Ed25519 key":                 {[]string{text(single, edKey)}, "not an RSA key"},
		"EC certificate with RSA key": {[]string{text(ecLeaf, key)}, "does not belong"},
		"OpenSSH key":                 {[]string{text(single), block("OPENSSH PRIVATE KEY")}, "ssh-keygen"},
		"signing request":             {[]string{block("CERTIFICATE REQUEST"), text(key)}, "signing request"},
		"trusted certificate":         {[]string{block("TRUSTED CERTIFICATE"), text(key)}, "OpenSSL's own"},
		"PKCS#7":                      {[]string{block("PKCS7"), text(key)}, "PKCS#7"},
		"garbage":                     {[]string{"secret", "secret"}, "certificate is neither PEM nor"},
		"garbage as key":              {[]string{text(single), "secret!"}, "private key is neither PEM nor"},
		"PFX as certificate":          {[]string{pfx(pkcs12.Modern2023, key, single, "x"), text(key)}, "field for PFX"},
		"certificate of garbage":      {[]string{block("CERTIFICATE"), text(key)}, "certificate cannot be read"},
		"key of garbage":              {[]string{text(single), block("PRIVATE KEY")}, "private key is damaged"},
		"PEM cut off":                 {[]string{text(single), text(key)[:900]}, "PEM text of the private key is damaged"},
		"PEM with a letter too many": {[]string{text(single)[:200] + "?" + text(single)[200:], text(key)},
			"PEM text of the certificate is damaged"},
		"a good and a damaged block":   {[]string{text(single) + text(middle)[:100] + "\n", text(key)}, "PEM text of the certificate is damaged"},
		"too long":                     {[]string{long, text(key)}, "longer than 65536 bytes"},
		"too long for Key Vault":       {[]string{text(anys(longChain(t))...), text(key)}, "Key Vault"},
		"PFX and PEM":                  {[]string{text(single), "", pfx(pkcs12.Modern2023, key, single, "x"), "x"}, "both a PFX file and PEM"},
		"password without PFX":         {[]string{text(single), text(key), "", "x"}, "only for a PFX file"},
		"PFX, wrong password":          {[]string{"", "", pfx(pkcs12.Modern2023, key, single, "x"), "y"}, "password of the PFX file is wrong"},
		"PFX, no password given":       {[]string{"", "", pfx(pkcs12.LegacyDES, key, single, "x")}, "has a password"},
		"PFX, wrong password of emoji": {[]string{"", "", pfx(pkcs12.Modern2023, key, single, "x"), "😀"}, "password of the PFX file is wrong"},
		"PFX with an EC key":           {[]string{"", "", pfx(pkcs12.Modern2023, ecKey, ecLeaf, "x"), "x"}, "not an RSA key"},
		"PFX without a key":            {[]string{"", "", store, "x"}, "no private key"},
		"PFX, key does not match":      {[]string{"", "", pfx(pkcs12.Modern2023, otherKey, single, "x"), "x"}, "does not belong"},
		"PFX, expired":                 {[]string{"", "", pfx(pkcs12.Modern2023, key, expired, "x"), "x"}, "expired on"},
		"PFX cut off":                  {[]string{"", "", pfx(pkcs12.Modern2023, key, single, "x")[:800], "x"}, "cannot be read"},
		"PFX of garbage":               {[]string{"", "", b64([]byte("secret")), "x"}, "cannot be read"},
		"PFX, not base64":              {[]string{"", "", "sécret", "x"}, "not valid base64"},
		"PFX that is PEM":              {[]string{"", "", text(single, key)}, "This is PEM"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := parse(tt.given...)
			friendly, ok := errors.AsType[*certificate.Error](err)
			if !ok {
				t.Fatalf("Parse = %s, %v; want an *Error", c.Subject, err)
			}
			if !strings.Contains(friendly.Message, tt.want) ||
				!strings.HasSuffix(friendly.Message, ".") && !strings.Contains(friendly.Message, "with: ") {
				t.Errorf("message = %q, want it to say %q", friendly.Message, tt.want)
			}
			if strings.Contains(friendly.Message, "secret") || !c.PEM.IsZero() || c.Key != nil {
				t.Errorf("the message quotes the input, or there is a certificate: %q", friendly.Message)
			}
		})
	}
}

// longChain has more text than Key Vault stores, in few certificates.
func longChain(t *testing.T) []*x509.Certificate {
	t.Helper()
	name := strings.Repeat("x", 4000)
	ca := sign(template{name: name, ca: true}, ecKey.Public(), nil, ecKey)
	second := sign(template{name: name + "2", ca: true}, ecKey.Public(), ca, ecKey)
	return []*x509.Certificate{sign(template{name: "l"}, key.Public(), second, ecKey), second, ca}
}

// A file may ask for as much work as it likes before its password is known. Each
// of its three counts is found: of the MAC, the certificates and the key.
func TestIterations(t *testing.T) {
	for name, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern2023, "PBMAC1": pkcs12.Modern2026,
		"legacy": pkcs12.LegacyDES} {
		file := must(encoder.WithIterations(65537).Encode(key, single, nil, "x"))
		small, huge := []byte{2, 3, 1, 0, 1}, []byte{2, 3, 0x7f, 0xff, 0xff}
		if n := bytes.Count(file, small); n != 3 {
			t.Fatalf("%s: %d counts, want 3", name, n)
		}
		if _, err := parse("", "", b64(file), "x"); err != nil {
			t.Errorf("%s: 65537 iterations: %v", name, err)
		}
		for i := range 3 {
			parts := bytes.Split(file, small)
			changed := bytes.Join(parts[:i+1], small)
			changed = append(append(changed, huge...), bytes.Join(parts[i+1:], small)...)
			if _, err := parse("", "", b64(changed), "x"); err == nil || !strings.Contains(err.Error(), "iterations") {
				t.Errorf("%s: count %d: %v, want it to be refused for its iterations", name, i, err)
			}
		}
	}
}

func TestFields(t *testing.T) {
	c, err := parse(text(leaf, middle, root, key))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%X", sha1.Sum(leaf.Raw)); c.ThumbprintSHA1 != want {
		t.Errorf("SHA-1 = %s, want %s", c.ThumbprintSHA1, want)
	}
	if want := fmt.Sprintf("%X", sha256.Sum256(leaf.Raw)); c.ThumbprintSHA256 != want {
		t.Errorf("SHA-256 = %s, want %s", c.ThumbprintSHA256, want)
	}
	if c.Subject != "CN=rekey.example.com" || !c.NotBefore.Equal(from) || !c.NotAfter.Equal(until) {
		t.Errorf("subject %s, %s to %s", c.Subject, c.NotBefore, c.NotAfter)
	}
	printed, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(printed), fmt.Sprintf("%v %+v", c, c)} {
		if strings.Contains(s, c.Key.D.String()) || strings.Contains(s, "PRIVATE KEY") {
			t.Error("the key shows when a Certificate is printed")
		}
	}
}

// What is stored is what azidentity and Read make the same certificate of.
func TestRoundTrip(t *testing.T) {
	c, err := parse(text(root, middle, leaf), pkcs1(key))
	if err != nil {
		t.Fatal(err)
	}
	certificates, private, err := azidentity.ParseCertificates([]byte(c.PEM.Reveal()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(certificates) != 3 || !certificates[0].Equal(leaf) || !certificates[1].Equal(middle) || !certificates[2].Equal(root) ||
		!key.Equal(private) {
		t.Errorf("azidentity reads %d certificates, or another key", len(certificates))
	}
	if _, err := azidentity.NewClientCertificateCredential("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222",
		certificates, private, nil); err != nil {
		t.Error(err)
	}
	again, err := certificate.Read(c.PEM)
	if err != nil || again.PEM != c.PEM || again.ThumbprintSHA256 != c.ThumbprintSHA256 || len(again.Chain) != 2 {
		t.Errorf("Read = %s, %v", again.Subject, err)
	}
}

func TestReadIsNotAboutDates(t *testing.T) {
	if c, err := certificate.Read(secret.New(text(expired, key))); err != nil || !c.Leaf.Equal(expired) {
		t.Errorf("Read of an expired certificate: %v", err)
	}
	if _, err := certificate.Read(secret.New(text(single, otherKey))); err == nil {
		t.Error("Read accepts a key of another certificate")
	}
}
