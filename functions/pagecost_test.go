package functions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
)

// A page of a list reads what is on it, and neither the connections nor the targets behind it: those
// rows are damaged, which costs nothing and is noticed by none. So does a list of what needs attention.
// A list without a limit leaves them out.
func TestAPageReadsWhatIsOnIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	var damaged []table.Row
	for i := range 80 {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		rec := rotation.Record{ID: id, Name: fmt.Sprintf("app-%02d", i%40), Method: "client-secret", Version: 1, Phase: rotation.Idle}
		if i >= 40 {
			rec.Via = "00000000-0000-4000-8000-000000000000"
		}
		if i%40 == 7 {
			rec.ByHand = []rotation.ByHand{{KeyID: "k"}}
		}
		if _, err := w.app.Connections.Records.Create(w.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if i%40 < 10 {
			continue
		}
		for _, row := range w.stack.Table.Rows("conn-" + rec.ID) {
			row.Properties["schema"] = rotation.Schema + 1
			damaged = append(damaged, row)
		}
	}
	if err := w.stack.Table.Load(damaged); err != nil || len(damaged) != 60 {
		t.Fatal(len(damaged), err)
	}
	leftOut := func() int { return strings.Count(w.watch.Log(), "left out of a list") }
	for _, path := range []string{connections.Base + secrets, secretRotations} {
		names := func(query string) (names []string, next string) {
			page := decode[struct {
				AppConnections, SecretRotations []struct{ Name string }
				NextCursor                      string
			}](t, w.at(auth.Read, http.MethodGet, path+query, nil))
			for _, c := range append(page.AppConnections, page.SecretRotations...) {
				names = append(names, c.Name)
			}
			return names, page.NextCursor
		}
		before := leftOut()
		first, next := names("?limit=4")
		second, _ := names("?limit=4&cursor=" + next)
		urgent, _ := names("?limit=4&attention=true")
		searched, _ := names("?limit=4&text=APP-08&state=paused")
		if got := fmt.Sprint(first, second, urgent, searched); got !=
			"[app-00 app-01 app-02 app-03] [app-04 app-05 app-06 app-07] [app-07] [app-08]" {
			t.Errorf("%s: pages %s", path, got)
		}
		if n := leftOut() - before; n != 0 {
			t.Errorf("%s: rows were read that are on no page: %d lines of the log", path, n)
		}
		if all, _ := names(""); len(all) != 10 || leftOut()-before != 1 {
			t.Errorf("%s: all: %q", path, all)
		}
	}
}
