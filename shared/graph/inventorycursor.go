package graph

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// maxQuery bounds the query of a link to a next page.
const maxQuery = 8 << 10

// cursor is the cursor for a link to the next page; empty if there is none. Not ok: the link
// leads to another host, or to something else than the rest of this list. What is followed is its
// query alone, on the path of the list.
func (l listing) cursor(link, host string) (cursor string, ok bool) {
	if link == "" {
		return "", true
	}
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || !strings.EqualFold(u.Hostname(), host) || !l.continues(u.RawQuery) {
		return "", false
	}
	return base64.RawURLEncoding.EncodeToString([]byte(u.RawQuery)), true
}

// following returns the query of a cursor of l, as Graph wrote it.
func (l listing) following(cursor string) (query string, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	return string(data), err == nil && l.continues(string(data))
}

// continues reports whether a query goes on with the list, and asks for no more than its first
// page did. It is sent as it is, so that it may hold nothing that ends a query early.
func (l listing) continues(query string) bool {
	stray := func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }
	if len(query) > maxQuery || strings.ContainsFunc(query, stray) {
		return false
	}
	have, err := url.ParseQuery(query)
	if err != nil {
		return false
	}
	first, err := url.ParseQuery(l.query)
	if err != nil {
		return false
	}
	for name, values := range have {
		place := name == "$skiptoken" || name == "$skip"
		if len(values) != 1 || !place && !slices.Equal(values, first[name]) {
			return false
		}
	}
	for name := range first {
		if name != "$top" && !have.Has(name) {
			return false
		}
	}
	return have.Get("$skiptoken") != "" || have.Get("$skip") != ""
}
