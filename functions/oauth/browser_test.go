package oauth_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"rekey/shared/emulator/chromium"
	"rekey/shared/emulator/directory"
	"rekey/shared/oauth"
	"rekey/shared/rotationtest"
)

func TestInABrowser(t *testing.T) {
	rotationtest.PlainOnly(t)
	browser := chromium.ForTest(t)
	for _, test := range []struct {
		name string
		run  func(w *world, b *tab)
	}{
		{"approve", func(w *world, b *tab) {
			b.depart(w.begin("billing"))
			b.choose(w.app.Administrator, "#approve")
			b.ends("connected")
			w.signedIn(w.app.Administrator)
		}},
		{"decline", func(w *world, b *tab) {
			b.depart(w.begin("billing"))
			b.run(click("#decline"))
			b.ends("declined")
			b.run(wait("#entra"))
			w.nothing()
		}},
		{"needs an administrator", (*world).needsAdministrator},
		{"a tenant that does not exist", func(w *world, b *tab) {
			link := w.beginAs(oauth.Request{Name: "billing", TenantID: "99999999-9999-4999-8999-999999999999", By: "alice"})
			b.run(chromedp.Navigate(link), wait("#continue"), click("#continue"), wait("body#error"))
			w.nothing()
		}},
		{"a person of another tenant", (*world).strangersTenant},
		{"a replayed callback", func(w *world, b *tab) {
			b.depart(w.begin("billing"))
			b.choose(w.app.Administrator, "#approve")
			b.ends("connected")
			b.run(chromedp.Navigate(b.callback()))
			b.ends("connected") // what came of it the first time
			redeemed := w.stack.Directory.Calls(directory.OpRedeem)
			if w.signedIn(w.app.Administrator); redeemed != 1 {
				w.Errorf("%d codes were redeemed", redeemed)
			}
		}},
		{"a callback in another browser", func(w *world, b *tab) {
			b.depart(w.begin("billing"))
			address := read(b, chromedp.Location())
			other := w.tab(browser, true)
			other.run(chromedp.Navigate(w.approve(w.app.Administrator, address)))
			other.ends("other-browser")
			w.nothing()
			if n := w.stack.Directory.Calls(directory.OpRedeem); n != 0 {
				w.Errorf("%d codes were redeemed", n)
			}
			b.choose(w.app.Administrator, "#approve") // it is not used up
			b.ends("connected")
		}},
		{"an expired state", func(w *world, b *tab) {
			link := w.begin("billing")
			b.depart(link)
			w.ahead.Add(int64(oauth.Lifetime))
			b.choose(w.app.Administrator, "#approve")
			b.ends("expired")
			w.nothing()
			b.run(chromedp.Navigate(link), wait("body#problem.expired"))
		}},
		{"a double click", func(w *world, b *tab) {
			twice := w.inPairs()
			b.run(chromedp.Navigate(w.begin("billing")), wait("#continue"))
			b.clickTwice("#continue", twice["POST start"])
			b.run(wait("#sign-in #approve"), click("#user-"+w.app.Administrator))
			b.clickTwice("#approve", twice["GET callback"])
			b.ends("connected")
			w.signedIn(w.app.Administrator)
			if n := w.stack.Directory.Calls(directory.OpRedeem); n != 1 {
				w.Errorf("%d codes were redeemed", n)
			}
		}},
		{"two flows at once", func(w *world, b *tab) {
			second := w.tab(b.ctx, false)
			b.depart(w.begin("billing"))
			second.depart(w.begin("reporting"))
			second.choose(w.app.Administrator, "#approve")
			second.ends("connected")
			b.choose(w.app.Administrator, "#approve")
			b.ends("connected")
			if list := w.connections(); len(list) != 2 {
				w.Errorf("there are %d connections", len(list))
			}
		}},
		{"reconnect", (*world).reconnects},
		{"by a form of another site", (*world).foreignForm},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.run(w, w.tab(browser, true))
		})
	}
}

// needsAdministrator: an ordinary person can't consent, an administrator does, and the
// ordinary person can connect.
func (w *world) needsAdministrator(b *tab) {
	b.depart(w.begin("billing"))
	b.choose(w.app.Ordinary, "#approve")
	b.run(wait("body#need-approval #return"), click("#return"))
	b.ends("needs-admin")
	w.nothing()
	b.run(click("#admin-consent"), wait("body#admin-consent #approve"))
	b.choose(w.app.Administrator, "#approve")
	b.ends("consent-given")
	w.nothing()
	b.depart(w.begin("billing"))
	b.choose(w.app.Ordinary, "#approve")
	b.ends("connected")
	w.signedIn(w.app.Ordinary)
}

// strangersTenant: a stranger changes the tenant in Entra's address to their own.
func (w *world) strangersTenant(b *tab) {
	elsewhere := w.stack.Directory.AddTenant()
	stranger, err := w.stack.Directory.AddUser(directory.User{TenantID: elsewhere, Name: "Mallory",
		Roles: []string{directory.GlobalAdministrator}})
	if err != nil {
		w.Fatal(err)
	}
	b.depart(w.begin("billing"))
	address := read(b, chromedp.Location())
	b.run(chromedp.Navigate(strings.Replace(address, w.stack.TenantID, elsewhere, 1)), wait("#sign-in #approve"))
	b.choose(stranger, "#approve")
	b.ends("code-spent")
	w.nothing()
}

func (w *world) reconnects(b *tab) {
	b.depart(w.begin("billing"))
	b.choose(w.app.Administrator, "#approve")
	b.ends("connected")
	before := w.signedIn(w.app.Administrator)
	b.depart(w.beginAs(oauth.Request{ConnectionID: before.ID, By: "alice"}))
	b.choose(w.app.Ordinary, "#approve")
	b.run(wait("body#need-approval #return"), click("#return"))
	b.ends("needs-admin")
	w.signedIn(w.app.Administrator) // as it was
	if err := w.stack.Directory.GrantConsent(w.app.ClientID, "", directory.ScopeUserRead, directory.RoleReadWriteAll); err != nil {
		w.Fatal(err)
	}
	b.depart(w.beginAs(oauth.Request{ConnectionID: before.ID, By: "alice"}))
	b.choose(w.app.Ordinary, "#approve")
	b.ends("reconnected")
	b.run(wait("#other-account"))
	if after := w.signedIn(w.app.Ordinary); after.ID != before.ID || after.Auth.Generation != before.Auth.Generation+1 {
		w.Errorf("after reconnecting it is %+v", after.Auth)
	}
}

// foreignForm: a page of another site presses the button for a person who has not
// seen it.
func (w *world) foreignForm(b *tab) {
	link := w.begin("billing")
	html := `data:text/html,<form method="post" action="` + link + `"><button id="go">go</button></form>`
	b.run(chromedp.Navigate(html), wait("#go"), click("#go"), wait("body#problem"))
	if text := read(b, chromedp.Text(chromedp.CSS("#message"))); !strings.Contains(text, "did not come from the page itself") {
		w.Errorf("the page says %q", text)
	}
	b.depart(link) // the person may still do so
	b.choose(w.app.Administrator, "#approve")
	b.ends("connected")
}
