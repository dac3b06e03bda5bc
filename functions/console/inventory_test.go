package console_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// The inventory as a file has all pages, and the header row once.
func TestCSV(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.answer("GET", inventories, 200, "name,ends\r\nbilling,2027\r\n")
	p := w.get("/console/inventory/csv?finding=orphan")
	if p.text != "name,ends\r\nbilling,2027\r\nbilling,2027\r\n" || !strings.HasPrefix(p.Header().Get("Content-Type"), "text/csv") ||
		!strings.HasPrefix(p.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%v %q", p.Header(), p.text)
	}
	if len(w.asked) != 2 || w.asked[0].query.Get("finding") != "orphan" || w.asked[1].query.Get("cursor") != "second" {
		t.Errorf("%+v", w.asked)
	}
}

// The second page of the inventory asks for the same as the first, and so does its CSV.
func TestNextPageOfTheInventory(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	first := w.get("/console/inventory?cursor=second")
	w.shows(first, `href="/console/inventory/csv?endsAfter=2026-12-01T12%3A00%3A00Z"`)
	if got := w.asked[0].query; got.Get("endsAfter") != "2026-12-01T12:00:00Z" || got.Get("cursor") != "second" {
		t.Errorf("the API is asked for %v", got)
	}
}

// A CSV of which a later page can't be read is an error, not a file that looks complete.
func TestCSVIsWholeOrNone(t *testing.T) {
	w := newWorld(t, auth.Read)
	answers := 0
	w.handler.API = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if answers++; answers == 1 {
			out.Header().Set("Link", "<"+r.URL.Path+`?cursor=second>; rel="next"`)
			_, _ = io.WriteString(out, "name,ends\r\nbilling,2027\r\n")
			return
		}
		out.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(out, `{"message":"Try again in a minute."}`)
	})
	p := w.get("/console/inventory/csv")
	if p.Code != http.StatusServiceUnavailable || strings.Contains(p.text, "billing") ||
		!strings.HasPrefix(p.Header().Get("Content-Type"), "text/html") ||
		p.Header().Get("Content-Disposition") != "" {
		t.Errorf("%d %v %s", p.Code, p.Header(), p.text)
	}
}

// A scan is begun through a connection that is chosen by its name, and again in every tenant.
func TestScanForms(t *testing.T) {
	w := newWorld(t, auth.Write)
	w.everything("billing")
	second := object{"tenantId": "0b1e7e57-0000-4000-8000-00000000000c", "connectionId": "of-the-second", "asOf": now, "complete": true}
	first := object{"tenantId": tenantID, "connectionId": id, "asOf": now, "complete": true}
	w.answer("GET", inventories, 200, object{"applications": []object{}, "tenants": []object{first, second}})
	w.shows(w.get("/console/inventory"), `name="connectionId" value="`+id+`"`, `name="connectionId" value="of-the-second"`,
		"Scan another tenant", `<input id="connectionId" name="connectionId"`)
	w.answer("GET", inventories, 200, object{"applications": []object{}, "tenants": []object{}})
	w.shows(w.get("/console/inventory"), `<option value="`+id+`">billing, tenant `+tenantID+`</option>`)
}
