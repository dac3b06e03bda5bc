package notice_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/notice"
	"rekey/shared/secret"
)

// listStore has notices that are not of connections.
type listStore struct{ all []notice.Notice }

func (s *listStore) Undelivered(context.Context, int) ([]notice.Notice, error) {
	return slices.Clone(s.all), nil
}

func (s *listStore) Postpone(_ context.Context, n notice.Notice, _ time.Time, _ int) (notice.Notice, error) {
	return n, nil
}

func (s *listStore) Delivered(_ context.Context, n notice.Notice) error {
	s.all = slices.DeleteFunc(s.all, func(one notice.Notice) bool { return one.ID == n.ID })
	return nil
}

// A notice of an inventory is about a tenant, and names the connection that scanned it. Those of
// one tenant arrive in their order.
func TestNoticesOfAnInventory(t *testing.T) {
	const tenantID = "0f3a5b7c-0000-4000-8000-00000000000a"
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	store := &listStore{}
	for i, kind := range []string{history.InventoryFailed, history.InventoryFindings} {
		store.all = append(store.all, notice.Notice{ID: []string{"evt-b", "evt-a"}[i], Connection: inventory.DueID(tenantID), TenantID: tenantID,
			Version: int64(2 - i), Kind: kind, At: at, Message: "12 applications <&>.", Via: "conn-1", ScanID: tenantID + "-x"})
	}
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
	}))
	defer server.Close()
	d := &notice.Deliverer{Store: store, URL: secret.New(server.URL), Keyring: mustParse(t, referenceSecret), Deployment: "test",
		Log: slog.New(slog.DiscardHandler)}
	if did, err := d.Deliver(t.Context()); err != nil || did.Delivered != 2 || len(store.all) != 0 {
		t.Fatalf("delivered %+v, %v", did, err)
	}
	want := `{"specversion":"1.0","id":"evt-a","source":"rekey/test","type":"rekey.inventory.findings","subject":"` + tenantID + `",` +
		`"time":"2030-01-02T03:04:05.000000006Z","datacontenttype":"application/json",` +
		`"data":{"connection":{"id":"conn-1","name":"","projectId":""},"tenantId":"` + tenantID + `","scanId":"` + tenantID + `-x",` +
		`"state":"attention","problem":{"message":"12 applications \u003c\u0026\u003e."},"advice":"`
	if rest, ok := strings.CutPrefix(bodies[0], want); !ok || !strings.Contains(rest, "/inventory?tenantId="+tenantID) {
		t.Errorf("body %s\nwant %s...", bodies[0], want)
	}
	if !strings.Contains(bodies[1], `"type":"rekey.inventory.failed","subject":"`+tenantID) ||
		!strings.Contains(bodies[1], "/inventory/scans/"+tenantID+"-x") {
		t.Errorf("body %s", bodies[1])
	}
}
