package rotationtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rekey/shared/audit"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// auditedAt sorts the newest first.
func auditedAt(at time.Time) string { return fmt.Sprintf("%020d", 500_000_000_000_000-at.UnixMilli()) }

func (s *MemoryStore) keepAudit(rec *rotation.Record, version int64, events []rotation.Event) {
	for i, e := range events {
		if line, ok := audit.Of(rec, e); ok {
			s.audited[fmt.Sprintf("%s %s-%019d-%02d", auditedAt(e.At), rec.ID, version, i)] = line
		}
	}
}

func (s storePort) WriteAudit(ctx context.Context, id string, e audit.Event) error {
	return s.p.write(ctx, "store.writeAudit", id, func() error {
		s.s.audited[auditedAt(e.At)+" "+id] = e
		return nil
	})
}

func (s storePort) Audit(ctx context.Context, q audit.Query) (events []audit.Event, next string, err error) {
	err = s.p.read(ctx, "store.audit", "", func() error {
		if q.Cursor != "" && !strings.Contains(q.Cursor, " ") {
			return &serviceerror.Error{Op: "reading the audit", Class: serviceerror.Invalid}
		}
		for _, key := range slices.Sorted(maps.Keys(s.s.audited)) {
			at, _, _ := strings.Cut(key, " ")
			if key <= q.Cursor || !q.To.IsZero() && at <= auditedAt(q.To) || !q.From.IsZero() && at > auditedAt(q.From) {
				continue
			}
			if len(events) == q.Limit {
				next = q.Cursor
				break
			}
			events, q.Cursor = append(events, s.s.audited[key]), key
		}
		return nil
	})
	return events, next, err
}

// oldAudit lists the keys of lines from before that time.
func (s *MemoryStore) oldAudit(before time.Time) (keys []string) {
	for key := range s.audited {
		if at, _, _ := strings.Cut(key, " "); at > auditedAt(before) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
