package fault_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/fault"
)

// play asks for the calls in order and returns which of them failed, as their numbers
// from 1.
func play(t *testing.T, plan fault.Plan, calls ...string) (failed []int) {
	t.Helper()
	s, err := fault.NewSchedule(plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, op := range calls {
		if s.Hook(op, httptest.NewRequest(http.MethodPost, "/", nil)) != nil {
			failed = append(failed, i+1)
		}
	}
	return failed
}

func TestWhenARuleTakesEffect(t *testing.T) {
	ten := slices.Repeat([]string{"graph.addPassword"}, 10)
	mixed := []string{"vault.set", "graph.addPassword", "table.batch", "graph.removePassword", "vault.get"}
	for name, c := range map[string]struct {
		rules []fault.Rule
		calls []string
		want  []int
	}{
		"always":            {[]fault.Rule{{Op: "*", Kind: fault.LostRequest}}, ten[:3], []int{1, 2, 3}},
		"twice":             {[]fault.Rule{{Op: "*", Kind: fault.LostRequest, Count: 2}}, ten, []int{1, 2}},
		"the third":         {[]fault.Rule{{Op: "*", Kind: fault.LostRequest, Nth: 3}}, ten, []int{3}},
		"from the third":    {[]fault.Rule{{Op: "*", Kind: fault.LostRequest, Nth: 3, Count: 4}}, ten, []int{3, 4, 5, 6}},
		"one operation":     {[]fault.Rule{{Op: "table.batch", Kind: fault.LostRequest}}, mixed, []int{3}},
		"one service":       {[]fault.Rule{{Op: "vault.*", Kind: fault.LostRequest}}, mixed, []int{1, 5}},
		"where it is known": {[]fault.Rule{{Op: "*", Kind: fault.TwoSecrets}}, mixed, []int{2}},
		"two rules": {[]fault.Rule{{Op: "graph.*", Kind: fault.Busy, Nth: 2}, {Op: "*", Kind: fault.LostRequest, Nth: 1}}, mixed,
			[]int{1, 4}},
		"earlier one first": {[]fault.Rule{{Op: "*", Kind: fault.Busy, Nth: 2}, {Op: "*", Kind: fault.LostRequest, Nth: 2}}, ten, []int{2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(t, fault.Plan{Rules: c.rules}, c.calls...); !slices.Equal(got, c.want) {
				t.Errorf("calls %v fail, want %v", got, c.want)
			}
		})
	}
}

// TestChanceIsRepeatable: the seed decides, and other rules have no say.
func TestChanceIsRepeatable(t *testing.T) {
	calls := slices.Repeat([]string{"graph.addPassword"}, 1000)
	rule := fault.Rule{Op: "graph.*", Kind: fault.LostResponse, Probability: 0.3}
	first := play(t, fault.Plan{Seed: 7, Rules: []fault.Rule{rule}}, calls...)
	if n := len(first); n < 250 || n > 350 {
		t.Errorf("%d of 1000 calls fail, want about 300", n)
	}
	if again := play(t, fault.Plan{Seed: 7, Rules: []fault.Rule{rule}}, calls...); !slices.Equal(first, again) {
		t.Error("the same seed gives something else")
	}
	if other := play(t, fault.Plan{Seed: 8, Rules: []fault.Rule{rule}}, calls...); slices.Equal(first, other) {
		t.Error("another seed gives the same")
	}
	elsewhere := fault.Rule{Op: "vault.*", Kind: fault.LostRequest, Probability: 0.5}
	if more := play(t, fault.Plan{Seed: 7, Rules: []fault.Rule{rule, elsewhere}}, calls...); !slices.Equal(first, more) {
		t.Error("another rule changes when this one takes effect")
	}
}

func TestConflictAfterWrite(t *testing.T) {
	at := time.Unix(0, 0)
	for scope, want := range map[string][]bool{
		//            first  again  read   other  tenant's later  later
		"application": {false, true, false, false, false, false, true},
		"tenant":      {false, true, false, true, false, false, true},
	} {
		s, err := fault.NewSchedule(fault.Plan{Rules: []fault.Rule{
			{Op: "graph.*", Kind: fault.ConflictAfterWrite, Within: fault.Duration(4 * time.Second), Scope: scope},
		}}, func() time.Time { return at })
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for _, c := range []struct {
			method, tenant, app string
			pass                time.Duration
		}{
			{http.MethodPost, "t", "a", 0},
			{http.MethodPost, "t", "a", time.Second},
			{http.MethodGet, "t", "a", 0},
			{http.MethodPost, "t", "b", 0},
			{http.MethodPost, "u", "c", 0},
			{http.MethodPost, "t", "a", 3 * time.Second}, // 4 s after the first: over
			{http.MethodPost, "t", "a", 3 * time.Second},
		} {
			at = at.Add(c.pass)
			r := fault.About(httptest.NewRequest(c.method, "/", nil), fault.Subject{Tenant: c.tenant, Application: c.app})
			e := s.Hook("graph.addPassword", r)
			got = append(got, e != nil && e.Status == 409 && e.Code == "Directory_ConcurrencyViolation" && !e.Apply)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: conflicts %v, want %v", scope, got, want)
		}
		if e := s.Hook("graph.addPassword", httptest.NewRequest(http.MethodPost, "/", nil)); e != nil {
			t.Errorf("%s: a call about no application knows what conflicts", scope)
		}
	}
}

func TestPlanMistakes(t *testing.T) {
	for name, r := range map[string]fault.Rule{
		"no kind":              {Op: "*"},
		"unknown kind":         {Op: "*", Kind: "gremlins"},
		"no operation":         {Kind: fault.Busy},
		"malformed":            {Op: "[", Kind: fault.Busy},
		"not of this service":  {Op: "vault.*", Kind: fault.Concurrent409},
		"not of this call":     {Op: "graph.removePassword", Kind: fault.TwoSecrets},
		"too likely":           {Op: "*", Kind: fault.Busy, Probability: 1.1},
		"chance and number":    {Op: "*", Kind: fault.Busy, Probability: 0.5, Nth: 1},
		"negative":             {Op: "*", Kind: fault.Busy, Count: -1},
		"half a second":        {Op: "*", Kind: fault.Busy, RetryAfter: fault.Duration(time.Second / 2)},
		"pause of the silent":  {Op: "*", Kind: fault.BusySilently, RetryAfter: fault.Duration(time.Second)},
		"delay of what is not": {Op: "*", Kind: fault.Busy, Delay: fault.Duration(time.Second)},
		"within of what isn't": {Op: "*", Kind: fault.Busy, Within: fault.Duration(time.Second)},
		"scope":                {Op: "graph.*", Kind: fault.ConflictAfterWrite, Scope: "planet"},
		"status":               {Op: "*", Kind: fault.HTMLBody, Status: 99},
	} {
		if _, err := fault.NewSchedule(fault.Plan{Rules: []fault.Rule{{Op: "*", Kind: fault.Slow}, r}}, nil); err == nil ||
			!strings.Contains(err.Error(), "rule 2: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, kind := range fault.Kinds() {
		if _, err := fault.NewSchedule(fault.Plan{Rules: []fault.Rule{{Op: "*", Kind: kind}}}, nil); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestPlanAsJSON(t *testing.T) {
	text := `{"seed":7,"rules":[{"op":"graph.*","kind":"throttled","probability":0.25,"retryAfter":"1m30s"}]}`
	var p fault.Plan
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Rules[0].RetryAfter != fault.Duration(90*time.Second) {
		t.Fatalf("got %+v, %v", p, err)
	}
	if back, err := json.Marshal(p); err != nil || string(back) != text {
		t.Errorf("got %s, %v", back, err)
	}
}

// TestManyAtOnce is for the race detector, and counts.
func TestManyAtOnce(t *testing.T) {
	s, err := fault.NewSchedule(fault.Plan{Rules: []fault.Rule{{Op: "*", Kind: fault.LostRequest, Nth: 101, Count: 50}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				s.Hook("vault.get", httptest.NewRequest(http.MethodGet, "/", nil))
				s.State()
			}
		})
	}
	all.Wait()
	if state := s.State()[0]; state.Seen != 400 || state.Fired != 50 {
		t.Errorf("seen %d, fired %d; want 400 and 50", state.Seen, state.Fired)
	}
}

// serve answers one request under an effect, over a real connection.
func serve(t *testing.T, e *fault.Effect, body string) (answer string, status int, header http.Header, applied int, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("request-id", "one")
		w.Header().Set("Content-Type", "application/json")
		next := func(w http.ResponseWriter, r *http.Request) {
			applied++
			if hint := fault.HintOf(r); hint != "" {
				w.Header().Set("hint", string(hint))
			}
			if body == "" {
				w.WriteHeader(http.StatusNoContent)
			}
			io.WriteString(w, body)
		}
		fail := func(w http.ResponseWriter, status int, code, message string) {
			w.WriteHeader(status)
			io.WriteString(w, code+" "+message)
		}
		fault.Serve(func(string, *http.Request) *fault.Effect { return e }, "graph.addPassword", w, r, next, fail)
	}))
	defer server.Close()
	response, err := server.Client().Post(server.URL, "text/plain", strings.NewReader("sent"))
	if err != nil {
		return "", 0, nil, applied, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return string(data), response.StatusCode, response.Header, applied, err
}

func TestEffects(t *testing.T) {
	const body = "0123456789"
	for name, c := range map[string]struct {
		effect  *fault.Effect
		body    string
		answer  string
		status  int
		media   string
		applied int
		broken  bool
	}{
		"behave":             {nil, body, body, 200, "application/json", 1, false},
		"refuse":             {&fault.Effect{Status: 409, Code: "C", Text: "t"}, body, "C t", 409, "application/json", 0, false},
		"apply and refuse":   {&fault.Effect{Apply: true, Status: 504, Code: "C"}, body, "C ", 504, "application/json", 1, false},
		"lose the request":   {&fault.Effect{}, body, "", 0, "", 0, true},
		"lose the answer":    {&fault.Effect{Apply: true}, body, "", 0, "", 1, true},
		"half an answer":     {&fault.Effect{Pass: true, Truncate: true}, body, "01234", 200, "application/json", 1, true},
		"half of nothing":    {&fault.Effect{Pass: true, Truncate: true}, "", "", 0, "", 1, true},
		"half a refusal":     {&fault.Effect{Status: 400, Code: "C", Text: "12", Truncate: true}, body, "C ", 400, "application/json", 0, true},
		"page":               {&fault.Effect{Status: 502, HTML: "<p>"}, body, "<p>", 502, "text/html; charset=utf-8", 0, false},
		"slow":               {&fault.Effect{Pass: true, Delay: time.Millisecond}, body, body, 200, "application/json", 1, false},
		"slow answer":        {&fault.Effect{Pass: true, Hold: time.Millisecond}, body, body, 200, "application/json", 1, false},
		"without any answer": {&fault.Effect{Pass: true}, "", "", 204, "application/json", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			answer, status, header, applied, err := serve(t, c.effect, c.body)
			if answer != c.answer || status != c.status || applied != c.applied || (err != nil) != c.broken {
				t.Errorf("got %q, status %d, applied %d times, %v", answer, status, applied, err)
			}
			if status != 0 && (header.Get("Content-Type") != c.media || header.Get("request-id") != "one") {
				t.Errorf("headers %v", header)
			}
		})
	}
	_, _, header, _, _ := serve(t, &fault.Effect{Pass: true, Hint: fault.HintEmptyPage, Header: http.Header{"Retry-After": {"3"}}}, body)
	if header.Get("hint") != string(fault.HintEmptyPage) || header.Get("Retry-After") != "3" {
		t.Errorf("headers %v", header)
	}
}

// TestCallerGivesUp: a slow call is carried out although its caller no longer waits
// for it, which is what makes it dangerous; and it holds no server up.
func TestCallerGivesUp(t *testing.T) {
	for name, e := range map[string]*fault.Effect{
		"slow":        {Pass: true, Delay: time.Hour},
		"slow answer": {Pass: true, Hold: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			applied := make(chan string, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next := func(_ http.ResponseWriter, r *http.Request) {
					data, _ := io.ReadAll(r.Body)
					applied <- string(data)
				}
				fault.Serve(func(string, *http.Request) *fault.Effect { return e }, "vault.set", w, r, next, nil)
			}))
			defer server.Close() // waits for the handler
			client := server.Client()
			client.Timeout = 20 * time.Millisecond
			if _, err := client.Post(server.URL, "text/plain", strings.NewReader("sent")); err == nil {
				t.Error("there is an answer")
			}
			if got := <-applied; got != "sent" {
				t.Errorf("applied with body %q", got)
			}
		})
	}
}
