package tablestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/rotation"
)

// historyRow is what happened in one commit.
type historyRow struct {
	key    string
	at     time.Time // of the last event
	events []rotation.Event
}

// encodeHistory returns the properties of a history row.
func encodeHistory(events []rotation.Event) (map[string]any, error) {
	text, err := json.Marshal(events)
	if err != nil {
		return nil, fmt.Errorf("encoding events: %w", err)
	}
	var at time.Time
	for _, e := range events {
		if e.At.After(at) {
			at = e.At
		}
	}
	return map[string]any{"at": at.UTC().Format(time.RFC3339Nano), "events": string(text)}, nil
}

func decodeHistory(row []byte) (historyRow, error) {
	var stored struct {
		RowKey string
		At     time.Time `json:"at"`
		Events string    `json:"events"`
	}
	if err := decodeRow(row, &stored); err != nil {
		return historyRow{}, err
	}
	h := historyRow{key: stored.RowKey, at: stored.At}
	if stored.Events != "" && json.Unmarshal([]byte(stored.Events), &h.events) != nil {
		return historyRow{}, errors.New("decoding history: property events does not hold its JSON")
	}
	return h, nil
}

// historyRange is where the history of id lies from a version on, back in time.
func historyRange(id string, version int64) keyRange {
	return keyRange{partitionKey(id), historyKey(id, version), historyKey(id, 0) + "!"}
}

// History returns up to limit events of a connection (100 if limit is not positive,
// at most 1,000), the newest first, from cursor on; an empty cursor begins. next is
// empty at the end; a page may be empty although there is a next one. The history
// outlives the connection.
func (s *Store) History(ctx context.Context, id, cursor string, limit int) (events []rotation.Event, next string, err error) {
	const op = "reading history"
	limit = pageLimit(limit)
	from, skip, ok := parseHistoryCursor(cursor)
	if !ok {
		return nil, "", refused(op, "InvalidInput", "the cursor is not one of this list")
	}
	if !validID.MatchString(id) {
		return nil, "", nil
	}
	err = s.scan(ctx, op, historyRange(id, from), "", limit, func(row []byte) (bool, error) {
		h, err := decodeHistory(row)
		if err != nil {
			return false, err
		}
		version, ok := parseHistoryKey(id, h.key)
		if !ok {
			return true, nil
		}
		slices.Reverse(h.events)
		for i, e := range h.events {
			if version == from && i < skip {
				continue
			}
			if len(events) == limit {
				next = historyCursor(version, i)
				return false, nil
			}
			events = append(events, e)
		}
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	return events, next, nil
}

// historyCursor points at an event: its row's version, and how many newer ones
// there are in that row.
func historyCursor(version int64, skip int) string { return fmt.Sprintf("%d.%d", version, skip) }

func parseHistoryCursor(cursor string) (version int64, skip int, ok bool) {
	if cursor == "" {
		return math.MaxInt64, 0, true
	}
	v, n, _ := strings.Cut(cursor, ".")
	version, err := strconv.ParseInt(v, 10, 64)
	if err != nil || version < 0 {
		return 0, 0, false
	}
	skip, err = strconv.Atoi(n)
	return version, skip, err == nil && skip >= 0
}

// Prune deletes the history rows of a connection whose last event is older than
// before, and returns how many. What is too old lies at the end of a range that
// begins with the newest row, and the table can be read in that direction only. So
// the boundary is searched for by halving the versions: versions grow with time.
// The search costs at most log2(newest version)+1 queries of one row, about ten for
// a connection's first year, and the deletion one query per 1,000 rows and one
// transaction per 100. Nothing newer is read beyond the rows of the search.
//
// Where clocks differ, a few rows around the boundary may be out of order. A row is
// deleted only if it is itself too old; one that the search missed is found next time.
func (s *Store) Prune(ctx context.Context, id string, before time.Time) (int, error) {
	if !validID.MatchString(id) {
		return 0, nil
	}
	boundary, err := s.newestOlderThan(ctx, id, before)
	if err != nil || boundary < 0 {
		return 0, err
	}
	var old []string
	err = s.scan(ctx, "looking for old history", historyRange(id, boundary), "RowKey,at", maxPage, func(row []byte) (bool, error) {
		h, err := decodeHistory(row)
		if err != nil {
			return false, err
		}
		if _, ok := parseHistoryKey(id, h.key); ok && h.at.Before(before) {
			old = append(old, h.key)
		}
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	deleted := 0
	for part := range slices.Chunk(old, maxOperations) {
		if err := s.deleteHistory(ctx, partitionKey(id), part); err != nil {
			return deleted, err
		}
		deleted += len(part)
	}
	return deleted, nil
}

// newestOlderThan returns a version such that every row after it is at or after
// before, and its own is not; -1 if there is none.
func (s *Store) newestOlderThan(ctx context.Context, id string, before time.Time) (int64, error) {
	version, at, found, err := s.atOrBelow(ctx, id, math.MaxInt64)
	if err != nil || !found {
		return -1, err
	}
	if at.Before(before) {
		return version, nil
	}
	low, high := int64(-1), version // no row of low or below is known; high is too new to go
	boundary := int64(-1)
	for high-low > 1 {
		middle := low + (high-low)/2
		version, at, found, err := s.atOrBelow(ctx, id, middle)
		switch {
		case err != nil:
			return -1, err
		case !found:
			low = middle
		case at.Before(before):
			low, boundary = middle, version
		default:
			high = version
		}
	}
	return boundary, nil
}

// atOrBelow returns the row of that version, or of the next lower one that exists.
func (s *Store) atOrBelow(ctx context.Context, id string, limit int64) (version int64, at time.Time, found bool, err error) {
	err = s.scan(ctx, "looking for old history", historyRange(id, limit), "RowKey,at", 1, func(row []byte) (bool, error) {
		h, err := decodeHistory(row)
		if err != nil {
			return false, err
		}
		version, found = parseHistoryKey(id, h.key)
		at = h.at
		return !found, nil
	})
	return version, at, found, err
}

// deleteHistory deletes rows in one transaction, or one by one if somebody else is
// deleting some of them. A history row never changes, so any ETag will do.
func (s *Store) deleteHistory(ctx context.Context, pk string, rowKeys []string) error {
	const op = "deleting old history"
	t := newTransaction(op, pk)
	for _, rk := range rowKeys {
		t.add(aztables.TransactionTypeDelete, rk, string(azcore.ETagAny), nil)
	}
	_, e := s.submit(ctx, t)
	if e == nil || e.Status != http.StatusNotFound {
		return plain(e)
	}
	for _, rk := range rowKeys {
		_, err := s.table.DeleteEntity(once(ctx), pk, rk, nil)
		if e := outcome(op, write, err); e != nil && e.Status != http.StatusNotFound {
			return e
		}
	}
	return nil
}
