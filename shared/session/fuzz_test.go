package session_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/entra"
	"rekey/shared/rotationtest"
	"rekey/shared/rotationtest/canary"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/session"
)

// entraStub notes what Entra would be asked.
type entraStub struct {
	state    string
	redeemed int
}

func (e *entraStub) SignInURL(r entra.SignInRequest) string {
	e.state = r.State
	return "https://entra.example/authorize"
}

func (e *entraStub) Issuer(string) string { return "https://entra.example/v2.0" }

func (e *entraStub) Redeem(context.Context, string, secret.Value, secret.Value, string) (secret.Value, error) {
	e.redeemed++
	return secret.Value{}, &serviceerror.Error{Op: "redeeming", Class: serviceerror.Transient}
}

// A made-up cookie is no session, and no sign-in that was begun here, whatever stands in it and in
// Entra's answer: only the very ones that were sealed open, each for its own purpose. No answer leads
// anywhere but to the console.
func FuzzCookies(f *testing.F) {
	memory := rotationtest.NewWorld(f)
	memory.Latency = 0
	key, hash, err := auth.NewKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	entry, err := auth.ParseKey("ci:read:" + hash)
	if err != nil {
		f.Fatal(err)
	}
	at := time.Now()
	clock := func() time.Time { return at }
	log := slog.New(slog.DiscardHandler)
	newManager := func(stub *entraStub) *session.Manager {
		return &session.Manager{
			Callers: &auth.Authenticator{Keys: []auth.Key{entry}}, Deployment: "test", PublicURL: public, Log: log, Now: clock,
			Keys:  &session.Keys{Vault: memory.VaultPort(), Name: keyName, Reservations: memory.StorePort(), Log: log, Now: clock},
			Entra: &session.Entra{Authority: stub, ClientID: "client", TenantID: tenantID},
		}
	}
	stub := &entraStub{}
	m := newManager(stub)
	cookie := func(begin func(w http.ResponseWriter, r *http.Request)) string {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, session.SignInPath, nil)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		begin(w, r)
		return w.Result().Cookies()[0].Value
	}
	signed := cookie(func(w http.ResponseWriter, r *http.Request) { m.SignInByKey(w, r, key, "") })
	begun := cookie(func(w http.ResponseWriter, r *http.Request) { m.SignInByEntra(w, r, "/console/targets") })
	state := stub.state

	f.Add(signed, begun, "code=x&state="+state)
	f.Add(signed, begun, "code=x&state=other")
	f.Add(begun, signed, "code=x&state=")
	f.Add(signed[:len(signed)-1], begun+"A", "error=access_denied&state="+state)
	f.Add(strings.Repeat("A", 400), "", canary.Mark)
	f.Add(signed[:40]+"AAAA"+signed[44:], begun[:2]+"\r\n"+begun[2:], "state="+state+"&state="+state)
	f.Add("", strings.Repeat("A", 5000), "code=%zz&state="+state)
	f.Add(signed+"="+signed, "\""+begun+"\"", "iss=https://evil.example&code=x&state="+state)
	f.Fuzz(func(t *testing.T, sessionText, signInText, query string) {
		stub := &entraStub{}
		m := newManager(stub) // else a sign-in would be used up
		r := httptest.NewRequest(http.MethodGet, session.Base, nil)
		r.Header["Cookie"] = []string{sessionCookie + "=" + sessionText}
		v, refused := m.Authenticate(httptest.NewRecorder(), r)
		switch {
		case v != nil && (!opens(r, sessionCookie, signed) || v.Caller.Name != "ci"):
			t.Errorf("%q is let in as %q", sessionText, v.Caller.Name)
		case v == nil && (opens(r, sessionCookie, signed) || refused.Status != http.StatusSeeOther):
			t.Errorf("%q is answered with %d", sessionText, refused.Status)
		case v == nil:
			leads(t, refused.Location)
		}

		r = httptest.NewRequest(http.MethodGet, session.CallbackPath, nil)
		r.URL.RawQuery = query
		r.Header["Cookie"] = []string{signInCookie + "=" + signInText}
		answer := m.Callback(httptest.NewRecorder(), r)
		if stub.redeemed > 0 && (!opens(r, signInCookie, begun) || r.URL.Query().Get("state") != state) {
			t.Errorf("a code is redeemed for %q and %q", signInText, query)
		}
		if answer.Status != http.StatusSeeOther || answer.Problem == "" {
			t.Errorf("the answer is %+v", answer)
		}
		leads(t, answer.Location)
	})
}

// opens reports whether a request has the very cookie that was sealed.
func opens(r *http.Request, name, sealed string) bool {
	c, err := r.Cookie(name)
	if err != nil {
		return false
	}
	sent, err := base64.RawURLEncoding.DecodeString(c.Value)
	raw, _ := base64.RawURLEncoding.DecodeString(sealed)
	return err == nil && string(sent) == string(raw)
}

// leads fails unless an address is one of the console's sign-in, and leads back to the console only.
func leads(t *testing.T, to string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil || u.Path != session.SignInPath || u.Host != "" || strings.ContainsAny(to, "<>\"'\\ \r\n") {
		t.Errorf("it leads to %q", to)
		return
	}
	if back := u.Query().Get("back"); back != "" && session.Back(back) != back {
		t.Errorf("and from there to %q", back)
	}
}

// What a person is led back to is a page of this console to every reader of addresses, whether they
// decode it or not, and never the sign-in itself.
func FuzzBack(f *testing.F) {
	for _, address := range append(backs, attacks...) {
		f.Add(address)
	}
	base, err := url.Parse("https://rekey.example/console/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address string) {
		got := session.Back(address)
		if got != address && got != session.Base || session.Back(got) != got {
			t.Fatalf("Back(%q) = %q", address, got)
		}
		to, err := base.Parse(got)
		if err != nil || to.Scheme != "https" || to.Host != "rekey.example" || to.User != nil || to.Fragment != "" {
			t.Fatalf("Back(%q) leads to %v, %v", address, to, err)
		}
		whole, _, _ := strings.Cut(got, "?")
		for _, read := range []string{whole, to.Path, strings.ReplaceAll(to.Path, `\`, "/")} {
			if clean := path.Clean(read); clean != session.Base && !strings.HasPrefix(clean, session.Base+"/") || clean == session.SignInPath ||
				strings.HasPrefix(clean, session.SignInPath+"/") || strings.HasPrefix(read, "//") {
				t.Errorf("Back(%q) is read as %q", address, read)
			}
		}
		for _, c := range []byte(got) {
			if c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == '<' {
				t.Errorf("Back(%q) has the byte %#x", address, c)
			}
		}
	})
}
