package tenant_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/tenant"
	"rekey/shared/inventory"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// world is a tenant with an application that may read all of it.
type world struct {
	t        testing.TB
	d        *directory.Directory
	tenantID string
	truth    *tenant.Truth
	token    string
}

func newWorld(t testing.TB, seed uint64, applications int) *world {
	t.Helper()
	w := &world{t: t, d: directory.New(directory.Config{Now: func() time.Time { return now }})}
	w.tenantID = w.d.AddTenant()
	var err error
	w.truth, err = tenant.Generate(tenant.Config{
		Directory: w.d, TenantID: w.tenantID, Seed: seed, Applications: applications, Now: now, Deployment: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := w.d.AddApplication(directory.Registration{TenantID: w.tenantID, Settings: directory.Settings{DisplayName: "reader",
		Roles: []string{directory.RoleReadAll, directory.RoleUserReadAll, directory.RoleAuditLogReadAll}}})
	if err != nil {
		t.Fatal(err)
	}
	w.signIn(reader)
	return w
}

func (w *world) signIn(app directory.Application) {
	w.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {app.Secret},
		"scope": {"https://graph.microsoft.com/.default"}}
	r := httptest.NewRequest(http.MethodPost, "/"+w.tenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	w.d.Authority().ServeHTTP(answer, r)
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body.Token == "" {
		w.t.Fatalf("signing in: %d %s", answer.Code, answer.Body)
	}
	w.token = body.Token
}

// read reads a list to its end, calls visit for each page, and returns the number of pages.
func (w *world) read(path string, visit func(page []byte)) (pages int) {
	w.t.Helper()
	for next := "https://graph.example" + path; next != ""; pages++ {
		r := httptest.NewRequest(http.MethodGet, next, nil)
		r.Header.Set("Authorization", "Bearer "+w.token)
		answer := httptest.NewRecorder()
		w.d.Graph().ServeHTTP(answer, r)
		if answer.Code != http.StatusOK {
			w.t.Fatalf("reading %s: %d %s", next, answer.Code, answer.Body)
		}
		visit(answer.Body.Bytes())
		var link struct {
			Next string `json:"@odata.nextLink"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &link); err != nil {
			w.t.Fatal(err)
		}
		next = link.Next
	}
	return pages
}

// found is what a complete scan finds, by client id, without the reader.
func (w *world) found() map[string]inventory.Application {
	w.t.Helper()
	merged := map[string]*inventory.Application{}
	for list, path := range lists {
		w.read(path, func(page []byte) {
			for _, part := range parts(w.t, list, page) {
				if merged[part.ClientID] == nil {
					merged[part.ClientID] = &inventory.Application{Key: inventory.Key{TenantID: w.tenantID}}
				}
				inventory.Merge(merged[part.ClientID], list, part)
			}
		})
	}
	all := map[string]inventory.Application{}
	for id, a := range merged {
		a.Conclude(nil, nil, now)
		a.FirstSeenAt, a.ChangedAt = time.Time{}, time.Time{}
		if a.Kept() && a.Name != "reader" {
			all[id] = *a
		}
	}
	return all
}

// check compares the truth with what a scan finds.
func (w *world) check() {
	w.t.Helper()
	found, wrong := w.found(), 0
	for _, want := range w.truth.Applications() {
		got, wanted := text(w.t, found[want.ClientID]), text(w.t, want)
		if got != wanted {
			if wrong++; wrong <= 3 {
				w.t.Errorf("found %s\nwant  %s", got, wanted)
			}
		}
		delete(found, want.ClientID)
	}
	if wrong > 0 {
		w.t.Errorf("%d applications are not found as they are", wrong)
	}
	for id := range found {
		w.t.Errorf("%s is found, and is not in the truth", id)
	}
}

// text is a row as it is stored.
func text(t testing.TB, a inventory.Application) string {
	t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTruth(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		w := newWorld(t, seed, 400)
		w.check()
		if n := len(w.truth.Applications()); n != 400 {
			t.Errorf("seed %d: %d applications, want 400", seed, n)
		}
		left := w.truth.LeftOut()
		for _, id := range left {
			if _, ok := w.truth.Application(id); ok {
				t.Errorf("%s is left out and shown", id)
			}
		}
		if len(left) < 40 {
			t.Errorf("seed %d: %d service principals that a scan leaves out", seed, len(left))
		}
	}
}

// TestChanges: the truth follows what is done to the tenant.
func TestChanges(t *testing.T) {
	w := newWorld(t, 4, 150)
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	before := len(w.truth.Applications())
	for range 20 {
		_, err := w.truth.Create()
		fatal(err)
	}
	fatal(w.truth.Delete(w.truth.Shape("nothing"))) // it owns another
	fatal(w.truth.Delete(w.truth.Shape("expired")))
	fatal(w.truth.Delete(w.truth.Shape("saml-of-gallery")))
	fatal(w.truth.Delete(w.truth.Shape("without-principal")))
	keyID, err := w.truth.AddSecret(w.truth.Shape("owns-itself"), "new", now, now.AddDate(0, 1, 0))
	fatal(err)
	_, err = w.truth.AddSecret(w.truth.Shape("secret-of-gallery"), "never", now, time.Time{})
	fatal(err)
	for _, shape := range []string{"saml", "nameless", "certificates", "personal-accounts"} {
		a, ok := w.truth.Application(w.truth.Shape(shape))
		if !ok {
			t.Fatalf("no %s", shape)
		}
		fatal(w.truth.RemoveCredential(a.ClientID, a.Credentials[0].KeyID))
	}
	w.check()
	if n := len(w.truth.Applications()); n != before+20-4-1 {
		t.Errorf("%d applications of %d, want five less and twenty more", n, before)
	}
	fatal(w.truth.RemoveCredential(w.truth.Shape("owns-itself"), keyID))
	w.check()
	if w.truth.RemoveCredential(w.truth.Shape("owns-itself"), keyID) == nil || w.truth.Delete(w.truth.Shape("expired")) == nil {
		t.Error("what is not there is removed")
	}
	if _, err := w.truth.AddSecret(w.truth.Shape("expired"), "", now, now); err == nil {
		t.Error("what is not there gets a client secret")
	}
}

// What owned something and is deleted owns it no more.
func TestDeletedOwner(t *testing.T) {
	w := newWorld(t, 5, 100)
	id := w.truth.Shape("owns-itself")
	a, _ := w.truth.Application(id)
	if len(a.Owners) != 1 || a.Owners[0].ID != a.PrincipalID || a.Owners[0].Kind != "servicePrincipal" {
		t.Fatalf("owners %+v", a.Owners)
	}
	if err := w.d.RemovePrincipal(a.PrincipalID); err != nil {
		t.Fatal(err)
	}
	if a := w.found()[id]; len(a.Owners) != 0 || a.PrincipalID != "" || a.ObjectID == "" {
		t.Errorf("found %+v", a)
	}
}

// TestSameSeed: a seed makes the same tenant every time, and another seed another one.
func TestSameSeed(t *testing.T) {
	make := func(seed uint64) string {
		w := newWorld(t, seed, 200)
		data, err := json.Marshal(w.truth.Applications())
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(data), w.tenantID, "tenant")
	}
	first := make(7)
	if make(7) != first {
		t.Error("the same seed makes another tenant")
	}
	if make(8) == first {
		t.Error("another seed makes the same tenant")
	}
}

// TestProportions: what a large tenant has.
func TestProportions(t *testing.T) {
	w := newWorld(t, 9, 10_000)
	var credentials, federated, ownerless, unused, used, never, expired int
	kinds := map[inventory.CredentialKind]int{}
	names := map[string]int{}
	for _, a := range w.truth.Applications() {
		credentials += len(a.Credentials)
		federated += len(a.Federated)
		names[a.Name]++
		if len(a.Owners) == 0 {
			ownerless++
		}
		for _, c := range a.Credentials {
			kinds[c.Kind]++
			switch {
			case c.EndsAt.IsZero():
				never++
			case !c.EndsAt.After(now):
				expired++
			}
			if c.UsedAt.IsZero() {
				unused++
			} else {
				used++
			}
			if c.UsedAt.After(now) || !c.UsedAt.IsZero() && c.UsedAt.Before(c.StartsAt.Add(-time.Second)) {
				t.Errorf("%s of %s was used at %s, from %s", c.KeyID, a.ClientID, c.UsedAt, c.StartsAt)
			}
		}
	}
	t.Logf("%d credentials %v, %d federated, %d ownerless, %d used, %d unused, %d never end, %d expired, %d names",
		credentials, kinds, federated, ownerless, used, unused, never, expired, len(names))
	if credentials < 27_000 || credentials > 33_000 {
		t.Errorf("%d credentials, want about 30,000", credentials)
	}
	few := []int{federated, ownerless, unused, used, never, expired, kinds[inventory.SAMLSigning], kinds[inventory.Certificate]}
	if slices.Min(few) < 300 {
		t.Errorf("something is rare: %v", few)
	}
}
