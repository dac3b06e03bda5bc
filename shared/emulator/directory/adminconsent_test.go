package directory_test

import (
	"net/url"
	"strings"
	"testing"

	"rekey/shared/emulator/directory"
)

// TestAdminConsent: consent for everybody, and that admin_consent=True says nothing.
func TestAdminConsent(t *testing.T) {
	o := newOffice(t, directory.Config{})
	address := func(tenant, scope string) string {
		q := url.Values{"client_id": {o.web.ClientID}, "redirect_uri": {callback}, "state": {"s"}, "scope": {scope}}
		return o.login.URL + "/" + tenant + "/v2.0/adminconsent?" + q.Encode()
	}
	const all = "https://graph.microsoft.com/.default"
	for name, c := range map[string]struct {
		decide func() (*url.URL, error)
		text   string
	}{
		"declined":    {func() (*url.URL, error) { return o.person(o.ada).Decline(t.Context(), address(o.tenant, all)) }, "AADSTS65004: "},
		"not allowed": {func() (*url.URL, error) { return o.person(o.otto).Approve(t.Context(), address(o.tenant, all)) }, "AADSTS90094: "},
	} {
		to, err := c.decide()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		q := to.Query()
		if q.Get("admin_consent") != "True" || q.Get("error") != "access_denied" || !strings.HasPrefix(q.Get("error_description"), c.text) ||
			q.Get("state") != "s" {
			t.Errorf("%s: sent to %s", name, to)
		}
	}
	if n := len(o.Consented(o.web.ClientID, "")); n != 0 {
		t.Errorf("%d permissions before an administrator approved", n)
	}
	to, err := o.person(o.ada).Approve(t.Context(), address("organizations", all))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if q.Get("admin_consent") != "True" || q.Has("error") || q.Get("tenant") != o.tenant || q.Get("state") != "s" ||
		q.Get("scope") != "https://graph.microsoft.com/User.Read https://graph.microsoft.com/Application.ReadWrite.All" {
		t.Errorf("sent to %s", to)
	}
	o.tokens(o.otto) // needs no approval now
	for name, address := range map[string]string{
		"common": address("common", all), "no scope": address(o.tenant, ""), "unknown scope": address(o.tenant, "Mail.Read"),
		"another parameter": address(o.tenant, all) + "&prompt=none",
	} {
		if to, err := o.person(o.ada).Approve(t.Context(), address); err == nil {
			t.Errorf("%s: sent to %s", name, to)
		}
	}
	if o.Calls(directory.OpAdminConsent) != 7 || o.Calls(directory.OpDecideAdmin) != 3 {
		t.Errorf("%d and %d calls", o.Calls(directory.OpAdminConsent), o.Calls(directory.OpDecideAdmin))
	}
}
