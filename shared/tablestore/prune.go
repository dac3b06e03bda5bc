package tablestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"golang.org/x/sync/errgroup"
)

// Each commit that writes history writes a second row beside it, one for each connection and
// day, which says how far the history of that day goes. These rows sort by the day. So what
// is too old is found by one range query for each partition, whether its connection
// rotates, does not, or is deleted, and its deletion costs what there is to be deleted.

// dayLayout is the day in a key. It sorts as it reads.
const dayLayout = "20060102"

// day is a day of a connection's history.
type day struct {
	date    string
	id      string
	version int64  // of its last history row
	former  string // key of the row of what is kept of the connection; empty: there is none
}

func dayKey(at time.Time, id string) string { return dayPrefix + at.UTC().Format(dayLayout) + "-" + id }

func (d day) key() string { return dayPrefix + d.date + "-" + d.id }

// parseDay reads a day's row. What can't be read was not written by Rekey.
func parseDay(row []byte) (day, bool) {
	var stored struct {
		RowKey  string
		Version string `json:"version"`
		Former  string `json:"former"`
	}
	if decodeRow(row, &stored) != nil {
		return day{}, false
	}
	rest, ok := strings.CutPrefix(stored.RowKey, dayPrefix)
	date, id, found := strings.Cut(rest, "-")
	if !ok || !found || len(date) != len(dayLayout) || !validID.MatchString(id) {
		return day{}, false
	}
	if f := stored.Former; f != "" && !(strings.HasPrefix(f, formerRows) && strings.HasSuffix(f, "-"+id) && keyAllowed(f)) {
		return day{}, false
	}
	version, err := strconv.ParseInt(stored.Version, 10, 64)
	return day{date, id, version, stored.Former}, err == nil && version >= 0
}

// pruneAtOnce is of how many connections history is deleted at the same time.
const pruneAtOnce = 8

// Prune deletes the history of days that had ended at before, of at most limit days
// of connections, the oldest first, and likewise at most limit runs of weeks that had, and at most
// limit lines of the audit from before. It returns how many rows of history that were, and whether
// there is more. It costs 48 queries, for each connection whose history is too old a query and a
// transaction per 100 rows, a transaction per 100 runs or lines, and a read; more only while
// records of an older Rekey have to be indexed.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (rows int, more bool, err error) {
	days, err := everywhere(limit, func(shard int) ([]day, error) { return s.daysIn(ctx, shard, before, limit) }, func(a, b day) int {
		return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.id, b.id))
	})
	byID := map[string][]day{}
	for _, d := range days {
		byID[d.id] = append(byID[d.id], d)
	}
	var deleted atomic.Int64
	all := errgroup.Group{}
	all.SetLimit(pruneAtOnce)
	for _, days := range byID {
		all.Go(func() error {
			n, err := s.pruneDays(ctx, days, before)
			deleted.Add(int64(n))
			return err
		})
	}
	failed := all.Wait()
	moreRuns, runsErr := s.pruneRuns(ctx, before, limit)
	moreLines, linesErr := s.pruneAudit(ctx, before, limit)
	moreRecords, indexErr := s.reindex(ctx, limit)
	return int(deleted.Load()), len(days) == limit || moreRuns || moreLines || moreRecords,
		errors.Join(err, failed, runsErr, linesErr, indexErr)
}

// daysIn returns the oldest days of one partition.
func (s *Store) daysIn(ctx context.Context, shard int, before time.Time, limit int) (days []day, err error) {
	r := keyRange{shardKey(shard), dayPrefix, dayPrefix + before.UTC().Format(dayLayout)}
	err = s.scan(ctx, "looking for old history", r, "RowKey,version,former", limit, func(row []byte) (bool, error) {
		if d, ok := parseDay(row); ok {
			days = append(days, d)
		}
		return len(days) < limit, nil
	})
	return days, err
}

// pruneDays deletes the history of a connection up to the end of its days and what is kept of
// the connection, and the rows of the days last: by them the others are found again. A history row is deleted only if it is itself too old.
func (s *Store) pruneDays(ctx context.Context, days []day, before time.Time) (deleted int, err error) {
	last := slices.MaxFunc(days, func(a, b day) int { return cmp.Compare(a.version, b.version) })
	var old []string
	err = s.scan(ctx, "looking for old history", historyRange(last.id, last.version), "RowKey,at", maxPage, func(row []byte) (bool, error) {
		h, err := readHistory(row) // one without a time is as old as its neighbours
		if err != nil {
			return false, err
		}
		if _, ok := parseHistoryKey(last.id, h.key); ok && h.at.Before(before) {
			old = append(old, h.key)
		}
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	all := slices.Clone(old)
	for _, d := range days {
		if d.former != "" {
			all = append(all, d.former)
		}
	}
	for _, d := range days {
		all = append(all, d.key())
	}
	for part := range slices.Chunk(all, maxOperations) {
		if err := s.deleteRows(ctx, "deleting old history", partitionKey(last.id), part); err != nil {
			return min(deleted, len(old)), err
		}
		deleted += len(part)
	}
	return len(old), nil
}

// addHistory adds the history row of c, and that of its day.
func (c *change) addHistory(t *transaction, d drift) error {
	if len(c.events) == 0 {
		return nil
	}
	properties, at, err := encodeHistory(append(d.history, c.events...))
	if err != nil {
		return err
	}
	kind := aztables.TransactionTypeAdd
	if d.historyETag != "" {
		kind = aztables.TransactionTypeUpdateMerge
	}
	t.add(kind, historyKey(c.rec.ID, c.version), d.historyETag, properties)
	last := map[string]any{"version": fmt.Sprint(c.version)}
	if former := c.addFormer(t); former != "" {
		last["former"] = former
	}
	t.add(aztables.TransactionTypeInsertReplace, dayKey(at, c.rec.ID), "", last)
	c.addRuns(t)
	return c.addAudit(t)
}
