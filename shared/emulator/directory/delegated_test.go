package directory_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/emulator/directory"
)

// TestDelegatedPermissions: a token opens what was consented to, and no more than its
// user may.
func TestDelegatedPermissions(t *testing.T) {
	o := newOffice(t, directory.Config{})
	owner := o.user(o.tenant, "Olga Owner")
	err := o.Change(o.app.ObjectID, func(s *directory.Settings) { s.Owners = append(s.Owners, owner) })
	if err != nil {
		t.Fatal(err)
	}
	err = o.GrantConsent(o.web.ClientID, "", directory.ScopeUserRead, directory.RoleReadAll, directory.RoleReadWriteAll,
		directory.ScopeDirectoryReadWriteAll)
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{"Ada": o.ada, "Otto": o.otto, "Olga": owner}
	for _, role := range []string{directory.GlobalAdministrator, directory.CloudApplicationAdministrator} {
		users[role] = o.user(o.tenant, role, role)
	}
	path := "/applications/" + o.app.ObjectID
	for _, c := range []struct {
		user, scope string
		read, write bool
	}{
		{"Ada", "User.Read", false, false},
		{"Ada", "Application.Read.All", true, false},
		{"Ada", "Directory.ReadWrite.All", true, false}, // not listed for addPassword
		{"Ada", "Application.ReadWrite.All", true, true},
		{"Otto", "Application.ReadWrite.All", true, false},
		{"Olga", "Application.ReadWrite.All", true, true},
		{"Olga", "Application.Read.All", true, false},
		{directory.GlobalAdministrator, "Application.ReadWrite.All", true, true},
		{directory.CloudApplicationAdministrator, "Application.ReadWrite.All", true, true},
	} {
		t.Run(c.user+" "+c.scope, func(t *testing.T) {
			o.t = t
			token := o.tokens(users[c.user], "scope", c.scope).text("access_token")
			o.can("read", o.get(token, path), http.StatusOK, c.read)
			added := o.act(token, path+"/addPassword", `{}`)
			o.can("add", added, http.StatusOK, c.write)
			key := o.app.KeyID
			if c.write {
				key = added.text("keyId")
			}
			o.can("remove", o.act(token, path+"/removePassword", `{"keyId":"`+key+`"}`), http.StatusNoContent, c.write)
		})
	}
}

func (o *office) can(do string, a answer, status int, yes bool) {
	o.t.Helper()
	if !yes {
		o.wantGraph(do, a, 403, "Authorization_RequestDenied")
	} else if a.status != status {
		o.t.Errorf("%s: %d %v", do, a.status, a.body)
	}
}

// TestDelegatedTokensEnd: with the user's roles at once, with the user, and not with
// its sessions.
func TestDelegatedTokensEnd(t *testing.T) {
	o := newOffice(t, directory.Config{})
	token := o.tokens(o.ada).text("access_token")
	path := "/applications/" + o.app.ObjectID
	if err := o.RevokeSessions(o.ada); err != nil {
		t.Fatal(err)
	}
	o.can("add after a revocation", o.act(token, path+"/addPassword", `{}`), http.StatusOK, true)
	if err := o.ChangeUser(o.ada, func(u *directory.User) { u.Roles = nil }); err != nil {
		t.Fatal(err)
	}
	o.can("add without the role", o.act(token, path+"/addPassword", `{}`), http.StatusOK, false)
	if err := o.ChangeUser(o.ada, func(u *directory.User) { u.Roles = []string{"King"} }); err == nil {
		t.Error("there is a role of that name")
	}
	if _, ok := o.Holder(token, directory.ResourceGraph); ok {
		t.Error("a user's token has an application for its holder")
	}
	if err := o.RemoveUser(o.ada); err != nil {
		t.Fatal(err)
	}
	o.wantGraph("reading for a missing user", o.get(token, path), 401, "Authorization_IdentityNotFound")
}

