package tablestore_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/table"
	"rekey/shared/rotationtest"
	"rekey/shared/tablestore"
)

func TestPendingConformance(t *testing.T) {
	shared := newFixture(t, table.Config{PageSize: 3, EmptyPages: true}, nil)
	rotationtest.TestPending(t, func(*testing.T) rotationtest.PendingStore { return shared })
}

func TestPendingConformanceAzurite(t *testing.T) {
	rotationtest.PlainOnly(t)
	store, err := tablestore.New(tablestore.Config{ConnectionString: secret.New(azurite.ForTest(t).ConnectionString)})
	if err != nil {
		t.Fatal(err)
	}
	rotationtest.TestPending(t, func(*testing.T) rotationtest.PendingStore { return store })
}

// What was never finished must not pile up, since Azure deletes nothing by itself.
func TestExpiredAuthorizationsGo(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{}, nil)
	for i := range 400 {
		key := rand.Text()
		if i%2 == 0 {
			key = "idem-" + key
		}
		if _, err := f.PutPending(t.Context(), key, []byte("x"), time.Now().Add(-time.Minute), ""); err != nil {
			t.Fatal(err)
		}
	}
	if left := len(f.service.Rows("oauth-")) + len(f.service.Rows("once-")); left > 16 {
		t.Errorf("%d of 400 expired rows are left; each partition may keep its last", left)
	}
}

// An Idempotency-Key that comes back after a day is noted in its old, expired row. Who
// tidies up at that moment must not delete the new note: its request would be carried
// out once more.
func TestPruningLeavesWhatWasWrittenAgain(t *testing.T) {
	for _, before := range []string{http.MethodGet, http.MethodDelete} {
		writeAgain := func() {}
		var armed atomic.Bool
		f := newFixture(t, table.Config{}, func(next policy.Transporter) policy.Transporter {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Method == before && strings.Contains(r.URL.Path, "once-1") && armed.Swap(false) {
					writeAgain()
				}
				return next.Do(r)
			})
		})
		if _, err := f.PutPending(t.Context(), "idem-1", []byte("old"), time.Now().Add(time.Hour), ""); err != nil {
			t.Fatal(err)
		}
		etag := f.expire(t, "once-1")
		writeAgain = func() {
			if _, err := f.PutPending(t.Context(), "idem-1", []byte("new"), time.Now().Add(time.Hour), etag); err != nil {
				t.Errorf("writing it again: %v", err)
			}
		}
		armed.Store(true)
		for n := 0; armed.Load() && n < 1000; n++ { // until one lies in the same partition
			if _, err := f.PutPending(t.Context(), rand.Text(), []byte("x"), time.Now().Add(time.Hour), ""); err != nil {
				t.Fatal(err)
			}
		}
		if armed.Load() {
			t.Errorf("before %s: nothing tidied up", before)
		}
		if value, _, err := f.Pending(t.Context(), "idem-1"); err != nil || string(value) != "new" {
			t.Errorf("before %s: what was written again is %q, %v", before, value, err)
		}
	}
}

// expire lets a row expire and returns its ETag.
func (f *fixture) expire(t *testing.T, rowKey string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"PartitionKey": f.row(t, rowKey).PartitionKey, "RowKey": rowKey,
		"expires": time.Now().Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := f.rows.UpdateEntity(t.Context(), body, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer.ETag)
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
		if _, err := f.PutPending(t.Context(), put.key, put.value, time.Now(), ""); serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
