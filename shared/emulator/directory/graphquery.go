package directory

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (d *Directory) writeEntity(w http.ResponseWriter, r *http.Request, context string, body map[string]any) {
	body["@odata.context"] = "https://" + r.Host + "/v1.0/$metadata#" + context
	writeJSON(w, http.StatusOK, body)
}

// The properties that may be selected.
var (
	applicationProperties = []string{"id", "appId", "displayName", "signInAudience", "passwordCredentials"}
	principalProperties   = []string{"id", "appId", "displayName", "accountEnabled", "passwordCredentials"}
	ownerProperties       = []string{"id"}
	userProperties        = []string{"id", "displayName", "userPrincipalName"}
)

type query struct {
	selected []string // empty: everything
	filter   string
	search   string
	top      string
	skip     string // $skiptoken
	count    bool
}

func parseQuery(r *http.Request, properties []string, options ...string) (query, *graphError) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, badRequest("The query string is malformed.")
	}
	for name := range values {
		if name != "$select" && !slices.Contains(options, name) {
			return query{}, badRequest(fmt.Sprintf("The query parameter '%s' is not supported.", name))
		}
	}
	q := query{
		filter: values.Get("$filter"), search: values.Get("$search"), top: values.Get("$top"),
		skip: values.Get("$skiptoken"), count: values.Get("$count") == "true",
	}
	if values.Has("$select") {
		q.selected = strings.Split(values.Get("$select"), ",")
	}
	for _, s := range q.selected {
		if !slices.Contains(properties, s) {
			return query{}, badRequest(fmt.Sprintf("Could not find a property named '%s'.", s))
		}
	}
	return q, nil
}

func (q query) pick(all map[string]any) map[string]any {
	if q.selected == nil {
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
