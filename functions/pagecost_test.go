package functions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
)

// A page of a list reads what is on it, and not the connections behind it: those rows are damaged,
// which costs nothing and is noticed by none. A list without a limit leaves them out.
func TestAPageReadsWhatIsOnIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	var damaged []table.Row
	for i := range 40 {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		rec := rotation.Record{ID: id, Name: fmt.Sprintf("app-%02d", i), Method: "client-secret", Version: 1}
		if _, err := w.app.Connections.Records.Create(w.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if i < 10 {
			continue
		}
		for _, row := range w.stack.Table.Rows("conn-" + rec.ID) {
			row.Properties["schema"] = rotation.Schema + 1
			damaged = append(damaged, row)
		}
	}
	if err := w.stack.Table.Load(damaged); err != nil || len(damaged) != 30 {
		t.Fatal(len(damaged), err)
	}
	names := func(query string) (names []string, next string) {
		page := decode[struct {
			AppConnections []struct{ Name string }
			NextCursor     string
		}](t, w.call(auth.Read, http.MethodGet, secrets+query, nil))
		for _, c := range page.AppConnections {
			names = append(names, c.Name)
		}
		return names, page.NextCursor
	}
	first, next := names("?limit=4")
	second, _ := names("?limit=4&cursor=" + next)
	if got := fmt.Sprint(first, second); got != "[app-00 app-01 app-02 app-03] [app-04 app-05 app-06 app-07]" {
		t.Errorf("pages %s", got)
	}
	if n := strings.Count(w.watch.log(), "left out of a list"); n != 0 {
		t.Errorf("rows were read that are on no page: %d lines of the log", n)
	}
	if all, _ := names(""); len(all) != 10 || strings.Count(w.watch.log(), "left out of a list") != 1 {
		t.Errorf("all: %q", all)
	}
}
