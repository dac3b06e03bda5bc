package oauth

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
)

// pending is the row of a sign-in: what it is for, which browsers have taken it up,
// and in the end what came of it.
type pending struct {
	ConnectionID string `json:"connectionId,omitempty"` // to be reconnected
	Generation   int    `json:"generation,omitempty"`   // of its credentials, when it was begun
	Account      string `json:"account,omitempty"`      // who signed in before
	TenantID     string `json:"tenantId"`
	ClientID     string `json:"clientId"` // of the OAuth application

	Name            string            `json:"name"`
	Description     string            `json:"description,omitempty"`
	Project         string            `json:"project,omitempty"`
	Target          connection.Target `json:"target,omitzero"`
	VaultSecretName string            `json:"vaultSecretName,omitempty"`
	Rotate          bool              `json:"rotate,omitempty"`
	Schedule        schedule.Schedule `json:"schedule,omitzero"`
	Grace           *time.Duration    `json:"grace,omitempty"`

	By        string    `json:"by"`
	BegunAt   time.Time `json:"begunAt"`
	ExpiresAt time.Time `json:"expiresAt"`

	// Bindings are what derives from the b of each browser that pressed the button,
	// the latest last. A link may be opened in two browsers; which one finishes is
	// for the person to choose.
	Bindings []string `json:"bindings,omitempty"`
	// TakenBy is the callback that used the state up: a random name that tells
	// whether a write of unknown outcome was one's own.
	TakenBy string    `json:"takenBy,omitempty"`
	TakenAt time.Time `json:"takenAt,omitzero"`
	Outcome *Outcome  `json:"outcome,omitempty"`
}

const (
	// maxBindings is how many browsers are remembered.
	maxBindings = 4
	// kept is how long a row is there after its end: for the result, and so that
	// who comes late is told so.
	kept = time.Hour
	// contention is how often a row is read again because it has changed.
	contention = 5
)

// randomText returns 256 random bits in 43 characters of base64url.
func randomText() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// The forms of what comes from browsers.
var (
	stateForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	idForm    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// idOf is how a flow is called where the state must not appear: in the table, in the
// cookie's name and in the result's address.
func idOf(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:])
}

// FlowOf returns the id of the flow that a request to one of the pages says it is of: by
// its state, or on the result page by the id itself. It is empty where there is none. That
// there is such a flow only the table knows.
func FlowOf(query url.Values) string {
	if states := query["state"]; len(states) == 1 && stateForm.MatchString(states[0]) {
		return idOf(states[0])
	}
	if ids := query["flow"]; len(ids) == 1 && idForm.MatchString(ids[0]) {
		return ids[0]
	}
	return ""
}

// derive makes a value of its own for each label out of b and the flow. It has 256
// bits in 43 characters, which is what a code verifier may be (RFC 7636, 4.1).
func derive(b secret.Value, id, label string) secret.Value {
	key, err := hkdf.Key(sha256.New, []byte(b.Reveal()), []byte(id), "rekey oauth "+label, 32)
	if err != nil {
		panic(err) // 32 bytes are not too many
	}
	return secret.New(base64.RawURLEncoding.EncodeToString(key))
}

func binding(b secret.Value, id string) string { return derive(b, id, "binding").Reveal() }
func nonce(b secret.Value, id string) string   { return derive(b, id, "nonce").Reveal() }
func verifier(b secret.Value, id string) secret.Value {
	return derive(b, id, "verifier")
}

// bound reports whether b is of a browser that has taken the flow up.
func (p *pending) bound(b secret.Value, id string) bool {
	if b.IsZero() {
		return false
	}
	have := []byte(binding(b, id))
	return slices.ContainsFunc(p.Bindings, func(known string) bool {
		return subtle.ConstantTimeCompare(have, []byte(known)) == 1
	})
}

// Jar returns the value of the browser's cookie of that name, empty if it has none.
type Jar func(name string) string

// CookieName is the name of a flow's cookie. Each flow has its own, so that two in one
// browser are not in each other's way. The prefix makes browsers refuse one that another host
// of the domain has set (RFC 6265bis, 4.1.3.2); it needs https, so that it is left out
// where the public URL has none, on loopback.
func (f *Flow) CookieName(id string) string {
	name := "rekey-oauth-" + id[:16]
	if f.secure() {
		name = "__Host-" + name
	}
	return name
}

func (f *Flow) secure() bool { return strings.HasPrefix(f.PublicURL, "https:") }

// cookie is sent along when Entra leads back here, which is a top-level GET from
// another site: SameSite=Lax allows that and nothing else.
func (f *Flow) cookie(id string, b secret.Value) *http.Cookie {
	return &http.Cookie{
		Name: f.CookieName(id), Value: b.Reveal(), Path: "/", MaxAge: int(Lifetime.Seconds()),
		Secure: f.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// held returns the b of the browser, zero if it has none.
func (f *Flow) held(id string, jar Jar) secret.Value {
	value := jar(f.CookieName(id))
	if !stateForm.MatchString(value) { // b has the same form as a state
		return secret.Value{}
	}
	return secret.New(value)
}

// load reads a row. Problem is not empty if there is none that can be gone on with;
// the row is then returned as far as it is there.
func (f *Flow) load(ctx context.Context, id string) (p pending, etag string, problem Problem) {
	value, etag, err := f.Store.Pending(ctx, id)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return p, "", Unknown
	case err != nil:
		f.log().WarnContext(ctx, "reading a sign-in", "class", string(serviceerror.ClassOf(err)))
		return p, "", Unavailable
	case json.Unmarshal(value, &p) != nil:
		f.log().ErrorContext(ctx, "reading a sign-in", "reason", "the row is not what was written")
		return p, "", Unavailable
	}
	return p, etag, ""
}

// open is load for a row that has to be fresh.
func (f *Flow) open(ctx context.Context, id string) (p pending, etag string, problem Problem) {
	p, etag, problem = f.load(ctx, id)
	switch {
	case problem != "":
	case p.TakenBy != "":
		problem = Used
	case !f.now().Before(p.ExpiresAt):
		problem = Expired
	case p.ClientID != f.ClientID: // the settings have changed meanwhile
		problem = Expired
	}
	return p, etag, problem
}

func (f *Flow) put(ctx context.Context, id string, p pending, etag string) (string, error) {
	value, err := json.Marshal(p)
	if err != nil {
		return "", errors.New("encoding a sign-in")
	}
	return f.Store.PutPending(ctx, id, value, p.ExpiresAt.Add(kept), etag)
}

func sameID(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), b) }
