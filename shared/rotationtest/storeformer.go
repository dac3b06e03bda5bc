package rotationtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/secret"
)

func (s storeTest) former(t *testing.T) {
	ctx, app := t.Context(), rotation.Application{TenantID: rand.Text(), ClientID: rand.Text()}
	value, day := secret.New(rand.Text()), storeEpoch.AddDate(-1, 0, 0)
	var ids []string
	for n := range 3 {
		rec := s.create(t, rand.Text(), time.Time{}, rotation.Event{At: day})
		rec.Target, rec.VaultName, rec.Current = app, "vault-"+rec.ID, &rotation.Credential{Target: app}
		what := fmt.Sprintf(`{"removed":[{"digest":%q,"at":%q}]}`, app.Digest(rec.ID, value), day.Format(time.RFC3339))
		if n == 2 {
			what = "{}" // it has removed nothing
		}
		if err := json.Unmarshal([]byte(what), &rec); err != nil {
			t.Fatal(err)
		}
		rec = s.commit(t, rec)
		if n < 2 {
			ids = append(ids, rec.ID)
		}
		if got, err := s.Former(ctx, app); err != nil || len(got) != min(n, 2) {
			t.Errorf("Former beside a record that is there: %v, %v", got, err)
		}
		if err := s.Remove(ctx, rec, rotation.Event{At: day.AddDate(0, 0, n)}); err != nil {
			t.Fatalf("Remove: %v", err)
		}
	}
	has := func(when string, want ...string) {
		t.Helper()
		got, err := s.Former(ctx, app)
		found := []string{}
		for _, f := range got {
			found = append(found, f.ID)
			if at, ok := f.RemovedAt(app, value); !ok || !at.Equal(day) || f.VaultName != "vault-"+f.ID {
				t.Errorf("%s: %+v", when, f)
			}
			if _, ok := f.RemovedAt(app, secret.New("another")); ok {
				t.Errorf("%s: another value was removed", when)
			}
		}
		slices.Sort(found)
		want = slices.Sorted(slices.Values(want))
		if err != nil || !slices.Equal(found, want) {
			t.Errorf("%s: %v, %v, want %v", when, found, err, want)
		}
	}
	has("after the removal", ids...)
	if other, err := s.Former(ctx, rotation.Application{TenantID: app.TenantID, ClientID: rand.Text()}); err != nil || len(other) != 0 {
		t.Errorf("of another application: %v, %v", other, err)
	}
	for n, left := range [][]string{ids, ids[1:], nil} {
		for more := true; more; {
			var err error
			if _, more, err = s.Prune(ctx, day.AddDate(0, 0, n), 100); err != nil {
				t.Fatalf("Prune: %v", err)
			}
		}
		has(fmt.Sprintf("pruned %d days later", n), left...)
	}
}
