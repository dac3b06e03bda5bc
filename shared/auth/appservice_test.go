package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// claim and principal are what App Service sends.
type claim struct {
	Type  string `json:"typ"`
	Value string `json:"val"`
}

func principal(kind string, claims ...claim) string {
	data, err := json.Marshal(map[string]any{
		"auth_typ": kind, "claims": claims, "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
		"role_typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
	})
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// The names under which App Service passes claims on.
const (
	typeTenant = "http://schemas.microsoft.com/identity/claims/tenantid"
	typeObject = "http://schemas.microsoft.com/identity/claims/objectidentifier"
	typeScope  = "http://schemas.microsoft.com/identity/claims/scope"
	typeRole   = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
)

var (
	tenantClaim = claim{typeTenant, tenantID}
	objectClaim = claim{typeObject, personID}
	adminClaim  = claim{"roles", "Connections.Admin"}
)

func appServiceRequest(method string, header http.Header) *http.Request {
	return &http.Request{Method: method, Host: "rekey.example.com", Header: header}
}

func TestAppService(t *testing.T) {
	user, app := "user:"+personID, "app:"+clientID
	tests := map[string]struct {
		value string
		name  string // "": refused
		role  auth.Role
	}{
		"person who signed in": {principal("aad", tenantClaim, objectClaim, claim{"roles", "Connections.Read"},
			claim{"roles", "Connections.Write"}), user, auth.Write},
		"role by its long name": {principal("aad", tenantClaim, objectClaim, claim{typeRole, "Connections.Rotate"}), user, auth.Rotate},
		"short names":           {principal("aad", claim{"tid", tenantID}, claim{"oid", personID}, adminClaim), user, auth.Admin},
		"person through a client": {principal("aad", tenantClaim, objectClaim, claim{"azp", clientID},
			claim{typeScope, "openid Connections.Read"}, adminClaim), user, auth.Read},
		"application":              {principal("aad", tenantClaim, objectClaim, claim{"appid", clientID}, adminClaim), app, auth.Admin},
		"no role":                  {principal("aad", tenantClaim, objectClaim), user, 0},
		"the same claim twice":     {principal("aad", tenantClaim, tenantClaim, objectClaim, objectClaim), user, 0},
		"another tenant":           {principal("aad", claim{typeTenant, personID}, objectClaim, adminClaim), "", 0},
		"two tenants":              {principal("aad", tenantClaim, claim{"tid", personID}, objectClaim), "", 0},
		"two persons":              {principal("aad", tenantClaim, objectClaim, claim{"oid", clientID}), "", 0},
		"no tenant":                {principal("aad", objectClaim, adminClaim), "", 0},
		"no object id":             {principal("aad", tenantClaim, claim{"preferred_username", "ada@example.com"}, adminClaim), "", 0},
		"object id that is none":   {principal("aad", tenantClaim, claim{typeObject, "ada@example.com"}), "", 0},
		"another identity service": {principal("google", tenantClaim, objectClaim, adminClaim), "", 0},
		"no identity service":      {principal("", tenantClaim, objectClaim, adminClaim), "", 0},
		"no JSON":                  {base64.StdEncoding.EncodeToString([]byte("ada")), "", 0},
		"no base64":                {"{}", "", 0},
		"empty":                    {"", "", 0},
		"oversized":                {principal("aad", tenantClaim, objectClaim, claim{"groups", strings.Repeat("x", 64<<10)}), "", 0},
	}
	a := &auth.Authenticator{AppService: true, TenantID: strings.ToUpper(tenantID)}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := auth.Caller{Name: tt.name, Role: tt.role, Kind: auth.KindAppService}
			if tt.name == "" {
				want = auth.Caller{}
			}
			got, err := a.Authenticate(appServiceRequest("GET", http.Header{"X-Ms-Client-Principal": {tt.value}}))
			if got != want || (err != nil) != (tt.name == "") || err != nil && !errors.Is(err, auth.ErrUnauthenticated) {
				t.Errorf("Authenticate = %+v, %v; want %+v", got, err, want)
			}
		})
	}
	good := principal("aad", tenantClaim, objectClaim, adminClaim)
	for name, header := range map[string]http.Header{
		"two headers":                   {"X-Ms-Client-Principal": {good, good}},
		"none":                          {},
		"only what people read":         {"X-Ms-Client-Principal-Name": {"ada"}, "X-Ms-Client-Principal-Id": {personID}},
		"with a bad token":              {"X-Ms-Client-Principal": {good}, "Authorization": {"Bearer a.b.c"}},
		"with an empty Authorization":   {"X-Ms-Client-Principal": {good}, "Authorization": {""}},
		"with Authorization of another": {"X-Ms-Client-Principal": {good}, "Authorization": {"Basic YTpi"}},
	} {
		if caller, err := a.Authenticate(appServiceRequest("GET", header)); !errors.Is(err, auth.ErrUnauthenticated) ||
			caller != (auth.Caller{}) {
			t.Errorf("%s: Authenticate = %+v, %v", name, caller, err)
		}
	}
}

