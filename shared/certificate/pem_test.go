package certificate_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"rekey/shared/certificate"
	"rekey/shared/secret"
)

// ways are what happens to PEM between the file and the API: in forms, in environment
// files, in settings of one line, by editors.
var ways = map[string]func(string) string{
	"as it is":                     func(s string) string { return s },
	"line breaks of Windows":       breaks("\r\n"),
	"carriage returns only":        breaks("\r"),
	"spaces for line breaks":       breaks(" "),
	"tabs for line breaks":         breaks("\t"),
	"nothing for line breaks":      breaks(""),
	"several spaces":               breaks("    "),
	"no-break spaces":              breaks("\u00a0"),
	`written with \n`:              breaks(`\n`),
	`written with \r\n`:            breaks(`\r\n`),
	`written with \\n`:             breaks(`\\n`),
	`written with \n, and breaks`:  breaks("\\n\n"),
	"lines of a shell script":      breaks("\\\n"),
	"lines of a program":           breaks("\\n\"\n\""),
	"indented":                     breaks("\n    "),
	"blank lines":                  breaks("\n\n"),
	"byte order mark":              func(s string) string { return "\ufeff" + s },
	"byte order mark at each file": func(s string) string { return strings.ReplaceAll(s, begin, "\ufeff"+begin) },
	"zero-width spaces":            breaks("\u200b\n"),
	"double quotes":                around(`"`, `"`),
	"single quotes":                around("'", "'"),
	"quotes of a text processor":   around("\u201c", "\u201d"),
	"back quotes":                  around("`", "`"),
	"quotes within quotes":         around(`'"`, `"'`),
	"quotes and a comma":           around(`  "`, `",`),
	`a string of JSON`:             func(s string) string { return `"` + breaks(`\n`)(s) + `"` },
	"a string of JSON, twice":      func(s string) string { return `"\"` + breaks(`\\n`)(s) + `\""` },
	"a member's name before it":    func(s string) string { return `"certificate": "` + breaks(`\n`)(s) + `"` },
	"an assignment before it":      func(s string) string { return "export CERT='" + s + "'\n" },
}

const begin = "-----BEGIN "

func breaks(with string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, "\n", with) }
}

func around(before, after string) func(string) string {
	return func(s string) string { return before + s + after }
}

func TestPEMOnItsWay(t *testing.T) {
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			for form, given := range map[string][]string{
				"two texts":    {change(text(leaf, middle)), change(text(key))},
				"one text":     {change(text(leaf, middle, key))},
				"PKCS#1 key":   {change(text(leaf, middle)), change(pkcs1(key))},
				"concatenated": {change(text(leaf)) + change(text(middle)) + change(text(key))},
			} {
				c, err := parse(given...)
				if err != nil || !c.Leaf.Equal(leaf) || len(c.Chain) != 1 || c.PEM.Reveal() != text(leaf, middle, key) {
					t.Errorf("%s: %s, %v", form, c.Subject, err)
				}
			}
		})
	}
}

// So it is with base64 that has no BEGIN line, and with PFX files.
func TestBase64OnItsWay(t *testing.T) {
	lines := func(der []byte) string { return strings.Join(chunks(b64(der), 64), "\n") + "\n" }
	file := file(sealedBags(certBag(), keyBag(aesBy(1))))
	for name, change := range ways {
		if strings.Contains(name, "before it") || strings.Contains(name, "comma") { // no BEGIN line says where it starts
			continue
		}
		if c, err := parse(change(lines(single.Raw)), change(lines(pkcs8(key)))); err != nil || !c.Leaf.Equal(single) {
			t.Errorf("%s: %v", name, err)
		}
		if c, err := parse("", "", change(lines(file)), "x"); err != nil || !c.Leaf.Equal(single) {
			t.Errorf("%s, PFX: %v", name, err)
		}
	}
}

func chunks(s string, n int) (out []string) {
	for ; len(s) > n; s = s[n:] {
		out = append(out, s[:n])
	}
	return append(out, s)
}

