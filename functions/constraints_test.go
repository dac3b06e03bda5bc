package functions_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/inventory"
)

// schemas are the document's, by name.
type schemas map[string]object

func documented(t *testing.T) schemas {
	t.Helper()
	var doc struct {
		Components struct{ Schemas schemas }
	}
	if err := json.Unmarshal(connections.Document, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas
}

// whole follows references and merges what a schema is made of.
func (all schemas) whole(s object) object {
	if ref, ok := s["$ref"].(string); ok {
		return all.whole(all[ref[strings.LastIndex(ref, "/")+1:]])
	}
	merged, properties := maps.Clone(s), object{}
	required, _ := s["required"].([]any)
	own, _ := s["properties"].(object)
	maps.Copy(properties, own)
	parts, _ := s["allOf"].([]any)
	for _, part := range parts {
		one := all.whole(part.(object))
		for name, value := range one {
			if merged[name] == nil {
				merged[name] = value
			}
		}
		maps.Copy(properties, one["properties"].(object))
		required = append(required, one["required"].([]any)...)
	}
	merged["properties"], merged["required"] = properties, required
	return merged
}

// violation is a value that a schema refuses.
type violation struct {
	path  []string
	value any // [absent]: there is none
	why   string
}

// violations breaks each constraint of a schema in turn.
func (all schemas) violations(s object, path ...string) (list []violation) {
	s = all.whole(s)
	bad := func(why string, values ...any) {
		for _, v := range values {
			list = append(list, violation{path, v, why})
		}
	}
	if list, ok := s["enum"].([]any); ok && s["type"] == "boolean" {
		bad("enum", list[0] == false)
	} else if ok {
		bad("enum", "other")
	}
	switch s["type"] {
	case "object":
		if len(path) > 0 {
			bad("type", "text", []any{})
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			list = append(list, violation{append(slices.Clone(path), name.(string)), absent, "required"})
		}
		properties, _ := s["properties"].(object)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			list = append(list, all.violations(properties[name].(object), append(slices.Clone(path), name)...)...)
		}
	case "string":
		bad("type", 1, object{})
		if most, ok := s["maxLength"].(float64); ok {
			bad("maxLength", strings.Repeat("a", int(most)+1))
		}
		if least, ok := s["minLength"].(float64); ok {
			bad("minLength", strings.Repeat("a", int(least)-1))
		}
		if pattern, ok := s["pattern"].(string); ok {
			bad("pattern", unmatched(pattern))
		}
	case "boolean":
		bad("type", 1, "true")
	case "integer", "number":
		bad("type", "1", true)
		if s["type"] == "integer" {
			bad("type", 1.5)
		}
		if least, ok := s["minimum"].(float64); ok {
			bad("minimum", least-1)
		}
		if most, ok := s["maximum"].(float64); ok {
			bad("maximum", most+1)
		}
	}
	return list
}

// unmatched is a text that does not match a pattern, which is written as in JavaScript.
func unmatched(pattern string) string {
	e := regexp.MustCompile(regexp.MustCompile(`\\u([0-9A-F]{4})`).ReplaceAllString(pattern, `\x{$1}`))
	for _, text := range []string{"not one word_", "two\nlines"} {
		if !e.MatchString(text) {
			return text
		}
	}
	panic("no text breaks the pattern " + pattern)
}

// in puts the value into a body, and makes the objects on the way.
func (v violation) in(body object) object {
	at := body
	for _, name := range v.path[:len(v.path)-1] {
		next, ok := at[name].(object)
		if !ok {
			if next = (object{}); strings.HasPrefix(name, "rotateAt") {
				next = object{"hours": 3, "minutes": 15}
			}
			at[name] = next
		}
		at = next
	}
	if at[v.path[len(v.path)-1]] = v.value; v.value == absent {
		delete(at, v.path[len(v.path)-1])
	}
	if slices.Contains(v.path, "rotationInterval") && at["rotateAt"] == nil { // else that is what is missing
		at["rotateAt"] = object{"hours": 3, "minutes": 15}
	}
	if rotates, ok := body["rotation"].(object); ok && slices.Contains(v.path, "rotateAtUtc") { // else the two disagree
		delete(rotates, "rotateAt")
		delete(rotates, "timeZone")
	}
	return body
}

