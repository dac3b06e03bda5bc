package console_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/session"
)

func TestSignInPage(t *testing.T) {
	w := newWorld(t, 0)
	w.shows(w.get("/console/sign-in?back=/console/targets&problem=wrong-key"), "This is no API key", `value="/console/targets"`,
		"Microsoft Entra", "/.auth/login/aad")
	w.shows(w.get("/console/sign-in?back=//evil.example&problem=%3Cscript%3E"), `value="/console"`)
	p := w.post("/console/sign-in", url.Values{"key": {"rk_canary"}, "back": {"/console/targets"}})
	if p.Header().Get("Location") != "/by-key?back=%2Fconsole%2Ftargets&key=rk_canary" || strings.Contains(p.text, "canary") {
		t.Errorf("%v %s", p.Header(), p.text)
	}
	r := httptest.NewRequest(http.MethodDelete, "/console/sign-in", nil)
	if p := w.do(r); p.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", p.Code)
	}
}

// A stranger's form before the sign-in is not kept: a file in one would be written to the disk.
func TestStrangersWriteNoFiles(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for _, path := range []string{"/console/sign-in", "/console/sign-in/entra"} {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		file, err := form.CreateFormFile("file", "large")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = file.Write(make([]byte, 48<<20))
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, path, &body)
		r.Header.Set("Content-Type", form.FormDataContentType())
		newWorld(t, 0).do(r)
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%s: %d files, %v", path, len(left), err)
		}
	}
}

// Signing out with App Service goes on to Entra. Browsers hold a form's redirects against the policy of
// the page that it is on.
func TestSignOutLeadsToEntra(t *testing.T) {
	for kind, want := range map[string]string{auth.KindAppService: "form-action 'self' https:;", auth.KindKey: "form-action 'self';"} {
		w := newWorld(t, auth.Read)
		w.kind = kind
		w.everything("billing")
		if policy := w.get("/console/connections").Header().Get("Content-Security-Policy"); !strings.Contains(policy, want) {
			t.Errorf("%s: %s", kind, policy)
		}
	}
}

// Entra answers by GET. A form, or a link checker's HEAD, is none of its answers.
func TestCallbackTakesGetOnly(t *testing.T) {
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut} {
		p := newWorld(t, 0).do(httptest.NewRequest(method, "/console/sign-in/callback?code=x&state=y", nil))
		if p.Code != http.StatusMethodNotAllowed || p.Header().Get("Allow") != "GET" || p.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", method, p.Code, p.Header())
		}
	}
}

// What was not done leads back to the console, and to the sign-in only where another one would help.
func TestOnwardFromProblems(t *testing.T) {
	for problem, to := range map[session.Problem]string{session.Busy: "/console", session.OldForm: "/console", session.TooLarge: "/console",
		session.OtherPage: "/console", session.NoRole: "/console/sign-in", session.Unavailable: "/console"} {
		w := newWorld(t, auth.Read)
		w.problem = problem
		if p := w.get("/console/settings"); p.Code != http.StatusForbidden || !strings.Contains(p.text, `<p><a href="`+to+`">`) {
			t.Errorf("%s: %d %s", problem, p.Code, p.text)
		}
	}
}
