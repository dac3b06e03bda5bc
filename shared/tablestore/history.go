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

	"rekey/shared/history"
	"rekey/shared/rotation"
)

// historyRow is what happened in one commit.
type historyRow struct {
	key    string
	at     time.Time // of the last event
	events []rotation.Event
}

// encodeHistory returns the properties of a history row, and when the last event was.
func encodeHistory(events []rotation.Event) (properties map[string]any, at time.Time, err error) {
	text, err := json.Marshal(events)
	if err != nil {
		return nil, at, fmt.Errorf("encoding events: %w", err)
	}
	for _, e := range events {
		if e.At.After(at) {
			at = e.At
		}
	}
	return map[string]any{"at": at.UTC().Format(time.RFC3339Nano), "events": string(text)}, at, nil
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

// readHistory reads a row. In place of the events of one that this version can't read stands one that says
// so, with the time of the row where that can be read.
func readHistory(row []byte) (h historyRow, err error) {
	if h, err = decodeHistory(row); err == nil {
		return h, nil
	}
	if h.key, err = rowKey(row); err != nil {
		return historyRow{}, err
	}
	var stored struct {
		At time.Time `json:"at"`
	}
	if decodeRow(row, &stored) == nil {
		h.at = stored.At
	}
	h.events = []rotation.Event{{At: h.at, Kind: history.Unreadable}}
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
		h, err := readHistory(row)
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

// deleteRows deletes rows in one transaction, or one by one if another pass is
// deleting some of them. They do not change any more, so any ETag will do.
func (s *Store) deleteRows(ctx context.Context, op, pk string, rowKeys []string) error {
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
