package rotationtest

import (
	"cmp"
	"encoding/json"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// What a table takes: characters of a property, operations of a transaction (package
// tablestore).
const (
	maxProperty   = 32 << 10
	maxOperations = 100
)

// refuses says that a table would not take the row or what belongs to it. Once a record
// has got there, nothing can be done for it any more.
func (s *MemoryStore) refuses(data []byte, events []rotation.Event) error {
	operations := 4 // the row, the due row that goes and the one that comes, history
	for _, e := range events {
		if e.Notice {
			operations++
		}
	}
	code := ""
	if operations > maxOperations {
		code = "InvalidInput"
	}
	longest := cmp.Or(s.MaxProperty, maxProperty)
	if len(data) > longest {
		var properties map[string]json.RawMessage
		if err := json.Unmarshal(data, &properties); err != nil {
			panic(err)
		}
		for _, value := range properties {
			if len(value) > longest {
				code = "PropertyValueTooLarge"
			}
		}
	}
	if code == "" {
		return nil
	}
	s.world.violate("P3: a record has outgrown its row: " + code)
	return &serviceerror.Error{Op: "writing a record", Class: serviceerror.Invalid, Status: 400, Code: code}
}
