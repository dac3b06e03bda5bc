package tablestore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/rotation"
)

// Load implements [rotator.Store].
func (s *Store) Load(ctx context.Context, id string) (rotation.Record, error) {
	if !validID.MatchString(id) {
		return rotation.Record{}, serviceerror.ErrNotFound // it could not have been stored
	}
	row, found, e := s.get(ctx, "reading a record", partitionKey(id), connectionKey(id))
	if e != nil {
		return rotation.Record{}, e
	}
	if !found {
		return rotation.Record{}, serviceerror.ErrNotFound
	}
	rec, err := decodeRecord(row.Value, string(row.ETag))
	if err == nil {
		rec.Handle.Index = rowsOf(&rec).encode()
	}
	return rec, err
}

// Create writes a record that was not there before, with its due row and a history
// row for events; [serviceerror.ErrExists] if the id is taken. It returns the record
// with its Handle.
func (s *Store) Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	rec.Handle = rotation.Handle{}
	return s.write(ctx, change{op: "creating a record", kind: aztables.TransactionTypeAdd, rec: rec, version: rec.Version, events: events})
}

// Commit implements [rotator.Store]. The caller raises the record's Version with
// every commit: it is the key of the history row. WakeAt is rounded up to whole
// seconds in what is stored and in what is returned.
//
// The Handle that comes back has no ETag if the answer did not tell it and reading
// the row again did not show this commit unchanged. The next Commit is then
// refused with [serviceerror.ErrConflict], which is right: read again.
func (s *Store) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	if rec.Schema > rotation.Schema {
		return rec, serviceerror.ErrNewerSchema
	}
	return s.write(ctx, change{op: "committing a record", kind: aztables.TransactionTypeUpdateMerge,
		rec: rec, version: rec.Version, events: events})
}

// Remove implements [rotator.Store]. The last history row has the version after
// the record's.
func (s *Store) Remove(ctx context.Context, rec rotation.Record, events ...rotation.Event) error {
	if rec.Schema > rotation.Schema {
		return serviceerror.ErrNewerSchema
	}
	rec.WakeAt = time.Time{}
	_, err := s.write(ctx, change{op: "removing a record", kind: aztables.TransactionTypeDelete, rec: rec,
		version: rec.Version + 1, events: events})
	return err
}

// change is a write of a record and of what changes with it.
type change struct {
	op      string
	kind    aztables.TransactionType // what happens to the record's row
	rec     rotation.Record
	version int64 // of the history row
	events  []rotation.Event
	notices bool // the events that a person has to be told of become notices
}

// write carries c out in one transaction.
func (s *Store) write(ctx context.Context, c change) (rotation.Record, error) {
	if !validID.MatchString(c.rec.ID) {
		return c.rec, refused(c.op, "OutOfRangeInput", "a connection id has 1 to 100 characters of A-Z a-z 0-9 _ -")
	}
	if c.kind != aztables.TransactionTypeAdd && c.rec.Handle.ETag == "" {
		return c.rec, fmt.Errorf("%s that was not loaded: %w", c.op, serviceerror.ErrConflict)
	}
	c.rec.Schema, c.notices = rotation.Schema, s.notices
	c.rec.WakeAt = roundUp(c.rec.WakeAt)
	if !c.rec.WakeAt.IsZero() && (c.rec.WakeAt.Year() < 1 || c.rec.WakeAt.Year() > 9999) {
		return c.rec, refused(c.op, "OutOfRangeInput", "the wake-up is not in the years 1 to 9999")
	}
	etag, err := s.attempt(ctx, c, drift{})
	if err != nil {
		return c.rec, err
	}
	if etag == "" && c.kind != aztables.TransactionTypeDelete {
		etag = s.readBack(ctx, &c.rec)
	}
	c.rec.Handle = rotation.Handle{ETag: etag, Wake: c.rec.WakeAt, Index: rowsOf(&c.rec).encode()}
	return c.rec, nil
}

// attempt sends the transaction, and once more around what drift it finds. It
// returns the record's new ETag if the answer tells it.
func (s *Store) attempt(ctx context.Context, c change, d drift) (etag string, err error) {
	t, err := c.transaction(d)
	if err != nil {
		return "", err
	}
	etags, e := s.submit(ctx, t)
	switch {
	case e == nil:
		return etags[0], nil
	case e.Status == http.StatusPreconditionFailed:
		return "", serviceerror.ErrConflict
	case e.Status != http.StatusNotFound && e.Status != http.StatusConflict || e.Code == string(aztables.TableNotFound):
		return "", e
	case d.looked:
		return "", serviceerror.ErrConflict
	}
	d, err = s.look(ctx, c)
	if err != nil {
		return "", err
	}
	return s.attempt(ctx, c, d)
}

// transaction puts c together. The record's row comes first, so that a failure of
// its condition is what the service reports.
func (c *change) transaction(d drift) (*transaction, error) {
	t := newTransaction(c.op, partitionKey(c.rec.ID))
	var properties map[string]any
	if c.kind != aztables.TransactionTypeDelete {
		var err error
		if properties, err = encodeRecord(&c.rec); err != nil {
			return nil, err
		}
	}
	t.add(c.kind, connectionKey(c.rec.ID), c.rec.Handle.ETag, properties)
	// Wake-ups are whole seconds. One that stays within its second keeps its
	// row: deleting and inserting one row is more than a transaction may do.
	if was, is := roundUp(c.rec.Handle.Wake), c.rec.WakeAt; !was.Equal(is) {
		if !was.IsZero() && !d.oldGone {
			t.add(aztables.TransactionTypeDelete, dueKey(was, c.rec.ID), "*", nil)
		}
		if !is.IsZero() && !d.newThere {
			t.add(aztables.TransactionTypeAdd, dueKey(is, c.rec.ID), "", nil)
		}
	}
	c.addIndex(t, d)
	if err := c.addHistory(t, d); err != nil {
		return nil, err
	}
	c.addNotices(t, d)
	return t, nil
}

// readBack returns the ETag of rec's row if the row is still as this commit left
// it. If another pass has written since, its ETag must not be taken for ours:
// the next commit would undo what that pass wrote.
func (s *Store) readBack(ctx context.Context, rec *rotation.Record) string {
	row, found, e := s.get(ctx, "reading a commit back", partitionKey(rec.ID), connectionKey(rec.ID))
	if e != nil || !found {
		return ""
	}
	ours, err := encodeRecord(rec)
	if err != nil {
		return ""
	}
	var theirs map[string]json.RawMessage
	if json.Unmarshal(row.Value, &theirs) != nil {
		return ""
	}
	for name, value := range ours {
		text, err := json.Marshal(value)
		if err != nil || string(text) != string(theirs[name]) {
			return ""
		}
	}
	return string(row.ETag)
}
