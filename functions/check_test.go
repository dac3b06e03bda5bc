package functions_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// checked is what the tests read of a test.
type checked struct {
	Authenticates bool
	Problem       *struct{ Class, Message string }
	Permissions   []struct {
		Name, Type, NeededFor string
		Has                   *bool
	}
	OwnsItself, TwoSecretLimit *bool
	ClientSecrets              *int
	CanRotate                  bool
	Why                        []string
}

// has says of a permission what the test found.
func (c checked) has(name string) string {
	for _, p := range c.Permissions {
		switch {
		case p.Name != name:
		case p.Has == nil:
			return "unknown"
		case *p.Has:
			return "yes, for " + p.NeededFor
		default:
			return "no"
		}
	}
	return "not listed"
}

func (w *world) test(path string) checked {
	w.Helper()
	return decode[struct{ Test checked }](w.T, w.call(auth.Write, http.MethodPost, secrets+path+"/test", nil)).Test
}

// A test tells what is missing, before a rotation has to.
func TestOfAConnection(t *testing.T) {
	t.Parallel()
	const (
		all     = directory.RoleReadWriteAll
		own     = directory.RoleReadWriteOwnedBy
		useless = "Sites.Read.All"

		policies = directory.RolePolicyReadAll
	)
	for name, tt := range map[string]struct {
		options options
		spoil   func(w *world, a directory.Application, made view)
		can     bool
		why     string // begins of the reasons, in this order
		roles   map[string]string
	}{
		"all is well": {options{}, func(*world, directory.Application, view) {}, true, "",
			map[string]string{own: "yes, for rotating", all: "no", useless: "not listed"}},
		"permission withdrawn": {options{}, func(w *world, a directory.Application, _ view) {
			w.change(a, func(s *directory.Settings) { s.Roles = []string{directory.RoleReadAll, useless} })
		}, false, "The application or person that authenticates may not change the client secrets of this application",
			map[string]string{own: "no", useless: "yes, for nothing that Rekey does", directory.RoleReadAll: "yes, for scanning"}},
		"with what scans read": {options{}, func(w *world, a directory.Application, _ view) {
			w.change(a, func(s *directory.Settings) { s.Roles = append(s.Roles, policies, directory.RoleAuditLogReadAll) })
		}, true, "", map[string]string{policies: "yes, for how long", directory.RoleAuditLogReadAll: "yes, for when"}},
		"a policy that forbids": {options{}, func(w *world, a directory.Application, _ view) {
			w.change(a, func(s *directory.Settings) { s.Roles = append(s.Roles, policies) })
			if err := w.stack.Directory.SetDefaultPolicy(a.TenantID, directory.Policy{ForbidPasswords: true}); err != nil {
				w.Fatal(err)
			}
		}, false, "An app management policy of the tenant forbids", nil},
		"its own policy is free": {options{}, func(w *world, a directory.Application, _ view) {
			w.change(a, func(s *directory.Settings) { s.Roles, s.Policy.ID = append(s.Roles, policies), a.ObjectID })
			if err := w.stack.Directory.SetDefaultPolicy(a.TenantID, directory.Policy{ForbidPasswords: true}); err != nil {
				w.Fatal(err)
			}
		}, true, "", nil},
		"not its own owner": {options{}, func(w *world, a directory.Application, _ view) {
			w.change(a, func(s *directory.Settings) { s.Owners = nil })
		}, false, "The application that authenticates has the permission Application.ReadWrite.OwnedBy, but is not an owner", nil},
		"not its own owner, and need not be": {options{}, func(w *world, a directory.Application, _ view) {
			w.change(a, func(s *directory.Settings) { s.Owners, s.Roles = nil, []string{all} })
		}, true, "", map[string]string{own: "no", all: "yes, for rotating"}},
		"no room": {options{}, func(w *world, a directory.Application, _ view) {
			w.change(a, func(s *directory.Settings) { s.SignInAudience = "AzureADandPersonalMicrosoftAccount" })
			w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
		}, false, "The application may have two client secrets at most", nil},
		"client secret removed": {options{}, func(w *world, a directory.Application, made view) {
			if err := w.stack.Directory.RemovePassword(a.ObjectID, made.Rotation.Current.KeyID); err != nil {
				w.Fatal(err)
			}
		}, false, "Entra refuses the client secret", map[string]string{own: "unknown"}},
		"opaque token": {options{opaque: true}, func(*world, directory.Application, view) {}, true, "",
			map[string]string{own: "unknown", all: "unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.options)
			a, made := w.connected()
			tt.spoil(w, a, made)
			before := w.truth()
			got := w.test("/" + made.ID)
			if got.CanRotate != tt.can || len(got.Why) != min(1, len(tt.why)) || !strings.HasPrefix(strings.Join(got.Why, ""), tt.why) {
				t.Errorf("can rotate %t, because %q", got.CanRotate, got.Why)
			}
			if lost := name == "client secret removed"; got.Authenticates == lost || (got.Problem != nil) != lost ||
				lost && got.Problem.Class != "credential-refused" {
				t.Errorf("authenticates %t, problem %v", got.Authenticates, got.Problem)
			}
			for role, want := range tt.roles {
				if is := got.has(role); !strings.HasPrefix(is, want) {
					t.Errorf("%s: %s, want %s", role, is, want)
				}
			}
			if list := changes(before, w.truth()); len(list) != 0 {
				t.Errorf("the test changed\n%s", strings.Join(list, "\n"))
			}
		})
	}
}

