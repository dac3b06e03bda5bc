package certificate

import (
	"context"
	"errors"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// addPFX reads a PKCS#12 file: MAC by SHA-1, SHA-256 or SHA-512, certificates and
// key by 3DES, RC2 or AES, which is what OpenSSL, Windows, Java and Key Vault write.
func (m *material) addPFX(ctx context.Context, text, password string) error {
	if strings.Contains(text, "-----BEGIN ") {
		return refuse("This is PEM, not a PFX file. Give it as certificate and private key.")
	}
	der, ok := decodeBase64(text)
	if !ok {
		return refuse("The PFX file is not valid base64. Encode the file's bytes as base64.")
	}
	for _, r := range password {
		if r > 0xffff { // PKCS#12 writes passwords in UCS-2
			return refuse("The password has characters that a PFX file cannot have. Export the file with another password.")
		}
	}
	outline, err := readOutline(der, password)
	if err != nil {
		return err
	}
	leave, err := reading.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := outline.addEncrypted(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ErrBusy
	}
	return m.decode(der, password)
}

// decode reads a file whose work is known to be within bounds.
func (m *material) decode(der []byte, password string) error {
	key, leaf, others, err := pkcs12.DecodeChain(der, password)
	switch {
	case err == nil:
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return errNoPassword
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return errPassword
	default:
		if _, ok := errors.AsType[pkcs12.NotImplementedError](err); ok {
			return errUnknownScheme
		}
		return errUnreadable
	}
	if err := m.addCertificate(leaf); err != nil {
		return err
	}
	for _, c := range others {
		if err := m.addCertificate(c); err != nil {
			return err
		}
	}
	return m.addAnyKey(key)
}
