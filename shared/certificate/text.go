package certificate

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
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
	text = tidy(text)
	if text == "" {
		return nil
	}
	const begin = "-----BEGIN "
	if !strings.Contains(text, begin) {
		return m.addBare(text, name)
	}
	rest, read := []byte(text), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		read++
		if err := m.addBlock(block); err != nil {
			return err
		}
	}
	// The decoder skips what it cannot read; a person should hear of it.
	if read < strings.Count(text, begin) {
		return refuse("The PEM text of the %s is damaged. Copy it again, whole, from the first BEGIN line to the last END line, "+
			"with its line breaks.", name)
	}
	return nil
}

// tidy undoes what happens to PEM on its way: a byte order mark, line breaks of
// Windows or written as \n in one line (as environment files have them), and
// indentation.
func tidy(text string) string {
	text = strings.TrimPrefix(text, "\ufeff")
	if !strings.Contains(strings.TrimSpace(text), "\n") {
		text = strings.NewReplacer(`\r`, "", `\n`, "\n").Replace(text)
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
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
	"PKCS7": "This is a PKCS#7 file, which has no key. Give the certificate as PEM with its private key, or a PFX file.",
}

const notRSA = "The private key is not an RSA key. Entra takes certificates with RSA keys only; " +
	"make one with an RSA key of at least 2048 bits."

// addBlock takes certificates and keys; what is neither and harmless, such as EC
// PARAMETERS, is passed over.
func (m *material) addBlock(b *pem.Block) error {
	if strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
		return refuse("%s", notUsable["ENCRYPTED PRIVATE KEY"])
	}
	if why, ok := notUsable[b.Type]; ok {
		return refuse("%s", why)
	}
	switch b.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return refuse("A certificate cannot be read. Copy it again, whole, or export it again.")
		}
		return m.addCertificate(c)
	case "PRIVATE KEY", "RSA PRIVATE KEY":
		if len(b.Bytes) > maxKey {
			return refuse("The private key is longer than one of %d bits. Use a key of %d to %d bits.", maxBits, minBits, maxBits)
		}
		key, ok := parseKey(b.Bytes)
		if !ok {
			return refuse("The private key is damaged. Copy it again, whole, or export it again.")
		}
		return m.addAnyKey(key)
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
		if c, err := x509.ParseCertificate(der); err == nil {
			return m.addCertificate(c)
		}
	}
	return refuse("The %s is neither PEM nor the base64 of a DER file. Give the text that starts with a BEGIN line; "+
		"a .pfx or .p12 file belongs into the field for PFX.", name)
}

// parseKey reads PKCS#8 or PKCS#1, whichever it is: the label of a block is not
// always right about it.
//
// Reading a key is work too: its numbers are checked against each other, which takes
// long where they are longer than those of any real key.
func parseKey(der []byte) (key any, ok bool) {
	if len(der) > maxKey {
		return nil, false
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, true
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, true
	}
	return nil, false
}

func (m *material) addAnyKey(key any) error {
	if key, ok := key.(*rsa.PrivateKey); ok {
		m.addKey(key)
		return nil
	}
	return refuse(notRSA) // EC, Ed25519, X25519
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
