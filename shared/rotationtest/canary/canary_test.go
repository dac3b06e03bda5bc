package canary_test

import (
	"strings"
	"testing"

	"rekey/shared/rotationtest/canary"
)

func TestPlanted(t *testing.T) {
	for document, want := range map[string][]string{
		``:                   nil,
		`no JSON`:            nil,
		`{"a":["x",1,null]}`: {`{"a":["xMARK",1,null]}`},
		`{"x":"{\"y\":\"z\"}","v":"{"}`: {
			`{"v":"{MARK","x":"{\"y\":\"z\"}MARK"}`, `{"v":"{MARK","x":"{\"y\":\"zMARK\"}"}`,
		},
	} {
		got := canary.Planted([]byte(document))
		if len(got) != 1+len(want) || string(got[0]) != document {
			t.Errorf("%s: %q", document, got)
			continue
		}
		for i, planted := range got[1:] {
			if string(planted) != strings.ReplaceAll(want[i], "MARK", canary.Mark) {
				t.Errorf("%s: got %s, want %s", document, planted, want[i])
			}
		}
	}
}

func TestQuoted(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "a canary": false, "x" + canary.Mark: true, strings.ToUpper(canary.Mark[:9]): true, canary.Mark[:8]: false,
	} {
		if canary.Quoted(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
