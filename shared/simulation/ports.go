package simulation

import (
	"context"
	"strings"
	"time"

	"rekey/shared/activity"
	"rekey/shared/index"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"
)

// The ports of package rotation as one process sees them.

type none struct{}

// just is apply for a method that returns an error only.
func just(f func(context.Context) error) func(context.Context) (none, error) {
	return func(ctx context.Context) (none, error) { return none{}, f(ctx) }
}

type storePort struct {
	p  *process
	to rotationtest.Store
}

func (s storePort) Load(ctx context.Context, id string) (rotation.Record, error) {
	return do(ctx, s.p, call{op: "store.load", on: id, id: id, read: true}, func(ctx context.Context) (rotation.Record, error) {
		return s.to.Load(ctx, id)
	})
}

func (s storePort) Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	return s.saved(ctx, "store.create", rec, func(ctx context.Context) (rotation.Record, error) { return s.to.Create(ctx, rec, events...) })
}

func (s storePort) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	return s.saved(ctx, "store.commit", rec, func(ctx context.Context) (rotation.Record, error) { return s.to.Commit(ctx, rec, events...) })
}

func (s storePort) saved(ctx context.Context, op string, rec rotation.Record, apply func(context.Context) (rotation.Record,
	error)) (rotation.Record, error) {
	return do(ctx, s.p, call{op: op, on: rec.ID, id: rec.ID}, func(ctx context.Context) (rotation.Record, error) {
		got, err := apply(ctx)
		if err == nil {
			s.p.w.saw(got.Clone())
		}
		return got, err
	})
}

func (s storePort) Remove(ctx context.Context, rec rotation.Record, events ...rotation.Event) error {
	_, err := do(ctx, s.p, call{op: "store.remove", on: rec.ID, id: rec.ID}, just(func(ctx context.Context) error {
		err := s.to.Remove(ctx, rec, events...)
		if err == nil {
			s.p.w.forgot(rec.ID)
		}
		return err
	}))
	return err
}

func (s storePort) Release(ctx context.Context, res reservation.Row) error {
	_, err := do(ctx, s.p, call{op: "store.release", on: string(res.Kind) + res.Owner, id: res.Owner}, just(func(ctx context.Context) error {
		return s.to.Release(ctx, res)
	}))
	return err
}

func (s storePort) Reserve(ctx context.Context, res reservation.Row, reclaim func(context.Context, reservation.Row) (bool,
	error)) error {
	_, err := do(ctx, s.p, call{op: "store.reserve", on: string(res.Kind) + res.Owner, id: res.Owner, loose: true},
		just(func(ctx context.Context) error {
			return s.to.Reserve(ctx, res, reclaim)
		}))
	return err
}

func (s storePort) Claim(ctx context.Context, row rotation.ClaimRow) error {
	_, err := do(ctx, s.p, call{op: "store.claim", on: row.App + row.Owner, id: row.Owner}, just(func(ctx context.Context) error {
		return s.to.Claim(ctx, row)
	}))
	return err
}

func (s storePort) RenewClaim(ctx context.Context, row rotation.ClaimRow) error {
	_, err := do(ctx, s.p, call{op: "store.renewClaim", on: row.App + row.Owner, id: row.Owner}, just(func(ctx context.Context) error {
		return s.to.RenewClaim(ctx, row)
	}))
	return err
}

func (s storePort) Unclaim(ctx context.Context, row rotation.ClaimRow) error {
	_, err := do(ctx, s.p, call{op: "store.unclaim", on: row.App + row.Owner, id: row.Owner}, just(func(ctx context.Context) error {
		return s.to.Unclaim(ctx, row)
	}))
	return err
}

func (s storePort) Void(ctx context.Context, row rotation.ClaimRow) error {
	_, err := do(ctx, s.p, call{op: "store.void", on: row.App + row.Owner, id: row.Owner}, just(func(ctx context.Context) error {
		return s.to.Void(ctx, row)
	}))
	return err
}

func (s storePort) ClaimsOf(ctx context.Context, app string) ([]rotation.ClaimRow, error) {
	return do(ctx, s.p, call{op: "store.claims", on: app, read: true}, func(ctx context.Context) ([]rotation.ClaimRow, error) {
		return s.to.ClaimsOf(ctx, app)
	})
}

