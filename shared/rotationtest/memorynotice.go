package rotationtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/notice"
	"rekey/shared/rotation"
)

// NoticePort is StorePort with its notices.
func (w *World) NoticePort() NoticeStore {
	w.mu.Lock()
	defer w.mu.Unlock()
	return storePort{w.Store, port{w, w.process}}
}

var _ NoticeStore = storePort{}

// keepNotices is note for the events that a person has to be told of.
func (s *MemoryStore) keepNotices(rec *rotation.Record, version int64, events []rotation.Event) {
	for i, e := range events {
		if !e.Notice {
			continue
		}
		s.etags++
		id := fmt.Sprintf("evt-%s-%s-%019d-%02d", e.At.UTC().Format("20060102T150405Z"), rec.ID, version, i)
		s.notices[id] = notice.Notice{
			ID: id, ETag: strconv.Itoa(s.etags), Connection: rec.ID, Name: rec.Name, Project: rec.Project,
			TenantID: e.Of(rec).TenantID, ClientID: e.Of(rec).ClientID, Version: version, Place: i,
			Kind: e.Kind, At: e.At.UTC(), RunID: e.RunID, KeyID: e.KeyID, Class: e.Class, Message: e.Message,
		}
	}
}

func (s storePort) Undelivered(ctx context.Context, limit int) (all []notice.Notice, err error) {
	err = s.p.read(ctx, "store.notices", "", func() error {
		for _, n := range s.s.notices {
			all = append(all, n)
		}
		slices.SortFunc(all, func(a, b notice.Notice) int { return cmp.Compare(a.ID, b.ID) })
		all = all[:min(limit, len(all))]
		return nil
	})
	return all, err
}

func (s storePort) Postpone(ctx context.Context, n notice.Notice, until time.Time, tries int) (notice.Notice, error) {
	saved := n
	err := s.p.write(ctx, "notice.postpone", n.ID, func() error {
		if is, ok := s.s.notices[n.ID]; !ok || is.ETag != n.ETag {
			return fmt.Errorf("postponing: %w", serviceerror.ErrConflict)
		}
		s.s.etags++
		saved.ETag, saved.Until, saved.Tries = strconv.Itoa(s.s.etags), until.UTC(), tries
		s.s.notices[saved.ID] = saved
		return nil
	})
	if err != nil {
		return n, err
	}
	return saved, nil
}

func (s storePort) Delivered(ctx context.Context, n notice.Notice) error {
	return s.p.write(ctx, "notice.delivered", n.ID, func() error {
		if is, ok := s.s.notices[n.ID]; !ok || is.ETag != n.ETag {
			return fmt.Errorf("deleting: %w", serviceerror.ErrConflict)
		}
		delete(s.s.notices, n.ID)
		return nil
	})
}
