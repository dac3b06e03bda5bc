package host

import "strings"

// MatchPath compares a path, as it is encoded in the address, with a pattern; "{x}" is one segment, of
// characters that need no encoding.
func MatchPath(pattern, path string) (params map[string]string, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	params = map[string]string{}
	for i, w := range want {
		switch {
		case strings.HasPrefix(w, "{"):
			if have[i] == "" || strings.Contains(have[i], "%") || have[i] == "." || have[i] == ".." {
				return nil, false
			}
			params[strings.Trim(w, "{}")] = have[i]
		case w != have[i]:
			return nil, false
		}
	}
	return params, true
}
