package connections_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/activity"
	"rekey/shared/schedule"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/index"
	"rekey/shared/rotation"
)

const id = "0b1e7e57-0000-4000-8000-00000000000a"

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// service answers as its fields say. What is nil must not be asked, but for get and
// getTarget, which then know everything.
type service struct {
	create       func(connection.Input) (rotation.Record, error)
	update       func(connection.Change) (rotation.Record, error)
	delete       func(connection.DeleteOptions) (rotation.Record, error)
	get          func(id string) (rotation.Record, error)
	page         func(q index.Query) ([]rotation.Record, *index.Query, error)
	ahead        func(within time.Duration) (index.Ahead, error)
	list         func(project *string) ([]rotation.Record, error)
	upcoming     func(limit int) (connection.Upcoming, error)
	activity     func(weeks int) ([]activity.Week, error)
	createTarget func(via string, in connection.TargetInput) (rotation.Record, error)
	targets      func(via string) ([]rotation.Record, error)
	allTargets   func(project *string) ([]rotation.Record, error)
	getTarget    func(via, id string) (rotation.Record, error)
	rotate       func(id string, opts connection.RotateOptions) (rotation.Record, error)
	dryRun       func(opts connection.RotateOptions) (connection.Plan, error)
	abandon      func(by string) (rotation.Record, error)
	history      func(cursor string, limit int) ([]rotation.Event, string, error)
	audit        func(id, cursor string, limit int) ([]rotation.Event, string, error)
	check        func() (connection.Check, error)
	inspect      func(connection.Input) (connection.Inspection, error)
	clients      func(connection.ClientQuery) (connection.ClientList, error)
	once         func(k connection.Keyed, do func(id string) (rotation.Record, error)) (rotation.Record, error)
}

func (s service) Create(_ context.Context, in connection.Input) (rotation.Record, error) {
	return s.create(in)
}

func (s service) Update(_ context.Context, _ string, c connection.Change) (rotation.Record, error) {
	return s.update(c)
}

func (s service) Delete(_ context.Context, _ string, opts connection.DeleteOptions) (rotation.Record, error) {
	return s.delete(opts)
}

func (s service) Get(_ context.Context, id string) (rotation.Record, error) {
	if s.get == nil {
		return rotation.Record{ID: id, Method: connection.ClientSecret}, nil
	}
	return s.get(id)
}

func (s service) ByName(_ context.Context, _, name string) (rotation.Record, error) {
	return s.get(name)
}

func (s service) List(_ context.Context, project *string) ([]rotation.Record, error) {
	return s.list(project)
}

func (s service) Page(_ context.Context, q index.Query) ([]rotation.Record, *index.Query, error) {
	if s.page == nil {
		return nil, nil, nil
	}
	return s.page(q)
}

func (s service) Ahead(_ context.Context, within time.Duration) (index.Ahead, error) {
	return s.ahead(within)
}

func (s service) Upcoming(_ context.Context, limit int) (connection.Upcoming, error) {
	return s.upcoming(limit)
}

func (s service) Activity(_ context.Context, weeks int) ([]activity.Week, error) {
	return s.activity(weeks)
}

func (s service) Once(_ context.Context, k connection.Keyed, do func(id string) (rotation.Record, error)) (rotation.Record, error) {
	if s.once == nil && k.Key == "" {
		return do("")
	}
	return s.once(k, do)
}

func (s service) CreateTarget(_ context.Context, via string, in connection.TargetInput) (rotation.Record, error) {
	return s.createTarget(via, in)
}

func (s service) Targets(_ context.Context, via string) ([]rotation.Record, error) {
	return s.targets(via)
}

func (s service) AllTargets(_ context.Context, project *string) ([]rotation.Record, error) {
	return s.allTargets(project)
}

func (s service) GetTarget(_ context.Context, via, id string) (rotation.Record, error) {
	if s.getTarget == nil {
		return rotation.Record{ID: id, Via: via}, nil
	}
	return s.getTarget(via, id)
}

func (s service) Rotate(_ context.Context, id string, opts connection.RotateOptions) (rotation.Record, error) {
	return s.rotate(id, opts)
}

func (s service) DryRun(_ context.Context, _ string, opts connection.RotateOptions) (connection.Plan, error) {
	return s.dryRun(opts)
}

func (s service) Abandon(_ context.Context, _, by string) (rotation.Record, error) {
	return s.abandon(by)
}

func (s service) History(_ context.Context, _, cursor string, limit int) ([]rotation.Event, string, error) {
	return s.history(cursor, limit)
}

func (s service) Audit(_ context.Context, id, cursor string, limit int) ([]rotation.Event, string, error) {
	return s.audit(id, cursor, limit)
}

func (s service) Check(context.Context, string) (connection.Check, error) { return s.check() }

func (s service) Inspect(_ context.Context, in connection.Input) (connection.Inspection, error) {
	return s.inspect(in)
}

