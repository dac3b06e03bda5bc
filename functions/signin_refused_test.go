package functions_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/stack"
)

// signInRefusals are what Entra says to a sign-in that no new credential puts right, with
// the words of the cause and of what to do about it.
var signInRefusals = []struct {
	code   string
	status int
	class  string // towards an application
	person string // towards a person; empty: the same
	says   []string
}{
	{"AADSTS50076", 400, "credential-invalid", "sign-in-expired", []string{"multi-factor authentication", "oauth/authorize"}},
	{"AADSTS50078", 400, "credential-invalid", "sign-in-expired", []string{"multi-factor authentication", "has ended", "oauth/authorize"}},
	{"AADSTS70043", 400, "credential-invalid", "sign-in-expired", []string{"sign-in frequency", "oauth/authorize"}},
	{"AADSTS53003", 400, "credential-invalid", "", []string{"Conditional Access", "blocks", "Exempt"}},
	{"AADSTS53000", 400, "credential-invalid", "", []string{"Conditional Access", "device", "Exempt"}},
	{"AADSTS50105", 400, "credential-invalid", "", []string{"not assigned", "Users and groups"}},
	{"AADSTS7000112", 401, "credential-invalid", "", []string{"is disabled in this tenant", "Enabled for users to sign-in"}},
}

// refusing makes Entra refuse a grant with a code of its own.
func refusing(op, code string, status int) fault.Hook {
	return func(called string, _ *http.Request) *fault.Effect {
		if called == op {
			return &fault.Effect{Status: status, Code: code, Text: "An injected refusal."}
		}
		return nil
	}
}

// says fails the test if text lacks one of the words.
func says(t *testing.T, what, text string, words []string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s does not say %q: %s", what, word, text)
		}
	}
}

// Each refusal of a sign-in is told by its own cause, wherever a caller learns of it: when
// a connection is made, when it is tested, and when it is rotated.
func TestRefusedSignInSaysItsCause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.connected()
	other := w.sample()
	for _, r := range signInRefusals {
		w.stack.Break(refusing(directory.OpToken, r.code, r.status))
		w.call(auth.Rotate, http.MethodPost, secrets, creation(other, "name", "other")).refuses(t, http.StatusBadRequest,
			append(r.says, r.code)...)
		got := w.test("/" + made.ID)
		if got.Authenticates || got.Problem == nil || got.Problem.Class != r.class {
			t.Fatalf("%s: the test: %+v", r.code, got)
		}
		says(t, r.code+": the test", got.Problem.Message, append(r.says, r.code))
		says(t, r.code+": why", strings.Join(got.Why, " "), r.says)
		w.rotateNow(made.ID)
		if e := w.record(made.ID).Error; e == nil || string(e.Class) != r.class || e.RetryAt.Sub(w.clock.Now()) < 30*time.Minute {
			t.Errorf("%s: a person has to act, so that it is tried seldom: %+v", r.code, e)
		} else {
			says(t, r.code+": the rotation", e.Message, append(r.says, r.code))
		}
		w.stack.Break(nil)
		w.rotateNow(made.ID).ok(t)
		w.settle()
	}
}

// The same for a person who signed in, and for what rotates through them.
func TestRefusedSignInOfAPersonSaysItsCause(t *testing.T) {
	t.Parallel()
	w, people := newOAuthWorld(t)
	target := w.sample()
	made := w.person(people, target)
	for _, r := range signInRefusals {
		want := r.person
		if want == "" {
			want = r.class
		}
		w.stack.Break(refusing(directory.OpRefresh, r.code, r.status))
		got := w.test("/" + made.ID)
		if got.Problem == nil || got.Problem.Class != want {
			t.Fatalf("%s: the test: %+v", r.code, got)
		}
		says(t, r.code+": the test", got.Problem.Message, append(r.says, r.code))
		w.rotateNow(made.ID)
		rec := w.record(made.ID)
		if rec.Error == nil || rec.Auth.Problem == nil || string(rec.Auth.Problem.Class) != want {
			t.Fatalf("%s: the record: %+v, %+v", r.code, rec.Error, rec.Auth.Problem)
		}
		says(t, r.code+": the sign-in", rec.Auth.Problem.Message, append(r.says, r.code))
		says(t, r.code+": the rotation", rec.Error.Message, append(r.says, r.code))
		w.stack.Break(nil)
		w.rotateNow(made.ID).ok(t)
		w.settle()
		if p := w.record(made.ID).Auth.Problem; p != nil {
			t.Errorf("%s: it signs in again, and the problem is still there: %+v", r.code, p)
		}
	}
}

// A loop that Entra has stopped passes by itself: it is no verdict on the credential, is
// tried again after minutes, and the caller is told so.
func TestALoopThatEntraStoppedPasses(t *testing.T) {
	t.Parallel()
	w, people := newOAuthWorld(t)
	person := w.person(people, w.sample())
	_, own := w.connected()
	for op, made := range map[string]view{directory.OpToken: own, directory.OpRefresh: person} {
		w.stack.Break(refusing(op, "AADSTS50196", 400))
		got := w.call(auth.Write, http.MethodPost, secrets+"/"+made.ID+"/test", nil)
		got.refuses(t, http.StatusServiceUnavailable, "loop", "AADSTS50196")
		if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 300 {
			t.Errorf("%s: Retry-After %q", op, got.header.Get("Retry-After"))
		}
		w.rotateNow(made.ID)
		rec := w.record(made.ID)
		if e := rec.Error; e == nil || e.Class != "throttled" || e.RetryAt.Sub(w.clock.Now()) < 4*time.Minute ||
			e.RetryAt.Sub(w.clock.Now()) > 20*time.Minute {
			t.Errorf("%s: the rotation: %+v", op, e)
		} else {
			says(t, op, e.Message, []string{"loop", "AADSTS50196", "by itself"})
		}
		if rec.Auth != nil && rec.Auth.Problem != nil {
			t.Errorf("%s: the sign-in is called lost: %+v", op, rec.Auth.Problem)
		}
		w.stack.Break(nil)
		w.clock.forward(6 * time.Minute)
		w.settle()
		if rec := w.record(made.ID); rec.LastRun.Outcome != "success" {
			t.Errorf("%s: afterwards %+v", op, rec.LastRun)
		}
	}
}

// person connects the administrator, who rotates target.
func (w *world) person(people stack.OAuthApplication, target directory.Application) view {
	w.Helper()
	link := decode[struct{ AuthorizationURL string }](w.T, w.call(auth.Rotate, http.MethodPost, secrets+"/oauth/authorize", object{
		"name": "person", "tenantId": w.stack.TenantID, "isAutoRotationEnabled": true,
		"rotation": object{"gracePeriodHours": 0, "rotationInterval": 30, "rotateAt": object{"hours": 3, "minutes": 15},
			"timeZone": "Europe/Berlin",
			"target":   object{"clientId": target.ClientID}},
	})).AuthorizationURL
	w.connect(link, people.Administrator)
	w.settle()
	return w.one(w.call(auth.Read, http.MethodGet, secrets+"/connection-name/person", nil))
}