// A key that is encrypted is called so in one line, too.
func TestEncryptedKeyInOneLine(t *testing.T) {
	legacy := string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
	}))
	for name, change := range ways {
		for _, text := range []string{legacy, strings.ReplaceAll(text(key), "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")} {
			if _, err := parse(certificateText(), change(text)); err == nil || !strings.Contains(err.Error(), "encrypted. Remove") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func certificateText() string { return text(single) }

// Headers that say nothing of encryption are passed over.
func TestHeadersOfPEM(t *testing.T) {
	with := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: single.Raw, Headers: map[string]string{"Comment": "rekey"}}))
	if c, err := parse(with, text(key)); err != nil || !c.Leaf.Equal(single) {
		t.Errorf("%v", err)
	}
}

func TestDamagedPEM(t *testing.T) {
	whole := text(single)
	for name, damaged := range map[string]string{
		"no END line":              whole[:len(whole)-30],
		"a BEGIN line alone":       "-----BEGIN CERTIFICATE-----",
		"half a BEGIN line":        whole + "-----BEGIN CERTIFICATE",
		"another END line":         strings.Replace(whole, "END CERTIFICATE", "END PRIVATE KEY", 1),
		"nothing between":          "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
		"cut off before the next":  text(middle)[:100] + whole,
		"a letter too many":        whole[:200] + "?" + whole[200:],
		"a header and nothing":     "-----BEGIN CERTIFICATE-----\nA: b\n-----END CERTIFICATE-----",
		"cut off, all in one line": breaks(" ")(whole[:len(whole)-30]),
	} {
		if _, err := parse(damaged, text(key)); err == nil || !strings.Contains(err.Error(), "PEM text of the certificate is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is given: no panic. And whatever a block has, what is around it, and what is in
// place of its line breaks, its content is found.
func FuzzPEM(f *testing.F) {
	f.Add(single.Raw, "Bag Attributes\n    friendlyName: x\n", "\r\n", "CERTIFICATE")
	f.Add(pkcs8(key), "\ufeff\"", " ", "PRIVATE KEY")
	f.Add([]byte{0xfb, 0xff}, "-----BEGIN A-----\nA: b\n\nAAAA\n-----END A-----", `\n`, "")
	f.Add([]byte("x"), "-----BEGIN ", "", "-----")
	f.Add([]byte{}, "-----BEGIN X-----Proc-Type: 4,ENCRYPTED", "\t", "RSA PRIVATE KEY")
	f.Fuzz(func(t *testing.T, der []byte, other, gap, label string) {
		certificate.Blocks(other)
		if len(der) == 0 || len(der) > 1<<14 || strings.Contains(other, "-") || strings.Contains(other, "\\") ||
			strings.Trim(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") != "" || strings.Trim(gap, " \t\r\n") != "" && gap != `\n` {
			return
		}
		lines := strings.Join(chunks(b64(der), 64), gap)
		block := begin + label + "-----" + gap + lines + gap + "-----END " + label + "-----"
		found, ok := certificate.Blocks(other + block + other + block)
		if !ok || len(found) != 2 || !bytes.Equal(found[0], der) || !bytes.Equal(found[1], der) {
			t.Fatalf("%q: %d blocks, %v", other+block, len(found), ok)
		}
	})
}

// What a text costs to read follows from its length, also where a block has headers and a line for
// each character: it is read while others wait for nothing.
func TestManyShortLinesCostLittle(t *testing.T) {
	text := "-----BEGIN CERTIFICATE-----\nA: b\n" + strings.Repeat("A\n", 32_000) + "-----END CERTIFICATE-----"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := certificate.Parse(t.Context(), certificate.Input{Body: secret.New(text)}, time.Now())
	runtime.ReadMemStats(&after)
	if _, refused := errors.AsType[*certificate.Error](err); !refused {
		t.Errorf("got %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 100*uint64(len(text)) {
		t.Errorf("%d bytes of memory for a text of %d", n, len(text))
	}
}
