package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/oauth"
)

// Every callback that is not what was asked for leads to a page that says so, and
// nothing is stored.
func TestCallbacks(t *testing.T) {
	type given struct {
		w *world
		b browser
		q url.Values
	}
	for name, test := range map[string]struct {
		spoil    func(g *given)
		problem  oauth.Problem
		kind     oauth.Kind
		redeemed int
	}{
		"no parameters":        {spoil: func(g *given) { g.q = url.Values{} }, problem: oauth.Unknown},
		"no state":             {spoil: func(g *given) { g.q.Del("state") }, problem: oauth.Unknown},
		"a state of another":   {spoil: func(g *given) { g.q.Set("state", strings.Repeat("A", 43)) }, problem: oauth.Unknown},
		"a state of odd form":  {spoil: func(g *given) { g.q.Set("state", "../../conn-1") }, problem: oauth.Unknown},
		"two states":           {spoil: func(g *given) { g.q.Add("state", g.q.Get("state")) }, problem: oauth.Malformed},
		"two codes":            {spoil: func(g *given) { g.q.Add("code", "second") }, problem: oauth.Malformed},
		"neither code nor err": {spoil: func(g *given) { g.q.Del("code") }, problem: oauth.Malformed},
		"a huge query":         {spoil: func(g *given) { g.q.Set("x", strings.Repeat("x", 20<<10)) }, problem: oauth.Malformed},
		"no cookie":            {spoil: func(g *given) { clear(g.b) }, problem: oauth.OtherBrowser},
		"another cookie": {spoil: func(g *given) {
			for name := range g.b {
				g.b[name] = strings.Repeat("A", 43)
			}
		}, problem: oauth.OtherBrowser},
		"the cookie of another flow": {spoil: func(g *given) {
			second := browser{}
			g.w.depart(second, g.w.begin(oauth.Request{Name: "second", TenantID: tenant, By: "mallory"}))
			for name := range g.b {
				for _, value := range second {
					g.b[name] = value
				}
			}
		}, problem: oauth.OtherBrowser},
		"expired":                  {spoil: func(g *given) { g.w.now = g.w.now.Add(oauth.Lifetime) }, problem: oauth.Expired},
		"other settings meanwhile": {spoil: func(g *given) { g.w.ClientID = other }, problem: oauth.Expired},
		"declined": {spoil: func(g *given) {
			g.q = url.Values{"state": g.q["state"], "error": {"access_denied"}, "error_description": {"AADSTS65004: declined"}}
		}, kind: oauth.Declined},
		"error and code": {spoil: func(g *given) { g.q.Set("error", "access_denied") }, kind: oauth.Declined},
		"an empty error": {spoil: func(g *given) { g.q.Set("error", "") }, kind: oauth.Refused},
		"needs an administrator": {spoil: func(g *given) {
			g.q.Set("error", "access_denied")
			g.q.Set("error_description", "AADSTS90094: AdminConsentRequired")
		}, kind: oauth.NeedsAdmin},
		"consent required": {spoil: func(g *given) { g.q.Set("error", "consent_required") }, kind: oauth.NeedsAdmin},
		"redirect mismatch": {spoil: func(g *given) { g.q.Set("error", "x"); g.q.Set("error_description", "AADSTS50011: The redirect") },
			kind: oauth.Setup},
		"server error":   {spoil: func(g *given) { g.q.Set("error", "server_error") }, kind: oauth.Failed},
		"another issuer": {spoil: func(g *given) { g.q.Set("iss", "https://entra.example/"+other+"/v2.0") }, kind: oauth.Identity},
		"two issuers":    {spoil: func(g *given) { g.q["iss"] = []string{"a", "b"} }, problem: oauth.Malformed},
		"unknown code":   {spoil: func(g *given) { g.q.Set("code", "never-issued") }, kind: oauth.CodeSpent},
		"a code of another flow": {spoil: func(g *given) {
			second := browser{}
			to := g.w.depart(second, g.w.begin(oauth.Request{Name: "second", TenantID: tenant, By: "mallory"}))
			g.q.Set("code", g.w.entra.approve(g.w.T, to).Get("code"))
		}, kind: oauth.CodeSpent},
		"our secret is wrong": {spoil: func(g *given) {
			g.w.entra.fail = &serviceerror.Error{Op: "redeeming", Class: serviceerror.Invalid, Status: 401, Code: "AADSTS7000215"}
		}, kind: oauth.Setup},
		"no answer": {spoil: func(g *given) {
			g.w.entra.fail = &serviceerror.Error{Op: "redeeming", Class: serviceerror.Transient}
		}, kind: oauth.Failed},
		"consent lost": {spoil: func(g *given) { g.w.entra.fail = &serviceerror.Error{Class: serviceerror.ConsentMissing} },
			kind: oauth.NeedsAdmin},
		"ID token of a tenant": {spoil: func(g *given) { g.w.entra.claims = func(c *claims) { c.Tenant = other } },
			kind: oauth.Identity, redeemed: 1},
		"ID token for an app": {spoil: func(g *given) { g.w.entra.claims = func(c *claims) { c.Client = other } },
			kind: oauth.Identity, redeemed: 1},
		"ID token of another flow": {spoil: func(g *given) { g.w.entra.claims = func(c *claims) { c.Nonce = "of another" } },
			kind: oauth.Identity, redeemed: 1},
		"the name is taken now": {spoil: func(g *given) {
			g.w.conns.fail = &connection.Error{Kind: connection.Invalid, Message: "taken"}
		}, kind: oauth.Refused, redeemed: 1},
		"the vault is away": {spoil: func(g *given) {
			g.w.conns.fail = &connection.Error{Kind: connection.Unavailable, Message: "away"}
		}, kind: oauth.Failed, redeemed: 1},
		"the table is away": {spoil: func(g *given) {
			g.w.rows.Fail = func(string) (bool, error) {
				return false, &serviceerror.Error{Op: "writing", Class: serviceerror.Invalid}
			}
		}, problem: oauth.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g := &given{w: w, b: browser{}}
			g.q = w.entra.approve(t, w.depart(g.b, w.begin(w.request())))
			test.spoil(g)
			got, problem := w.ended(g.b, w.Callback(t.Context(), g.q.Encode(), g.b.jar))
			if problem != test.problem || got.Kind != test.kind {
				t.Errorf("ended with %q %q, want %q %q", got.Kind, problem, test.kind, test.problem)
			}
			if problem != "" && problem.Message() == "" || problem == "" && got.Text() == "" {
				t.Error("the person is told nothing")
			}
			if test.problem != "" && w.entra.asked != 0 {
				t.Error("Entra was asked to redeem a code that is not this browser's")
			}
			if w.entra.redeemed != test.redeemed {
				t.Errorf("%d codes were redeemed, want %d", w.entra.redeemed, test.redeemed)
			}
			if (got.AdminConsentURL != "") != (test.kind == oauth.NeedsAdmin) {
				t.Errorf("the consent link is %q", got.AdminConsentURL)
			}
			w.nothing()
		})
	}
}

