//go:build consolecheck

package consolecheck

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
)

// routeOf is a line of the console's table of routes. Those of a connection and of a target begin with base.
var routeOf = regexp.MustCompile(`\{http\.Method(Get|Post), (base|"[^"]*")(?: \+ "([^"]*)")?, auth`)

// everywhere fails the test for each route of the console that no action has gone to, going by the log:
// a new page or button needs its row in the table of actions.
func (w *world) everywhere() {
	w.Helper()
	source, err := os.ReadFile("../../functions/console/routes.go")
	if err != nil {
		w.Fatal(err)
	}
	log, err := os.ReadFile(w.log)
	if err != nil {
		w.Fatal(err)
	}
	been := map[string]bool{}
	for line := range strings.Lines(string(log)) {
		var l struct{ Msg, Method, Page string }
		if i := strings.Index(line, "{"); i >= 0 && json.Unmarshal([]byte(line[i:]), &l) == nil && l.Msg == "page" {
			been[l.Method+" "+l.Page] = true
		}
	}
	routes := routeOf.FindAllStringSubmatch(string(source), -1)
	for _, m := range routes {
		method, pattern := strings.ToUpper(m[1]), strings.Trim(m[2], `"`)
		if pattern == "base" {
			pattern = "connections/{id}" + m[3]
		}
		if !been[method+" "+pattern] {
			w.Errorf("no action goes to %s %s", method, pattern)
		}
	}
	if len(routes) < 30 {
		w.Errorf("%d routes are in the table", len(routes))
	}
}
