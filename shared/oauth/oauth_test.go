package oauth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/oauth"
	"rekey/shared/rotation"
)

func TestConnect(t *testing.T) {
	w, b := newWorld(t), browser{}
	grace := 5 * time.Hour
	r := w.request()
	r.Target, r.Rotate, r.Grace = connection.Target{ClientID: other}, true, &grace
	r.Schedule = schedule.Schedule{Interval: 30, Hours: 3, Zone: "Europe/Berlin"}
	state := w.begin(r)
	in, problem := w.Open(t.Context(), state)
	if problem != "" || in.RequestedBy != "alice" || in.Name != "billing" || in.TenantID != tenant || in.Rotates != other || in.Again {
		t.Errorf("the start page says %+v, %s", in, problem)
	}
	q := w.entra.approve(t, w.depart(b, state))
	q.Set("iss", w.entra.Issuer(tenant))
	landing := w.Callback(t.Context(), q.Encode(), b.jar)
	got, problem := w.ended(b, landing)
	if problem != "" || got.Kind != oauth.Connected || got.ConnectionID != connID || got.Name != "billing" || !got.Done() {
		t.Errorf("the result is %+v, %s", got, problem)
	}
	if len(w.conns.made) != 1 {
		t.Fatalf("%d connections were made", len(w.conns.made))
	}
	made := w.conns.made[0]
	if made.Name != "billing" || made.By != "alice" || made.Target.ClientID != other || !made.Rotate ||
		*made.Grace != grace || made.Schedule != r.Schedule ||
		made.Method != connection.OAuth || made.TenantID != tenant || made.ClientID != client ||
		made.SignIn.Account != person || made.SignIn.Name != "Ada" || made.SignIn.RefreshToken.Reveal() != refresh {
		t.Errorf("made %+v", made)
	}
}

func TestReplay(t *testing.T) {
	w, b := newWorld(t), browser{}
	state := w.begin(w.request())
	q := w.entra.approve(t, w.depart(b, state)).Encode()
	for i := range 3 {
		if got, problem := w.ended(b, w.Callback(t.Context(), q, b.jar)); got.Kind != oauth.Connected {
			t.Errorf("callback %d: %q %q; the browser should see what came of the first", i, got.Kind, problem)
		}
	}
	if _, problem := w.ended(browser{}, w.Callback(t.Context(), q, browser{}.jar)); problem != oauth.OtherBrowser {
		t.Errorf("in another browser: %q", problem)
	}
	if _, problem := w.Open(t.Context(), state); problem != oauth.Used {
		t.Errorf("the start page afterwards: %q", problem)
	}
	if _, problem := w.Approve(t.Context(), state, b.jar); problem != oauth.Used {
		t.Errorf("the button afterwards: %q", problem)
	}
	if w.entra.redeemed != 1 || len(w.conns.made) != 1 {
		t.Errorf("%d codes redeemed, %d connections made", w.entra.redeemed, len(w.conns.made))
	}
}

// Many at once, each with a code of its own: one is redeemed.
func TestOneOfManyCallbacks(t *testing.T) {
	w, b := newWorld(t), browser{}
	state := w.begin(w.request())
	to := w.depart(b, state)
	var all sync.WaitGroup
	for range 8 {
		q := w.entra.approve(t, to).Encode()
		all.Go(func() { w.Callback(t.Context(), q, b.jar) })
	}
	all.Wait()
	if w.entra.redeemed != 1 || len(w.conns.made) != 1 {
		t.Errorf("%d codes redeemed, %d connections made", w.entra.redeemed, len(w.conns.made))
	}
}

func TestDoubleClick(t *testing.T) {
	w, b := newWorld(t), browser{}
	state := w.begin(w.request())
	first := w.depart(b, state)
	if second := w.depart(b, state); second != first || len(b) != 1 {
		t.Errorf("the second click leads to\n%s, the first to\n%s, with %d cookies", second, first, len(b))
	}
	// The second was faster than the first one's cookie: whichever the browser
	// keeps, that one's address works.
	early, late := browser{}, browser{}
	w.depart(early, state)
	to := w.depart(late, state)
	got, problem := w.ended(late, w.Callback(t.Context(), w.entra.approve(t, to).Encode(), late.jar))
	if got.Kind != oauth.Connected {
		t.Errorf("ended with %q %q", got.Kind, problem)
	}
}

