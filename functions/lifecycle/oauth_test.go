package lifecycle_test

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

const pages = "/organization/app-connections/azure/oauth/"

// addPeople registers the application that people sign in to, and completes Rekey's settings.
func (w *world) addPeople(all settings) {
	w.Helper()
	var err error
	if w.people, err = w.services.AddOAuthApplication(publicURL + pages + "callback"); err != nil {
		w.Fatal(err)
	}
	w.services.Vault.Seed("oauth-application", w.people.Secret, nil)
	all["REKEY_OAUTH_CLIENT_SECRET_NAME"] = "oauth-application"
	all["INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID"] = w.people.ClientID
}

// browser is one with cookies of its own. It follows no redirects by itself.
type browser struct {
	*world
	client *http.Client
}

func (w *world) browser() *browser {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	return &browser{w, &http.Client{Transport: w.platform, Jar: jar, CheckRedirect: stay}}
}

// visit opens an address of Rekey's.
func (b *browser) visit(method, address, site string) reply {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", site)
	r.Header.Set("Accept", "text/html")
	if !strings.Contains(address, pages+"start") {
		r.Header.Set("Accept", "application/json")
	}
	got, err := b.try(b.client, r)
	if err != nil {
		b.Fatal(err)
	}
	return got
}

// link asks for a sign-in.
func (w *world) link(body object) string {
	w.Helper()
	begun := decode[struct {
		AuthorizationURL string
		ExpiresAt        time.Time
	}](w, w.call("rotate", http.MethodPost, secrets+"/oauth/authorize", body))
	if !strings.HasPrefix(begun.AuthorizationURL, publicURL+pages+"start?state=") || time.Until(begun.ExpiresAt) < time.Minute {
		w.Fatalf("the link is %s until %s", begun.AuthorizationURL, begun.ExpiresAt)
	}
	return begun.AuthorizationURL
}

// departs opens a link, presses the button, and returns Entra's address.
func (b *browser) departs(link string) string {
	b.Helper()
	if got := b.visit(http.MethodGet, link, "none"); got.status != http.StatusOK || !strings.Contains(string(got.body), "<form") {
		b.Fatalf("the start page: %d %s", got.status, got.body)
	}
	got := b.visit(http.MethodPost, link, "same-origin")
	to := got.header.Get("Location")
	if got.status != http.StatusSeeOther && got.status != http.StatusFound || !strings.HasPrefix(to, b.services.AuthorityURL+"/") {
		b.Fatalf("the button leads to %q: %d", to, got.status)
	}
	return to
}

// returns comes back with Entra's answer and looks at the result.
func (b *browser) returns(address string) (result struct{ Outcome, ConnectionID, Message string }, status int) {
	b.Helper()
	got := b.visit(http.MethodGet, address, "cross-site")
	for range 200 {
		to := got.header.Get("Location")
		if !strings.HasPrefix(to, publicURL+pages+"result?") {
			b.Fatalf("the callback leads to %q: %d", to, got.status)
		}
		page := b.visit(http.MethodGet, to, "cross-site")
		if page.status != http.StatusAccepted { // it is not working any more
			if err := json.Unmarshal(page.body, &result); err != nil {
				b.Fatalf("%v: %s", err, page.body)
			}
			return result, page.status
		}
	}
	b.Fatal("the result does not come")
	return result, 0
}

// signs is a person who does all of it and approves.
func (w *world) signs(link, user string) (outcome, id string) {
	w.Helper()
	b := w.browser()
	back, err := w.services.Person(user).Approve(w.Context(), b.departs(link))
	if err != nil {
		w.Fatal(err)
	}
	result, _ := b.returns(back.String())
	return result.Outcome, result.ConnectionID
}

