package certificate_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"rekey/shared/certificate"
)

func TestToDER(t *testing.T) {
	short, long := strings.Repeat("00", 127), strings.Repeat("00", 300)
	for _, tt := range []struct{ name, ber, want string }{
		{"DER", "3003020105", "3003020105"},
		{"indefinite length", "30800201050000", "3003020105"},
		{"indefinite in indefinite", "3080308002010500000000", "30053003020105"},
		{"indefinite in definite", "300730800201050000", "30053003020105"},
		{"length longer than it has to be", "308400000003020105", "3003020105"},
		{"long form of a short length", "04810161", "040161"},
		{"pieces", "24800401610401620000", "04026162"},
		{"pieces of definite length", "2406040161040162", "04026162"},
		{"pieces of pieces", "2480248004016100000401620000", "04026162"},
		{"no pieces", "24800000", "0400"},
		{"tag of two bytes", "bf8101800201050000", "bf810103020105"},
		{"implicit pieces stay", "a0800401610401620000", "a006040161040162"},
		{"what is in an octet string", "040730800201050000", "040730800201050000"},
		{"127 bytes", "047f" + short, "047f" + short},
		{"128 bytes", "048180" + short + "00", "048180" + short + "00"},
		{"300 bytes", "2480" + "0482012c" + long + "0000", "0482012c" + long},
	} {
		got, err := certificate.ToDER(must(hex.DecodeString(tt.ber)))
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%s: %x, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestNotBER(t *testing.T) {
	nested := slices.Concat(bytes.Repeat([]byte{0x30, 0x80}, 33), bytes.Repeat([]byte{0, 0}, 33))
	if _, err := certificate.ToDER(nested[2 : len(nested)-2]); err != nil {
		t.Errorf("32 levels: %v", err)
	}
	for name, ber := range map[string][]byte{
		"nothing":                       {},
		"a tag alone":                   {0x30},
		"a tag of many bytes":           {0x3f, 0x81, 0x81, 0x81, 0x81, 1, 0},
		"a tag that begins with zero":   {0x3f, 0x80, 0x7f, 0},
		"a small tag in the long form":  {0x3f, 0x1e, 0},
		"a tag without an end":          {0x3f, 0x81, 0x81},
		"indefinite, without an end":    {0x30, 0x80, 5, 0},
		"indefinite, half an end":       {0x30, 0x80, 5, 0, 0},
		"indefinite and primitive":      {4, 0x80, 0, 0},
		"longer than there is":          {4, 2, 1},
		"a length without its bytes":    {4, 0x82, 1},
		"a length of 2^32":              {4, 0x85, 1, 0, 0, 0, 0},
		"a length of 127 bytes":         slices.Concat([]byte{4, 0xff}, make([]byte, 127)),
		"an end that ends nothing":      {0x30, 2, 0, 0},
		"an end alone":                  {0, 0},
		"something after it":            {5, 0, 5, 0},
		"an integer as piece":           {0x24, 3, 2, 1, 5},
		"a sequence as piece":           {0x24, 0x80, 0x30, 0, 0, 0},
		"33 levels":                     nested,
		"more than what may be read":    slices.Concat([]byte{4, 0x83, 1, 0, 0}, make([]byte, 1<<16)),
		"20,000 levels without an end":  bytes.Repeat([]byte{0x30, 0x80}, 20_000),
		"20,000 levels of octet string": bytes.Repeat([]byte{0x24, 0x80}, 20_000),
	} {
		if got, err := certificate.ToDER(ber); err == nil {
			t.Errorf("%s: accepted as %x", name, got)
		}
	}
}

// Files that programs write come out as they went in.
func TestDERStays(t *testing.T) {
	for _, e := range []*pkcs12.Encoder{pkcs12.LegacyRC2, pkcs12.Modern2023, pkcs12.Modern2026, pkcs12.Passwordless} {
		password := "x"
		if e == pkcs12.Passwordless {
			password = ""
		}
		in := must(e.Encode(key, leaf, nil, password))
		if out, err := certificate.ToDER(in); err != nil || !bytes.Equal(in, out) {
			t.Errorf("changed, or %v", err)
		}
	}
}

// readable reports whether encoding/asn1 reads der down to its last value.
func readable(der []byte) bool {
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil || v.IsCompound && !readable(v.Bytes) {
			return false
		}
		der = rest
	}
	return true
}

// Whatever is given: no panic, and what comes out is no longer, is the same when it is
// given again, and has no indefinite length. DER is not changed, and comes back from BER.
func FuzzBER(f *testing.F) {
	f.Add(fileInBER(7, certBag(), keyBag(aesBy(1))), 7)
	f.Add(file(sealedBags(certBag(), keyBag(aesBy(1)))), 1000)
	f.Add([]byte{0x30, 0x80, 2, 1, 5, 0, 0}, 1)
	f.Add([]byte{0x24, 0x80, 0x24, 0x80, 4, 1, 0x61, 0, 0, 4, 1, 0x62, 0, 0}, 1)
	f.Add([]byte{0x30, 0x84, 0, 0, 0, 3, 2, 1, 5}, 2)
	f.Add([]byte{0xbf, 0x81, 1, 0x80, 2, 1, 5, 0, 0}, 3)
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 40), 1)
	f.Fuzz(func(t *testing.T, ber []byte, n int) {
		out, err := certificate.ToDER(ber)
		if err != nil {
			return
		}
		if len(out) > len(ber) {
			t.Fatalf("%d bytes of %d", len(out), len(ber))
		}
		if again, err := certificate.ToDER(out); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("given again: %x, %v; want %x", again, err, out)
		}
		if !readable(out) {
			t.Fatalf("%x is not DER", out)
		}
		back, err := certificate.ToDER(inBER(out, 1+int(uint(n)%2000), false))
		if len(out) < 1000 && err != nil || err == nil && !bytes.Equal(back, out) {
			t.Fatalf("in BER and back: %x, %v; want %x", back, err, out)
		}
	})
}
