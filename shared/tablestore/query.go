package tablestore

import (
	"context"
	"fmt"
	"strings"

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
func (s *Store) scan(ctx context.Context, op string, r keyRange, selected string, top int, visit func(row []byte) (more bool, err error)) error {
	options := &aztables.ListEntitiesOptions{
		Filter: new(r.filter()),
		Top:    new(int32(min(max(top, 1), maxPage))),
	}
	if selected != "" {
		options.Select = &selected
	}
	for {
		var page aztables.ListEntitiesResponse
		e := s.withTable(ctx, func() *rotation.Error {
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
// One row of a newer schema fails the list with [rotation.ErrNewerSchema]: a list
// that left it out would say that the connection does not exist.
func (s *Store) List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error) {
	const op = "listing records"
	limit = pageLimit(limit)
	shard, from, ok := parseListCursor(cursor)
	if !ok {
		return nil, "", refused(op, "InvalidInput", "the cursor is not one of this list")
	}
	last := ""
	for ; shard < shards; shard, from = shard+1, connectionPrefix {
		r := keyRange{shardKey(shard), from, connectionEnd}
		err := s.scan(ctx, op, r, "", limit-len(records), func(row []byte) (bool, error) {
			rec, err := decodeRecord(row, "")
			if err != nil {
				return false, err
			}
			rec.Handle = rotation.Handle{}
			records, last = append(records, rec), rec.ID
			return len(records) < limit, nil
		})
		if err != nil {
			return nil, "", fmt.Errorf("listing records: %w", err)
		}
		if len(records) == limit {
			return records, listCursor(shard, last), nil
		}
	}
	return records, "", nil
}

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
