package tablestore_test

import (
	"crypto/rand"
	"testing"
	"time"

	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/tablestore"
)

func TestPendingConformance(t *testing.T) {
	shared := newFixture(t, table.Config{PageSize: 3, EmptyPages: true}, nil)
	rotationtest.TestPending(t, func(*testing.T) rotationtest.PendingStore { return shared })
}

func TestPendingConformanceAzurite(t *testing.T) {
	store, err := tablestore.New(tablestore.Config{ConnectionString: rotation.NewSecret(azurite.ForTest(t).ConnectionString)})
	if err != nil {
		t.Fatal(err)
	}
	rotationtest.TestPending(t, func(*testing.T) rotationtest.PendingStore { return store })
}

// What nobody finished must not pile up, since Azure deletes nothing by itself.
func TestExpiredAuthorizationsGo(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	for range 400 {
		if _, err := f.PutPending(t.Context(), rand.Text(), []byte("x"), time.Now().Add(-time.Minute), ""); err != nil {
			t.Fatal(err)
		}
	}
	if left := len(f.service.Rows("oauth-")); left > 16 {
		t.Errorf("%d of 400 expired rows are left; each partition may keep its last", left)
	}
}

func TestPendingRefuses(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	for name, put := range map[string]struct {
		key   string
		value []byte
	}{
		"no key":            {"", nil},
		"a key with spaces": {"a b", nil},
		"a huge value":      {"a", make([]byte, 21<<10)},
	} {
		if _, err := f.PutPending(t.Context(), put.key, put.value, time.Now(), ""); rotation.ClassOf(err) != rotation.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