// What a callback says for Entra is a stranger's text: one short line, no controls.
func TestEntraIsQuoted(t *testing.T) {
	w, b := newWorld(t), browser{}
	state := w.begin(w.request())
	w.depart(b, state)
	said := "AADSTS123456: <b>\x1b[31mno\u202e</b>\r\nTrace ID: 1\r\n" + strings.Repeat("ä", 1000)
	got, _ := w.ended(b, w.Callback(t.Context(),
		url.Values{"state": {state}, "error": {"weird"}, "error_description": {said}}.Encode(), b.jar))
	if !strings.HasPrefix(got.Entra, "weird AADSTS123456: <b>[31mno</b> Trace ID: 1 ä") || len([]rune(got.Entra)) > 301 {
		t.Errorf("kept %q", got.Entra)
	}
}

func TestAdminConsentProvesNothing(t *testing.T) {
	for query, want := range map[string]oauth.Problem{
		"admin_consent=True&tenant=" + other + "&state=admin-consent":                            oauth.ConsentGiven,
		"admin_consent=True&error=access_denied&state=admin-consent":                             oauth.ConsentRefused,
		"admin_consent=True&error=consent_required&error_description=AADSTS65004&state=whatever": oauth.ConsentRefused,
		"admin_consent=False":                        oauth.ConsentRefused,
		"admin_consent=True&admin_consent=True":      oauth.Malformed,
		"admin_consent=True&code=abc&state=whatever": oauth.ConsentGiven,
	} {
		w := newWorld(t)
		if got := w.Callback(t.Context(), query, browser{}.jar); got.Problem != want {
			t.Errorf("%s: %+v, want %q", query, got, want)
		}
		w.nothing()
	}
}

