package certificate

import "unicode/utf16"

// A PFX file says itself how much work it takes to read: it has an iteration count for
// its MAC, for each encrypted part and for each encrypted key, and these are worked off
// before anything shows whether the password is right. So everything is added up first,
// and only files whose sum is within bounds are worked on:
//
//  1. What can be seen without a key is read and counted. Most attacks end here.
//  2. The file waits for one of a few places, for as long as its request does.
//  3. The MAC is checked and encrypted parts are decrypted, and the keys in them are
//     counted too.
//  4. The keys are decrypted.
//
// Whatever this does not understand is refused. go-pkcs12 bounds none of it, cannot be
// stopped, and reads neither BER, nor more than two parts, nor a password outside of
// Unicode's basic plane; it writes the files of the tests.

// maxWork bounds the sum over a file, in hashes of SHA-256: about 0.9 s of one core.
// An iteration is one hash in the key derivation of PKCS#12 (for 3DES three), and two
// in PBKDF2. With an empty password, which has two forms, everything counts twice.
//
// What programs write: OpenSSL 2,048 (PKCS12_DEFAULT_ITER in include/openssl/pkcs12.h.in),
// Java 10,000 (keystore.pkcs12.*IterationCount in java.security, JDK 16 on), Windows 2,000
// or, where its registry says so, 100,000s, Firefox 600,000. With AES and SHA-256 each
// iteration of MAC, certificates and key takes 5 hashes: 10,240 with OpenSSL, 3,000,000
// with Firefox. 1,500,000 iterations of each are still accepted.
const maxWork work = 8_000_000

const (
	maxParts = 16       // lists of bags, each encrypted by itself; programs write one to three
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

// The refusals of files.
var (
	errWork = refuse("The PFX file asks for more iterations of its key derivation than Rekey works off. " +
		"Export it again with fewer, for example with OpenSSL's default of 2048.")
	errParts = refuse("The PFX file has more parts than Rekey reads, which are %d with %d entries. "+
		"Export it again with only the application's certificate and its key.", maxParts, maxBags)
	errLongKey = refuse("The private key in the PFX file is longer than one of %d bits. "+
		"Use an RSA key of %d to %d bits.", maxBits, minBits, maxBits)
	errParameters = refuse("The PFX file's encryption has parameters that no known program writes. " +
		"Export it again with AES-256 and SHA-256.")
	errUnknownScheme = refuse("The PFX file is protected in a way that Rekey does not know. " +
		"Export it again with a password, and with AES-256 and SHA-256, or with 3DES and SHA-1.")
	errUnreadable = refuse("The PFX file cannot be read. " +
		"Export it again with its private key, and send the file's bytes as base64.")
	errNoKey         = refuse("The PFX file has no private key. Export it again with its private key.")
	errNoCertificate = refuse("The PFX file has no certificate. Export it again with the certificate of its private key.")
	errPassword      = refuse("The password of the PFX file is wrong.")
	errNoPassword    = refuse("The PFX file has a password. Give it, too.")
	errOtherPassword = refuse("The password is that of the PFX file, but not of everything in it. " +
		"Export it again with one password for all of it.")
)

// password is a password as PBES1 and as PBES2 take it.
type password struct {
	text string
	bmp  []byte
}

// forms are the forms of a password that a file may be encrypted with. The empty one has
// two: some programs leave out the zero at its end. PKCS#12 says UCS-2; OpenSSL, Java and
// Windows write a character that does not fit as two units, as in UTF-16.
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

// pfx is a file that is being read.
type pfx struct {
	forms     []password
	sum       work
	mac       *mac   // if there is one
	content   []byte // what mac is of
	encrypted []sealed
	bags      []safeBag
	proven    bool // the password has opened something
}

// readPFX reads what a file shows without a key, derives nothing, and refuses what asks
// for too much.
func readPFX(ber []byte, text string) (*pfx, error) {
	f := &pfx{forms: forms(text)}
	var file pfxFile
	if err := unmarshalBER(ber, &file); err != nil {
		return nil, err
	}
	if file.Version != 3 || file.AuthSafe.ContentType.String() != oidData {
		return nil, errUnknownScheme
	}
	if err := unmarshal(file.AuthSafe.Content.Bytes, &f.content); err != nil {
		return nil, err
	}
	if len(file.MacData.Mac.Algorithm.Algorithm) > 0 {
		var err error
		if f.mac, err = readMAC(&file.MacData); err != nil {
			return nil, err
		}
		if err := f.add(f.mac.cost); err != nil {
			return nil, err
		}
	}
	var parts []contentInfo
	if err := unmarshalBER(f.content, &parts); err != nil {
		return nil, err
	}
	if len(parts) > maxParts {
		return nil, errParts
	}
	for _, part := range parts {
		if err := f.addPart(part); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// add adds the work of a derivation, once for each form of the password.
func (f *pfx) add(cost work) error {
	if f.sum += cost * work(len(f.forms)); cost > maxWork || f.sum > maxWork {
		return errWork
	}
	return nil
}

func (f *pfx) addPart(part contentInfo) error {
	switch part.ContentType.String() {
	case oidData:
		var content []byte
		if err := unmarshal(part.Content.Bytes, &content); err != nil {
			return err
		}
		var bags []safeBag
		if err := unmarshalBER(content, &bags); err != nil {
			return err
		}
		return f.addBags(bags)
	case oidEncryptedData:
		var e encryptedData
		if err := unmarshal(part.Content.Bytes, &e); err != nil {
			return err
		}
		d, err := encryption(e.Info.Algorithm)
		if err != nil {
			return err
		}
		data, err := octets(e.Info.Data)
		if err != nil {
			return err
		}
		f.encrypted = append(f.encrypted, sealed{d, data})
		return f.add(d.cost)
	}
	return errUnknownScheme
}

// addBags adds a list of bags, and the work of its keys. Other bags take no derivation;
// lists within the list are not looked into.
func (f *pfx) addBags(bags []safeBag) error {
	if f.bags = append(f.bags, bags...); len(f.bags) > maxBags {
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
		key, err := readShroudedKey(bag.Value.Bytes)
		if err != nil {
			return err
		}
		if err := f.add(key.cost); err != nil {
			return err
		}
	}
	return nil
}

func readShroudedKey(der []byte) (sealed, error) {
	var key encryptedKey
	if err := unmarshal(der, &key); err != nil {
		return sealed{}, err
	}
	d, err := encryption(key.Algorithm)
	return sealed{d, key.Data}, err
}
