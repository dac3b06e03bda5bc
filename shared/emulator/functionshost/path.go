package functionshost

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// Between a client and the handler a path is written three times: by the client, by the
// host's server as it understands it, and by what passes the request on.

// receivedPath is r's path as the host's server (Kestrel) understands it, by which routes
// are matched: decoded, but for an encoded slash and for what is no UTF-8, and without
// dot segments. ok is false if it holds a zero byte, which is refused.
func receivedPath(r *http.Request) (path string, ok bool) {
	path = withoutDots(decodePath(r.URL.EscapedPath()))
	return path, !strings.Contains(path, "\x00")
}

func decodePath(escaped string) string {
	var b strings.Builder
	for i := 0; i < len(escaped); {
		size, text := decodeRune(escaped[i:])
		b.WriteString(text)
		i += size
	}
	return b.String()
}

// decodeRune decodes the first character of s: how much of s it takes, and what it is.
func decodeRune(s string) (size int, text string) {
	var decoded []byte
	for len(decoded) < utf8.UTFMax {
		b, ok := triplet(s[3*len(decoded):])
		if !ok {
			break
		}
		decoded = append(decoded, b)
		if utf8.FullRune(decoded) {
			break
		}
	}
	if len(decoded) == 0 {
		return 1, s[:1]
	}
	if r, n := utf8.DecodeRune(decoded); r == '/' || r == utf8.RuneError && n <= 1 {
		return 3, s[:3] // as it is written
	}
	return 3 * len(decoded), string(decoded)
}

// triplet reads a byte that is written as % and two hexadecimal digits at the start of s.
func triplet(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, low := strings.IndexByte(hexDigits, upper(s[1])), strings.IndexByte(hexDigits, upper(s[2]))
	return byte(high<<4 | low), high >= 0 && low >= 0
}

const hexDigits = "0123456789ABCDEF"

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// withoutDots removes dot segments (RFC 3986, 5.2.4). Empty segments stay.
func withoutDots(path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var kept []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s != "." && s != "..":
			kept = append(kept, s)
			continue
		case s == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		}
		if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

const (
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	// What stays as it is in a path of the proxy (YARP's RequestUtilities.EncodePath); % does not.
	proxied = unreserved + "!$&'()*+,;=:@/"
	// What stays as it is in a path of .NET's Uri.
	absolute = proxied + "[]"
)

// escape writes every byte that is not among allowed as a triplet.
func escape(path, allowed string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

// proxiedPath is a received path as the proxying mode writes it: an encoded slash, which
// is still encoded, is now encoded twice.
func proxiedPath(path string) string { return escape(path, proxied) }

// forwardedPath is a received path as the forwarding mode writes it: it goes through a
// text that is to be read (GetDisplayUrl) and .NET's Uri. What was an encoded question
// mark or number sign ends it, a backslash is a slash, and what is still encoded stays
// so unless it needs not be.
func forwardedPath(path string) string {
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	path = strings.ReplaceAll(path, `\`, "/")
	var b strings.Builder
	for i := 0; i < len(path); {
		c, encoded := triplet(path[i:])
		switch {
		case encoded && strings.IndexByte(unreserved, c) >= 0:
			b.WriteByte(c)
			i += 3
		case encoded:
			b.WriteString(path[i : i+3])
			i += 3
		default:
			b.WriteString(escape(path[i:i+1], absolute))
			i++
		}
	}
	return withoutDots(b.String())
}
