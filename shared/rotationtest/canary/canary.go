// Package canary puts a mark into documents, as if a person had put a secret where none
// belongs. A reader of documents may do with it what it likes, but must not say it in an
// error, an answer or the log (promise P4). Fuzz tests look for that.
package canary

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Mark stands for the secret.
const Mark = "Canary8Q~in-the-wrong-place"

// Quoted reports whether text has the mark, or enough of it, in whatever case.
func Quoted(text string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(Mark[:9]))
}

// Planted returns a JSON document as it is, then with the mark at the end of every
// string, names of members aside, and then, if some of the strings hold JSON themselves,
// with the mark in the strings within those. Of what is no JSON there is nothing but
// itself.
func Planted(document []byte) [][]byte {
	all := [][]byte{document}
	for _, within := range []bool{false, true} {
		planted, ok := plant(document, within)
		if ok && !bytes.Equal(planted, all[len(all)-1]) {
			all = append(all, planted)
		}
	}
	return all
}

func plant(document []byte, within bool) ([]byte, bool) {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return nil, false
	}
	out, err := json.Marshal(marked(v, within))
	return out, err == nil
}

func marked(v any, within bool) any {
	switch v := v.(type) {
	case string:
		if within && strings.ContainsAny(v, `{["`) {
			if inner, ok := plant([]byte(v), within); ok {
				return string(inner)
			}
		}
		return v + Mark
	case []any:
		for i := range v {
			v[i] = marked(v[i], within)
		}
	case map[string]any:
		for name := range v {
			v[name] = marked(v[name], within)
		}
	}
	return v
}
