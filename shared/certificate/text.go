package certificate

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"strings"

	"rekey/shared/secret"
)

// read collects what the input has.
func read(ctx context.Context, in Input) (*material, error) {
	for _, s := range []secret.Value{in.Body, in.PrivateKey, in.PFX, in.Password} {
		if len(s.Reveal()) > maxInput {
			return nil, refuse("The input is longer than %d bytes. Leave only the application's certificate and its key.", maxInput)
		}
	}
	m := new(material)
	switch {
	case !in.PFX.IsZero() && (!in.Body.IsZero() || !in.PrivateKey.IsZero()):
		return nil, refuse("There is both a PFX file and PEM. Give one of them.")
	case !in.PFX.IsZero():
		return m, m.addPFX(ctx, in.PFX.Reveal(), in.Password.Reveal())
	case !in.Password.IsZero():
		return nil, refuse("A password is only for a PFX file. Leave it out, and give the private key without encryption.")
	}
	if err := m.addText(in.Body.Reveal(), "certificate"); err != nil {
		return nil, err
	}
	return m, m.addText(in.PrivateKey.Reveal(), "private key")
}

// addText reads PEM, or the base64 of one DER value. The name says in an error
// which of the two texts it is.
func (m *material) addText(text, name string) error {
	text = unwrap(text)
	if text == "" {
		return nil
	}
	if !strings.Contains(text, begin) {
		return m.addBare(text, name)
	}
	list, ok := blocks(text)
	for _, b := range list {
		if err := m.addBlock(b); err != nil {
			return err
		}
	}
	if !ok {
		return refuse("The PEM text of the %s is damaged. Copy it again, whole, from the first BEGIN line to the last END line.", name)
	}
	return nil
}

// What some kinds of PEM blocks are, and what to give instead.
var notUsable = map[string]string{
	"ENCRYPTED PRIVATE KEY": "The private key is encrypted. Remove the encryption first, for example with: " +
		"openssl pkey -in key.pem -out plain.pem",
	"EC PRIVATE KEY":      notRSA,
	"DSA PRIVATE KEY":     notRSA,
	"OPENSSH PRIVATE KEY": "The private key is in OpenSSH's own form. Convert it first, for example with: ssh-keygen -p -m PKCS8 -f key",
	"CERTIFICATE REQUEST": "This is a certificate signing request. Give the certificate that was made from it.",
	"TRUSTED CERTIFICATE": "The certificate is in a form of OpenSSL's own. Convert it first, for example with: " +
		"openssl x509 -in trusted.pem -out plain.pem",
	"PKCS12": "This is a PFX file. Give it as PFX, with its password.",
	"PKCS7":  "This is a PKCS#7 file, which has no key. Give the certificate as PEM with its private key, or a PFX file.",
}

// addBlock takes certificates and keys; what is neither and harmless, such as EC
// PARAMETERS, is passed over.
func (m *material) addBlock(b block) error {
	if b.encrypted {
		return refuse("%s", notUsable["ENCRYPTED PRIVATE KEY"])
	}
	if why, ok := notUsable[b.label]; ok {
		return refuse("%s", why)
	}
	switch b.label {
	case "CERTIFICATE", "X509 CERTIFICATE":
		return m.addCertificateDER(b.der)
	case "PRIVATE KEY", "RSA PRIVATE KEY":
		return m.addKeyDER(b.der)
	}
	return nil
}

// addBare takes what has no PEM lines around it.
func (m *material) addBare(text, name string) error {
	if der, ok := decodeBase64(text); ok {
		if key, ok := parseKey(der); ok {
			return m.addAnyKey(key)
		}
		if _, err := x509.ParseECPrivateKey(der); err == nil {
			return refuse(notRSA)
		}
		if why := unusableKey(der); why != "" {
			return refuse("%s", why)
		}
		if _, err := x509.ParseCertificate(der); err == nil || hasNegativeSerial(der) {
			return m.addCertificateDER(der)
		}
	}
	return refuse("The %s is neither PEM nor the base64 of a DER file. Give the text that starts with a BEGIN line; "+
		"a .pfx or .p12 file belongs into the field for PFX.", name)
}

// decodeBase64 takes either alphabet, with or without padding and line breaks, and
// what browsers put before it in a data URL.
func decodeBase64(text string) ([]byte, bool) {
	if head, tail, ok := strings.Cut(text, ";base64,"); ok && strings.HasPrefix(head, "data:") {
		text = tail
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.Join(strings.Fields(text), ""))
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return data, err == nil && len(data) > 0
}
