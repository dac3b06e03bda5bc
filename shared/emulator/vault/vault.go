// Package vault is an emulator of Key Vault's secrets API, as a library.
//
// It exists so that the real azsecrets client can be run, in tests and on a
// developer's machine, against a vault that is as strict as the real one and that
// can be told to fail. It keeps everything in memory and promises that what a
// client reads is what an earlier answer said: Key Vault is strongly consistent
// for its callers. What hurts in reality is modelled: the 401 challenge before the
// first call, soft delete with its blocked names, deletion and recovery that take
// their time, disabled versions that cannot be read, version lists in an order
// that says nothing about age, and pages.
//
// Facts are from the service's REST reference and from answers that people posted.
// What is assumed is listed in docs/assumptions.md, and nothing in Rekey may depend
// on it.
//
// Backup, restore, purge and the list of deleted secrets are not there: Rekey's
// role in the vault does not include them.
package vault

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"rekey/shared/emulator/fault"
)

// defaultAuthority stands in for Config.Authority; nothing listens there.
const defaultAuthority = "https://login.emulator.invalid/00000000-0000-0000-0000-000000000000"

// Config says how a Vault behaves. The zero Config is a vault that accepts any
// token and does everything at once.
type Config struct {
	// Authority is what the challenge names as the place to get a token: an
	// https URL whose path is the tenant id, as azsecrets takes the tenant from
	// there. Empty: an address that answers nothing, for tests with a
	// credential of their own.
	Authority string
	// Accept says whether a bearer token is good. Nil: any that is not empty.
	Accept func(token string) bool
	// Hook may make a call fail; see package fault. The operations are
	// vault.set, vault.get, vault.list, vault.update, vault.delete,
	// vault.getDeleted and vault.recover. It is asked after authentication.
	// Its Code may be one of those that Key Vault puts into innererror, such as
	// ObjectIsBeingRecovered.
	Hook fault.Hook
	// Now is the vault's clock. Nil: time.Now.
	Now func() time.Time
	// DeleteDelay is how long a deletion takes: until then the secret is
	// neither live nor to be found among the deleted ones.
	DeleteDelay time.Duration
	// RecoverDelay is how long a recovery takes: until then the secret is still
	// to be found among the deleted ones.
	RecoverDelay time.Duration
}

// Vault is one key vault. It is an http.Handler, safe for concurrent use. Serve
// it over TLS: azsecrets sends no token over plain HTTP.
type Vault struct {
	cfg Config

	mu         sync.Mutex
	strict     bool               // see RequireExpiry
	secrets    map[string]*secret // by lower-case name
	calls      map[string]int     // by operation
	challenges int
}