func TestTwoFlowsInOneBrowser(t *testing.T) {
	w, b := newWorld(t), browser{}
	one := w.begin(w.request())
	second := w.request()
	second.Name = "reporting"
	two := w.begin(second)
	toOne, toTwo := w.depart(b, one), w.depart(b, two)
	if len(b) != 2 {
		t.Fatalf("there are %d cookies", len(b))
	}
	for _, to := range []string{toTwo, toOne} {
		if got, problem := w.ended(b, w.Callback(t.Context(), w.entra.approve(t, to).Encode(), b.jar)); got.Kind != oauth.Connected {
			t.Errorf("ended with %q %q", got.Kind, problem)
		}
	}
	if len(w.conns.made) != 2 || w.conns.made[0].Name != "reporting" {
		t.Errorf("made %+v", w.conns.made)
	}
}

// Three browsers take a link up; the table can tell no reader b.
func TestWhatIsStored(t *testing.T) {
	w := newWorld(t)
	state := w.begin(w.request())
	for range 6 {
		w.depart(browser{}, state)
	}
	if n := len(w.rows.Values()); n != 1 {
		t.Errorf("%d rows", n)
	}
	for _, row := range w.rows.Values() {
		if n := strings.Count(row, `"bindings":["`); n != 1 || len(row) > 2000 {
			t.Errorf("the row is %s", row)
		}
	}
}

func TestBeginRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(r *oauth.Request, w *world)
		kind connection.Kind
	}{
		"a bad name":           {func(r *oauth.Request, _ *world) { r.Name = "Not A Slug" }, connection.Invalid},
		"no tenant":            {func(r *oauth.Request, _ *world) { r.TenantID = "" }, connection.Invalid},
		"a tenant by domain":   {func(r *oauth.Request, _ *world) { r.TenantID = "contoso.onmicrosoft.com" }, connection.Invalid},
		"rotation of nothing":  {func(r *oauth.Request, _ *world) { r.Rotate = true }, connection.Invalid},
		"a name that is taken": {func(_ *oauth.Request, w *world) { w.conns.rec = existing(1) }, connection.Invalid},
		"no such connection":   {func(r *oauth.Request, _ *world) { r.ConnectionID = connID }, connection.NotFound},
		"no id":                {func(r *oauth.Request, _ *world) { r.ConnectionID = "x" }, connection.Invalid},
		"a client secret's": {func(r *oauth.Request, w *world) { r.ConnectionID = connID; w.conns.rec = &rotation.Record{ID: connID} },
			connection.Invalid},
		"another tenant": {func(r *oauth.Request, w *world) {
			r.ConnectionID, r.TenantID = connID, other
			w.conns.rec = existing(1)
		}, connection.Invalid},
		"the table is away": {func(_ *oauth.Request, w *world) {
			w.rows.Fail = func(string) (bool, error) { return false, &serviceerror.Error{Class: serviceerror.Transient} }
		}, connection.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.request()
			test.edit(&r, w)
			_, err := w.Begin(t.Context(), r)
			e, ok := errors.AsType[*connection.Error](err)
			if !ok || e.Kind != test.kind || e.Message == "" {
				t.Errorf("got %v, want kind %q", err, test.kind)
			}
			if n := len(w.rows.Values()); n != 0 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// Each write of a flow fails once, with and without having happened. Either the flow
// goes on, or nothing is stored and the person is told.
func TestWritesFail(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for broken := 1; broken <= 4; broken++ {
			w, b := newWorld(t), browser{}
			n := 0
			w.rows.Fail = func(string) (bool, error) {
				if n++; n == broken {
					return applied, &serviceerror.Error{Op: "writing", Class: serviceerror.Transient, UnknownOutcome: true}
				}
				return true, nil
			}
			begun, err := w.Begin(t.Context(), w.request())
			if err != nil {
				if broken != 1 {
					t.Errorf("write %d: Begin: %v", broken, err)
				}
				continue
			}
			state := begun.AuthorizationURL[len(public+oauth.StartPath+"?state="):]
			got, problem := w.ended(b, w.Callback(t.Context(), w.entra.approve(t, w.depart(b, state)).Encode(), b.jar))
			if got.Kind != oauth.Connected || w.entra.redeemed != 1 || len(w.conns.made) != 1 {
				t.Errorf("write %d, applied %v: %q %q, %d redeemed", broken, applied, got.Kind, problem, w.entra.redeemed)
			}
		}
	}
}

// A process that dies after the state was used up leaves no browser waiting for ever.
func TestInterrupted(t *testing.T) {
	w, b := newWorld(t), browser{}
	q := w.entra.approve(t, w.depart(b, w.begin(w.request())))
	w.conns.fail = errors.New("the table is gone for good")
	n := 0
	w.rows.Fail = func(string) (bool, error) {
		if n++; n > 1 {
			return false, &serviceerror.Error{Op: "writing", Class: serviceerror.Invalid}
		}
		return true, nil
	}
	landing := w.Callback(t.Context(), q.Encode(), b.jar)
	if got, problem := w.ended(b, landing); got.Kind != oauth.Working {
		t.Errorf("at first: %q %q", got.Kind, problem)
	}
	w.now = w.now.Add(15 * time.Minute)
	if got, problem := w.ended(b, landing); got.Kind != oauth.Interrupted {
		t.Errorf("later: %q %q", got.Kind, problem)
	}
}

func TestRedeemOfACallersCode(t *testing.T) {
	w := newWorld(t)
	w.entra.codes = map[string]issuedCode{"good": {tenant, "", "", public + oauth.CallbackPath},
		"elsewhere": {tenant, "", "", "https://elsewhere.example"}, "ours": {tenant, "challenge", "", public + oauth.CallbackPath}}
	c, err := w.Redeem(t.Context(), secret.New("good"), " "+strings.ToUpper(tenant)+" ")
	if err != nil || c.Method != connection.OAuth || c.TenantID != tenant || c.ClientID != client ||
		c.SignIn.Account != person || c.SignIn.RefreshToken.Reveal() != refresh {
		t.Errorf("got %+v, %v", c, err)
	}
	for name, test := range map[string]struct{ code, tenant string }{
		"again": {"good", tenant}, "another redirect URI": {"elsewhere", tenant}, "no tenant": {"good", ""}, "a domain": {"good", "contoso.com"},
		"another tenant": {"elsewhere", other}, "no code": {"", tenant}, "a code of a flow of ours": {"ours", tenant},
	} {
		if _, err := w.Redeem(t.Context(), secret.New(test.code), test.tenant); err == nil {
			t.Errorf("%s: accepted", name)
		} else if _, ok := errors.AsType[*connection.Error](err); !ok {
			t.Errorf("%s: %v is no *connection.Error", name, err)
		}
	}
	w.entra.codes["good"] = issuedCode{tenant, "", "", public + oauth.CallbackPath}
	w.entra.claims = func(c *claims) { c.Tenant = other }
	if _, err := w.Redeem(t.Context(), secret.New("good"), tenant); err == nil {
		t.Error("an ID token of another tenant was accepted")
	}
}

// What another browser brings does not use the state up.
func TestAnotherBrowserUsesNothingUp(t *testing.T) {
	w, b := newWorld(t), browser{}
	q := w.entra.approve(t, w.depart(b, w.begin(w.request()))).Encode()
	for _, other := range []browser{{}, {"__Host-rekey-oauth-0123456789abcdef": strings.Repeat("A", 43)}} {
		if _, problem := w.ended(other, w.Callback(t.Context(), q, other.jar)); problem != oauth.OtherBrowser {
			t.Errorf("ended with %q", problem)
		}
	}
	if got, problem := w.ended(b, w.Callback(t.Context(), q, b.jar)); got.Kind != oauth.Connected {
		t.Errorf("the right one ended with %q %q", got.Kind, problem)
	}
}

// impatient is a store that notices the end of a context.
type impatient struct{ oauth.Store }

func (s impatient) PutPending(ctx context.Context, key string, value []byte, expires time.Time, etag string) (string, error) {
	if ctx.Err() != nil {
		return "", &serviceerror.Error{Op: "writing", Class: serviceerror.Transient, UnknownOutcome: true}
	}
	return s.Store.PutPending(ctx, key, value, expires, etag)
}

// Making a connection, with its first rotation, may take longer than all the rest; what
// came of it is noted all the same.
func TestSlowConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWorld(t), browser{}
		w.Store, w.conns.takes = impatient{w.rows}, time.Minute
		q := w.entra.approve(t, w.depart(b, w.begin(w.request())))
		if got, problem := w.ended(b, w.Callback(t.Context(), q.Encode(), b.jar)); got.Kind != oauth.Connected {
			t.Errorf("ended with %q %q", got.Kind, problem)
		}
	})
}

// A client that hangs up does not cancel what is under way.
func TestHangUp(t *testing.T) {
	w, b := newWorld(t), browser{}
	q := w.entra.approve(t, w.depart(b, w.begin(w.request())))
	w.Store = impatient{w.rows}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, problem := w.ended(b, w.Callback(ctx, q.Encode(), b.jar)); got.Kind != oauth.Connected {
		t.Errorf("ended with %q %q", got.Kind, problem)
	}
}
