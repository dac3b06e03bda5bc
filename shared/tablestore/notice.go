package tablestore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/notice"
)

var _ notice.Store = (*Store)(nil)

// Notices lie in their connection's partition, the oldest first. Their key is also the
// id by which receivers tell them apart.
const (
	noticePrefix = "evt-"
	noticeEnd    = "evt."
)

// noticeKey ends in the version of the record and the place among the events of its
// commit, so that a commit that is repeated writes the same key.
func noticeKey(at time.Time, id string, version int64, place int) string {
	return fmt.Sprintf("%s%s-%s-%019d-%02d", noticePrefix, at.UTC().Format(dueLayout), id, version, place)
}

// parseNoticeKey returns what of a notice is in its key alone.
func parseNoticeKey(key string) (n notice.Notice, ok bool) {
	_, rest, ok := cutTime(key, noticePrefix)
	rest, place, ok1 := cutLast(rest)
	rest, version, ok2 := cutLast(rest)
	var err1, err2 error
	n.Place, err1 = strconv.Atoi(place)
	n.Version, err2 = strconv.ParseInt(version, 10, 64)
	n.ID, n.Connection = key, rest
	return n, ok && ok1 && ok2 && err1 == nil && err2 == nil && len(version) == 19 && n.Place >= 0 && validID.MatchString(rest)
}

// cutLast splits s at its last hyphen.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// noticeRow is a notice as it is stored, without what its key says.
type noticeRow struct {
	Name     string             `json:"name"`
	Project  string             `json:"project"`
	TenantID string             `json:"tenantId"`
	ClientID string             `json:"clientId"`
	Kind     string             `json:"kind"`
	At       time.Time          `json:"at"`
	RunID    string             `json:"runId"`
	KeyID    string             `json:"keyId"`
	Class    serviceerror.Class `json:"class"`
	Message  string             `json:"message"`
	Via      string             `json:"via"`
	ScanID   string             `json:"scanId"`
	Until    time.Time          `json:"until"`
	Tries    int                `json:"tries"`
}

// addNotices puts the notices among c's events into the transaction. Each is smaller
// than its part of the history row, so that none can break a limit which that keeps.
func (c *change) addNotices(t *transaction, d drift) {
	if !c.notices {
		return
	}
	for i, e := range c.events {
		key := noticeKey(e.At, c.rec.ID, c.version, i)
		if !e.Notice || d.notices[key] {
			continue
		}
		of := e.Of(&c.rec)
		properties := map[string]any{
			"name": c.rec.Name, "project": c.rec.Project, "tenantId": of.TenantID, "clientId": of.ClientID,
			"kind": e.Kind, "at": e.At.UTC().Format(time.RFC3339Nano), "runId": e.RunID, "keyId": e.KeyID,
			"class": string(e.Class), "message": e.Message,
		}
		t.add(aztables.TransactionTypeAdd, key, "", properties)
	}
}

// lookNotices finds notices of c that are there already. They can only be of another
// life of the connection, before a person restored its record from a backup: what this
// commit would add says the same.
func (s *Store) lookNotices(ctx context.Context, op string, c change) (map[string]bool, error) {
	there := map[string]bool{}
	if !c.notices {
		return there, nil
	}
	for i, e := range c.events {
		if !e.Notice {
			continue
		}
		key := noticeKey(e.At, c.rec.ID, c.version, i)
		_, found, err := s.get(ctx, op, partitionKey(c.rec.ID), key)
		if err != nil {
			return nil, err
		}
		there[key] = found
	}
	return there, nil
}

// Undelivered implements [notice.Store]. It sends one range query per partition, all at
// once, and more only if there are more than 1,000 notices in one.
//
// If some partitions fail, what the others have is returned together with the error.
func (s *Store) Undelivered(ctx context.Context, limit int) ([]notice.Notice, error) {
	return everywhere(limit, func(shard int) ([]notice.Notice, error) { return s.undeliveredIn(ctx, shard, limit) },
		func(a, b notice.Notice) int {
			return cmp.Compare(a.ID, b.ID) // begins with the time
		})
}

