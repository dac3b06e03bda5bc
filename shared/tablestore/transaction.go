package tablestore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf16"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// The limits of the Table service. The emulator that many people use lets more
// through, so that they are checked here, where a mistake shows before it reaches
// Azure.
const (
	maxOperations    = 100
	maxTransaction   = 4 << 20
	maxEntityBytes   = 1 << 20
	maxPropertyBytes = 64 << 10 // UTF-16: 32,768 characters
	maxProperties    = 255 - 3  // the two keys and the timestamp count
	partOverhead     = 1 << 10  // of an operation's own header within a transaction
	maxKey           = 1024 / 2 // characters
)

// transaction is an entity-group transaction that is being put together. All its
// rows are in one partition.
type transaction struct {
	op        string // what it is, for errors
	partition string
	actions   []aztables.TransactionAction
	keys      map[string]bool
	size      int
	err       *serviceerror.Error // the first limit that was broken
}

func newTransaction(op, partition string) *transaction {
	return &transaction{op: op, partition: partition, keys: map[string]bool{}}
}

// add appends one operation on the row rk. The SDK takes an update without a
// condition for an upsert, so that etag is required for all but inserts, and for upserts
// that are meant: the row is overwritten whatever is in it.
func (t *transaction) add(kind aztables.TransactionType, rk, etag string, properties map[string]any) {
	if t.err != nil {
		return
	}
	entity := maps.Clone(properties)
	if entity == nil {
		entity = map[string]any{}
	}
	for name, value := range properties {
		if _, ok := value.([]byte); ok {
			entity[name+"@odata.type"] = "Edm.Binary" // JSON writes it as base64
		}
	}
	entity["PartitionKey"], entity["RowKey"] = t.partition, rk
	body, err := json.Marshal(entity)
	if err != nil {
		t.err = refused(t.op, "InvalidInput", "the row is not JSON")
		return
	}
	a := aztables.TransactionAction{ActionType: kind, Entity: body}
	if etag != "" {
		a.IfMatch = new(azcore.ETag(etag))
	}
	t.size += len(body) + partOverhead
	t.check(kind, rk, etag, properties)
	t.keys[rk] = true
	t.actions = append(t.actions, a)
}

// check notes the first limit that adding this operation breaks.
func (t *transaction) check(kind aztables.TransactionType, rk, etag string, properties map[string]any) {
	fail := func(code, format string, args ...any) {
		if t.err == nil {
			t.err = refused(t.op, code, fmt.Sprintf(format, args...))
		}
	}
	if !keyAllowed(rk) {
		fail("OutOfRangeInput", "a row key has characters other than A-Z a-z 0-9 _ -, or more than %d", maxKey)
	}
	if t.keys[rk] {
		fail("InvalidDuplicateRow", "a row occurs twice in one transaction")
	}
	if etag == "" && kind != aztables.TransactionTypeAdd && kind != aztables.TransactionTypeInsertReplace {
		fail("MissingRequiredHeader", "a write without a condition")
	}
	if len(t.actions) >= maxOperations {
		fail("InvalidInput", "a transaction has at most %d operations", maxOperations)
	}
	if t.size > maxTransaction {
		fail("RequestBodyTooLarge", "a transaction has at most 4 MiB")
	}
	if len(properties) > maxProperties {
		fail("TooManyProperties", "a row has at most %d properties", maxProperties)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		n := 8
		switch value := properties[name].(type) {
		case string:
			n = 2 * len(utf16.Encode([]rune(value)))
		case []byte:
			n = len(value)
		}
		if n > maxPropertyBytes {
			fail("PropertyValueTooLarge", "property %s has %d KiB, at most 64 are allowed", name, n>>10)
		}
		total += n + 2*len(name) + 8
	}
	if total > maxEntityBytes {
		fail("EntityTooLarge", "the row has %d KiB, at most 1024 are allowed", total>>10)
	}
}

// join appends what u has, if both fit into one transaction.
func (t *transaction) join(u *transaction) bool {
	if t.err != nil || u.err != nil || len(t.actions)+len(u.actions) > maxOperations || t.size+u.size > maxTransaction {
		return false
	}
	t.actions, t.size = append(t.actions, u.actions...), t.size+u.size
	maps.Copy(t.keys, u.keys)
	return true
}

// keyAllowed reports whether a key consists of what Rekey puts into keys.
func keyAllowed(key string) bool {
	other := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	return key != "" && len(key) <= maxKey && !strings.ContainsFunc(key, other)
}

// submit sends t once. It returns the ETags that the answer shows, one for each
// operation, each empty if the service did not say. The error has the status and
// code of the operation that failed.
func (s *Store) submit(ctx context.Context, t *transaction) (etags []string, e *serviceerror.Error) {
	if t.err != nil {
		return nil, t.err
	}
	e = s.withTable(ctx, func() *serviceerror.Error {
		answer := &batchAnswer{}
		_, err := s.table.SubmitTransaction(context.WithValue(once(ctx), batchAnswerKey{}, answer), t.actions, nil)
		switch {
		case answer.failed != 0:
			return answered(t.op, write, answer.failed, answer.code, answer.header)
		case err != nil:
			return outcome(t.op, write, err)
		case len(answer.etags) != len(t.actions):
			// Less was confirmed than was asked for.
			return &serviceerror.Error{Op: t.op, Class: serviceerror.Transient, Status: http.StatusAccepted, UnknownOutcome: true}
		}
		etags = answer.etags
		return nil
	})
	return etags, e
}
