package connections

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// decode reads the body into v, a pointer to a struct. Members that v does not have are
// ignored, since existing clients send some; the case of a name counts. A whole number
// may be written as 30.0 or 3e1, and a member tagged need:"true" has to be there in the
// object that it belongs to. Errors name the member, never its value.
func (r *request) decode(v any) error {
	err := json.Unmarshal(r.body, new(json.RawMessage)) // is it JSON?
	if err == nil {
		var sent any
		d := json.NewDecoder(bytes.NewReader(r.body))
		d.UseNumber()
		if err := d.Decode(&sent); err != nil {
			return badRequest("The body is not JSON.")
		}
		if err := fit(&sent, reflect.TypeOf(v), ""); err != nil {
			return err
		}
		var plain []byte
		if plain, err = json.Marshal(sent); err == nil {
			err = json.Unmarshal(plain, v)
		}
	}
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badRequest("%s has the wrong type: it must be %s.", cmp.Or(e.Field, "The body"), typeName(e))
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return badRequest("The body is not JSON: there is a mistake near byte %d.", e.Offset)
	}
	return badRequest("The body is not JSON.")
}

func typeName(e *json.UnmarshalTypeError) string {
	switch name := e.Type.Kind().String(); name {
	case "struct", "map":
		return "an object"
	case "bool":
		return "true or false"
	case "string":
		return "a string"
	case "slice":
		return "a list"
	case "float64":
		return "a number"
	default:
		return "a whole number"
	}
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// fit changes v, which was decoded without a type, to what encoding/json reads into t as
// the API means it. That package takes a name in any case, and no 30.0 for an integer.
// What is of a wrong type is left for it to report. path is v's, for errors.
func fit(v *any, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	switch value := (*v).(type) {
	case json.Number:
		if kind := t.Kind(); reflect.Int <= kind && kind <= reflect.Uint64 {
			*v = whole(value)
		}
	case []any:
		for i := range value {
			if t.Kind() != reflect.Slice {
				break
			}
			if err := fit(&value[i], t.Elem(), path); err != nil {
				return err
			}
		}
	case map[string]any:
		if t.Kind() == reflect.Struct {
			return fitMembers(value, t, path)
		}
	}
	return nil
}

func fitMembers(object map[string]any, t reflect.Type, path string) error {
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name := cmp.Or(tag, f.Name)
		if f.Anonymous && tag == "" {
			continue // its members are listed, too
		}
		known[name] = true
		member := strings.TrimPrefix(path+"."+name, ".")
		value := object[name]
		if value == nil {
			if f.Tag.Get("need") == "true" {
				return badRequest("%s is missing.", member)
			}
			continue
		}
		if err := fit(&value, f.Type, member); err != nil {
			return err
		}
		object[name] = value
	}
	for name := range object {
		if !known[name] {
			delete(object, name)
		}
	}
	return nil
}

// whole writes a number without point and exponent, if it is whole and not out of all
// proportion. The digits are moved as text: a float64 has too few, and an exponent of a
// billion would cost too much in exact arithmetic.
func whole(n json.Number) json.Number {
	text, sign := string(n), ""
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		text, sign = rest, "-"
	}
	i := strings.IndexAny(text, "eE")
	if i < 0 {
		i = len(text)
	}
	exponent := 0
	if i < len(text) {
		var err error
		if exponent, err = strconv.Atoi(text[i+1:]); err != nil {
			return n
		}
	}
	before, after, _ := strings.Cut(text[:i], ".")
	digits := strings.TrimRight(before+after, "0")
	switch zeros := len(before) + exponent - len(digits); {
	case strings.Trim(digits, "0") == "":
		return "0"
	case zeros < 0 || zeros > 20:
		return n
	default:
		return json.Number(sign + strings.TrimLeft(digits, "0") + strings.Repeat("0", zeros))
	}
}
