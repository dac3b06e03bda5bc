// Package table is Azure Table storage as an [http.Handler], so that the store
// can be tested with the real client, and so that Rekey runs on one machine.
//
// It is simple but strict. It has what Rekey uses: entities, entity-group
// transactions, range queries and their continuation tokens. Everything else is
// answered with 501 and says so. What the real service refuses is refused here
// too (limits, key characters, transactions across partitions), because the other
// local emulator, Azurite, lets some of it through.
//
// Wire facts follow learn.microsoft.com/rest/api/storageservices (Table service
// REST API) and what aztables v1.4.1 was seen to send. What is assumed and not
// verified is listed in docs/assumptions.md.
package table

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"rekey/shared/emulator/fault"
)

// DefaultAccount is the account name that every local storage emulator uses.
const DefaultAccount = "devstoreaccount1"

// maxPage is how many rows a page of a query has at most.
const maxPage = 1000

// The operations that [Config].Hook is asked about and [Service.Calls] counts. A
// transaction is one call.
const (
	OpCreate  = "table.create"
	OpInsert  = "table.insert"
	OpGet     = "table.get"
	OpMerge   = "table.merge"
	OpReplace = "table.replace"
	OpDelete  = "table.delete"
	OpQuery   = "table.query"
	OpBatch   = "table.batch"
)

// Config says who may call and how the service misbehaves. With neither
// AccountKey nor Accept no caller may.
type Config struct {
	// Account is the storage account's name; default [DefaultAccount]. Requests
	// may name it as the first element of the path, as Azurite wants it, or in
	// the host name only, as Azure does.
	Account string
	// AccountKey verifies SharedKeyLite signatures. Base64; empty refuses them.
	AccountKey string
	// Accept says whether a bearer token is good; nil refuses them all.
	Accept func(token string) bool
	// Hook is asked before every call that was let in; nil behaves. Its effects on
	// a transaction that are 404, 409 or 412 fail the first of its operations; its
	// hints are about queries.
	Hook fault.Hook
	// Now stamps rows and checks the date of signatures; default [time.Now].
	Now func() time.Time
	// PageSize is how many rows a page has at most; default and maximum 1,000.
	PageSize int
	// EmptyPages begins every query with an empty page that carries a
	// continuation token, as the real service may when it crosses servers.
	EmptyPages bool
}

// Service is one storage account. Its methods may be called at the same time.
type Service struct {
	cfg Config
	key []byte

	mu     sync.RWMutex
	tables map[string]*table
	tick   int64 // the last write's time in 100 ns since 1970, unique per write

	counting sync.Mutex
	calls    map[string]int
}

// New returns an empty account. It panics if cfg.AccountKey is not base64.
func New(cfg Config) *Service {
	if cfg.Account == "" {
		cfg.Account = DefaultAccount
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PageSize <= 0 || cfg.PageSize > maxPage {
		cfg.PageSize = maxPage
	}
	key, err := base64.StdEncoding.DecodeString(cfg.AccountKey)
	if err != nil {
		panic("table: Config.AccountKey is not base64")
	}
	return &Service{cfg: cfg, key: key, tables: map[string]*table{}, calls: map[string]int{}}
}

// ServeHTTP answers one request of the Table service's REST API.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := s.authorize(r); f != nil {
		if f.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate",
				`Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize resource_id=https://storage.azure.com`)
		}
		s.fail(w, f)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBatchBytes+1))
	if err != nil {
		s.fail(w, invalid("The request's body could not be read."))
		return
	}
	op, serve := s.route(r, body)
	if op == "" {
		serve(w, r)
		return
	}
	s.counting.Lock()
	s.calls[op]++
	s.counting.Unlock()
	fault.Serve(s.cfg.Hook, op, w, r, serve, func(w http.ResponseWriter, status int, code, message string) {
		f := &failure{status, code, message}
		if op == OpBatch && aboutARow(status) {
			f.message = "0:" + message
			s.writeBatch(w, [][]byte{s.innerFailure(f)})
			return
		}
		s.fail(w, f)
	})
}

