package claim_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/claim"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

const app = "tenant client"

func row(kind rotation.ClaimKind, owner, id string) rotation.ClaimRow {
	return rotation.ClaimRow{Claim: rotation.Claim{ID: id, Kind: kind, App: app}, Owner: owner, At: time.Now()}
}

// bubble runs a test with an empty table and the claims on it.
func bubble(t *testing.T, test func(t *testing.T, w *rotationtest.World, c claim.Claims)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		test(t, w, claim.Claims{Store: w.StorePort(), Records: w.StorePort(), Now: time.Now})
	})
}

// record writes a record that lists those claims.
func record(t *testing.T, w *rotationtest.World, id string, rows ...rotation.ClaimRow) rotation.Record {
	t.Helper()
	rec := rotation.Record{Schema: rotation.Schema, ID: id, Phase: rotation.Idle, Version: 1}
	rec.AddClaims(rows)
	rec, err := w.StorePort().Create(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func left(t *testing.T, w *rotationtest.World) map[string]rotation.ClaimRow {
	t.Helper()
	rows, err := w.StorePort().ClaimsOf(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]rotation.ClaimRow{}
	for _, row := range rows {
		all[row.ID] = row
	}
	return all
}

// A row keeps others away while it may still be listed, and for ever if it is. Otherwise the
// next look that it excludes removes it.
func TestWhenAClaimIsVoid(t *testing.T) {
	for name, tt := range map[string]struct {
		age  time.Duration
		owns func(t *testing.T, w *rotationtest.World, theirs rotation.ClaimRow)
		void bool
	}{
		"young, without a record": {claim.VoidAfter, nil, false},
		"old, without a record":   {claim.VoidAfter + time.Second, nil, true},
		"young, not listed": {claim.VoidAfter, func(t *testing.T, w *rotationtest.World, _ rotation.ClaimRow) { record(t, w, "them") },
			false},
		"old, not listed": {time.Hour, func(t *testing.T, w *rotationtest.World, _ rotation.ClaimRow) { record(t, w, "them") }, true},
		"old, another is listed instead": {time.Hour, func(t *testing.T, w *rotationtest.World, _ rotation.ClaimRow) {
			record(t, w, "them", row(rotation.Exclusive, "them", "other"))
		}, true},
		"old and listed": {time.Hour, func(t *testing.T, w *rotationtest.World, theirs rotation.ClaimRow) { record(t, w, "them", theirs) },
			false},
		"old, listed in a way from later": {time.Hour, func(t *testing.T, w *rotationtest.World, theirs rotation.ClaimRow) {
			record(t, w, "them", theirs)
			w.StorePort().(rotationtest.RawStore).SetProperty(t, "them", "schema", rotation.Schema+1)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *rotationtest.World, c claim.Claims) {
				theirs := row(rotation.Exclusive, "them", "theirs")
				theirs.At = time.Now().Add(-tt.age)
				if err := w.StorePort().Claim(t.Context(), theirs); err != nil {
					t.Fatal(err)
				}
				if tt.owns != nil {
					tt.owns(t, w, theirs)
				}
				c.Now = func() time.Time { return theirs.At.Add(tt.age) }
				err := c.Take(t.Context(), row(rotation.Shared, "us", "ours"))
				taken, _ := errors.AsType[*claim.TakenError](err)
				if (taken == nil) != tt.void || tt.void && err != nil {
					t.Errorf("got %v", err)
				}
				rows := left(t, w)
				if _, ok := rows["theirs"]; ok == tt.void {
					t.Errorf("left are %v", rows)
				}
				if _, ok := rows["ours"]; ok != tt.void {
					t.Errorf("left are %v", rows)
				}
			})
		})
	}
}

// One that is excluded says by whom, if a record lists it.
func TestTakenSaysByWhom(t *testing.T) {
	bubble(t, func(t *testing.T, w *rotationtest.World, c claim.Claims) {
		theirs := row(rotation.Shared, "them", "theirs")
		if err := c.Take(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		err := c.Take(t.Context(), row(rotation.Exclusive, "us", "ours"))
		if taken, ok := errors.AsType[*claim.TakenError](err); !ok || taken.Holder != nil || taken.Theirs.ID != "theirs" {
			t.Errorf("before it is listed: %+v", err)
		}
		record(t, w, "them", theirs)
		err = c.Look(t.Context(), row(rotation.Exclusive, "us", "ours"))
		if taken, ok := errors.AsType[*claim.TakenError](err); !ok || taken.Holder == nil || taken.Holder.ID != "them" {
			t.Errorf("after: %+v", err)
		}
	})
}

// A row that was renewed between the look and its removal stays.
func TestARenewedClaimIsNotRemoved(t *testing.T) {
	bubble(t, func(t *testing.T, w *rotationtest.World, c claim.Claims) {
		theirs := row(rotation.Exclusive, "them", "theirs")
		if err := c.Take(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.Before("store.void", func() {
			theirs.At = time.Now()
			if err := w.StorePort().RenewClaim(t.Context(), theirs); err != nil {
				t.Error(err)
			}
		})
		err := c.Take(t.Context(), row(rotation.Exclusive, "us", "ours"))
		if _, ok := errors.AsType[*claim.TakenError](err); !ok || len(left(t, w)) != 1 {
			t.Errorf("got %v; left are %v", err, left(t, w))
		}
	})
}

// Nothing is claimed if anything fails, and a failure is not taken for a refusal.
func TestAFailureClaimsNothing(t *testing.T) {
	broken := &serviceerror.Error{Op: "asking the table", Class: serviceerror.Transient, Status: 503}
	for _, op := range []string{"store.claim", "store.claims", "store.load", "store.void"} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *rotationtest.World, c claim.Claims) {
				theirs := row(rotation.Exclusive, "them", "theirs")
				if err := c.Take(t.Context(), theirs); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				w.Refuse(op, broken)
				err := c.Take(t.Context(), row(rotation.Shared, "us", "one"), row(rotation.Exclusive, "us", "two"))
				if _, taken := errors.AsType[*claim.TakenError](err); taken || !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
				w.Refuse(op, nil)
				if rows := left(t, w); len(rows) != 1 {
					t.Errorf("left are %v", rows)
				}
			})
		})
	}
}

