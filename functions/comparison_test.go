package functions_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources are the test files of one package: what its tests are called, and its text.
type sources struct {
	tests map[string]bool
	text  string
}

// readTests reads the test files of a package, given by its path in the module.
func readTests(t *testing.T, pkg string) sources {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("a document names the package %q, which has no tests (%v)", pkg, err)
	}
	found := sources{tests: map[string]bool{}}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found.text += string(data)
	}
	for _, m := range testFunction.FindAllStringSubmatch(found.text, -1) {
		found.tests[m[1]] = true
	}
	return found
}

// library reads each package once.
func library(t *testing.T) func(pkg string) sources {
	read := map[string]sources{}
	return func(pkg string) sources {
		if _, ok := read[pkg]; !ok {
			read[pkg] = readTests(t, pkg)
		}
		return read[pkg]
	}
}

// row is one of a document's table, with the heading that it is under.
type row struct {
	section string
	cells   []string
}

func tableRows(t *testing.T, document string) (rows []row) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = heading
		}
		if inner, ok := strings.CutPrefix(line, "|"); ok && !strings.HasPrefix(inner, "---") {
			cells := strings.Split(strings.TrimSuffix(inner, "|"), " | ")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, row{section, cells})
		}
	}
	return rows
}

var (
	testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

	citedTest  = regexp.MustCompile("`(Test[A-Za-z0-9]+)[^`]*`")
	citedCase  = regexp.MustCompile(`"[^"]+"`)
	ofPackage  = regexp.MustCompile(`^([a-z]+(?:/[a-z]+)*): `)
	inBrackets = regexp.MustCompile("\\(`((?:shared|functions)[a-z/]*)`\\)")
	compared   = map[string]int{"Weaknesses": 33, "Feature table": 48}
)

// The tests that docs/comparison.md names are there, each in the package that it is
// said to be in, with the cases and scenarios that are named; and no row is without one.
func TestComparisonCitesTests(t *testing.T) {
	t.Parallel()
	tests := library(t)
	counted := map[string]int{}
	for _, r := range tableRows(t, "comparison.md") {
		first := r.cells[0]
		if first == "" || first == "#" {
			continue
		}
		counted[r.section]++
		cited := 0
		for group := range strings.SplitSeq(r.cells[len(r.cells)-1], "; ") {
			pkg := "shared/rotationtest"
			if m := ofPackage.FindStringSubmatch(group); m != nil {
				pkg = m[1]
			}
			if scenarios, ok := strings.CutPrefix(group, "SIM"); ok {
				cited++
				for name := range strings.SplitSeq(strings.TrimSpace(scenarios), ", ") {
					if name != "" && !strings.Contains(tests("shared/connection").text, `"`+name+`"`) {
						t.Errorf("%s: there is no scenario %q", r.cells[0], name)
					}
				}
				continue
			}
			for _, m := range citedTest.FindAllStringSubmatch(group, -1) {
				if cited++; !tests(pkg).tests[m[1]] {
					t.Errorf("%s: there is no %s in %s", r.cells[0], m[1], pkg)
				}
			}
			for _, m := range citedCase.FindAllStringSubmatch(group, -1) {
				if !strings.Contains(tests(pkg).text, m[0]) {
					t.Errorf("%s: no test of %s has the case %s", r.cells[0], pkg, m[0])
				}
			}
		}
		if cited == 0 {
			t.Errorf("%s: no test is named", r.cells[0])
		}
	}
	for section, want := range compared {
		if counted[section] != want {
			t.Errorf("%s: %d rows, want %d", section, counted[section], want)
		}
	}
	if !tests("shared/connection").tests["TestEveryWriteFails"] {
		t.Error("SIM stands for a test that there is not")
	}
}

// citing are the documents that name tests without saying of which package, unless in
// brackets, by section.
var (
	core = []string{"shared/rotation", "shared/rotator", "shared/rotationtest", "shared/connection", "shared/serviceerror", "shared/claim",
		"shared/attention"}
	citing = map[string]map[string][]string{
		"faults.md": {
			"Adapters":           {"shared/emulator/stack/faulttest"},
			"Rotation":           core,
			"Who authenticates":  core,
			"Pacing and notices": {"shared/graph", "shared/rotation", "shared/rotationtest"},
			"Scans":              {"shared/inventory/scan", "shared/inventory", "shared/tablestore"},
		},
		"promises.md": {"Promises": core, "Rules": core},
	}
)

// The tests that docs/faults.md names are there, in the package that it says in
// brackets or in one of those of its section.
func TestFaultsCiteTests(t *testing.T) {
	t.Parallel()
	citesTests(t, "faults.md")
}

// So are those that docs/promises.md names, at least one for each promise and rule.
func TestPromisesCiteTests(t *testing.T) {
	t.Parallel()
	cited := citesTests(t, "promises.md")
	for kind, n := range map[string]int{"P": 8, "R": 14} {
		for i := 1; i <= n; i++ {
			if name := fmt.Sprint(kind, i); cited[name] == 0 {
				t.Errorf("no test is named for %s", name)
			}
		}
	}
}

// citesTests checks the tests that the last cells of a document's tables name, and counts
// them by the first cell.
func citesTests(t *testing.T, document string) map[string]int {
	t.Helper()
	tests := library(t)
	bySection, byRow := map[string]int{}, map[string]int{}
	for _, r := range tableRows(t, document) {
		cell := r.cells[len(r.cells)-1]
		packages := slices.Clone(citing[document][r.section])
		for _, m := range inBrackets.FindAllStringSubmatch(cell, -1) {
			packages = append(packages, m[1])
		}
		for _, m := range citedTest.FindAllStringSubmatch(cell, -1) {
			bySection[r.section]++
			byRow[r.cells[0]]++
			if !slices.ContainsFunc(packages, func(pkg string) bool { return tests(pkg).tests[m[1]] }) {
				t.Errorf("%s: there is no %s in %v", r.section, m[1], packages)
			}
		}
	}
	for _, section := range slices.Sorted(maps.Keys(citing[document])) {
		if bySection[section] == 0 {
			t.Errorf("no test is named in the section %q", section)
		}
	}
	return byRow
}
