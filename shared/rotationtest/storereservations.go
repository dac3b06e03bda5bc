package rotationtest

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/serviceerror"
)

func (s storeTest) reserve(t *testing.T) {
	ctx := t.Context()
	mine := reservation.Row{Kind: reservation.Name, Value: "org-" + rand.Text(), Owner: rand.Text()}
	theirs := mine
	theirs.Owner = rand.Text()
	_, err := s.Find(ctx, mine.Kind, mine.Value)
	wantStoreError(t, "Find before", err, serviceerror.ErrNotFound)
	never := func(context.Context, reservation.Row) (bool, error) {
		t.Error("reclaim was asked about a young reservation")
		return true, nil
	}
	for range 2 { // an own reservation is a success
		wantStoreError(t, "Reserve", s.Reserve(ctx, mine, never), nil)
	}
	wantStoreError(t, "Reserve by another", s.Reserve(ctx, theirs, never), serviceerror.ErrExists)
	wantStoreError(t, "Release by another", s.Release(ctx, theirs), nil)
	got, err := s.Find(ctx, mine.Kind, mine.Value)
	if err != nil || got.Owner != mine.Owner || got.Value != mine.Value || got.Kind != mine.Kind || got.At.IsZero() {
		t.Errorf("Find: %v, %v", got, err)
	}
	for range 2 { // releasing what is free is no error
		wantStoreError(t, "Release", s.Release(ctx, mine), nil)
	}
	wantStoreError(t, "Reserve of what was released", s.Reserve(ctx, theirs, nil), nil)
}

// notes: a value of a shared kind has any number of owners, and each sees all.
func (s storeTest) notes(t *testing.T) {
	ctx := t.Context()
	value := rand.Text()
	var want []string
	for range 3 {
		res := reservation.Row{Kind: reservation.Target, Value: value, Owner: rand.Text()}
		want = append(want, res.Owner)
		for range 2 { // once is enough
			wantStoreError(t, "Reserve", s.Reserve(ctx, res, nil), nil)
		}
	}
	other := reservation.Row{Kind: reservation.Vault, Value: value, Owner: rand.Text()}
	wantStoreError(t, "Reserve of another kind", s.Reserve(ctx, other, nil), nil)
	wantStoreError(t, "Release", s.Release(ctx, reservation.Row{Kind: reservation.Target, Value: value, Owner: want[0]}), nil)
	notes, err := s.Notes(ctx, reservation.Target, value)
	wantStoreError(t, "Notes", err, nil)
	var got []string
	for _, n := range notes {
		got = append(got, n.Owner)
		if n.Kind != reservation.Target || n.Value != value || n.At.IsZero() {
			t.Errorf("a note came back as %+v", n)
		}
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want[1:]))
	if !slices.Equal(got, want) {
		t.Errorf("owners %q, want %q", got, want)
	}
	if got, err := s.Notes(ctx, reservation.Target, rand.Text()); err != nil || len(got) != 0 {
		t.Errorf("notes of what was never noted: %v, %v", got, err)
	}
}

// race lets owners reserve one value at once and returns those who succeeded.
func (s storeTest) race(t *testing.T, res reservation.Row,
	reclaim func(context.Context, reservation.Row) (bool, error)) (winners []string) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		mine := res
		mine.Owner = rand.Text()
		all.Go(func() {
			err := s.Reserve(t.Context(), mine, reclaim)
			if err != nil {
				wantStoreError(t, "a loser's Reserve", err, serviceerror.ErrExists)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			winners = append(winners, mine.Owner)
		})
	}
	all.Wait()
	return winners
}

func (s storeTest) concurrentReservations(t *testing.T) {
	res := reservation.Row{Kind: reservation.Vault, Value: rand.Text()}
	winners := s.race(t, res, nil)
	got, err := s.Find(t.Context(), res.Kind, res.Value)
	if len(winners) != 1 || err != nil || got.Owner != winners[0] {
		t.Errorf("%v think they hold it, Find says %v, %v", winners, got, err)
	}
}

func (s storeTest) reclaim(t *testing.T) {
	ctx := t.Context()
	old := reservation.Row{Kind: reservation.Vault, Value: rand.Text(), Owner: rand.Text(), At: storeEpoch}
	wantStoreError(t, "Reserve", s.Reserve(ctx, old, nil), nil)
	other := reservation.Row{Kind: old.Kind, Value: old.Value, Owner: rand.Text()}

	wantStoreError(t, "without reclaim", s.Reserve(ctx, other, nil), serviceerror.ErrExists)
	var asked reservation.Row
	answer := func(ok bool, err error) func(context.Context, reservation.Row) (bool, error) {
		return func(_ context.Context, holder reservation.Row) (bool, error) {
			asked = holder
			return ok, err
		}
	}
	wantStoreError(t, "still needed", s.Reserve(ctx, other, answer(false, nil)), serviceerror.ErrExists)
	if asked.Owner != old.Owner || asked.Value != old.Value || !asked.At.Equal(old.At) {
		t.Errorf("reclaim was asked about %v, want %v", asked, old)
	}
	wantStoreError(t, "the answer is unknown", s.Reserve(ctx, other, answer(true, serviceerror.ErrNewerSchema)), serviceerror.ErrNewerSchema)

	free := func(_ context.Context, holder reservation.Row) (bool, error) { return true, nil }
	winners := s.race(t, other, free)
	got, err := s.Find(ctx, old.Kind, old.Value)
	if len(winners) != 1 || err != nil || got.Owner != winners[0] {
		t.Errorf("%v think they took it over, Find says %v, %v", winners, got, err)
	}

	renewed := reservation.Row{Kind: reservation.Vault, Value: rand.Text(), Owner: rand.Text(), At: storeEpoch}
	wantStoreError(t, "Reserve", s.Reserve(ctx, renewed, nil), nil)
	renewed.At = time.Time{}
	wantStoreError(t, "renewing", s.Reserve(ctx, renewed, nil), nil)
	other.Value = renewed.Value
	wantStoreError(t, "reclaiming what was renewed", s.Reserve(ctx, other, free), serviceerror.ErrExists)
}

func (s storeTest) values(t *testing.T) {
	tag := rand.Text()
	values := []string{tag, strings.ToLower(tag), tag + " b", tag + "_20b", tag + "_b", tag + "/b",
		tag + "#?\\%+'ü", tag + strings.Repeat("x", 2000), tag + strings.Repeat("x", 2001)}
	for _, kind := range []reservation.Kind{reservation.Name, reservation.Vault} {
		for _, value := range values {
			res := reservation.Row{Kind: kind, Value: value, Owner: rand.Text()}
			wantStoreError(t, "Reserve", s.Reserve(t.Context(), res, nil), nil)
			got, err := s.Find(t.Context(), kind, value)
			if err != nil || got.Owner != res.Owner || got.Value != value {
				t.Errorf("Find %s %.60q: %.60v, %v", kind, value, got, err)
			}
		}
	}
}
