package directory_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/rotationtest"
)

// write adds a password to the application with the token of another, and removes it
// again behind Graph's back, so that the application does not fill up.
func (w *world) write(token string, on directory.Application) answer {
	w.t.Helper()
	a := w.act(token, "/applications/"+on.ObjectID+"/addPassword", `{}`)
	if keyID, ok := a.body["keyId"].(string); ok {
		if err := w.RemovePassword(on.ObjectID, keyID); err != nil {
			w.t.Fatal(err)
		}
	}
	return a
}

func TestQuotas(t *testing.T) {
	five := directory.Budget{Requests: 5, Per: time.Minute}
	for name, c := range map[string]struct {
		quotas   directory.Quotas
		audience string // of what is written
		shared   bool   // a second application takes from the same budget
		scope    string
		count    func(directory.Writes) int
	}{
		"application": {directory.Quotas{Application: five}, "", false, "Tenant_Application",
			func(w directory.Writes) int { return w.Application }},
		"tenant": {directory.Quotas{Tenant: five}, "", true, "Tenant", func(w directory.Writes) int { return w.Tenant }},
		"personal": {directory.Quotas{Personal: five}, "PersonalMicrosoftAccount", false, "Application",
			func(w directory.Writes) int { return w.Personal }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, directory.Config{Quotas: c.quotas})
			all := directory.Settings{Roles: []string{directory.RoleReadWriteAll}}
			target := w.register(directory.Registration{Settings: directory.Settings{SignInAudience: c.audience}})
			caller, other := w.register(directory.Registration{Settings: all}), w.register(directory.Registration{Settings: all})
			token, otherToken := w.token(caller), w.token(other)
			for range 5 {
				if a := w.write(token, target); a.status != http.StatusOK {
					t.Fatalf("within the budget: %d %v", a.status, a.body)
				}
				w.pass(2 * time.Second)
			}
			a := w.write(token, target)
			w.wantGraph("over the budget", a, 429, "TooManyRequests")
			if got := a.header.Get("Retry-After"); got != "50" { // the first write was 10 s ago
				t.Errorf("Retry-After %q, want 50", got)
			}
			if got := a.header.Get("x-ms-throttle-scope"); got != c.scope+"/Write/"+caller.ClientID+"/"+w.tenant {
				t.Errorf("scope %q", got)
			}
			if taken := w.write(otherToken, target).status == http.StatusTooManyRequests; taken != c.shared {
				t.Errorf("another application is refused: %v, want %v", taken, c.shared)
			}
			if a := w.get(token, "/applications/"+target.ObjectID); a.status != http.StatusOK {
				t.Errorf("a read is refused: %d", a.status)
			}
			w.pass(50 * time.Second)
			if a := w.write(token, target); a.status != http.StatusOK {
				t.Errorf("after the pause: %d %v", a.status, a.body)
			}
			if n := c.count(w.Writes()); n == 0 || n != w.Writes().Refused() {
				t.Errorf("refusals are counted as %+v", w.Writes())
			}
		})
	}
}

// TestDocumentedQuotas holds the numbers, and that any stretch of their length sees
// no more: two bursts around the end of a window are one too many.
func TestDocumentedQuotas(t *testing.T) {
	rotationtest.PlainOnly(t)
	q := directory.DocumentedQuotas()
	want := directory.Quotas{
		Application: directory.Budget{Requests: 3000, Per: 150 * time.Second},
		Tenant:      directory.Budget{Requests: 18000, Per: 300 * time.Second},
		Personal:    directory.Budget{Requests: 60, Per: 60 * time.Second},
		KeyReads:    directory.Budget{Requests: 150, Per: 60 * time.Second},
	}
	if q != want {
		t.Errorf("got %+v, want %+v", q, want)
	}
	q.Silent = true
	w := newWorld(t, directory.Config{Quotas: q})
	token := w.token(w.app)
	passed := 0
	for second := range 300 {
		w.pass(time.Second)
		for range 25 {
			a := w.act(token, "/applications/"+w.app.ObjectID+"/removePassword", `{}`)
			switch {
			case a.status == http.StatusBadRequest: // it was carried out, and asked for nonsense
				passed++
			case a.header.Get("Retry-After") != "":
				t.Fatalf("in second %d: Retry-After %q of a silent quota", second, a.header.Get("Retry-After"))
			}
		}
	}
	if passed != 6000 || w.Writes().Application != 7500-6000 {
		t.Errorf("%d writes in twice 150 s and %d refusals, want 6000 and 1500", passed, w.Writes().Application)
	}
	if a := w.act(token, "/applications/"+w.app.ObjectID+"/removePassword", `{}`); a.status != 429 {
		t.Errorf("one more: %s", strconv.Itoa(a.status))
	}
}

func TestFullApplication(t *testing.T) {
	w := newWorld(t, directory.Config{})
	if err := w.Change(w.app.ObjectID, func(s *directory.Settings) { s.MaxPasswords = 1 }); err != nil {
		t.Fatal(err)
	}
	a := w.act(w.token(w.app), "/applications/"+w.app.ObjectID+"/addPassword", `{}`)
	w.wantGraph("adding to a full application", a, 403, "Directory_ResourceSizeExceeded")
}
