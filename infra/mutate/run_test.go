package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A module with a function of which one half is tested.
const (
	goMod = "module example\n\ngo 1.26\n"
	code  = `package example

func Tested() int { return 1 }

func Untested() int { return 2 }
`
	test = `package example

import "testing"

func TestTested(t *testing.T) {
	if got := Tested(); got != 1 {
		t.Errorf("got %d", got)
	}
}
`
)

// module writes the module and returns its root.
func module(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, src := range map[string]string{"go.mod": goMod, "example.go": code, "example_test.go": test} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// defect is a mutation of the module.
func defect(was, is string) mutation {
	return mutation{name: is, rule: "R1", file: "example.go", old: was, new: is, tests: []string{"."}}
}

// mutated runs the tool with these mutations.
func mutated(t *testing.T, root string, list ...mutation) (out string, exit int, err error) {
	t.Helper()
	var w strings.Builder
	exit, err = mutate(t.Context(), &w, root, []subject{{"example", list}}, options{baseline: true, timeout: 10 * time.Minute})
	return w.String(), exit, err
}

func TestMutate(t *testing.T) {
	root := module(t)
	caught, missed := defect("return 1", "return 3"), defect("return 2", "return 4")
	same := defect("return 2 }", "return 1 + 1 }")
	same.equivalent = "It is the same number."
	out, exit, err := mutated(t, root, caught, missed, same)
	if err != nil || exit != 1 {
		t.Errorf("code %d, %v", exit, err)
	}
	for _, want := range []string{
		"noticed     R1   return 3\n              by .: TestTested", "SURVIVED    R1   return 4",
		"3 mutants: 1 noticed, 1 equivalent, 1 survived, 0 broken or wrongly marked",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if _, exit, err := mutated(t, root, caught, same); err != nil || exit != 0 {
		t.Errorf("without a survivor: code %d, %v", exit, err)
	}
	if out, exit, err := mutated(t, root, defect("return 1", "return one")); err != nil || exit != 1 || !strings.Contains(out, "BROKEN") {
		t.Errorf("one that does not build: code %d, %v, %s", exit, err, out)
	}
	caught.equivalent = "It is not."
	if out, exit, err := mutated(t, root, caught); err != nil || exit != 1 || !strings.Contains(out, "NOT EQUIVALENT") {
		t.Errorf("a wrong mark: code %d, %v, %s", exit, err, out)
	}
	if src, err := os.ReadFile(filepath.Join(root, "example.go")); err != nil || string(src) != code {
		t.Errorf("the tree was changed: %s, %v", src, err)
	}
}

// What is wrong with the table is no result.
func TestMutateRefuses(t *testing.T) {
	root := module(t)
	for want, m := range map[string]mutation{
		"0 times in":      defect("return 5", "return 6"),
		"2 times in":      defect("return", "panic(0); return"),
		"changes nothing": defect("return 1", "return 1"),
		"no such file":    {name: "lost", rule: "R1", file: "lost.go", old: "a", new: "b"},
		"without a name":  {rule: "R1", file: "example.go", old: "return 1", new: "return 3"},
	} {
		if _, _, err := mutated(t, root, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	twice := defect("return 1", "return 3")
	if _, _, err := mutated(t, root, twice, twice); err == nil || !strings.Contains(err.Error(), "listed twice") {
		t.Errorf("the same name twice: %v", err)
	}
	broken := strings.Replace(test, "!= 1", "!= 7", 1)
	if err := os.WriteFile(filepath.Join(root, "example_test.go"), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := mutated(t, root, defect("return 2", "return 4")); err == nil || !strings.Contains(err.Error(), "without any defect") {
		t.Errorf("tests that are red: %v", err)
	}
}

func TestFailures(t *testing.T) {
	for out, want := range map[string]string{
		"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/part (0.00s)\nFAIL\n":                           "TestA",
		"--- FAIL: TestA (0.00s)\n--- FAIL: TestB (0.00s)\n":                                          "TestA, TestB",
		"panic: test timed out after 5s\n":                                                            "(it did not end)",
		"fatal error: runtime: out of memory\n":                                                       "(the tests ended early)",
		strings.Join([]string{"", "A (0)", "B (0)", "C (0)", "D (0)", "E (0)\n"}, "\n--- FAIL: Test"): "TestA, TestB, TestC, TestD, and 1 more",
	} {
		if got := failures([]byte(out)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The tests that take most of the time of their package come last.
func TestSlowest(t *testing.T) {
	out := "--- PASS: TestA (0.10s)\n--- PASS: TestLong (9.50s)\n    --- PASS: TestLong/part (9.00s)\n--- PASS: TestB (0.20s)\nPASS\n"
	if got := strings.Join(slowest([]byte(out)), " "); got != "TestLong" {
		t.Errorf("slow are %q", got)
	}
}

func TestChosen(t *testing.T) {
	all := []subject{{"lease", []mutation{{name: "a"}, {name: "b"}}}, {"proof", []mutation{{name: "a lease"}, {name: "c"}}}}
	for expression, want := range map[string]string{"": "a b a lease c", "lease": "a b a lease", "^c$": "c", "none": ""} {
		var names []string
		for _, s := range chosen(all, regexp.MustCompile(expression)) {
			for _, m := range s.mutations {
				names = append(names, m.name)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q: %q, want %q", expression, got, want)
		}
	}
	if len(all[1].mutations) != 2 || all[1].mutations[1].name != "c" {
		t.Error("choosing changed the table")
	}
}