// New returns an empty vault. It panics if cfg.Authority has no path, because the
// SDK would, on the first challenge.
func New(cfg Config) *Vault {
	if cfg.Authority == "" {
		cfg.Authority = defaultAuthority
	}
	if u, err := url.Parse(cfg.Authority); err != nil || strings.Trim(u.Path, "/") == "" {
		panic("vault: Config.Authority needs a path: the tenant id")
	}
	if cfg.Accept == nil {
		cfg.Accept = func(token string) bool { return token != "" }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Vault{cfg: cfg, secrets: map[string]*secret{}, calls: map[string]int{}}
}

var (
	// apiVersion is the form of the versions: dates since 2025, before that 7.x.
	apiVersion = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}|7\.\d)(-preview(\.\d+)?)?$`)
	secretName = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)
	versionID  = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// ServeHTTP authenticates, finds the operation and carries it out under the hook.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-ms-request-id", requestID())
	if !v.authenticated(r) {
		v.challenge(w)
		return
	}
	if !apiVersion.MatchString(r.URL.Query().Get("api-version")) {
		writeError(w, http.StatusBadRequest, "BadParameter", "The api-version query parameter is missing or malformed.")
		return
	}
	op, next := v.route(r)
	if next == nil {
		writeError(w, http.StatusNotFound, "NotFound", "There is no such operation.")
		return
	}
	v.mu.Lock()
	v.calls[op]++
	v.mu.Unlock()
	fault.Serve(v.cfg.Hook, op, w, r, next, writeError)
}

// authenticated reports whether r carries exactly one bearer token, a good one.
func (v *Vault) authenticated(r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	token, ok := strings.CutPrefix(values[0], "Bearer ")
	return ok && v.cfg.Accept(token)
}

// challenge tells the client where to get a token and for what, in the form that
// Key Vault uses.
func (v *Vault) challenge(w http.ResponseWriter) {
	v.mu.Lock()
	v.challenges++
	v.mu.Unlock()
	w.Header().Set("WWW-Authenticate", `Bearer authorization="`+v.cfg.Authority+`", resource="https://vault.azure.net"`)
	writeError(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
}

// route finds the operation that r asks for; a nil handler if there is none. A
// trailing slash is part of how the SDK asks for the latest version.
func (v *Vault) route(r *http.Request) (op string, next http.HandlerFunc) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) > 1 && !secretName.MatchString(parts[1]) {
		return "vault.get", func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, http.StatusBadRequest, "BadParameter", "The request URI contains an invalid name.")
		}
	}
	key := r.Method + " " + parts[0]
	switch {
	case len(parts) == 1 && key == "GET secrets":
		return "vault.list", v.listSecrets
	case len(parts) == 2 && key == "PUT secrets":
		return "vault.set", v.named(parts[1], v.set)
	case len(parts) == 2 && key == "GET secrets":
		return "vault.get", v.versioned(parts[1], "", v.get)
	case len(parts) == 2 && key == "DELETE secrets":
		return "vault.delete", v.named(parts[1], v.delete)
	case len(parts) == 3 && key == "GET secrets" && parts[2] == "versions":
		return "vault.list", v.named(parts[1], v.listVersions)
	case len(parts) == 3 && key == "GET secrets":
		return "vault.get", v.versioned(parts[1], parts[2], v.get)
	case len(parts) == 3 && key == "PATCH secrets":
		return "vault.update", v.versioned(parts[1], parts[2], v.update)
	case len(parts) == 2 && key == "GET deletedsecrets":
		return "vault.getDeleted", v.named(parts[1], v.getDeleted)
	case len(parts) == 3 && key == "POST deletedsecrets" && parts[2] == "recover":
		return "vault.recover", v.named(parts[1], v.recover)
	}
	return "", nil
}

func (v *Vault) named(name string, f func(w http.ResponseWriter, r *http.Request, name string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { f(w, r, name) }
}

func (v *Vault) versioned(name, version string, f func(w http.ResponseWriter, r *http.Request, name, version string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if version != "" && !versionID.MatchString(version) {
			writeError(w, http.StatusBadRequest, "BadParameter", "The request URI contains an invalid version.")
			return
		}
		f(w, r, name, version)
	}
}

// outerCode gives the general code under which Key Vault reports a specific one,
// which is then in innererror. Sources: hashicorp/terraform-provider-azurerm#12285
// (409), Azure/azure-sdk-for-java#17991 (403).
var outerCode = map[string]string{
	"SecretDisabled":                "Forbidden",
	"ForbiddenByPolicy":             "Forbidden",
	"ObjectIsBeingDeleted":          "Conflict",
	"ObjectIsBeingRecovered":        "Conflict",
	"ObjectIsDeletedButRecoverable": "Conflict",
}

// writeError answers in Key Vault's envelope; code is the most specific one.
func writeError(w http.ResponseWriter, status int, code, message string) {
	type inner struct {
		Code string `json:"code"`
	}
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Inner   *inner `json:"innererror,omitempty"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message = code, message
	if outer, ok := outerCode[code]; ok {
		body.Error.Code, body.Error.Inner = outer, &inner{code}
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error means that the client has gone
}

// requestID has the form of a GUID.
func requestID() string {
	id := newID()
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

// newID returns 32 hex characters, the form of a version id.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
