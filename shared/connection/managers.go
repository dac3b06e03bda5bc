package connection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// ManagerRecords are the rows of connections and targets, and their claims.
type ManagerRecords interface {
	Load(ctx context.Context, id string) (rotation.Record, error)
	// List is as that of [Records].
	List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error)
	ClaimsOf(ctx context.Context, app string) ([]rotation.ClaimRow, error)
}

// Managers tells an inventory which connections and targets have to do with applications. It
// is what packages catalog and scan call so.
type Managers struct {
	Records    ManagerRecords
	Deployment string
	Log        *slog.Logger // nil: slog.Default()
}

// All returns the managers of every application of a tenant, by client id. It reads every record
// of the deployment.
func (m *Managers) All(ctx context.Context, tenantID string) (managers map[string][]inventory.Manager, known bool, err error) {
	managers, known = map[string][]inventory.Manager{}, true
	for cursor := ""; ; {
		page, next, err := m.Records.List(ctx, cursor, 1000)
		if some, ok := errors.AsType[unreadable](err); ok {
			m.leftOut(ctx, some.LeftOut())
			known = false
		} else if err != nil {
			return nil, false, fmt.Errorf("listing connections: %w", err)
		}
		for i := range page {
			for key, manager := range managersIn(&page[i]) {
				if key.TenantID == strings.ToLower(tenantID) {
					managers[key.ClientID] = append(managers[key.ClientID], manager)
				}
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	for _, list := range managers {
		inOrder(list)
	}
	return managers, known, nil
}

// managersAtOnce is of how many applications claims and records are read at the same time.
const managersAtOnce = 8

// Of returns the managers of some applications: those whose claims are on them, and those that a
// marker of one of their credentials names.
func (m *Managers) Of(ctx context.Context, apps []inventory.Application) (
	managers map[inventory.Key][]inventory.Manager, known bool, err error,
) {
	managers, known = map[inventory.Key][]inventory.Manager{}, true
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(managersAtOnce)
	for i := range apps {
		app := &apps[i]
		all.Go(func() error {
			list, whole, err := m.of(ctx, app)
			mu.Lock()
			defer mu.Unlock()
			if known = known && whole; len(list) > 0 {
				managers[app.Key] = list
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, false, err
	}
	return managers, known, nil
}

// of returns the managers of one application, from the records that may know it.
func (m *Managers) of(ctx context.Context, app *inventory.Application) (list []inventory.Manager, known bool, err error) {
	claims, err := m.Records.ClaimsOf(ctx, rotation.Application{TenantID: app.TenantID, ClientID: app.ClientID}.Key())
	if err != nil {
		return nil, false, fmt.Errorf("reading claims: %w", err)
	}
	ids := m.marked(app)
	for _, row := range claims {
		ids = append(ids, row.Owner)
	}
	slices.Sort(ids)
	known = true
	for _, id := range slices.Compact(ids) {
		rec, err := m.Records.Load(ctx, id)
		switch {
		case errors.Is(err, serviceerror.ErrNotFound):
			continue // the claim is void, or the connection is gone
		case unreadableRow(err):
			m.leftOut(ctx, 1)
			known = false
			continue
		case err != nil:
			return nil, false, fmt.Errorf("reading a connection: %w", err)
		}
		for key, manager := range managersIn(&rec) {
			if key == app.Key {
				list = append(list, manager)
			}
		}
	}
	inOrder(list)
	return list, known, nil
}

// marked are the ids of connections and targets of this deployment that the markers of app's client
// secrets name. One may have left the application, and still know what it has left there.
func (m *Managers) marked(app *inventory.Application) (ids []string) {
	for _, c := range app.Credentials {
		if id, ok := rotation.ParseMarker(c.Name, m.Deployment); ok && c.Kind == inventory.ClientSecret {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *Managers) leftOut(ctx context.Context, rows int) {
	log := m.Log
	if log == nil {
		log = slog.Default()
	}
	log.WarnContext(ctx, "connections left out of an inventory: their rows can't be read, as after a rollback", "rows", rows)
}

func inOrder(list []inventory.Manager) {
	slices.SortFunc(list, func(a, b inventory.Manager) int {
		return strings.Compare(a.ConnectionID+" "+a.TargetID, b.ConnectionID+" "+b.TargetID)
	})
}

// managersIn returns what rec is to each application that it has to do with: the one that it
// rotates, the one that it signs in as, and those that may have client secrets on its record.
func managersIn(rec *rotation.Record) map[inventory.Key]inventory.Manager {
	known := rec.Known()
	for _, app := range []rotation.Application{rec.Target, rec.Actor} {
		if _, ok := known[app.Key()]; !ok && app.ClientID != "" && (rec.Via == "" || app.Same(rec.Target)) {
			known[app.Key()] = rotation.Known{}
		}
	}
	removed := make(map[string]time.Time, len(rec.RemovedKeys))
	for _, k := range rec.RemovedKeys {
		removed[strings.ToLower(k.KeyID)] = k.At
	}
	removing, byHand := map[string]time.Time{}, []string{}
	for _, keyID := range rec.Retire {
		if !rec.Gone() { // else it stays
			removing[strings.ToLower(keyID)] = time.Time{}
		}
	}
	for i := range rec.Removals {
		if m := &rec.Removals[i]; m.KeyID != "" && !rec.MustStay(m) {
			removing[strings.ToLower(m.KeyID)] = m.After
		}
	}
	for _, left := range rec.ByHand {
		byHand = append(byHand, strings.ToLower(left.KeyID))
	}
	managers := make(map[inventory.Key]inventory.Manager, len(known))
	for app, knows := range known {
		tenantID, clientID, _ := strings.Cut(app, " ")
		manager := inventory.Manager{
			ConnectionID: rec.ID, Name: rec.Title(),
			Rotates: rec.Rotates() && rec.Phase != rotation.Deleting && rec.Target.Key() == app,
			KeyIDs:  knows.KeyIDs, Markers: knows.Markers, RemovedAt: rec.LastRemovedAt(), Removed: removed,
			Removing: removing, ByHand: byHand,
		}
		if c := rec.Current; c != nil && c.Origin == rotation.OriginIssued && c.Target.Key() == app {
			manager.Published = inventory.Credential{KeyID: strings.ToLower(c.KeyID), Kind: inventory.ClientSecret,
				Holder: inventory.Registration, Name: c.Marker, Hint: c.Hint, StartsAt: c.Since, EndsAt: c.ExpiresAt}
		}
		if rec.Via != "" {
			manager.ConnectionID, manager.TargetID = rec.Via, rec.ID
		}
		managers[inventory.Key{TenantID: tenantID, ClientID: clientID}] = manager
	}
	return managers
}
