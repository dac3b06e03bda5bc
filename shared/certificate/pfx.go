package certificate

import (
	"encoding/asn1"
	"errors"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// maxIterations bounds the work that a PFX file may ask for before its password
// can be checked. OpenSSL writes 2,048, Windows 2,000 to 10,000, Firefox 600,000;
// a million, three times, took OpenSSL's file 0.6 s to read.
const maxIterations = 1_000_000

// addPFX reads a PKCS#12 file: MAC by SHA-1, SHA-256 or SHA-512, certificates and
// key by 3DES, RC2 or AES, which is what OpenSSL, Windows, Java and Key Vault write.
func (m *material) addPFX(text, password string) error {
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
	if !boundedWork(der, 0) {
		return refuse("The PFX file asks for more than %d iterations of its key derivation. Export it again with fewer.", maxIterations)
	}
	key, leaf, others, err := pkcs12.DecodeChain(der, password)
	switch {
	case err == nil:
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return refuse("The PFX file has a password. Give it, too.")
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return refuse("The password of the PFX file is wrong.")
	default:
		if _, ok := errors.AsType[pkcs12.NotImplementedError](err); ok {
			return refuse("The PFX file is protected in a way that Rekey does not know. Export it again with AES-256 and SHA-256, or with 3DES and SHA-1.")
		}
		return refuse("The PFX file cannot be read, or has no private key. Export it again with its private key, and send the file's bytes as base64.")
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

// boundedWork looks for iteration counts in der and reports whether all are within
// bounds. In PKCS#12 and PKCS#5 (RFC 7292, appendices B and C; RFC 8018, appendix A)
// a count is the INTEGER after the OCTET STRING with the salt, and nothing else
// there has this form. What stands in OCTET STRINGs is looked at where it is DER.
//
// A known limit: counts inside an encrypted part cannot be seen. What would have
// one there is a key, and no program known to us puts it there; somebody who is
// allowed to create connections could, and would keep one request busy.
func boundedWork(der []byte, depth int) bool {
	if depth > 32 { // the innermost count of an ordinary file is at 16
		return false
	}
	afterSalt := false
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return true // no DER: nothing that the decoder would follow
		}
		if afterSalt && v.Tag == asn1.TagInteger && !smallCount(v.Bytes) {
			return false
		}
		if (v.IsCompound || v.Tag == asn1.TagOctetString) && !boundedWork(v.Bytes, depth+1) {
			return false
		}
		afterSalt = v.Tag == asn1.TagOctetString
		der = rest
	}
	return true
}

// smallCount reads a big-endian two's complement number. A count of 0 means none: that
// is what stands beside PBMAC1, which has its own.
func smallCount(b []byte) bool {
	if len(b) == 0 || len(b) > 4 || b[0]&0x80 != 0 {
		return false
	}
	n := 0
	for _, x := range b {
		n = n<<8 | int(x)
	}
	return n <= maxIterations
}
