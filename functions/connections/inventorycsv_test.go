package connections_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/functions/connections"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// table asks for a list as CSV, and reads it.
func table(t *testing.T, query string, page catalog.Page) (rows [][]string, text, link string) {
	t.Helper()
	i := shelf{list: func(catalog.Query) (catalog.Page, error) { return page, nil }}
	status, text, header := askStock(t, i, http.MethodGet, stock+"?format=csv"+query, "")
	if status != http.StatusOK || header.Get("Content-Type") != "text/csv; charset=utf-8" || header.Get("Cache-Control") != "no-store" ||
		header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment;") {
		t.Fatalf("status %d, %v: %s", status, header, text)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows, text, header.Get("Link")
}

// A list as CSV has a header row, and a line for each credential with all that is known of it.
func TestCSV(t *testing.T) {
	empty := catalog.Item{}
	empty.Key = inventory.Key{TenantID: tenant, ClientID: id}
	some := full()
	some.EndsAt = some.EndsAt.In(time.FixedZone("", 3600))
	rows, text, link := table(t, "", catalog.Page{Items: []catalog.Item{some, empty}, Tenants: []inventory.Tenant{owner}})
	header := "tenantId,clientId,name,objectId,servicePrincipalId,audience,disabled,owners,applicationEndsAt," +
		"keyId,kind,of,credentialName,hint," +
		"thumbprint,startsAt,endsAt,lastUsedAt,findings,acceptedFindings,managedBy,asOf"
	if got := strings.Join(rows[0], ","); got != header || len(rows) != 4 || link != "" {
		t.Fatalf("%d rows, link %q, header %s", len(rows), link, got)
	}
	app := []string{tenant, client, odd[0], "o", "p", "AzureADMyOrg", "true", "'" + odd[1] + "; u2", "2026-07-06T12:00:00Z"}
	end := []string{"ownerless", client + "; " + id, "2026-07-01T12:00:00Z"}
	for i, want := range [][]string{
		slices.Concat(app, []string{"k1", "client-secret", "application", odd[2], "'=cm", "", "2026-03-23T12:00:00Z", "2026-07-06T12:00:00Z",
			"2026-06-30T12:00:00Z", "ends-in-7-days"}, end),
		slices.Concat(app, []string{"k2", "saml-signing", "service-principal", "", "", "AB", "", "", "", ""}, end),
		{tenant, id, "", "", "", "", "false", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "2026-07-01T12:00:00Z"},
	} {
		if !slices.Equal(rows[i+1], want) {
			t.Errorf("line %d is %q, want %q", i+1, rows[i+1], want)
		}
	}
	if strings.Count(text, "\r\n") != 4 || strings.HasPrefix(text, "\ufeff") {
		t.Errorf("the lines do not end as in RFC 4180: %q", text)
	}
}

// No spreadsheet takes a cell for a formula, nor a part of one where semicolons separate cells; and
// nothing is lost.
func TestCSVHasNoFormulas(t *testing.T) {
	for given, want := range map[string]string{
		"plain": "plain", "": "", "a=b": "a=b", "1+1": "1+1", "a@b.c": "a@b.c", "x - y": "x - y", `say "hi"`: `say "hi"`, "a,b": "a,b",
		"two\nlines": "two\nlines",
		"=1":         "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "＝1": "'＝1", "＠x": "'＠x",
		"  =1": "'  =1", "\u00a0=1": "'\u00a0=1", "\ufeff=1": "'\ufeff=1",
		"\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", " \tx": "' \tx", "\t=1": "'\t'=1", `"=1`: `'"=1`, `'=1`: `''=1`,
		"a;=1": "a;'=1", "a; =1": "a;' =1", "a;b": "a;b", "a\n=1": "a\n'=1", "a\r\n+1": "a\r\n'+1", "a;\"=1": "a;'\"=1",
		";=1;-2": ";'=1;'-2", "=;=": "'=;'=",
		odd[1]: "'" + odd[1], odd[4]: "a,\"b\";c\n'=1+1", "سلام=1": "سلام=1", "\u202E=1": "\u202E=1",
	} {
		item := full()
		item.Name = given
		rows, text, _ := table(t, "", catalog.Page{Items: []catalog.Item{item}})
		// The reader makes \n of \r\n within a cell.
		if got := rows[1][2]; got != strings.ReplaceAll(want, "\r\n", "\n") {
			t.Errorf("%q is %q, want %q", given, got, want)
		}
		for _, separator := range []string{",", ";", "\t", "\n", "\r"} {
			for _, cell := range strings.Split(text, separator) {
				if cell = strings.TrimLeft(cell, "\" \u00a0\ufeff"); cell != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(cell)[0]) {
					t.Errorf("%q: where %q separates there is the cell %q", given, separator, cell)
				}
			}
		}
	}
}

// The next page is at the address of the Link, with the same filters and nothing else.
func TestCSVPages(t *testing.T) {
	query := "&finding=expired&text=%3Da%26b%3E%22&limit=3&owner=a%0d%0aX-Injected%3A+1&includeAccepted=true&onlyAccepted=true" +
		"&secret=hunter2&endsAfter=2026-08-01T00%3A00%3A00Z"
	_, _, link := table(t, query, catalog.Page{Next: "Y3Vyc29y"})
	address, rest, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	u, err := url.Parse(address)
	if !ok || rest != `; rel="next"` || err != nil || u.Host != "" || u.Path != connections.Base+stock || strings.Contains(link, "hunter2") {
		t.Fatalf("%q: %v", link, err)
	}
	var q catalog.Query
	i := shelf{list: func(got catalog.Query) (catalog.Page, error) { q = got; return catalog.Page{}, nil }}
	status, text, header := askStock(t, i, http.MethodGet, strings.TrimPrefix(u.String(), connections.Base), "")
	if status != http.StatusOK || q.Cursor != "Y3Vyc29y" || q.Finding != inventory.Expired || q.Text != `=a&b>"` || q.Limit != 3 ||
		!q.IncludeAccepted || !q.OnlyAccepted ||
		q.Owner != "a\r\nX-Injected: 1" || q.EndsAfter.IsZero() || header.Get("Link") != "" || !strings.HasPrefix(text, `"tenantId",`) {
		t.Errorf("status %d, %+v: %s", status, q, text)
	}
}
