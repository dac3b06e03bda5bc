package rotationtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/notice"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// MemoryStore is a table in memory. Use it through [World.Rotator] or
// [World.StorePort].
type MemoryStore struct {
	// MaxProperty is how many characters a property may have; 0: as many as a table
	// takes. With fewer a list outgrows its row in hours rather than in days.
	MaxProperty int

	world    *World
	rows     map[string]row
	due      map[string]time.Time
	history  map[string][]historyRow // oldest first
	former   map[string]formerRow    // by the id of a connection that is gone
	ended    map[endedRun]bool
	audited  map[string]audit.Event // by the key that sorts them
	reserved map[string]reservation.Row
	claims   map[string]rotation.ClaimRow // by id
	notices  map[string]notice.Notice     // by id
	etags    int
}

type row struct {
	etag string
	data []byte            // the record's JSON
	more map[string]string // properties of a newer version

	decoded *rotation.Record // of data, once it was asked for
}

// record decodes the row: what a table gives back is what was encoded, not what was
// meant. The world's lock is held.
func (r row) record() rotation.Record {
	if r.decoded.ID == "" {
		if err := json.Unmarshal(r.data, r.decoded); err != nil {
			panic(err)
		}
	}
	return r.decoded.Clone()
}

func (r row) schema() int {
	if s, ok := r.more["schema"]; ok {
		n, _ := strconv.Atoi(s)
		return n
	}
	return rotation.Schema
}

func roundUp(t time.Time) time.Time {
	if r := t.Truncate(time.Second); !r.Equal(t) {
		return r.Add(time.Second).UTC()
	}
	return t.UTC()
}

// StorePort returns the store as the process that is alive sees it.
func (w *World) StorePort() Store {
	w.mu.Lock()
	defer w.mu.Unlock()
	return storePort{w.Store, port{w, w.process}}
}

type storePort struct {
	s *MemoryStore
	p port
}

var (
	_ Store    = storePort{}
	_ RawStore = storePort{}
)

func (s storePort) Load(ctx context.Context, id string) (rec rotation.Record, err error) {
	err = s.p.read(ctx, "store.load", id, func() error {
		r, ok := s.s.rows[id]
		if !ok {
			return fmt.Errorf("loading: %w", serviceerror.ErrNotFound)
		}
		if r.schema() > rotation.Schema {
			return fmt.Errorf("loading: %w", serviceerror.ErrNewerSchema)
		}
		rec = r.record()
		rec.Handle = rotation.Handle{ETag: r.etag, Wake: s.s.due[id]}
		return nil
	})
	return rec, err
}

func (s storePort) Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	saved := rec
	err := s.p.write(ctx, "store.create", rec.ID, func() error {
		if _, ok := s.s.rows[saved.ID]; ok {
			return fmt.Errorf("creating: %w", serviceerror.ErrExists)
		}
		return s.s.put(&saved, nil, events)
	})
	if err != nil {
		return rec, err
	}
	return saved, nil
}

func (s storePort) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	saved := rec
	err := s.p.write(ctx, "store.commit", rec.ID, func() error {
		r, ok := s.s.rows[saved.ID]
		switch {
		case saved.Schema > rotation.Schema:
			return fmt.Errorf("committing: %w", serviceerror.ErrNewerSchema)
		case !ok || r.etag != saved.Handle.ETag:
			return fmt.Errorf("committing: %w", serviceerror.ErrConflict)
		}
		return s.s.put(&saved, r.more, events)
	})
	if err != nil {
		return rec, err
	}
	return saved, nil
}

// put writes a row and what belongs to it.
func (s *MemoryStore) put(rec *rotation.Record, more map[string]string, events []rotation.Event) error {
	rec.WakeAt = roundUp(rec.WakeAt)
	data, err := json.Marshal(rec)
	if err != nil {
		panic(err)
	}
	if err := s.refuses(data, events); err != nil {
		return err
	}
	s.etags++
	rec.Handle = rotation.Handle{ETag: strconv.Itoa(s.etags), Wake: rec.WakeAt}
	s.rows[rec.ID] = row{rec.Handle.ETag, data, more, new(rotation.Record)}
	delete(s.due, rec.ID)
	if !rec.WakeAt.IsZero() {
		s.due[rec.ID] = rec.WakeAt
	}
	s.note(rec, rec.Version, events)
	return nil
}

func (s *MemoryStore) note(rec *rotation.Record, version int64, events []rotation.Event) {
	if len(events) > 0 {
		s.history[rec.ID] = append(s.history[rec.ID], historyRow{version, slices.Clone(events)})
		s.countRuns(rec.ID, events)
		s.keepAudit(rec, version, events)
	}
	s.keepNotices(rec, version, events)
}

func (s storePort) Remove(ctx context.Context, rec rotation.Record, events ...rotation.Event) error {
	return s.p.write(ctx, "store.remove", rec.ID, func() error {
		r, ok := s.s.rows[rec.ID]
		if rec.Schema > rotation.Schema {
			return fmt.Errorf("removing: %w", serviceerror.ErrNewerSchema)
		}
		if !ok || r.etag != rec.Handle.ETag {
			return fmt.Errorf("removing: %w", serviceerror.ErrConflict)
		}
		delete(s.s.rows, rec.ID)
		delete(s.s.due, rec.ID)
		if f, ok := rec.Former(); ok && len(events) > 0 {
			s.s.former[rec.ID] = formerRow{rec.Target.Key(), f}
		}
		s.s.note(&rec, rec.Version+1, events)
		return nil
	})
}

func (s storePort) Due(ctx context.Context, until time.Time, limit int) (due []rotation.Due, err error) {
	err = s.p.read(ctx, "store.due", "", func() error {
		for id, wake := range s.s.due {
			if !wake.After(until) {
				due = append(due, rotation.Due{ID: id, Wake: wake})
			}
		}
		slices.SortFunc(due, func(a, b rotation.Due) int {
			if c := a.Wake.Compare(b.Wake); c != 0 {
				return c
			}
			return strings.Compare(a.ID, b.ID)
		})
		due = due[:min(limit, len(due))]
		return nil
	})
	return due, err
}

func (s storePort) List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error) {
	err = s.p.read(ctx, "store.list", "", func() error {
		ids := make([]string, 0, len(s.s.rows))
		for id := range s.s.rows {
			if id > cursor {
				ids = append(ids, id)
			}
		}
		sort.Strings(ids)
		left := leftOut(0)
		for _, id := range ids {
			if len(records) == limit {
				next = records[limit-1].ID
				break
			}
			if s.s.rows[id].schema() > rotation.Schema {
				left++
				continue
			}
			rec := s.s.rows[id].record()
			rec.Handle = rotation.Handle{ETag: s.s.rows[id].etag, Wake: s.s.due[id]}
			records = append(records, rec)
		}
		if left > 0 {
			return left
		}
		return nil
	})
	return records, next, err
}

// SetProperty and Property play a newer version's part in the conformance suite.
func (s storePort) SetProperty(_ *testing.T, id, name string, value any) {
	s.p.w.mu.Lock()
	defer s.p.w.mu.Unlock()
	r := s.s.rows[id]
	more := map[string]string{}
	for k, v := range r.more {
		more[k] = v
	}
	more[name] = fmt.Sprint(value)
	s.s.etags++
	s.s.rows[id] = row{strconv.Itoa(s.s.etags), r.data, more, r.decoded}
}

func (s storePort) Property(_ *testing.T, id, name string) any {
	s.p.w.mu.Lock()
	defer s.p.w.mu.Unlock()
	if v, ok := s.s.rows[id].more[name]; ok {
		return v
	}
	return nil
}
