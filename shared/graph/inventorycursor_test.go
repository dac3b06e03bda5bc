package graph_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"rekey/shared/graph"
	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// A list goes on where Graph says, to the letter; a page may have nothing but a link.
func TestInventoryPages(t *testing.T) {
	for _, list := range inventory.Lists {
		var sent []string
		path, query, _ := strings.Cut(firstPages[list], "?")
		query = strings.Replace(query, "($select=", "(%24select%3d", 1) // as it pleases the server
		d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = append(sent, r.URL.RequestURI())
			w.Header().Set("Content-Type", "application/json")
			link := fmt.Sprintf(`,"@odata.nextLink":"https://%s%s?%s&$skiptoken=RFNwdAIAAQ%%3d%d"`,
				r.Host, r.URL.Path, query, len(sent))
			switch len(sent) {
			case 1:
				fmt.Fprintf(w, `{"value":[{"id":%q,"appId":%[1]q,"federatedIdentityCredentials":[{"id":%[1]q}],"keyId":%[1]q,
					"signInActivity":{"lastSignInDateTime":"2026-11-01T10:00:00Z"}}]%s}`, guidOf(1), link)
			case 2:
				fmt.Fprintf(w, `{"value":[]%s}`, link)
			case 3:
				io.WriteString(w, `{"value":[],"@odata.nextLink":""}`)
			}
		}))
		var sizes []int
		for cursor := ""; len(sizes) < 3; {
			p, err := d.Page(t.Context(), anyToken, list, cursor)
			if err != nil {
				t.Fatalf("%s, page %d: %v", list, len(sizes), err)
			}
			sizes = append(sizes, len(p.Applications))
			if cursor = p.Next; (cursor == "") != (len(sizes) == 3) {
				t.Fatalf("%s: cursor %q after page %d", list, cursor, len(sizes))
			}
		}
		seen := strings.ReplaceAll(query, "%24", "$")
		want := []string{firstPages[list], path + "?" + seen + "&$skiptoken=RFNwdAIAAQ%3d1", path + "?" + seen + "&$skiptoken=RFNwdAIAAQ%3d2"}
		if !slices.Equal(sent, want) || !slices.Equal(sizes, []int{1, 0, 0}) {
			t.Errorf("%s: sent %q with %v items, want %q", list, sent, sizes, want)
		}
	}
}

// queries are what may and may not follow the first page of the applications.
func queries(first string) (good, bad map[string]string) {
	const other = "$select=id,appId,displayName"
	selected := strings.Split(first, "&")[0]
	rest := strings.TrimPrefix(first, selected)
	good = map[string]string{
		"a place":        first + "&$skiptoken=x",
		"another order":  "$skiptoken=x&" + first,
		"a number":       first + "&$skip=200",
		"without $top":   strings.TrimSuffix(first, "&$top=200") + "&$skiptoken=x",
		"encoded":        strings.NewReplacer("$", "%24", ",", "%2C").Replace(first) + "&%24skiptoken=x",
		"a long place":   first + "&$skiptoken=" + strings.Repeat("x", 4000),
		"encoded things": first + "&$skiptoken=%23%26%0d%0a",
	}
	bad = map[string]string{
		"no place":          first,
		"an empty place":    first + "&$skiptoken=",
		"nothing":           "",
		"another select":    other + rest + "&$skiptoken=x",
		"no select":         strings.TrimPrefix(rest, "&") + "&$skiptoken=x",
		"select twice":      first + "&$select=passwordCredentials&$skiptoken=x",
		"select everything": "$select=*" + rest + "&$skiptoken=x",
		"one more expand":   first + "&$expand=federatedIdentityCredentials&$skiptoken=x",
		"more on a page":    strings.Replace(first, "$top=200", "$top=999", 1) + "&$skiptoken=x",
		"a filter":          first + "&$filter=true&$skiptoken=x",
		"without dollar":    first + "&expand=members&$skiptoken=x",
		"in capitals":       first + "&$SELECT=key&$skiptoken=x",
		"two places":        first + "&$skiptoken=x&$skiptoken=y",
		"cut by a hash":     "$skiptoken=x#&" + first,
		"a space":           first + "&$skiptoken=x y",
		"a line":            first + "&$skiptoken=x\r\nHost:evil",
		"no ASCII":          first + "&$skiptoken=é",
		"a semicolon":       first + "&$skiptoken=x;y",
		"bad encoding":      first + "&$skiptoken=%zz",
		"too long":          first + "&$skiptoken=" + strings.Repeat("x", 9000),
	}
	return good, bad
}

