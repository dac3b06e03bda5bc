package rotationtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// DirectorySubject is what [TestDirectory] tests: an authority and a directory that
// see the same applications, and one application of its own that nothing else uses.
//
// Every change has to be visible to the next call; how a directory behaves whose
// replicas lag is no business of this suite. Each func changes App at once and
// fails the test if it cannot.
type DirectorySubject struct {
	Authority rotator.Authority
	Directory rotator.Directory
	Now       func() time.Time

	// App is complete, in its directory alone, has Secret with the key id KeyID
	// as its only client secret, and may change its own client secrets.
	App    rotation.Application
	Secret secret.Value
	KeyID  string

	Expire          func()                      // moves Now beyond the end of Secret
	AdmitPersonal   func()                      // lets personal accounts sign in
	LimitLifetime   func(longest time.Duration) // of new client secrets, by policy
	ForbidPasswords func()                      // new ones, by policy
	DenyWrites      func()                      // takes the right to change App away
	Delete          func()                      // deletes App
}

// TestDirectory checks that a subject keeps what [rotator.Authority] and
// [rotator.Directory] promise, with the classes of error that the rotation acts
// upon. newSubject is called for each case.
func TestDirectory(t *testing.T, newSubject func(t *testing.T) DirectorySubject) {
	cases := map[string]func(*testing.T, DirectorySubject){
		"token":          testToken,
		"token refused":  testTokenRefused,
		"token expired":  testTokenExpired,
		"application":    testApplication,
		"no application": testNoApplication,
		"rotation":       testAddAndRemove,
		"two at most":    testTwoAtMost,
		"policies":       testPolicies,
		"permission":     testPermission,
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) { test(t, newSubject(t)) })
	}
}

// unknownID names nothing.
const unknownID = "00000000-0000-4000-8000-00000000dead"

// wantRefusal fails the test unless err is a [serviceerror.Error] of that class whose
// outcome is known.
func wantRefusal(t *testing.T, doing string, err error, want serviceerror.Class) {
	t.Helper()
	e, ok := errors.AsType[*serviceerror.Error](err)
	if !ok || e.Class != want || e.UnknownOutcome {
		t.Fatalf("%s: got %v; want class %s and a known outcome", doing, err, want)
	}
}

func (s DirectorySubject) token(t *testing.T) rotation.Token {
	t.Helper()
	token, err := s.Authority.Token(t.Context(), s.App, s.Secret)
	if err != nil {
		t.Fatalf("asking for a token: %v", err)
	}
	return token
}

func (s DirectorySubject) add(t *testing.T, marker string) rotation.Issued {
	t.Helper()
	issued, err := s.Directory.AddPassword(t.Context(), s.token(t), s.App, marker, s.Now().Add(30*24*time.Hour))
	if err != nil {
		t.Fatalf("adding %s: %v", marker, err)
	}
	return issued
}

func (s DirectorySubject) passwords(t *testing.T) []rotation.Password {
	t.Helper()
	state, err := s.Directory.Application(t.Context(), s.token(t), s.App)
	if err != nil {
		t.Fatalf("reading the application: %v", err)
	}
	return state.Passwords
}

func testToken(t *testing.T, s DirectorySubject) {
	first, second := s.token(t), s.token(t)
	if first.Value.IsZero() || first.Value == second.Value {
		t.Error("two requests gave no token or the same one: one of them came from a cache")
	}
	if !first.ExpiresAt.After(s.Now()) {
		t.Errorf("token expires at %v, which is over", first.ExpiresAt)
	}
	if !first.Opaque && first.ObjectID == "" {
		t.Error("token is readable but has no object id")
	}
}

func testTokenRefused(t *testing.T, s DirectorySubject) {
	ask := func(app rotation.Application, secret secret.Value) error {
		_, err := s.Authority.Token(t.Context(), app, secret)
		return err
	}
	wantRefusal(t, "wrong secret", ask(s.App, secret.New("abc8Q~wrong")), serviceerror.CredentialRefused)
	other := s.App
	other.ClientID = unknownID
	wantRefusal(t, "unknown application", ask(other, s.Secret), serviceerror.ApplicationMissing)
	other = s.App
	other.TenantID = unknownID
	wantRefusal(t, "unknown tenant", ask(other, s.Secret), serviceerror.TenantMissing)
	other.TenantID = "../common"
	wantRefusal(t, "malformed tenant", ask(other, s.Secret), serviceerror.TenantMissing)
}

func testTokenExpired(t *testing.T, s DirectorySubject) {
	s.token(t)
	s.Expire()
	_, err := s.Authority.Token(t.Context(), s.App, s.Secret)
	wantRefusal(t, "expired secret", err, serviceerror.CredentialExpired)
}

func testApplication(t *testing.T, s DirectorySubject) {
	byObjectID, err := s.Directory.Application(t.Context(), s.token(t), s.App)
	if err != nil {
		t.Fatalf("reading by object id: %v", err)
	}
	app := s.App
	app.ObjectID = ""
	byClientID, err := s.Directory.Application(t.Context(), s.token(t), app)
	if err != nil {
		t.Fatalf("reading by client id: %v", err)
	}
	for how, got := range map[string]rotation.ApplicationState{"object id": byObjectID, "client id": byClientID} {
		if got.ObjectID != s.App.ObjectID || got.ClientID != s.App.ClientID || got.PersonalAccounts() {
			t.Errorf("by %s: got object id %s, client id %s, audience %s", how, got.ObjectID, got.ClientID, got.SignInAudience)
		}
		if len(got.Passwords) != 1 || got.Passwords[0].KeyID != s.KeyID || got.Passwords[0].Hint != s.Secret.Reveal()[:3] {
			t.Errorf("by %s: got passwords %+v, want the one %s", how, got.Passwords, s.KeyID)
		}
	}
}

