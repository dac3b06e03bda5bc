package entra_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/entra"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// identified is a person without any role of the directory, and the application that they
// sign in to so that it learns who they are.
type identified struct {
	*signIns
	app    directory.Application
	person string
	*entra.Identification
}

func newIdentified(t *testing.T) *identified {
	t.Helper()
	s, a := newSignIns(t)
	app, err := s.AddApplication(directory.Registration{TenantID: s.app.TenantID, Settings: directory.Settings{
		DisplayName: "Rekey console", RedirectURIs: []string{redirectURI},
	}})
	if err != nil {
		t.Fatal(err)
	}
	person, err := s.AddUser(directory.User{TenantID: s.app.TenantID, Name: "Otto"})
	if err != nil {
		t.Fatal(err)
	}
	i := &identified{signIns: s, app: app, person: person}
	s.secret = app.Secret
	i.Identification = a.Identification(entra.OAuthApplication{ClientID: app.ClientID,
		Secret: func(context.Context) (secret.Value, error) { s.asked++; return secret.New(s.secret), nil }})
	return i
}

func (i *identified) address() string {
	return i.SignInURL(entra.SignInRequest{TenantID: i.app.TenantID, RedirectURI: redirectURI, State: "the state", Nonce: "the nonce",
		Challenge: entra.Challenge(secret.New(codeVerifier))})
}

func (i *identified) code(t *testing.T) secret.Value {
	t.Helper()
	back, err := directory.Person{UserID: i.person, Client: &http.Client{Transport: i.wire}}.Approve(t.Context(), i.address())
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("came back with %v, %v", back, err)
	}
	return secret.New(back.Query().Get("code"))
}

// A person without a role signs in without consent of an administrator, since nothing is
// asked for but who they are; and what comes back is an ID token alone.
func TestIdentification(t *testing.T) {
	i := newIdentified(t)
	address, err := url.Parse(i.address())
	if err != nil {
		t.Fatal(err)
	}
	q := address.Query()
	if q.Get("scope") != "openid profile" || q.Get("client_id") != i.app.ClientID || q.Get("code_challenge_method") != "S256" ||
		q.Get("nonce") != "the nonce" || !strings.HasPrefix(i.address(), i.server.URL+"/"+i.app.TenantID+"/") {
		t.Errorf("people are sent to %s", address)
	}
	token, err := i.Redeem(t.Context(), i.app.TenantID, i.code(t), secret.New(codeVerifier), redirectURI)
	if err != nil || strings.Count(token.Reveal(), ".") != 2 {
		t.Errorf("redeeming: %v, %d dots", err, strings.Count(token.Reveal(), "."))
	}
	if consented := i.Consented(i.app.ClientID, i.person); len(consented) != 0 {
		t.Errorf("the person has granted %q", consented)
	}
	if i.asked != 1 {
		t.Errorf("the secret was read %d times", i.asked)
	}
}

func TestIdentificationIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(i *identified, verifier *string)
		kind  entra.RefusalKind
		code  string
	}{
		"redeemed before":  {func(*identified, *string) {}, entra.CodeSpent, "AADSTS54005"},
		"another verifier": {func(_ *identified, v *string) { *v = strings.Repeat("x", 43) }, entra.CodeSpent, "AADSTS501481"},
		"our secret":       {func(i *identified, _ *string) { i.secret = "wrong" }, entra.Setup, "AADSTS7000215"},
		"no secret":        {func(i *identified, _ *string) { i.secret = "" }, entra.Setup, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIdentified(t)
			code, verifier := i.code(t), codeVerifier
			test.spoil(i, &verifier)
			var err error
			for range 2 {
				_, err = i.Redeem(t.Context(), i.app.TenantID, code, secret.New(verifier), redirectURI)
			}
			if got := entra.RefusalOf(err); got.Kind != test.kind || got.Code != test.code {
				t.Errorf("refused with %+v: %v", got, err)
			}
		})
	}
}

