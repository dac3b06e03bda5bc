package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"rekey/shared/auth"
)

// The console is a client of the API within the process: each page asks for what it shows, and
// each button sends what a program would send. So the API alone checks input and roles, counts
// requests, recognises what is sent twice, and audits.

const (
	base    = "/api/v1/app-connections"
	secrets = base + "/azure-client-secrets"
	trailAt = "/api/v1/audit"
)

// api is the API as one visitor may use it.
type api struct {
	handler http.Handler
	request *http.Request // the visitor's: its context, and where it came from
	caller  auth.Caller
}

// refusal is an answer that is not 2xx.
type refusal struct {
	status  int
	code    string   // what the API tells programs; mostly empty
	message string   // in the words of the pages
	about   []string // fields of the form
	after   string   // Retry-After
}

// wrong is what the console itself refuses: what was entered in a field.
func wrong(field, message string) *refusal {
	return &refusal{status: http.StatusBadRequest, message: "“" + labelOf(field) + "” " + message, about: []string{field}}
}

func (r *refusal) Error() string { return fmt.Sprintf("the API answered %d", r.status) }

// callerKey is where the caller stands in the context of a request to the API.
type callerKey struct{}

// Authenticate says who sent a request that the console makes: it is [auth.Authenticator]'s
// method for the console's own handler of the API.
func Authenticate(r *http.Request) (auth.Caller, error) {
	caller, ok := r.Context().Value(callerKey{}).(auth.Caller)
	if !ok {
		return caller, auth.ErrUnauthenticated
	}
	return caller, nil
}

// get asks for something.
func (a *api) get(path string, q url.Values, into any) error {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return a.send(http.MethodGet, path, nil, "", into)
}

// send makes a request. key is an idempotency key, where the route takes one.
func (a *api) send(method, path string, body any, key string, into any) error {
	answer, err := a.answered(method, path, body, key)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(bytes.Map(straight, answer.body.Bytes()), into); err != nil {
		return fmt.Errorf("decoding the API's answer to %s: %w", method, err)
	}
	return nil
}

// straight makes visible what would turn the direction of the text around it, in a name that a stranger
// chose: what stands behind the name would read backwards.
func straight(c rune) rune {
	if c >= '\u202A' && c <= '\u202E' || c >= '\u2066' && c <= '\u2069' {
		return '\uFFFD'
	}
	return c
}

// file asks for a page of something that is not JSON, and where it goes on; empty: at its end.
func (a *api) file(path string, q url.Values) (data []byte, next string, err error) {
	answer, err := a.raw(http.MethodGet, path+"?"+q.Encode(), nil, "")
	if err != nil {
		return nil, "", err
	}
	if link, _, ok := strings.Cut(strings.TrimPrefix(answer.header.Get("Link"), "<"), ">"); ok {
		u, err := url.Parse(link)
		if err != nil {
			return nil, "", errors.New("reading where the API's list goes on")
		}
		next = u.Query().Get("cursor")
	}
	return answer.body.Bytes(), next, nil
}

func (a *api) raw(method, path string, body any, key string) (*recorder, error) {
	var sent io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding a request to the API: %w", err)
		}
		sent = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(context.WithValue(a.request.Context(), callerKey{}, a.caller), method, path, sent)
	if err != nil {
		return nil, fmt.Errorf("making a request to the API: %w", err)
	}
	// Where it came from stays the visitor's; nothing else of their request is passed on.
	r.RemoteAddr = a.request.RemoteAddr
	r.Header["X-Forwarded-For"] = a.request.Header["X-Forwarded-For"]
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := &recorder{header: http.Header{}}
	a.handler.ServeHTTP(w, r)
	if status := cmp.Or(w.status, http.StatusOK); status >= http.StatusBadRequest {
		var said struct{ Message, Code string }
		_ = json.Unmarshal(w.body.Bytes(), &said) // without a message there is the status
		message, about := inWords(said.Message)
		return nil, &refusal{status, said.Code, cmp.Or(message, http.StatusText(status)), about, w.header.Get("Retry-After")}
	}
	return w, nil
}

// recorder takes an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) { w.status = cmp.Or(w.status, status) }

func (w *recorder) Write(data []byte) (int, error) { return w.body.Write(data) }

// at is the address of a connection, or of a target of it, and of what is below it.
func at(id, targetID string, below ...string) string {
	path := secrets + "/" + url.PathEscape(id)
	if targetID != "" {
		path += "/targets/" + url.PathEscape(targetID)
	}
	return strings.Join(append([]string{path}, below...), "/")
}
