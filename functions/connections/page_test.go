package connections_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"rekey/shared/rotation"
)

// A rebuilt connection has the name that its tags say, which a person may have edited. What
// follows it in the list is shown all the same.
func TestAListGoesOnBehindAnyName(t *testing.T) {
	d := newDeployment(t)
	var want []string
	for i, name := range []string{"My App", "a b c", "Über", "zz"} {
		rec := rotation.Record{ID: "id-" + string(rune('a'+i)), Name: name, Phase: rotation.Idle, Acknowledged: true, Version: 1}
		if _, err := d.w.StorePort().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	want = append(want, "connected")
	var got []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		status, says, _ := d.post(t.Context(), http.MethodGet, "/azure-client-secrets/available?limit=1&cursor="+cursor, "")
		var page struct {
			AppConnections []struct{ Name string }
			NextCursor     string
		}
		if err := json.Unmarshal([]byte(says), &page); status != http.StatusOK || err != nil || pages > len(want) {
			t.Fatalf("after %q: status %d: %s", got, status, says)
		}
		for _, c := range page.AppConnections {
			got = append(got, c.Name)
		}
		cursor = page.NextCursor
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}