// TestAnotherTenant: a user of another tenant sees that tenant's applications only.
func TestAnotherTenant(t *testing.T) {
	o := newOffice(t, directory.Config{})
	elsewhere := o.AddTenant()
	fay := o.user(elsewhere, "Fay Foreign", directory.GlobalAdministrator)
	theirs, err := o.AddApplication(directory.Registration{TenantID: elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	s := o.begin()
	s.tenant = elsewhere
	a := o.ask(elsewhere, o.redeemForm(s, o.code(s, fay)))
	if claims(t, a.text("id_token"))["iss"] != o.login.URL+"/"+elsewhere+"/v2.0" {
		t.Errorf("got %d %v", a.status, a.body)
	}
	token := a.text("access_token")
	o.can("add at home", o.act(token, "/applications/"+theirs.ObjectID+"/addPassword", `{}`), http.StatusOK, true)
	o.wantGraph("add elsewhere", o.act(token, "/applications/"+o.app.ObjectID+"/addPassword", `{}`), 404, "Request_ResourceNotFound")
}

func TestMe(t *testing.T) {
	o := newOffice(t, directory.Config{})
	a := o.get(o.tokens(o.otto, "scope", "User.Read").text("access_token"), "/me?$select=id,displayName")
	if a.status != http.StatusOK || a.text("id") != o.otto || a.text("displayName") != "Otto Ordinary" || len(a.body) != 3 {
		t.Errorf("got %d %v", a.status, a.body)
	}
	o.wantGraph("without the permission", o.get(o.tokens(o.ada, "scope", "Application.Read.All").text("access_token"), "/me"), 403,
		"Authorization_RequestDenied")
	o.wantGraph("as an application", o.get(o.token(o.app), "/me"), 400, "Request_BadRequest")
	o.wantGraph("an unknown property", o.get(o.tokens(o.otto, "scope", "User.Read").text("access_token"), "/me?$select=manager"), 400,
		"Request_BadRequest")
	if n := o.Calls(directory.OpGetMe); n != 4 {
		t.Errorf("%d calls", n)
	}
}

// find lists applications with an OData query, following the links, and returns the
// names and how many pages there were.
func (o *office) find(token, query string, eventual bool) (names []string, pages int) {
	o.t.Helper()
	address := o.graph.URL + "/v1.0/applications?" + query
	for address != "" {
		a := o.list(token, address, eventual)
		if a.status != http.StatusOK {
			o.t.Fatalf("%s: %d %v", query, a.status, a.body)
		}
		for _, app := range a.body["value"].([]any) {
			name, _ := app.(map[string]any)["displayName"].(string)
			names = append(names, name)
		}
		pages++
		address = a.text("@odata.nextLink")
	}
	return names, pages
}

func (o *office) list(token, address string, eventual bool) answer {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if eventual {
		r.Header.Set("ConsistencyLevel", "eventual")
	}
	return o.do(o.graph.Client(), r)
}

func TestListApplications(t *testing.T) {
	o := newOffice(t, directory.Config{})
	for i := range 250 {
		o.register(directory.Registration{Settings: directory.Settings{DisplayName: fmt.Sprintf("Team %d's billing-app", i)}})
	}
	if _, err := o.AddApplication(directory.Registration{TenantID: o.AddTenant(),
		Settings: directory.Settings{DisplayName: "Team X"}}); err != nil {
		t.Fatal(err)
	}
	token := o.tokens(o.ada).text("access_token")
	for _, c := range []struct {
		query        string
		names, pages int
	}{
		{"", 252, 3},
		{"$top=999&$select=id,displayName", 252, 1},
		{"$top=125", 252, 3},
		{"$filter=" + url.QueryEscape("startswith(displayName,'team 24')"), 11, 1},
		{"$filter=" + url.QueryEscape("startswith(displayName, 'Team 7''s')"), 1, 1},
		{"$search=" + url.QueryEscape(`"displayName:bill"`) + "&$count=true&$top=100", 250, 3},
		{"$search=" + url.QueryEscape(`"displayName:7 team"`), 11, 1}, // 7 and 70 to 79
		{"$search=" + url.QueryEscape(`"displayName:illing"`), 0, 1},
	} {
		names, pages := o.find(token, c.query, true)
		seen := map[string]bool{}
		for _, name := range names {
			seen[name] = true
		}
		if len(names) != c.names || len(seen) != c.names || pages != c.pages || seen["Team X"] {
			t.Errorf("%s: %d names, %d different, on %d pages", c.query, len(names), len(seen), pages)
		}
	}
	first := o.list(token, o.graph.URL+"/v1.0/applications?$count=true&$top=1", true)
	if first.body["@odata.count"] != 252.0 || !strings.HasPrefix(first.text("@odata.nextLink"), o.graph.URL+"/v1.0/applications?") {
		t.Errorf("got %v", first.body)
	}
	search := "/v1.0/applications?$search=" + url.QueryEscape(`"displayName:a"`)
	o.wantGraph("searching without the header", o.list(token, o.graph.URL+search, false), 400, "Request_UnsupportedQuery")
	for _, query := range []string{"$top=0", "$top=1000", "$top=x", "$skiptoken=x", "$search=a", `$search="appId:x"`,
		"$filter=" + url.QueryEscape("displayName ne 'x'"), "$orderby=displayName"} {
		o.wantGraph(query, o.list(token, o.graph.URL+"/v1.0/applications?"+query, true), 400, "Request_BadRequest")
	}
	o.wantGraph("without the permission", o.list(o.tokens(o.otto, "scope", "User.Read").text("access_token"), o.graph.URL+"/v1.0/applications",
		false), 403, "Authorization_RequestDenied")
}
