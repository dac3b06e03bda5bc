package tablestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"golang.org/x/sync/errgroup"

	"rekey/shared/serviceerror"
)

// A table that an older Rekey has written lacks rows beside its records, or has others. So the timer
// goes through all records once and writes the rows beside each of them. A row of the table says how
// far that is. Its key has the version of the rows: who changes what rowsOf returns of the same
// record raises it, and the timer goes through all of them again.
//
// For some minutes of an upgrade the older Rekey runs beside the newer one, and changes records that
// were indexed already. So the timer goes through all of them a second time, later.

const (
	reindexKey   = "index-4"
	reindexOnce  = "once" // and once more, reindexAgain later
	reindexDone  = "done"
	reindexAgain = time.Hour
	// reindexAtOnce is beside how many records rows are written at the same time.
	reindexAtOnce = 8
	// reindexTries is how often that is tried while others write the record.
	reindexTries = 3
)

// reindex writes the rows beside up to limit records, and returns whether there is more to do. Once
// all is done it costs a read.
func (s *Store) reindex(ctx context.Context, limit int) (more bool, err error) {
	const op = "indexing records"
	row, found, e := s.get(ctx, op, shardKey(0), reindexKey)
	if e != nil {
		return false, e
	}
	var stored struct {
		Cursor string    `json:"cursor"`
		Since  time.Time `json:"since"` // when the first time was done; zero: it is not
	}
	if found {
		if err := decodeRow(row.Value, &stored); err != nil {
			return false, err
		}
	}
	switch {
	case stored.Cursor == reindexDone, stored.Cursor == reindexOnce && s.now().Sub(stored.Since) < reindexAgain:
		return false, nil
	case stored.Cursor == reindexOnce:
		stored.Cursor = ""
	}
	records, next, err := s.List(ctx, stored.Cursor, limit)
	if _, left := errors.AsType[*UnreadableError](err); err != nil && !left {
		return false, err // a row of a newer Rekey has what that one needs
	}
	all, each := errgroup.WithContext(ctx)
	all.SetLimit(reindexAtOnce)
	for _, rec := range records {
		all.Go(func() error { return s.indexOne(each, rec.ID) })
	}
	if err := all.Wait(); err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	switch stored.Cursor = next; {
	case next == "" && stored.Since.IsZero():
		stored.Cursor, stored.Since = reindexOnce, s.now().UTC()
	case next == "":
		stored.Cursor = reindexDone
	}
	t := newTransaction(op, shardKey(0))
	t.add(aztables.TransactionTypeInsertReplace, reindexKey, "",
		map[string]any{"cursor": stored.Cursor, "since": stored.Since.Format(time.RFC3339)})
	_, e = s.submit(ctx, t)
	return next != "", plain(e)
}

// indexOne writes the record as it is, with all rows beside it. Another writer of the record at the
// same time may not know that one of them is missing, so that it is tried again after a conflict.
func (s *Store) indexOne(ctx context.Context, id string) error {
	for try := 1; ; try++ {
		rec, err := s.Load(ctx, id)
		if err == nil {
			rec.Handle.Index = ""
			_, err = s.Commit(ctx, rec)
		}
		switch {
		case err == nil, errors.Is(err, serviceerror.ErrNotFound), errors.Is(err, serviceerror.ErrNewerSchema):
			return nil
		case !errors.Is(err, serviceerror.ErrConflict) || try == reindexTries:
			return err
		}
	}
}
