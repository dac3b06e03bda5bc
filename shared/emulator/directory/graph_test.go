package directory_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

func TestPermissions(t *testing.T) {
	w := newWorld(t, directory.Config{})
	path := "/applications/" + w.app.ObjectID
	for role, can := range map[string]struct{ read, write bool }{
		"":                             {false, false},
		directory.RoleReadAll:          {true, false},
		directory.RoleDirectoryReadAll: {true, false},
		directory.RoleReadWriteOwnedBy: {true, false}, // it owns itself, not the application
		directory.RoleReadWriteAll:     {true, true},
	} {
		t.Run("role "+role, func(t *testing.T) {
			token := w.token(w.register(directory.Registration{OwnsItself: true, Settings: directory.Settings{Roles: []string{role}}}))
			if ok := w.get(token, path).status == http.StatusOK; ok != can.read {
				t.Errorf("read: %v", ok)
			}
			added := w.act(token, path+"/addPassword", `{}`)
			if ok := added.status == http.StatusOK; ok != can.write {
				t.Errorf("write: %v", ok)
			}
			if !can.write {
				w.wantGraph("adding", added, 403, "Authorization_RequestDenied")
			}
		})
	}
}

func TestGraphReads(t *testing.T) {
	w := newWorld(t, directory.Config{})
	token := w.token(w.app)
	byID, byClient := "/applications/"+w.app.ObjectID, "/applications(appId='"+w.app.ClientID+"')"
	for _, path := range []string{byID, byClient} {
		a := w.get(token, path+"?$select=id,appId")
		if a.body["id"] != w.app.ObjectID || a.body["appId"] != w.app.ClientID || len(a.body) != 3 {
			t.Errorf("%s: %d %v, want the two properties and the context", path, a.status, a.body)
		}
	}
	filter := url.QueryEscape("appId eq '" + w.app.ClientID + "'")
	if list := w.get(token, "/applications?$filter="+filter).body["value"].([]any); len(list) != 1 {
		t.Errorf("filter finds %v", list)
	}
	if list := w.get(token, "/applications?$filter="+url.QueryEscape("appId eq 'x'")).body["value"].([]any); len(list) != 0 {
		t.Errorf("filter finds %v", list)
	}
	owners := w.get(token, byID+"/owners").body["value"].([]any)
	if owner := owners[0].(map[string]any); owner["id"] != w.app.ServicePrincipalID ||
		owner["@odata.type"] != "#microsoft.graph.servicePrincipal" {
		t.Errorf("owner %v", owner)
	}
	if p := w.get(token, "/servicePrincipals(appId='"+w.app.ClientID+"')?$select=id"); p.body["id"] != w.app.ServicePrincipalID {
		t.Errorf("service principal %d %v", p.status, p.body)
	}
	foreign, err := w.AddApplication(directory.Registration{TenantID: w.AddTenant()})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/applications/" + w.tenant:                    {404, "Request_ResourceNotFound"},
		"/applications/" + foreign.ObjectID:            {404, "Request_ResourceNotFound"},
		"/applications(appId='" + w.tenant + "')":      {404, "Request_ResourceNotFound"},
		"/applications(appId='')":                      {400, "Request_BadRequest"},
		byID + "?$select=secretText":                   {400, "Request_BadRequest"},
		byID + "?$expand=owners":                       {400, "Request_BadRequest"},
		byID + "/keys":                                 {400, "Request_BadRequest"},
		byID + "/addPassword":                          {405, "Request_BadRequest"},
		"/users":                                       {400, "Request_BadRequest"},
		"/servicePrincipals/" + w.app.ObjectID:         {400, "Request_BadRequest"},
		"/servicePrincipals(appId='" + w.tenant + "')": {404, "Request_ResourceNotFound"},
	} {
		w.wantGraph(path, w.get(token, path), want.status, want.code)
	}
}

