//go:build consolecheck

package consolecheck

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"rekey/shared/emulator/directory"
)

// asked is the page that people want to see before they are signed in.
const asked = "/console/connections?name=x"

// People sign in by Entra, in each way, and come back to the page that they asked for, with the role that
// Entra says.
func TestSignInByEntra(t *testing.T) {
	for _, how := range ways {
		t.Run(how.name, func(t *testing.T) {
			w := newWorld(t, nil, nil)
			stranger, err := w.services.Directory.AddUser(directory.User{TenantID: w.services.TenantID, Name: "Nora Norole"})
			if err != nil {
				t.Fatal(err)
			}
			u := &user{tab: w.tab(how)}
			u.entra(asked)
			u.follow("#decline")
			u.inspected("declined")

			u.press("#entra")
			u.arrive()
			u.choose(stranger)
			u.inspected("role")
			if u.has("nav") {
				t.Error("a person without a role is let in")
			}

			u.entra(asked)
			u.choose(w.people.Ordinary)
			u.landed(asked, "Otto Ordinary (read)")
			if u.has("a[href='/console/connect']") {
				t.Error("a reader is offered what needs another role")
			}
			u.open("/console/connect")
			u.inspected("This needs the role write.")
			u.follow("form[action='/console/sign-out'] button")
			u.inspected("You have signed out")

			u.entra(asked)
			u.choose(w.people.Administrator)
			u.landed(asked, "Ada Administrator (admin)")
			u.open("/console/settings")
			u.inspected("Signed in as")
			u.enter("input[name=zone]", "Asia/Tokyo")
			u.follow("form[action='/console/zone'] button")
			u.inspected("JST")
			u.cookies()
			u.quiet()
		})
	}
}

// entra opens a page without a session, and goes on to Entra's.
func (u *user) entra(path string) {
	u.Helper()
	u.open(path)
	u.inspected("Sign in with Microsoft Entra")
	u.press("#entra")
	u.arrive()
}

// arrive waits for Entra's page.
func (u *user) arrive() {
	u.Helper()
	u.do(chromedp.WaitVisible(chromedp.CSS("body#sign-in #approve")))
}

func (u *user) choose(person string) {
	u.Helper()
	u.press("#user-" + person)
	u.follow("#approve")
}

func (u *user) landed(path, who string) {
	u.Helper()
	if at := u.at(); at != path {
		u.Errorf("signed in, and led to %s instead of %s", at, path)
	}
	u.inspected(who)
}

// cookies are out of reach of scripts, and end with the session or by themselves.
func (u *user) cookies() {
	u.Helper()
	if seen := ask[string](u.tab, "() => document.cookie"); seen != "" {
		u.Errorf("scripts see %s", seen)
	}
	all := look(u.tab, chromedp.Action[[]*network.Cookie](func(ctx context.Context, _ *chromedp.Target) ([]*network.Cookie, error) {
		got, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{u.url + "/console"}})
		return got.Cookies, err
	}))
	for _, c := range all {
		if !c.HTTPOnly || c.SameSite != network.CookieSameSiteLax {
			u.Errorf("cookie %s: HttpOnly %v, SameSite %s", c.Name, c.HTTPOnly, c.SameSite)
		}
	}
	if len(all) == 0 {
		u.Error("there is no cookie")
	}
}

// With App Service authentication on, the platform says who a person is. Signing in leads to its own
// sign-in and back to the page asked for; signing out leads to its own sign-out.
func TestAppServiceAuthentication(t *testing.T) {
	for _, how := range ways {
		t.Run(how.name, func(t *testing.T) {
			platform := &appService{signedIn: map[string]string{}}
			w := newWorld(t, map[string]string{"WEBSITE_AUTH_ENABLED": "True"}, platform.front)
			u := &user{tab: w.tab(how)}
			u.open(asked)
			u.inspected("Sign in with your organisation")
			u.follow("#app-service")
			u.follow("#reader")
			u.landed(asked, "(read)")
			u.open("/console/connect")
			u.inspected("This needs the role write.")
			u.follow("form[action='/console/sign-out'] button")
			u.inspected("Sign in with your organisation")

			u.follow("#app-service")
			u.follow("#admin")
			u.open("/console/settings")
			u.inspected("when App Service ends it", "(admin)")
			u.enter("input[name=zone]", "Asia/Tokyo")
			u.follow("form[action='/console/zone'] button")
			u.open("/console/connect")
			u.inspected("Connect a tenant")
			u.quiet()
		})
	}
}

