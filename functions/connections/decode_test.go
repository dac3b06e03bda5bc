package connections_test

import (
	"encoding/json"
	"math/big"
	"strconv"
	"testing"

	"rekey/functions/connections"
)

// Whatever a number looks like, a whole one keeps its value and is written in digits, and
// any other is left alone. big.Rat is the judge, of what has a reasonable exponent.
func FuzzWhole(f *testing.F) {
	for _, seed := range []string{"30.0", "3e1", "-0", "0.70e+1", "590e-1", "1e20", "1e21", "0e999", "30.5",
		"9223372036854775808", "1.50E2", "-12.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var n json.Number
		if json.Unmarshal([]byte(text), &n) != nil || n == "" || text[0] == '"' {
			return
		}
		got := connections.Whole(n)
		if len(got) > len(n)+21 {
			t.Fatalf("%s became %d digits", n, len(got))
		}
		exact, ok := rational(string(n))
		if !ok {
			return
		}
		after, ok := rational(string(got))
		if !ok || exact.Cmp(after) != 0 {
			t.Fatalf("%s became %s", n, got)
		}
		if exact.IsInt() && exact.Num().IsInt64() {
			if i, err := strconv.ParseInt(string(got), 10, 64); err != nil || i != exact.Num().Int64() {
				t.Fatalf("%s became %s: %v", n, got, err)
			}
		} else if !exact.IsInt() && got != n {
			t.Fatalf("%s, which is not whole, became %s", n, got)
		}
	})
}

func rational(text string) (*big.Rat, bool) {
	if f, err := strconv.ParseFloat(text, 64); err != nil || f != 0 && (f < 1e-300 && f > -1e-300) || len(text) > 100 {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}
