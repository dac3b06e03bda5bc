package certificate

import (
	"context"
	"unicode/utf16"
)

// A PFX file says itself how much work it takes to read: it has an iteration count for
// its MAC, for each encrypted part and for each encrypted key, and these are worked off
// before anything shows whether the password is right. go-pkcs12 bounds none of it and
// cannot be stopped. So everything is added up first, and go-pkcs12 gets only files
// whose sum is within bounds:
//
//  1. What can be seen without a key is read and counted. Most attacks end here.
//  2. The file waits for one of a few places, for as long as its request does.
//  3. Encrypted parts are decrypted, and the keys in them counted too.
//
// Whatever this does not understand is refused.

// maxWork bounds the sum over a file, in hashes of SHA-256: about 0.9 s of one core.
// An iteration is one hash in the key derivation of PKCS#12 (for 3DES three), and two
// in PBKDF2. An encrypted part counts twice, since it is decrypted here and again by
// go-pkcs12; with an empty password, which has two forms, everything counts twice.
//
// What programs write: OpenSSL 2,048 (PKCS12_DEFAULT_ITER in include/openssl/pkcs12.h.in),
// Java 10,000 (keystore.pkcs12.*IterationCount in java.security, JDK 16 on), Windows 2,000
// or, where its registry says so, 100,000s, Firefox 600,000. With AES and SHA-256 each
// iteration of MAC, certificates and key takes 7 hashes: 14,336 with OpenSSL, 4,200,000
// with Firefox. A million iterations of each are still accepted.
const maxWork work = 8_000_000

const (
	maxSafes = 2        // as many as go-pkcs12 reads
	maxBags  = 64       // certificates, keys and what else there may be
	maxKey   = 16 << 10 // bytes of a key; an RSA key of maxBits has 9,260
)

// work is a number of hashes.
type work int64

// iterations is the work of a derivation. All that is too much has the same value, so
// that nothing overflows.
func iterations(count, blocks, weight int) work {
	if work(count) > maxWork {
		return maxWork + 1
	}
	return work(count) * work(blocks*weight)
}

// The refusals of files that are not given to go-pkcs12.
var (
	errWork = refuse("The PFX file asks for more iterations of its key derivation than Rekey works off. " +
		"Export it again with fewer, for example with OpenSSL's default of 2048.")
	errParts = refuse("The PFX file has more parts than Rekey reads. " +
		"Export it again with only the application's certificate and its key.")
	errLongKey = refuse("The private key in the PFX file is longer than one of %d bits. "+
		"Use an RSA key of %d to %d bits.", maxBits, minBits, maxBits)
	errParameters = refuse("The PFX file's encryption has parameters that no known program writes. " +
		"Export it again with AES-256 and SHA-256.")
	errUnknownScheme = refuse("The PFX file is protected in a way that Rekey does not know. " +
		"Export it again with AES-256 and SHA-256, or with 3DES and SHA-1.")
	errUnreadable = refuse("The PFX file cannot be read, or has no private key. " +
		"Export it again with its private key, and send the file's bytes as base64.")
	errPassword   = refuse("The password of the PFX file is wrong.")
	errNoPassword = refuse("The PFX file has a password. Give it, too.")
)

// password is a password as PBES1 and as PBES2 take it.
type password struct {
	text string
	bmp  []byte
}

// forms are the forms of a password that go-pkcs12 may decrypt with. The empty one has
// two: some programs leave out the zero at its end.
func forms(text string) []password {
	bmp := []byte{}
	for _, unit := range utf16.Encode([]rune(text)) {
		bmp = append(bmp, byte(unit>>8), byte(unit))
	}
	list := []password{{text, append(bmp, 0, 0)}}
	if text == "" {
		list = append(list, password{})
	}
	return list
}

// outline is what a file shows without a key.
type outline struct {
	forms     []password
	sum       work
	bags      int
	encrypted []*encryptedData
}

