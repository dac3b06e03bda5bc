package directory_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// kept is MSAL's cache, exported.
type kept struct{ data []byte }

func (k *kept) Replace(context.Context, cache.Unmarshaler, cache.ReplaceHints) error { return nil }

func (k *kept) Export(_ context.Context, c cache.Marshaler, _ cache.ExportHints) (err error) {
	k.data, err = c.Marshal()
	return err
}

// TestMSAL redeems a code with the real client: with a challenge, for permissions in
// the short and the long form. MSAL exports its cache only if every scope was echoed.
func TestMSAL(t *testing.T) {
	certificate, key := newCertificate(t)
	o := newOffice(t, directory.Config{})
	if err := o.AddCertificate(o.web.ObjectID, certificate); err != nil {
		t.Fatal(err)
	}
	bySecret, err := confidential.NewCredFromSecret(o.web.Secret)
	if err != nil {
		t.Fatal(err)
	}
	byCertificate, err := confidential.NewCredFromCert([]*x509.Certificate{certificate}, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tenant     string
		scopes     []string
		credential confidential.Credential
	}{
		"short names": {o.tenant, []string{"User.Read", "Application.ReadWrite.All"}, bySecret},
		"long names": {o.tenant, []string{"https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Application.ReadWrite.All"},
			byCertificate},
		"default":       {o.tenant, []string{"https://graph.microsoft.com/.default"}, bySecret},
		"organizations": {"organizations", []string{"https://graph.microsoft.com/.default"}, bySecret},
	} {
		t.Run(name, func(t *testing.T) {
			var cached kept
			client, err := confidential.New(o.login.URL+"/"+c.tenant, o.web.ClientID, c.credential,
				confidential.WithHTTPClient(o.login.Client()), confidential.WithInstanceDiscovery(false), confidential.WithCache(&cached))
			if err != nil {
				t.Fatal(err)
			}
			s := o.begin("scope", strings.Join(c.scopes, " ")+" openid profile offline_access")
			s.tenant = c.tenant
			result, err := client.AcquireTokenByAuthCode(t.Context(), o.code(s, o.ada), callback, c.scopes, confidential.WithChallenge(s.verifier))
			if err != nil {
				t.Fatal(err)
			}
			if result.Account.HomeAccountID != o.ada+"."+o.tenant || result.IDToken.Oid != o.ada || len(result.DeclinedScopes) > 0 {
				t.Errorf("got %+v", result)
			}
			var exported struct {
				RefreshToken map[string]struct{ Secret string }
			}
			if err := json.Unmarshal(cached.data, &exported); err != nil {
				t.Fatal(err)
			}
			for _, token := range exported.RefreshToken {
				if user, _, ok := o.RefreshTokenOf(token.Secret); !ok || user != o.ada {
					t.Errorf("the cached refresh token is of %q, %v", user, ok)
				}
			}
			if len(exported.RefreshToken) != 1 {
				t.Errorf("%d refresh tokens in the cache", len(exported.RefreshToken))
			}
			silent, err := client.AcquireTokenSilent(t.Context(), []string{"User.Read"}, confidential.WithSilentAccount(result.Account))
			if err != nil || silent.AccessToken == "" {
				t.Errorf("silently: %v", err)
			}
		})
	}
}

// TestFaults: the hook is asked about each of the new operations, and an answer can be
// lost.
func TestFaults(t *testing.T) {
	var broken string
	o := newOffice(t, directory.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		if op != broken {
			return nil
		}
		if op == directory.OpDecide {
			return &fault.Effect{Status: 500, Code: "AADSTS90033", Text: "No <way>."}
		}
		return &fault.Effect{Apply: true, Status: 503, Text: "Later."}
	}})
	s := o.begin()
	broken = directory.OpAuthorize
	if response, page := o.open(o.address(s)); response.StatusCode != 503 || !strings.Contains(page, `<p id="error">AADSTS90033: Later.`) {
		t.Errorf("got %d\n%s", response.StatusCode, page)
	}
	broken = directory.OpDecide
	if _, err := o.person(o.ada).Approve(t.Context(), o.address(s)); err == nil || !strings.HasPrefix(err.Error(), "AADSTS90033: No <way>.") {
		t.Errorf("deciding: %v", err)
	}
	broken = ""
	code := o.code(s, o.ada)
	broken = directory.OpRedeem
	o.wantEntra("redeeming", o.ask(o.tenant, o.redeemForm(s, code)), 503, "server_error", 90033)
	o.wantEntra("redeeming again", o.ask(o.tenant, o.redeemForm(s, code)), 503, "server_error", 90033)
	broken = ""
	o.wantEntra("after a lost answer", o.ask(o.tenant, o.redeemForm(s, code)), 400, "invalid_grant", 54005)
	token := o.tokens(o.ada).text("refresh_token")
	alive := o.RefreshTokens(o.ada)
	broken = directory.OpRefresh
	o.wantEntra("refreshing", o.ask(o.tenant, o.refreshForm(token)), 503, "server_error", 90033)
	if n := o.RefreshTokens(o.ada); n != alive+1 {
		t.Errorf("%d refresh tokens after a lost answer, want %d", n, alive+1)
	}
	broken = directory.OpKeys
	o.wantEntra("keys", o.fetch("/"+o.tenant+"/discovery/v2.0/keys"), 503, "server_error", 90033)
}
