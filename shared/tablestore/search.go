package tablestore

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rekey/shared/index"
)

// searched is how many rows of each partition one page of a search looks at.
const searched = maxPage

// search is [Store.names] for a text or a state: it looks through the list. It costs 16 queries,
// which look at 1,000 rows of each partition at most, and stop as soon as the page is full.
//
// Each partition is looked through up to a row of its own. What lies behind the first of these rows
// is left for the next page, which begins there: a row of another partition may come before it.
func (s *Store) search(ctx context.Context, q index.Query, limit int) (at []string, after string, err error) {
	r, prefix := nameRange(&q)
	var (
		parts [shards][]string
		ends  [shards]string // the last row that was looked at; empty: there are no more
		all   errgroup.Group
	)
	for shard := range shards {
		all.Go(func() (err error) {
			parts[shard], ends[shard], err = s.searchIn(ctx, keyRange{shardKey(shard), r.from, r.to}, prefix, &q, limit)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, "", err
	}
	for _, end := range ends {
		if after == "" || end != "" && end < after {
			after = end
		}
	}
	at = slices.Concat(parts[:]...)
	slices.Sort(at)
	if i, found := slices.BinarySearch(at, after); after != "" && !found {
		at = at[:i]
	} else if after != "" {
		at = at[:i+1]
	}
	if len(at) > limit {
		at, after = at[:limit], at[limit-1]
	}
	return at, after, nil
}

// searchIn looks through a part of a list that lies in one partition, and returns what q asks for and
// the last row that it looked at; empty if that was all of them.
func (s *Store) searchIn(ctx context.Context, r keyRange, prefix string, q *index.Query, limit int) (at []string, end string, err error) {
	looked, full := 0, false
	err = s.scan(ctx, "searching", r, searchedProperties, searched, func(body []byte) (bool, error) {
		row, err := readIndexRow(body)
		if err != nil {
			return false, err
		}
		key := strings.TrimPrefix(row.RowKey, prefix)
		e, ok := row.entry(key, q.Targets)
		if !ok {
			return true, nil // Rekey has not written it
		}
		if q.Project != nil {
			e.Project = *q.Project
		}
		if q.Finds(&e) {
			at = append(at, key)
		}
		end, looked = key, looked+1
		full = looked == searched || len(at) > limit
		return !full, nil
	})
	if !full {
		end = ""
	}
	return at, end, err
}

// storedIndexRow is a row of the index as a query returns it.
type storedIndexRow struct {
	RowKey string
	indexRow
}

func readIndexRow(body []byte) (row storedIndexRow, err error) {
	err = decodeRow(body, &row)
	return row, err
}

// entry returns what the row says of a record, whose place in a list is at; not ok: it is none.
func (r *storedIndexRow) entry(at string, targets bool) (e index.Entry, ok bool) {
	name, id, ok := parseListed(at)
	return index.Entry{ID: id, Name: name, Project: r.Project, Target: targets, Text: r.Text, States: r.States}, ok
}

// urgent is [Store.names] for what needs attention. It costs 16 queries, and one more for each
// thousand records of a partition that need it: as many as they are, they have to be put in order.
func (s *Store) urgent(ctx context.Context, q index.Query, limit int) (at []string, after string, err error) {
	prefix := kind(q.Targets) + attentionPrefix
	end := prefix + timeKey(q.Attention.Add(time.Second))
	behind := ""
	if q.AfterID != "" {
		behind = listedAt(q.AfterName, q.AfterID)
	}
	at, err = everywhere(math.MaxInt, func(shard int) (at []string, err error) {
		r := keyRange{shardKey(shard), prefix, end}
		err = s.scan(ctx, "looking for what needs attention", r, attentionProperties, maxPage, func(body []byte) (bool, error) {
			row, err := readIndexRow(body)
			if err != nil {
				return false, err
			}
			from, key, ok := cutTime(row.RowKey, prefix)
			e, listed := row.entry(key, q.Targets)
			e.Attention = from
			if ok && listed && key > behind && q.Finds(&e) {
				at = append(at, key)
			}
			return true, nil
		})
		return at, err
	}, strings.Compare)
	if at = slices.Compact(at); err != nil || len(at) <= limit {
		return at, "", err
	}
	return at[:limit], at[limit-1], nil
}

// counted is how many rows of each partition a count looks at.
const counted = maxPage

// Ahead returns when something rotates, and when what is rotated ends, from a moment on until another. It costs
// 32 queries, each of which counts 1,000 rows at most.
func (s *Store) Ahead(ctx context.Context, from, to time.Time) (ahead index.Ahead, err error) {
	due, dueWhole, err := s.moments(ctx, nextPrefix, from, to)
	if err != nil {
		return ahead, err
	}
	ends, endsWhole, err := s.moments(ctx, endsPrefix, from, to)
	if err != nil {
		return ahead, err
	}
	for _, at := range due {
		ahead.Due = append(ahead.Due, at.At)
	}
	ahead.Ends, ahead.Whole = ends, dueWhole && endsWhole
	return ahead, nil
}

// moments returns what is in a range of times; not whole if a partition has more than are counted.
func (s *Store) moments(ctx context.Context, prefix string, from, to time.Time) (all []index.End, whole bool, err error) {
	var more [shards]bool
	all, err = everywhere(math.MaxInt, func(shard int) (found []index.End, err error) {
		r := keyRange{shardKey(shard), prefix + timeKey(from), prefix + timeKey(to)}
		err = s.scan(ctx, "counting what is ahead", r, "RowKey,"+indexedCredential, counted, func(body []byte) (bool, error) {
			row, err := readIndexRow(body)
			if err != nil {
				return false, err
			}
			if at, _, ok := cutTime(row.RowKey, prefix); ok {
				found = append(found, index.End{At: at, Credential: row.Credential})
			}
			more[shard] = len(found) == counted
			return !more[shard], nil
		})
		return found, err
	}, func(a, b index.End) int { return a.At.Compare(b.At) })
	return all, !slices.Contains(more[:], true), err
}
