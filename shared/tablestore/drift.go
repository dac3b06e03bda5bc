package tablestore

import (
	"context"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/rotation"
)

// drift is what differs between the rows that a record says exist and those that
// do. Transactions leave none; a row that a person deleted or restored does. It
// must not wedge the connection: without looking, every commit would be refused
// as a conflict, for ever. Since all these rows change only together with the
// record's, its ETag guards what was seen here until the transaction is done.
type drift struct {
	looked      bool            // this is not just the zero value
	oldGone     bool            // the wake-up to delete is not there
	newThere    bool            // the wake-up to insert is there
	unindexed   map[string]bool // by key: the row of the index to delete is not there
	history     []rotation.Event
	historyETag string          // not empty: the history row is there, with history in it
	notices     map[string]bool // by key: the notice is there
}

// look finds out why a transaction met a row that is missing or exists already. It
// answers [serviceerror.ErrConflict], or [serviceerror.ErrExists] for a new record, if that
// is the record's own row.
func (s *Store) look(ctx context.Context, c change) (drift, error) {
	op := c.op + ": looking for drift"
	pk := partitionKey(c.rec.ID)
	row, found, e := s.get(ctx, op, pk, connectionKey(c.rec.ID))
	switch {
	case e != nil:
		return drift{}, e
	case c.kind == aztables.TransactionTypeAdd && found:
		return drift{}, serviceerror.ErrExists
	case c.kind != aztables.TransactionTypeAdd && (!found || string(row.ETag) != c.rec.Handle.ETag):
		return drift{}, serviceerror.ErrConflict
	}
	d := drift{looked: true}
	if was := roundUp(c.rec.Handle.Wake); !was.IsZero() {
		if _, found, e = s.get(ctx, op, pk, dueKey(was, c.rec.ID)); e != nil {
			return drift{}, e
		}
		d.oldGone = !found
	}
	if is := c.rec.WakeAt; !is.IsZero() {
		if _, d.newThere, e = s.get(ctx, op, pk, dueKey(is, c.rec.ID)); e != nil {
			return drift{}, e
		}
	}
	if err := s.lookIndex(ctx, op, c, &d); err != nil {
		return drift{}, err
	}
	row, found, e = s.get(ctx, op, pk, historyKey(c.rec.ID, c.version))
	if e != nil {
		return drift{}, e
	}
	if found {
		h, err := decodeHistory(row.Value)
		if err != nil {
			return drift{}, err
		}
		d.history, d.historyETag = h.events, string(row.ETag)
	}
	var err error
	d.notices, err = s.lookNotices(ctx, op, c)
	return d, err
}