// A row that lands after its request has given up keeps others away until it is void.
func TestAClaimThatLandsLate(t *testing.T) {
	bubble(t, func(t *testing.T, w *rotationtest.World, c claim.Claims) {
		w.Late("store.claim", 9*time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := c.Take(ctx, row(rotation.Exclusive, "them", "late")); err == nil {
			t.Fatal("it was claimed")
		}
		time.Sleep(10 * time.Minute)
		if rows := left(t, w); len(rows) != 1 {
			t.Fatalf("left are %v: it has not landed", rows)
		}
		ours := row(rotation.Exclusive, "us", "ours")
		if _, taken := errors.AsType[*claim.TakenError](c.Take(t.Context(), ours)); !taken {
			t.Error("it does not keep others away")
		}
		time.Sleep(10 * time.Minute)
		ours.At = time.Now()
		if err := c.Take(t.Context(), ours); err != nil {
			t.Errorf("when it is void: %v", err)
		}
	})
}

// Of callers that see each other's rows exactly one claims the application, whatever the
// order in which their writes and looks fall.
func TestOneOfSeveralCallersAtOnceClaims(t *testing.T) {
	owners := []string{"a", "b", "c"}
	for shift := range 64 {
		bubble(t, func(t *testing.T, w *rotationtest.World, c claim.Claims) {
			won := make([]bool, len(owners))
			var all sync.WaitGroup
			for i, owner := range owners {
				all.Go(func() {
					time.Sleep(time.Duration(shift>>(2*i)&3) * 50 * time.Millisecond)
					mine := row(rotation.Exclusive, owner, owner)
					err := claim.Claims{Store: slow{w.StorePort()}, Records: w.StorePort(), Now: time.Now}.Take(t.Context(), mine)
					if taken, ok := errors.AsType[*claim.TakenError](err); err != nil && (!ok || len(taken.Theirs.Owner) != 1) {
						t.Errorf("%s: %v", owner, err)
					}
					if won[i] = err == nil; won[i] {
						time.Sleep(time.Second) // it creates its record
						record(t, w, owner, mine)
					}
				})
			}
			all.Wait()
			winners := 0
			for _, w := range won {
				if w {
					winners++
				}
			}
			if rows := left(t, w); winners != 1 || len(rows) != 1 {
				t.Errorf("delays %b: won %v, left are %v", shift, won, rows)
			}
		})
	}
}

// slow is a store of which each call takes as long as callers are apart.
type slow struct{ claim.Store }

func (s slow) Claim(ctx context.Context, row rotation.ClaimRow) error {
	time.Sleep(70 * time.Millisecond)
	return s.Store.Claim(ctx, row)
}

func (s slow) ClaimsOf(ctx context.Context, app string) ([]rotation.ClaimRow, error) {
	defer time.Sleep(70 * time.Millisecond)
	return s.Store.ClaimsOf(ctx, app)
}

func (s slow) Unclaim(ctx context.Context, row rotation.ClaimRow) error {
	time.Sleep(70 * time.Millisecond)
	return s.Store.Unclaim(ctx, row)
}

// A caller does not wait for a row whose caller has died, nor for ever.
func TestWaitingForAnotherCallerEnds(t *testing.T) {
	for name, tt := range map[string]struct{ age, least, most time.Duration }{
		"a young row": {0, 10 * time.Second, 11 * time.Second},
		"an old row":  {2 * time.Minute, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *rotationtest.World, c claim.Claims) {
				theirs := row(rotation.Exclusive, "them", "theirs")
				theirs.At = time.Now().Add(-tt.age)
				if err := w.StorePort().Claim(t.Context(), theirs); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err := c.Take(t.Context(), row(rotation.Exclusive, "a smaller id", "ours"))
				_, taken := errors.AsType[*claim.TakenError](err)
				if took := time.Since(start); !taken || took < tt.least || took > tt.most {
					t.Errorf("%v after %s", err, took)
				}
			})
		})
	}
}
