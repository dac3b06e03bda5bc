package graph_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/serviceerror"
)

// The policy of the application comes before the tenant's; what is off, or for younger
// applications only, does not count.
func TestPasswordPolicy(t *testing.T) {
	const (
		day      = 24 * time.Hour
		lifetime = `{"restrictionType":"passwordLifetime","state":"enabled","maxLifetime":"P90D",` +
			`"restrictForAppsCreatedAfterDateTime":"2020-01-01T00:00:00Z"}`
		shorter = `{"restrictionType":"passwordLifetime","maxLifetime":"P4W"}`
		off     = `{"restrictionType":"passwordAddition","state":"disabled"}`
		forbid  = `{"restrictionType":"passwordAddition","state":"enabled"}`
		young   = `{"restrictionType":"passwordAddition","state":"enabled","restrictForAppsCreatedAfterDateTime":"2025-01-01T00:00:00Z"}`
		custom  = `{"restrictionType":"customPasswordAddition","state":"enabled"}`
	)
	for name, tt := range map[string]struct {
		assigned, tenant string // restrictions; "-": there is no enabled policy
		forbidden        bool
		longest          time.Duration
	}{
		"none":                      {"-", "-", false, 0},
		"the tenant's":              {"-", lifetime, false, 90 * day},
		"the application's":         {shorter, lifetime + "," + forbid, false, 28 * day},
		"the application's is free": {"", forbid, false, 0},
		"the shortest":              {"-", lifetime + "," + shorter, false, 28 * day},
		"forbidden":                 {"-", off + "," + forbid + "," + lifetime, true, 90 * day},
		"off":                       {"-", off, false, 0},
		"for younger ones":          {"-", young, false, 0},
		"something else":            {custom, "-", false, 0},
	} {
		d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case strings.HasSuffix(r.URL.Path, "/appManagementPolicies"):
				fmt.Fprintf(w, `{"value":[{"id":"1","isEnabled":false,"restrictions":{"passwordCredentials":[%s]}},`+
					`{"id":"2","isEnabled":%t,"restrictions":{"passwordCredentials":[%s]}}]}`,
					forbid, tt.assigned != "-", strings.Trim(tt.assigned, "-"))
			case r.URL.Path == "/v1.0/policies/defaultAppManagementPolicy":
				fmt.Fprintf(w, `{"id":"0","isEnabled":%t,"applicationRestrictions":{"passwordCredentials":[%s]},`+
					`"servicePrincipalRestrictions":{"passwordCredentials":[%s]}}`,
					tt.tenant != "-", strings.Trim(tt.tenant, "-"), forbid)
			default:
				fmt.Fprint(w, `{"id":"x","createdDateTime":"2023-05-01T00:00:00Z"}`)
			}
		}))
		forbidden, longest, err := d.PasswordPolicy(t.Context(), anyToken, anyApp)
		if err != nil || forbidden != tt.forbidden || longest != tt.longest {
			t.Errorf("%s: forbidden %t, longest %s, %v", name, forbidden, longest, err)
		}
	}
}

// Most may not read it, and are told just that.
func TestPasswordPolicyRefused(t *testing.T) {
	d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/appManagementPolicies") {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"id":"x","createdDateTime":"2023-05-01T00:00:00Z"}`)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}`)
	}))
	if _, _, err := d.PasswordPolicy(t.Context(), anyToken, anyApp); serviceerror.ClassOf(err) != serviceerror.Permission {
		t.Errorf("error %v", err)
	}
}
