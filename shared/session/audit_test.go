package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/serviceerror"
	"rekey/shared/session"
)

// audited returns what the audit has, the oldest first.
func (w *world) audited() (all []string) {
	w.Helper()
	events, _, err := w.table.Audit(context.WithoutCancel(w.Context()), audit.Query{Limit: 1000})
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		all = append(all, fmt.Sprintf("%s %s %s %s %s: %s %d", e.Kind, e.How, e.By, e.Role, e.From, e.Reason, e.Count))
	}
	return all
}

// Who signs in and out is in the audit, with role and address, and so is each refusal with its
// reason, and the making of the key.
func TestAudited(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	b := w.browser()
	next := func() { w.after(time.Second) } // lines of one moment are in no order
	b.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {"rk_" + strings.Repeat("A", 43)}})
	next()
	if resp := b.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {key}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.Status)
	}
	next()
	p, _ := b.get()
	_, resp := b.opens(http.MethodPost, "/console/x", url.Values{session.TokenField: {"of another session"}})
	b.refused("another session's form", resp, http.StatusForbidden, session.OldForm)
	next()
	b.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	b.do(http.MethodPost, "/console/x", url.Values{session.TokenField: {p.Token}})
	b.header = nil
	next()
	b.do(http.MethodPost, "/console/sign-out", url.Values{session.TokenField: {p.Token}})
	next()
	b.cookies[sessionCookie], b.ends[sessionCookie] = strings.Repeat("A", 400), w.now().Add(time.Hour)
	b.get()
	next()
	w.Callers.Keys[0].Role = 0
	other := w.browser()
	other.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {key}})
	next()
	other.get()
	want := []string{
		"console.refused    192.0.2.1: the API key is not known: REKEY_API_KEYS has no entry with its hash 1",
		"console.key-made    : there was none 1",
		"console.signed-in api-key ci read 192.0.2.1:  1",
		"console.refused api-key ci read 192.0.2.1: old-form 1",
		"console.refused    192.0.2.1: it was sent by another site's page 1",
		"console.signed-out api-key ci read 192.0.2.1:  1",
		"console.refused    192.0.2.1: the cookie does not open 1",
		"console.signed-in api-key ci  192.0.2.1:  1",
		"console.refused api-key ci  192.0.2.1: no-role 1",
	}
	got := w.audited()
	slices.Sort(got[1:3]) // the key is made by the sign-in, at the same moment
	if !slices.Equal(got, want) {
		t.Errorf("the audit has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A flood of guesses is one line, also beyond the limit of unknown callers.
func TestAFloodOfGuesses(t *testing.T) {
	w := newWorld(t)
	w.Limit = auth.NewLimiter(auth.Limits{Unknown: 3})
	b := w.browser()
	for range 600 {
		b.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {"rk_" + strings.Repeat("A", 43)}})
	}
	if got := w.audited(); len(got) != 1 || !strings.HasSuffix(got[0], " 512") {
		t.Errorf("the audit has %q", got)
	}
}

// An audit that can't be written keeps no person out.
func TestSigningInWithoutTheTable(t *testing.T) {
	w := newWorld(t)
	key := w.addKey("ci", auth.Read)
	w.Trail.Store, w.Keys.Trail = away{}, nil
	w.browser().signIn(key)
	if !strings.Contains(w.lines(), `"the audit could not be written"`) || !strings.Contains(w.lines(), `"event":"console.signed-in"`) {
		t.Errorf("the log says %s", w.lines())
	}
}

// away is a table that does not answer.
type away struct{ audit.Store }

func (away) WriteAudit(context.Context, string, audit.Event) error {
	return &serviceerror.Error{Op: "writing the audit", Class: serviceerror.Transient}
}
