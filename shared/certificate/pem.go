package certificate

import (
	"strings"
	"unicode"
)

// block is a PEM block.
type block struct {
	label     string
	encrypted bool // in the way of OpenSSL before PKCS#8, which is said in headers
	der       []byte
}

// blocks finds the PEM blocks of a text, and whatever is around them does not matter.
// Their lines need no breaks: spaces, tabs or nothing will do. It is not ok if one block
// cannot be read, so that a person hears of it.
func blocks(text string) (list []block, ok bool) {
	for {
		_, rest, found := strings.Cut(text, begin)
		if !found {
			return list, true
		}
		label, rest, found := strings.Cut(rest, dashes)
		if !found {
			return list, false
		}
		body, rest, found := strings.Cut(rest, "-----END "+label+dashes)
		if !found || strings.Contains(body, dashes) {
			return list, false
		}
		b := block{label: label}
		if strings.Contains(body, ":") {
			b.encrypted = strings.Contains(body, "ENCRYPTED")
			body = withoutHeaders(body)
		}
		if b.der, ok = decodeBase64(body); !ok && !b.encrypted {
			return list, false
		}
		list, text = append(list, b), rest
	}
}

const (
	dashes = "-----"
	begin  = "-----BEGIN "
)

func withoutHeaders(body string) string {
	var out strings.Builder
	for line := range strings.FieldsFuncSeq(body, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if !strings.Contains(line, ":") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// escapes are line breaks as strings in programs and in JSON have them.
var escapes = strings.NewReplacer(`\r`, "\n", `\n`, "\n", `\t`, "\n")

// unwrap undoes what happens to PEM and base64 on their way: byte order marks and other
// characters that are invisible, escaped line breaks, and quotes. Nothing that it takes
// out is part of base64 or of a BEGIN line.
func unwrap(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\\' || r == '`' || unicode.In(r, unicode.Cf, unicode.Quotation_Mark) {
			return -1
		}
		return r
	}, escapes.Replace(text)))
}
