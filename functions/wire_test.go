package functions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// shape describes a JSON value: the type of each member, with dotted names. A list
// has the shape of its first element.
func shape(prefix string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		into[prefix] = "object"
		for name, member := range v {
			shape(strings.TrimPrefix(prefix+"."+name, "."), member, into)
		}
	case []any:
		into[prefix] = "list"
		if len(v) > 0 {
			shape(prefix+"[]", v[0], into)
		}
	case nil:
		into[prefix] = "null"
	case float64:
		into[prefix] = "number"
	default:
		into[prefix] = fmt.Sprintf("%T", v)
	}
}

// The members that clients of Infisical's connection read, and their types. Source:
// reference, section 1.2. A slash separates the types that a member may have.
var infisical = map[string]string{
	"appConnection":                              "object",
	"appConnection.id":                           "string",
	"appConnection.name":                         "string",
	"appConnection.description":                  "string/null",
	"appConnection.version":                      "number",
	"appConnection.orgId":                        "string",
	"appConnection.projectId":                    "string/null",
	"appConnection.app":                          "string",
	"appConnection.method":                       "string",
	"appConnection.credentials":                  "object",
	"appConnection.credentials.tenantId":         "string",
	"appConnection.credentials.clientId":         "string",
	"appConnection.credentialsHash":              "string",
	"appConnection.isPlatformManagedCredentials": "bool",
	"appConnection.isAutoRotationEnabled":        "bool",
	"appConnection.gatewayId":                    "string/null",
	"appConnection.createdAt":                    "string",
	"appConnection.updatedAt":                    "string",
	"appConnection.rotation":                     "object",
	"appConnection.rotation.rotationInterval":    "number",
	"appConnection.rotation.rotateAtUtc":         "object",
	"appConnection.rotation.rotateAtUtc.hours":   "number",
	"appConnection.rotation.rotateAtUtc.minutes": "number",
	"appConnection.rotation.rotationStatus":      "string/null",
	"appConnection.rotation.nextRotationAt":      "string/null",
	"appConnection.rotation.lastRotationMessage": "string/null",
}

// What the answer has beyond that is ours, and is listed too, so that a member does
// not appear by accident.
var ours = map[string]string{
	"appConnection.vaultSecretName":                   "string",
	"appConnection.applicationName":                   "string/null",
	"appConnection.attention":                         "list",
	"appConnection.rotation.lastRotationClass":        "string/null",
	"appConnection.rotation.state":                    "string",
	"appConnection.rotation.settled":                  "bool",
	"appConnection.rotation.rotateAt":                 "object",
	"appConnection.rotation.rotateAt.hours":           "number",
	"appConnection.rotation.rotateAt.minutes":         "number",
	"appConnection.rotation.timeZone":                 "string",
	"appConnection.rotation.gracePeriodHours":         "number",
	"appConnection.rotation.originalGracePeriodHours": "number",
	"appConnection.rotation.lastRotatedAt":            "string/null",
	"appConnection.rotation.current":                  "object",
	"appConnection.rotation.current.keyId":            "string",
	"appConnection.rotation.current.hint":             "string",
	"appConnection.rotation.current.expiresAt":        "string/null",
	"appConnection.rotation.current.issuedByRekey":    "bool",
	"appConnection.rotation.retiring":                 "list",
	"appConnection.rotation.byHand":                   "list",
	"appConnection.rotation.retryAt":                  "string/null",
	"appConnection.rotation.lastRun":                  "object",
	"appConnection.rotation.lastRun.id":               "string",
	"appConnection.rotation.lastRun.trigger":          "string",
	"appConnection.rotation.lastRun.startedAt":        "string",
	"appConnection.rotation.lastRun.finishedAt":       "string/null",
	"appConnection.rotation.lastRun.outcome":          "string",
	"appConnection.rotation.lastRun.keyId":            "string",
}

