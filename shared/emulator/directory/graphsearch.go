package directory

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var (
	appIDFilter  = regexp.MustCompile(`^appId eq '([^']*)'$`)
	prefixFilter = regexp.MustCompile(`^startswith\(displayName, ?'((?:[^']|'')*)'\)$`)
	nameSearch   = regexp.MustCompile(`^"displayName:((?:[^"\\]|\\.)*)"$`)
	escaped      = regexp.MustCompile(`\\(.)`)
)

// matcher reads $filter and $search. The emulator knows one clause of each.
func matcher(r *http.Request, q query) (func(*application) bool, *graphError) {
	every := func(*application) bool { return true }
	byFilter, bySearch := every, every
	if q.filter != "" {
		if m := appIDFilter.FindStringSubmatch(q.filter); m != nil {
			byFilter = func(a *application) bool { return strings.EqualFold(a.clientID, m[1]) }
		} else if m := prefixFilter.FindStringSubmatch(q.filter); m != nil {
			prefix := strings.ToLower(strings.ReplaceAll(m[1], "''", "'"))
			byFilter = func(a *application) bool { return strings.HasPrefix(strings.ToLower(a.DisplayName), prefix) }
		} else {
			return nil, badRequest("Invalid filter clause. The emulator knows appId eq '...' and startswith(displayName,'...') only.")
		}
	}
	if q.search != "" {
		if !strings.EqualFold(r.Header.Get("ConsistencyLevel"), "eventual") {
			return nil, &graphError{http.StatusBadRequest, "Request_UnsupportedQuery",
				"Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'", nil}
		}
		m := nameSearch.FindStringSubmatch(q.search)
		if m == nil {
			return nil, badRequest(`Syntax error in the $search query. The emulator knows "displayName:..." only.`)
		}
		words := tokens(escaped.ReplaceAllString(m[1], "$1"))
		bySearch = func(a *application) bool { return containsWords(tokens(a.DisplayName), words) }
	}
	return func(a *application) bool { return byFilter(a) && bySearch(a) }, nil
}

var word = regexp.MustCompile(`\p{L}+|\p{N}+`)

// tokens are the words that $search compares: split at spaces, digits and symbols. That
// it also splits where the case changes is left out.
// Source: learn.microsoft.com/graph/search-query-parameter.
func tokens(text string) []string { return word.FindAllString(strings.ToLower(text), -1) }

// containsWords reports whether each word begins one of name's.
func containsWords(name, words []string) bool {
	for _, word := range words {
		if !slices.ContainsFunc(name, func(n string) bool { return strings.HasPrefix(n, word) }) {
			return false
		}
	}
	return len(words) > 0
}
