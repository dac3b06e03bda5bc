package stack_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
)

// TestOAuthApplication: the administrator may connect, the other one is sent back; and
// the code can be redeemed with the secret.
func TestOAuthApplication(t *testing.T) {
	s := start(t, stack.Config{})
	const callback = "https://rekey.example/callback"
	app, err := s.AddOAuthApplication(callback)
	if err != nil {
		t.Fatal(err)
	}
	address := s.AuthorityURL + "/" + s.TenantID + "/oauth2/v2.0/authorize?" + url.Values{
		"client_id": {app.ClientID}, "response_type": {"code"}, "redirect_uri": {callback},
		"scope": {"openid profile offline_access User.Read Application.ReadWrite.All"},
	}.Encode()
	to, err := s.Person(app.Ordinary).Approve(t.Context(), address)
	if err != nil || !strings.HasPrefix(to.Query().Get("error_description"), "AADSTS90094: ") {
		t.Errorf("the ordinary user: sent to %v, %v", to, err)
	}
	to, err = s.Person(app.Administrator).Approve(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS, DisableKeepAlives: true}}
	response, err := client.PostForm(s.AuthorityURL+"/"+s.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {app.ClientID}, "client_secret": {app.Secret},
		"code": {to.Query().Get("code")}, "redirect_uri": {callback},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var tokens struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&tokens); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("redeeming: %d, %v", response.StatusCode, err)
	}
	if user, _, ok := s.Directory.RefreshTokenOf(tokens.RefreshToken); !ok || user != app.Administrator {
		t.Errorf("the refresh token is of %q, %v", user, ok)
	}
	calls := s.Calls()
	if calls[directory.OpAuthorize] != 2 || calls[directory.OpDecide] != 2 || calls[directory.OpRedeem] != 1 {
		t.Errorf("calls %v", calls)
	}
}

// TestCallerToken: the issuer is the stack's authority.
func TestCallerToken(t *testing.T) {
	s := start(t, stack.Config{})
	token := s.CallerToken(map[string]any{"aud": "api://rekey", "roles": []string{"Connections.Admin"}})
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Iss, Aud, Tid string }
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Iss != s.AuthorityURL+"/"+s.TenantID+"/v2.0" || claims.Aud != "api://rekey" || claims.Tid != s.TenantID {
		t.Errorf("got %+v", claims)
	}
}
