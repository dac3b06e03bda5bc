package rotationtest

import (
	"context"
	"maps"
	"slices"

	"rekey/shared/rotation"
)

// formerRow is what is kept of a connection that is gone.
type formerRow struct {
	app string
	rotation.Former
}

func (s storePort) Former(ctx context.Context, app rotation.Application) (all []rotation.Former, err error) {
	err = s.p.read(ctx, "store.former", app.ClientID, func() error {
		for _, id := range slices.Sorted(maps.Keys(s.s.former)) {
			if f := s.s.former[id]; f.app == app.Key() {
				all = append(all, f.Former)
			}
		}
		return nil
	})
	return all, err
}
