package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	makeTarget = regexp.MustCompile(`\bmake ([a-z-]+)`)
	pinned     = regexp.MustCompile(`^[\w.-]+/[\w./-]+@(v\d+|[0-9a-f]{40})$`)
)

// A workflow starts with the right to read only, runs what a person runs, and takes
// no action by a branch's name.
func TestWorkflows(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) != 2 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var root yaml.Node
		if err := yaml.Unmarshal(data, &root); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		workflow := plain(root.Content[0])
		if rights, _ := at(workflow, "permissions").(map[string]any); len(rights) != 1 || rights["contents"] != "read" {
			t.Errorf("%s: its jobs begin with the rights %v", name, rights)
		}
		if at(workflow, "on", "pull_request_target") != nil {
			t.Errorf("%s: code of strangers runs with this repository's rights", name)
		}
		jobs, _ := at(workflow, "jobs").(map[string]any)
		for job, j := range jobs {
			if at(j, "timeout-minutes") == nil {
				t.Errorf("%s: %s may run for six hours", name, job)
			}
			for _, step := range list(at(j, "steps")) {
				if uses, ok := at(step, "uses").(string); ok && !pinned.MatchString(uses) {
					t.Errorf("%s: %s is taken by no version", name, uses)
				}
				run := fmt.Sprint(at(step, "run"))
				for _, m := range makeTarget.FindAllStringSubmatch(run, -1) {
					if !strings.Contains(string(makefile), "\n"+m[1]+":") {
						t.Errorf("%s: there is no make %s", name, m[1])
					}
				}
				if strings.Contains(run, "${{") {
					t.Errorf("%s: %q: an expression is pasted into a script", name, run)
				}
			}
		}
	}
}
