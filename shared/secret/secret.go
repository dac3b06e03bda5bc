// Package secret has the type of every value that must not be printed.
package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"unique"
)

// Redacted is what every printed form of a [Value] shows.
const Redacted = "[redacted]"

// Value is what must not be printed: a client secret or an access
// token. Every way in which Go prints, logs or encodes a value shows
// [Redacted]; only [Value.Reveal] gives the value, so that a search for its
// callers lists every place where a value leaves the process.
//
// A Value decodes from a JSON string, so that a request body puts a value
// straight into one. The zero Value is empty. Values that are the same are equal.
type Value struct {
	// A handle, not the string: where the methods below are not asked (the verb
	// %p, a Value in an unexported field), fmt prints what it finds by
	// reflection, which then is an address.
	value unique.Handle[string]
}

// New wraps value.
func New(value string) Value {
	if value == "" {
		return Value{}
	}
	return Value{unique.Make(value)}
}

// Reveal returns the value.
func (v Value) Reveal() string {
	if v.IsZero() {
		return ""
	}
	return v.value.Value()
}

// Hint is how Graph shows a client secret: its first three characters.
func (v Value) Hint() string {
	value := v.Reveal()
	return value[:min(3, len(value))]
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v == Value{} }

// String, GoString, Format, LogValue, MarshalText and MarshalJSON print [Redacted].
func (v Value) String() string               { return Redacted }
func (v Value) GoString() string             { return Redacted }
func (v Value) Format(f fmt.State, _ rune)   { fmt.Fprint(f, Redacted) }
func (v Value) LogValue() slog.Value         { return slog.StringValue(Redacted) }
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// UnmarshalJSON reads the value from a JSON string; null leaves it empty.
func (v *Value) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return err // names the type that was found, not the value
	}
	*v = New(value)
	return nil
}
