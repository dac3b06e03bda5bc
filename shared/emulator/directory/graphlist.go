package directory

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Page sizes of a list of applications.
// Source: learn.microsoft.com/graph/api/application-list.
const (
	defaultPage = 100
	largestPage = 999
)

// listApplications lists the tenant's applications, by object id, a page at a time.
func (d *Directory) listApplications(w http.ResponseWriter, r *http.Request, _ call, who caller) *graphError {
	if !who.mayRead() {
		return denied
	}
	q, refused := parseQuery(r, applicationProperties, "$filter", "$search", "$count", "$top", "$skiptoken")
	if refused != nil {
		return refused
	}
	fits, refused := matcher(r, q)
	if refused != nil {
		return refused
	}
	size, after, refused := q.page()
	if refused != nil {
		return refused
	}
	var all []*application
	for _, app := range d.applications {
		if app.tenantID == who.tenantID && fits(app) {
			all = append(all, app)
		}
	}
	slices.SortFunc(all, func(a, b *application) int { return cmp.Compare(a.objectID, b.objectID) })
	rest := all[min(firstAfter(all, after), len(all)):]
	list := map[string]any{}
	if q.count {
		list["@odata.count"] = len(all)
	}
	if len(rest) > size {
		rest = rest[:size]
		list["@odata.nextLink"] = nextLink(r, rest[size-1].objectID)
	}
	v, shown := d.viewFor(r), []any{}
	for _, app := range rest {
		shown = append(shown, q.pick(app.show(v)))
	}
	list["value"] = shown
	d.writeEntity(w, r, "applications", list)
	return nil
}

// firstAfter is the index of the first application behind the one with that id.
func firstAfter(sorted []*application, id string) int {
	i, found := slices.BinarySearchFunc(sorted, id, func(a *application, id string) int { return cmp.Compare(a.objectID, id) })
	if found {
		i++
	}
	return i
}

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

// page reads $top and $skiptoken: how many to show, behind which object id.
func (q query) page() (size int, after string, refused *graphError) {
	size = defaultPage
	if q.top != "" {
		n, err := strconv.Atoi(q.top)
		if err != nil || n < 1 || n > largestPage {
			return 0, "", badRequest(fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and %d inclusive.", q.top, largestPage))
		}
		size = n
	}
	id, err := base64.RawURLEncoding.DecodeString(q.skip)
	if err != nil || q.skip != "" && !guid.Match(id) {
		return 0, "", badRequest("The $skiptoken is malformed.")
	}
	return size, string(id), nil
}

// nextLink is the same request, behind the object id.
func nextLink(r *http.Request, id string) string {
	values := r.URL.Query()
	values.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(id)))
	return "https://" + r.Host + r.URL.Path + "?" + values.Encode()
}

// getMe shows the user that the token acts for.
func (d *Directory) getMe(w http.ResponseWriter, r *http.Request, _ call, who caller) *graphError {
	if who.user == nil {
		return badRequest("/me request is only valid with delegated authentication flow.")
	}
	if !slices.Contains(who.scopes, ScopeUserRead) {
		return denied
	}
	q, refused := parseQuery(r, userProperties)
	if refused != nil {
		return refused
	}
	d.writeEntity(w, r, "users/$entity", q.pick(map[string]any{
		"id": who.user.objectID, "displayName": who.user.Name, "userPrincipalName": who.user.principal,
	}))
	return nil
}
