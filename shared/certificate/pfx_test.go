package certificate_test

import (
	"bytes"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// Each form of a file that holds one key and its certificate is read as that.
func TestFormsOfPFX(t *testing.T) {
	const emoji = "pä😀ss"
	keyInBER := keyBagOf(aesBy(1), sealAES("x", inBER(pkcs8(key), 9, false)))
	keyBy3DES := func(bmp []byte) bag { return keyBagOf(desBy(1), sealDES(bmp, pkcs8(key))) }
	by3DES := func(bmp []byte) info {
		return sealedSafe(desBy(1), sealDES(bmp, der([]bag{certBag(), keyBy3DES(bmp)})))
	}
	beyondBMP := bmp(emoji)
	parts := func(n int) []byte {
		list := slices.Repeat([]info{plainSafe()}, n-2)
		return file(append(list, sealedBags(certBag()), sealedBags(keyBag(aesBy(1))))...)
	}
	for name, tt := range map[string]struct {
		file     []byte
		password string
	}{
		"BER":                             {fileInBER(1000, certBag(), keyBag(aesBy(1))), "x"},
		"BER, pieces of 16 bytes":         {fileInBER(16, certBag(), keyBag(aesBy(1))), "x"},
		"BER, octet strings in one piece": {fileInBER(1<<15, certBag(), keyBag(aesBy(1))), "x"},
		"a key in BER":                    {file(sealedBags(certBag(), keyInBER)), "x"},
		"one part":                        {file(sealedBags(certBag(), keyBag(aesBy(1)))), "x"},
		"one plain part":                  {file(plainSafe(certBag(), keyBag(aesBy(1)))), "x"},
		"three parts":                     {parts(3), "x"},
		"sixteen parts":                   {parts(16), "x"},
		"each thing in a part of its own": {file(sealedBags(certBagOf(stranger)), sealedBags(certBag()),
			sealedBags(), plainSafe(keyBag(aesBy(1)))), "x"},
		"without MAC":                          {withoutMAC(sealedBags(certBag()), plainSafe(keyBag(aesBy(1)))), "x"},
		"without MAC, key alone encrypted":     {withoutMAC(plainSafe(certBag(), keyBag(aesBy(1)))), "x"},
		"without MAC, nothing encrypted":       {withoutMAC(plainSafe(certBag(), plainKeyBag(pkcs8(key)))), ""},
		"without MAC, password for nothing":    {withoutMAC(plainSafe(certBag(), plainKeyBag(pkcs8(key)))), "x"},
		"without MAC, empty password":          {withoutMAC(by3DES([]byte{0, 0})), ""},
		"without MAC, the same in short":       {withoutMAC(by3DES(nil)), ""},
		"characters beyond the BMP":            {fileWith(emoji, pbmac1(oneIteration), 1, by3DES(beyondBMP)), emoji},
		"the same, without MAC":                {withoutMAC(by3DES(beyondBMP)), emoji},
		"the same key twice":                   {file(sealedBags(certBag(), keyBag(aesBy(1)), keyBy3DES(bmp("x")))), "x"},
		"the same key and certificate, thrice": {file(slices.Repeat([]info{sealedBags(certBag(), keyBag(aesBy(1)))}, 3)...), "x"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parse("", "", b64(tt.file), tt.password)
			if err != nil || !c.Leaf.Equal(single) || c.PEM.Reveal() != text(single, key) {
				t.Errorf("%s, %v", c.Subject, err)
			}
		})
	}
}

// bmp is a password in its form for PBES1.
func bmp(password string) (out []byte) {
	for _, unit := range append(utf16.Encode([]rune(password)), 0) {
		out = append(out, byte(unit>>8), byte(unit))
	}
	return out
}