// readOutline reads the outline of a file, derives nothing, and refuses what asks for too
// much.
func readOutline(der []byte, text string) (*outline, error) {
	o := &outline{forms: forms(text)}
	var file pfxFile
	if err := unmarshal(der, &file); err != nil {
		return nil, err
	}
	if file.Version != 3 || file.AuthSafe.ContentType.String() != oidData {
		return nil, errUnknownScheme
	}
	var content []byte
	if err := unmarshal(file.AuthSafe.Content.Bytes, &content); err != nil {
		return nil, err
	}
	if len(file.MacData.Mac.Algorithm.Algorithm) > 0 {
		cost, err := macCost(&file.MacData)
		if err != nil {
			return nil, err
		}
		if err := o.add(cost); err != nil {
			return nil, err
		}
	}
	var safes []contentInfo
	if err := unmarshal(content, &safes); err != nil {
		return nil, err
	}
	if len(safes) > maxSafes {
		return nil, errParts
	}
	for _, safe := range safes {
		if err := o.addSafe(safe); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// add adds the work of a derivation, once for each form of the password.
func (o *outline) add(cost work) error {
	if o.sum += cost * work(len(o.forms)); cost > maxWork || o.sum > maxWork {
		return errWork
	}
	return nil
}

func (o *outline) addSafe(safe contentInfo) error {
	switch safe.ContentType.String() {
	case oidData:
		var bags []byte
		if err := unmarshal(safe.Content.Bytes, &bags); err != nil {
			return err
		}
		return o.addBags(bags)
	case oidEncryptedData:
		e := new(encryptedData)
		if err := unmarshal(safe.Content.Bytes, e); err != nil {
			return err
		}
		d, err := encryption(e.Info.Algorithm)
		if err != nil {
			return err
		}
		o.encrypted = append(o.encrypted, e)
		return o.add(2 * d.cost)
	}
	return errUnknownScheme
}

// addBags adds the keys of a list of bags. Other bags take no derivation; lists within
// the list are not looked into, here and by go-pkcs12.
func (o *outline) addBags(der []byte) error {
	var bags []safeBag
	if err := unmarshal(der, &bags); err != nil {
		return err
	}
	if o.bags += len(bags); o.bags > maxBags {
		return errParts
	}
	for _, bag := range bags {
		id := bag.ID.String()
		if id != oidKeyBag && id != oidShroudedKey {
			continue
		}
		if len(bag.Value.Bytes) > maxKey {
			return errLongKey
		}
		if id == oidKeyBag {
			continue
		}
		var key encryptedKey
		if err := unmarshal(bag.Value.Bytes, &key); err != nil {
			return err
		}
		d, err := encryption(key.Algorithm)
		if err != nil {
			return err
		}
		if err := o.add(d.cost); err != nil {
			return err
		}
	}
	return nil
}

// addEncrypted decrypts the encrypted parts and adds the keys in them. Which form of the
// password is the right one shows only in the MAC, so that each form counts with which
// there is something to read.
func (o *outline) addEncrypted(ctx context.Context) error {
	for _, e := range o.encrypted {
		d, err := encryption(e.Info.Algorithm)
		if err != nil {
			return err
		}
		readable := false
		for _, pass := range o.forms {
			if ctx.Err() != nil {
				return ErrBusy
			}
			bags, ok := open(d, pass, e.Info.Data)
			if !ok || unmarshal(bags, &[]safeBag{}) != nil {
				continue
			}
			readable = true
			if err := o.addBags(bags); err != nil {
				return err
			}
		}
		switch {
		case !readable && o.forms[0].text == "":
			return errNoPassword
		case !readable:
			return errPassword
		}
	}
	return nil
}

// open decrypts data and takes the padding off.
func open(d derivation, pass password, data []byte) ([]byte, bool) {
	mode, err := d.decrypt(pass)
	if err != nil || len(data) == 0 || len(data)%mode.BlockSize() != 0 {
		return nil, false
	}
	out := make([]byte, len(data))
	mode.CryptBlocks(out, data)
	n := int(out[len(out)-1])
	if n == 0 || n > mode.BlockSize() {
		return nil, false
	}
	return out[:len(out)-n], true
}
