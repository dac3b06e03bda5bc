package tablestore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/rotation"
)

// What a connection has removed is kept when the record goes, in the same transaction. The row
// lies beside the history, ends with its last day, and is found by the application.

const formerRows = "former-"

func formerPrefix(app string) string { return formerRows + digest(app) + "-" }

// addFormer adds the row of what is kept of a record that is removed, and returns its key;
// empty if nothing is. A removal without a line of history keeps nothing, since nothing would
// ever delete it.
func (c *change) addFormer(t *transaction) string {
	if c.kind != aztables.TransactionTypeDelete || len(c.events) == 0 {
		return ""
	}
	f, ok := c.rec.Former()
	if !ok {
		return ""
	}
	text, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	key := formerPrefix(c.rec.Target.Key()) + c.rec.ID
	t.add(aztables.TransactionTypeInsertReplace, key, "", map[string]any{"former": string(text)})
	return key
}

// Former returns what is kept of connections that are gone and rotated an application. It
// costs 16 queries.
func (s *Store) Former(ctx context.Context, app rotation.Application) ([]rotation.Former, error) {
	from := formerPrefix(app.Key())
	to := from[:len(from)-1] + "." // '.' follows '-'
	return everywhere(maxPage, func(shard int) (found []rotation.Former, err error) {
		err = s.scan(ctx, "looking for former connections", keyRange{shardKey(shard), from, to}, "RowKey,former", maxPage,
			func(row []byte) (bool, error) {
				f, err := decodeFormer(row)
				found = append(found, f)
				return err == nil, err
			})
		return found, err
	}, func(a, b rotation.Former) int { return cmp.Compare(a.ID, b.ID) })
}

func decodeFormer(row []byte) (f rotation.Former, err error) {
	var stored struct {
		Former string `json:"former"`
	}
	if err := decodeRow(row, &stored); err != nil {
		return f, err
	}
	if json.Unmarshal([]byte(stored.Former), &f) != nil {
		return f, errors.New("decoding a former connection: property former does not hold its JSON")
	}
	return f, nil
}