// What cannot be used is called by its name.
func TestRefusedPFX(t *testing.T) {
	other := keyBagOf(aesBy(1), sealAES("x", pkcs8(otherKey)))
	under := func(password string) bag { return keyBagOf(aesBy(1), sealAES(password, pkcs8(key))) }
	short := oneIteration
	short.KeyLength = 19
	usual := []bag{certBag(), keyBag(aesBy(1))}
	twoKinds := []bag{certBag(), keyBag(aesBy(1)), plainKeyBag(pkcs8(otherKey))}
	noKey := keyBagOf(aesBy(1), sealAES("x", der([]byte("secret"))))
	for name, tt := range map[string]struct {
		file     []byte
		password string
		want     string
	}{
		"two keys":                       {file(sealedBags(certBag(), keyBag(aesBy(1)), other)), "x", "several private keys"},
		"two keys in two parts":          {file(sealedBags(certBag(), keyBag(aesBy(1))), plainSafe(other)), "x", "several private keys"},
		"two keys, one of them plain":    {file(plainSafe(twoKinds...)), "x", "several private keys"},
		"an RSA and an EC key":           {file(plainSafe(certBag(), keyBag(aesBy(1)), plainKeyBag(pkcs8(ecKey)))), "x", "not an RSA key"},
		"no key":                         {file(sealedBags(certBag())), "x", "no private key"},
		"no certificate":                 {file(sealedBags(keyBag(aesBy(1)))), "x", "no certificate"},
		"nothing":                        {file(), "x", "no private key"},
		"seventeen parts":                {file(slices.Repeat([]info{plainSafe(certBag())}, 17)...), "x", "16 with 64 entries"},
		"without MAC, wrong password":    {withoutMAC(sealedBags(usual...)), "y", "password of the PFX file is wrong"},
		"without MAC, no password":       {withoutMAC(sealedBags(usual...)), "", "has a password"},
		"without MAC, wrong for the key": {withoutMAC(plainSafe(certBag(), keyBag(aesBy(1)))), "y", "password of the PFX file is wrong"},
		"key under another password":     {file(sealedBags(certBag(), under("y"))), "x", "one password for all"},
		"part under another password": {file(plainSafe(under("x")), sealedSafe(aesBy(1), sealAES("y", der(usual)))), "x",
			"one password for all"},
		"the same, without MAC":             {withoutMAC(sealedBags(certBag(), under("y"))), "x", "one password for all"},
		"MAC of another password":           {fileWith("y", pbmac1(oneIteration), 1, sealedBags(usual...)), "x", "is wrong"},
		"PBMAC1 with a key too short":       {fileWith("x", pbmac1(short), 1, sealedBags(usual...)), "x", "parameters"},
		"a damaged key":                     {file(plainSafe(certBag(), plainKeyBag(der([]byte("secret"))))), "x", "private key is damaged"},
		"a key that is none when decrypted": {file(plainSafe(certBag(), noKey)), "x", "private key is damaged"},
		"BER, cut off":                      {cut(fileInBER(1000, certBag(), keyBag(aesBy(1)))), "x", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parse("", "", b64(tt.file), tt.password)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") || c.Key != nil {
				t.Errorf("%v, want it to say %q", err, tt.want)
			}
		})
	}
}

func cut(b []byte) []byte { return b[:len(b)-2] }

// The MAC is over the file's bytes as they are, in BER too: a change of one is found.
func TestChangedContentInBER(t *testing.T) {
	in := fileInBER(1000, certBag(), keyBag(aesBy(1)))
	i := bytes.Index(in, []byte("saltsalt"))
	in[i+2]++
	if _, err := parse("", "", b64(in), "x"); err == nil || !strings.Contains(err.Error(), "password of the PFX file is wrong") {
		t.Errorf("%v, want it to be refused", err)
	}
}

// GnuTLS writes PFX files as PEM.
func TestPFXWithABeginLine(t *testing.T) {
	in := string(pem.EncodeToMemory(&pem.Block{Type: "PKCS12", Bytes: file(sealedBags(certBag(), keyBag(aesBy(1))))}))
	if c, err := parse("", "", in, "x"); err != nil || !c.Leaf.Equal(single) {
		t.Errorf("as PFX: %v", err)
	}
	if _, err := parse(in, text(key)); err == nil || !strings.Contains(err.Error(), "Give it as PFX") {
		t.Errorf("as certificate: %v", err)
	}
}

var write = flag.Bool("write", false, "write the forged files under testdata anew")

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "files", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What no program at hand writes is forged here, with the key and certificate of a file
// that OpenSSL has written.
func TestForgedFilesOfTestdata(t *testing.T) {
	c, err := parse("", "", b64(read(t, "openssl-without-mac.p12")), "x")
	if err != nil {
		t.Fatal(err)
	}
	certBag, keyBag := certBagOf(c.Leaf), keyBagOf(aesBy(1), sealAES("x", pkcs8(c.Key)))
	for name, want := range map[string][]byte{
		"forged-ber.p12":         fileInBER(1000, certBag, keyBag),
		"forged-three-parts.p12": bySHA1("x", der([]info{sealedBags(certBag), sealedBags(keyBag), plainSafe(keyBag)})),
	} {
		if *write {
			if err := os.WriteFile(filepath.Join("testdata", "files", name), want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(read(t, name), want) {
			t.Errorf("%s is not what is forged today; write it with -write", name)
		}
	}
}

// The files under testdata, each of which says who wrote it.
func TestFilesOfPrograms(t *testing.T) {
	for name, tt := range map[string]struct{ password, want string }{
		"openssl-without-mac.p12":          {"x", ""},
		"openssl-beyond-bmp.p12":           {"pä😀ss", ""},
		"openssl-legacy-beyond-bmp.p12":    {"pä😀ss", ""},
		"forged-ber.p12":                   {"x", ""},
		"forged-three-parts.p12":           {"x", ""},
		"java-two-keys.p12":                {"password", "several private keys"},
		"java-key-of-another-password.p12": {"x", "one password for all"},
		"openssl-rsa-pss.p12":              {"x", "plain RSA key"},
		"openssl-negative-serial.p12":      {"x", "negative serial number"},
	} {
		c, err := parse("", "", b64(read(t, name)), tt.password)
		accepted, refused := err == nil && c.Subject == "CN=rekey test", err != nil && strings.Contains(err.Error(), tt.want)
		if tt.want == "" && !accepted || tt.want != "" && !refused {
			t.Errorf("%s: %s, %v", name, c.Subject, err)
		}
	}
}