func (w *world) change(a directory.Application, change func(*directory.Settings)) {
	w.Helper()
	if err := w.stack.Directory.Change(a.ObjectID, change); err != nil {
		w.Fatal(err)
	}
}

// A target is tested with who authenticates for it; what rotates nothing itself says so.
func TestOfATarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, made := w.authenticator()
	app := w.owned(operator)
	path := "/" + made.ID + "/targets"
	one := w.target(w.call(auth.Write, http.MethodPost, secrets+path, object{"clientId": app.ClientID}))
	if got := w.test(path + "/" + one.ID); !got.CanRotate || got.OwnsItself == nil || !*got.OwnsItself || *got.ClientSecrets != 1 ||
		*got.TwoSecretLimit {
		t.Errorf("the target: %+v", got)
	}
	other := w.owned(operator)
	alone := w.target(w.call(auth.Write, http.MethodPost, secrets+path, object{"clientId": other.ClientID}))
	if err := w.stack.Directory.RemovePrincipal(other.ServicePrincipalID); err != nil {
		t.Fatal(err)
	}
	if got := w.test(path + "/" + alone.ID); got.CanRotate || len(got.Why) != 1 || !strings.Contains(got.Why[0], "az ad sp create") {
		t.Errorf("without a service principal: %+v", got)
	}
	w.change(app, func(s *directory.Settings) { s.Owners = nil })
	if got := w.test(path + "/" + one.ID); got.CanRotate || *got.OwnsItself || !strings.Contains(got.Why[0], operator.ServicePrincipalID) {
		t.Errorf("not owned: %+v", got)
	}
	if err := w.stack.Directory.RemoveApplication(app.ObjectID); err != nil {
		t.Fatal(err)
	}
	if got := w.test(path + "/" + one.ID); got.CanRotate || got.Problem == nil || got.Problem.Class != "application-missing" ||
		!got.Authenticates {
		t.Errorf("removed: %+v", got)
	}
	w.stack.Break(broken503)
	w.call(auth.Write, http.MethodPost, secrets+path+"/"+one.ID+"/test", nil).refuses(t, http.StatusServiceUnavailable, "try again")
	w.stack.Break(nil)
}

// broken503 is a Graph that does not answer.
func broken503(op string, _ *http.Request) *fault.Effect {
	if strings.HasPrefix(op, "graph.") {
		return &down
	}
	return nil
}

type inspected struct {
	ClientSecretKeyID *string
	Complete          bool
	Candidates        []struct{ KeyID, DisplayName, Hint, Of string }
}