// The header decides nothing where App Service does not stand in front, and never
// where the caller shows something else.
func TestForgedPrincipal(t *testing.T) {
	key, entry := newKey(t, "ci", auth.Read)
	forged := principal("aad", tenantClaim, objectClaim, adminClaim)
	for name, tt := range map[string]struct {
		a    *auth.Authenticator
		want error
	}{
		"off":            {&auth.Authenticator{Keys: []auth.Key{entry}, TenantID: tenantID}, auth.ErrUnauthenticated},
		"no tenant":      {&auth.Authenticator{Keys: []auth.Key{entry}, AppService: true}, auth.ErrUnauthenticated},
		"only no tenant": {&auth.Authenticator{AppService: true}, auth.ErrUnconfigured},
		"only a tenant":  {&auth.Authenticator{TenantID: tenantID}, auth.ErrUnconfigured},
	} {
		if caller, err := tt.a.Authenticate(appServiceRequest("GET", http.Header{"X-Ms-Client-Principal": {forged}})); !errors.Is(err, tt.want) ||
			caller != (auth.Caller{}) {
			t.Errorf("%s: Authenticate = %+v, %v; want %v", name, caller, err, tt.want)
		}
	}
	both := &auth.Authenticator{Keys: []auth.Key{entry}, AppService: true, TenantID: tenantID}
	want := auth.Caller{Name: "ci", Role: auth.Read, Kind: auth.KindKey}
	got, err := both.Authenticate(appServiceRequest("GET", http.Header{"X-Ms-Client-Principal": {forged}, "Authorization": {"Bearer " + key}}))
	if err != nil || got != want {
		t.Errorf("a key and the header: %+v, %v; want %+v", got, err, want)
	}
}

// App Service knows people by a cookie, which their browser also sends when
// another site's page makes it.
func TestAppServiceOtherOrigins(t *testing.T) {
	a := &auth.Authenticator{AppService: true, TenantID: tenantID}
	for _, tt := range []struct {
		method, name, value string
		refused             bool
	}{
		{"POST", "Sec-Fetch-Site", "cross-site", true},
		{"POST", "Sec-Fetch-Site", "same-site", true},
		{"DELETE", "Origin", "https://evil.example.com", true},
		{"GET", "Sec-Fetch-Site", "cross-site", false}, // changes nothing, and no other page reads the answer
		{"POST", "Sec-Fetch-Site", "same-origin", false},
		{"POST", "Sec-Fetch-Site", "none", false},
		{"POST", "Origin", "https://rekey.example.com", false},
		{"POST", "User-Agent", "no browser", false},
	} {
		header := http.Header{"X-Ms-Client-Principal": {principal("aad", tenantClaim, objectClaim, adminClaim)}, tt.name: {tt.value}}
		_, err := a.Authenticate(appServiceRequest(tt.method, header))
		if errors.Is(err, auth.ErrUnauthenticated) != tt.refused {
			t.Errorf("%s with %s: %s: %v, want refused %v", tt.method, tt.name, tt.value, err, tt.refused)
		}
	}
}

// Where only App Service's word counts, a key beside it changes nothing; and where App
// Service does not stand in front, its header says nothing.
func TestByAppService(t *testing.T) {
	key, entry := newKey(t, "ci", auth.Read)
	header := http.Header{"X-Ms-Client-Principal": {principal("aad", tenantClaim, objectClaim, adminClaim)},
		"Authorization": {"Bearer " + key}}
	want := auth.Caller{Name: "user:" + personID, Role: auth.Admin, Kind: auth.KindAppService}
	on := &auth.Authenticator{Keys: []auth.Key{entry}, AppService: true, TenantID: tenantID}
	if got, err := on.ByAppService(appServiceRequest("GET", header)); err != nil || got != want {
		t.Errorf("ByAppService = %+v, %v; want %+v", got, err, want)
	}
	for name, a := range map[string]*auth.Authenticator{
		"off": {Keys: []auth.Key{entry}, TenantID: tenantID}, "no tenant": {Keys: []auth.Key{entry}, AppService: true}, "nothing": nil,
	} {
		if got, err := a.ByAppService(appServiceRequest("GET", header)); err != auth.NoHeader || got != (auth.Caller{}) {
			t.Errorf("%s: ByAppService = %+v, %v", name, got, err)
		}
	}
	if _, err := on.ByAppService(appServiceRequest("GET", http.Header{"Authorization": {"Bearer " + key}})); err != auth.NoHeader {
		t.Errorf("a key alone: %v", err)
	}
}
