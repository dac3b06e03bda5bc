package oauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	pages "rekey/functions/oauth"
	"rekey/shared/auth"
	"rekey/shared/oauth"
	"rekey/shared/serviceerror"
)

// table counts reads of rows; it has the one that a test puts there.
type table struct {
	reads int
	rows  map[string][]byte
}

func (t *table) Pending(_ context.Context, key string) ([]byte, string, error) {
	t.reads++
	if row, ok := t.rows[key]; ok {
		return row, "1", nil
	}
	return nil, "", serviceerror.ErrNotFound
}

func (t *table) PutPending(context.Context, string, []byte, time.Time, string) (string, error) {
	return "2", nil
}

// site is the pages on a table, at a time of its own.
type site struct {
	*pages.Handler
	table *table
	log   bytes.Buffer
	at    time.Time
}

func newSite(l *auth.Limiter) *site {
	s := &site{table: &table{rows: map[string][]byte{}}, at: time.Date(2031, time.May, 4, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return s.at }
	log := slog.New(slog.NewJSONHandler(&s.log, nil))
	flow := &oauth.Flow{Store: s.table, ClientID: "c", PublicURL: "https://rekey.example", Now: clock, Log: log}
	s.Handler = &pages.Handler{Flow: flow, PublicURL: "https://rekey.example", AuthorityURL: "https://entra.example/", Limit: l,
		Now: clock, Log: log}
	return s
}

// begun puts the row of a flow into the table, as another process would have.
func (s *site) begun(t *testing.T, state string) (flow string) {
	t.Helper()
	flow = oauth.FlowOf(map[string][]string{"state": {state}})
	row, err := json.Marshal(map[string]any{"clientId": "c", "name": "billing", "expiresAt": s.at.Add(oauth.Lifetime)})
	if err != nil || flow == "" {
		t.Fatal(flow, err)
	}
	s.table.rows[flow] = row
	return flow
}

func (s *site) ask(t *testing.T, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://rekey.example"+oauth.Base+path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// stateNo is a state that looks like one of ours.
func stateNo(i int) string { return fmt.Sprintf("%043d", i) }

// flood asks n times for what does not exist, in each way that there is.
func (s *site) flood(t *testing.T, n int) (answered int) {
	t.Helper()
	for i := range n {
		state := stateNo(i)
		flow := oauth.FlowOf(map[string][]string{"state": {state}})
		ways := []struct{ method, path string }{
			{"GET", "start?state=" + state}, {"POST", "start?state=" + state}, {"GET", "callback?code=x&state=" + state},
			{"GET", "result?flow=" + flow}, {"HEAD", "start?state=" + state}, {"GET", "start?state=short"}, {"GET", "nothing"}, {"PUT", "start"},
			{"GET", "result?problem=used"},
		}
		way := ways[i%len(ways)]
		if w := s.ask(t, way.method, way.path, "Sec-Fetch-Site", "same-origin"); w.Code != http.StatusTooManyRequests {
			answered++
		}
	}
	return answered
}

// Ten thousand requests at once without a flow that exists cost as many reads of the table
// and lines of the log as the limit allows, and one line for all the rest.
func TestFloodOfThePages(t *testing.T) {
	s := newSite(auth.NewLimiter(auth.Limits{}))
	if n := s.flood(t, 10_000); n != 300 {
		t.Errorf("%d requests were answered, want 300", n)
	}
	if s.table.reads == 0 || s.table.reads > 300 {
		t.Errorf("the table was read %d times", s.table.reads)
	}
	if lines := strings.Count(s.log.String(), "\n"); lines != 301 {
		t.Errorf("%d lines in the log, want 301", lines)
	}
	s.log.Reset()
	reads := s.table.reads
	s.at = s.at.Add(time.Minute)
	if n := s.flood(t, 10_000); n != 300 || s.table.reads > reads+300 {
		t.Errorf("a minute later %d were answered with %d reads", n, s.table.reads-reads)
	}
	// The first minute's refusals were counted, all but the first, which had a line.
	if want := fmt.Sprintf(`"function":"oauth","count":%d`, 9699+1); !strings.Contains(s.log.String(), want) {
		t.Errorf("no line has %s", want)
	}
}

// A refusal says what to do, to browsers as a page that asks again and to programs as JSON,
// and quotes nothing.
func TestRefusalOfThePages(t *testing.T) {
	s := newSite(auth.NewLimiter(auth.Limits{Pages: 1}))
	s.ask(t, "GET", "nothing")
	for _, tt := range []struct {
		method, path, accept string
		says                 []string
		again                bool
	}{
		{"GET", "start?state=" + state, "text/html", []string{"<h1>One moment</h1>", "Too many requests", "Nothing was stored"}, true},
		{"GET", "callback?code=UNSEEN&state=" + state, "text/html", []string{"asks again by itself"}, true},
		{"POST", "start?state=" + state, "text/html", []string{"Too many requests", "press the button again"}, false},
		{"GET", "result?flow=x", "application/json", []string{`"statusCode":429`, `"error":"TooManyRequests"`, "Retry-After"}, false},
	} {
		w := s.ask(t, tt.method, tt.path, "Accept", tt.accept, "Sec-Fetch-Site", "same-origin")
		body := w.Body.String()
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "60" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: status %d, %v", tt.method, tt.path, w.Code, w.Header())
		}
		for _, want := range tt.says {
			if !strings.Contains(body, want) {
				t.Errorf("%s %s: %q is missing: %s", tt.method, tt.path, want, body)
			}
		}
		if strings.Contains(body, `http-equiv="refresh"`) != tt.again || strings.Contains(body+s.log.String(), "UNSEEN") {
			t.Errorf("%s %s: asks again or quotes: %s", tt.method, tt.path, body)
		}
	}
	if s.table.reads != 0 {
		t.Errorf("the table was read %d times", s.table.reads)
	}
}

// A person whose flow this process has begun is let in during a flood; so is one whose
// flow was found before. What they may do is bounded, too.
func TestVisitorsOfAFlowAreLetInDuringAFlood(t *testing.T) {
	limit := auth.NewLimiter(auth.Limits{})
	s := newSite(limit)
	found, own := s.begun(t, stateNo(1_000_000)), s.begun(t, stateNo(2_000_000))
	if w := s.ask(t, "GET", "start?state="+stateNo(1_000_000)); w.Code != http.StatusOK {
		t.Fatalf("before the flood: status %d", w.Code)
	}
	limit.KnowFlow(own, s.at) // as the API does when it begins one
	s.flood(t, 1000)
	for _, path := range []string{"start?state=" + stateNo(1_000_000), "start?state=" + stateNo(2_000_000)} {
		if w := s.ask(t, "GET", path); w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if w := s.ask(t, "GET", "result?flow="+found); w.Code == http.StatusTooManyRequests {
		t.Errorf("the result: status %d", w.Code)
	}
	s.begun(t, stateNo(3_000_000)) // elsewhere, and not yet known here
	if w := s.ask(t, "GET", "start?state="+stateNo(3_000_000)); w.Code != http.StatusTooManyRequests {
		t.Errorf("an unknown flow: status %d", w.Code)
	}
	reads, answered := s.table.reads, 0
	for range 10_000 {
		if w := s.ask(t, "GET", "start?state="+stateNo(2_000_000)); w.Code == http.StatusOK {
			answered++
		}
	}
	if answered != 59 || s.table.reads-reads != 59 { // one was asked above
		t.Errorf("%d answers and %d reads for one flow, want 59", answered, s.table.reads-reads)
	}
}

// A flow is known to exist only when the table, or the API, has said so.
func TestUnknownFlowsStayUnknown(t *testing.T) {
	s := newSite(auth.NewLimiter(auth.Limits{Pages: 3}))
	for _, path := range []string{"start?state=" + stateNo(1), "callback?code=x&state=" + stateNo(1), "start?state=" + stateNo(1)} {
		if w := s.ask(t, "GET", path); w.Code == http.StatusTooManyRequests {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if w := s.ask(t, "GET", "start?state="+stateNo(1)); w.Code != http.StatusTooManyRequests {
		t.Errorf("the fourth: status %d", w.Code)
	}
}