func FuzzCallback(f *testing.F) {
	for _, seed := range []string{"", "state=x", "state=a&state=b", "code=1&state=%zz", "error=x&admin_consent=True",
		"admin_consent=True", ";", "code=&error=", "state=" + strings.Repeat("A", 43) + "&code=x"} {
		f.Add(seed, "")
		f.Add(seed, "state=STATE&code=CODE")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		w, b := newWorld(t), browser{}
		state := w.begin(w.request())
		good := w.entra.approve(t, w.depart(b, state))
		after = strings.NewReplacer("STATE", state, "CODE", good.Get("code")).Replace(after)
		landing := w.Callback(t.Context(), before+"&"+after, b.jar)
		if (landing.Flow == "") == (landing.Problem == "") {
			t.Fatalf("landed at %+v", landing)
		}
		if strings.ContainsAny(landing.Path(), "\r\n \\<>\"'") || !strings.HasPrefix(landing.Path(), oauth.ResultPath+"?") {
			t.Errorf("landed at %q", landing.Path())
		}
		got, problem := w.ended(b, landing)
		if problem == "" && got.Text() == "" {
			t.Errorf("ended with %+v", got)
		}
		if made := len(w.conns.made); made > 0 && w.entra.redeemed != made {
			t.Errorf("%d connections for %d codes", made, w.entra.redeemed)
		}
	})
}

// A refusal that has a cause of its own is told by it, whether the callback brings it or the
// exchange of the code; a loop that Entra has stopped is for another try.
func TestARefusalIsToldByItsCause(t *testing.T) {
	for code, tt := range map[string]struct {
		kind oauth.Kind
		says string
	}{
		"AADSTS53003": {oauth.Refused, "Conditional Access"}, "AADSTS53000": {oauth.Refused, "compliant device"},
		"AADSTS50105": {oauth.Refused, "not assigned"}, "AADSTS7000112": {oauth.Refused, "disabled in this tenant"},
		"AADSTS50196": {oauth.Failed, "did not answer properly"},
	} {
		class := serviceerror.CredentialInvalid
		if tt.kind == oauth.Failed {
			class = serviceerror.Throttled
		}
		for name, spoil := range map[string]func(w *world, q url.Values) url.Values{
			"callback": func(_ *world, q url.Values) url.Values {
				return url.Values{"state": q["state"], "error": {"invalid_request"}, "error_description": {code + ": a text"}}
			},
			"code": func(w *world, q url.Values) url.Values {
				w.entra.fail = &serviceerror.Error{Op: "redeeming", Class: class, Status: 400, Code: code}
				return q
			},
		} {
			w, b := newWorld(t), browser{}
			q := spoil(w, w.entra.approve(t, w.depart(b, w.begin(w.request()))))
			got, _ := w.ended(b, w.Callback(t.Context(), q.Encode(), b.jar))
			if got.Kind != tt.kind || !strings.Contains(got.Text(), tt.says) || !strings.Contains(got.Text(), "Nothing was stored.") {
				t.Errorf("%s by the %s: %s: %s", code, name, got.Kind, got.Text())
			}
		}
	}
}
