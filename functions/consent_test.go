package functions_test

import (
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
)

// A person's consent to each permission is taken back in turn. A test says that consent
// is missing and what to do; Entra does not tell which one it is, so nothing is claimed to be
// there or to lack. With consent, each permission is named with what it is for.
func TestWhatAPersonHasNotConsentedTo(t *testing.T) {
	w, people := newOAuthWorld(t)
	target := w.sample()
	link := decode[struct{ AuthorizationURL string }](t, w.call(auth.Rotate, http.MethodPost, secrets+"/oauth/authorize", object{
		"name": "tenant", "tenantId": w.stack.TenantID, "rotation": object{"target": object{"clientId": target.ClientID}},
	})).AuthorizationURL
	w.connect(link, people.Administrator)
	made := w.one(w.call(auth.Read, http.MethodGet, secrets+"/connection-name/tenant", nil))
	needed := []string{directory.ScopeUserRead, directory.RoleReadWriteAll}
	allIsWell := func(when string) {
		t.Helper()
		got := w.test("/" + made.ID)
		if !got.Authenticates || !got.CanRotate || got.Problem != nil || len(got.Why) != 0 {
			t.Errorf("%s: %+v", when, got)
		}
		for _, name := range needed {
			if is := got.has(name); !strings.HasPrefix(is, "yes, for ") {
				t.Errorf("%s: %s: %s", when, name, is)
			}
		}
	}
	allIsWell("with consent")
	for _, name := range needed {
		if err := w.stack.Directory.RevokeConsent(people.ClientID, people.Administrator, name); err != nil {
			t.Fatal(err)
		}
		got := w.test("/" + made.ID)
		if got.Authenticates || got.CanRotate || got.Problem == nil || got.Problem.Class != "consent-missing" ||
			!strings.Contains(strings.Join(got.Why, " "), "Let an administrator grant it") {
			t.Errorf("without %s: %+v", name, got)
		}
		for _, each := range needed {
			if is := got.has(each); is != "unknown" {
				t.Errorf("without %s: %s: %s", name, each, is)
			}
		}
		if err := w.stack.Directory.GrantConsent(people.ClientID, people.Administrator, name); err != nil {
			t.Fatal(err)
		}
		allIsWell("after " + name + " was granted again")
	}
}