func testNoApplication(t *testing.T, s DirectorySubject) {
	token := s.token(t)
	for _, missing := range []rotation.Application{
		{TenantID: s.App.TenantID, ClientID: unknownID},
		{TenantID: s.App.TenantID, ClientID: s.App.ClientID, ObjectID: unknownID},
	} {
		_, err := s.Directory.Application(t.Context(), token, missing)
		wantRefusal(t, "reading an unknown application", err, serviceerror.ApplicationMissing)
	}
	s.Delete()
	_, err := s.Authority.Token(t.Context(), s.App, s.Secret)
	wantRefusal(t, "token of a deleted application", err, serviceerror.ApplicationMissing)
}

func testAddAndRemove(t *testing.T, s DirectorySubject) {
	expires := s.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Second)
	issued, err := s.Directory.AddPassword(t.Context(), s.token(t), s.App, "rekey/test/one/0000000001", expires)
	if err != nil {
		t.Fatalf("adding: %v", err)
	}
	if issued.Value.IsZero() || issued.KeyID == "" || issued.KeyID != strings.ToLower(issued.KeyID) || !issued.ExpiresAt.Equal(expires) {
		t.Fatalf("issued %+v, want a value, a lower-case key id and the end %v", issued, expires)
	}
	list := s.passwords(t)
	i := slices.IndexFunc(list, func(p rotation.Password) bool { return p.KeyID == issued.KeyID })
	if len(list) != 2 || i < 0 {
		t.Fatalf("listed %+v, want %s and %s", list, s.KeyID, issued.KeyID)
	}
	got := list[i]
	if got.DisplayName != "rekey/test/one/0000000001" || got.Hint != issued.Value.Reveal()[:3] || !got.ExpiresAt.Equal(expires) {
		t.Errorf("listed %+v, want the marker, the hint and the end %v", got, expires)
	}

	old := s.token(t)
	if _, err := s.Authority.Token(t.Context(), s.App, issued.Value); err != nil {
		t.Fatalf("token of the new secret: %v", err)
	}
	if err := s.Directory.RemovePassword(t.Context(), old, s.App, s.KeyID); err != nil {
		t.Fatalf("removing the old secret with its own token: %v", err)
	}
	_, err = s.Authority.Token(t.Context(), s.App, s.Secret)
	wantRefusal(t, "token of a removed secret", err, serviceerror.CredentialRefused)
	// A token outlives the secret that it was asked for with.
	err = s.Directory.RemovePassword(t.Context(), old, s.App, s.KeyID)
	wantRefusal(t, "removing it again", err, serviceerror.CredentialMissing)
	s.Secret = issued.Value
	if list := s.passwords(t); len(list) != 1 || list[0].KeyID != issued.KeyID {
		t.Errorf("listed %+v, want %s alone", list, issued.KeyID)
	}
}

func testTwoAtMost(t *testing.T, s DirectorySubject) {
	s.AdmitPersonal()
	state, err := s.Directory.Application(t.Context(), s.token(t), s.App)
	if err != nil || !state.PersonalAccounts() {
		t.Fatalf("reading: audience %q, %v; want one with personal accounts", state.SignInAudience, err)
	}
	s.add(t, "second")
	_, err = s.Directory.AddPassword(t.Context(), s.token(t), s.App, "third", s.Now().Add(24*time.Hour))
	wantRefusal(t, "adding a third one", err, serviceerror.Full)
	if n := len(s.passwords(t)); n != 2 {
		t.Errorf("%d passwords after the refusal, want 2", n)
	}
}

func testPolicies(t *testing.T, s DirectorySubject) {
	add := func(lifetime time.Duration) error {
		_, err := s.Directory.AddPassword(t.Context(), s.token(t), s.App, "policy", s.Now().Add(lifetime))
		return err
	}
	s.LimitLifetime(7 * 24 * time.Hour)
	wantRefusal(t, "too long a life", add(8*24*time.Hour), serviceerror.PolicyLifetime)
	if err := add(6 * 24 * time.Hour); err != nil {
		t.Errorf("a life within the policy: %v", err)
	}
	s.ForbidPasswords()
	wantRefusal(t, "a forbidden secret", add(24*time.Hour), serviceerror.PolicyForbidden)
	s.token(t) // policies do not touch what exists
}

func testPermission(t *testing.T, s DirectorySubject) {
	issued := s.add(t, "first")
	s.DenyWrites()
	token := s.token(t)
	_, err := s.Directory.AddPassword(t.Context(), token, s.App, "second", s.Now().Add(24*time.Hour))
	wantRefusal(t, "adding without permission", err, serviceerror.Permission)
	err = s.Directory.RemovePassword(t.Context(), token, s.App, issued.KeyID)
	wantRefusal(t, "removing without permission", err, serviceerror.Permission)
}
