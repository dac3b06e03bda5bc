package inventorytest_test

import (
	"errors"
	"testing"

	"rekey/shared/inventory"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

func TestMemoryStoreConformance(t *testing.T) {
	shared := &inventorytest.MemoryStore{}
	inventorytest.TestStore(t, func(*testing.T) inventorytest.Subject {
		return inventorytest.Subject{Store: shared, Told: func(*testing.T) []scan.Notice { return shared.Notices() }}
	})
}

// A hook decides what becomes of a call.
func TestHook(t *testing.T) {
	lost := errors.New("lost")
	var late func() error
	s := &inventorytest.MemoryStore{Silent: true}
	tenant := inventory.Tenant{ID: inventorytest.NewID(), Version: 1}
	s.Hook = func(call string, do func() error) error {
		if call == "Commit" {
			late = do
			return lost
		}
		return do()
	}
	if _, err := s.Commit(t.Context(), tenant, scan.Write{Notice: &scan.Notice{TenantID: tenant.ID}}); !errors.Is(err, lost) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := s.Tenant(t.Context(), tenant.ID); !errors.Is(err, serviceerror.ErrNotFound) {
		t.Errorf("Tenant: %v", err)
	}
	if err := late(); err != nil {
		t.Errorf("landing late: %v", err)
	}
	if got, err := s.Tenant(t.Context(), tenant.ID); err != nil || got.Version != 1 || len(s.Notices()) != 0 {
		t.Errorf("got %+v, %v, notices %v", got, err, s.Notices())
	}
}
