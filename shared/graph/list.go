package graph

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"rekey/shared/serviceerror"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/applications"

	"rekey/shared/rotation"
)

// Applications lists up to limit (1 to 999) applications of the tenant, without their
// credentials: those whose display name has words that begin with those of search, or
// the one whose client id it is; all if it is empty. next is where the list goes on.
//
// A cursor is the query of Graph's own link to the next page, which has to be sent as
// it is. It comes back from the caller that was given it, so it must ask for no more than the
// first page did: what is no cursor of the same search is refused with class
// [serviceerror.Invalid], without a request.
// Source: learn.microsoft.com/graph/api/application-list and
// learn.microsoft.com/graph/paging.
func (d *Directory) Applications(ctx context.Context, token rotation.Token, search, cursor string, limit int,
) (list []rotation.ApplicationState, next string, err error) {
	c := &call{op: "listing applications"}
	adapter, err := d.open(c, token)
	if err != nil {
		return nil, "", err
	}
	first := listQuery(search, limit)
	builder, options := applications.NewApplicationsRequestBuilderInternal(map[string]string{}, adapter),
		&applications.ApplicationsRequestBuilderGetRequestConfiguration{
			Headers: abstractions.NewRequestHeaders(), QueryParameters: first,
		}
	if first.Search != nil {
		options.Headers.Add("ConsistencyLevel", "eventual") // $search works with it only
	}
	if cursor != "" {
		query, ok := following(cursor, first)
		if !ok {
			return nil, "", &serviceerror.Error{Op: c.op, Class: serviceerror.Invalid, Detail: "the cursor is not one of this list"}
		}
		builder, options.QueryParameters = applications.NewApplicationsRequestBuilder(d.base+"/applications?"+query, adapter), nil
	}
	page, err := builder.Get(c.into(ctx), options)
	if err != nil {
		return nil, "", c.failure(err)
	}
	if page == nil {
		return nil, "", c.incomplete()
	}
	for _, a := range page.GetValue() {
		if a == nil {
			continue
		}
		list = append(list, rotation.ApplicationState{ObjectID: text(a.GetId()), ClientID: text(a.GetAppId()),
			DisplayName: text(a.GetDisplayName())})
	}
	return list, cursorOf(text(page.GetOdataNextLink())), nil
}

func listQuery(search string, limit int) *applications.ApplicationsRequestBuilderGetQueryParameters {
	q := &applications.ApplicationsRequestBuilderGetQueryParameters{
		Select: []string{"id", "appId", "displayName"}, Top: new(int32(min(max(limit, 1), 999))),
	}
	switch search = strings.TrimSpace(search); {
	case search == "":
	case guid.MatchString(search):
		q.Filter = new("appId eq '" + search + "'")
	default:
		q.Search = new(`"displayName:` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(search) + `"`)
	}
	return q
}

// cursorOf is the cursor for a link to the next page; empty if there is none.
func cursorOf(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.RawQuery == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(u.RawQuery))
}

// following returns the query of a cursor that goes on with what first asked for.
func following(cursor string, first *applications.ApplicationsRequestBuilderGetQueryParameters) (query string, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(data) > 8<<10 {
		return "", false
	}
	values, err := url.ParseQuery(string(data))
	if err != nil {
		return "", false
	}
	same := func(name string, want *string) bool {
		have := values[name]
		return want == nil && len(have) == 0 || want != nil && len(have) == 1 && have[0] == *want
	}
	for name := range values {
		if !slices.Contains([]string{"$select", "$top", "$search", "$filter", "$skiptoken", "$skip", "$count"}, name) {
			return "", false
		}
	}
	if !values.Has("$skiptoken") && !values.Has("$skip") {
		return "", false
	}
	return values.Encode(), same("$select", new(strings.Join(first.Select, ","))) && same("$search", first.Search) &&
		same("$filter", first.Filter)
}
