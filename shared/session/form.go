package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
)

// TokenField is the field of each form that has the token.
const TokenField = "csrf"

// Token is what every form of this session has in [TokenField].
func (v *Visit) Token() string { return token(v.secret) }

func token(sessionSecret []byte) string {
	mac := hmac.New(sha256.New, sessionSecret)
	mac.Write([]byte("rekey console form " + sealVersion)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// maxForm is how large a form may be, as any body of the API.
const maxForm = 256 << 10

// checkForm parses the form of a request and compares its token with that of the session.
// What is empty is no problem.
func checkForm(w http.ResponseWriter, r *http.Request, sessionSecret []byte) Problem {
	if err := parse(w, r); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return TooLarge
		}
		return OldForm
	}
	sent := r.PostForm[TokenField]
	if len(sent) != 1 || !hmac.Equal([]byte(sent[0]), []byte(token(sessionSecret))) {
		return OldForm
	}
	return ""
}

// parse reads a form of either encoding. A file in it stays in memory.
func parse(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return r.ParseMultipartForm(maxForm)
	}
	return r.ParseForm()
}
