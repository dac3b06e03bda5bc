package table

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// maxClockSkew is how far the date of a signature may be off
// (learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key).
const maxClockSkew = 15 * time.Minute

// authorize returns nil if r may be served.
func (s *Service) authorize(r *http.Request) *failure {
	if r.Header.Get("x-ms-version") == "" {
		return &failure{http.StatusBadRequest, "MissingRequiredHeader", "The header x-ms-version is missing."}
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	refused := &failure{http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request."}
	switch scheme {
	case "":
		return &failure{http.StatusUnauthorized, "NoAuthenticationInformation",
			"Server failed to authenticate the request: no Authorization header."}
	case "Bearer":
		if s.cfg.Accept == nil || !s.cfg.Accept(value) {
			return refused
		}
		return nil
	case "SharedKeyLite":
		account, signature, _ := strings.Cut(value, ":")
		if len(s.key) == 0 || account != s.cfg.Account || !s.signed(r, signature) {
			return refused
		}
		return nil
	}
	return refused
}

// signed reports whether signature is the account key's over date and resource.
// The resource is the account's name and the path exactly as it was sent, so that
// an account name in the path appears twice.
func (s *Service) signed(r *http.Request, signature string) bool {
	date := r.Header.Get("x-ms-date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	at, err := http.ParseTime(date)
	if err != nil || at.Sub(s.cfg.Now()).Abs() > maxClockSkew {
		return false
	}
	resource := "/" + s.cfg.Account + r.URL.EscapedPath()
	if comp := r.URL.Query().Get("comp"); comp != "" {
		resource += "?comp=" + comp
	}
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(date + "\n" + resource))
	got, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}
