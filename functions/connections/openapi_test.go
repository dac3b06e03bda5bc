package connections_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"rekey/functions/connections"
)

// The document is valid, and has every route with the role that it needs, and no other.
// That requests and answers are as it says is what the end-to-end tests look at.
func TestDocument(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(connections.Document)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	var have, want []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			have = append(have, strings.Join([]string{path, method, strings.Join(op.Tags, ",")}, " "))
			needs := "Needs the role " + op.Tags[0] + "."
			if op.Tags[0] == "none" {
				needs = "Needs no role."
			}
			if !strings.Contains(op.Description, needs) {
				t.Errorf("%s %s: its description does not say %q", method, path, needs)
			}
			if open := op.Security != nil && len(*op.Security) == 0; open != (op.Tags[0] == "none") {
				t.Errorf("%s %s: that it takes no credential is said: %t", method, path, open)
			}
			if op.Responses.Value("4XX") == nil || op.Responses.Value("5XX") == nil {
				t.Errorf("%s %s: it has no answer for errors", method, path)
			}
		}
	}
	for _, l := range connections.Lines() {
		want = append(want, strings.Join([]string{l.Path, l.Method, l.Role}, " "))
	}
	// Generators that know OpenAPI 3.0 only make nothing at all of a document that has these.
	if found := regexp.MustCompile(`"type": *(\[|"null")|"const":`).FindAll(connections.Document, -1); len(found) > 0 {
		t.Errorf("what OpenAPI 3.0 does not have: %q", found)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the document has\n%s\nand there is\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	w, _ := ask(t, service{}, http.MethodGet, "/openapi.json", "")
	var served struct{ OpenAPI string }
	if err := json.Unmarshal(w.Body.Bytes(), &served); err != nil || served.OpenAPI != "3.0.3" || w.Code != http.StatusOK {
		t.Errorf("served with status %d: %q", w.Code, served.OpenAPI)
	}
}
