package certificate

import "bytes"

// pkcs12KDF is the key derivation of RFC 7292, appendix B.2. It makes what has id: 1 for
// a key, 2 for an initialisation vector, 3 for the key of a MAC.
func pkcs12KDF(d digest, salt, bmp []byte, count int, id byte, size int) (key []byte) {
	in := append(repeat(salt, d.block), repeat(bmp, d.block)...)
	start := bytes.Repeat([]byte{id}, d.block)
	h := d.new()
	for {
		h.Reset()
		h.Write(start)
		h.Write(in)
		sum := h.Sum(nil)
		for range count - 1 {
			h.Reset()
			h.Write(sum)
			sum = h.Sum(sum[:0])
		}
		if key = append(key, sum...); len(key) >= size {
			return key[:size]
		}
		carryInto(in, repeat(sum, d.block)[:d.block])
	}
}

// repeat copies pattern until the next multiple of n bytes is full.
func repeat(pattern []byte, n int) []byte {
	if len(pattern) == 0 {
		return nil
	}
	out := make([]byte, (len(pattern)+n-1)/n*n)
	for i := range out {
		out[i] = pattern[i%len(pattern)]
	}
	return out
}

// carryInto adds b and one to each block of in, as numbers that wrap around.
func carryInto(in, b []byte) {
	for ; len(in) > 0; in = in[len(b):] {
		carry := 1
		for i := len(b) - 1; i >= 0; i-- {
			carry += int(in[i]) + int(b[i])
			in[i], carry = byte(carry), carry>>8
		}
	}
}