func (s service) Clients(_ context.Context, _ string, q connection.ClientQuery) (connection.ClientList, error) {
	return s.clients(q)
}

// ask sends one request of an administrator below the API's base, and returns the
// answer with what was logged.
func ask(t *testing.T, s service, method, path, body string, header ...string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	return askOf(t, handler(s, auth.Admin), method, path, body, header...)
}

// handler is the API for one caller.
func handler(s service, role auth.Role) *connections.Handler {
	return &connections.Handler{
		Service: s, Deployment: "test", Now: func() time.Time { return now },
		Authenticate: func(*http.Request) (auth.Caller, error) {
			return auth.Caller{Name: "boss", Role: role, Kind: auth.KindKey}, nil
		},
	}
}

func askOf(t *testing.T, h *connections.Handler, method, path, body string, header ...string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := httptest.NewRequestWithContext(t.Context(), method, connections.Base+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, log.String()
}

func failing(err error) service {
	return service{get: func(string) (rotation.Record, error) { return rotation.Record{}, err }}
}

// Each kind of error has its status; an error that no answer may show is not shown.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		says   string
		after  string
	}{
		{&connection.Error{Kind: connection.Invalid, Message: "change this"}, 400, "change this", ""},
		{&connection.Error{Kind: connection.Conflict, Message: "taken", RetryAfter: 90 * time.Second}, 409, "taken", "90"},
		{&connection.Error{Kind: connection.Conflict, Message: "busy", Code: connection.InProgress}, 409, "busy", ""},
		{&connection.Error{Kind: connection.NotFound, Message: "none"}, 404, "none", ""},
		{&connection.Error{Kind: connection.Unavailable, Message: "later", RetryAfter: 1500 * time.Millisecond}, 503, "later", "2"},
		{errors.New("hunter2 is the password"), 500, "The log has more under this request id", ""},
	} {
		got, log := ask(t, failing(tt.err), http.MethodGet, "/azure-client-secrets/"+id, "")
		var e struct{ ReqID, Message, Code string }
		if err := json.Unmarshal(got.Body.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if (e.Code == connection.InProgress) != (tt.says == "busy") || got.Code != tt.status ||
			!strings.Contains(e.Message, tt.says) || got.Header().Get("Retry-After") != tt.after {
			t.Errorf("%v: status %d, Retry-After %q: %s", tt.err, got.Code, got.Header().Get("Retry-After"), got.Body)
		}
		if strings.Contains(got.Body.String()+log, "hunter2") {
			t.Errorf("an unknown error is shown: %s%s", got.Body, log)
		}
		if tt.status == 500 && (!strings.Contains(log, "level=ERROR") || !strings.Contains(log, e.ReqID)) {
			t.Errorf("the log has nothing under the request id %s: %s", e.ReqID, log)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got.Header().Get(name) != want {
				t.Errorf("%s: %q", name, got.Header().Get(name))
			}
		}
	}
}

// The host's id of the invocation is the request's.
func TestRequestIDIsTheHosts(t *testing.T) {
	got, log := ask(t, failing(&connection.Error{Kind: connection.NotFound}), http.MethodGet, "/azure-client-secrets/"+id, "",
		"X-Azure-Functions-InvocationId", id)
	if !strings.Contains(got.Body.String(), `"reqId":"`+id+`"`) || !strings.Contains(log, "request="+id) {
		t.Errorf("%s %s", got.Body, log)
	}
}

// A secret that is in the wrong place is not quoted back, and not logged.
func TestNothingIsQuoted(t *testing.T) {
	const secret = "abc8Q~0123456789"
	never := service{create: func(in connection.Input) (rotation.Record, error) {
		in.Clean()
		return rotation.Record{}, in.Clean()
	}}
	for _, body := range []string{
		`{"name":` + secret + `}`,
		`{"rotation":{"rotationInterval":"` + secret + `"}}`,
		`{"credentials":"` + secret + `"}`,
		`{"method":"` + secret + `"}`,
		`{"method":"client-secret","name":"` + secret + `","description":"` + secret + `","projectId":"` + secret +
			`","vaultSecretName":"` + secret + `",
			"credentials":{"tenantId":"` + secret + `","clientId":"` + secret + `","clientSecretKeyId":"` + secret + `"}}`,
	} {
		got, log := ask(t, never, http.MethodPost, "/azure-client-secrets", body)
		if got.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s", body, got.Code, got.Body)
		}
		if strings.Contains(got.Body.String()+log, secret) {
			t.Errorf("%s is quoted: %s %s", body, got.Body, log)
		}
	}
	got, log := ask(t, never, http.MethodGet, "/"+secret+"?secret="+secret, "")
	if got.Code != http.StatusNotFound || strings.Contains(got.Body.String()+log, secret) {
		t.Errorf("the path: %s %s", got.Body, log)
	}
}

