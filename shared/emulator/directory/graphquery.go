package directory

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

func (d *Directory) writeEntity(w http.ResponseWriter, r *http.Request, context string, body map[string]any) {
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	body["@odata.context"] = "https://" + r.Host + "/" + version + "/$metadata#" + context
	writeJSON(w, http.StatusOK, body)
}

// keyCredentials has to be asked for by name.
const keyCredentials = "keyCredentials"

// The relations that may be expanded.
const (
	ownersRelation    = "owners"
	federatedRelation = "federatedIdentityCredentials"
)

// The properties that may be selected.
var (
	applicationProperties = []string{"id", "appId", "displayName", "signInAudience", "createdDateTime", "passwordCredentials", keyCredentials}
	principalProperties   = []string{"id", "appId", "displayName", "servicePrincipalType", "accountEnabled", "appOwnerOrganizationId",
		"passwordCredentials", keyCredentials}
	ownerProperties     = []string{"id", "displayName", "userPrincipalName"}
	federatedProperties = []string{"id", "name", "issuer", "subject", "audiences", "description"}
	userProperties      = []string{"id", "displayName", "userPrincipalName"}
)

type query struct {
	selected []string // nil: everything
	expand   string   // a relation; empty: none
	expanded []string // what is selected of it
	filter   string
	search   string
	top      string
	skip     string // $skiptoken
	count    bool
}

func noProperty(name string) *graphError {
	return badRequest(fmt.Sprintf("Could not find a property named '%s'.", name))
}

func parseQuery(r *http.Request, properties []string, options ...string) (query, *graphError) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, badRequest("The query string is malformed.")
	}
	for name, all := range values {
		if name != "$select" && !slices.Contains(options, name) {
			return query{}, badRequest(fmt.Sprintf("The query parameter '%s' is not supported.", name))
		}
		if len(all) > 1 {
			return query{}, badRequest(fmt.Sprintf("Query option '%s' was specified more than once, but it must be specified at most once.", name))
		}
	}
	q := query{
		filter: values.Get("$filter"), search: values.Get("$search"), top: values.Get("$top"),
		skip: values.Get("$skiptoken"), count: values.Get("$count") == "true",
	}
	var refused *graphError
	if values.Has("$select") {
		if q.selected, refused = selection(values.Get("$select"), properties); refused != nil {
			return query{}, refused
		}
	}
	if values.Has("$expand") {
		refused = q.parseExpand(values.Get("$expand"))
	}
	return q, refused
}

// selection reads the names of properties.
func selection(names string, properties []string) ([]string, *graphError) {
	selected := strings.Split(names, ",")
	for _, s := range selected {
		if !slices.Contains(properties, s) {
			return nil, noProperty(s)
		}
	}
	return selected, nil
}

var relation = regexp.MustCompile(`^([A-Za-z]+)(?:\(\$select=([A-Za-z,]+)\))?$`)

// parseExpand reads $expand: one relation, and what of it. Graph expands no second one
// of a directory object.
// Source: learn.microsoft.com/graph/query-parameters, the expand parameter.
func (q *query) parseExpand(text string) (refused *graphError) {
	m := relation.FindStringSubmatch(text)
	if m == nil {
		return badRequest("The $expand is not supported: a request can expand one relationship, with $select and no other option.")
	}
	properties := map[string][]string{ownersRelation: ownerProperties, federatedRelation: federatedProperties}[m[1]]
	if properties == nil {
		return noProperty(m[1])
	}
	if q.expand = m[1]; m[2] != "" {
		q.expanded, refused = selection(m[2], properties)
	}
	return refused
}

func (q query) pick(all map[string]any) map[string]any {
	if q.selected == nil {
		delete(all, keyCredentials)
		return all
	}
	picked := map[string]any{}
	for _, name := range q.selected {
		if value, ok := all[name]; ok {
			picked[name] = value
		}
	}
	return picked
}

// mostExpanded is how many objects Graph shows of an expanded relation. It does not say
// that there are more.
// Source: learn.microsoft.com/graph/query-parameters, the expand parameter.
const mostExpanded = 20
