package connections

// Line is a route as the tests hold it against the document.
type Line struct{ Method, Path, Role string }

// Lines returns every route.
func Lines() (lines []Line) {
	for _, table := range tables {
		for _, rt := range table.routes {
			path := table.base
			if rt.pattern != "" {
				path += "/" + rt.pattern
			}
			lines = append(lines, Line{rt.method, path, rt.role.String()})
		}
	}
	return lines
}

// Whole is how a number is written for encoding/json.
var Whole = whole
