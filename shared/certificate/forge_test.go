package certificate_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"
	"slices"
	"strconv"
	"strings"

	"rekey/shared/certificate"
)

// These forge PFX files that no program writes. What is derived here takes one
// iteration, whatever the file then says.

func oid(text string) (id asn1.ObjectIdentifier) {
	for part := range strings.SplitSeq(text, ".") {
		id = append(id, must(strconv.Atoi(part)))
	}
	return id
}

func der(v any) []byte { return must(asn1.Marshal(v)) }

func raw(b []byte) asn1.RawValue { return asn1.RawValue{FullBytes: b} }

// explicit is b under the tag [0].
func explicit(b []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: b}
}

func algorithm(id string, parameters any) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: oid(id), Parameters: raw(der(parameters))}
}

const (
	hmacSHA256 = "1.2.840.113549.2.9"
	aes256     = "2.16.840.1.101.3.4.1.42"
	scrypt     = "1.3.6.1.4.1.11591.4.11"
)

var salt = []byte("saltsalt")

type kdf struct {
	Salt       []byte
	Iterations int
	KeyLength  int `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier
}

type pbes2 struct{ KDF, Scheme pkix.AlgorithmIdentifier }

type pbe struct {
	Salt       []byte
	Iterations int
}

// aesBy is PBES2 that says it takes count iterations.
func aesBy(count int) pkix.AlgorithmIdentifier {
	return aesWith(kdf{Salt: salt, Iterations: count, PRF: algorithm(hmacSHA256, asn1.NullRawValue)})
}

func aesWith(k kdf) pkix.AlgorithmIdentifier {
	return algorithm("1.2.840.113549.1.5.13", pbes2{algorithm("1.2.840.113549.1.5.12", k), algorithm(aes256, make([]byte, 16))})
}

// desBy is PBES1 with 3DES that says it takes count iterations.
func desBy(count int) pkix.AlgorithmIdentifier {
	return algorithm("1.2.840.113549.1.12.1.3", pbe{salt, count})
}

// sealAES encrypts as aesBy(1) says.
func sealAES(password string, data []byte) []byte {
	b := must(aes.NewCipher(must(pbkdf2.Key(sha256.New, password, salt, 1, 32))))
	return seal(b, make([]byte, 16), data)
}

// sealDES encrypts as desBy(1) says, under a password in its form for PBES1.
func sealDES(bmp, data []byte) []byte {
	b := must(des.NewTripleDESCipher(certificate.KDF(salt, bmp, 1, 1, 24)))
	return seal(b, certificate.KDF(salt, bmp, 1, 2, 8), data)
}

func seal(b cipher.Block, iv, data []byte) []byte {
	n := b.BlockSize() - len(data)%b.BlockSize()
	for range n {
		data = append(data[:len(data):len(data)], byte(n))
	}
	out := make([]byte, len(data))
	cipher.NewCBCEncrypter(b, iv).CryptBlocks(out, data)
	return out
}

type bag struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

func certBag() bag { return certBagOf(single) }

func certBagOf(c *x509.Certificate) bag {
	value := struct {
		ID   asn1.ObjectIdentifier
		Data asn1.RawValue
	}{oid("1.2.840.113549.1.9.22.1"), explicit(der(c.Raw))}
	return bag{oid("1.2.840.113549.1.12.10.1.3"), explicit(der(value))}
}

func plainKeyBag(pkcs8 []byte) bag { return bag{oid("1.2.840.113549.1.12.10.1.1"), explicit(pkcs8)} }

// keyBag is the test's key, encrypted as aesBy(1) says under the password x, with what it
// says about that.
func keyBag(a pkix.AlgorithmIdentifier) bag { return keyBagOf(a, sealAES("x", pkcs8(key))) }

func keyBagOf(a pkix.AlgorithmIdentifier, data []byte) bag {
	value := struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{a, data}
	return bag{oid("1.2.840.113549.1.12.10.1.2"), explicit(der(value))}
}

type info struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue
}

func plainSafe(bags ...bag) info {
	return info{oid("1.2.840.113549.1.7.1"), explicit(der(der(bags)))}
}

// sealedSafe has data, which is encrypted, and says how.
func sealedSafe(a pkix.AlgorithmIdentifier, data []byte) info {
	type content struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Data      asn1.RawValue
	}
	value := struct {
		Version int
		Content content
	}{0, content{oid("1.2.840.113549.1.7.1"), a, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: data}}}
	return info{oid("1.2.840.113549.1.7.6"), explicit(der(value))}
}

// sealedBags are bags that are encrypted under the password x.
func sealedBags(bags ...bag) info { return sealedSafe(aesBy(1), sealAES("x", der(bags))) }

type mac struct {
	Mac struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int
}

// pbmac1 says how the MAC is made.
func pbmac1(k kdf) pkix.AlgorithmIdentifier {
	return algorithm("1.2.840.113549.1.5.14", pbes2{algorithm("1.2.840.113549.1.5.12", k), algorithm(hmacSHA256, asn1.NullRawValue)})
}

var oneIteration = kdf{Salt: salt, Iterations: 1, KeyLength: 32, PRF: algorithm(hmacSHA256, asn1.NullRawValue)}

// file puts safes under a MAC that is right for the password x.
func file(safes ...info) []byte { return fileWith("x", pbmac1(oneIteration), 1, safes...) }

// fileWith says of its MAC what it is told to.
func fileWith(password string, a pkix.AlgorithmIdentifier, count int, safes ...info) []byte {
	return wrap(password, a, count, der(safes))
}

func wrap(password string, a pkix.AlgorithmIdentifier, count int, content []byte) []byte {
	return under(a, count, hmacOf(sha256.New, must(pbkdf2.Key(sha256.New, password, salt, 1, 32)), content), content)
}

// bySHA1 puts content under the MAC that every program knows.
func bySHA1(password string, content []byte) []byte {
	sum := hmacOf(sha1.New, certificate.KDF(salt, bmp(password), 1, 3, sha1.Size), content)
	return under(algorithm("1.3.14.3.2.26", asn1.NullRawValue), 1, sum, content)
}

func hmacOf(h func() hash.Hash, key, content []byte) []byte {
	m := hmac.New(h, key)
	m.Write(content)
	return m.Sum(nil)
}

func under(a pkix.AlgorithmIdentifier, count int, sum, content []byte) []byte {
	m := mac{Salt: salt, Iterations: count}
	m.Mac.Algorithm, m.Mac.Digest = a, sum
	return der(struct {
		Version int
		Content info
		MAC     mac
	}{3, info{oid("1.2.840.113549.1.7.1"), explicit(der(content))}, m})
}

// withoutMAC puts safes into a file that has no MAC.
func withoutMAC(safes ...info) []byte {
	return der(struct {
		Version int
		Content info
	}{3, info{oid("1.2.840.113549.1.7.1"), explicit(der(der(safes)))}})
}

// inBER writes a value as Bouncy Castle does: all lengths are indefinite, and octet strings
// are in pieces of n bytes; implicit says that values with a tag of their own are octet strings.
func inBER(value []byte, n int, implicit bool) (out []byte) {
	for len(value) > 0 {
		var v asn1.RawValue
		rest := must(asn1.Unmarshal(value, &v))
		tag, content := value[:1], v.Bytes
		if value[0]&0x1f == 0x1f {
			tag = value[:2+slices.IndexFunc(value[1:], func(b byte) bool { return b < 0x80 })]
		}
		switch {
		case v.IsCompound:
			out = append(append(append(out, tag...), 0x80), inBER(content, n, implicit)...)
		case v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString, implicit && v.Class == asn1.ClassContextSpecific:
			out = append(append(append(out, tag[0]|0x20), tag[1:]...), 0x80)
			for piece := range slices.Chunk(content, n) {
				out = append(out, der(piece)...)
			}
		default:
			out = append(out, v.FullBytes...)
			value = rest
			continue
		}
		out, value = append(out, 0, 0), rest
	}
	return out
}

// fileInBER is a file with everything in BER, also what its octet strings have.
func fileInBER(n int, bags ...bag) []byte {
	part := inBER(der(sealedSafe(aesBy(1), sealAES("x", inBER(der(bags), n, true)))), n, true)
	content := append(append([]byte{0x30, 0x80}, part...), 0, 0)
	return inBER(bySHA1("x", content), n, true)
}
