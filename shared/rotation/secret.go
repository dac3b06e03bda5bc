package rotation

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"unique"
)

// Redacted is what every printed form of a [Secret] shows.
const Redacted = "[redacted]"

// Secret is a value that must not be printed: a client secret or an access
// token. Every way in which Go prints, logs or encodes a value shows
// [Redacted]; only [Secret.Reveal] gives the value, so that a search for its
// callers lists every place where a value leaves the process.
//
// A Secret decodes from a JSON string, so that a request body puts a value
// straight into one. The zero Secret is empty. Secrets of the same value are equal.
type Secret struct {
	// A handle, not the string: where the methods below are not asked (the verb
	// %p, a Secret in an unexported field), fmt prints what it finds by
	// reflection, which then is an address.
	value unique.Handle[string]
}

// NewSecret wraps value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{unique.Make(value)}
}

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.value.Value()
}

// Hint is how Graph shows a client secret: its first three characters.
func (s Secret) Hint() string {
	v := s.Reveal()
	return v[:min(3, len(v))]
}

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s == Secret{} }

// String, GoString, Format, LogValue, MarshalText and MarshalJSON print [Redacted].
func (s Secret) String() string               { return Redacted }
func (s Secret) GoString() string             { return Redacted }
func (s Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, Redacted) }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(Redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// UnmarshalJSON reads the value from a JSON string; null leaves it empty.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value string
	if err := json.Unmarshal(data, &value); err != nil {
		return err // names the type that was found, not the value
	}
	*s = NewSecret(value)
	return nil
}