// What the document's schemas refuse, the API refuses, and names the member: each
// constraint of each request is broken in turn.
func TestConstraintsHold(t *testing.T) {
	t.Parallel()
	w, _ := newOAuthWorld(t)
	operator, made := w.authenticator()
	target := w.owned(operator)
	one := w.target(w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/targets", object{"clientId": target.ClientID}))
	w.settle()
	a := w.sample()
	declared := w.resource(made.ID, w.owned(operator))
	adopted := w.owned(operator)
	app := inventories + "/" + adopted.TenantID + "/" + adopted.ClientID
	w.stocked(inventory.Application{Key: inventory.Key{TenantID: adopted.TenantID, ClientID: adopted.ClientID}})
	before := w.truth()
	all := documented(t)
	id := secrets + "/" + made.ID
	broken := 0
	for _, c := range []struct {
		schema, method, path string
		body                 func() object
	}{
		{"Create", http.MethodPost, secrets, func() object { return creation(a) }},
		{"Update", http.MethodPatch, id, func() object { return object{} }},
		{"Update", http.MethodPatch, id + "/targets/" + one.ID, func() object { return object{} }},
		{"CreateTarget", http.MethodPost, id + "/targets", func() object { return object{"clientId": a.ClientID} }},
		{"Rotate", http.MethodPost, id + "/rotate-credentials", func() object { return object{} }},
		{"Inspect", http.MethodPost, secrets + "/inspect", func() object { return object{"credentials": creation(a)["credentials"]} }},
		{"CreateSecretRotation", http.MethodPost, secretRotations, declared.body},
		{"UpdateSecretRotation", http.MethodPatch, secretRotations + "/" + one.ID,
			func() object { return object{"secretsMapping": object{"clientSecret": one.VaultSecretName}} }},
		{"RequestScan", http.MethodPost, inventories + "/scans", func() object { return object{"connectionId": made.ID} }},
		{"Adopt", http.MethodPost, app + "/adopt", func() object { return object{"connectionId": made.ID, "vaultSecretName": "adopted"} }},
		{"AcceptFinding", http.MethodPost, app + "/accept", func() object {
			return object{"finding": "ownerless", "reason": "r", "until": w.clock.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339)}
		}},
		{"Authorize", http.MethodPost, secrets + "/oauth/authorize", func() object { return object{"name": "p", "tenantId": a.TenantID} }},
	} {
		for _, v := range all.violations(object{"$ref": "#/" + c.schema}) {
			broken++
			name := v.path[len(v.path)-1]
			t.Run(fmt.Sprintf("%s %s %s %.20q", c.schema, strings.Join(v.path, "."), v.why, fmt.Sprint(v.value)), func(t *testing.T) {
				r := w.request(auth.Admin, c.method, c.path, v.in(c.body()))
				if strings.HasPrefix(c.path, "/api/") {
					r.URL.Path = c.path
				}
				got := w.send(r)
				var e struct{ Message string }
				if got.status != http.StatusBadRequest || json.Unmarshal(got.body, &e) != nil ||
					!strings.Contains(strings.ToLower(e.Message), strings.ToLower(name)) &&
						!strings.Contains(e.Message, "can't be changed") && !strings.Contains(e.Message, "A target has no credentials") {
					t.Errorf("status %d: %s", got.status, got.body)
				}
			})
		}
	}
	if broken < 200 {
		t.Errorf("%d constraints were broken", broken)
	}
	w.untouched("what the schemas refuse", before)
}

// What is just within the constraints is accepted; that the document says so, the harness
// checks at every answer.
func TestConstraintsFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for i, edits := range [][]any{
		{"name", strings.Repeat("a", 64), "description", strings.Repeat("ä", 256), "vaultSecretName", strings.Repeat("v", 120),
			"rotation", object{"rotationInterval": 365, "rotateAtUtc": object{"hours": 23, "minutes": 59}, "gracePeriodHours": 720,
				"originalGracePeriodHours": 720}},
		{"name", "0", "description", "", "vaultSecretName", "-", "isPlatformManagedCredentials", false, "gatewayId", "", "gatewayPoolId", nil,
			"rotation", object{"rotationInterval": 1, "rotateAt": object{"hours": 0, "minutes": 0}, "gracePeriodHours": 0,
				"originalGracePeriodHours": 0}},
	} {
		a := w.sample()
		upper := []any{"credentials.tenantId", strings.ToUpper(a.TenantID), "credentials.clientId", strings.ToUpper(a.ClientID),
			"credentials.clientSecretKeyId", strings.ToUpper(a.KeyID)}
		made := w.create(a, append(upper, edits...)...)
		if made.Name != edits[1] || made.Credentials.ClientID != a.ClientID {
			t.Errorf("%d: %+v", i, made)
		}
	}
}

// notInSchemas are refusals of what a schema can't say.
var notInSchemas = []string{"method oauth, not configured", "project that is no UUID", "no rotation", "no time of day", "bad zone",
	"zone without rotateAt", "rotateAt and rotateAtUtc disagree"}

// What the API refuses about the form of a request, the document's schemas refuse.
func TestRefusalsAreInTheSchemas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, c := range inputRefusals {
		r := w.request(auth.Rotate, http.MethodPost, secrets, c.body(w))
		sent, err := r.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(sent)
		if err != nil {
			t.Fatal(err)
		}
		in, err := requested(t, r, string(body))
		if err != nil {
			t.Fatal(err)
		}
		if refused := openapi3filter.ValidateRequest(t.Context(), in) != nil; refused == slices.Contains(notInSchemas, c.name) {
			t.Errorf("%s: refused by the schema: %v", c.name, refused)
		}
	}
}
