package table

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// The limits of an entity (learn.microsoft.com/azure/storage/tables/
// scalability-targets). Text is UTF-16, so 64 KiB are 32,768 characters.
const (
	maxEntityBytes   = 1 << 20
	maxPropertyBytes = 64 << 10
	maxProperties    = 255 - 3 // PartitionKey, RowKey and Timestamp count
	maxKeyChars      = 1024 / 2
)

// property is one stored value as JSON, and its Edm type if it was given one.
type property struct {
	name  string
	edm   string
	value json.RawMessage
}

var propertyName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`)

// entity is what a request's body holds.
type entity struct {
	pk, rk       string
	hasPK, hasRK bool
	properties   []property // sorted by name; nulls are left out
}

// parseEntity decodes and checks a body.
func parseEntity(body []byte) (entity, *failure) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return entity{}, invalid("The body is not a JSON object.")
	}
	var e entity
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		switch {
		case name == "PartitionKey" || name == "RowKey":
			var key string
			if bytes.Equal(value, []byte("null")) || json.Unmarshal(value, &key) != nil {
				return entity{}, invalid(name + " is not a string.")
			}
			if name == "RowKey" {
				e.rk, e.hasRK = key, true
			} else {
				e.pk, e.hasPK = key, true
			}
			continue
		case name == "Timestamp" || strings.Contains(name, "odata."):
			continue // the service's own, and annotations
		case bytes.Equal(value, []byte("null")):
			continue // the real service does not store nulls either
		}
		p, f := parseProperty(name, members[name+"@odata.type"], value)
		if f != nil {
			return entity{}, f
		}
		e.properties = append(e.properties, p)
	}
	return e, nil
}

// parseProperty checks one value against its type, which is implied by JSON
// unless an annotation names it.
func parseProperty(name string, annotation, value json.RawMessage) (property, *failure) {
	if !propertyName.MatchString(name) {
		return property{}, &failure{http.StatusBadRequest, "PropertyNameInvalid", fmt.Sprintf("The property name %q is invalid.", name)}
	}
	p := property{name: name, value: value}
	if annotation != nil && json.Unmarshal(annotation, &p.edm) != nil {
		return property{}, invalid("The type of " + name + " is not a string.")
	}
	var decoded any
	if err := json.Unmarshal(value, &decoded); err != nil {
		return property{}, invalid("The value of " + name + " is not JSON.")
	}
	ok := false
	switch v := decoded.(type) {
	case string:
		if textBytes(p.edm, v) > maxPropertyBytes {
			return property{}, &failure{http.StatusBadRequest, "PropertyValueTooLarge", "The value of " + name + " is longer than 64 KiB."}
		}
		ok = fitsText(p.edm, v)
	case bool:
		ok = p.edm == "" || p.edm == "Edm.Boolean"
	case float64:
		_, err := strconv.ParseInt(string(value), 10, 32)
		ok = p.edm == "Edm.Double" || err == nil && (p.edm == "" || p.edm == "Edm.Int32") ||
			p.edm == "" && strings.ContainsAny(string(value), ".eE")
	}
	if !ok {
		return property{}, &failure{http.StatusBadRequest, "InvalidInput", fmt.Sprintf("The value of %s does not fit the type %q.", name, p.edm)}
	}
	return p, nil
}

// textBytes is how large a value is that JSON writes as text.
func textBytes(edm, text string) int {
	if edm == "Edm.Binary" {
		return base64.StdEncoding.DecodedLen(len(text)) - strings.Count(text, "=")
	}
	return 2 * len(utf16.Encode([]rune(text)))
}

// fitsText reports whether text is a value of a type that JSON writes as a string.
func fitsText(edm, text string) bool {
	var err error
	switch edm {
	case "", "Edm.String":
	case "Edm.Int64":
		_, err = strconv.ParseInt(text, 10, 64)
	case "Edm.DateTime":
		_, err = time.Parse(time.RFC3339Nano, text)
	case "Edm.Binary":
		_, err = base64.StdEncoding.DecodeString(text)
	case "Edm.Guid":
		return guid.MatchString(text)
	default:
		return false
	}
	return err == nil
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// checkKey refuses what a PartitionKey or RowKey must not contain.
func checkKey(name, key string) *failure {
	if n := len(utf16.Encode([]rune(key))); n > maxKeyChars {
		return &failure{http.StatusBadRequest, "KeyValueTooLarge",
			fmt.Sprintf("%s has %d characters; at most %d are allowed.", name, n, maxKeyChars)}
	}
	for _, c := range key {
		if strings.ContainsRune(`/\#?`, c) || c < 0x20 || 0x7f <= c && c <= 0x9f {
			return &failure{http.StatusBadRequest, "OutOfRangeInput", fmt.Sprintf("%s contains the forbidden character %U.", name, c)}
		}
	}
	return nil
}

// checkSize refuses an entity that is too large: 4 bytes, the keys, and per property
// 8 bytes, its name and its value. The overhead per property is an assumption; the
// limit is not.
func checkSize(pk, rk string, properties []property) *failure {
	if len(properties) > maxProperties {
		return &failure{http.StatusBadRequest, "TooManyProperties", "The entity has more than 255 properties."}
	}
	size := 4 + 2*(len(pk)+len(rk))
	for _, p := range properties {
		size += 8 + 2*len(p.name) + 8
		var text string
		if json.Unmarshal(p.value, &text) == nil {
			size += textBytes(p.edm, text) - 4
		}
	}
	if size > maxEntityBytes {
		return &failure{http.StatusBadRequest, "EntityTooLarge", "The entity is larger than 1 MiB."}
	}
	return nil
}

// parseTableName reads the body of a request that creates a table.
func parseTableName(body []byte) (string, *failure) {
	var b struct{ TableName string }
	if err := json.Unmarshal(body, &b); err != nil {
		return "", invalid("The body is not JSON.")
	}
	if !tableName.MatchString(b.TableName) || strings.EqualFold(b.TableName, "tables") {
		return "", &failure{http.StatusBadRequest, "InvalidResourceName", "The specified resource name contains invalid characters."}
	}
	return b.TableName, nil
}
