package certificate_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"rekey/shared/certificate"
	"rekey/shared/secret"
)

// What a PFX file can be made to cost, by a caller who may create connections:
//
//   - the iteration count of the MAC: of PKCS#12's own derivation, or PBMAC1's;
//   - that of an encrypted part, by PBES1 or PBES2;
//   - that of an encrypted key: in a plain part, or in an encrypted one, where it shows
//     only once that is decrypted, or only under the other form of the empty password;
//   - many derivations, each of which is within bounds;
//   - a long salt; the length of the key that PBMAC1 or PBES2 derives; a derivation that
//     takes memory, such as scrypt;
//   - many parts, many bags, values in values;
//   - an RSA key so long that checking it takes minutes;
//   - many such files at once, and requests whose sender has gone.
//
// No test looks at a clock. A count of 2^62 would take centuries: what returns has not
// worked it off.

const forever = 1 << 62

// hostile are files that are refused, with a word of what the person is told.
func hostile() map[string]struct {
	file []byte
	want string
} {
	type refused = struct {
		file []byte
		want string
	}
	const many = "more iterations"
	good := []info{sealedBags(certBag()), plainSafe(keyBag(aesBy(1)))}
	slow := oneIteration
	slow.Iterations = forever
	long, negative, salted := oneIteration, oneIteration, oneIteration
	long.KeyLength, negative.KeyLength = 1<<40, -1
	salted.Salt = bytes.Repeat(salt, 1000)
	sum := sealedSafe(aesBy(2_100_000), sealAES("x", der([]bag{certBag()})))
	keys := slices.Repeat([]bag{keyBag(aesBy(600_000))}, 8)
	rsa := der(make([]byte, 20_000))
	by := func(kdf string) pkix.AlgorithmIdentifier {
		return algorithm("1.2.840.113549.1.5.13", pbes2{algorithm(kdf, pbe{salt, 1}), algorithm(aes256, make([]byte, 16))})
	}
	mac := func(id string, count int) []byte {
		return fileWith("x", algorithm(id, asn1.NullRawValue), count, good...)
	}
	macBy := func(a pkix.AlgorithmIdentifier) []byte { return fileWith("x", a, 1, good...) }
	macByScrypt := algorithm("1.2.840.113549.1.5.14", pbes2{algorithm(scrypt, pbe{salt, 1}), algorithm(hmacSHA256, asn1.NullRawValue)})
	part := func(a pkix.AlgorithmIdentifier) []byte {
		return file(sealedSafe(a, sealAES("x", der([]bag{certBag()}))), good[1])
	}
	inPart := func(bags ...bag) []byte { return file(sealedBags(bags...)) }
	other := bag{oid("1.2.3"), explicit([]byte{5, 0})}
	out := map[string]refused{
		"MAC":                           {mac("2.16.840.1.101.3.4.2.1", forever), many},
		"MAC, SHA-1":                    {mac("1.3.14.3.2.26", forever), many},
		"MAC, count of 0":               {mac("1.3.14.3.2.26", 0), "parameters"},
		"MAC, unknown digest":           {mac("1.2.3", 1), "does not know"},
		"PBMAC1":                        {macBy(pbmac1(slow)), many},
		"PBMAC1, long key":              {macBy(pbmac1(long)), "parameters"},
		"PBMAC1, negative key":          {macBy(pbmac1(negative)), "parameters"},
		"PBMAC1 by scrypt":              {macBy(macByScrypt), "does not know"},
		"encrypted part, PBES2":         {part(aesBy(forever)), many},
		"encrypted part, 3DES":          {part(desBy(forever)), many},
		"encrypted part, RC2-128":       {part(algorithm("1.2.840.113549.1.12.1.5", pbe{salt, forever})), many},
		"encrypted part, RC2-40":        {part(algorithm("1.2.840.113549.1.12.1.6", pbe{salt, forever})), many},
		"encrypted part, long key":      {part(aesWith(long)), "parameters"},
		"encrypted part, long salt":     {part(aesWith(salted)), "parameters"},
		"encrypted part, scrypt":        {part(by(scrypt)), "does not know"},
		"encrypted part, another's key": {file(sealedSafe(aesBy(1), sealAES("y", der([]bag{keyBag(aesBy(forever))}))), good[1]), "password"},
		"encrypted part, garbage":       {file(sealedSafe(aesBy(1), sealAES("x", salt)), good[1]), "password"},
		"key":                           {file(good[0], plainSafe(keyBag(aesBy(forever)))), many},
		"key, 3DES":                     {file(good[0], plainSafe(keyBag(desBy(forever)))), many},
		"key, count of 0":               {file(good[0], plainSafe(keyBag(aesBy(0)))), "parameters"},
		"key, scrypt":                   {file(plainSafe(certBag(), keyBag(by(scrypt)))), "does not know"},
		"key, unknown derivation":       {file(plainSafe(certBag(), keyBag(by("1.2.3.4")))), "does not know"},
		"key in an encrypted part":      {inPart(certBag(), keyBag(aesBy(forever))), many},
		"the same, negative count":      {inPart(certBag(), keyBag(desBy(-1))), "parameters"},
		"the same, scrypt":              {inPart(keyBag(by(scrypt))), "does not know"},
		"the same, after a good one":    {inPart(certBag(), keyBag(aesBy(1)), keyBag(desBy(forever))), many},
		"key in the second part":        {file(good[0], sealedBags(keyBag(aesBy(forever)))), many},
		"sum of keys":                   {file(good[0], plainSafe(keys...)), many},
		"sum of keys in encrypted":      {inPart(append(keys, certBag())...), many},
		"sum over parts":                {file(sum, plainSafe(keyBag(aesBy(2_100_000)))), many},
		"seventeen parts":               {file(slices.Repeat([]info{plainSafe()}, 17)...), "more parts"},
		"many parts":                    {file(slices.Repeat([]info{plainSafe()}, 1000)...), "more parts"},
		"many bags":                     {file(plainSafe(slices.Repeat([]bag{other}, 1000)...)), "more parts"},
		"many encrypted bags":           {inPart(slices.Repeat([]bag{other}, 1000)...), "more parts"},
		"long key":                      {file(plainSafe(certBag(), plainKeyBag(rsa))), "longer than"},
		"long key in an encrypted part": {inPart(certBag(), plainKeyBag(rsa)), "longer than"},
		"something after it":            {append(file(good...), 5, 0), "cannot be read"},
	}
	nested := []byte{5, 0}
	for len(nested) < 40_000 {
		nested = der(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: nested})
	}
	out["values in values"] = refused{nested, "cannot be read"}
	out["values in a part"] = refused{file(info{oid("1.2.840.113549.1.7.1"), explicit(nested)}), "cannot be read"}
	beyond := struct {
		Salt  []byte
		Count *big.Int
	}{salt, new(big.Int).Lsh(big.NewInt(1), 70)}
	out["count of more than 64 bits"] = refused{file(good[0], plainSafe(keyBag(algorithm("1.2.840.113549.1.12.1.3", beyond)))),
		"cannot be read"}
	return out
}

