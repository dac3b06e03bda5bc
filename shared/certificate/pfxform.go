package certificate

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// These are the parts of a PKCS#12 file that say how much work the file asks for.
// Their fields are those that go-pkcs12 reads, with the same package, so that a file
// cannot mean one thing to the bounds and another to the decoder.
// Sources: RFC 7292; RFC 8018, appendix A.
type (
	pfxFile struct {
		Version  int
		AuthSafe contentInfo
		MacData  macData `asn1:"optional"`
	}
	contentInfo struct {
		ContentType asn1.ObjectIdentifier
		Content     asn1.RawValue `asn1:"tag:0,explicit,optional"`
	}
	macData struct {
		Mac struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
		MacSalt    []byte
		Iterations int `asn1:"optional,default:1"`
	}
	encryptedData struct {
		Version int
		Info    struct {
			ContentType asn1.ObjectIdentifier
			Algorithm   pkix.AlgorithmIdentifier
			Data        []byte `asn1:"tag:0,optional"`
		}
	}
	safeBag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue `asn1:"tag:0,explicit"`
		Attributes []struct {
			ID    asn1.ObjectIdentifier
			Value asn1.RawValue `asn1:"set"`
		} `asn1:"set,optional"`
	}
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbeParams struct {
		Salt       []byte
		Iterations int
	}
	pbes2Params  struct{ KDF, Scheme pkix.AlgorithmIdentifier }
	pbmac1Params struct{ KDF, MAC pkix.AlgorithmIdentifier }
	pbkdf2Params struct {
		Salt       asn1.RawValue
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

// The object identifiers that are known here, in the form of ObjectIdentifier.String.
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidEncryptedData = "1.2.840.113549.1.7.6"
	oidKeyBag        = "1.2.840.113549.1.12.10.1.1"
	oidShroudedKey   = "1.2.840.113549.1.12.10.1.2"
	oidPBE3DES       = "1.2.840.113549.1.12.1.3"
	oidPBERC2128     = "1.2.840.113549.1.12.1.5"
	oidPBERC240      = "1.2.840.113549.1.12.1.6"
	oidPBES2         = "1.2.840.113549.1.5.13"
	oidPBKDF2        = "1.2.840.113549.1.5.12"
	oidPBMAC1        = "1.2.840.113549.1.5.14"
)

// unmarshal reads exactly one value.
func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = errors.New("there is something after the value")
	}
	if err != nil {
		return errUnreadable
	}
	return nil
}
