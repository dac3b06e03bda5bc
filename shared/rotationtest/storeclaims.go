package rotationtest

import (
	"crypto/rand"
	"maps"
	"sync"
	"testing"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// claimOf is a claim on an application by a connection of its own.
func claimOf(kind rotation.ClaimKind, app string) rotation.ClaimRow {
	return rotation.ClaimRow{
		Claim: rotation.Claim{ID: rand.Text(), Kind: kind, App: app}, Owner: rand.Text(), Via: rand.Text(), At: storeEpoch,
	}
}

// claimed reads the claims on an application, by id.
func (s storeTest) claimed(t *testing.T, app string) map[string]rotation.ClaimRow {
	t.Helper()
	rows, err := s.ClaimsOf(t.Context(), app)
	wantStoreError(t, "ClaimsOf", err, nil)
	all := map[string]rotation.ClaimRow{}
	for _, row := range rows {
		row.At = row.At.UTC()
		all[row.ID] = row
	}
	if len(all) != len(rows) {
		t.Errorf("a claim was returned twice: %v", rows)
	}
	return all
}

func (s storeTest) claims(t *testing.T) {
	ctx, app := t.Context(), "tenant "+rand.Text()
	want := map[string]rotation.ClaimRow{}
	var all sync.WaitGroup
	for _, kind := range []rotation.ClaimKind{rotation.Exclusive, rotation.Shared, rotation.Exclusive, rotation.Shared} {
		row := claimOf(kind, app)
		want[row.ID] = row
		all.Go(func() {
			for range 2 { // a retry of the same is a success
				wantStoreError(t, "Claim", s.Claim(ctx, row), nil)
			}
		})
	}
	all.Wait()
	again := claimOf(rotation.Exclusive, app) // one owner may have several
	for _, first := range want {
		again.Owner = first.Owner
	}
	want[again.ID] = again
	wantStoreError(t, "Claim", s.Claim(ctx, again), nil)
	if got := s.claimed(t, app); !maps.Equal(got, want) {
		t.Errorf("claims are %v, want %v", got, want)
	}
	delete(want, again.ID)
	for range 2 { // removing what is not there is no error
		wantStoreError(t, "Unclaim", s.Unclaim(ctx, again), nil)
	}
	if got := s.claimed(t, app); !maps.Equal(got, want) {
		t.Errorf("claims are %v, want %v", got, want)
	}
	wantStoreError(t, "RenewClaim of what is gone", s.RenewClaim(ctx, again), serviceerror.ErrNotFound)
}

func (s storeTest) voidClaims(t *testing.T) {
	ctx := t.Context()
	row := claimOf(rotation.Shared, "tenant "+rand.Text())
	wantStoreError(t, "Claim", s.Claim(ctx, row), nil)
	seen := s.claimed(t, row.App)[row.ID]
	renewed := row
	renewed.At = row.At.Add(time.Hour)
	wantStoreError(t, "RenewClaim", s.RenewClaim(ctx, renewed), nil)
	wantStoreError(t, "Void of what was renewed", s.Void(ctx, seen), serviceerror.ErrConflict)
	seen = s.claimed(t, row.App)[row.ID]
	if !seen.At.Equal(renewed.At) {
		t.Fatalf("the claim is of %s, want %s", seen.At, renewed.At)
	}
	for range 2 {
		wantStoreError(t, "Void", s.Void(ctx, seen), nil)
	}
	if got := s.claimed(t, row.App); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

func (s storeTest) claimedApart(t *testing.T) {
	app := rand.Text()
	for _, other := range []string{app + "b", app + "-", app + " b", app + "/#?\\%", app} {
		row := claimOf(rotation.Exclusive, other)
		wantStoreError(t, "Claim", s.Claim(t.Context(), row), nil)
		if got := s.claimed(t, other); len(got) != 1 || got[row.ID] != row {
			t.Errorf("claims on %q are %v, want %v", other, got, row)
		}
	}
}