// Inspecting says which client secret a value could be, and leaves no trace.
func TestInspect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.add(directory.Registration{OwnsItself: true, Settings: owned, ServicePrincipalPasswords: 1})
	w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
	before := w.truth()
	body := object{"method": "client-secret", "credentials": object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": a.Secret}}
	ask := func() inspected {
		t.Helper()
		return decode[struct{ Inspection inspected }](t, w.call(auth.Write, http.MethodPost, secrets+"/inspect", body)).Inspection
	}
	// Another application's secrets begin differently here, so this one stands out.
	sole := w.sample()
	soleBody := body["credentials"].(object)
	soleBody["clientId"], soleBody["clientSecret"] = sole.ClientID, sole.Secret
	if got := ask(); got.ClientSecretKeyID == nil || *got.ClientSecretKeyID != sole.KeyID || !got.Complete || len(got.Candidates) != 1 {
		t.Errorf("the only one: %+v", got)
	}
	w.twin(sole)
	if got := ask(); got.ClientSecretKeyID != nil || len(got.Candidates) != 2 || got.Candidates[0].Of != "application" ||
		got.Candidates[0].Hint != sole.Secret[:3] {
		t.Errorf("one of two: %+v", got)
	}
	w.apps = w.apps[:1]
	w.watch.Issued("abc8Q~wrong-wrong-wrong-wrong-wrong-wron")
	soleBody["clientSecret"] = "abc8Q~wrong-wrong-wrong-wrong-wrong-wron"
	w.call(auth.Write, http.MethodPost, secrets+"/inspect", body).refuses(t, http.StatusBadRequest, "refuses the client secret")
	soleBody["clientSecret"] = absent
	delete(soleBody, "clientSecret")
	w.call(auth.Write, http.MethodPost, secrets+"/inspect", body).refuses(t, http.StatusBadRequest, "clientSecret is missing")
	w.call(auth.Write, http.MethodPost, secrets+"/inspect", object{"method": "oauth", "credentials": object{}}).refuses(t,
		http.StatusBadRequest, "after the sign-in only")
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("inspecting changed\n%s", strings.Join(list, "\n"))
	}
}

// Inspecting tells what a connection would lack before it is made, and leaves no trace.
func TestInspectChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.connected()
	good, operator := w.sample(), w.sample()
	bare := w.add(directory.Registration{OwnsItself: true})
	unowned := w.add(directory.Registration{Settings: owned})
	full := w.add(directory.Registration{OwnsItself: true, Settings: directory.Settings{Roles: owned.Roles,
		SignInAudience: "AzureADandPersonalMicrosoftAccount"}})
	w.foreign(full, w.clock.Now().AddDate(1, 0, 0))
	target := w.owned(operator)
	body, key := w.certificate(operator, w.clock.Now().AddDate(1, 0, 0))
	given := func(a directory.Application, edits ...any) object {
		return creation(a, append([]any{"name", "new", "credentials.clientSecretKeyId", absent}, edits...)...)
	}
	through := func(target directory.Application) object {
		return given(operator, "method", "certificate", "credentials", asPEM(operator, body, key), "rotation.target",
			object{"clientId": target.ClientID})
	}
	before := w.truth()
	for name, tt := range map[string]struct {
		body object
		why  string // empty: it can rotate
		key  string // the client secret that it is found to be
	}{
		"all is well":              {given(good), "", good.KeyID},
		"the key id that it is":    {given(good, "credentials.clientSecretKeyId", good.KeyID), "", good.KeyID},
		"another key id":           {given(good, "credentials.clientSecretKeyId", full.KeyID), "has no client secret with the key id", ""},
		"a name that is in use":    {given(good, "name", made.Name), "already exists", good.KeyID},
		"without a permission":     {given(bare), "Application.ReadWrite.OwnedBy", ""},
		"without an owner":         {given(unowned), "is not an owner", unowned.KeyID},
		"without room":             {given(full), "two client secrets at most", full.KeyID},
		"a certificate":            {object{"method": "certificate", "credentials": asPEM(operator, body, key)}, "no application of its", ""},
		"a certificate's target":   {through(target), "", ""},
		"what it may not rotate":   {through(unowned), "is not an owner", ""},
		"with no name and no more": {object{"credentials": given(good)["credentials"]}, "", good.KeyID},
	} {
		got := decode[struct {
			Inspection inspected
			Test       checked
		}](t, w.call(auth.Rotate, http.MethodPost, secrets+"/inspect", tt.body))
		why := strings.Join(got.Test.Why, " ")
		if got.Test.CanRotate != (tt.why == "") || !strings.Contains(why, tt.why) || !got.Test.Authenticates {
			t.Errorf("%s: can rotate %t, because %q", name, got.Test.CanRotate, why)
		}
		is := got.Inspection.ClientSecretKeyID
		if tt.key == "" && is != nil || tt.key != "" && (is == nil || *is != tt.key) {
			t.Errorf("%s: it is found to be %v, want %q", name, is, tt.key)
		}
	}
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("inspecting changed\n%s", strings.Join(list, "\n"))
	}
}