// Entra's answer without an ID token is no sign-in.
func TestNoIDToken(t *testing.T) {
	i := newIdentified(t)
	address := strings.Replace(i.address(), "scope=openid+profile", "scope=profile", 1)
	back, err := directory.Person{UserID: i.person, Client: &http.Client{Transport: i.wire}}.Approve(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	token, err := i.Redeem(t.Context(), i.app.TenantID, secret.New(back.Query().Get("code")), secret.New(codeVerifier), redirectURI)
	if !token.IsZero() || serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("redeeming: %v", err)
	}
}

// What a callback says for Entra is sorted by Entra's number, else by OAuth's name.
func TestReadRefusal(t *testing.T) {
	for said, want := range map[string]entra.Refusal{
		"access_denied|AADSTS65004: declined":       {Kind: entra.Declined, Code: "AADSTS65004"},
		"access_denied|":                            {Kind: entra.Declined},
		"access_denied|AADSTS90094: an admin":       {Kind: entra.NeedsAdmin, Code: "AADSTS90094"},
		"consent_required|":                         {Kind: entra.NeedsAdmin},
		"invalid_request|AADSTS50011: the redirect": {Kind: entra.Setup, Code: "AADSTS50011"},
		"invalid_scope|":                            {Kind: entra.Setup},
		"invalid_grant|AADSTS70008: expired":        {Kind: entra.CodeSpent, Code: "AADSTS70008"},
		"access_denied|AADSTS50105: not assigned":   {Kind: entra.Refused, Code: "AADSTS50105"},
		"login_required|AADSTS50058: no session":    {Kind: entra.Refused, Code: "AADSTS50058"},
		"invalid_grant|AADSTS50196: a loop":         {Kind: entra.Unavailable, Code: "AADSTS50196"},
		"server_error|":                             {Kind: entra.Unavailable},
		"odd|see AADSTS65004: inside":               {Kind: entra.Refused},
		"|":                                         {Kind: entra.Refused},
	} {
		name, description, _ := strings.Cut(said, "|")
		got := entra.ReadRefusal(name, description)
		if quote := strings.TrimSpace(name + " " + description); got.Kind != want.Kind || got.Code != want.Code || got.Quote != quote {
			t.Errorf("%q: %+v, want %+v", said, got, want)
		}
	}
	long := entra.ReadRefusal("odd", "a\r\nb\x1b[31m\u202e "+strings.Repeat("ä", 1000))
	if !strings.HasPrefix(long.Quote, "odd a b[31m ä") || len([]rune(long.Quote)) > 301 {
		t.Errorf("kept %q", long.Quote)
	}
}

// An error that is no definite answer is no refusal of the person.
func TestRefusalOf(t *testing.T) {
	for _, err := range []error{errors.New("other"), &serviceerror.Error{Class: serviceerror.Transient},
		&serviceerror.Error{Class: serviceerror.Throttled, Code: "AADSTS50196"}} {
		if got := entra.RefusalOf(err); got != (entra.Refusal{Kind: entra.Unavailable}) {
			t.Errorf("%v: %+v", err, got)
		}
	}
	got := entra.RefusalOf(&serviceerror.Error{Class: serviceerror.CredentialInvalid, Code: "AADSTS50105"})
	if got.Kind != entra.Refused || !slices.Equal([]string{got.Code, got.Quote}, []string{"AADSTS50105", "AADSTS50105"}) {
		t.Errorf("%+v", got)
	}
}

// A secret that was replaced is read again when Entra refuses the one before.
func TestIdentificationWithAReplacedSecret(t *testing.T) {
	i := newIdentified(t)
	if _, err := i.Redeem(t.Context(), i.app.TenantID, i.code(t), secret.New(codeVerifier), redirectURI); err != nil {
		t.Fatal(err)
	}
	_, next, err := i.AddPassword(i.app.ObjectID, "next", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := i.RemovePassword(i.app.ObjectID, i.app.KeyID); err != nil {
		t.Fatal(err)
	}
	i.secret = next
	if _, err := i.Redeem(t.Context(), i.app.TenantID, i.code(t), secret.New(codeVerifier), redirectURI); err != nil || i.asked != 2 {
		t.Errorf("redeeming: %v; the secret was read %d times", err, i.asked)
	}
}
