package entra

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// discoveryCache is the transport of every credential. It answers requests for
// discovery documents, and only those, from memory while they are fresh.
//
// It keeps answers that are usable and nothing else: no failure, so that a new
// tenant is found as soon as it is there, and no page of a captive portal.
type discoveryCache struct {
	client *http.Client
	ttl    time.Duration
	now    func() time.Time

	mu        sync.Mutex
	documents map[string]document // by address
}

type document struct {
	header http.Header
	body   []byte
	until  time.Time
}

// maxDocuments bounds the memory; one of Entra's has two kilobytes.
const maxDocuments = 4096

func newDiscoveryCache(c Config) *discoveryCache {
	client := http.Client{Transport: http.DefaultTransport}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ttl := c.DiscoveryTTL
	if ttl == 0 {
		ttl = time.Hour
	}
	return &discoveryCache{client: &client, ttl: ttl, now: c.Now, documents: map[string]document{}}
}

// Do implements azcore's policy.Transporter.
func (c *discoveryCache) Do(r *http.Request) (*http.Response, error) {
	if !isDiscovery(r) {
		return c.send(r)
	}
	key := r.URL.String()
	if d, ok := c.fresh(key); ok {
		return d.answer(r), nil
	}
	answer, err := c.send(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	answer.Body.Close()
	if err != nil {
		return nil, err
	}
	d := document{header: answer.Header.Clone(), body: body, until: c.now().Add(c.ttl)}
	if d.usable() {
		c.keep(key, d)
	}
	return d.answer(r), nil
}

// send sends r and follows no redirect. It goes past http.Client, which rewinds the body
// for a redirect before it asks whether to follow it, while that may still be being
// sent.
func (c *discoveryCache) send(r *http.Request) (*http.Response, error) {
	if c.client.Transport == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return c.client.Transport.RoundTrip(r)
}

// isDiscovery recognises the two requests that MSAL makes before it asks for a
// token.
func isDiscovery(r *http.Request) bool {
	return r.Method == http.MethodGet &&
		(strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") || strings.HasSuffix(r.URL.Path, "/discovery/instance"))
}

// usable reports whether the document has what MSAL looks for in either kind.
func (d document) usable() bool {
	var content struct {
		TokenEndpoint           string `json:"token_endpoint"`
		TenantDiscoveryEndpoint string `json:"tenant_discovery_endpoint"`
	}
	return json.Unmarshal(d.body, &content) == nil && content.TokenEndpoint+content.TenantDiscoveryEndpoint != ""
}

func (c *discoveryCache) fresh(key string) (document, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.documents[key]
	return d, ok && d.until.After(c.now())
}

func (c *discoveryCache) keep(key string, d document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.documents) >= maxDocuments {
		clear(c.documents) // rare, and costs one request for each tenant
	}
	c.documents[key] = d
}

func (d document) answer(r *http.Request) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: d.header.Clone(), Body: io.NopCloser(bytes.NewReader(d.body)), ContentLength: int64(len(d.body)),
		Request: r,
	}
}
