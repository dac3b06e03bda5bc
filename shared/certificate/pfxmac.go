package certificate

import (
	"crypto/hmac"
	"crypto/pbkdf2"
)

// mac is the check of a file's content: what it costs once, and how to do it.
type mac struct {
	cost   work
	key    func(pass password) ([]byte, error)
	digest digest
	sum    []byte
}

func (m *mac) verify(pass password, content []byte) bool {
	key, err := m.key(pass)
	if err != nil {
		return false
	}
	h := hmac.New(m.digest.new, key)
	h.Write(content)
	return hmac.Equal(h.Sum(nil), m.sum)
}

// minMACKey is the least number of bytes of PBMAC1's key that can be relied on (RFC 9879).
const minMACKey = 20

func readMAC(data *macData) (*mac, error) {
	if data.Mac.Algorithm.Algorithm.String() == oidPBMAC1 {
		return readPBMAC1(data)
	}
	d, ok := macDigests[data.Mac.Algorithm.Algorithm.String()]
	switch {
	case !ok:
		return nil, errUnknownScheme
	case data.Iterations < 1 || len(data.MacSalt) > maxSalt:
		return nil, errParameters
	}
	return &mac{
		cost: iterations(data.Iterations, 1, d.weight),
		key: func(pass password) ([]byte, error) {
			return pkcs12KDF(d, data.MacSalt, pass.bmp, data.Iterations, 3, d.size), nil
		},
		digest: d, sum: data.Mac.Digest,
	}, nil
}

// readPBMAC1 reads a MAC whose own parameters count, and no others.
func readPBMAC1(data *macData) (*mac, error) {
	var p pbmac1Params
	if err := unmarshal(data.Mac.Algorithm.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	kdf, prf, err := pbkdf2Of(p.KDF)
	if err != nil {
		return nil, err
	}
	d, ok := prfs[p.MAC.Algorithm.String()]
	switch {
	case !ok || len(p.MAC.Algorithm) == 0:
		return nil, errUnknownScheme
	case kdf.KeyLength < minMACKey:
		return nil, errParameters
	}
	return &mac{
		cost: iterations(kdf.Iterations, hashes(kdf.KeyLength, prf), 2*prf.weight),
		key: func(pass password) ([]byte, error) {
			return pbkdf2.Key(prf.new, pass.text, kdf.Salt.Bytes, kdf.Iterations, kdf.KeyLength)
		},
		digest: d, sum: data.Mac.Digest,
	}, nil
}