func (s storePort) Due(ctx context.Context, until time.Time, limit int) ([]index.Due, error) {
	return do(ctx, s.p, call{op: "store.due", read: true}, func(ctx context.Context) ([]index.Due, error) {
		return s.to.Due(ctx, until, limit)
	})
}

func (s storePort) Find(ctx context.Context, kind reservation.Kind, value string) (reservation.Row, error) {
	return do(ctx, s.p, call{op: "store.find", on: string(kind) + value, read: true}, func(ctx context.Context) (reservation.Row,
		error) {
		return s.to.Find(ctx, kind, value)
	})
}

func (s storePort) Notes(ctx context.Context, kind reservation.Kind, value string) ([]reservation.Row, error) {
	return do(ctx, s.p, call{op: "store.notes", on: string(kind) + value, read: true}, func(ctx context.Context) ([]reservation.Row,
		error) {
		return s.to.Notes(ctx, kind, value)
	})
}

// page is what List and History return.
type page[T any] struct {
	list []T
	next string
}

func (s storePort) List(ctx context.Context, cursor string, limit int) ([]rotation.Record, string, error) {
	got, err := do(ctx, s.p, call{op: "store.list", read: true}, func(ctx context.Context) (page[rotation.Record], error) {
		list, next, err := s.to.List(ctx, cursor, limit)
		return page[rotation.Record]{list, next}, err
	})
	return got.list, got.next, err
}

func (s storePort) Page(ctx context.Context, q index.Query) (list []rotation.Record, next *index.Query, err error) {
	list, err = do(ctx, s.p, call{op: "store.page", read: true}, func(ctx context.Context) (list []rotation.Record, err error) {
		list, next, err = s.to.Page(ctx, q)
		return list, err
	})
	return list, next, err
}

func (s storePort) History(ctx context.Context, id, cursor string, limit int) ([]rotation.Event, string, error) {
	got, err := do(ctx, s.p, call{op: "store.history", on: id, read: true}, func(ctx context.Context) (page[rotation.Event], error) {
		list, next, err := s.to.History(ctx, id, cursor, limit)
		return page[rotation.Event]{list, next}, err
	})
	return got.list, got.next, err
}

func (s storePort) Former(ctx context.Context, app rotation.Application) ([]rotation.Former, error) {
	return do(ctx, s.p, call{op: "store.former", on: app.Key(), read: true}, func(ctx context.Context) ([]rotation.Former, error) {
		return s.to.Former(ctx, app)
	})
}

func (s storePort) Activity(ctx context.Context, last time.Time, weeks int) ([]activity.Week, error) {
	return do(ctx, s.p, call{op: "store.activity", read: true}, func(ctx context.Context) ([]activity.Week, error) {
		return s.to.Activity(ctx, last, weeks)
	})
}

func (s storePort) Ahead(ctx context.Context, from, to time.Time) (index.Ahead, error) {
	return do(ctx, s.p, call{op: "store.ahead", read: true}, func(ctx context.Context) (index.Ahead, error) {
		return s.to.Ahead(ctx, from, to)
	})
}

func (s storePort) Prune(ctx context.Context, before time.Time, limit int) (rows int, more bool, err error) {
	rows, err = do(ctx, s.p, call{op: "store.prune"}, func(ctx context.Context) (n int, err error) {
		n, more, err = s.to.Prune(ctx, before, limit)
		return n, err
	})
	return rows, more, err
}

type vaultPort struct {
	p  *process
	to rotationtest.VaultPort
}

func (v vaultPort) Put(ctx context.Context, s rotation.VaultSecret) (string, error) {
	op := "vault.publish"
	if strings.HasSuffix(s.Name, "-staged") || strings.HasSuffix(s.Name, "-auth") {
		op = "vault.stage"
	}
	return do(ctx, v.p, call{op: op, on: s.Name, id: s.Tags[vaulttag.Connection], value: s.Value}, func(ctx context.Context) (string,
		error) {
		return v.to.Put(ctx, s)
	})
}

func (v vaultPort) Get(ctx context.Context, name, version string) (rotation.VaultSecret, error) {
	return do(ctx, v.p, call{op: "vault.get", on: name, read: true}, func(ctx context.Context) (rotation.VaultSecret, error) {
		return v.to.Get(ctx, name, version)
	})
}

func (v vaultPort) List(ctx context.Context, name string) ([]rotation.VaultSecret, error) {
	return do(ctx, v.p, call{op: "vault.list", on: name, read: true}, func(ctx context.Context) ([]rotation.VaultSecret, error) {
		return v.to.List(ctx, name)
	})
}