// aboutARow reports whether status is one that a transaction fails with because of
// one of its rows: that is an inner answer, under an outer 202.
func aboutARow(status int) bool {
	return status == http.StatusNotFound || status == http.StatusConflict || status == http.StatusPreconditionFailed
}

// route finds what r asks for. The operation's name is empty if there is no such
// operation; serve then says so.
func (s *Service) route(r *http.Request, body []byte) (op string, serve http.HandlerFunc) {
	refuse := func(f *failure) (string, http.HandlerFunc) {
		return "", func(w http.ResponseWriter, _ *http.Request) { s.fail(w, f) }
	}
	path := s.trimAccount(r.URL.Path)
	switch {
	case path == "/$batch" && r.Method == http.MethodPost:
		return OpBatch, func(w http.ResponseWriter, r *http.Request) { s.serveBatch(w, r, body) }
	case path == "/Tables" && r.Method == http.MethodPost:
		return OpCreate, func(w http.ResponseWriter, _ *http.Request) { s.serveCreate(w, r, body) }
	case r.Method == http.MethodGet && collection.MatchString(path):
		name := collection.FindStringSubmatch(path)[1]
		return OpQuery, func(w http.ResponseWriter, r *http.Request) { s.serveQuery(w, r, name) }
	}
	o, f := parseOperation(r.Method, path, r.Header, body)
	if f != nil {
		return refuse(f)
	}
	return o.kind, func(w http.ResponseWriter, r *http.Request) { s.serveOperation(w, r, o) }
}

// trimAccount takes the account's name off the front of a path.
func (s *Service) trimAccount(path string) string {
	if rest, ok := strings.CutPrefix(path, "/"+s.cfg.Account); ok && strings.HasPrefix(rest, "/") {
		return rest
	}
	return path
}

var (
	tableName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{2,62}$`)
	collection = regexp.MustCompile(`^/([A-Za-z][A-Za-z0-9]{2,62})(?:\(\))?$`)
)

func (s *Service) serveCreate(w http.ResponseWriter, _ *http.Request, body []byte) {
	name, f := parseTableName(body)
	if f != nil {
		s.fail(w, f)
		return
	}
	s.mu.Lock()
	_, exists := s.tables[name]
	if !exists {
		s.tables[name] = &table{}
	}
	s.mu.Unlock()
	if exists {
		s.fail(w, &failure{http.StatusConflict, "TableAlreadyExists", "The table specified already exists."})
		return
	}
	s.answer(w, http.StatusCreated, map[string]any{"TableName": name})
}

func (s *Service) serveOperation(w http.ResponseWriter, r *http.Request, o operation) {
	s.mu.Lock()
	row, _, f := s.apply(o)
	s.mu.Unlock()
	if f != nil {
		s.fail(w, f)
		return
	}
	if row != nil {
		w.Header().Set("ETag", row.etag())
	}
	switch {
	case o.kind == OpGet:
		s.answer(w, http.StatusOK, row.object(o.pk, nil))
	case o.kind == OpInsert && !strings.EqualFold(r.Header.Get("Prefer"), "return-no-content"):
		s.answer(w, http.StatusCreated, row.object(o.pk, nil))
	default:
		s.headers(w)
		w.WriteHeader(http.StatusNoContent)
	}
}

// nextTick returns a time later than every one before; the caller holds s.mu.
func (s *Service) nextTick() int64 {
	s.tick = max(s.tick+1, s.cfg.Now().UnixNano()/100)
	return s.tick
}

// Calls returns how often an operation was asked for, such as [OpQuery]. Calls
// that failed count too; those that were not let in do not.
func (s *Service) Calls(op string) int {
	s.counting.Lock()
	defer s.counting.Unlock()
	return s.calls[op]
}

// ResetCalls sets all counts to zero.
func (s *Service) ResetCalls() {
	s.counting.Lock()
	defer s.counting.Unlock()
	clear(s.calls)
}

// missing is the answer about a table that was never created.
func missing(name string) *failure {
	return &failure{http.StatusNotFound, "TableNotFound", fmt.Sprintf("The table %q does not exist.", name)}
}