func TestHostileFilesAreRefusedBeforeTheWork(t *testing.T) {
	for name, tt := range hostile() {
		t.Run(name, func(t *testing.T) {
			_, err := parse("", "", b64(tt.file), "x")
			friendly, ok := errors.AsType[*certificate.Error](err)
			if !ok || !strings.Contains(friendly.Message, tt.want) {
				t.Errorf("%v, want it to say %q", err, tt.want)
			}
		})
	}
}

// The empty password has two forms, and only the MAC tells which is meant. What an
// encrypted part has under either of them counts.
func TestBothFormsOfTheEmptyPassword(t *testing.T) {
	for _, bmp := range [][]byte{nil, {0, 0}} {
		bags := der([]bag{certBag(), keyBag(aesBy(forever))})
		evil := fileWith("", pbmac1(oneIteration), 1, sealedSafe(desBy(1), sealDES(bmp, bags)))
		if _, err := parse("", "", b64(evil)); err == nil || !strings.Contains(err.Error(), "more iterations") {
			t.Errorf("form %v: %v", bmp, err)
		}
	}
}

// The files above are forged as they should be: with few iterations they are read.
func TestForgedFilesAreReadable(t *testing.T) {
	for name, safes := range map[string][]info{
		"as usual":                 {sealedBags(certBag()), plainSafe(keyBag(aesBy(1)))},
		"key in an encrypted part": {sealedBags(certBag(), keyBag(aesBy(1)))},
		"key in another":           {sealedBags(certBag()), sealedBags(keyBag(aesBy(1)))},
		"nothing encrypted":        {plainSafe(certBag(), plainKeyBag(pkcs8(key)))},
	} {
		if c, err := parse("", "", b64(file(safes...)), "x"); err != nil || !c.Leaf.Equal(single) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What programs write is accepted: their counts, for MAC, certificates and key.
func TestCountsOfRealPrograms(t *testing.T) {
	for _, tt := range []struct {
		name         string
		encoder      *pkcs12.Encoder
		count        int
		perIteration int64 // MAC, certificates, key
	}{
		{"OpenSSL 3", pkcs12.Modern2023, 2048, 1 + 2 + 2},
		{"OpenSSL 3, PBMAC1", pkcs12.Modern2026, 2048, 2 + 2 + 2},
		{"OpenSSL 1", pkcs12.LegacyRC2, 2048, 1 + 2 + 3},
		{"Java", pkcs12.Modern2023, 10_000, 5},
		{"Windows, by policy", pkcs12.Modern2023, 300_000, 5},
		{"Windows, 3DES", pkcs12.LegacyDES, 2000, 1 + 3 + 3},
		{"Firefox", pkcs12.Modern2023, 600_000, 5},
		{"a million and a half", pkcs12.Modern2023, 1_500_000, 5},
	} {
		der := must(tt.encoder.WithIterations(1).Encode(key, single, nil, "pässword"))
		got, err := certificate.Work(der, "pässword")
		if err != nil || got != tt.perIteration {
			t.Errorf("%s: %d hashes for each iteration, %v; want %d", tt.name, got, err, tt.perIteration)
		}
		if total := tt.perIteration * int64(tt.count); total > certificate.MaxWork {
			t.Errorf("%s: %d hashes are more than %d", tt.name, total, certificate.MaxWork)
		}
	}
}

// SHA-512 takes longer, and its work counts more; so does that of a key which takes several
// hashes to fill.
func TestWeightOfDigestAndKey(t *testing.T) {
	for prf, want := range map[string]int64{"1.2.840.113549.2.11": 600, "1.2.840.113549.2.9": 400, "1.2.840.113549.2.7": 800} {
		k := kdf{Salt: salt, Iterations: 100, KeyLength: 64, PRF: algorithm(prf, asn1.NullRawValue)}
		got, err := certificate.Shown(fileWith("x", pbmac1(k), 1, plainSafe(certBag())))
		if err != nil || got != want {
			t.Errorf("%s: %d hashes, %v; want %d", prf, got, err, want)
		}
	}
}

func parseFile(ctx context.Context, file []byte) error {
	in := certificate.Input{PFX: secret.New(b64(file)), Password: secret.New("x")}
	_, err := certificate.Parse(ctx, in, now)
	return err
}

// A request that has ended does not start, though there is room.
func TestEndedRequestDoesNotStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := parseFile(ctx, file(sealedBags(certBag(), keyBag(aesBy(1))))); !errors.Is(err, certificate.ErrBusy) {
		t.Errorf("%v, want ErrBusy", err)
	}
}

// While others are read, a file waits, and one that shows that it is too much work is
// refused at once.
func TestFilesWaitForTheirTurn(t *testing.T) {
	leave := certificate.Occupy()
	if err := parseFile(t.Context(), file(plainSafe(keyBag(aesBy(forever))))); err == nil || errors.Is(err, certificate.ErrBusy) {
		t.Errorf("a file that asks for too much waits: %v", err)
	}
	if c, err := parse(text(single, key)); err != nil || !c.Leaf.Equal(single) {
		t.Errorf("PEM waits: %v", err)
	}
	read := make(chan error)
	go func() { read <- parseFile(t.Context(), file(sealedBags(certBag(), keyBag(aesBy(1))))) }()
	select {
	case err := <-read:
		t.Errorf("read without a place: %v", err)
	default:
	}
	leave()
	if err := <-read; err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enter := certificate.NewGate(2)
		ended, end := context.WithCancel(t.Context())
		end()
		for range 50 { // where both were ready, chance would decide
			if _, err := enter(ended); !errors.Is(err, certificate.ErrBusy) {
				t.Fatalf("a request that has ended: %v", err)
			}
		}
		var leave []func()
		for i := range 2 {
			out, err := enter(t.Context())
			if err != nil {
				t.Fatalf("place %d: %v", i, err)
			}
			leave = append(leave, out)
		}
		start := time.Now()
		if _, err := enter(t.Context()); !errors.Is(err, certificate.ErrBusy) || time.Since(start) != 10*time.Second {
			t.Errorf("third: %v after %s", err, time.Since(start))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if _, err := enter(short); !errors.Is(err, certificate.ErrBusy) || time.Since(start) != time.Second {
			t.Errorf("with a second: %v after %s", err, time.Since(start))
		}
		go func() { time.Sleep(time.Second); leave[0]() }()
		if _, err := enter(t.Context()); err != nil {
			t.Errorf("when one has left: %v", err)
		}
	})
}

// Source: RFC 2268, section 5, the vector with 128 bits.
func TestRC2(t *testing.T) {
	key := []byte{0x88, 0xbc, 0xa9, 0x0e, 0x90, 0x87, 0x5a, 0x7f, 0x0f, 0x79, 0xc3, 0x84, 0x62, 0x7b, 0xaf, 0xb2}
	got := make([]byte, 8)
	certificate.NewRC2(key).Decrypt(got, []byte{0x22, 0x69, 0x55, 0x2a, 0xb0, 0xf8, 0x5c, 0xa6})
	if !bytes.Equal(got, make([]byte, 8)) {
		t.Errorf("%x, want zeros", got)
	}
}
