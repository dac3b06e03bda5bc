package notice_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"rekey/shared/notice"
)

const page = "../../docs/events.md"

// docs/events.md names every kind of line that a history has, and every class of a failure.
func TestThePageNamesThemAll(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	kinds, classes := words(t, "../history/kind.go", ""), words(t, "../serviceerror/serviceerror.go", "Class")
	if len(kinds) < 20 || len(classes) < 20 {
		t.Errorf("found only the kinds %q and the classes %q", kinds, classes)
	}
	for _, word := range append(kinds, classes...) {
		if !strings.Contains(string(text), "`"+word+"`") && !strings.Contains(string(text), "`rekey."+word+"`") {
			t.Errorf("%s has no %s", page, word)
		}
	}
}

// words are the texts that the constants of a file are, of those with that type; empty: without one.
func words(t *testing.T, file, ofType string) (list []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, _ := spec.Type.(*ast.Ident)
		if name == nil && ofType != "" || name != nil && name.Name != ofType {
			return false
		}
		for _, value := range spec.Values {
			if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				word, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, word)
			}
		}
		return false
	})
	return list
}

// The page's example is an event, member by member.
func TestTheExampleOfThePage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```json\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("the page has no example")
	}
	var event notice.Event
	d := json.NewDecoder(strings.NewReader(block))
	d.DisallowUnknownFields()
	if err := d.Decode(&event); err != nil {
		t.Fatal(err)
	}
	var shown, is any
	again, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	for text, into := range map[string]*any{block: &shown, string(again): &is} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := mustIndent(t, shown), mustIndent(t, is); a != b {
		t.Errorf("the page shows\n%s\nand an event is\n%s", a, b)
	}
}

func mustIndent(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