// With App Service authentication off, what a client sends in the platform's name counts for nothing,
// and its sign-in is not offered.
func TestAppServiceAuthenticationOff(t *testing.T) {
	platform := &appService{everybody: "Connections.Admin", signedIn: map[string]string{}}
	w := newWorld(t, map[string]string{"WEBSITE_AUTH_ENABLED": "False"}, platform.front)
	u := &user{tab: w.tab(ways[0])}
	u.open(asked)
	u.inspected("Sign in with Microsoft Entra", "API key")
	if u.has("#app-service") || u.has("nav") {
		t.Errorf("the platform's word counts: %s", u.text("body"))
	}
	u.quiet()
}

// appService is the platform in front of the app, with its sign-in, as documented in "Work with user
// identities in Azure App Service authentication" and "Customize sign-ins and sign-outs".
type appService struct {
	everybody string // the role of all requests, whatever they are: as a client forges it

	mu       sync.Mutex
	signedIn map[string]string // role by session
}

const platformCookie = "AppServiceAuthSession"

func (p *appService) front(w *world, host string) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.auth/login/aad", func(out http.ResponseWriter, r *http.Request) {
		back := html.EscapeString(r.URL.Query().Get("post_login_redirect_uri"))
		fmt.Fprintf(out, `<!DOCTYPE html><title>Platform</title><form method="post"><input type="hidden" name="back" value="%s">`+
			`<button id="reader" name="role" value="Connections.Read">Reader</button>`+
			`<button id="admin" name="role" value="Connections.Admin">Administrator</button></form>`, back)
	})
	mux.HandleFunc("POST /.auth/login/aad", func(out http.ResponseWriter, r *http.Request) {
		session := rand.Text()
		p.mu.Lock()
		p.signedIn[session] = r.PostFormValue("role")
		p.mu.Unlock()
		http.SetCookie(out, &http.Cookie{Name: platformCookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(out, r, r.PostFormValue("back"), http.StatusFound)
	})
	mux.HandleFunc("GET /.auth/logout", func(out http.ResponseWriter, r *http.Request) {
		http.SetCookie(out, &http.Cookie{Name: platformCookie, Path: "/", MaxAge: -1})
		http.Redirect(out, r, r.URL.Query().Get("post_logout_redirect_uri"), http.StatusFound)
	})
	mux.HandleFunc("/", func(out http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Ms-Client-Principal") {
				r.Header.Del(name)
			}
		}
		if role := p.role(r); role != "" {
			r.Header.Set("X-MS-CLIENT-PRINCIPAL", principal(w.services.TenantID, w.people.Administrator, role))
			r.Header.Set("X-MS-CLIENT-PRINCIPAL-NAME", "ada@contoso.example")
			r.Header.Set("X-MS-CLIENT-PRINCIPAL-IDP", "aad")
		}
		proxy.ServeHTTP(out, r)
	})
	return mux
}

func (p *appService) role(r *http.Request) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.everybody != "" {
		return p.everybody
	}
	c, err := r.Cookie(platformCookie)
	if err != nil {
		return ""
	}
	return p.signedIn[c.Value]
}

// principal is what the platform says of a person.
func principal(tenant, person, role string) string {
	type claim struct {
		Type  string `json:"typ"`
		Value string `json:"val"`
	}
	data, err := json.Marshal(object{"auth_typ": "aad", "name_typ": "name", "role_typ": "roles", "claims": []claim{
		{"http://schemas.microsoft.com/identity/claims/tenantid", tenant},
		{"http://schemas.microsoft.com/identity/claims/objectidentifier", person}, {"name", "Ada Administrator"}, {"roles", role}}})
	if err != nil {
		panic(err) // strings always encode
	}
	return base64.StdEncoding.EncodeToString(data)
}