// A cursor takes its bearer no further than the list that it is of.
func TestInventoryForeignCursor(t *testing.T) {
	var sent []string
	d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"value":[]}`)
	}))
	encode := func(query string) string { return base64.RawURLEncoding.EncodeToString([]byte(query)) }
	path, first, _ := strings.Cut(firstPages[inventory.Applications], "?")
	good, bad := queries(first)
	for name, query := range good {
		sent = nil
		if _, err := d.Page(t.Context(), anyToken, inventory.Applications, encode(query)); err != nil || !slices.Equal(sent, []string{path}) {
			t.Errorf("%s: sent %q, %v", name, sent, err)
		}
	}
	cursors := map[string]string{
		"no base64": "https://evil.example.com/", "an address": encode("https://evil.example.com/?" + first + "&$skiptoken=x"),
	}
	for name, query := range bad {
		if query != "" {
			cursors[name] = encode(query)
		}
	}
	for _, list := range inventory.Lists[1:] {
		_, other, _ := strings.Cut(firstPages[list], "?")
		cursors["of "+string(list)] = encode(other + "&$skiptoken=x")
	}
	sent = nil
	for name, cursor := range cursors {
		_, err := d.Page(t.Context(), anyToken, inventory.Applications, cursor)
		if err == nil || serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(sent) > 0 {
		t.Errorf("sent %q", sent)
	}
}

// A link that leads elsewhere, or to something else, is no link to the next page.
func TestInventoryForeignLink(t *testing.T) {
	path, first, _ := strings.Cut(firstPages[inventory.Applications], "?")
	var link string
	d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"@odata.nextLink":%q,"value":[]}`, strings.ReplaceAll(link, "HOST", r.Host))
	}))
	good, bad := queries(first)
	links := make(map[string]string)
	for name, query := range bad {
		links[name] = "https://HOST" + path + "?" + query
	}
	for name, host := range map[string]string{
		"another host": "https://evil.example.com", "another host, same port": "https://localhost:1", "no TLS": "http://HOST", "no host": "",
		"a user": "https://HOST@evil.example.com", "a longer host": "https://127.0.0.1.example.com", "no address": "%", "no scheme": "//HOST",
	} {
		links[name] = host + path + "?" + good["a place"]
	}
	for name, l := range links {
		link = l
		p, err := d.Page(t.Context(), anyToken, inventory.Applications, "")
		if err == nil || serviceerror.ClassOf(err) != serviceerror.Invalid || p.Next != "" {
			t.Errorf("%s: next %q, %v", name, p.Next, err)
		}
	}
	for name, query := range good {
		link = "https://HOST" + path + "?" + query
		if p, err := d.Page(t.Context(), anyToken, inventory.Applications, ""); err != nil || p.Next == "" {
			t.Errorf("%s: next %q, %v", name, p.Next, err)
		}
	}
	// Names of hosts are the same in either case.
	answer := `{"@odata.nextLink":"https://GRAPH.microsoft.com` + path + "?" + good["a place"] + `","value":[]}`
	if p, err := graph.ReadPage(inventory.Applications, []byte(answer), "graph.Microsoft.com"); err != nil || p.Next == "" {
		t.Errorf("in capitals: next %q, %v", p.Next, err)
	}
}

// Graph does not keep a place in a list for ever. Its 400 says that of the cursor.
func TestInventoryExpiredCursor(t *testing.T) {
	for _, code := range []string{"Directory_ExpiredPageToken", "Request_BadRequest", "BadRequest", "ExpiredSkipToken"} {
		d := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"code":%q,"message":"The specified page token value has expired."}}`, code)
		}))
		cursor := base64.RawURLEncoding.EncodeToString([]byte("$top=200&$skiptoken=x"))
		if _, err := d.Page(t.Context(), anyToken, inventory.Activity, cursor); serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("%s: %v", code, err)
		}
	}
}
