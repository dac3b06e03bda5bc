package tablestore

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// The rows of what a person or a caller has begun and not finished: authorizations, and requests
// that may come again. Nothing else sorts between the two prefixes, so that one query
// finds whatever was left behind.
const (
	pendingPrefix = "oauth-"
	oncePrefix    = "once-"
	onceEnd       = "once."
	// idempotency is what the keys of requests begin with (functions/connections).
	idempotency = "idem-"
	// pruned is how many old rows one new row takes along.
	pruned = 20
	// maxPending leaves room for base64 within a property.
	maxPending = 20 << 10
)

// pendingRow is such a row as it is stored.
type pendingRow struct {
	Value   string    `json:"value"` // base64, so that it may hold anything
	Expires time.Time `json:"expires"`
}

// pendingKey returns the row key of what is put under key.
func pendingKey(key string) string {
	if request, ok := strings.CutPrefix(key, idempotency); ok {
		return oncePrefix + request
	}
	return pendingPrefix + key
}

// Pending returns what was put under key and its ETag, also after it has expired, if
// it is still there. [serviceerror.ErrNotFound] otherwise.
func (s *Store) Pending(ctx context.Context, key string) (value []byte, etag string, err error) {
	row, found, e := s.get(ctx, "reading a pending authorization", partitionKey(key), pendingKey(key))
	if e != nil {
		return nil, "", e
	}
	if !found {
		return nil, "", serviceerror.ErrNotFound
	}
	var stored pendingRow
	if err := decodeRow(row.Value, &stored); err != nil {
		return nil, "", err
	}
	value, err = base64.StdEncoding.DecodeString(stored.Value)
	if err != nil {
		return nil, "", fmt.Errorf("reading a pending authorization: its value is not base64")
	}
	return value, string(row.ETag), nil
}

// PutPending writes what is under key if its ETag is etag, and returns the new one.
// An empty etag means that there must be nothing yet. Otherwise the error is
// [serviceerror.ErrExists] or [serviceerror.ErrConflict]. The value has at most 20 KiB.
//
// Nothing reads expired rows, and Azure deletes none by itself. Each new row therefore
// deletes some that have expired and lie near it; that this fails is no failure.
func (s *Store) PutPending(ctx context.Context, key string, value []byte, expires time.Time, etag string) (string, error) {
	const op = "writing a pending authorization"
	if !validID.MatchString(key) || len(value) > maxPending {
		return "", refused(op, "OutOfRangeInput", "a pending authorization needs a key of letters and digits and a value of at most 20 KiB")
	}
	body, err := json.Marshal(struct {
		PartitionKey string
		RowKey       string
		pendingRow
	}{partitionKey(key), pendingKey(key), pendingRow{base64.StdEncoding.EncodeToString(value), expires.UTC()}})
	if err != nil {
		return "", refused(op, "InvalidInput", "the row is not JSON")
	}
	if etag == "" {
		return s.addPending(ctx, op, partitionKey(key), body)
	}
	condition := azcore.ETag(etag)
	answer, err := s.table.UpdateEntity(once(ctx), body,
		&aztables.UpdateEntityOptions{IfMatch: &condition, UpdateMode: aztables.UpdateModeReplace})
	e := outcome(op, write, err)
	switch {
	case e == nil:
		return string(answer.ETag), nil
	case e.Status == http.StatusPreconditionFailed || e.Status == http.StatusNotFound:
		return "", fmt.Errorf("%s: %w", op, serviceerror.ErrConflict)
	}
	return "", e
}

func (s *Store) addPending(ctx context.Context, op, partition string, body []byte) (etag string, err error) {
	e := s.withTable(ctx, func() *serviceerror.Error {
		answer, err := s.table.AddEntity(once(ctx), body, nil)
		etag = string(answer.ETag)
		return outcome(op, write, err)
	})
	switch {
	case e == nil:
		s.prunePending(ctx, partition)
		return etag, nil
	case e.Status == http.StatusConflict:
		return "", fmt.Errorf("%s: %w", op, serviceerror.ErrExists)
	}
	return "", e
}

// prunePending deletes expired rows of a partition. Two calls that do so at once are not in
// each other's way, and what fails is done by the next one.
func (s *Store) prunePending(ctx context.Context, partition string) {
	now := s.now()
	var old []string
	_ = s.scan(ctx, "looking for expired authorizations", keyRange{partition, pendingPrefix, onceEnd},
		"RowKey,expires", maxPage, func(row []byte) (bool, error) {
			var stored struct {
				RowKey  string
				Expires time.Time `json:"expires"`
			}
			if err := decodeRow(row, &stored); err != nil {
				return false, err
			}
			if stored.Expires.Before(now) {
				old = append(old, stored.RowKey)
			}
			return len(old) < pruned, nil
		})
	for _, key := range old {
		if s.deleteExpired(ctx, partition, key, now) != nil {
			return
		}
	}
}

// deleteExpired deletes a row unless it was written again: an Idempotency-Key that comes
// back after a day is noted in its old row, and without that note its request would be
// carried out twice. Lists come without ETags (see noticeETag), so that the row is read
// once more, together with the ETag that the deletion names.
func (s *Store) deleteExpired(ctx context.Context, partition, key string, now time.Time) error {
	const op = "deleting an expired authorization"
	row, found, e := s.get(ctx, op, partition, key)
	if e != nil || !found {
		return plain(e)
	}
	var stored pendingRow
	if err := decodeRow(row.Value, &stored); err != nil || !stored.Expires.Before(now) {
		return err
	}
	_, err := s.table.DeleteEntity(once(ctx), partition, key, &aztables.DeleteEntityOptions{IfMatch: &row.ETag})
	e = outcome(op, write, err)
	if e != nil && (e.Status == http.StatusPreconditionFailed || e.Status == http.StatusNotFound) {
		return nil
	}
	return plain(e)
}
