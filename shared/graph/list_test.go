package graph_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/emulator/directory"
	"rekey/shared/rotation"
)

// names lists applications page by page and returns their names, sorted.
func (w *world) names(t *testing.T, search string, limit int) (names []string, pages int) {
	t.Helper()
	for cursor := ""; ; {
		list, next, err := w.graph.Applications(t.Context(), w.token(t), search, cursor, limit)
		if err != nil {
			t.Fatalf("page %d of %q: %v", pages+1, search, err)
		}
		if len(list) > limit {
			t.Errorf("%d applications on a page of %d", len(list), limit)
		}
		pages++
		for _, a := range list {
			if a.ObjectID == "" || a.ClientID == "" || a.Passwords != nil {
				t.Errorf("application %+v", a)
			}
			names = append(names, a.DisplayName)
		}
		if cursor = next; cursor == "" {
			slices.Sort(names)
			return names, pages
		}
	}
}

func TestApplications(t *testing.T) {
	w := newWorld(t, directory.Config{})
	var last directory.Application
	for _, name := range []string{"billing api", "billing web", `the "quoted" billing \ one`, "reporting"} {
		app, err := w.AddApplication(directory.Registration{TenantID: w.app.TenantID, Settings: directory.Settings{DisplayName: name}})
		if err != nil {
			t.Fatal(err)
		}
		last = app
	}
	for _, tt := range []struct {
		search string
		limit  int
		want   string
		pages  int
	}{
		{"", 999, `billing api|billing web|reporting|sample|the "quoted" billing \ one`, 1},
		{"", 2, `billing api|billing web|reporting|sample|the "quoted" billing \ one`, 3},
		{"billing", 2, `billing api|billing web|the "quoted" billing \ one`, 2},
		{"bill we", 10, "billing web", 1},
		{`"quoted`, 10, `the "quoted" billing \ one`, 1},
		{`\`, 10, "", 1},
		{"nothing", 10, "", 1},
		{last.ClientID, 10, "reporting", 1},
		{strings.ToUpper(last.ClientID), 10, "reporting", 1},
	} {
		names, pages := w.names(t, tt.search, tt.limit)
		if got := strings.Join(names, "|"); got != tt.want || pages != tt.pages {
			t.Errorf("%q by %d: %q on %d pages, want %q on %d", tt.search, tt.limit, got, pages, tt.want, tt.pages)
		}
	}
}

// A cursor takes its bearer no further than the list that it is of, and nowhere else.
func TestForeignCursor(t *testing.T) {
	w := newWorld(t, directory.Config{})
	for i := range 3 {
		if _, err := w.AddApplication(directory.Registration{TenantID: w.app.TenantID,
			Settings: directory.Settings{DisplayName: fmt.Sprint("billing ", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	_, good, err := w.graph.Applications(t.Context(), w.token(t), "billing", "", 1)
	if err != nil || good == "" {
		t.Fatalf("cursor %q, %v", good, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	edited := func(edit func(url.Values)) string {
		v, err := url.ParseQuery(string(raw))
		if err != nil {
			t.Fatal(err)
		}
		edit(v)
		return base64.RawURLEncoding.EncodeToString([]byte(v.Encode()))
	}
	before := w.Calls(directory.OpListApplications)
	for name, tt := range map[string]struct{ search, cursor string }{
		"no base64":         {"billing", "https://evil.example.com/"},
		"another address":   {"billing", base64.RawURLEncoding.EncodeToString([]byte("https://evil.example.com/?$skiptoken=x"))},
		"another search":    {"reporting", good},
		"no search":         {"", good},
		"of a client id":    {w.app.ClientID, good},
		"more properties":   {"billing", edited(func(v url.Values) { v.Set("$select", "id,appId,displayName,passwordCredentials") })},
		"selected twice":    {"billing", edited(func(v url.Values) { v.Add("$select", "passwordCredentials") })},
		"expanded":          {"billing", edited(func(v url.Values) { v.Set("$expand", "owners") })},
		"no place to go on": {"billing", edited(func(v url.Values) { v.Del("$skiptoken") })},
		"too long":          {"billing", edited(func(v url.Values) { v.Set("$skiptoken", strings.Repeat("x", 9000)) })},
	} {
		_, _, err := w.graph.Applications(t.Context(), w.token(t), tt.search, tt.cursor, 1)
		if err == nil || serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.Calls(directory.OpListApplications) - before; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if list, _, err := w.graph.Applications(t.Context(), w.token(t), "billing", good, 1); err != nil || len(list) != 1 {
		t.Errorf("the good one: %v, %v", list, err)
	}
}

// What the client asks for is what is needed, and no more; a search says that it may be
// behind the truth, which Graph demands.
func TestListWire(t *testing.T) {
	var seen []string
	d := client(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		seen = append(seen, fmt.Sprintf("%s %s %v %s", r.Method, r.URL.Path, r.URL.Query(), r.Header.Get("ConsistencyLevel")))
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprint(rw, `{"value":[]}`)
	}))
	token := rotation.Token{Value: secret.New("t")}
	for _, search := range []string{"", "billing"} {
		if _, next, err := d.Applications(t.Context(), token, search, "", 5000); err != nil || next != "" {
			t.Fatalf("%q: next %q, %v", search, next, err)
		}
	}
	want := []string{
		"GET /v1.0/applications map[$select:[id,appId,displayName] $top:[999]] ",
		`GET /v1.0/applications map[$search:["displayName:billing"] $select:[id,appId,displayName] $top:[999]] eventual`,
	}
	if !slices.Equal(seen, want) {
		t.Errorf("sent %q, want %q", seen, want)
	}
}
