package table

import (
	"fmt"
	"regexp"
	"strings"
)

// filter is a conjunction of comparisons of the two keys.
type filter struct{ partition, row bounds }

// bounds are the comparisons of one key.
type bounds []comparison

type comparison struct {
	op    string // eq, ge, gt, le, lt
	value string
}

var comparisonText = regexp.MustCompile(`^\s*(PartitionKey|RowKey)\s+(eq|ge|gt|le|lt)\s+'((?:[^']|'')*)'\s*`)

// parseFilter reads a $filter. What it does not know is refused, never ignored: a
// filter that is quietly wider than it reads would hide a costly query.
func parseFilter(text string) (filter, *failure) {
	var f filter
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := comparisonText.FindStringSubmatch(rest)
		if m == nil {
			return f, unsupported(fmt.Sprintf("This emulator compares PartitionKey and RowKey by eq, ge, gt, le and lt, joined by and; "+
				"it does not understand %q.", rest))
		}
		c := comparison{m[2], strings.ReplaceAll(m[3], "''", "'")}
		if m[1] == "PartitionKey" {
			f.partition = append(f.partition, c)
		} else {
			f.row = append(f.row, c)
		}
		rest = rest[len(m[0]):]
		if rest == "" {
			break
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, "and "); !ok || strings.TrimSpace(rest) == "" {
			return f, unsupported(fmt.Sprintf("This emulator joins comparisons by and only; it does not understand %q.", rest))
		}
	}
	return f, nil
}

func (b bounds) contains(key string) bool {
	for _, c := range b {
		n := strings.Compare(key, c.value)
		ok := c.op == "eq" && n == 0 || c.op == "ge" && n >= 0 || c.op == "gt" && n > 0 ||
			c.op == "le" && n <= 0 || c.op == "lt" && n < 0
		if !ok {
			return false
		}
	}
	return true
}

// low is the least key that may be contained.
func (b bounds) low() string {
	low := ""
	for _, c := range b {
		if c.op == "eq" || c.op == "ge" || c.op == "gt" {
			low = max(low, c.value)
		}
	}
	return low
}

// beyond reports whether no key from this one on is contained.
func (b bounds) beyond(key string) bool {
	for _, c := range b {
		if (c.op == "eq" || c.op == "le") && key > c.value || c.op == "lt" && key >= c.value {
			return true
		}
	}
	return false
}