// A client written for Infisical's API finds in the answer to a creation, and to
// every later read, the members that it expects.
func TestInfisicalsMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	// What such a client sends, with members that Rekey does not know.
	body := creation(a, "rotation", object{"rotationInterval": 30, "rotateAtUtc": object{"hours": 2, "minutes": 15}}, "description",
		"of the billing service",
		"configuration", object{"x": 1}, "isPlatformManagedCredentials", false, "gatewayId", nil)
	created := w.call(auth.Rotate, http.MethodPost, secrets, body)
	id := w.one(created).ID
	w.settle()
	want := maps.Clone(infisical)
	maps.Copy(want, ours)
	for name, got := range map[string]reply{
		"created": created,
		"by id":   w.call(auth.Read, http.MethodGet, secrets+"/"+id, nil),
		"by name": w.call(auth.Read, http.MethodGet, secrets+"/connection-name/billing", nil),
		"rotated": w.call(auth.Rotate, http.MethodPost, secrets+"/"+id+"/rotate-credentials", nil), // without a body, as it is sent there
	} {
		have := map[string]string{}
		shape("", decode[any](t, got), have)
		delete(have, "")
		for _, member := range slices.Sorted(maps.Keys(want)) {
			if !slices.Contains(strings.Split(want[member], "/"), have[member]) {
				t.Errorf("%s: %s is %q, want %s", name, member, have[member], want[member])
			}
		}
		for _, member := range slices.Sorted(maps.Keys(have)) {
			if _, ok := want[member]; !ok && !strings.Contains(member, "[]") {
				t.Errorf("%s: unexpected member %s", name, member)
			}
		}
	}
	values(t, created)
}

// values checks those values of an answer that clients compare.
func values(t *testing.T, created reply) {
	t.Helper()
	c := decode[struct {
		AppConnection struct {
			App, Method, OrgID, CredentialsHash, Description, CreatedAt string
			Version                                                     int
			IsAutoRotationEnabled                                       bool
			Rotation                                                    struct {
				RotationStatus        string
				RotationInterval      int
				RotateAtUtc, RotateAt struct{ Hours, Minutes int }
				TimeZone              string
			}
		}
	}](t, created).AppConnection
	r := c.Rotation
	if c.App != "azure-client-secrets" || c.Method != "client-secret" || c.OrgID != orgID || c.Version != 1 || !c.IsAutoRotationEnabled ||
		c.Description == "" {
		t.Errorf("connection %+v", c)
	}
	if r.RotationStatus != "success" || r.RotationInterval != 30 || r.RotateAtUtc.Hours != 2 || r.RotateAtUtc.Minutes != 15 ||
		r.RotateAt != r.RotateAtUtc || r.TimeZone != "UTC" {
		t.Errorf("rotation %+v", r)
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(c.CredentialsHash) {
		t.Errorf("credentialsHash %q", c.CredentialsHash)
	}
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`).MatchString(c.CreatedAt) {
		t.Errorf("createdAt %q is not in UTC", c.CreatedAt)
	}
}

// The lists have Infisical's form, also when they are empty, and keep projects apart.
func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, path := range []string{"", secrets, secrets + "/available"} {
		if got := w.call(auth.Read, http.MethodGet, path, nil); strings.TrimSpace(string(got.body)) != `{"appConnections":[]}` {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	project := "0b1e7e57-0000-4000-8000-0000000000aa"
	w.create(w.sample())
	w.create(w.sample(), "projectId", project) // the same name in another project
	for query, want := range map[string]int{"": 2, "?projectId=" + project: 1, "?projectId=" + unknownID: 0, "?projectId=": 1} {
		for _, path := range []string{"", secrets, secrets + "/available"} {
			got := decode[struct{ AppConnections []json.RawMessage }](t, w.call(auth.Read, http.MethodGet, path+query, nil))
			if len(got.AppConnections) != want {
				t.Errorf("%s%s: %d connections, want %d", path, query, len(got.AppConnections), want)
			}
		}
	}
	options := w.call(auth.Read, http.MethodGet, "/options", nil)
	const want = `{"appConnectionOptions":[{"name":"Azure Client Secrets","app":"azure-client-secrets",` +
		`"methods":["oauth","client-secret","certificate"]}]}`
	if got := strings.TrimSpace(string(options.body)); got != want {
		t.Errorf("options: %s", got)
	}
}

// A managed rotation is no drift: what infrastructure-as-code clients compare stays
// as it was.
func TestHashAndVersionSurviveRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.create(a)
	w.settle()
	first := w.record(made.ID).Current.KeyID
	path := secrets + "/" + made.ID
	w.one(w.call(auth.Rotate, http.MethodPost, path+"/rotate-credentials", object{"gracePeriodHours": 0}))
	w.settle()
	again := w.one(w.call(auth.Read, http.MethodGet, path, nil))
	if again.CredentialsHash != made.CredentialsHash {
		t.Error("the rotation changed credentialsHash")
	}
	if again.Rotation.Current.KeyID == first {
		t.Error("nothing was rotated")
	}
	w.managed(a, made.VaultSecretName, again.Rotation.Current.KeyID)
}
