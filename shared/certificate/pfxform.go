package certificate

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

// These are the parts of a PKCS#12 file. Sources: RFC 7292; RFC 8018, appendix A.
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
			Data        asn1.RawValue `asn1:"tag:0,optional"`
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
	oidX509          = "1.2.840.113549.1.9.22.1"
	oidCertBag       = "1.2.840.113549.1.12.10.1.3"
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

// unmarshalBER reads exactly one value, which may be in BER.
func unmarshalBER(ber []byte, v any) error {
	der, err := toDER(ber)
	if err != nil {
		return errUnreadable
	}
	return unmarshal(der, v)
}

// octets is an octet string under a tag of its own. [toDER] cannot know that it is one, and
// leaves it in pieces.
func octets(v asn1.RawValue) ([]byte, error) {
	if !v.IsCompound {
		return v.Bytes, nil
	}
	whole, err := joinOctets(v.Bytes)
	if err != nil {
		return nil, errUnreadable
	}
	return whole, nil
}
