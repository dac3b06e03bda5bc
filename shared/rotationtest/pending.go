package rotationtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"rekey/shared/serviceerror"
)

// PendingStore keeps what a person or a caller has begun and not finished.
type PendingStore interface {
	// Pending returns what is under key; [serviceerror.ErrNotFound] if there is
	// nothing.
	Pending(ctx context.Context, key string) (value []byte, etag string, err error)
	// PutPending replaces what has that ETag, [serviceerror.ErrConflict] if nothing
	// has; with an empty one it adds, [serviceerror.ErrExists] if there is something.
	// What has expired may be gone at any time.
	PutPending(ctx context.Context, key string, value []byte, expires time.Time, etag string) (newETag string, err error)
}

// TestPending checks that a store of pending authorizations keeps its promises. The
// store need not be empty; its clock is the real one.
func TestPending(t *testing.T, newStore func(t *testing.T) PendingStore) {
	for _, test := range []struct {
		name string
		run  func(p pendingTest, t *testing.T)
	}{
		{"a missing key is not found", pendingTest.missing},
		{"what was put comes back", pendingTest.roundTrip},
		{"a key is added once", pendingTest.addTwice},
		{"a stale ETag is refused", pendingTest.stale},
		{"one of several writers wins", pendingTest.race},
		{"what has not expired stays", pendingTest.stays},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(pendingTest{newStore(t), rand.Text()}, t) })
	}
}

// pendingTest is one test's store, and a key of its own.
type pendingTest struct {
	PendingStore
	key string
}

func (p pendingTest) put(t *testing.T, value, etag string) string {
	t.Helper()
	etag, err := p.PutPending(t.Context(), p.key, []byte(value), time.Now().Add(time.Hour), etag)
	if err != nil || etag == "" {
		t.Fatalf("PutPending: ETag %q, %v", etag, err)
	}
	return etag
}

func (p pendingTest) want(t *testing.T, value, etag string) {
	t.Helper()
	got, gotETag, err := p.Pending(t.Context(), p.key)
	if err != nil || string(got) != value || gotETag != etag {
		t.Errorf("Pending: %q with ETag %q, %v; want %q with %q", got, gotETag, err, value, etag)
	}
}

func (p pendingTest) missing(t *testing.T) {
	_, _, err := p.Pending(t.Context(), p.key)
	wantStoreError(t, "Pending", err, serviceerror.ErrNotFound)
	_, err = p.PutPending(t.Context(), p.key, []byte("x"), time.Now().Add(time.Hour), `W/"datetime'2020-01-01T00%3A00%3A00Z'"`)
	wantStoreError(t, "replacing what is not there", err, serviceerror.ErrConflict)
}

func (p pendingTest) roundTrip(t *testing.T) {
	value := "\x00 {\"a\":\"ä\"} \xff"
	etag := p.put(t, value, "")
	p.want(t, value, etag)
	etag = p.put(t, "", etag)
	p.want(t, "", etag)
}

func (p pendingTest) addTwice(t *testing.T) {
	etag := p.put(t, "first", "")
	_, err := p.PutPending(t.Context(), p.key, []byte("second"), time.Now().Add(time.Hour), "")
	wantStoreError(t, "adding again", err, serviceerror.ErrExists)
	p.want(t, "first", etag)
}

func (p pendingTest) stale(t *testing.T) {
	old := p.put(t, "first", "")
	etag := p.put(t, "second", old)
	_, err := p.PutPending(t.Context(), p.key, []byte("third"), time.Now().Add(time.Hour), old)
	wantStoreError(t, "replacing what was replaced", err, serviceerror.ErrConflict)
	p.want(t, "second", etag)
}

// race is what single use stands on.
func (p pendingTest) race(t *testing.T) {
	etag := p.put(t, "begun", "")
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			_, errs[i] = p.PutPending(t.Context(), p.key, fmt.Append(nil, "taken by ", i), time.Now().Add(time.Hour), etag)
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, serviceerror.ErrConflict) {
			t.Errorf("losing: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d writers have won", won, len(errs))
	}
}

func (p pendingTest) stays(t *testing.T) {
	etag := p.put(t, "kept", "")
	for range 40 { // more than there are partitions
		if _, err := p.PutPending(t.Context(), rand.Text(), nil, time.Now().Add(-time.Hour), ""); err != nil {
			t.Fatalf("PutPending: %v", err)
		}
	}
	p.want(t, "kept", etag)
}

// MemoryPending is a [PendingStore] in memory. Fail, if not nil, is asked before each
// write; the write happens all the same if it says so.
type MemoryPending struct {
	Fail func(key string) (apply bool, err error)

	mu    sync.Mutex
	rows  map[string]pendingValue
	etags int
}

type pendingValue struct {
	value []byte
	etag  string
}

var _ PendingStore = (*MemoryPending)(nil)

// Pending implements [PendingStore].
func (m *MemoryPending) Pending(_ context.Context, key string) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.rows[key]
	if !ok {
		return nil, "", serviceerror.ErrNotFound
	}
	return bytes.Clone(row.value), row.etag, nil
}

// PutPending implements [PendingStore].
func (m *MemoryPending) PutPending(_ context.Context, key string, value []byte, _ time.Time, etag string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var failed error
	if m.Fail != nil {
		apply, err := m.Fail(key)
		if err != nil && !apply {
			return "", err
		}
		failed = err
	}
	row, ok := m.rows[key]
	switch {
	case etag == "" && ok:
		return "", serviceerror.ErrExists
	case etag != "" && row.etag != etag:
		return "", serviceerror.ErrConflict
	}
	if m.rows == nil {
		m.rows = map[string]pendingValue{}
	}
	m.etags++
	row = pendingValue{bytes.Clone(value), fmt.Sprint("e", m.etags)}
	m.rows[key] = row
	return row.etag, failed
}

// Values returns everything that is stored, for a search for what must not be.
func (m *MemoryPending) Values() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]string{}
	for key, row := range m.rows {
		out[key] = string(row.value)
	}
	return out
}
