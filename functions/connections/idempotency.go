package connections

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"rekey/shared/connection"
)

// keyHeader names a request, so that sending it again does no more than sending it once.
// Source: draft-ietf-httpapi-idempotency-key-header.
const keyHeader = "Idempotency-Key"

// keyed is the request as one that may come again. Its key is the caller's own: no
// caller meets another one's. Of what is hashed, nothing can be found out without the header,
// which is kept nowhere: a body has secrets.
func (r *request) keyed(rotates string) (connection.Keyed, error) {
	values := r.Header.Values(keyHeader)
	if len(values) == 0 {
		return connection.Keyed{}, nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return connection.Keyed{}, badRequest("%s must be one header of 1 to 255 printable ASCII characters.", keyHeader)
	}
	name := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s", r.caller.Name, r.Method, strings.TrimSuffix(r.URL.EscapedPath(), "/"), key))
	body := hmac.New(sha256.New, []byte(key))
	body.Write(r.body)
	return connection.Keyed{Key: "idem-" + hex.EncodeToString(name[:]), Hash: hex.EncodeToString(body.Sum(nil)), Rotates: rotates}, nil
}
