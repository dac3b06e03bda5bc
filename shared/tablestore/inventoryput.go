package tablestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"golang.org/x/sync/errgroup"

	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

const putting = "writing applications"

// Put implements [scan.Store]. Applications go into transactions of up to 100 rows, several
// partitions at once. What is there already is found out by a query for each partition, or by
// reads where there are few or they lie far apart, and is not written again. An application that is
// there and differs is read before it is written, and one that goes is read twice. So a caller who
// writes many in several calls does so in the order of client ids: then each query finds its own.
//
// An application and its rows by end are written in one transaction, which is conditional on the
// application's row being as it was read. If it does not fit, or if what is there is not what its
// row says, its rows are written one part after the other (see putSlowly).
func (v Inventory) Put(ctx context.Context, write []inventory.Application, gone []inventory.Key) (rows int, err error) {
	byPartition := map[string][]*appWrite{}
	seen := map[inventory.Key]bool{}
	add := func(w *appWrite) error {
		switch {
		case !validKey(w.key):
			return refused(putting, "OutOfRangeInput", "the ids of a tenant and of an application are GUIDs in lower case")
		case seen[w.key]:
			return refused(putting, "InvalidDuplicateRow", "an application is named twice")
		}
		seen[w.key] = true
		byPartition[appPartition(w.key)] = append(byPartition[appPartition(w.key)], w)
		return nil
	}
	for i := range write {
		if err := add(&appWrite{key: write[i].Key, app: &write[i]}); err != nil {
			return 0, err
		}
	}
	for _, key := range gone {
		if err := add(&appWrite{key: key}); err != nil {
			return 0, err
		}
	}
	var written atomic.Int64
	var all errgroup.Group
	all.SetLimit(loadAtOnce)
	for partition, writes := range byPartition {
		all.Go(func() error {
			p := putter{Inventory: v, partition: partition}
			err := p.put(ctx, writes)
			written.Add(int64(p.rows))
			return err
		})
	}
	err = all.Wait()
	return int(written.Load()), err
}

// putter writes applications of one partition.
type putter struct {
	Inventory
	partition string
	rows      int // written so far

	batch *transaction // of what waits
	waits []*appWrite
}

// fewReads is up to how many applications are read one by one.
const fewReads = 4

func (p *putter) put(ctx context.Context, writes []*appWrite) error {
	slices.SortFunc(writes, func(a, b *appWrite) int { return cmp.Compare(appKey(a.key), appKey(b.key)) })
	if len(writes) > fewReads {
		if err := p.compare(ctx, writes); err != nil {
			return err
		}
	}
	for _, w := range writes {
		if err := p.add(ctx, w); err != nil {
			return err
		}
	}
	return p.flush(ctx)
}

// rowsForOne is how many rows are read in a range to find one of the applications that are to be
// written. Where they lie thinner, reading them one by one is less.
const rowsForOne = 4

// compare finds out by a query which applications are there and the same. It reads no further
// than is worth it.
func (p *putter) compare(ctx context.Context, writes []*appWrite) error {
	r := keyRange{p.partition, appKey(writes[0].key), appKey(writes[len(writes)-1].key) + "!"}
	byKey := make(map[string]*appWrite, len(writes))
	for _, w := range writes {
		byKey[appKey(w.key)] = w
	}
	most, n, last := rowsForOne*len(writes), 0, ""
	err := p.s.scan(ctx, putting, r, "", most, func(row []byte) (more bool, err error) {
		if last, err = rowKey(row); err != nil {
			return false, err
		}
		if w := byKey[last]; w != nil {
			w.was.there = true
			if w.app != nil {
				w.was.same, err = w.isSame(row)
			}
		}
		n++
		return n < most, err
	})
	for _, w := range writes {
		w.was.known = n < most || appKey(w.key) <= last
	}
	return err
}

// add puts an application into the transaction that waits, or writes it by itself.
func (p *putter) add(ctx context.Context, w *appWrite) error {
	if w.was.there || !w.was.known {
		if err := p.read(ctx, w); err != nil {
			return err
		}
	}
	if w.done() {
		return nil
	}
	t, err := w.transaction(p.partition)
	if err != nil {
		return err
	}
	if t == nil {
		return p.putSlowly(ctx, w)
	}
	if p.batch == nil || !p.batch.join(t) {
		if err := p.flush(ctx); err != nil {
			return err
		}
		p.batch = t
	}
	p.waits = append(p.waits, w)
	return nil
}

// read finds out what is there of an application, unless it is known to be the same.
func (p *putter) read(ctx context.Context, w *appWrite) error {
	if w.was.same {
		return nil
	}
	w.was = formerApp{known: true}
	row, found, e := p.s.get(ctx, putting, p.partition, appKey(w.key))
	if e != nil || !found {
		return plain(e)
	}
	w.was.there, w.was.etag = true, string(row.ETag)
	app, err := decodeApp(row.Value)
	switch {
	case errors.Is(err, serviceerror.ErrNewerSchema):
		return err
	case err == nil:
		w.was.ends = endKeys(&app)
	}
	if w.app != nil {
		w.was.same, err = w.isSame(row.Value)
		return err
	}
	_, w.was.accepted, e = p.s.get(ctx, putting, p.partition, acceptedKey(w.key))
	return plain(e)
}

// flush sends the transaction that waits. If something is not as it was read, each of its
// applications is written by itself.
func (p *putter) flush(ctx context.Context) error {
	t, waits := p.batch, p.waits
	if p.batch, p.waits = nil, nil; t == nil {
		return nil
	}
	_, e := p.s.submit(ctx, t)
	if e == nil {
		p.rows += len(t.actions)
		return nil
	}
	if !isDrift(e) {
		return e
	}
	for _, w := range waits {
		if err := p.putSlowly(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// isDrift reports whether a transaction was refused because a row is not what it was taken for.
func isDrift(e *serviceerror.Error) bool {
	return e.Status == http.StatusPreconditionFailed || e.Status == http.StatusConflict ||
		e.Status == http.StatusNotFound && e.Code != string(aztables.TableNotFound)
}

// putSlowly writes an application in several steps: its rows by end, all of them, whatever is
// there; then it deletes those that it has no more; and its own row last. So the row stays what
// it was until everything else is done, and doing it again does the same.
//
// If Rekey dies in between, the order of ends has the credentials that are there by now, and may
// lack those that are there no more; an end that its application's row does not have says
// nothing. Put does the rest when it is called again. Only if it never is, since the scan was
// given up, and the credential is gone by the next one, is a row by end left that means nothing.
func (p *putter) putSlowly(ctx context.Context, w *appWrite) error {
	for range contention {
		w.was = formerApp{}
		if err := p.read(ctx, w); err != nil || w.done() {
			return err
		}
		is := w.ends()
		for part := range slices.Chunk(is, maxOperations) {
			t := newTransaction(putting, p.partition)
			for _, key := range part {
				t.add(aztables.TransactionTypeInsertReplace, key, "", nil)
			}
			if _, e := p.s.submit(ctx, t); e != nil {
				return e
			}
			p.rows += len(part)
		}
		for part := range slices.Chunk(without(w.was.ends, is), maxOperations) {
			if err := p.s.deleteRows(ctx, putting, p.partition, part); err != nil {
				return err
			}
			p.rows += len(part)
		}
		t, err := w.rowTransaction(p.partition)
		if err != nil {
			return err
		}
		_, e := p.s.submit(ctx, t)
		if e == nil {
			p.rows += len(t.actions)
			return nil
		}
		if !isDrift(e) {
			return e
		}
	}
	return fmt.Errorf("%s: %w", putting, serviceerror.ErrConflict)
}
