package tablestore

import (
	"errors"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// appWrite is an application that is to be written, or to go.
type appWrite struct {
	key inventory.Key
	app *inventory.Application // nil: it goes

	was formerApp
}

// formerApp is what is there of an application.
type formerApp struct {
	known    bool // it was looked for
	there    bool
	same     bool   // it is what would be written
	etag     string // empty: it was in a list
	ends     []string
	accepted bool // there is a row of what was accepted
}

// isSame reports whether a row holds what would be written. One that can't be read is another
// one, unless its schema is newer.
func (w *appWrite) isSame(row []byte) (bool, error) {
	theirs, err := rowContent("an application", row)
	if errors.Is(err, serviceerror.ErrNewerSchema) {
		return false, err
	}
	ours, e := encodeContent(putting, w.app.Storable())
	if e != nil {
		return false, e
	}
	return err == nil && string(ours) == string(theirs), nil
}

// done reports whether nothing has to be written.
func (w *appWrite) done() bool { return w.app == nil && !w.was.there || w.app != nil && w.was.same }

// ends returns the keys of the rows by end that are to be there.
func (w *appWrite) ends() []string {
	if w.app == nil {
		return nil
	}
	return endKeys(w.app)
}

// without returns the keys that are not among those of other.
func without(keys, other []string) []string {
	in := make(map[string]bool, len(other))
	for _, key := range other {
		in[key] = true
	}
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return in[key] })
}

// transaction returns all that has to be written of an application; nil if that is more than one
// transaction may have.
func (w *appWrite) transaction(partition string) (*transaction, error) {
	is := w.ends()
	added, removed := without(is, w.was.ends), without(w.was.ends, is)
	if 2+len(added)+len(removed) > maxOperations {
		return nil, nil
	}
	t, err := w.rowTransaction(partition)
	if err != nil {
		return nil, err
	}
	for _, key := range added {
		t.add(aztables.TransactionTypeInsertReplace, key, "", nil)
	}
	for _, key := range removed {
		t.add(aztables.TransactionTypeDelete, key, string(azcore.ETagAny), nil)
	}
	return t, plain(t.err)
}

// rowTransaction writes or deletes the application's own row, and deletes what was accepted about
// one that goes.
func (w *appWrite) rowTransaction(partition string) (*transaction, error) {
	t := newTransaction(putting, partition)
	if w.app == nil {
		t.add(aztables.TransactionTypeDelete, appKey(w.key), w.was.etag, nil)
		if w.was.accepted {
			t.add(aztables.TransactionTypeDelete, acceptedKey(w.key), string(azcore.ETagAny), nil)
		}
		return t, plain(t.err)
	}
	properties, e := encodeRow(putting, w.app.Storable())
	if e != nil {
		return nil, e
	}
	kind := aztables.TransactionTypeAdd
	if w.was.there {
		kind = aztables.TransactionTypeUpdateReplace
	}
	t.add(kind, appKey(w.key), w.was.etag, properties)
	return t, plain(t.err)
}
