package certificate

import (
	"bytes"
	"context"
	"encoding/asn1"
	"strings"
)

// addPFX reads a PKCS#12 file: MAC by SHA-1, SHA-256 or SHA-512, certificates and
// keys by 3DES, RC2 or AES, in DER or BER, which is what OpenSSL, Windows, Java, Bouncy
// Castle and Key Vault write.
func (m *material) addPFX(ctx context.Context, text, password string) error {
	der, err := decodePFX(text)
	if err != nil {
		return err
	}
	f, err := readPFX(der, password)
	if err != nil {
		return err
	}
	leave, err := reading.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := f.open(ctx); err != nil {
		return err
	}
	return f.addTo(ctx, m)
}

// decodePFX decodes base64, with or without the BEGIN line that GnuTLS writes.
func decodePFX(text string) ([]byte, error) {
	text = unwrap(text)
	if strings.Contains(text, begin) {
		if list, ok := blocks(text); ok && len(list) == 1 && list[0].label == "PKCS12" {
			return list[0].der, nil
		}
		return nil, refuse("This is PEM, not a PFX file. Give it as certificate and private key.")
	}
	der, ok := decodeBase64(text)
	if !ok {
		return nil, refuse("The PFX file is not valid base64. Encode the file's bytes as base64.")
	}
	return der, nil
}

// open checks the MAC, if there is one, and decrypts the encrypted parts, whose keys are
// added to the work.
func (f *pfx) open(ctx context.Context) error {
	if f.mac != nil {
		ok, err := f.try(ctx, func(pass password) bool { return f.mac.verify(pass, f.content) })
		if err != nil {
			return err
		}
		if !ok {
			return f.wrongPassword()
		}
		f.proven = true
	}
	for _, part := range f.encrypted {
		var bags []safeBag
		ok, err := f.try(ctx, func(pass password) bool {
			plain, ok := part.decrypt(pass)
			return ok && unmarshalBER(plain, &bags) == nil
		})
		if err != nil {
			return err
		}
		if !ok {
			return f.wrongPassword()
		}
		f.proven = true
		if err := f.addBags(bags); err != nil {
			return err
		}
	}
	return nil
}

// try looks for a form of the password that fits, as long as the request goes on.
func (f *pfx) try(ctx context.Context, fits func(password) bool) (bool, error) {
	for _, pass := range f.forms {
		if ctx.Err() != nil {
			return false, ErrBusy
		}
		if fits(pass) {
			return true, nil
		}
	}
	return false, nil
}

func (f *pfx) wrongPassword() error {
	switch {
	case f.proven:
		return errOtherPassword
	case f.forms[0].text == "":
		return errNoPassword
	}
	return errPassword
}

// addTo gives m what the bags have. All of them are within bounds.
func (f *pfx) addTo(ctx context.Context, m *material) error {
	for _, bag := range f.bags {
		var err error
		switch bag.ID.String() {
		case oidCertBag:
			err = m.addCertBag(bag.Value.Bytes)
		case oidKeyBag:
			err = m.addKeyDER(bag.Value.Bytes)
		case oidShroudedKey:
			err = f.addShroudedKey(ctx, m, bag.Value.Bytes)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case len(m.keys) == 0:
		return errNoKey
	case len(m.certificates) == 0:
		return errNoCertificate
	}
	return nil
}

func (m *material) addCertBag(der []byte) error {
	var bag struct {
		ID   asn1.ObjectIdentifier
		Data []byte `asn1:"tag:0,explicit"`
	}
	if err := unmarshal(der, &bag); err != nil {
		return err
	}
	if bag.ID.String() != oidX509 {
		return errUnreadable
	}
	return m.addCertificateDER(bag.Data)
}

func (f *pfx) addShroudedKey(ctx context.Context, m *material, der []byte) error {
	part, err := readShroudedKey(der)
	if err != nil {
		return err
	}
	var key []byte
	ok, err := f.try(ctx, func(pass password) bool {
		plain, ok := part.decrypt(pass)
		if !ok {
			return false
		}
		key, err = toDER(plain)
		return err == nil
	})
	if err != nil {
		return err
	}
	if !ok {
		return f.wrongPassword()
	}
	f.proven = true
	return m.addKeyDER(key)
}

// sealed is something encrypted.
type sealed struct {
	derivation
	data []byte
}

// decrypt returns what data has, without the padding. Without the right password there
// is, but for one in 256, no padding.
func (s sealed) decrypt(pass password) ([]byte, bool) {
	mode, err := s.derivation.decrypt(pass)
	if err != nil || len(s.data) == 0 || len(s.data)%mode.BlockSize() != 0 {
		return nil, false
	}
	out := make([]byte, len(s.data))
	mode.CryptBlocks(out, s.data)
	n := int(out[len(out)-1])
	if n == 0 || n > mode.BlockSize() || !bytes.HasSuffix(out, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, false
	}
	return out[:len(out)-n], true
}
