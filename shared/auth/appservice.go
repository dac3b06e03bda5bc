package auth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// principalHeader is what App Service tells the application behind it about the
// caller, as base64 of JSON ("Work with user identities in Azure App Service
// authentication"). With its authentication on, App Service removes the header from
// what clients send; with it off, the header is passed through.
const principalHeader = "X-MS-CLIENT-PRINCIPAL"

// maxPrincipal is more than App Service sends; it has all groups of a person.
const maxPrincipal = 64 << 10

// principal is the content of the header. Claims of several values come several
// times.
type principal struct {
	AuthType string `json:"auth_typ"` // "aad" for Entra
	Claims   []struct {
		Type  string `json:"typ"`
		Value string `json:"val"`
	} `json:"claims"`
}

// claimNames are the names under which App Service passes on what a token calls
// otherwise. Names that are not here are passed on as they are.
var claimNames = map[string]string{
	"http://schemas.microsoft.com/identity/claims/tenantid":         "tid",
	"http://schemas.microsoft.com/identity/claims/objectidentifier": "oid",
	"http://schemas.microsoft.com/identity/claims/scope":            "scp",
	"http://schemas.microsoft.com/ws/2008/06/identity/claims/role":  "roles",
}

func (a *Authenticator) appService() bool { return a != nil && a.AppService && a.TenantID != "" }

// ByAppService returns the caller that App Service vouches for, whatever else the request
// carries; [NoHeader] where it vouches for none, or does not stand in front.
func (a *Authenticator) ByAppService(r *http.Request) (Caller, error) {
	if !a.appService() {
		return Caller{}, NoHeader
	}
	return a.byPrincipal(r)
}

// sameOrigin refuses what another site's page made a browser send. A
// person whom App Service knows by its cookie is known in every request of their
// browser, unlike the holder of a token, which only the holder can add.
var sameOrigin = http.NewCrossOriginProtection()

// byPrincipal knows the caller by App Service's header.
func (a *Authenticator) byPrincipal(r *http.Request) (Caller, error) {
	values := r.Header.Values(principalHeader)
	switch {
	case len(values) == 0:
		return Caller{}, NoHeader
	case len(values) != 1 || len(values[0]) > maxPrincipal:
		return Caller{}, NotEntra
	case sameOrigin.Check(r) != nil:
		return Caller{}, CrossSite
	}
	data, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil {
		return Caller{}, NotEntra
	}
	var p principal
	if json.Unmarshal(data, &p) != nil || p.AuthType != "aad" {
		return Caller{}, NotEntra
	}
	c, ok := p.claims()
	switch {
	case !ok:
		return Caller{}, NoCaller
	case !strings.EqualFold(c.TenantID, a.TenantID):
		return Caller{}, OtherTenant
	}
	return caller(c, KindAppService)
}

// claims reads a principal as a token. It is not ok where a claim that says who
// the caller is comes twice.
func (p principal) claims() (c Claims, ok bool) {
	once := map[string]*string{"tid": &c.TenantID, "oid": &c.ObjectID, "appid": &c.AppID, "azp": &c.AppID}
	for _, claim := range p.Claims {
		name := claim.Type
		if short, ok := claimNames[name]; ok {
			name = short
		}
		switch into := once[name]; {
		case into != nil && *into != "" && *into != claim.Value:
			return Claims{}, false
		case into != nil:
			*into = claim.Value
		case name == "roles":
			c.Roles = append(c.Roles, claim.Value)
		case name == "scp":
			c.Scopes = append(c.Scopes, strings.Fields(claim.Value)...)
		}
	}
	return c, true
}