// The tenant's applications come by search and in pages.
func TestClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, made := w.authenticator()
	for _, name := range []string{"billing api", "billing web", "reporting"} {
		w.add(directory.Registration{Settings: directory.Settings{DisplayName: name}})
	}
	type page struct {
		Clients    []struct{ ID, Name, AppID string }
		NextCursor string
	}
	path := secrets + "/" + made.ID + "/clients"
	ask := func(query string) page {
		t.Helper()
		return decode[page](t, w.call(auth.Write, http.MethodGet, path+query, nil))
	}
	all := ask("")
	is := func(c struct{ ID, Name, AppID string }) bool { return c.AppID == operator.ClientID }
	if i := slices.IndexFunc(all.Clients, is); len(all.Clients) < 4 || all.NextCursor != "" || i < 0 ||
		all.Clients[i].ID != operator.ObjectID {
		t.Errorf("all: %+v", all)
	}
	seen, cursor := 0, ""
	for range all.Clients {
		got := ask("?limit=1&cursor=" + url.QueryEscape(cursor))
		seen += len(got.Clients)
		if cursor = got.NextCursor; cursor == "" {
			break
		}
	}
	if seen != len(all.Clients) || cursor != "" {
		t.Errorf("one by one: %d of %d, then %q", seen, len(all.Clients), cursor)
	}
	if got := ask("?search=billing"); len(got.Clients) != 2 {
		t.Errorf("billing: %+v", got)
	}
	if got := ask("?search=" + operator.ClientID); len(got.Clients) != 1 {
		t.Errorf("by client id: %+v", got)
	}
	for _, query := range []string{"?cursor=x", "?limit=0", "?limit=1001", "?search=" + strings.Repeat("x", 257), "?search=a%0ab"} {
		w.call(auth.Write, http.MethodGet, path+query, nil).refuses(t, http.StatusBadRequest)
	}
	w.change(operator, func(s *directory.Settings) { s.Roles = nil })
	w.call(auth.Write, http.MethodGet, path, nil).refuses(t, http.StatusBadRequest, "Application.ReadWrite.OwnedBy")
}

// A dry run tells what a rotation would do and when, and does nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.connected()
	w.one(w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/rotate-credentials", nil)) // leaves one in its grace period
	now := w.clock.Now()
	type plan struct {
		Running bool
		Steps   []struct {
			At    time.Time
			What  string
			Calls []string
			KeyID *string
		}
	}
	before := w.truth()
	for body, wait := range map[string]time.Duration{`{"dryRun":true}`: 48 * time.Hour, `{"dryRun":true,"emergency":true}`: 0,
		`{"dryRun":true,"gracePeriodHours":2}`: 2 * time.Hour} {
		got := decode[struct{ Plan plan }](t, w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/rotate-credentials", body)).Plan
		removed := 0
		for _, s := range got.Steps {
			if !strings.HasPrefix(s.What, "Remove") {
				continue
			}
			removed++
			if current := *s.KeyID == w.record(made.ID).Current.KeyID; current && (s.At.Sub(now) < wait || s.At.Sub(now) > wait+10*time.Minute) {
				t.Errorf("%s: current is removed at %s, now is %s", body, s.At, now)
			}
		}
		if len(got.Steps) != 8 || removed != 2 || got.Running {
			t.Errorf("%s: %+v", body, got)
		}
	}
	w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/rotate-credentials", object{"dryRun": true, "gracePeriodHours": 800}).refuses(t,
		http.StatusBadRequest, "0 to 720")
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("the dry run changed\n%s", strings.Join(list, "\n"))
	}
}
