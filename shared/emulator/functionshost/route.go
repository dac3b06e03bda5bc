package functionshost

import (
	"fmt"
	"regexp"
	"strings"
)

// route is a route template with the route prefix, split at its slashes. Of
// ASP.NET's templates it knows literals, {name}, {name:int}, {name:guid} and a
// final {*name}; anything else is refused, so that a template never means
// something else here than on the real host.
type route struct {
	text     string
	segments []segment
}

type segment struct {
	literal    string
	constraint *regexp.Regexp // for a parameter; nil: anything but empty
	parameter  bool
	catchAll   bool // the rest of the path, which may be empty
}

var (
	parameterText = regexp.MustCompile(`^\{(\*?)([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}$`)
	constraints   = map[string]*regexp.Regexp{
		"int":  regexp.MustCompile(`^[+-]?[0-9]{1,10}$`),
		"guid": regexp.MustCompile(`^(?i)(?:[0-9a-f]{32}|\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?)$`),
	}
)

// parseRoute parses a template as function.json has it, and puts prefix before it.
func parseRoute(prefix, text string) (route, error) {
	text = strings.Trim(text, "/")
	for _, reserved := range []string{"admin", "runtime"} {
		if strings.HasPrefix(strings.ToLower(text), reserved) {
			return route{}, fmt.Errorf("route %q starts with %q, which belongs to the host", text, reserved)
		}
	}
	r := route{text: strings.Trim(prefix+"/"+text, "/")}
	seen := make(map[string]bool)
	for _, part := range splitPath(r.text) {
		if len(r.segments) > 0 && r.segments[len(r.segments)-1].catchAll {
			return route{}, fmt.Errorf("route %q goes on after its catch-all", text)
		}
		if !strings.ContainsAny(part, "{}?*") {
			r.segments = append(r.segments, segment{literal: part})
			continue
		}
		m := parameterText.FindStringSubmatch(part)
		if m == nil {
			return route{}, fmt.Errorf("route %q: %q is none of the forms that the local host knows: {name}, {name:int}, {name:guid}, {*name}",
				text, part)
		}
		s := segment{parameter: true, catchAll: m[1] != "", constraint: constraints[m[3]]}
		if name := strings.ToLower(m[2]); seen[name] {
			return route{}, fmt.Errorf("route %q has {%s} twice", text, m[2])
		} else {
			seen[name] = true
		}
		if m[3] != "" && s.constraint == nil {
			return route{}, fmt.Errorf("route %q: the local host knows the constraints int and guid, not %q", text, m[3])
		}
		r.segments = append(r.segments, s)
	}
	return r, nil
}

// match reports whether path, decoded, has the form of r. Literals match in any
// case and a slash at the end does not count, as with ASP.NET.
func (r route) match(path string) bool {
	parts := splitPath(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"))
	for i, s := range r.segments {
		if s.catchAll {
			rest := strings.Join(parts[min(i, len(parts)):], "/")
			return len(parts) >= i && (s.constraint == nil || s.constraint.MatchString(rest))
		}
		if i >= len(parts) {
			return false
		}
		switch {
		case !s.parameter && !strings.EqualFold(s.literal, parts[i]):
			return false
		case s.parameter && parts[i] == "":
			return false
		case s.parameter && s.constraint != nil && !s.constraint.MatchString(parts[i]):
			return false
		}
	}
	return len(parts) == len(r.segments)
}

// shadows reports whether r is a catch-all that takes everything that other
// could match: literals up to the catch-all, and other begins with the same.
func (r route) shadows(other route) bool {
	for i, s := range r.segments {
		if s.catchAll {
			return s.constraint == nil && len(other.segments) >= i
		}
		if i >= len(other.segments) || s.parameter || other.segments[i].parameter ||
			!strings.EqualFold(s.literal, other.segments[i].literal) {
			return false
		}
	}
	return false
}

func splitPath(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