func TestContentType(t *testing.T) {
	s := service{create: func(connection.Input) (rotation.Record, error) { return rotation.Record{ID: id}, nil }}
	for kind, want := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "": 200, "text/plain": 415,
		"application/x-www-form-urlencoded": 415, ";": 415,
	} {
		var header []string
		if kind != "" {
			header = []string{"Content-Type", kind}
		}
		if got, _ := ask(t, s, http.MethodPost, "/azure-client-secrets", `{"method":"client-secret"}`, header...); got.Code != want {
			t.Errorf("%q: status %d, want %d", kind, got.Code, want)
		}
	}
}

// What the body says reaches the service, and its caller's name with it.
func TestCreateInput(t *testing.T) {
	var in connection.Input
	s := service{create: func(got connection.Input) (rotation.Record, error) { in = got; return rotation.Record{ID: id}, nil }}
	got, _ := ask(t, s, http.MethodPost, "/azure-client-secrets",
		`{"name":"billing","description":"d","projectId":"p","method":"client-secret",
		"credentials":{"tenantId":"t","clientId":"c","clientSecret":"s","clientSecretKeyId":"k"},`+
			`"vaultSecretName":"v","isAutoRotationEnabled":true,
		"rotation":{"rotationInterval":30,"rotateAt":{"hours":3,"minutes":15},"rotateAtUtc":{"hours":1,"minutes":15},"timeZone":"Europe/Berlin",
		"gracePeriodHours":0,"originalGracePeriodHours":1.5},"unknown":[1,2]}`)
	if got.Code != http.StatusOK {
		t.Fatal(got.Body)
	}
	grace, original := time.Duration(0), 90*time.Minute
	if in.Name != "billing" || in.Description != "d" || in.Project != "p" || in.TenantID != "t" || in.ClientID != "c" ||
		in.ClientSecret.Reveal() != "s" ||
		in.ClientSecretKeyID != "k" || in.VaultSecretName != "v" || !in.Rotate || in.By != "boss" ||
		in.Schedule != (schedule.Schedule{Interval: 30, Hours: 3, Minutes: 15, Zone: "Europe/Berlin"}) ||
		in.Grace == nil || *in.Grace != grace || in.OriginalGrace == nil || *in.OriginalGrace != original {
		t.Errorf("input %+v", in)
	}
}

func TestRotateOptions(t *testing.T) {
	day := 24 * time.Hour
	for _, tt := range []struct {
		body   string
		status int
		want   connection.RotateOptions
		says   string
	}{
		{"", 200, connection.RotateOptions{By: "boss"}, ""},
		{"{}", 200, connection.RotateOptions{By: "boss"}, ""},
		{`{"gracePeriodHours":24}`, 200, connection.RotateOptions{By: "boss", Grace: &day}, ""},
		{`{"emergency":true}`, 200, connection.RotateOptions{By: "boss", Emergency: true}, ""},
		{`{"emergency":true,"gracePeriodHours":24}`, 400, connection.RotateOptions{}, "no grace period"},
		{`{"gracePeriodHours":-1}`, 400, connection.RotateOptions{}, "from 0 to 720"},
		{`{"gracePeriodHours":1e300}`, 400, connection.RotateOptions{}, "number of hours"},
		{`{"gracePeriodHours":"1"}`, 400, connection.RotateOptions{}, "gracePeriodHours"},
		{`{"emergency":1}`, 400, connection.RotateOptions{}, "true or false"},
		{`[]`, 400, connection.RotateOptions{}, "an object"},
	} {
		var opts connection.RotateOptions
		s := service{rotate: func(_ string, o connection.RotateOptions) (rotation.Record, error) {
			opts = o
			return rotation.Record{ID: id}, nil
		}}
		got, _ := ask(t, s, http.MethodPost, "/azure-client-secrets/"+id+"/rotate-credentials", tt.body)
		same := opts.By == tt.want.By && opts.Emergency == tt.want.Emergency && (opts.Grace == nil) == (tt.want.Grace == nil) &&
			(opts.Grace == nil || *opts.Grace == *tt.want.Grace)
		if got.Code != tt.status || !same || !strings.Contains(got.Body.String(), tt.says) {
			t.Errorf("%s: status %d, options %+v: %s", tt.body, got.Code, opts, got.Body)
		}
	}
	// Of a person at the console the audit has what Entra calls them, too.
	var by string
	h := handler(service{rotate: func(_ string, o connection.RotateOptions) (rotation.Record, error) {
		by = o.By
		return rotation.Record{ID: id}, nil
	}}, auth.Admin)
	h.Authenticate = func(*http.Request) (auth.Caller, error) {
		return auth.Caller{Name: "user:1", Role: auth.Admin, Kind: auth.KindEntra, Shown: "Ada"}, nil
	}
	askOf(t, h, http.MethodPost, "/azure-client-secrets/"+id+"/rotate-credentials", "")
	if by != "user:1 (Ada)" {
		t.Errorf("it is asked for by %q", by)
	}
}
