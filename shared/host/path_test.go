package host_test

import (
	"maps"
	"testing"

	"rekey/shared/host"
)

func TestMatchPath(t *testing.T) {
	for _, row := range []struct {
		pattern, path string
		params        map[string]string // nil: they do not match
	}{
		{"", "", map[string]string{}},
		{"a/b", "a/b", map[string]string{}},
		{"a/b", "a/c", nil},
		{"a/b", "a", nil},
		{"a", "a/", nil},
		{"a/{id}/c/{other}", "a/1/c/x.y", map[string]string{"id": "1", "other": "x.y"}},
		{"a/{id}", "a/", nil},
		{"a/{id}", "a/.", nil},
		{"a/{id}", "a/..", nil},
		{"a/{id}", "a/b%2Fc", nil},
		{"a/{id}", "b/1", nil},
	} {
		params, ok := host.MatchPath(row.pattern, row.path)
		if ok != (row.params != nil) || !maps.Equal(params, row.params) {
			t.Errorf("%q as %q: %v, %t", row.path, row.pattern, params, ok)
		}
	}
}
