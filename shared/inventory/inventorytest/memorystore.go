// Package inventorytest has what tests of the inventory share: a store in memory, and the suite
// that it and the store on Azure Table both pass.
package inventorytest

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

// MemoryStore is a table in memory. The zero value is empty and ready. Its methods may be called
// at the same time.
type MemoryStore struct {
	// Hook, if not nil, carries out each call: it may call do at once, later, or never, and the
	// caller gets what it returns. So a test can lose a write, lose its answer, or hold it up. call
	// is the method's name, such as "Commit"; Put is one call for each application.
	Hook func(call string, do func() error) error
	// Silent is a deployment without a webhook: no notice is kept.
	Silent bool

	mu       sync.Mutex
	tenants  map[string]tenantRow
	pages    map[pageID][]byte // of a scan.KeptPage
	finished map[string][]byte // of an inventory.Scan, by its id
	rows     map[inventory.Key]appRow
	accepted map[inventory.Key]acceptedRow
	notices  []scan.Notice
	etags    int
}

type tenantRow struct {
	etag string
	data []byte
}

type pageID struct {
	scanID string
	number int
}

type appRow struct {
	data []byte
	ends []catalog.End
}

type acceptedRow struct {
	etag int
	data []byte
}

var (
	_ scan.Store    = (*MemoryStore)(nil)
	_ catalog.Store = (*MemoryStore)(nil)
	_ Store         = (*MemoryStore)(nil)
)

// call carries out do under the lock, through the hook.
func (s *MemoryStore) call(name string, do func() error) error {
	locked := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return do()
	}
	if s.Hook == nil {
		return locked()
	}
	return s.Hook(name, locked)
}

// encode returns the JSON of v: a table gives back what was encoded, not what was meant.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func decode[T any](data []byte) (v T) {
	if err := json.Unmarshal(data, &v); err != nil {
		panic(err)
	}
	return v
}

func set[K comparable, V any](m *map[K]V, key K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = v
}

func roundUp(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second).UTC()
	}
	return t.UTC()
}

// refused is a failure of the caller's making.
func refused(format string, args ...any) error {
	return &serviceerror.Error{Op: "writing the inventory", Class: serviceerror.Invalid, Code: "OutOfRangeInput",
		Detail: fmt.Sprintf(format, args...)}
}

// Notices returns what was told, in the order in which it was committed.
func (s *MemoryStore) Notices() []scan.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]scan.Notice(nil), s.notices...)
}
