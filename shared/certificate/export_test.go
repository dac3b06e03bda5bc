package certificate

import "context"

// MaxWork is the bound of the work of a file.
const MaxWork = int64(maxWork)

// Work returns how many hashes reading a PFX file takes; more than [MaxWork] where it is
// refused for that.
func Work(der []byte, password string) (int64, error) {
	f, err := readPFX(der, password)
	if err != nil {
		return 0, err
	}
	err = f.open(context.Background())
	return int64(f.sum), err
}

// Shown returns how many hashes a file shows without a key that reading it takes.
func Shown(der []byte) (int64, error) {
	f, err := readPFX(der, "x")
	if err != nil {
		return 0, err
	}
	return int64(f.sum), nil
}

// NewGate returns the enter of a gate with n places.
func NewGate(n int) func(context.Context) (func(), error) { return make(gate, n).enter }

// Occupy takes all places of this process until it is called back.
func Occupy() (leave func()) {
	for range cap(reading) {
		reading <- struct{}{}
	}
	return func() {
		for range cap(reading) {
			<-reading
		}
	}
}

// NewRC2 makes a cipher for decrypting.
var NewRC2 = newRC2

// KDF is the key derivation of PKCS#12 with SHA-1.
func KDF(salt, bmp []byte, count int, id byte, size int) []byte {
	return pkcs12KDF(sha1Digest, salt, bmp, count, id, size)
}

// ToDER rewrites a value in BER as DER.
var ToDER = toDER

// Blocks returns the content of each PEM block, and whether all of the text was understood.
func Blocks(text string) (list [][]byte, ok bool) {
	found, ok := blocks(unwrap(text))
	for _, b := range found {
		list = append(list, b.der)
	}
	return list, ok
}