// The whole life of a connection by OAuth and of what is rotated through it.
func TestOAuth(t *testing.T) {
	each(t, []string{builtIn, onLambda}, options{people: true}, func(w *world) {
		ask := object{"name": "tenant", "tenantId": w.services.TenantID, "description": "all of it"}
		w.refused(http.StatusForbidden, "read", http.MethodPost, secrets+"/oauth/authorize", ask)
		outcome, id := w.signs(w.link(ask), w.people.Administrator)
		if outcome != "connected" {
			w.Fatalf("the outcome is %q", outcome)
		}
		path := secrets + "/" + id
		made := w.get(path)
		if made.Name != "tenant" || made.Method != "oauth" || made.description() != "all of it" || made.Authentication == nil ||
			made.Authentication.Account == nil || *made.Authentication.Account != w.people.Administrator || made.Authentication.Problem != nil {
			w.Errorf("connected: %+v", made)
		}
		w.refused(http.StatusBadRequest, "rotate", http.MethodPost, secrets+"/oauth/authorize", ask)
		a := w.sample()
		b := w.owned(a)
		targets := w.oauthTargets(path, b)

		// The person's sessions end; another sign-in takes their place.
		if err := w.services.Directory.RevokeSessions(w.people.Administrator); err != nil {
			w.Fatal(err)
		}
		before := w.get(targets[0])
		value := w.works(b, before.VaultSecretName)
		if outcome, _ = w.signs(w.link(object{"connectionId": id}), w.people.Administrator); outcome != "reconnected" {
			w.Errorf("the outcome of the second sign-in is %q", outcome)
		}
		if now := w.get(path); now.CredentialsHash == made.CredentialsHash || now.Authentication.Problem != nil {
			w.Errorf("reconnected: %+v", now)
		}
		w.through(targets[0], b)
		if w.works(b, before.VaultSecretName) == value {
			w.Error("nothing was rotated")
		}
		w.endOfTargets(path, targets[0], targets[1], b)
	})
}

// oauthTargets adds two targets: b with a schedule, and one that is rotated by hand.
func (w *world) oauthTargets(path string, b directory.Application) []string {
	w.Helper()
	c := w.sample()
	first := w.one(w.call("rotate", http.MethodPost, path+"/targets", object{"clientId": b.ClientID, "vaultSecretName": "intranet-secret",
		"isAutoRotationEnabled": true, "rotation": daily()}))
	second := w.one(w.call("write", http.MethodPost, path+"/targets", object{"clientId": c.ClientID}))
	one, two := path+"/targets/"+first.ID, path+"/targets/"+second.ID
	first = w.settled(one)
	w.guard(b, "intranet-secret", b.KeyID)
	w.exactly(b, b.KeyID, first.key())
	w.works(b, "intranet-secret")
	w.rotate(two, nil)
	second = w.settled(two)
	w.exactly(c, c.KeyID, second.key())
	w.works(c, second.VaultSecretName)
	return []string{one, two}
}

// Every way of a sign-in that must not connect: another browser, another site's button, a
// person who declines, one who may not, an answer that is used twice.
func TestOAuthRefuses(t *testing.T) {
	each(t, []string{builtIn}, options{people: true}, func(w *world) {
		ask := object{"name": "tenant", "tenantId": w.services.TenantID}
		link := w.link(ask)
		if got := w.browser().visit(http.MethodPost, link, "cross-site"); got.status != http.StatusForbidden {
			t.Errorf("another site's button: %d", got.status)
		}
		if got := w.browser().visit(http.MethodGet, publicURL+pages+"start?state=unknown", "none"); got.status == http.StatusOK {
			t.Error("a link that Rekey has not made is opened")
		}
		w.nothingConnected("links")

		victim := w.browser()
		back, err := w.services.Person(w.people.Administrator).Approve(t.Context(), victim.departs(link))
		if err != nil {
			t.Fatal(err)
		}
		if _, status := w.browser().returns(back.String()); status == http.StatusOK {
			t.Error("another browser than the one that began has connected")
		}
		w.nothingConnected("another browser")

		declined := w.browser()
		no, err := w.services.Person(w.people.Administrator).Decline(t.Context(), declined.departs(w.link(ask)))
		if err != nil {
			t.Fatal(err)
		}
		if result, status := declined.returns(no.String()); status == http.StatusOK {
			t.Errorf("declined: %+v", result)
		}
		if outcome, _ := w.signs(w.link(ask), w.people.Ordinary); outcome == "connected" {
			t.Error("a person who may not consent has connected")
		}
		w.nothingConnected("declined")

		b := w.browser()
		back, err = w.services.Person(w.people.Administrator).Approve(t.Context(), b.departs(w.link(ask)))
		if err != nil {
			t.Fatal(err)
		}
		if result, _ := b.returns(back.String()); result.Outcome != "connected" {
			t.Fatalf("the outcome is %+v", result)
		}
		again := *back
		query, err := url.ParseQuery(back.RawQuery)
		if err != nil {
			t.Fatal(err)
		}
		again.RawQuery = query.Encode()
		w.browser().returns(again.String())
		if names := w.names(); len(names) != 1 {
			t.Errorf("an answer that came twice made %v", names)
		}
	})
}

func (w *world) nothingConnected(when string) {
	w.Helper()
	if names := w.names(); len(names) != 0 {
		w.Errorf("%s: there are connections %v", when, names)
	}
}
