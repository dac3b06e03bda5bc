package tablestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// schemaProperty is the one member of a record that is stored as a number.
const schemaProperty = "schema"

// member is a field of [rotation.Record] that is stored.
type member struct {
	name  string
	index int
}

// members lists them by the names that their JSON tags give. Going through the
// fields one by one, and not through the record's JSON, writes also those that
// JSON would omit: a merge leaves what it is not told about.
var members = func() []member {
	var out []member
	t := reflect.TypeFor[rotation.Record]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "-" && name != schemaProperty {
			out = append(out, member{name, i})
		}
	}
	return out
}()

// encodeRecord returns the properties of rec's row.
func encodeRecord(rec *rotation.Record) (map[string]any, error) {
	v := reflect.ValueOf(rec).Elem()
	out := make(map[string]any, len(members)+1)
	for _, m := range members {
		text, err := json.Marshal(v.Field(m.index).Interface())
		if err != nil {
			return nil, fmt.Errorf("encoding %s of connection %s: %w", m.name, rec.ID, err)
		}
		out[m.name] = string(text)
	}
	out[schemaProperty] = rec.Schema
	return out, nil
}

// decodeRecord reads a row. The schema comes first: nothing else of a newer row is
// looked at.
func decodeRecord(row []byte, etag string) (rotation.Record, error) {
	var properties map[string]json.RawMessage
	if err := json.Unmarshal(row, &properties); err != nil {
		return rotation.Record{}, errors.New("decoding a record: the row is not a JSON object")
	}
	var rec rotation.Record
	if err := json.Unmarshal(properties[schemaProperty], &rec.Schema); err != nil {
		return rotation.Record{}, errors.New("decoding a record: it has no schema number")
	}
	if rec.Schema > rotation.Schema {
		return rotation.Record{}, serviceerror.ErrNewerSchema
	}
	v := reflect.ValueOf(&rec).Elem()
	for _, m := range members {
		raw, ok := properties[m.name]
		if !ok {
			continue // the row is older than this member
		}
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return rotation.Record{}, fmt.Errorf("decoding a record: property %s is no text", m.name)
		}
		// The error of encoding/json would quote the value.
		if err := json.Unmarshal([]byte(text), v.Field(m.index).Addr().Interface()); err != nil {
			return rotation.Record{}, fmt.Errorf("decoding a record: property %s does not hold its JSON", m.name)
		}
	}
	rec.Handle = rotation.Handle{ETag: etag, Wake: rec.WakeAt}
	return rec, nil
}

// decodeRow reads a row of string properties, and numbers, into what dst points to.
func decodeRow(row []byte, dst any) error {
	if err := json.Unmarshal(row, dst); err != nil {
		return errors.New("decoding a row: its properties are not what they should be")
	}
	return nil
}
