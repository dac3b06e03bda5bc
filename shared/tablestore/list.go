package tablestore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"rekey/shared/index"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// listedAt is the end of the keys of lists: it sorts as the name does, and by the id among equal names. A
// hyphen becomes two characters, so that a name ends before whatever another one goes on with.
// Of a name that is too long, which the API does not make, there is only the beginning.
func listedAt(name, id string) string {
	for n := min(len(name), maxEncoded); ; n-- {
		if text := strings.ReplaceAll(encode(name[:n]), "-", "-1"); len(text) <= maxEncoded {
			return text + "-0" + id
		}
	}
}

// parseListed is the reverse of listedAt. It says no to any other key, behind which a list could
// not go on.
func parseListed(key string) (name, id string, ok bool) {
	text, id, _ := strings.Cut(key, "-0")
	name, err := url.PathUnescape(strings.NewReplacer("-1", "-", "_", "%").Replace(text))
	return name, id, err == nil && validID.MatchString(id) && listedAt(name, id) == key
}

// Page returns the records that q asks for, in order, and what to ask for next; nil if there is
// nothing more. It may return fewer than q.Limit, even none, with more to come. A page costs 16
// queries and a read for each record on it, however many there are; more queries only if by chance
// many of its records are in one partition. See [Store.search] and [Store.urgent] for what else it
// may cost.
//
// A row that can't be read is left out, as by [Store.List].
func (s *Store) Page(ctx context.Context, q index.Query) (records []rotation.Record, next *index.Query, err error) {
	find := s.names
	switch {
	case !q.Attention.IsZero():
		find = s.urgent
	case q.Searches():
		find = s.search
	}
	at, after, err := find(ctx, q, pageLimit(q.Limit))
	if err != nil {
		return nil, nil, fmt.Errorf("listing records: %w", err)
	}
	found, err := s.loadAll(ctx, at)
	if _, left := errors.AsType[*UnreadableError](err); err != nil && !left {
		return nil, nil, fmt.Errorf("listing records: %w", err)
	}
	for i, key := range at {
		// It may have gone, or be something else by now.
		if rec := found[i]; rec != nil && listedAt(rec.Name, rec.ID) == key && q.Finds(new(index.Of(rec))) {
			records = append(records, *rec)
		}
	}
	if after != "" {
		q.AfterName, q.AfterID, _ = parseListed(after)
		next = &q
	}
	return records, next, err
}

// names returns the ends of the keys on a page, and the one behind which the next page begins; empty
// if there is none.
func (s *Store) names(ctx context.Context, q index.Query, limit int) (at []string, after string, err error) {
	r, prefix := nameRange(&q)
	at, more, err := s.merge(ctx, "listing names", r, prefix, limit, isListed)
	if err == nil && more {
		after = at[len(at)-1]
	}
	return at, after, err
}

func isListed(at string) bool {
	_, _, ok := parseListed(at)
	return ok
}

// nameRange is the range of keys that a query has to look through, and their prefix.
func nameRange(q *index.Query) (r keyRange, prefix string) {
	prefix = kind(q.Targets) + listPrefix
	if q.Project != nil {
		prefix = kind(q.Targets) + projectList(*q.Project)
	}
	r.from, r.to = prefix, prefix[:len(prefix)-1]+"." // '.' follows '-'
	if q.Name != "" {
		r.from, r.to = prefix+listedAt(q.Name, ""), prefix+listedAt(q.Name, "")+"~" // '~' sorts behind what an id has
	}
	if q.AfterID != "" {
		r.from = max(r.from, prefix+listedAt(q.AfterName, q.AfterID)+"!") // '!' sorts before whatever an id may go on with
	}
	return r, prefix
}

// merge returns the first limit keys of a range that lies in every partition, in order and
// without their prefix, and whether there are more. It leaves out those that keep says no to. It
// costs 16 queries of keys, all at once, and more only if many of them lie in one partition.
func (s *Store) merge(ctx context.Context, op string, r keyRange, prefix string, limit int,
	keep func(at string) bool) (at []string, more bool, err error) {
	var sources [shards]source
	var all errgroup.Group
	for shard := range shards {
		sources[shard] = source{store: s, op: op, keys: keyRange{shardKey(shard), r.from, r.to}, prefix: prefix, keep: keep, top: limit/8 + 4}
		all.Go(func() error { return sources[shard].fill(ctx) })
	}
	if err := all.Wait(); err != nil {
		return nil, false, err
	}
	for {
		first := -1
		for i := range sources {
			for len(sources[i].at) == 0 && !sources[i].ended {
				if err := sources[i].fill(ctx); err != nil {
					return nil, false, err
				}
			}
			if len(sources[i].at) > 0 && (first < 0 || sources[i].at[0] < sources[first].at[0]) {
				first = i
			}
		}
		if first < 0 || len(at) == limit {
			return at, first >= 0, nil
		}
		at, sources[first].at = append(at, sources[first].at[0]), sources[first].at[1:]
	}
}

// source is a part of a list that lies in one partition.
type source struct {
	store  *Store
	op     string
	keys   keyRange
	prefix string
	keep   func(at string) bool
	top    int // how many to read at a time
	at     []string
	ended  bool
}

// fill reads the next ones, twice as many each time.
func (s *source) fill(ctx context.Context) error {
	s.top = min(s.top, maxPage)
	n, last := 0, ""
	err := s.store.scan(ctx, s.op, s.keys, keys, s.top, func(row []byte) (bool, error) {
		key, err := rowKey(row)
		if err != nil {
			return false, err
		}
		if at := strings.TrimPrefix(key, s.prefix); s.keep(at) {
			s.at = append(s.at, at)
		}
		n, last = n+1, key
		return n < s.top, nil
	})
	s.ended, s.keys.from, s.top = n < s.top, last+"!", 2*s.top
	return err
}

// loadAtOnce is how many records are read at the same time: as many as the transport keeps
// connections for.
const loadAtOnce = 10

// loadAll reads records by the ends of their keys; nil for one that is gone or can't be read, of
// which the error tells.
func (s *Store) loadAll(ctx context.Context, at []string) ([]*rotation.Record, error) {
	found := make([]*rotation.Record, len(at))
	var (
		mu         sync.Mutex
		unreadable UnreadableError
		all        errgroup.Group
	)
	all.SetLimit(loadAtOnce)
	for i, key := range at {
		all.Go(func() error {
			_, id, _ := parseListed(key)
			rec, err := s.Load(ctx, id)
			var failed *serviceerror.Error
			switch {
			case err == nil:
				rec.Handle = rotation.Handle{}
				found[i] = &rec
			case errors.Is(err, serviceerror.ErrNotFound):
			case errors.As(err, &failed):
				return err
			default:
				mu.Lock()
				defer mu.Unlock()
				unreadable.add(err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	return found, unreadable.result()
}
