package functions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"rekey/functions/connections"
)

// document is the API's own description of itself, ready to hold messages against.
var document = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(connections.Document)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
})

// requested is a request with that body as the document's validation takes it; an error, if
// it is at no address of the document.
func requested(t *testing.T, r *http.Request, body string) (*openapi3filter.RequestValidationInput, error) {
	t.Helper()
	router, err := document()
	if err != nil {
		t.Fatal(err)
	}
	sent := r.Clone(context.WithoutCancel(r.Context()))
	body = strings.TrimPrefix(body, "\xef\xbb\xbf") // a byte order mark is no part of JSON
	var v any
	if json.Unmarshal([]byte(body), &v) == nil { // spaces around a value are none of it
		data, err := json.Marshal(trimmed(v))
		if err != nil {
			t.Fatal(err)
		}
		body = string(data)
	}
	sent.URL.Scheme, sent.URL.Host, sent.Body = "", "", io.NopCloser(strings.NewReader(body))
	sent.GetBody = nil
	if body == "" {
		sent.Body = http.NoBody
	}
	route, params, err := router.FindRoute(sent)
	if err != nil {
		return nil, err
	}
	return &openapi3filter.RequestValidationInput{
		Request: sent, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
			MultiError: true},
	}, nil
}

// trimmed takes the spaces from around every string.
func trimmed(v any) any {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case map[string]any:
		for name := range v {
			v[name] = trimmed(v[name])
		}
	}
	return v
}

// described holds an answer against the document, and the request, too, if it was
// granted: what is refused may be as wrong as a test likes. What is at no address of
// the document is refused, and that is all it says about it.
func described(t *testing.T, r *http.Request, body string, got reply) {
	t.Helper()
	if got.status >= http.StatusInternalServerError && got.header.Get("Content-Type") == "" {
		return // of the server in front of a handler that has died
	}
	in, err := requested(t, r, body)
	if err != nil {
		if got.status < http.StatusBadRequest {
			t.Errorf("%s %s is answered with status %d and is not in the document: %v", r.Method, r.URL.Path, got.status, err)
		}
		return
	}
	if got.status == http.StatusOK {
		if err := openapi3filter.ValidateRequest(in.Request.Context(), in); err != nil {
			t.Errorf("%s %s: the request is not as the document says: %v", r.Method, r.URL.Path, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.status, Header: got.header, Body: io.NopCloser(bytes.NewReader(got.body)), Options: in.Options,
	}
	if err := openapi3filter.ValidateResponse(in.Request.Context(), out); err != nil {
		t.Errorf("%s %s: the answer is not as the document says: %v\n%s", r.Method, r.URL.Path, err, got.body)
	}
}
