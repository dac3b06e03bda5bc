package certificate

import "errors"

// Some programs, among them Bouncy Castle and older browsers, write PFX files in BER:
// with values whose length shows only at their end, and with octet strings in pieces.
// encoding/asn1 reads DER only, where each value has one form.

// maxDepth is how deep values may lie within each other. Real files have about ten
// levels between two octet strings.
const maxDepth = 32

var errBER = errors.New("not a value in BER")

// toDER rewrites exactly one value in BER: lengths become definite and as short as they
// can be, octet strings become one piece. DER comes out as it went in. What octet strings
// contain is not looked into, so that a certificate keeps the bytes that it was signed
// with. The result is never longer than ber.
func toDER(ber []byte) ([]byte, error) {
	if len(ber) > maxInput {
		return nil, errBER
	}
	out, rest, err := appendDER(make([]byte, 0, len(ber)), ber, maxDepth)
	if err == nil && len(rest) > 0 {
		err = errBER
	}
	return out, err
}

const (
	octetString  = 0x04
	constructed  = 0x20 // the bit of the first byte of a tag
	endOfContent = 0x00
	indefinite   = -1
)

// appendDER appends the first value of in to out.
func appendDER(out, in []byte, depth int) (_, rest []byte, err error) {
	tag, length, in, err := readHeader(in)
	if err != nil || tag[0] == endOfContent {
		return nil, nil, errBER
	}
	if tag[0]&constructed == 0 {
		return appendValue(out, tag, in[:length]), in[length:], nil
	}
	if depth == 0 {
		return nil, nil, errBER
	}
	var content []byte
	if length == indefinite {
		content, rest, err = appendUntilEnd(in, depth-1)
	} else {
		content, err = appendAll(in[:length], depth-1)
		rest = in[length:]
	}
	if err == nil && tag[0] == octetString|constructed {
		tag = []byte{octetString}
		content, err = joinOctets(content)
	}
	if err != nil {
		return nil, nil, err
	}
	return appendValue(out, tag, content), rest, nil
}

func appendAll(in []byte, depth int) (content []byte, err error) {
	for len(in) > 0 {
		if content, in, err = appendDER(content, in, depth); err != nil {
			return nil, err
		}
	}
	return content, nil
}

func appendUntilEnd(in []byte, depth int) (content, rest []byte, err error) {
	for {
		if len(in) >= 2 && in[0] == endOfContent && in[1] == 0 {
			return content, in[2:], nil
		}
		if content, in, err = appendDER(content, in, depth); err != nil {
			return nil, nil, err
		}
	}
}

// joinOctets puts the pieces of an octet string together, which are octet strings in DER.
func joinOctets(pieces []byte) (whole []byte, err error) {
	for len(pieces) > 0 {
		tag, length, rest, err := readHeader(pieces)
		if err != nil || tag[0] != octetString {
			return nil, errBER
		}
		whole, pieces = append(whole, rest[:length]...), rest[length:]
	}
	return whole, nil
}

// readHeader reads tag and length; rest has at least as many bytes as a length says that
// is not indefinite.
func readHeader(in []byte) (tag []byte, length int, rest []byte, err error) {
	n := tagLength(in)
	if n == 0 || n >= len(in) {
		return nil, 0, nil, errBER
	}
	tag, first, rest := in[:n], in[n], in[n+1:]
	switch size := int(first & 0x7f); {
	case first == 0x80 && tag[0]&constructed != 0:
		return tag, indefinite, rest, nil
	case first == 0x80 || first == 0xff:
		return nil, 0, nil, errBER
	case first < 0x80:
		length = size
	default:
		for range size {
			if len(rest) == 0 || length > maxInput {
				return nil, 0, nil, errBER
			}
			length, rest = length<<8|int(rest[0]), rest[1:]
		}
	}
	if length > len(rest) {
		return nil, 0, nil, errBER
	}
	return tag, length, rest, nil
}

// tagLength is how many bytes the tag takes at the beginning of in, or 0. Numbers from 31
// on take several, the last of which has no high bit, and the first of which is not zero.
func tagLength(in []byte) int {
	const longest = 5
	switch {
	case len(in) == 0:
		return 0
	case in[0]&0x1f != 0x1f:
		return 1
	case len(in) < 2 || in[1]&0x7f == 0 || in[1] < 0x1f:
		return 0
	}
	for n := 2; n <= min(longest, len(in)); n++ {
		if in[n-1]&0x80 == 0 {
			return n
		}
	}
	return 0
}

func appendValue(out, tag, content []byte) []byte {
	out = append(out, tag...)
	switch n := len(content); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default: // the input is shorter than 64 KB
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, content...)
}
