package tablestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/rotation"
)

// maxPage is how many rows the service returns at once.
const maxPage = 1000

// keys is what a query selects that needs no values.
const keys = "PartitionKey,RowKey"

// keyRange is a range of row keys within one partition: from inclusive, to exclusive.
type keyRange struct{ partition, from, to string }

func (r keyRange) filter() string {
	return fmt.Sprintf("PartitionKey eq '%s' and RowKey ge '%s' and RowKey lt '%s'", r.partition, r.from, r.to)
}

// scan calls visit for each row of r in order until visit says stop or the range
// ends. Pages may be short, and even empty, with more to come; only the absence of
// a continuation token ends a range. top is how many rows visit expects to want;
// the service is asked for no more at a time.
func (s *Store) scan(ctx context.Context, op string, r keyRange, selected string, top int,
	visit func(row []byte) (more bool, err error)) error {
	options := &aztables.ListEntitiesOptions{
		Filter: new(r.filter()),
		Top:    new(int32(min(max(top, 1), maxPage))),
	}
	if selected != "" {
		options.Select = &selected
	}
	for {
		var page aztables.ListEntitiesResponse
		e := s.withTable(ctx, func() *serviceerror.Error {
			var err error
			page, err = s.table.NewListEntitiesPager(options).NextPage(ctx)
			return outcome(op, read, err)
		})
		if e != nil {
			return e
		}
		for _, row := range page.Entities {
			if more, err := visit(row); err != nil || !more {
				return err
			}
		}
		if empty(page.NextPartitionKey) && empty(page.NextRowKey) {
			return nil
		}
		options.NextPartitionKey, options.NextRowKey = page.NextPartitionKey, page.NextRowKey
	}
}

func empty(s *string) bool { return s == nil || *s == "" }

// rowKey reads a row's key.
func rowKey(row []byte) (string, error) {
	var r struct{ RowKey string }
	err := decodeRow(row, &r)
	return r.RowKey, err
}

// everywhere asks all partitions at once and returns the first limit of what they have,
// in the order of compare. What fails in some is returned together with what the others
// have.
func everywhere[T any](limit int, ask func(shard int) ([]T, error), compare func(a, b T) int) ([]T, error) {
	if limit <= 0 {
		return nil, nil
	}
	var (
		found [shards][]T
		errs  [shards]error
		all   sync.WaitGroup
	)
	for shard := range shards {
		all.Go(func() { found[shard], errs[shard] = ask(shard) })
	}
	all.Wait()
	rows := slices.Concat(found[:]...)
	slices.SortFunc(rows, compare)
	return rows[:min(limit, len(rows))], errors.Join(errs[:]...)
}

// defaultLimit is how many entries a list returns if it is not told.
const defaultLimit = 100

// pageLimit returns how many entries a list may return: 100 if limit is not
// positive, at most 1,000.
func pageLimit(limit int) int {
	if limit <= 0 {
		return defaultLimit
	}
	return min(limit, maxPage)
}

// List returns up to limit records (100 if limit is not positive, at most 1,000),
// from cursor on; an empty cursor begins. It goes through the partitions in order,
// so that the order means nothing. next is empty at the end; a page may be empty
// although there is a next one. The records have no Handle: Load the one to write.
//
// A row that can't be read, such as one of a newer schema, is left out, and the error
// is an [*UnreadableError]. What is returned beside it is good.
func (s *Store) List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error) {
	const op = "listing records"
	limit = pageLimit(limit)
	shard, from, ok := parseListCursor(cursor)
	if !ok {
		return nil, "", refused(op, "InvalidInput", "the cursor is not one of this list")
	}
	var unreadable UnreadableError
	for ; shard < shards && next == ""; shard, from = shard+1, connectionPrefix {
		r := keyRange{shardKey(shard), from, connectionEnd}
		err := s.scan(ctx, op, r, "", limit-len(records), func(row []byte) (bool, error) {
			rec, err := decodeRecord(row, "")
			if err != nil {
				unreadable.add(err)
				return true, nil
			}
			rec.Handle = rotation.Handle{}
			records = append(records, rec)
			return len(records) < limit, nil
		})
		if err != nil {
			return nil, "", fmt.Errorf("listing records: %w", err)
		}
		if len(records) == limit {
			next = listCursor(shard, records[limit-1].ID)
		}
	}
	return records, next, unreadable.result()
}

// UnreadableError says that a list left rows out, and wraps why the first of them can't
// be read.
type UnreadableError struct {
	op    string // empty: "listing records"
	rows  int
	first error
}

func (e *UnreadableError) add(err error) {
	if e.rows++; e.rows == 1 {
		e.first = err
	}
}

// result is nil if no row was left out.
func (e *UnreadableError) result() error {
	if e.rows == 0 {
		return nil
	}
	return e
}

// LeftOut is how many rows these are.
func (e *UnreadableError) LeftOut() int { return e.rows }

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%s: %d can't be read: %v", cmp.Or(e.op, "listing records"), e.rows, e.first)
}

func (e *UnreadableError) Unwrap() error { return e.first }

// listCursor points behind the record id of a shard.
func listCursor(shard int, id string) string { return shardKey(shard) + "." + id }

func parseListCursor(cursor string) (shard int, from string, ok bool) {
	if cursor == "" {
		return 0, connectionPrefix, true
	}
	key, id, _ := strings.Cut(cursor, ".")
	for shard := range shards {
		if key == shardKey(shard) && validID.MatchString(id) {
			return shard, connectionKey(id) + "!", true // '!' sorts before whatever an id may go on with
		}
	}
	return 0, "", false
}
