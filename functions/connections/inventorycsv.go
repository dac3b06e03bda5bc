package connections

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// csvFile is an answer as a table (RFC 4180), and the address of its next page.
type csvFile struct {
	text string
	next string // empty: there is none
}

var columns = []string{
	"tenantId", "clientId", "name", "objectId", "servicePrincipalId", "audience", "disabled", "owners", "applicationEndsAt", "keyId", "kind",
	"of", "credentialName", "hint", "thumbprint", "startsAt", "endsAt", "lastUsedAt", "findings", "acceptedFindings", "managedBy", "asOf",
}

// csv makes a table of a page: a line for each credential, and one for an application that has none.
func (r *request) csv(page *catalog.Page) *csvFile {
	asOf := map[string]time.Time{}
	for _, t := range page.Tenants {
		asOf[t.ID] = t.AsOf
	}
	var b strings.Builder
	writeLine(&b, columns)
	for i := range page.Items {
		item := &page.Items[i]
		credentials := item.Credentials
		if len(credentials) == 0 {
			credentials = []inventory.Credential{{}}
		}
		for j := range credentials {
			writeLine(&b, cells(item, &credentials[j], asOf[item.TenantID]))
		}
	}
	f := &csvFile{text: b.String()}
	if page.Next != "" {
		f.next = r.address(page.Next)
	}
	return f
}

// cells are those of a credential. Its findings are its own and those of the application.
func cells(i *catalog.Item, c *inventory.Credential, asOf time.Time) []string {
	var owners, managers, open, accepted []string
	for _, o := range i.Owners {
		owners = append(owners, cmp.Or(o.PrincipalName, o.Name, o.ID))
	}
	for _, m := range i.Managers {
		managers = append(managers, cmp.Or(m.TargetID, m.ConnectionID))
	}
	for _, f := range i.Findings {
		switch {
		case f.KeyID != "" && f.KeyID != c.KeyID:
		case f.Accepted != nil:
			accepted = append(accepted, string(f.Kind))
		default:
			open = append(open, string(f.Kind))
		}
	}
	return []string{
		i.TenantID, i.ClientID, i.Name, i.ObjectID, i.PrincipalID, i.Audience, strconv.FormatBool(i.Disabled), several(owners), iso(i.EndsAt),
		c.KeyID, string(c.Kind), string(c.Holder), c.Name, c.Hint, c.Thumbprint, iso(c.StartsAt), iso(c.EndsAt), iso(c.UsedAt), several(open),
		several(accepted), several(managers), iso(asOf),
	}
}

func several(values []string) string { return strings.Join(values, "; ") }

// iso is a moment in UTC; the zero one, such as the end of what never ends, is an empty cell.
func iso(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// writeLine writes a line with every cell in quotes.
func writeLine(b *strings.Builder, cells []string) {
	for i, cell := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(strings.ReplaceAll(inert(cell), `"`, `""`))
		b.WriteByte('"')
	}
	b.WriteString("\r\n")
}

// What a spreadsheet may take for a formula: such a beginning of a cell, after spaces too; or of a
// part of it, in countries where semicolons separate cells, so that quotes do not hold. A tab or a
// line break at the beginning may be left out.
var (
	formula = regexp.MustCompile(`(^|[;\t\r\n])([\p{Z}\f\v\x{FEFF}"']*[=+\-@＝＋－＠])`)
	left    = regexp.MustCompile(`^[\p{Z}\x{FEFF}]*[\t\r\n]`)
)

// inert puts an apostrophe before what could be a formula, so that it stays text.
func inert(cell string) string {
	cell = formula.ReplaceAllString(cell, "${1}'${2}")
	if left.MatchString(cell) {
		return "'" + cell
	}
	return cell
}

// address is that of the list's page at a cursor, with the filters of the request.
func (r *request) address(cursor string) string {
	values := url.Values{}
	for _, name := range []string{
		"finding", "tenantId", "owner", "text", "endsAfter", "endsBefore", "includeAccepted", "onlyAccepted", "format", "limit",
	} {
		if value := r.URL.Query().Get(name); value != "" {
			values.Set(name, value)
		}
	}
	values.Set("cursor", cursor)
	return Base + "/" + inventories + "?" + values.Encode()
}

// writeCSV answers with a table.
func (h *Handler) writeCSV(w http.ResponseWriter, f *csvFile) {
	if f.next != "" {
		w.Header().Set("Link", "<"+f.next+`>; rel="next"`)
	}
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="inventory.csv"`)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(f.text)) // as in write
}
