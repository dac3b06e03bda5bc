package certificate

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"hash"
)

// digest is a hash function of a key derivation.
type digest struct {
	new         func() hash.Hash
	size, block int // bytes
	// weight is how long one hash takes, in those of SHA-256: 112 ns for SHA-256,
	// 107 for SHA-1 and 278 for SHA-512 on the machine where this was measured.
	weight int
}

var (
	sha1Digest   = digest{sha1.New, sha1.Size, sha1.BlockSize, 1}
	sha256Digest = digest{sha256.New, sha256.Size, sha256.BlockSize, 1}
	sha512Digest = digest{sha512.New, sha512.Size, sha512.BlockSize, 3}
)

// macDigests are the hash functions of a MAC; prfs those of HMAC in PBKDF2, where
// none means SHA-1.
var (
	macDigests = map[string]digest{
		"1.3.14.3.2.26": sha1Digest, "2.16.840.1.101.3.4.2.1": sha256Digest, "2.16.840.1.101.3.4.2.3": sha512Digest,
	}
	prfs = map[string]digest{
		"": sha1Digest, "1.2.840.113549.2.7": sha1Digest, "1.2.840.113549.2.9": sha256Digest, "1.2.840.113549.2.11": sha512Digest,
	}
	aesKeys = map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}
)

// Bounds of parameters, apart from the work.
const (
	maxSalt      = 1 << 10 // bytes; real ones have 8 to 64
	maxKeyLength = 64      // bytes, as in RFC 9879 and OpenSSL
)

// derivation is a key derivation: what it costs once, and how to decrypt with it.
type derivation struct {
	cost    work
	decrypt func(pass password) (cipher.BlockMode, error)
}

// encryption reads the parameters of PBES1, as PKCS#12 has it, or PBES2.
func encryption(a pkix.AlgorithmIdentifier) (derivation, error) {
	switch a.Algorithm.String() {
	case oidPBE3DES:
		return pbes1(a, 24, des.NewTripleDESCipher)
	case oidPBERC2128:
		return pbes1(a, 16, func(key []byte) (cipher.Block, error) { return newRC2(key), nil })
	case oidPBERC240:
		return pbes1(a, 5, func(key []byte) (cipher.Block, error) { return newRC2(key), nil })
	case oidPBES2:
		return pbes2(a)
	}
	return derivation{}, errUnknownScheme
}

// pbes1 derives the key, of one or two hashes' length, and the initialisation vector.
func pbes1(a pkix.AlgorithmIdentifier, size int, block func([]byte) (cipher.Block, error)) (derivation, error) {
	var p pbeParams
	if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
		return derivation{}, err
	}
	if p.Iterations < 1 || len(p.Salt) > maxSalt {
		return derivation{}, errParameters
	}
	return derivation{
		cost: iterations(p.Iterations, hashes(size, sha1Digest)+1, 1),
		decrypt: func(pass password) (cipher.BlockMode, error) {
			b, err := block(pkcs12KDF(sha1Digest, p.Salt, pass.bmp, p.Iterations, 1, size))
			if err != nil {
				return nil, err
			}
			return cipher.NewCBCDecrypter(b, pkcs12KDF(sha1Digest, p.Salt, pass.bmp, p.Iterations, 2, b.BlockSize())), nil
		},
	}, nil
}

func pbes2(a pkix.AlgorithmIdentifier) (derivation, error) {
	var p pbes2Params
	if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
		return derivation{}, err
	}
	size, ok := aesKeys[p.Scheme.Algorithm.String()]
	if !ok {
		return derivation{}, errUnknownScheme
	}
	kdf, prf, err := pbkdf2Of(p.KDF)
	if err != nil {
		return derivation{}, err
	}
	iv := p.Scheme.Parameters.Bytes
	if len(iv) != aes.BlockSize {
		return derivation{}, errUnreadable
	}
	return derivation{
		cost: iterations(kdf.Iterations, hashes(size, prf), 2*prf.weight),
		decrypt: func(pass password) (cipher.BlockMode, error) {
			key, err := pbkdf2.Key(prf.new, pass.text, kdf.Salt.Bytes, kdf.Iterations, size)
			if err != nil {
				return nil, err
			}
			b, err := aes.NewCipher(key)
			if err != nil {
				return nil, err
			}
			return cipher.NewCBCDecrypter(b, iv), nil
		},
	}, nil
}

// pbkdf2Of reads the parameters of PBKDF2. scrypt, whose memory is for the file to
// choose, and every other function is refused.
func pbkdf2Of(a pkix.AlgorithmIdentifier) (p pbkdf2Params, prf digest, err error) {
	if a.Algorithm.String() != oidPBKDF2 {
		return p, prf, errUnknownScheme
	}
	if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
		return p, prf, err
	}
	prf, ok := prfs[p.PRF.Algorithm.String()]
	switch {
	case !ok || p.Salt.Tag != asn1.TagOctetString:
		return p, prf, errUnknownScheme
	case p.Iterations < 1 || len(p.Salt.Bytes) > maxSalt || p.KeyLength < 0 || p.KeyLength > maxKeyLength:
		return p, prf, errParameters
	}
	return p, prf, nil
}

func hashes(size int, d digest) int { return (size + d.size - 1) / d.size }
