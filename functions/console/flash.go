package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"

	"rekey/shared/page"
)

// toldCookie keeps what the API said to a button until the next page, which says it once. It is bound to
// the session, so that no other site can put words into the console's mouth.
const toldCookie = "rekey-told"

// maxTold is how much of it is kept: a browser drops larger cookies.
const maxTold = 2400

// doneSaying is done with what the API said.
func (v *visit) doneSaying(at page.Address, what, message string) {
	if len(message) > maxTold {
		message = message[:maxTold]
		for !utf8.ValidString(message) {
			message = message[:len(message)-1]
		}
		message += "…"
	}
	v.setTold(base64.RawURLEncoding.EncodeToString([]byte(message))+"."+v.signed(message), 60)
	v.done(at, what)
}

func (v *visit) setTold(value string, seconds int) {
	http.SetCookie(v.w, &http.Cookie{Name: toldCookie, Value: value, Path: Base, MaxAge: seconds, HttpOnly: true,
		Secure: !v.console.PlainHTTP, SameSite: http.SameSiteLaxMode})
}

// toldBy is what was kept, and forgets it; empty: nothing.
func (v *visit) toldBy() string {
	c, err := v.Cookie(toldCookie)
	if err != nil {
		return ""
	}
	v.setTold("", -1)
	encoded, signature, _ := strings.Cut(c.Value, ".")
	message, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !hmac.Equal([]byte(signature), []byte(v.signed(string(message)))) {
		return ""
	}
	return string(message)
}

func (v *visit) signed(message string) string {
	mac := hmac.New(sha256.New, []byte(v.Token()))
	mac.Write([]byte("rekey console told\n" + message)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
