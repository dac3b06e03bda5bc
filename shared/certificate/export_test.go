package certificate

import "context"

// MaxWork is the bound of the work of a file.
const MaxWork = int64(maxWork)

// Work returns how many hashes reading a PFX file takes; more than [MaxWork] where it is
// refused for that.
func Work(der []byte, password string) (int64, error) {
	o, err := readOutline(der, password)
	if err != nil {
		return 0, err
	}
	err = o.addEncrypted(context.Background())
	return int64(o.sum), err
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
var KDF = pkcs12KDF
