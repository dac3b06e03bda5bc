package session

import (
	"net/url"
	"path"
	"strings"
)

// The addresses of the console. That of Entra's answers is the redirect URI of the
// application, below the public URL.
const (
	Base         = "/console"
	SignInPath   = Base + "/sign-in"
	CallbackPath = SignInPath + "/callback"
)

// maxBack is the longest address that a person is led back to.
const maxBack = 1000

// Back returns where to lead a person after signing in: address, which a stranger may have
// written, if it is a path of the console in the one form that all browsers read alike, and
// [Base] for anything else. It never leads to another site, nor back to signing in.
func Back(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxBack || !strings.HasPrefix(address, Base) || !plain(address) {
		return Base // what begins so has no scheme, no host and no person
	}
	// An encoded dot or slash is one to some of what stands in front of us, and is none to others.
	for _, p := range []string{u.Path, u.EscapedPath()} {
		switch {
		case p != Base && !strings.HasPrefix(p, Base+"/"), p == SignInPath, strings.HasPrefix(p, SignInPath+"/"):
			return Base
		case path.Clean(p) != strings.TrimSuffix(p, "/"), !printable(p), strings.ContainsRune(p, '\\'):
			return Base
		}
	}
	return address
}

// plain reports whether an address is all of characters that need no encoding there. A
// backslash is a slash to browsers, and they drop tabs and line breaks.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`\"<>^`+"`{|}#", c) >= 0 {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// signInAt is the address of the page for signing in.
func signInAt(back string, p Problem, code string) string {
	q := url.Values{}
	if back = Back(back); back != Base {
		q.Set("back", back)
	}
	if p != "" {
		q.Set("problem", string(p))
	}
	if code != "" {
		q.Set("code", code)
	}
	if len(q) == 0 {
		return SignInPath
	}
	return SignInPath + "?" + q.Encode()
}
