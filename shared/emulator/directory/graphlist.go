package directory

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Page sizes of a list. With $expand a page has at most 100 objects, whatever $top asks
// for.
// Source: learn.microsoft.com/graph/api/application-list; for $expand the known issue
// 13635, developer.microsoft.com/graph/known-issues.
const (
	defaultPage         = 100
	largestPage         = 999
	largestExpandedPage = 100
)

// listApplications lists the tenant's applications, by object id, a page at a time.
func (d *Directory) listApplications(w http.ResponseWriter, r *http.Request, _ call, who caller) *graphError {
	q, refused := parseQuery(r, applicationProperties, "$filter", "$search", "$count", "$top", "$skiptoken", "$expand")
	if refused != nil {
		return refused
	}
	if !who.mayRead() || q.expand == federatedRelation && !who.mayReadFederated() {
		return denied
	}
	if q.expand != "" && (q.search != "" || q.count) {
		return &graphError{http.StatusBadRequest, "Request_UnsupportedQuery", "Expand is not supported with advanced queries.", nil}
	}
	fits, refused := matcher(r, q)
	if refused != nil {
		return refused
	}
	all, v := d.tenants[who.tenantID].applications, d.viewFor(r)
	if q.filter != "" || q.search != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(a *application) bool { return !fits(a) })
	}
	return writeList(d, w, r, who, q, list[*application]{"applications", all, func(a *application) map[string]any {
		shown := q.pick(a.show(v, false))
		switch q.expand {
		case ownersRelation:
			shown[ownersRelation] = d.showOwners(a.Owners, mostExpanded, q.expanded, who)
		case federatedRelation:
			shown[federatedRelation] = a.showFederated(q)
		}
		return shown
	}})
}

// listServicePrincipals lists the tenant's service principals likewise.
func (d *Directory) listServicePrincipals(w http.ResponseWriter, r *http.Request, _ call, who caller) *graphError {
	q, refused := parseQuery(r, principalProperties, "$top", "$skiptoken", "$expand")
	if refused != nil {
		return refused
	}
	if q.expand == federatedRelation {
		return noProperty(federatedRelation)
	}
	if !who.mayRead() {
		return denied
	}
	all, v := d.tenants[who.tenantID].principals, d.viewFor(r)
	return writeList(d, w, r, who, q, list[*principal]{"servicePrincipals", all, func(p *principal) map[string]any {
		shown := q.pick(p.show(v, false))
		if q.expand == ownersRelation {
			shown[ownersRelation] = d.showOwners(p.Owners, mostExpanded, q.expanded, who)
		}
		return shown
	}})
}

// list is a list of Graph: its name, what is in it and how that is shown.
type list[T object] struct {
	name string
	all  ordered[T]
	show func(T) map[string]any
}

// writeList answers with the page that q asks for: what was added behind it or deleted
// since the page before shows, what was added in front of it does not.
func writeList[T object](d *Directory, w http.ResponseWriter, r *http.Request, who caller, q query, l list[T]) *graphError {
	size, after, refused := q.page(l.name)
	if refused != nil {
		return refused
	}
	if refused := d.spendKeyRead(w, q, who); refused != nil {
		return refused
	}
	rest, answer := l.all.behind(after), map[string]any{}
	if q.count {
		answer["@odata.count"] = len(l.all)
	}
	if len(rest) > size {
		rest = rest[:size]
		answer["@odata.nextLink"] = nextLink(r, l.name, rest[size-1].id())
	}
	shown := []any{}
	for _, x := range rest {
		shown = append(shown, l.show(x))
	}
	answer["value"] = shown
	d.writeEntity(w, r, l.name, answer)
	return nil
}

// page reads $top and $skiptoken: how many to show, behind which id.
func (q query) page(list string) (size int, after string, refused *graphError) {
	size = defaultPage
	if q.top != "" {
		n, err := strconv.Atoi(q.top)
		if err != nil || n < 1 || n > largestPage {
			return 0, "", badRequest(fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and %d inclusive.", q.top, largestPage))
		}
		size = n
	}
	if q.expand != "" {
		size = min(size, largestExpandedPage)
	}
	token, err := base64.RawURLEncoding.DecodeString(q.skip)
	after, ok := strings.CutPrefix(string(token), list+" ")
	if err != nil || q.skip != "" && !ok {
		return 0, "", badRequest("The $skiptoken is malformed.")
	}
	return size, after, nil
}

// nextLink is the same request, behind the id.
func nextLink(r *http.Request, list, id string) string {
	values := r.URL.Query()
	values.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(list+" "+id)))
	return "https://" + r.Host + r.URL.Path + "?" + values.Encode()
}
