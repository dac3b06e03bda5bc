package graph_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rekey/shared/graph"
	"rekey/shared/inventory"
	"rekey/shared/rotationtest/canary"
	"rekey/shared/serviceerror"
)

// wire answers requests without a network.
type wire func(*http.Request) *http.Response

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r), nil }

func wired(f *testing.F, answer wire) *graph.Directory {
	f.Helper()
	d, err := graph.New(graph.Config{HTTPClient: &http.Client{Transport: answer}})
	if err != nil {
		f.Fatal(err)
	}
	return d
}

func success(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body))}
}

// A cursor is refused without a request, or asks the one host for the rest of its list and for
// nothing else.
func FuzzInventoryCursor(f *testing.F) {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for i, list := range inventory.Lists {
		_, first, _ := strings.Cut(firstPages[list], "?")
		good, bad := queries(first)
		for _, seeds := range []map[string]string{good, bad} {
			for _, query := range seeds {
				if len(query) < 1000 { // the engine takes minutes to make a long one shorter
					f.Add(i, encode(query))
				}
			}
		}
	}
	var sent []*http.Request
	d := wired(f, func(r *http.Request) *http.Response {
		sent = append(sent, r)
		return success(`{"value":[]}`)
	})
	f.Fuzz(func(t *testing.T, n int, cursor string) {
		list := inventory.Lists[uint(n)%uint(len(inventory.Lists))]
		sent = nil
		_, err := d.Page(context.Background(), anyToken, list, cursor)
		if err != nil {
			if serviceerror.ClassOf(err) != serviceerror.Invalid || len(sent) > 0 {
				t.Fatalf("%v after %d requests", err, len(sent))
			}
			return
		}
		first, _ := url.Parse("https://graph.microsoft.com" + firstPages[list])
		if len(sent) != 1 || sent[0].URL.Scheme != "https" || sent[0].URL.Host != first.Host || sent[0].URL.Path != first.Path ||
			sent[0].Method != http.MethodGet {
			t.Fatalf("sent %v", sent)
		}
		// As a server reads it, from the request's line.
		line := sent[0].URL.RequestURI()
		got, err := url.ParseRequestURI(line)
		if err != nil || strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) {
			t.Fatalf("sent %q: %v", line, err)
		}
		have, want := got.Query(), first.Query()
		if cursor != "" && have.Get("$skiptoken") == "" && have.Get("$skip") == "" {
			t.Errorf("no place in %q", line)
		}
		for _, place := range []string{"$skiptoken", "$skip"} {
			have.Del(place)
		}
		if !have.Has("$top") {
			want.Del("$top")
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("sent %q, which asks for something else", line)
		}
	})
}

// An answer is a page that can be kept, within the bounds, or it is refused. The link of a page
// is taken when it comes back.
func FuzzInventoryPage(f *testing.F) {
	// The engine takes minutes to make a long seed shorter.
	at := func(date string) string { return `"` + date + `"` }
	for _, members := range []string{
		`"displayName":"\ud800日","signInAudience":"a"`,
		`"createdDateTime":` + at("2024-02-29T10:11:12.1234567Z"),
		`"passwordCredentials":[{"keyId":"` + guidOf(1) + `","hint":"a","endDateTime":` + at("9999-12-31T23:59:59-01:00") + `}]`,
		`"keyCredentials":[null,{"keyId":"` + guidOf(1) + `","usage":"Sign","customKeyIdentifier":"AA"}]`,
		`"owners":[null,{"@odata.type":"#microsoft.graph.user","id":"` + guidOf(1) + `"}]`,
	} {
		f.Add(0, `{"value":[{"id":"`+guidOf(1)+`","appId":"`+guidOf(2)+`",`+members+`}]}`)
		f.Add(2, `{"value":[{"id":"`+guidOf(1)+`","appId":"`+guidOf(2)+`",`+members+`}]}`)
	}
	f.Add(1, `{"value":[{"id":"`+guidOf(1)+`","appId":"`+guidOf(2)+`","federatedIdentityCredentials":[{"id":"`+guidOf(3)+`","name":"n"}]}]}`)
	f.Add(2, `{"value":[{"servicePrincipalType":"Application","accountEnabled":false,"appOwnerOrganizationId":"`+guidOf(1)+`"}]}`)
	f.Add(3, `{"value":[{"appId":"`+guidOf(1)+`","keyId":"`+guidOf(2)+`","signInActivity":{"lastSignInDateTime":`+
		at("0000-01-01T00:00:00+01:00")+`}}]}`)
	f.Add(3, `{"value":[],"@odata.nextLink":"https://graph.microsoft.com/?$top=200&$skiptoken=x"}`)
	for _, seed := range []string{"", "null", "{}", `{"value":null}`, `{"value":[null,{}]}`, `{"value":{}}`, "<html>"} {
		f.Add(0, seed)
	}
	const host = "graph.microsoft.com"
	f.Fuzz(func(t *testing.T, n int, answer string) {
		list := inventory.Lists[uint(n)%uint(len(inventory.Lists))]
		for _, planted := range canary.Planted([]byte(answer)) {
			p, err := graph.ReadPage(list, planted, host)
			if err != nil {
				continue // it gets no further: TestInventoryNoPage
			}
			kept(t, p)
			if p.Next != "" {
				if query, ok := graph.Continue(list, p.Next); !ok {
					t.Errorf("does not take its own cursor, %q", query)
				}
			}
		}
	})
}

// kept checks that a page can be kept: what is read back is the same, and all of it has a bound.
func kept(t *testing.T, p inventory.Page) {
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back inventory.Page
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if len(p.Applications) > 0 && !reflect.DeepEqual(p, back) {
		t.Errorf("read back as %+v, was %+v", back, p)
	}
	for _, a := range p.Applications {
		ids := []string{a.ClientID}
		texts := []string{a.Name, a.Audience}
		for _, c := range a.Credentials {
			ids, texts = append(ids, c.KeyID), append(texts, c.Name, c.Hint, c.Thumbprint)
		}
		for _, o := range a.Owners {
			ids, texts = append(ids, o.ID), append(texts, o.Kind, o.Name, o.PrincipalName)
		}
		for _, f := range a.Federated {
			ids, texts = append(ids, f.ID), append(texts, f.Name, f.Issuer, f.Subject)
		}
		for _, id := range ids {
			if len(id) != 36 || id != strings.ToLower(id) {
				t.Errorf("id %q", id)
			}
		}
		for _, text := range texts {
			if utf8.RuneCountInString(text) > inventory.MaxText || !utf8.ValidString(text) {
				t.Errorf("text %q", text)
			}
		}
		if len(a.Credentials) > inventory.MaxCredentials || len(a.Owners) > inventory.MaxOwners || len(a.Federated) > inventory.MaxFederated {
			t.Errorf("%d credentials, %d owners, %d federated", len(a.Credentials), len(a.Owners), len(a.Federated))
		}
		if !slices.IsSortedFunc(a.Credentials, func(x, y inventory.Credential) int { return end(x).Compare(end(y)) }) {
			t.Errorf("credentials are not in the order of their ends: %+v", a.Credentials)
		}
	}
}

func end(c inventory.Credential) time.Time {
	if c.EndsAt.IsZero() {
		return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return c.EndsAt
}