func (v vaultPort) State(ctx context.Context, name string) (rotation.VaultState, error) {
	return do(ctx, v.p, call{op: "vault.state", on: name, read: true}, func(ctx context.Context) (rotation.VaultState, error) {
		return v.to.State(ctx, name)
	})
}

func (v vaultPort) Disable(ctx context.Context, name, version string) error {
	_, err := do(ctx, v.p, call{op: "vault.disable", on: name}, just(func(ctx context.Context) error {
		return v.to.Disable(ctx, name, version)
	}))
	return err
}

func (v vaultPort) Delete(ctx context.Context, name string) error {
	_, err := do(ctx, v.p, call{op: "vault.delete", on: name}, just(func(ctx context.Context) error { return v.to.Delete(ctx, name) }))
	return err
}

func (v vaultPort) Recover(ctx context.Context, name string) error {
	_, err := do(ctx, v.p, call{op: "vault.recover", on: name}, just(func(ctx context.Context) error { return v.to.Recover(ctx, name) }))
	return err
}

type directoryPort struct {
	p  *process
	to rotationtest.DirectoryPort
}

func (d directoryPort) Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error) {
	return do(ctx, d.p, call{op: "entra.token", on: app.ClientID, read: true, value: secret}, func(ctx context.Context) (rotation.Token,
		error) {
		return d.to.Token(ctx, app, secret)
	})
}

func (d directoryPort) Certificate(ctx context.Context, app rotation.Application, pem secret.Value, chain bool) (rotation.Token,
	error) {
	return do(ctx, d.p, call{op: "entra.token", on: app.ClientID, read: true, value: pem}, func(ctx context.Context) (rotation.Token, error) {
		return d.to.Certificate(ctx, app, pem, chain)
	})
}

// renewal is what Refresh returns.
type renewal struct {
	token   rotation.Token
	renewed secret.Value
}

func (d directoryPort) Refresh(ctx context.Context, app rotation.Application, refresh secret.Value) (rotation.Token, secret.Value,
	error) {
	got, err := do(ctx, d.p, call{op: "entra.token", on: app.ClientID, read: true, value: refresh}, func(ctx context.Context) (renewal,
		error) {
		token, renewed, err := d.to.Refresh(ctx, app, refresh)
		return renewal{token, renewed}, err
	})
	return got.token, got.renewed, err
}

func (d directoryPort) Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState,
	error) {
	return do(ctx, d.p, call{op: "graph.read", on: app.ClientID, read: true}, func(ctx context.Context) (rotation.ApplicationState, error) {
		return d.to.Application(ctx, token, app)
	})
}

func (d directoryPort) ServicePrincipal(ctx context.Context, token rotation.Token,
	app rotation.Application) (own []rotation.Password, enabled bool, err error) {
	own, err = do(ctx, d.p, call{op: "graph.read", on: app.ClientID, read: true}, func(ctx context.Context) (list []rotation.Password,
		err error) {
		list, enabled, err = d.to.ServicePrincipal(ctx, token, app)
		return list, err
	})
	return own, enabled, err
}

func (d directoryPort) Owners(ctx context.Context, token rotation.Token, app rotation.Application) ([]string, error) {
	return do(ctx, d.p, call{op: "graph.read", on: app.ClientID, read: true}, func(ctx context.Context) ([]string, error) {
		return d.to.Owners(ctx, token, app)
	})
}

func (d directoryPort) AddPassword(ctx context.Context, token rotation.Token, app rotation.Application, marker string,
	expires time.Time) (rotation.Issued, error) {
	id, _, _ := strings.Cut(strings.TrimPrefix(marker, "rekey/"+rotationtest.Deployment+"/"), "/")
	return do(ctx, d.p, call{op: "graph.add", on: app.ClientID, id: id, keyID: marker}, func(ctx context.Context) (rotation.Issued, error) {
		return d.to.AddPassword(ctx, token, app, marker, expires)
	})
}

func (d directoryPort) RemovePassword(ctx context.Context, token rotation.Token, app rotation.Application, keyID string) error {
	_, err := do(ctx, d.p, call{op: "graph.remove", on: app.ClientID, keyID: keyID}, just(func(ctx context.Context) error {
		return d.to.RemovePassword(ctx, token, app, keyID)
	}))
	return err
}
