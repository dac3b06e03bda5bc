package tablestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/audit"
	"rekey/shared/history"
)

var _ audit.Store = (*Store)(nil)

// Lines of the audit lie in all partitions, the newest first: those of a connection in its own, where
// its commits write them, all others by their id.
const (
	auditPrefix = "audit-"
	auditEnd    = "audit."
	// auditBase is far above every time in milliseconds since 1970, so that what is left of it has 15 digits.
	auditBase = 500_000_000_000_000
)

func auditTime(at time.Time) string {
	return fmt.Sprintf("%s%015d", auditPrefix, min(max(auditBase-at.UnixMilli(), 0), 2*auditBase-1))
}

func auditKey(at time.Time, id string) string { return auditTime(at) + "-" + id }

// auditCursor is what follows the prefix in a key.
var auditCursor = regexp.MustCompile(`^[0-9]{15}-[A-Za-z0-9_-]{1,200}$`)

// timeOfAudit is the time that the key of a line says; zero if it is none.
func timeOfAudit(key string) time.Time {
	digits, _, _ := strings.Cut(strings.TrimPrefix(key, auditPrefix), "-")
	left, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(auditBase - left).UTC()
}

// addAudit adds the lines of the audit that c's events are. Their keys end in the version of the
// record and the place among the events, so that a commit that is repeated writes the same rows.
func (c *change) addAudit(t *transaction) error {
	for i, e := range c.events {
		line, ok := audit.Of(&c.rec, e)
		if !ok {
			continue
		}
		properties, err := encodeAudit(line)
		if err != nil {
			return err
		}
		t.add(aztables.TransactionTypeInsertReplace, auditKey(e.At, fmt.Sprintf("%s-%019d-%02d", c.rec.ID, c.version, i)), "", properties)
	}
	return nil
}

func encodeAudit(e audit.Event) (map[string]any, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding a line of the audit: %w", err)
	}
	return map[string]any{"event": string(text)}, nil
}

func decodeAudit(row []byte) (key string, e audit.Event, err error) {
	var stored struct {
		RowKey string
		Event  string `json:"event"`
	}
	if err := decodeRow(row, &stored); err != nil {
		return "", e, err
	}
	if json.Unmarshal([]byte(stored.Event), &e) != nil {
		return "", e, errors.New("decoding a line of the audit: property event does not hold its JSON")
	}
	return stored.RowKey, e, nil
}

// readAudit reads a line. In place of one that this version can't read stands one that says so, with the time
// of its key.
func readAudit(row []byte) (auditLine, error) {
	key, e, err := decodeAudit(row)
	if err == nil && e.Kind != "" {
		return auditLine{key, e}, nil
	}
	if key, err = rowKey(row); err != nil {
		return auditLine{}, err
	}
	return auditLine{key, audit.Event{At: timeOfAudit(key), Kind: history.Unreadable}}, nil
}

// WriteAudit implements [audit.Store]. Only the process that has made the id writes the row.
func (s *Store) WriteAudit(ctx context.Context, id string, e audit.Event) error {
	const op = "writing the audit"
	if !validID.MatchString(id) {
		return refused(op, "OutOfRangeInput", "an id has 1 to 100 characters of A-Z a-z 0-9 _ -")
	}
	properties, err := encodeAudit(e)
	if err != nil {
		return err
	}
	t := newTransaction(op, partitionKey(id))
	t.add(aztables.TransactionTypeInsertReplace, auditKey(e.At, id), "", properties)
	_, failed := s.submit(ctx, t)
	return plain(failed)
}

// auditLine is a line with its key.
type auditLine struct {
	key string
	audit.Event
}

// Audit implements [audit.Store]. It costs 16 queries, and each reads at most the page's length.
func (s *Store) Audit(ctx context.Context, q audit.Query) (events []audit.Event, next string, err error) {
	const op = "reading the audit"
	limit := pageLimit(q.Limit)
	from, to := auditPrefix, auditEnd
	if !q.To.IsZero() {
		from = auditTime(q.To) + "." // '.' follows the '-' of all lines of that very time
	}
	if !q.From.IsZero() {
		to = auditTime(q.From) + "."
	}
	if q.Cursor != "" {
		if !auditCursor.MatchString(q.Cursor) {
			return nil, "", refused(op, "InvalidInput", "the cursor is not one of this list")
		}
		from = max(from, auditPrefix+q.Cursor+"!") // '!' sorts before whatever an id may go on with
	}
	lines, err := everywhere(limit+1, func(shard int) (lines []auditLine, err error) {
		err = s.scan(ctx, op, keyRange{shardKey(shard), from, to}, "RowKey,event", limit+1, func(row []byte) (bool, error) {
			line, err := readAudit(row)
			lines = append(lines, line)
			return len(lines) <= limit, err
		})
		return lines, err
	}, func(a, b auditLine) int { return strings.Compare(a.key, b.key) })
	if err != nil {
		return nil, "", err
	}
	if len(lines) > limit {
		lines = lines[:limit]
		next = strings.TrimPrefix(lines[limit-1].key, auditPrefix)
	}
	for _, l := range lines {
		events = append(events, l.Event)
	}
	return events, next, nil
}

// pruneAudit deletes at most limit lines from before that time.
func (s *Store) pruneAudit(ctx context.Context, before time.Time, limit int) (more bool, err error) {
	return s.pruneKeys(ctx, "deleting the old audit", auditTime(before)+".", auditEnd, limit)
}

// pruneKeys deletes at most limit rows of a range of keys in all partitions, in order.
func (s *Store) pruneKeys(ctx context.Context, op, from, to string, limit int) (more bool, err error) {
	type found struct {
		shard int
		key   string
	}
	rows, err := everywhere(limit, func(shard int) (rows []found, err error) {
		err = s.scan(ctx, op, keyRange{shardKey(shard), from, to}, "RowKey", limit, func(row []byte) (bool, error) {
			key, err := rowKey(row)
			if err == nil {
				rows = append(rows, found{shard, key})
			}
			return len(rows) < limit, err
		})
		return rows, err
	}, func(a, b found) int { return strings.Compare(a.key, b.key) })
	var old [shards][]string
	for _, r := range rows {
		old[r.shard] = append(old[r.shard], r.key)
	}
	for shard, rowKeys := range old {
		for part := range slices.Chunk(rowKeys, maxOperations) {
			if failed := s.deleteRows(ctx, op, shardKey(shard), part); failed != nil {
				return false, failed
			}
		}
	}
	return len(rows) == limit, err
}