// TestAddPasswordWire is the golden form of the answer: learn.microsoft.com/graph/api/application-addpassword.
func TestAddPasswordWire(t *testing.T) {
	w := newWorld(t, directory.Config{})
	a := w.act(w.token(w.app), "/applications/"+w.app.ObjectID+"/addPassword", `{"passwordCredential":{"displayName":"n"}}`)
	if a.status != http.StatusOK {
		t.Fatalf("got %d %v", a.status, a.body)
	}
	for name, form := range map[string]string{
		"keyId":         `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
		"startDateTime": `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$`,
		"endDateTime":   `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$`,
		"secretText":    `^.{40}$`,
		"hint":          `^.{3}$`,
		"displayName":   `^n$`,
	} {
		if value, _ := a.body[name].(string); !regexp.MustCompile(form).MatchString(value) {
			t.Errorf("%s is %v", name, a.body[name])
		}
	}
	if value, ok := a.body["customKeyIdentifier"]; !ok || value != nil {
		t.Errorf("customKeyIdentifier is %v", value)
	}
	end, err := time.Parse(time.RFC3339, a.body["endDateTime"].(string))
	if want := w.now().AddDate(2, 0, 0); err != nil || end.Sub(want).Abs() > time.Millisecond {
		t.Errorf("ends at %v, want %v", end, want)
	}
}

func TestGraphErrorWire(t *testing.T) {
	w := newWorld(t, directory.Config{})
	a := w.get("", "/applications/"+w.app.ObjectID)
	e := a.body["error"].(map[string]any)
	inner := e["innerError"].(map[string]any)
	if e["message"] == "" || inner["request-id"] != a.header.Get("request-id") ||
		inner["client-request-id"] != a.header.Get("client-request-id") || inner["request-id"] == "" {
		t.Errorf("got %v with headers %v", a.body, a.header)
	}
	if date, _ := inner["date"].(string); !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`).MatchString(date) {
		t.Errorf("date is %q", date)
	}
}

func TestWritesAreStrict(t *testing.T) {
	w := newWorld(t, directory.Config{MaxPasswords: 2})
	token := w.token(w.app)
	path := "/applications/" + w.app.ObjectID
	for _, body := range []string{
		``, `[]`, `{`, `{}{}`, `{"displayName":"x"}`, `{"passwordCredential":{"secretText":"mine"}}`,
		`{"passwordCredential":{"endDateTime":"tomorrow"}}`, `{"passwordCredential":{"endDateTime":"2020-01-01T00:00:00Z"}}`,
	} {
		w.wantGraph("adding "+body, w.act(token, path+"/addPassword", body), 400, "Request_BadRequest")
	}
	for _, body := range []string{`{}`, `{"keyId":"x"}`, `{"id":"` + w.app.KeyID + `"}`, `{"keyId":"` + w.tenant + `"}`} {
		w.wantGraph("removing "+body, w.act(token, path+"/removePassword", body), 400, "Request_BadRequest")
	}
	bearer := http.Header{"Authorization": {"Bearer " + token}}
	a := w.post(w.graph.Client(), w.graph.URL+"/v1.0"+path+"/addPassword", "text/plain", `{}`, bearer)
	w.wantGraph("adding as text", a, 415, "Request_BadRequest")

	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, `{"passwordCredential":{"displayName":"zipped"}}`)
	z.Close()
	bearer.Set("Content-Encoding", "gzip")
	a = w.post(w.graph.Client(), w.graph.URL+"/v1.0"+path+"/addPassword", "application/json", zipped.String(), bearer)
	if a.status != http.StatusOK || a.body["displayName"] != "zipped" {
		t.Errorf("compressed: %d %v", a.status, a.body)
	}
	a = w.post(w.graph.Client(), w.graph.URL+"/v1.0"+path+"/addPassword", "application/json", `{}`, bearer)
	w.wantGraph("adding what is not compressed as it says", a, 400, "Request_BadRequest")
	w.wantGraph("one too many", w.act(token, path+"/addPassword", `{}`), 403, "Directory_ResourceSizeExceeded")
	if n := len(w.Passwords(w.app.ObjectID)); n != 2 {
		t.Errorf("%d passwords, want 2", n)
	}
}
