package tablestore

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"golang.org/x/sync/errgroup"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/serviceerror"
)

func decodeApp(row []byte) (app inventory.Application, err error) {
	const what = "an application"
	if err := decodeContent(what, row, &app); err != nil {
		return inventory.Application{}, err
	}
	if key, err := rowKey(row); err != nil || key != appKey(app.Key) || !inventory.ValidID(app.TenantID) || !inventory.ValidID(app.ClientID) {
		return inventory.Application{}, errNotItsKey(what)
	}
	return app, nil
}

func decodeAccepted(row []byte) (accepted []inventory.Acceptance, err error) {
	err = decodeContent("what was accepted", row, &accepted)
	return accepted, err
}

// partitionsAtOnce is of how many partitions rows are read at the same time. Each holds a page of
// 1,000 rows in memory.
const partitionsAtOnce = 4

// Rows implements [scan.Store] and [catalog.Store]. It costs a query for each partition, and one more for 1,000
// rows. visit is never called twice at the same time.
func (v Inventory) Rows(ctx context.Context, tenantID string, visit func(catalog.Row) error) error {
	const op = "reading applications"
	if !inventory.ValidID(tenantID) {
		return nil
	}
	var (
		mu         sync.Mutex
		unreadable = UnreadableError{op: op}
		failed     error
	)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(partitionsAtOnce)
	prefix := appPrefix + tenantID
	for shard := range shards {
		all.Go(func() error {
			r := keyRange{shardKey(shard), prefix + "-", prefix + "."} // '.' follows '-'
			return v.rowsIn(ctx, op, r, maxPage, func(row *catalog.Row, broken error) error {
				mu.Lock()
				defer mu.Unlock()
				if broken != nil {
					unreadable.add(broken)
				}
				if row != nil && failed == nil {
					failed = visit(*row)
				}
				return failed
			})
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return unreadable.result()
}

// rowsIn calls visit for each application of a range, with what was accepted about it, which is
// in the row behind it. broken says what of it can't be read; row is nil if that is the
// application.
func (v Inventory) rowsIn(ctx context.Context, op string, r keyRange, top int,
	visit func(row *catalog.Row, broken error) error) error {
	var held *catalog.Row
	flush := func(broken error) error {
		row := held
		if held = nil; row == nil && broken == nil {
			return nil
		}
		return visit(row, broken)
	}
	err := v.s.scan(ctx, op, r, "", top, func(body []byte) (bool, error) {
		key, err := rowKey(body)
		if err != nil {
			return false, err
		}
		of, accepted, ok := parseAppKey(key)
		switch {
		case !ok:
			return true, nil
		case accepted && (held == nil || held.Key != of):
			return true, nil // its application can't be read
		case accepted:
			var broken error
			held.Accepted, broken = decodeAccepted(body)
			return true, flush(broken)
		}
		if err := flush(nil); err != nil {
			return false, err
		}
		app, broken := decodeApp(body)
		if broken != nil {
			return true, flush(broken)
		}
		held = &catalog.Row{Application: app}
		return true, nil
	})
	if err != nil {
		return err
	}
	return flush(nil)
}

// Row implements [catalog.Store]. It costs one query.
func (v Inventory) Row(ctx context.Context, key inventory.Key) (found catalog.Row, err error) {
	if !validKey(key) {
		return found, serviceerror.ErrNotFound
	}
	from := appKey(key)
	err = v.rowsIn(ctx, "reading an application", keyRange{appPartition(key), from, from + "~"}, 3, // '~' sorts behind what a key has
		func(row *catalog.Row, broken error) error {
			if row != nil {
				found = *row
			}
			return broken
		})
	if err == nil && found.ClientID == "" {
		err = serviceerror.ErrNotFound
	}
	return found, err
}

func validKey(key inventory.Key) bool {
	return inventory.ValidID(key.TenantID) && inventory.ValidID(key.ClientID)
}

// Accept implements [catalog.Store]. It costs two reads and a transaction. The transaction touches
// the application's row, so that nothing is accepted about one that is going at the same time.
func (v Inventory) Accept(ctx context.Context, key inventory.Key,
	change func([]inventory.Acceptance) ([]inventory.Acceptance, error)) error {
	const op = "accepting a finding"
	if !validKey(key) {
		return serviceerror.ErrNotFound
	}
	_, found, e := v.s.get(ctx, op, appPartition(key), appKey(key))
	if e != nil {
		return e
	}
	if !found {
		return serviceerror.ErrNotFound
	}
	was, there, e := v.s.get(ctx, op, appPartition(key), acceptedKey(key))
	if e != nil {
		return e
	}
	var accepted []inventory.Acceptance
	if there {
		var err error
		if accepted, err = decodeAccepted(was.Value); err != nil {
			return err
		}
	}
	accepted, err := change(accepted)
	if err != nil || len(accepted) == 0 && !there {
		return err
	}
	t := newTransaction(op, appPartition(key))
	t.add(aztables.TransactionTypeUpdateMerge, appKey(key), string(azcore.ETagAny), nil)
	if err := addAccepted(t, key, accepted, there, string(was.ETag)); err != nil {
		return err
	}
	_, e = v.s.submit(ctx, t)
	if e == nil || e.Status != http.StatusPreconditionFailed && e.Status != http.StatusNotFound && e.Status != http.StatusConflict {
		return plain(e)
	}
	if _, found, e := v.s.get(ctx, op, appPartition(key), appKey(key)); e == nil && !found {
		return serviceerror.ErrNotFound
	}
	return fmt.Errorf("%s: %w", op, serviceerror.ErrConflict)
}

// addAccepted writes what is accepted, or deletes the row if that is nothing.
func addAccepted(t *transaction, key inventory.Key, accepted []inventory.Acceptance, there bool, etag string) error {
	if len(accepted) == 0 {
		t.add(aztables.TransactionTypeDelete, acceptedKey(key), etag, nil)
		return nil
	}
	properties, e := encodeRow(t.op, accepted)
	if e != nil {
		return e
	}
	kind := aztables.TransactionTypeAdd
	if there {
		kind = aztables.TransactionTypeUpdateReplace
	}
	t.add(kind, acceptedKey(key), etag, properties)
	return nil
}

// Ending implements [catalog.Store]. It costs a query of keys for each partition, and more only
// where many of the ends lie in one, or where those of other tenants lie between them.
func (v Inventory) Ending(ctx context.Context, q catalog.EndQuery, limit int) (ends []catalog.End, more bool, err error) {
	const op = "listing ends"
	if limit <= 0 || q.TenantID != "" && !inventory.ValidID(q.TenantID) {
		return nil, false, nil
	}
	r := keyRange{from: endPrefix, to: endEnd}
	if from := roundUp(q.From); from.Year() > 9999 {
		return nil, false, nil
	} else if from.Year() >= 1 {
		r.from = endPrefix + from.Format(dueLayout)
	}
	if to := roundUp(q.To); !to.IsZero() && to.Year() <= 9999 {
		r.to = endPrefix + to.Format(dueLayout)
	}
	if q.After != nil {
		r.from = max(r.from, endKey(*q.After)+"!") // '!' sorts before whatever a key may go on with
	}
	at, more, err := v.s.merge(ctx, op, r, endPrefix, limit, func(at string) bool {
		end, ok := parseEndKey(endPrefix + at)
		return ok && (q.TenantID == "" || q.TenantID == end.TenantID)
	})
	if err != nil {
		return nil, false, err
	}
	for _, key := range at {
		end, _ := parseEndKey(endPrefix + key)
		ends = append(ends, end)
	}
	return ends, more, nil
}