func (s *Store) undeliveredIn(ctx context.Context, shard, limit int) ([]notice.Notice, error) {
	var notices []notice.Notice
	var broken error
	r := keyRange{shardKey(shard), noticePrefix, noticeEnd}
	err := s.scan(ctx, "looking for notices", r, "", limit, func(row []byte) (bool, error) {
		n, ours, err := decodeNotice(row)
		if err != nil {
			broken = err // the others can be delivered all the same
		} else if ours {
			notices = append(notices, n)
		}
		return len(notices) < limit, nil
	})
	return notices, errors.Join(err, broken)
}

// decodeNotice reads a row; ours is false if Rekey did not put it there.
func decodeNotice(row []byte) (n notice.Notice, ours bool, err error) {
	key, err := rowKey(row)
	if err != nil {
		return n, false, err
	}
	if n, ours = parseNoticeKey(key); !ours {
		return n, false, nil
	}
	var stored noticeRow
	if err := decodeRow(row, &stored); err != nil {
		return n, false, err
	}
	n.Name, n.Project, n.TenantID, n.ClientID = stored.Name, stored.Project, stored.TenantID, stored.ClientID
	n.Kind, n.At, n.RunID, n.KeyID, n.Class, n.Message = stored.Kind, stored.At, stored.RunID, stored.KeyID, stored.Class, stored.Message
	n.Via, n.ScanID, n.Until, n.Tries = stored.Via, stored.ScanID, stored.Until, stored.Tries
	return n, true, nil
}

// Postpone implements [notice.Store].
func (s *Store) Postpone(ctx context.Context, n notice.Notice, until time.Time, tries int) (notice.Notice, error) {
	const op = "postponing a notice"
	condition, err := s.noticeETag(ctx, op, n)
	if err != nil {
		return n, err
	}
	body, err := json.Marshal(map[string]any{
		"PartitionKey": partitionKey(n.Connection), "RowKey": n.ID,
		"until": until.UTC().Format(time.RFC3339Nano), "tries": tries,
	})
	if err != nil {
		return n, refused(op, "InvalidInput", "the row is not JSON")
	}
	answer, err := s.table.UpdateEntity(once(ctx), body,
		&aztables.UpdateEntityOptions{IfMatch: &condition, UpdateMode: aztables.UpdateModeMerge})
	if e := outcome(op, write, err); e != nil {
		return n, conflict(op, e)
	}
	n.ETag, n.Until, n.Tries = string(answer.ETag), until.UTC(), tries
	return n, nil
}

// Delivered implements [notice.Store].
func (s *Store) Delivered(ctx context.Context, n notice.Notice) error {
	const op = "deleting a notice"
	condition, err := s.noticeETag(ctx, op, n)
	if err != nil {
		return err
	}
	_, err = s.table.DeleteEntity(once(ctx), partitionKey(n.Connection), n.ID, &aztables.DeleteEntityOptions{IfMatch: &condition})
	if e := outcome(op, write, err); e != nil {
		return conflict(op, e)
	}
	return nil
}

// noticeETag returns the condition for a write of n. Lists come without ETags (Payload
// format for Table service operations, minimal metadata), so that for a notice of a list
// it is read, together with what must not have changed since.
func (s *Store) noticeETag(ctx context.Context, op string, n notice.Notice) (azcore.ETag, error) {
	changed := fmt.Errorf("%s: %w", op, serviceerror.ErrConflict)
	if n.ETag != "" {
		return azcore.ETag(n.ETag), nil
	}
	if !keyAllowed(n.ID) {
		return "", changed
	}
	row, found, e := s.get(ctx, op, partitionKey(n.Connection), n.ID)
	if e != nil {
		return "", e
	}
	if !found {
		return "", changed
	}
	is, _, err := decodeNotice(row.Value)
	if err != nil {
		return "", err
	}
	if is.Tries != n.Tries || !is.Until.Equal(n.Until) {
		return "", changed
	}
	return row.ETag, nil
}

// conflict turns the refusal of a condition into [serviceerror.ErrConflict].
func conflict(op string, e *serviceerror.Error) error {
	if e.Status == http.StatusPreconditionFailed || e.Status == http.StatusNotFound {
		return fmt.Errorf("%s: %w", op, serviceerror.ErrConflict)
	}
	return e
}
